//! Units of systemd: one question, then only what has to change.

use catalog::{Json, Map};

use super::bus::{self, States};
use crate::children;
use crate::command::Output;
use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Outcome, Task};

/// What a unit should be.
#[derive(Default)]
pub struct Wish {
    pub unit: Option<String>,
    /// `started`, `stopped`, `restarted`, `reloaded`.
    pub state: Option<String>,
    pub enabled: Option<bool>,
    pub masked: Option<bool>,
    pub daemon_reload: bool,
    pub daemon_reexec: bool,
    /// `system`, `user`, `global`.
    pub scope: String,
    pub no_block: bool,
    pub force: bool,
}

impl Wish {
    fn words(&self) -> Vec<&str> {
        let mut words = vec!["systemctl"];
        words.extend(match self.scope.as_str() {
            "user" => Some("--user"),
            "global" => Some("--global"),
            _ => None,
        });
        if self.no_block {
            words.push("--no-block");
        }
        if self.force {
            words.push("--force");
        }
        words
    }

    fn run<'a>(&self, task: &Task<'a>, more: &[&str]) -> crate::command::Run<'a> {
        let mut words = self.words();
        words.extend(more);
        let run = children::in_c_locale(task, &words);
        // A user's manager is found by this variable, which a session without login does not have.
        if self.scope == "user" && task.variable("XDG_RUNTIME_DIR").is_none() {
            return run.env("XDG_RUNTIME_DIR", format!("/run/user/{}", rustix::process::geteuid().as_raw()));
        }
        run
    }

    fn ask(&self, task: &Task<'_>, more: &[&str]) -> Result<Output, Failure> {
        Ok(self.run(task, more).output()?)
    }

    fn act(&self, task: &mut Task<'_>, more: &[&str]) -> Result<Output, Failure> {
        let run = self.run(task, more);
        // Which units run is noted before and after the run, and what systemd writes for it as well.
        if self.scope == "system" && crate::host::services::are_noted() {
            task.recorder.acts_on_services()?;
            return Ok(run.output()?);
        }
        children::order(task, run)
    }
}

/// What systemd says of a unit.
struct Unit {
    name: String,
    status: Map,
    there: bool,
    /// Only a script in /etc/init.d.
    script: bool,
}

impl Unit {
    fn property(&self, key: &str) -> &str {
        self.status.get(key).and_then(Json::as_str).unwrap_or_default()
    }
    fn runs(&self) -> bool {
        matches!(self.property("ActiveState"), "active" | "activating")
    }
    fn failure(&self, message: String) -> Failure {
        Failure::new(message).with("status", Json::Object(self.status.clone()))
    }
}

/// Makes the unit as wished.
pub fn apply(task: &mut Task<'_>, wish: &Wish) -> Result<Outcome, Failure> {
    for (wanted, verb) in [(wish.daemon_reexec, "daemon-reexec"), (wish.daemon_reload, "daemon-reload")] {
        if wanted && !task.check {
            let output = wish.act(task, &[verb])?;
            if !output.ok() {
                let message = format!("failure {} during {verb}: {}", output.rc, output.stderr_text());
                return Err(Failure::new(message));
            }
        }
    }
    let mut outcome = Outcome::default().with("name", wish.unit.clone());
    let Some(name) = &wish.unit else {
        return Ok(outcome.with("status", Json::Object(Map::new())));
    };
    if task.brief
        && wish.scope == "system"
        && !super::are_at_rest()
        && let Some(states) = bus::ask(name).filter(|states| is_as_wished(wish, states))
    {
        return Ok(unchanged(outcome, wish, &states));
    }
    let unit = look(task, wish, name)?;
    outcome.set("status", Json::Object(unit.status.clone()));
    if let Some(masked) = wish.masked {
        outcome.changed |= mask(task, wish, &unit, masked)?;
    }
    if let Some(enabled) = wish.enabled {
        outcome.set("enabled", enabled);
        outcome.changed |= enable(task, wish, &unit, enabled)?;
    }
    if let Some(state) = &wish.state {
        outcome.set("state", if state == "stopped" { "stopped" } else { "started" });
        outcome.changed |= set_state(task, wish, &unit, state)?;
    }
    Ok(outcome)
}

/// Whether nothing is to be done, as far as the states alone can tell.
fn is_as_wished(wish: &Wish, states: &States) -> bool {
    let there = matches!(states.load.as_str(), "loaded" | "masked");
    let masked = wish.masked.is_none_or(|masked| masked == (states.load == "masked"));
    let enabled = match (wish.enabled, states.file.as_str()) {
        (None, _) => true,
        (Some(enabled), "enabled" | "enabled-runtime" | "static" | "transient") => enabled,
        (Some(enabled), "disabled" | "masked") => !enabled,
        _ => false,
    };
    let state = matches!(
        (wish.state.as_deref(), states.active.as_str()),
        (None, _) | (Some("started"), "active" | "activating") | (Some("stopped"), "inactive" | "failed")
    );
    there && masked && enabled && state
}

fn unchanged(mut outcome: Outcome, wish: &Wish, states: &States) -> Outcome {
    let status =
        [("LoadState", &states.load), ("ActiveState", &states.active), ("UnitFileState", &states.file)];
    let status: Map =
        status.into_iter().map(|(key, value)| (key.to_owned(), value.as_str().into())).collect();
    outcome.set("status", Json::Object(status));
    if let Some(enabled) = wish.enabled {
        outcome.set("enabled", enabled);
    }
    if let Some(state) = &wish.state {
        outcome.set("state", state.as_str());
    }
    outcome
}

