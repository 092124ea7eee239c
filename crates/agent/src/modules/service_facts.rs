//! `service_facts`: every service.

use std::path::Path;

use catalog::{Args, Check, Map, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("service_facts", &[]).check(Check::Query), run };

fn run(_: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut services = Map::new();
    let source = Source::new(Path::new("/"));
    if settings::systemd_runs(&source) {
        units(task, &mut services)?;
    } else {
        scripts(task, &source, &mut services)?;
    }
    Ok(Outcome::default().with("ansible_facts", json!({"services": services})))
}

/// Loaded units first, then the files of those that are not.
fn units(task: &Task<'_>, services: &mut Map) -> Result<(), Failure> {
    let list = |what: &str| {
        children::ask(
            task,
            &["systemctl", what, "--no-pager", "--type", "service", "--all", "--plain", "--no-legend"],
        )
    };
    let files = list("list-unit-files")?.stdout_text();
    let status_of = |name: &str| {
        files
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>())
            .find(|w| w.first() == Some(&name))
            .and_then(|w| w.get(1).copied())
    };
    for line in list("list-units")?.stdout_text().lines() {
        let words: Vec<&str> = line.trim_start_matches(['●', '*', ' ']).split_whitespace().collect();
        let [name, load, active, sub, ..] = words[..] else { continue };
        let state = match (active, sub) {
            ("active", "running") => "running",
            ("failed", _) | (_, "failed") => "failed",
            _ if load == "not-found" => "stopped",
            ("active", _) if sub == "exited" => "stopped",
            ("active", _) => "running",
            _ => "stopped",
        };
        let status = match load {
            "not-found" => "not-found",
            // What has no file of its own (an instance of a template) is told by how active it is.
            _ => status_of(name).unwrap_or(active),
        };
        services.insert(
            name.to_owned(),
            json!({"name": name, "state": state, "status": status, "source": "systemd"}),
        );
    }
    for line in files.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(status)) = (words.next(), words.next()) else { continue };
        // Templates are no services; their names end in `@.service`.
        let state = if name.contains("@.") { "unknown" } else { "inactive" };
        services
            .entry(name.to_owned())
            .or_insert_with(|| json!({"name": name, "state": state, "status": status, "source": "systemd"}));
    }
    Ok(())
}

fn scripts(task: &Task<'_>, source: &Source, services: &mut Map) -> Result<(), Failure> {
    if let Some(output) =
        children::ask_if_there(task, &["rc-status", "-a", "-s", "-f", "ini"])?.filter(|o| o.ok())
    {
        for line in output.stdout_text().lines() {
            let Some((name, state)) = line.split_once('=') else { continue };
            let (name, state) = (name.trim(), state.trim());
            services.insert(name.to_owned(), json!({"name": name, "state": state, "source": "openrc"}));
        }
        return Ok(());
    }
    let all = children::ask_if_there(task, &["service", "--status-all"])?;
    let text = all.map(|o| o.stdout_text() + &o.stderr_text()).unwrap_or_default();
    for line in text.lines() {
        let Some((mark, name)) = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            continue;
        };
        let state = match mark.trim() {
            "+" => "running",
            "-" => "stopped",
            // A script that cannot tell is none that runs.
            _ => continue,
        };
        let name = name.trim();
        services.insert(name.to_owned(), json!({"name": name, "state": state, "source": "sysv"}));
    }
    if services.is_empty() {
        for name in source.names("/etc/init.d").iter().filter(|n| *n != "README") {
            services.insert(name.clone(), json!({"name": name, "state": "unknown", "source": "sysv"}));
        }
    }
    services.retain(|name, _| name != "README");
    Ok(())
}
