//! Which services run: noted before a run's first change and after its last, so that an undo can put that back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use layer::ServiceChange;

use crate::command::Run;

/// Units that never belong to a change of ours: sessions, scopes, and what timers start now and then.
const PASSING: &[&str] =
    &["session-", "user@", "user-runtime-dir@", "run-", "apt-daily", "man-db", "systemd-tmpfiles"];
/// Stopping one of these would stop the host, the way into it, or us.
const SPARED: &[&str] =
    &["dbus.service", "systemd-logind.service", "systemd-journald.service", "systemd-udevd.service"];

/// How long systemd may take for one of our wishes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whether this run notes which services run: root's do, where systemd is.
pub(crate) fn are_noted() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/run/systemd/system").is_dir()
}

/// Every active unit with the number of its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Running(BTreeMap<String, String>);

impl Running {
    /// From systemd's own links: no process is started, no question asked. Without systemd: nothing.
    pub(crate) fn look() -> Self {
        if !are_noted() {
            return Self::default();
        }
        let Ok(entries) = std::fs::read_dir("/run/systemd/units") else { return Self::default() };
        let found = entries.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let unit = name.to_str()?.strip_prefix("invocation:")?.to_owned();
            let kept = unit.ends_with(".service") || unit.ends_with(".socket") || unit.ends_with(".timer");
            if !kept || PASSING.iter().any(|start| unit.starts_with(start)) {
                return None;
            }
            let number = std::fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            Some((unit, number))
        });
        Self(found.collect())
    }

    /// What was started, stopped and started anew between two looks.
    pub(crate) fn changes(&self, later: &Self) -> Vec<ServiceChange> {
        let mut all: Vec<ServiceChange> = Vec::new();
        for (unit, number) in &self.0 {
            let now = later.0.get(unit);
            if now != Some(number) {
                all.push(ServiceChange { unit: unit.clone(), before: true, after: now.is_some() });
            }
        }
        let new = later.0.keys().filter(|unit| !self.0.contains_key(*unit));
        all.extend(new.map(|unit| ServiceChange { unit: unit.clone(), before: false, after: true }));
        all
    }
}

/// Makes services run as they did before the undone layers, and lets those start anew whose files were put back.
/// Returns what was done, and what could not be.
pub(crate) fn put_back(changes: &[ServiceChange], paths: &[PathBuf]) -> (Vec<String>, Vec<String>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    if !Path::new("/run/systemd/system").is_dir() {
        return (done, failed);
    }
    let now = Running::look();
    if paths.iter().any(|path| is_unit_file(path)) {
        systemctl("daemon-reload", None, "told systemd of changed units", &mut done, &mut failed);
    }
    // The oldest change of a unit says how it was.
    let mut wanted: BTreeMap<&str, bool> = BTreeMap::new();
    for change in changes {
        wanted.insert(&change.unit, change.before);
    }
    for (unit, ran) in &wanted {
        if SPARED.contains(unit) {
            continue;
        }
        match (ran, now.0.contains_key(*unit)) {
            (true, true) => systemctl("restart", Some(unit), "restarted", &mut done, &mut failed),
            (true, false) => systemctl("start", Some(unit), "started", &mut done, &mut failed),
            (false, true) => systemctl("stop", Some(unit), "stopped", &mut done, &mut failed),
            (false, false) => {}
        }
    }
    for unit in users_of(paths, &now) {
        if !wanted.contains_key(unit.as_str()) && !SPARED.contains(&unit.as_str()) {
            systemctl("reload-or-restart", Some(&unit), "reloaded", &mut done, &mut failed);
        }
    }
    (done, failed)
}

fn is_unit_file(path: &Path) -> bool {
    ["/etc/systemd", "/lib/systemd", "/usr/lib/systemd", "/usr/local/lib/systemd", "/etc/init.d"]
        .iter()
        .any(|dir| path.starts_with(dir))
}

