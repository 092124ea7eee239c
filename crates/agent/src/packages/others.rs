//! Package managers other than apt, dnf and zypper: present, absent, latest by their own commands.

use crate::children;
use crate::module::{Failure, Outcome, Task};

/// How one manager is asked and told. `{}` in no word: names are appended.
struct Manager {
    name: &'static str,
    /// Ends with 0 when the package is installed.
    installed: &'static [&'static str],
    /// Says something (or ends with this code) when there is a newer one.
    outdated: (&'static [&'static str], Newer),
    install: &'static [&'static str],
    upgrade: &'static [&'static str],
    remove: &'static [&'static str],
    refresh: &'static [&'static str],
}

enum Newer {
    Code(i32),
    Output,
}

const MANAGERS: &[Manager] = &[
    Manager {
        name: "apk",
        installed: &["apk", "info", "-e"],
        outdated: (&["apk", "version", "-q", "-l", "<"], Newer::Output),
        install: &["apk", "add"],
        upgrade: &["apk", "add", "-u"],
        remove: &["apk", "del"],
        refresh: &["apk", "update"],
    },
    Manager {
        name: "pacman",
        installed: &["pacman", "-Q"],
        outdated: (&["pacman", "-Qu"], Newer::Code(0)),
        install: &["pacman", "-S", "--noconfirm", "--needed"],
        upgrade: &["pacman", "-S", "--noconfirm", "--needed"],
        remove: &["pacman", "-R", "--noconfirm"],
        refresh: &["pacman", "-Sy"],
    },
];

/// Makes packages present, absent or the newest.
pub fn apply(
    task: &mut Task<'_>,
    manager: &str,
    names: &[String],
    state: &str,
    refresh: bool,
) -> Result<Outcome, Failure> {
    let manager = MANAGERS.iter().find(|m| m.name == manager).ok_or_else(|| {
        Failure::new(format!("Could not find a matching action for the \"{manager}\" package manager."))
    })?;
    if refresh && !task.check {
        children::expect(children::act(task, manager.refresh)?)?;
    }
    let absent = matches!(state, "absent" | "removed");
    let latest = state == "latest";
    let (mut install, mut upgrade, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let there = ask(task, manager.installed, name)?.ok();
        match (there, absent) {
            (true, true) => remove.push(name.as_str()),
            (false, false) => install.push(name.as_str()),
            (true, false) if latest && outdated(task, manager, name)? => upgrade.push(name.as_str()),
            _ => {}
        }
    }
    let mut outcome = Outcome::default().with("rc", 0).with("results", Vec::<String>::new());
    for (words, names) in [(manager.install, install), (manager.upgrade, upgrade), (manager.remove, remove)] {
        if names.is_empty() {
            continue;
        }
        outcome.changed = true;
        if task.check {
            continue;
        }
        let argv: Vec<&str> = words.iter().copied().chain(names).collect();
        let output = children::act(task, &argv)?;
        if !output.ok() {
            let message = format!("{} failed: {}", crate::words::join(&argv), output.stderr_text().trim());
            return Err(children::failed(&output, message));
        }
        outcome.set("stdout", output.stdout_text());
        outcome.set("stderr", output.stderr_text());
    }
    Ok(outcome)
}

fn ask(task: &Task<'_>, words: &[&str], name: &str) -> Result<crate::command::Output, Failure> {
    let argv: Vec<&str> = words.iter().copied().chain([name]).collect();
    children::ask(task, &argv)
}

fn outdated(task: &Task<'_>, manager: &Manager, name: &str) -> Result<bool, Failure> {
    let output = ask(task, manager.outdated.0, name)?;
    Ok(match manager.outdated.1 {
        Newer::Code(code) => output.rc == code,
        Newer::Output => output.ok() && output.stdout_text().contains(name),
    })
}
