//! `selinux`: whether the policy is enforced, now and (in its configuration file) after the next start.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::str("policy"),
    Arg::str("state").required().choices(&["enforcing", "permissive", "disabled"]),
    Arg::path("configfile").default("/etc/selinux/config").aliases(&["conf", "file"]),
    Arg::bool("update_kernel_param").default("false"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("selinux", ARGS)
        .collection("ansible.posix")
        .required_if(&[("state", "enforcing", &["policy"], false), ("state", "permissive", &["policy"], false)]),
    run,
};

const KERNEL: &str = "/sys/fs/selinux/enforce";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if args.bool("update_kernel_param") {
        return Err("update_kernel_param is not supported: set the kernel's argument with `grubby` in a task".into());
    }
    let (path, state) = (args.string("configfile"), args.string("state"));
    if !Path::new(&path).is_file() {
        return Err(Failure::new(format!("Unable to find file {path}")));
    }
    let file = TextFile::read(&path)?;
    let (config_state, config_policy) = (value(file.text(), "SELINUX"), value(file.text(), "SELINUXTYPE"));
    let policy = args.str("policy").map_or_else(|| config_policy.clone(), str::to_owned);
    let running = running();
    let mut messages = Vec::new();
    let mut after = file.text().to_owned();
    let (mut changed, mut reboot) = (false, false);
    if policy != config_policy {
        messages.push(format!("SELinux policy configuration in '{path}' changed from '{config_policy}' to '{policy}'"));
        after = set(&after, "SELINUXTYPE", &policy);
        changed = true;
    }
    match (running, state.as_str()) {
        (Some(now), "disabled") => {
            if now == "enforcing" {
                messages.push(format!(
                    "SELinux state temporarily changed from '{now}' to 'permissive'. State change will take effect next reboot."
                ));
                enforce(task, false)?;
                changed = true;
            } else {
                messages.push("SELinux state change will take effect next reboot".to_owned());
            }
            reboot = true;
        }
        (Some(now), wanted) if now != wanted => {
            enforce(task, wanted == "enforcing")?;
            messages.push(format!("SELinux state changed from '{now}' to '{wanted}'"));
            changed = true;
        }
        // Nothing runs that could enforce it.
        (None, wanted) if wanted != "disabled" => reboot = true,
        _ => {}
    }
    if state != config_state {
        messages.push(format!("Config SELinux state changed from '{config_state}' to '{state}'"));
        after = set(&after, "SELINUX", &state);
        changed = true;
    }
    if file.differs(&after) && !task.check {
        file.write(task, &after, None)?;
    }
    let outcome = Outcome::changed(changed).with("msg", messages.join(", ")).with("configfile", path);
    Ok(outcome.with("policy", policy).with("state", state).with("reboot_required", reboot).diff(file.diff(&after)))
}

/// `None`: the kernel has no policy loaded.
fn running() -> Option<&'static str> {
    let text = std::fs::read_to_string(KERNEL).ok()?;
    Some(if text.trim() == "1" { "enforcing" } else { "permissive" })
}

fn enforce(task: &mut Task<'_>, on: bool) -> Result<(), Failure> {
    if task.check {
        return Ok(());
    }
    task.recorder.opaque(format!("set SELinux to {}", if on { "enforcing" } else { "permissive" }))?;
    children::expect(children::ask(task, &["setenforce", if on { "1" } else { "0" }])?).map(drop)
}

fn value(text: &str, key: &str) -> String {
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
    lines.next_back().map(|value| value.trim().to_owned()).unwrap_or_default()
}

/// The line of this key with another value; a new one at the end if there is none.
fn set(text: &str, key: &str, value: &str) -> String {
    let is = |line: &str| line.trim().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    let new = format!("{key}={value}");
    let mut lines: Vec<&str> = text.lines().map(|line| if is(line) { new.as_str() } else { line }).collect();
    if !text.lines().any(is) {
        lines.push(&new);
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_line_changes() {
        let text = "# SELINUX= one of\nSELINUX=enforcing\nSELINUXTYPE=targeted\n";
        assert_eq!(value(text, "SELINUX"), "enforcing");
        assert_eq!(set(text, "SELINUX", "permissive"), text.replace("=enforcing", "=permissive"));
        assert_eq!(set("", "SELINUX", "disabled"), "SELINUX=disabled\n");
    }
}
