//! `seboolean`: switches of the SELinux policy, of the running system and (`persistent`) of the next ones.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{At, Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::bool("ignore_selinux_state").default("false"),
    Arg::str("name").required(),
    Arg::bool("persistent").default("false"),
    Arg::bool("state").required(),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("seboolean", ARGS).collection("ansible.posix"), run };

/// Where the kernel shows its policy.
const KERNEL: &str = "/sys/fs/selinux";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (name, state, persistent) = (args.string("name"), args.bool("state"), args.bool("persistent"));
    let running = Path::new(KERNEL).join("booleans").is_dir();
    if !running && !args.bool("ignore_selinux_state") {
        return Err("SELinux is disabled on this host.".into());
    }
    if name.contains('/') || name.is_empty() {
        return Err(Failure::new(format!("`{name}` cannot be the name of an SELinux boolean")));
    }
    let now = if running { Some(active(&name)?) } else { None };
    let stored = if persistent { stored(task, &name)? } else { None };
    if persistent && !running && stored.is_none() {
        return Err(Failure::new(format!("SELinux boolean {name} does not exist.")));
    }
    let changed = now.is_some_and(|now| now != state) || (persistent && stored != Some(state));
    let outcome = Outcome::changed(changed).with("name", name.as_str()).with("persistent", persistent);
    let outcome = outcome.with("state", state);
    if !changed || task.check {
        return Ok(outcome);
    }
    let word = if state { "on" } else { "off" };
    let argv: Vec<&str> = match (persistent, running) {
        (true, false) => vec!["setsebool", "-P", "-N", &name, word],
        (true, true) => vec!["setsebool", "-P", &name, word],
        (false, _) => vec!["setsebool", &name, word],
    };
    let output = children::act(task, &argv)?;
    if !persistent {
        task.recorder.opaque(format!("set the SELinux boolean {name} of the running kernel to {word}"))?;
    }
    children::expect(output)?;
    Ok(outcome)
}

/// `1 1`: what holds, and what was set and waits to be committed.
fn active(name: &str) -> Result<bool, Failure> {
    let path = Path::new(KERNEL).join("booleans").join(name);
    if !path.exists() {
        return Err(Failure::new(format!("SELinux boolean {name} does not exist.")));
    }
    let text = std::fs::read_to_string(&path).at("read", &path)?;
    Ok(text.starts_with('1'))
}

/// What the next start brings: `NAME  (on   ,   off)  words`, where the second is what is stored.
fn stored(task: &Task<'_>, name: &str) -> Result<Option<bool>, Failure> {
    let argv = ["semanage", "boolean", "-l", "-n"];
    let Some(output) = children::ask_if_there(task, &argv)? else {
        return Err(Failure::new(
            "`semanage` is needed to tell what is stored: install policycoreutils-python-utils on this host",
        ));
    };
    Ok(stored_in(&children::expect(output)?.stdout_text(), name))
}

fn stored_in(text: &str, name: &str) -> Option<bool> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    let (_, pair) = line.split_once('(')?;
    let (_, second) = pair.split_once(')')?.0.split_once(',')?;
    Some(second.trim() == "on")
}

#[cfg(test)]
mod tests {
    use super::stored_in;

    #[test]
    fn what_semanage_says_is_understood() {
        let text = "httpd_can_network_connect      (on   ,  off)  Allow httpd to can network connect\n\
                    httpd_can_network_connect_db   (off  ,   on)  Allow httpd to\n";
        assert_eq!(stored_in(text, "httpd_can_network_connect"), Some(false));
        assert_eq!(stored_in(text, "httpd_can_network_connect_db"), Some(true));
        assert_eq!(stored_in(text, "httpd"), None);
    }
}
