//! What is no path, put back: packages, services, modules of the kernel and its settings.

use std::path::{Path, PathBuf};

use catalog::{Json, Map};
use drift::Finding;
use layer::ServiceChange;
use serde_json::json;

use super::Done;
use crate::host::services;
use crate::module::{Failure, Task};
use crate::modules;

/// Packages come back in the version they had, and go where nobody brought them: by the package manager, watched.
pub(super) fn packages(task: &mut Task<'_>, findings: &[&Finding], done: &mut Done) -> Result<(), Failure> {
    for finding in findings {
        let Some(object) = finding.object.as_deref() else { continue };
        let Some(name) = object.strip_prefix("package:") else { continue };
        task.go_on()?;
        let given = match finding.was.as_deref() {
            None => json!({"name": [name], "state": "absent", "purge": true}),
            Some("installed") => json!({"name": [name], "state": "present"}),
            Some(version) => {
                json!({"name": [format!("{name}={version}")], "state": "present", "allow_downgrade": true})
            }
        };
        by_module(task, "apt", given, object, done);
    }
    Ok(())
}

/// Services that run and should not, and the other way round; modules and settings of the kernel.
pub(super) fn put_back(
    task: &mut Task<'_>,
    findings: &[&Finding],
    restored: &[PathBuf],
    done: &mut Done,
) -> Result<(), Failure> {
    let mut changes = Vec::new();
    for finding in findings {
        let Some(object) = finding.object.as_deref() else { continue };
        match object.split_once(':') {
            Some(("service", unit)) => {
                let (before, after) = (finding.was.is_some(), finding.is.is_some());
                changes.push(ServiceChange { unit: unit.to_owned(), before, after });
            }
            Some(("sysctl", key)) => setting(task, key, finding, done)?,
            Some(("module", name)) => {
                let state = if finding.was.is_some() { "present" } else { "absent" };
                by_module(task, "modprobe", json!({"name": name, "state": state}), object, done);
            }
            // They are in files, which were put back; packages were there before.
            Some(("user" | "group" | "key" | "cron", _)) => done.objects.push(object.to_owned()),
            Some(("package", _)) => {}
            Some(("listen", _)) if finding.kind == "added" => {}
            _ => done.failed.push(format!("{object}: this is not put back by itself; a playbook can")),
        }
    }
    if !changes.is_empty() || !restored.is_empty() {
        task.recorder.acts_on_services()?;
        let (acted, mut failed) = services::put_back(&changes, restored);
        done.objects.extend(acted);
        done.failed.append(&mut failed);
    }
    listeners(findings, done);
    Ok(())
}

/// As a task of a playbook would do it.
fn by_module(task: &mut Task<'_>, name: &str, given: Json, object: &str, done: &mut Done) {
    let Some(module) = modules::find(name) else { return };
    let given: Map = given.as_object().cloned().unwrap_or_default();
    let ended = match module.spec.read(&given, &|_| false) {
        Ok(args) => (module.run)(&args, task),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into()),
    };
    match ended {
        Ok(_) => done.objects.push(object.to_owned()),
        Err(failure) => {
            let first = failure.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            done.failed.push(format!("{object}: {}", first.trim()));
        }
    }
}

/// Most end with their service; what is left needs a person.
fn listeners(findings: &[&Finding], done: &mut Done) {
    for finding in findings.iter().filter(|f| f.kind == "added") {
        let Some(object) = finding.object.as_deref().filter(|object| object.starts_with("listen:")) else {
            continue;
        };
        match drift::objects::listener(object) {
            None => done.objects.push(format!("{object} listens no longer")),
            Some((pid, _, command)) => done.failed.push(format!(
                "{object}: process {pid} ({command}) belongs to no service; a person should end it"
            )),
        }
    }
}

fn setting(task: &mut Task<'_>, key: &str, finding: &Finding, done: &mut Done) -> Result<(), Failure> {
    let Some(was) = &finding.was else { return Ok(()) };
    let path = Path::new("/proc/sys").join(key.replace('.', "/"));
    let is = finding.is.as_deref().unwrap_or_default();
    let said = format!("set {key}={was} in the running kernel, was {is}");
    match task.recorder.set_in_kernel(&path, was, &said)? {
        Ok(()) => done.objects.push(format!("sysctl:{key}")),
        Err(error) => done.failed.push(format!("{key}: {error}")),
    }
    Ok(())
}
