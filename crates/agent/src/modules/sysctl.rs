//! `sysctl`: settings of the kernel, in a file for the next start and in force now.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use layer::Attributes;
use serde_json::json;

use crate::children;
use crate::module::{At, Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "sysctl",
        &[
            Arg::str("name").required().aliases(&["key"]),
            Arg::str("value").aliases(&["val"]),
            Arg::str("state").default("present").choices(&["present", "absent"]),
            Arg::bool("reload").default("true"),
            Arg::bool("sysctl_set").default("false"),
            Arg::bool("ignoreerrors").default("false"),
            Arg::path("sysctl_file").default("/etc/sysctl.conf"),
        ],
    )
    .collection("ansible.posix")
    .required_if(&[("state", "present", &["value"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name").trim().to_owned();
    let absent = args.string("state") == "absent";
    let value = match args.string("value").trim() {
        "True" | "yes" | "true" => "1".to_owned(),
        "False" | "no" | "false" => "0".to_owned(),
        other => other.to_owned(),
    };
    if name.is_empty() || (value.is_empty() && !absent) {
        return Err("value and name must not be empty".into());
    }
    let file = PathBuf::from(args.string("sysctl_file"));
    let before = match std::fs::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).at("read", &file),
    };
    let after = edited(&before, &name, (!absent).then_some(value.as_str()));
    let write = after != before;
    let stale = !absent && in_force(&name).is_none_or(|now| words(&now) != words(&value));
    let set = args.bool("sysctl_set") && stale;
    let reloaded = args.bool("reload") && (write || stale);
    if !task.check {
        if set {
            put_in_force(args, task, &name, &value)?;
        }
        if write {
            let mode = (!file.exists()).then_some(0o644);
            task.recorder.write(&file, after.as_bytes(), &Attributes { mode, ..Attributes::default() })?;
        }
        if reloaded {
            reload(args, task, &file)?;
        }
    }
    let mut outcome = Outcome::changed(write || set || reloaded);
    if task.diff && write {
        let path = file.display().to_string();
        outcome
            .diff
            .push(json!({"before": before, "after": after, "before_header": path, "after_header": path}));
    }
    Ok(outcome)
}

/// The file with the setting once, where it was last; or without it.
fn edited(text: &str, name: &str, value: Option<&str>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let ours = |line: &str| {
        let line = line.trim().trim_start_matches('-');
        !line.starts_with(['#', ';'])
            && line.split_once('=').is_some_and(|(key, _)| same_key(key.trim(), name))
    };
    let places: Vec<usize> = (0..lines.len()).filter(|i| ours(&lines[*i])).collect();
    let same = |line: &str| line.split_once('=').map(|(_, v)| words(v)) == value.map(words);
    if let ([only], Some(_)) = (places.as_slice(), value)
        && same(&lines[*only])
    {
        return text.to_owned();
    }
    match (places.last(), value) {
        (None, None) => return text.to_owned(),
        (Some(last), Some(value)) => lines[*last] = format!("{name}={value}"),
        (None, Some(value)) => lines.push(format!("{name}={value}")),
        (Some(_), None) => {}
    }
    let keep = places.last().copied().filter(|_| value.is_some());
    let kept = lines.iter().enumerate().filter(|(i, _)| !places.contains(i) || Some(*i) == keep);
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// `net/ipv4/ip_forward` and `net.ipv4.ip_forward` are one.
fn same_key(a: &str, b: &str) -> bool {
    a == b || path_of(a) == path_of(b)
}

/// The separator that comes first decides: after `/`, dots are part of names (`net/ipv4/conf/eth0.1/…`).
fn path_of(name: &str) -> PathBuf {
    let slashes = name.find('/').unwrap_or(usize::MAX) < name.find('.').unwrap_or(usize::MAX);
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let relative: String = if slashes { name.to_owned() } else { name.chars().map(swap).collect() };
    Path::new("/proc/sys").join(relative.trim_start_matches('/'))
}

fn in_force(name: &str) -> Option<String> {
    std::fs::read_to_string(path_of(name)).ok()
}

fn words(value: &str) -> Vec<&str> {
    value.split_whitespace().collect()
}

fn put_in_force(args: &Args, task: &mut Task<'_>, name: &str, value: &str) -> Result<(), Failure> {
    let path = path_of(name);
    if !path.starts_with("/proc/sys") || path.components().any(|c| c.as_os_str() == "..") {
        return Err(Failure::new(format!("`{name}` is no name of a setting")));
    }
    match task.recorder.set_in_kernel(&path, value, &format!("set {name}={value} in the running kernel"))? {
        Err(e) if !args.bool("ignoreerrors") => {
            Err(Failure::new(format!("setting {name} failed: {}", crate::module::plain(&e))))
        }
        _ => Ok(()),
    }
}

fn reload(args: &Args, task: &mut Task<'_>, file: &Path) -> Result<(), Failure> {
    let shown = file.to_string_lossy();
    let mut argv = vec!["sysctl"];
    if args.bool("ignoreerrors") {
        argv.push("-e");
    }
    argv.extend(["-p", &shown]);
    let output = children::act(task, &argv)?;
    // Some versions complain about unknown keys and end with 0 all the same.
    if output.ok() || args.bool("ignoreerrors") {
        return Ok(());
    }
    let message = format!("Failed to reload sysctl: {}{}", output.stdout_text(), output.stderr_text());
    Err(children::failed(&output, message).after_change(true))
}
