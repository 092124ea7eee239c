//! Services of hosts without systemd: scripts in /etc/init.d, OpenRC.

use std::path::{Path, PathBuf};

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Outcome, Task};

/// What a service should be.
pub struct Wish {
    pub name: String,
    pub state: Option<String>,
    pub enabled: Option<bool>,
    pub sleep: Option<u64>,
    /// Part of a command line that gives the running service away.
    pub pattern: Option<String>,
    pub runlevel: String,
    pub arguments: String,
}

pub fn apply(task: &mut Task<'_>, wish: &Wish) -> Result<Outcome, Failure> {
    let known = script(&wish.name).exists() || find_program("rc-service").is_some();
    if !known {
        return Err(Failure::new(format!("Could not find the requested service {}: host", wish.name)));
    }
    let mut outcome = Outcome::default().with("name", wish.name.as_str());
    if let Some(enabled) = wish.enabled {
        outcome.set("enabled", enabled);
        outcome.changed |= enable(task, wish, enabled)?;
    }
    if let Some(state) = &wish.state {
        outcome.changed |= set_state(task, wish, state)?;
        outcome.set("state", if state == "stopped" { "stopped" } else { "started" });
    }
    Ok(outcome)
}

fn script(name: &str) -> PathBuf {
    Path::new("/etc/init.d").join(name)
}

/// The program and first words that control a service.
fn control(wish: &Wish, verb: &str) -> Vec<String> {
    let path = |program: &str| find_program(program).map(|p| p.to_string_lossy().into_owned());
    let mut words = match (path("rc-service"), path("service")) {
        (Some(program), _) | (None, Some(program)) => vec![program, wish.name.clone()],
        _ => vec![script(&wish.name).to_string_lossy().into_owned()],
    };
    words.push(verb.to_owned());
    words.extend(wish.arguments.split_whitespace().map(str::to_owned));
    words
}

fn running(task: &Task<'_>, wish: &Wish) -> Result<Option<bool>, Failure> {
    if let Some(pattern) = &wish.pattern {
        let output = children::ask(task, &["ps", "auxww"])?;
        return Ok(Some(output.stdout_text().lines().any(|line| line.contains(pattern.as_str()))));
    }
    let words = control(wish, "status");
    let output = children::ask(task, &words.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(read_status(&output, &wish.name))
}

/// The standard's exit codes first, then the usual words.
fn read_status(output: &Output, name: &str) -> Option<bool> {
    let text = output.stdout_text().to_lowercase().replace(&name.to_lowercase(), "");
    match output.rc {
        0 if text.contains("not running") || text.contains("stopped") => Some(false),
        0 => Some(true),
        1..=3 | 69 => Some(false),
        4 if text.contains("run") && !text.contains("not") => Some(true),
        _ if text.contains("start") && !text.contains("not") => Some(true),
        _ if text.contains("stop") || text.contains("not running") => Some(false),
        _ => None,
    }
}

fn set_state(task: &mut Task<'_>, wish: &Wish, state: &str) -> Result<bool, Failure> {
    if super::are_at_rest() {
        return Ok(false);
    }
    let runs = running(task, wish)?;
    let verbs: &[&str] = match (state, runs) {
        ("started", Some(true)) | ("stopped", Some(false)) => return Ok(false),
        ("started", _) | ("reloaded", Some(false)) => &["start"],
        ("stopped", _) => &["stop"],
        ("reloaded", _) => &["reload"],
        (_, Some(true)) | (_, None) if wish.sleep.is_none() => &["restart"],
        (_, Some(false)) => &["start"],
        _ => &["stop", "start"],
    };
    if task.check {
        return Ok(true);
    }
    for (index, verb) in verbs.iter().enumerate() {
        if index > 0 {
            std::thread::sleep(std::time::Duration::from_secs(wish.sleep.unwrap_or(1)));
        }
        let words = control(wish, verb);
        let run = children::in_c_locale(task, &words.iter().map(String::as_str).collect::<Vec<_>>());
        // What it starts lives on.
        let output = children::order(task, run)?;
        if !output.ok() {
            let words = if output.stderr_text().trim().is_empty() {
                output.stdout_text()
            } else {
                output.stderr_text()
            };
            return Err(children::failed(
                &output,
                format!("Unable to {verb} service {}: {}", wish.name, words.trim()),
            ));
        }
    }
    Ok(true)
}

/// Whether a start link is in the directories of the usual run levels.
pub fn starts_at_boot(name: &str) -> bool {
    !crate::patterns::expand(&format!("/etc/rc[2345S].d/S[0-9][0-9]{name}")).is_empty()
}

fn enable(task: &mut Task<'_>, wish: &Wish, enabled: bool) -> Result<bool, Failure> {
    let name = wish.name.as_str();
    if find_program("rc-update").is_some() {
        let listed = children::ask(task, &["rc-update", "show", &wish.runlevel])?;
        let is = listed.stdout_text().lines().any(|l| l.split('|').next().is_some_and(|n| n.trim() == name));
        let verb = if enabled { "add" } else { "delete" };
        return change(task, is, enabled, &["rc-update", verb, name, &wish.runlevel]);
    }
    let is = starts_at_boot(name);
    if find_program("update-rc.d").is_some() {
        let links = !crate::patterns::expand(&format!("/etc/rc[0-6S].d/[SK][0-9][0-9]{name}")).is_empty();
        let verb = match (enabled, links) {
            (true, false) => "defaults",
            (true, true) => "enable",
            (false, _) => "disable",
        };
        return change(task, is, enabled, &["update-rc.d", name, verb]);
    }
    if find_program("chkconfig").is_some() {
        let verb = if enabled { "on" } else { "off" };
        return change(task, is, enabled, &["chkconfig", name, verb]);
    }
    Err(Failure::new("nothing on this host can enable services (update-rc.d, chkconfig, rc-update)"))
}

fn change(task: &mut Task<'_>, is: bool, wanted: bool, words: &[&str]) -> Result<bool, Failure> {
    if is == wanted {
        return Ok(false);
    }
    if !task.check {
        children::expect(children::act(task, words)?)?;
    }
    Ok(true)
}
