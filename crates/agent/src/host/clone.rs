//! A generation tried on a copy-on-write clone of the live root: nothing that happens there touches the host.

use std::path::Path;

use catalog::Map;
use layer::history;
use rustix::mount::{MountFlags, mount, mount_bind_recursive};
use serde_json::json;

use crate::children;
use crate::module::{Failure, Task};

/// Where the clone is put together, in a mount namespace of its own.
const STAGE: &str = "/run/theseus-clone";
/// The exit code of a clone that could not be made.
const NO_CLONE: i32 = 120;
/// Mounts that a system's programs need.
const SHARED: &[&str] = &["proc", "sys", "dev", "run"];
/// Parts of the system that a machine may have on file systems of their own.
const SEPARATE: &[&str] = &["usr", "var", "opt", "srv", "home", "boot"];

/// The first generation where the check fails, by halves.
pub(crate) fn bisect(task: &Task<'_>, check: &str, good: Option<u64>) -> Result<Map, Failure> {
    let state_dir = task.recorder.state_dir().to_owned();
    let head = history::head(&state_dir)?;
    let generations = history::generations(&state_dir)?;
    let Some(oldest) = generations.first() else {
        return Err("this host has no generations yet: there is nothing to look through".into());
    };
    let mut good = good.unwrap_or(oldest - 1);
    if good + 1 < *oldest || good >= head {
        return Err(format!("generation {good} cannot be tried: there are {} to {head}", oldest - 1).into());
    }
    let mut tried = Vec::new();
    let mut is_well = |generation: u64| -> Result<bool, Failure> {
        task.go_on()?;
        let well = attempt_apart(task, &state_dir, generation, check)?;
        tried.push(json!({"generation": generation, "well": well}));
        Ok(well)
    };
    let mut bad = head;
    if is_well(bad)? {
        return Err(format!("the check succeeds at generation {bad}, the newest: nothing is broken").into());
    }
    if !is_well(good)? {
        return Err(format!("the check fails at generation {good} already").into());
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if is_well(middle)? { good = middle } else { bad = middle }
    }
    let layer = history::read(&state_dir, bad)?;
    let mut tasks: Vec<String> = layer.causes.iter().map(|cause| cause.task.clone()).collect();
    tasks.dedup();
    let run = format!("{} by {} at {}", layer.run.command, layer.run.person, layer.sealed);
    let told = json!({"bad": bad, "good": good, "tasks": tasks, "run": run, "tried": tried});
    Ok(told.as_object().cloned().unwrap_or_default())
}

/// In a process and namespaces of its own.
fn attempt_apart(task: &Task<'_>, state_dir: &Path, generation: u64, check: &str) -> Result<bool, Failure> {
    let exe = std::fs::read_link("/proc/self/exe")?.to_string_lossy().into_owned();
    let (dir, generation) = (state_dir.to_string_lossy(), generation.to_string());
    let mut argv = vec!["unshare", "--mount", "--propagation", "private", "--ipc", "--net", &exe];
    argv.extend(crate::escalate::own_args("try-generation"));
    argv.extend([&*dir, &generation, check]);
    let output = children::in_c_locale(task, &argv).output()?;
    match output.rc {
        0 => Ok(true),
        NO_CLONE => Err(format!("no clone of this host can be made: {}", output.stderr_text().trim()).into()),
        _ => Ok(false),
    }
}

/// `try-generation DIR GENERATION CHECK`, alone in a mount namespace: ends with the check's own exit code.
pub(crate) fn attempt(state_dir: &str, generation: &str, check: &str) -> Result<(), String> {
    let made = generation.parse().map_err(|_| "no generation".to_owned()).and_then(|generation| {
        enter()?;
        go_back(Path::new(state_dir), generation)
    });
    if let Err(reason) = made {
        eprintln!("{reason}");
        std::process::exit(NO_CLONE);
    }
    let status =
        std::process::Command::new("/bin/sh").arg("-c").arg(check).status().map_err(|e| e.to_string())?;
    std::process::exit(status.code().unwrap_or(1).min(NO_CLONE - 1));
}

fn go_back(state_dir: &Path, generation: u64) -> Result<(), String> {
    if history::head(state_dir).map_err(|e| e.to_string())? == generation {
        return Ok(());
    }
    let run = layer::Run { command: "bisect".to_owned(), ..layer::Run::default() };
    let options = history::Options { to: generation, force: true, only: None };
    history::undo(state_dir, &options, run).map(drop).map_err(|e| e.to_string())
}

/// An overlay over the root, and over what is mounted separately; then it is the root.
fn enter() -> Result<(), String> {
    let failed = |what: &str, error: rustix::io::Errno| format!("{what}: {error}");
    make_dir(Path::new(STAGE))?;
    mount("tmpfs", STAGE, "tmpfs", MountFlags::empty(), c"mode=0700").map_err(|e| failed("a tmpfs", e))?;
    let stage = Path::new(STAGE);
    let root = stage.join("root");
    make_dir(&root)?;
    overlay(Path::new("/"), "top", &root)?;
    for name in SEPARATE {
        let there = Path::new("/").join(name);
        if is_mount(&there) {
            overlay(&there, name, &root.join(name))?;
        }
    }
    for name in SHARED {
        let there = Path::new("/").join(name);
        if there.is_dir() {
            mount_bind_recursive(&there, root.join(name)).map_err(|e| failed(name, e))?;
        }
    }
    rustix::process::chroot(&root).map_err(|e| failed("chroot", e))?;
    std::env::set_current_dir("/").map_err(|e| e.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clone's own mounts and where they hang, no part of the host"
)]
fn make_dir(dir: &Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))
}

fn is_mount(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device =
        |path: &Path| path.symlink_metadata().ok().filter(std::fs::Metadata::is_dir).map(|m| m.dev());
    device(path).is_some_and(|own| device(Path::new("/")) != Some(own))
}

fn overlay(lower: &Path, name: &str, at: &Path) -> Result<(), String> {
    let stage = Path::new(STAGE);
    let (upper, work) = (stage.join(format!("{name}.upper")), stage.join(format!("{name}.work")));
    for dir in [&upper, &work] {
        make_dir(dir)?;
    }
    let text =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let data = std::ffi::CString::new(text).map_err(|e| e.to_string())?;
    mount("overlay", at, "overlay", MountFlags::empty(), data.as_c_str())
        .map_err(|error| format!("an overlay of {} cannot be mounted: {error}", lower.display()))
}
