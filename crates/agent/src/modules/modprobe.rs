//! `modprobe`: modules of the kernel, now and at every start.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::str("name").required(),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("params").default(""),
    Arg::str("persistent").default("disabled").choices(&["disabled", "present", "absent"]),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("modprobe", ARGS).collection("community.general"), run };

const LOAD: &str = "/etc/modules-load.d";
const OPTIONS: &str = "/etc/modprobe.d";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (name, params, state) = (args.string("name"), args.string("params"), args.string("state"));
    let loaded = is_loaded(&name);
    let present = state == "present";
    let mut changed = loaded != present;
    if changed && task.check && present {
        would_load(task, &name, &params)?;
    } else if changed && !task.check {
        load_or_unload(task, &name, &params, present)?;
    }
    changed |= match args.str("persistent") {
        Some("present") => persist(task, &name, &params)?,
        Some("absent") => forget(task, &name)?,
        _ => false,
    };
    Ok(Outcome::changed(changed).with("name", name).with("params", params).with("state", state))
}

/// As the kernel writes names.
fn kernel_name(name: &str) -> String {
    name.replace('-', "_")
}

fn is_loaded(name: &str) -> bool {
    let wanted = kernel_name(name);
    let loaded = std::fs::read_to_string("/proc/modules").unwrap_or_default();
    if loaded.lines().any(|line| line.split(' ').next() == Some(&wanted)) {
        return true;
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let builtin = std::fs::read_to_string(format!("/lib/modules/{release}/modules.builtin"));
    let file = |line: &str| {
        Path::new(line)
            .file_name()
            .map(|f| kernel_name(f.to_string_lossy().split(".ko").next().unwrap_or("")))
    };
    builtin.unwrap_or_default().lines().any(|line| file(line).as_deref() == Some(&wanted))
}

/// A module that does not exist is found out in check mode, too.
fn would_load(task: &Task<'_>, name: &str, params: &str) -> Result<(), Failure> {
    let words = crate::words::split(params)?;
    let mut argv = vec!["modprobe", "-n", "--first-time", name];
    argv.extend(words.iter().map(String::as_str));
    children::expect(children::ask(task, &argv)?).map(drop)
}

fn load_or_unload(task: &mut Task<'_>, name: &str, params: &str, present: bool) -> Result<(), Failure> {
    let words = crate::words::split(params)?;
    let mut argv = if present { vec!["modprobe", name] } else { vec!["modprobe", "-r", name] };
    if present {
        argv.extend(words.iter().map(String::as_str));
    }
    let output = children::act(task, &argv)?;
    if output.ok() {
        return Ok(());
    }
    let said = output.stderr_text();
    Err(children::failed(&output, said)
        .with("name", name)
        .with("state", if present { "present" } else { "absent" }))
}

/// Every file that the system reads for this, in order.
fn parts(dir: &str) -> Result<Vec<TextFile>, Failure> {
    crate::patterns::expand(&format!("{dir}/*.conf")).into_iter().map(TextFile::read).collect()
}

fn is_name(line: &str, name: &str) -> bool {
    kernel_name(line.trim()) == kernel_name(name)
}

/// The parameters of an `options NAME …` line.
fn options_of<'a>(line: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut words = line.split_whitespace();
    (words.next() == Some("options") && words.next().is_some_and(|n| is_name(n, name)))
        .then(|| words.collect())
}

fn persist(task: &mut Task<'_>, name: &str, params: &str) -> Result<bool, Failure> {
    let mut changed = false;
    let listed = parts(LOAD)?.iter().any(|file| file.text().lines().any(|line| is_name(line, name)));
    if !listed {
        changed = true;
        write(task, &format!("{LOAD}/{name}.conf"), &format!("{name}\n"))?;
    }
    let mut wanted: Vec<&str> = params.split_whitespace().collect();
    wanted.sort_unstable();
    let options = parts(OPTIONS)?;
    let mut there: Vec<&str> =
        options.iter().flat_map(|f| f.text().lines()).filter_map(|l| options_of(l, name)).flatten().collect();
    there.sort_unstable();
    if !wanted.is_empty() && there != wanted {
        changed = true;
        put_to_sleep(task, &options, |line| options_of(line, name).is_some())?;
        let lines: String = params.split_whitespace().map(|p| format!("options {name} {p}\n")).collect();
        write(task, &format!("{OPTIONS}/{name}.conf"), &lines)?;
    }
    Ok(changed)
}

fn forget(task: &mut Task<'_>, name: &str) -> Result<bool, Failure> {
    let loads = put_to_sleep(task, &parts(LOAD)?, |line| is_name(line, name))?;
    let options = put_to_sleep(task, &parts(OPTIONS)?, |line| options_of(line, name).is_some())?;
    Ok(loads || options)
}

/// Turns lines into comments.
fn put_to_sleep(
    task: &mut Task<'_>,
    files: &[TextFile],
    which: impl Fn(&str) -> bool,
) -> Result<bool, Failure> {
    let mut changed = false;
    for file in files {
        let asleep = |line: &str| if which(line) { format!("#{line}") } else { line.to_owned() };
        let after: String = file.text().split_inclusive('\n').map(asleep).collect();
        if file.differs(&after) {
            changed = true;
            if !task.check {
                file.write(task, &after, None)?;
            }
        }
    }
    Ok(changed)
}

fn write(task: &mut Task<'_>, path: &str, text: &str) -> Result<(), Failure> {
    if task.check {
        return Ok(());
    }
    let path = PathBuf::from(path);
    if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
        crate::files::make_dirs(task, dir, &crate::fileargs::FileArgs::default())?;
    }
    TextFile::read(path)?.write(task, text, Some(0o644))
}
