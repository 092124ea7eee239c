//! `state: link` and `state: hard`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use super::{Is, Want, at, diff_state, start_diff};
use crate::files;
use crate::module::{At, Failure, Outcome, Task};

pub(super) fn symbolic(want: &Want<'_>, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = want.path.clone();
    let now = Is::at(&path);
    let src = match &want.src {
        Some(src) => src.clone(),
        // A link that is there keeps its target; only its attributes are asked for.
        None if now == Is::Link => {
            let target = if want.follow {
                files::real_path(&path)
            } else {
                std::fs::read_link(&path).at("read the link", &path)?
            };
            target.to_string_lossy().into_owned()
        }
        None => return Err(at(want, "src is required for creating new symlinks")),
    };
    // What a relative source is relative to.
    let base = if now == Is::Directory { path.as_path() } else { path.parent().unwrap_or(Path::new("/")) };
    let absolute = base.join(&src);
    if !want.force && !absolute.exists() && want.src.is_some() {
        let missing = format!(
            "src file does not exist, use \"force=yes\" if you really want to create the link: {}",
            absolute.display()
        );
        return Err(at(want, missing).with("src", src.as_str()));
    }
    check_replaceable(want, &path, now)?;
    let mut diff = diff_state(&want.text, now.word(), "link");
    let old = std::fs::read_link(&path).ok().map(|t| t.to_string_lossy().into_owned());
    let mut changed = now != Is::Link || old.as_deref() != Some(src.as_str());
    if let Some(old) = old.filter(|old| *old != src) {
        diff["before"]["src"] = json!(old);
        diff["after"]["src"] = json!(src);
    }
    let shown = path.to_string_lossy().into_owned();
    let outcome = |changed| Outcome::changed(changed).with("dest", shown.as_str()).with("src", src.as_str());
    if changed && !task.check {
        replace(want, task, &path, now, |task| task.recorder.symlink(Path::new(&src), &path))?;
    }
    if task.check && now != Is::Link {
        return Ok(outcome(true).diff(diff));
    }
    // With `follow`, attributes are those of what the link points to, if that exists.
    let target = if want.follow { std::fs::canonicalize(&path).ok() } else { Some(path.clone()) };
    match target {
        Some(target) => changed |= want.files.apply(task, &target, Some(&mut diff))?,
        None if !want.files.is_empty() => {
            task.warn("Cannot set fs attributes on a non-existent symlink target. follow should be set to False to avoid this.");
        }
        None => {}
    }
    Ok(outcome(changed).diff(diff))
}

/// What is there must not be lost by mistake.
fn check_replaceable(want: &Want<'_>, path: &Path, now: Is) -> Result<(), Failure> {
    match now {
        Is::Directory if !want.force => {
            Err(at(want, format!("refusing to convert from directory to symlink for {}", path.display())))
        }
        Is::Directory if path.read_dir().is_ok_and(|mut d| d.next().is_some()) => {
            Err(at(want, format!("the directory {} is not empty, refusing to convert it", path.display())))
        }
        Is::File | Is::Hard if !want.force => Err(at(
            want,
            format!("refusing to convert from {} to symlink for {}", now.word(), path.display()),
        )),
        _ => Ok(()),
    }
}

fn replace(
    want: &Want<'_>,
    task: &mut Task<'_>,
    path: &Path,
    now: Is,
    make: impl FnOnce(&mut Task<'_>) -> layer::Result<()>,
) -> Result<(), Failure> {
    if now == Is::Directory {
        task.recorder.remove(path)?;
    }
    make(task).map_err(|e| at(want, format!("Error while linking: {e}")))
}

pub(super) fn hard(want: &Want<'_>, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = &want.path;
    let now = Is::at(path);
    let Some(src) = &want.src else {
        if now == Is::Absent {
            return Err(at(want, "src is required for creating new hardlinks"));
        }
        let mut diff = start_diff(&want.text);
        let changed = want.files.apply(task, path, Some(&mut diff))?;
        return Ok(Outcome::changed(changed).with("dest", want.text.as_str()).diff(diff));
    };
    if !src.starts_with('/') {
        return Err(at(want, "absolute paths are required").with("src", src.as_str()));
    }
    let source =
        std::fs::metadata(src).map_err(|_| at(want, "src does not exist").with("src", src.as_str()))?;
    let there = std::fs::symlink_metadata(path).ok();
    let same = there.as_ref().is_some_and(|m| (m.dev(), m.ino()) == (source.dev(), source.ino()));
    if !same && !want.force {
        match now {
            Is::Hard => {
                return Err(at(want, "Cannot link, different hard link exists at destination")
                    .with("src", src.as_str()));
            }
            Is::File => {
                return Err(at(want, format!("Cannot link, {} exists at destination", now.word()))
                    .with("src", src.as_str()));
            }
            _ => {}
        }
    }
    if now == Is::Directory {
        return Err(at(want, format!("the directory {} is not empty, refusing to convert it", want.text)));
    }
    if now == Is::Link && !same && !want.force {
        return Err(at(want, "Cannot link, link exists at destination").with("src", src.as_str()));
    }
    let mut diff = diff_state(&want.text, now.word(), "hard");
    let outcome =
        |changed| Outcome::changed(changed).with("dest", want.text.as_str()).with("src", src.as_str());
    if !same && task.check {
        return Ok(outcome(true).diff(diff));
    }
    if !same {
        replace(want, task, path, now, |task| task.recorder.hard_link(Path::new(src), path))?;
    }
    let changed = want.files.apply(task, path, Some(&mut diff))? || !same;
    Ok(outcome(changed).diff(diff))
}
