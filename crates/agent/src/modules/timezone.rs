//! `timezone`: the zone of the system's time, and whether its clock keeps local time.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use serde_json::{Value, json};

use crate::children;
use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[Arg::str("hwclock").choices(&["local", "UTC"]).aliases(&["rtc"]), Arg::str("name")];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("timezone", ARGS)
        .collection("community.general")
        .required_one_of(&[&["hwclock", "name"]]),
    run,
};

const ZONES: &str = "/usr/share/zoneinfo";
const LINK: &str = "/etc/localtime";
const NAME: &str = "/etc/timezone";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (mut before, mut after) = (json!({}), json!({}));
    let mut messages = Vec::new();
    let mut changed = false;
    if let Some(name) = args.str("name") {
        let is = current_zone();
        before["name"] = json!(is);
        after["name"] = json!(name);
        if is.as_deref() != Some(name) || !is_linked(name) {
            changed = true;
            set_zone(task, name, &mut messages)?;
        } else {
            available(name)?;
        }
    }
    if let Some(wanted) = args.str("hwclock") {
        let is = if clock_is_local() { "local" } else { "UTC" };
        before["hwclock"] = json!(is);
        after["hwclock"] = json!(wanted);
        if is != wanted {
            changed = true;
            set_clock(task, wanted == "local")?;
        }
    }
    let message = (!messages.is_empty()).then(|| Value::from(messages.join("\n")));
    Ok(Outcome::changed(changed).with_some("msg", message).diff(json!({"before": before, "after": after})))
}

fn available(name: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(ZONES).join(name);
    let inside = !name.starts_with('/') && !name.split('/').any(|part| part == "..");
    if inside && path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(format!("Error message:\ngiven timezone \"{name}\" is not available")))
}

fn systemd_runs() -> bool {
    settings::systemd_runs(&Source::new(Path::new("/")))
}

/// Under systemd the link alone says it; elsewhere Debian's name file does.
fn current_zone() -> Option<String> {
    let named = std::fs::read_to_string(NAME).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    if systemd_runs() { linked().or(named) } else { named.or_else(linked) }
}

fn linked() -> Option<String> {
    let target = std::fs::canonicalize(LINK).ok()?;
    let read = std::fs::read_link(LINK).ok()?;
    // The name that somebody gave, not the one that it is an alias of.
    let given = read.to_string_lossy().split("zoneinfo/").nth(1).map(str::to_owned);
    given.or_else(|| target.strip_prefix(ZONES).ok().map(|p| p.to_string_lossy().into_owned()))
}

fn is_linked(name: &str) -> bool {
    if linked().as_deref() == Some(name) {
        return true;
    }
    // A copy, or an alias of the same zone.
    let same = |path: &str| std::fs::read(path).ok();
    same(LINK).is_some_and(|bytes| same(&format!("{ZONES}/{name}")) == Some(bytes))
}

fn set_zone(task: &mut Task<'_>, name: &str, messages: &mut Vec<String>) -> Result<(), Failure> {
    let zone = available(name)?;
    if task.check {
        return Ok(());
    }
    let systemd = systemd_runs();
    // As timedatectl makes it.
    let target = if systemd { PathBuf::from(format!("../usr/share/zoneinfo/{name}")) } else { zone };
    task.recorder.symlink(&target, Path::new(LINK))?;
    let file = TextFile::read(NAME)?;
    let debian = Path::new("/etc/debian_version").exists();
    if file.before.is_some() || debian {
        let text = format!("{name}\n");
        if file.differs(&text) {
            let lines = file.text().lines().count();
            file.write(task, &text, Some(0o644))?;
            if !systemd {
                messages.push(format!("Added 1 line and deleted {lines} line(s) on {NAME}"));
            }
        }
    }
    Ok(())
}

/// The third line of adjtime; without it the clock keeps UTC.
fn clock_is_local() -> bool {
    std::fs::read_to_string("/etc/adjtime").is_ok_and(|text| text.lines().nth(2) == Some("LOCAL"))
}

fn set_clock(task: &mut Task<'_>, local: bool) -> Result<(), Failure> {
    if task.check {
        return Ok(());
    }
    let argv: &[&str] = match (systemd_runs(), local) {
        (true, true) => &["timedatectl", "set-local-rtc", "yes"],
        (true, false) => &["timedatectl", "set-local-rtc", "no"],
        (false, true) => &["hwclock", "--systohc", "--localtime"],
        (false, false) => &["hwclock", "--systohc", "--utc"],
    };
    let run = children::in_c_locale(task, argv);
    task.recorder.opaque(format!("ran {}", crate::words::join(argv)))?;
    children::expect(children::act_on(task, &[Path::new("/etc/adjtime")], run)?).map(drop)
}