/// Running services that a path belongs to by its name: `/etc/nginx/…`, `/etc/nginx.conf`, `/etc/default/nginx`,
/// a unit's own file or drop-in.
fn users_of(paths: &[PathBuf], running: &Running) -> Vec<String> {
    let uses = |unit: &str| {
        let base = unit.trim_end_matches(".service").split('@').next().unwrap_or(unit);
        let names = [base.to_owned(), format!("{base}d"), base.trim_end_matches('d').to_owned()];
        paths.iter().any(|path| {
            let mut parts = path.iter().skip(1).map(|part| part.to_string_lossy());
            let (Some(top), Some(first)) = (parts.next(), parts.next()) else { return false };
            let second = parts.next();
            let is_it = |name: &str| {
                names.iter().any(|n| {
                    n == name
                        || name
                            .strip_prefix(n.as_str())
                            .is_some_and(|rest| matches!(rest, ".conf" | ".d" | ".cfg" | ".yml" | ".toml"))
                })
            };
            match &*top {
                "etc" if matches!(&*first, "default" | "conf.d" | "sysconfig") => {
                    second.is_some_and(|name| is_it(&name))
                }
                "etc" if first == "systemd" || first == "init.d" => {
                    path.to_string_lossy().contains(&format!("/{unit}"))
                        || second.is_some_and(|name| is_it(&name))
                }
                "etc" => is_it(&first),
                _ => path.file_name().is_some_and(|name| name.to_string_lossy() == unit),
            }
        })
    };
    running.0.keys().filter(|unit| unit.ends_with(".service") && uses(unit)).cloned().collect()
}

fn systemctl(verb: &str, unit: Option<&str>, word: &str, done: &mut Vec<String>, failed: &mut Vec<String>) {
    // A unit that failed too often does not start before this.
    if let Some(unit) = unit.filter(|_| matches!(verb, "start" | "restart" | "reload-or-restart")) {
        _ = Run::new("systemctl").arg("reset-failed").arg(unit).timeout(PATIENCE).output();
    }
    let run = Run::new("systemctl").arg(verb).args(unit).timeout(PATIENCE);
    let said = unit.map_or_else(|| word.to_owned(), |unit| format!("{word} {unit}"));
    match run.output() {
        Ok(output) if output.ok() => done.push(said),
        Ok(output) => {
            let reason = output.stderr_text();
            failed.push(format!("systemctl {verb} {}: {}", unit.unwrap_or_default(), reason.trim()));
        }
        Err(error) => failed.push(format!("systemctl {verb}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(all: &[(&str, &str)]) -> Running {
        Running(all.iter().map(|(unit, number)| ((*unit).to_owned(), (*number).to_owned())).collect())
    }

    #[test]
    fn starts_stops_and_restarts_are_told_apart() {
        let before = running(&[("a.service", "1"), ("b.service", "1"), ("c.service", "1")]);
        let after = running(&[("a.service", "1"), ("b.service", "2"), ("d.service", "1")]);
        let changes = before.changes(&after);
        let said: Vec<_> = changes.iter().map(|c| (c.unit.as_str(), c.before, c.after)).collect();
        assert_eq!(said, [("b.service", true, true), ("c.service", true, false), ("d.service", false, true)]);
        assert!(before.changes(&before).is_empty());
    }

    #[test]
    fn paths_belong_to_services_by_name() {
        let now = running(&[
            ("nginx.service", "1"),
            ("ssh.service", "1"),
            ("cron.service", "1"),
            ("postgresql@15-main.service", "1"),
        ]);
        let of = |path: &str| users_of(&[PathBuf::from(path)], &now);
        assert_eq!(of("/etc/nginx/sites-enabled/site"), ["nginx.service"]);
        assert_eq!(of("/etc/ssh/sshd_config"), ["ssh.service"]);
        assert_eq!(of("/etc/default/cron"), ["cron.service"]);
        assert_eq!(of("/etc/postgresql/15/main/pg_hba.conf"), ["postgresql@15-main.service"]);
        assert_eq!(of("/lib/systemd/system/nginx.service"), ["nginx.service"]);
        assert!(of("/etc/motd").is_empty() && of("/srv/nginx/index.html").is_empty());
    }
}
