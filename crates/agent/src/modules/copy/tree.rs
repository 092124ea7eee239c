//! Whole directories: from the controller (a list of entries) or on the host.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use catalog::{Args, Json};
use serde_json::json;

use super::place::{Placing, Source};
use crate::fileargs::{FileArgs, Mode};
use crate::files;
use crate::module::{At, Failure, Outcome, Task};

/// `_tree`: `{path, kind: dir|file|link, digest, size, inline?, mode?, target?}`, parents first. A source without a
/// slash at its end brings its own name along.
pub(super) fn from_controller(
    placing: &Placing,
    entries: &[Json],
    args: &Args,
    task: &mut Task<'_>,
) -> Result<Outcome, Failure> {
    let dest = args.string("dest");
    let mut top = PathBuf::from(&dest);
    if !args.bool("_source_slash") {
        top.push(inside(args.str("_original_basename").unwrap_or_default())?);
    }
    // A top that is there stays as it is; the arguments are about what is in it.
    let mut changed = !files::make_dirs(task, &top, &placing.for_directories())?.is_empty();
    let mut diffs = Vec::new();
    for entry in entries {
        let relative = entry["path"].as_str().unwrap_or_default();
        let path = top.join(inside(relative)?);
        match entry["kind"].as_str() {
            Some("dir") => changed |= ensure_dir(placing, &path, task)?,
            Some("link") => {
                changed |= ensure_link(Path::new(entry["target"].as_str().unwrap_or_default()), &path, task)?
            }
            _ => {
                let source =
                    Source::of(entry["digest"].as_str(), entry["inline"].as_str(), entry["size"].as_i64())?
                        .ok_or_else(|| format!("the controller sent no content for {relative}"))?;
                let placed = with_own_mode(placing, entry)?.place(&source, &path, task)?;
                changed |= placed.changed;
                if placed.changed {
                    diffs.extend(placed.diffs);
                }
            }
        }
    }
    let src = args.string("src");
    let mut outcome =
        Outcome::changed(changed).with("dest", format!("{}/", dest.trim_end_matches('/'))).with("src", src);
    if task.diff && !diffs.is_empty() {
        outcome = outcome.diff(diffs.into());
    }
    Ok(outcome)
}

/// `mode: preserve` sends each file's own mode.
fn with_own_mode(placing: &Placing, entry: &Json) -> Result<Placing, Failure> {
    let mode = match (&placing.files.mode, entry.get("source_mode")) {
        (Some(Mode::Preserve), Some(mode)) => Mode::read(mode)?,
        (mode, _) => mode.clone(),
    };
    Ok(Placing {
        files: placing.files.with_mode(mode),
        directory_mode: placing.directory_mode.clone(),
        validate: placing.validate.clone(),
        checksum: None,
        ..*placing
    })
}

/// A path that stays inside the destination.
fn inside(relative: &str) -> Result<&Path, Failure> {
    let path = Path::new(relative);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if plain { Ok(path) } else { Err(format!("the path `{relative}` leads out of the destination").into()) }
}

fn ensure_dir(placing: &Placing, path: &Path, task: &mut Task<'_>) -> Result<bool, Failure> {
    let args = placing.for_directories();
    if path.is_dir() {
        return args.apply(task, path, None);
    }
    Ok(!files::make_dirs(task, path, &args)?.is_empty())
}

fn ensure_link(target: &Path, path: &Path, task: &mut Task<'_>) -> Result<bool, Failure> {
    if std::fs::read_link(path).is_ok_and(|now| now == target) {
        return Ok(false);
    }
    if !task.check {
        if path.is_dir() && !path.is_symlink() {
            return Err(format!("cannot overwrite the directory {} with a link", path.display()).into());
        }
        task.recorder.symlink(target, path)?;
    }
    Ok(true)
}