fn look(task: &mut Task<'_>, wish: &Wish, name: &str) -> Result<Unit, Failure> {
    let script = wish.scope == "system" && std::path::Path::new("/etc/init.d").join(name).exists();
    let output = wish.ask(task, &["show", name])?;
    if output.ok() && !was_ignored(&output) {
        let status = properties(&output.stdout_text());
        let mut unit = Unit { name: name.to_owned(), status, there: false, script };
        unit.there = !matches!(unit.property("LoadState"), "not-found" | "");
        let problem = unit.property("LoadError");
        if !problem.is_empty() && !unit.there && unit.property("LoadState") == "error" {
            return Err(unit.failure(format!("Error loading unit file '{name}': {problem}")));
        }
        return require(wish, unit);
    }
    // Nobody to ask (a chroot, a container): the unit files tell.
    let file = wish.ask(task, &["is-enabled", name])?;
    let there = file.ok() || matches!(file.stdout_text().trim(), "disabled" | "masked" | "linked" | "static");
    if !there && !script {
        return Err(children::expect(output).err().unwrap_or_else(|| missing(name)).with("cmd", "systemctl"));
    }
    Ok(Unit { name: name.to_owned(), status: Map::new(), there, script })
}

fn require(wish: &Wish, unit: Unit) -> Result<Unit, Failure> {
    let asked = wish.state.is_some() || wish.enabled.is_some();
    if asked && !unit.there && !unit.script {
        return Err(missing(&unit.name).with("name", unit.name.clone()));
    }
    Ok(unit)
}

fn missing(name: &str) -> Failure {
    Failure::new(format!("Could not find the requested service {name}: host"))
}

fn was_ignored(output: &Output) -> bool {
    [output.stdout_text(), output.stderr_text()]
        .iter()
        .any(|text| text.contains("ignoring request") || text.contains("ignoring command"))
}

/// `Key=value` lines; a value in braces may go over several lines.
pub fn properties(text: &str) -> Map {
    let mut found = Map::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        if let Some((key, mut value)) = open.take() {
            value.push('\n');
            value.push_str(line);
            if line.trim_end().ends_with('}') {
                found.insert(key, value.trim().into());
            } else {
                open = Some((key, value));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if key.starts_with("Exec") && value.trim_start().starts_with('{') && !value.trim_end().ends_with('}')
        {
            open = Some((key.to_owned(), value.to_owned()));
        } else {
            found.insert(key.to_owned(), value.trim().into());
        }
    }
    found
}

/// Runs a change unless only asked; says what went wrong.
fn change(task: &mut Task<'_>, wish: &Wish, unit: &Unit, verb: &str) -> Result<(), Failure> {
    if task.check {
        return Ok(());
    }
    let output = wish.act(task, &[verb, &unit.name])?;
    if output.ok() {
        return Ok(());
    }
    Err(unit.failure(format!("Unable to {verb} service {}: {}", unit.name, output.stderr_text())))
}

fn mask(task: &mut Task<'_>, wish: &Wish, unit: &Unit, masked: bool) -> Result<bool, Failure> {
    let is = match unit.property("LoadState") {
        "" => wish.ask(task, &["is-enabled", &unit.name])?.stdout_text().trim() == "masked",
        state => state == "masked",
    };
    if is == masked {
        return Ok(false);
    }
    change(task, wish, unit, if masked { "mask" } else { "unmask" })?;
    Ok(true)
}

fn enable(task: &mut Task<'_>, wish: &Wish, unit: &Unit, wanted: bool) -> Result<bool, Failure> {
    let is = match unit.property("UnitFileState") {
        "enabled" | "static" | "transient" => true,
        // Until the next boot is not what was asked for.
        "enabled-runtime" | "disabled" | "linked" | "linked-runtime" | "masked" | "masked-runtime" => false,
        _ => {
            // One that others bring in is enabled where a link to it is listed, too.
            let output = wish.ask(task, &["is-enabled", "--full", &unit.name])?;
            let said = output.stdout_text();
            match said.trim() {
                "indirect" | "alias" => false,
                _ if output.ok() => true,
                "disabled" => false,
                _ => unit.script && super::sysv::starts_at_boot(&unit.name),
            }
        }
    };
    if is == wanted {
        return Ok(false);
    }
    change(task, wish, unit, if wanted { "enable" } else { "disable" })?;
    Ok(true)
}

fn set_state(task: &mut Task<'_>, wish: &Wish, unit: &Unit, state: &str) -> Result<bool, Failure> {
    if super::are_at_rest() {
        return Ok(false);
    }
    if unit.property("ActiveState").is_empty() {
        let chroot = settings::chroot(&Source::new("/".as_ref())).values().any(|v| v == &Json::Bool(true));
        if chroot || task.variable("SYSTEMD_OFFLINE").as_deref() == Some("1") {
            task.warn(
                "Target is a chroot or systemd is offline. This can lead to false positives or prevent the init system tools from working.",
            );
            return Ok(false);
        }
        return Err(unit.failure("Service is in unknown state".to_owned()));
    }
    let verb = match (state, unit.runs()) {
        ("started", true) => return Ok(false),
        ("stopped", false) if unit.property("ActiveState") != "deactivating" => return Ok(false),
        ("started", false) | ("reloaded", false) => "start",
        ("stopped", _) => "stop",
        ("reloaded", true) => "reload",
        _ => "restart",
    };
    change(task, wish, unit, verb)?;
    Ok(true)
}