/// `remote_src` with a directory. A source that ends in `/` means what is in it. As in Ansible, `mode` is the mode of
/// the destination, and what is new below keeps the modes of the source.
pub(super) fn on_the_host(
    placing: &Placing,
    src: &str,
    dest: &str,
    task: &mut Task<'_>,
) -> Result<Outcome, Failure> {
    let source = Path::new(src);
    let mut top = PathBuf::from(dest);
    if top.exists() && !top.is_dir() {
        return Err(Failure::new(format!("cannot copy the directory {src} over the file {dest}")));
    }
    let above = super::folder_of(&top);
    if !above.exists() {
        return Err(Failure::new(format!("Destination directory {} does not exist", above.display())));
    }
    let mut shown = top.clone();
    if !src.ends_with('/') {
        let there = top.is_dir();
        top.push(source.file_name().ok_or("the source has no name")?);
        if there {
            shown.clone_from(&top);
        }
    }
    let new = !top.is_dir();
    if new {
        let above = top.parent().unwrap_or(Path::new("/"));
        files::make_dirs(task, above, &placing.files.with_mode(None))?;
        let mode = std::fs::metadata(source).at("look at", source)?.mode() & 0o7777;
        files::make_dirs(task, &top, &placing.files.with_mode(Some(Mode::Octal(mode))))?;
    }
    let mut changed = new | copy_below(placing, source, &top, new, &mut Vec::new(), task)?;
    if placing.files.mode != Some(Mode::Preserve) {
        changed |= placing.files.apply(task, &shown, None)?;
    }
    let shown = shown.to_string_lossy().into_owned();
    let outcome = Outcome::changed(changed).with("dest", shown).with("src", src);
    Ok(outcome.with("checksum", Json::Null).with("md5sum", Json::Null))
}

/// `fresh`: the directory was made by this task. `above`: the directories on the way to it.
fn copy_below(
    placing: &Placing,
    from: &Path,
    to: &Path,
    fresh: bool,
    above: &mut Vec<(u64, u64)>,
    task: &mut Task<'_>,
) -> Result<bool, Failure> {
    let mut changed = false;
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(from).at("list", from)? {
        entries.push(entry.at("list", from)?.path());
    }
    entries.sort();
    let here = std::fs::metadata(from).at("look at", from)?;
    above.push((here.dev(), here.ino()));
    let preserve = placing.files.mode == Some(Mode::Preserve);
    for path in entries {
        task.go_on()?;
        let target = to.join(path.file_name().unwrap_or_default());
        // One that leads nowhere or to a directory around it cannot be followed.
        let leads = || std::fs::metadata(&path).is_ok_and(|to| !above.contains(&(to.dev(), to.ino())));
        if path.is_symlink() && !(placing.local_follow && leads()) {
            let link = std::fs::read_link(&path).at("read the link", &path)?;
            changed |= ensure_link(&link, &target, task)?;
            continue;
        }
        let metadata = std::fs::metadata(&path).at("look at", &path)?;
        let own_mode = Some(Mode::Octal(metadata.mode() & 0o7777));
        if metadata.is_dir() {
            let new = !target.is_dir();
            if new {
                files::make_dirs(task, &target, &placing.files.with_mode(own_mode))?;
            } else {
                changed |= placing.files.with_mode(None).apply(task, &target, None)?;
            }
            changed |= new | copy_below(placing, &path, &target, new, above, task)?;
        } else if metadata.is_file() {
            let mode = own_mode.filter(|_| fresh || preserve);
            changed |= place_one(placing, placing.files.with_mode(mode), path, &target, task)?;
        }
    }
    above.pop();
    Ok(changed)
}

fn place_one(
    placing: &Placing,
    files: FileArgs,
    path: PathBuf,
    target: &Path,
    task: &mut Task<'_>,
) -> Result<bool, Failure> {
    let placing = Placing {
        files,
        directory_mode: None,
        validate: placing.validate.clone(),
        checksum: None,
        ..*placing
    };
    if task.check && !target.parent().is_some_and(Path::is_dir) {
        return Ok(true);
    }
    let shown = json!(target.to_string_lossy());
    let placed = placing.place(&Source::File(path), target, task);
    placed.map(|p| p.changed).map_err(|f| f.with("dest", shown))
}
