//! `file`: make, change and remove files, directories and links.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use catalog::{Arg, Args, Json, ModuleSpec};
use layer::Time;
use serde_json::json;

use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{At, Failure, Module, Outcome, Task};

mod links;
mod times;

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest", "name"]),
    Arg::str("state").choices(&["absent", "directory", "file", "hard", "link", "touch"]),
    Arg::path("src"),
    Arg::bool("recurse").default("false"),
    Arg::bool("force").default("false"),
    Arg::bool("follow").default("true"),
    Arg::str("modification_time"),
    Arg::str("modification_time_format").default("%Y%m%d%H%M.%S"),
    Arg::str("access_time"),
    Arg::str("access_time_format").default("%Y%m%d%H%M.%S"),
    Arg::str("_original_basename"),
    Arg::str("_diff_peek"),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("file", ARGS).file_args(), run };

/// What is at a path now, in the module's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Absent,
    File,
    Directory,
    Link,
    /// A file with several names.
    Hard,
}

impl Is {
    fn at(path: &Path) -> Self {
        match std::fs::symlink_metadata(path) {
            Err(_) => Self::Absent,
            Ok(m) if m.is_symlink() => Self::Link,
            Ok(m) if m.is_dir() => Self::Directory,
            Ok(m) if m.nlink() > 1 => Self::Hard,
            Ok(_) => Self::File,
        }
    }
    fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::Hard => "hard",
        }
    }
}

/// The arguments, read once.
struct Want<'a> {
    path: PathBuf,
    text: String,
    src: Option<String>,
    force: bool,
    follow: bool,
    files: FileArgs,
    times: times::Times<'a>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let text = args.string("path");
    let mut want = Want {
        path: PathBuf::from(&text),
        text,
        src: args.str("src").filter(|s| !s.is_empty()).map(str::to_owned),
        force: args.bool("force"),
        follow: args.bool("follow"),
        files: FileArgs::read(args)?,
        times: times::Times::read(args),
    };
    let now = Is::at(&want.path);
    let recurse = args.bool("recurse");
    let state = match args.str("state") {
        Some(state) => state,
        None if recurse => "directory",
        None if now == Is::Absent => "file",
        None if now == Is::Link && want.src.is_none() && want.follow => "file",
        None => now.word(),
    };
    if recurse && state != "directory" {
        return Err(at(&want, "recurse option requires state to be 'directory'"));
    }
    if want.src.is_some() && !matches!(state, "link" | "hard") {
        task.warn(format!("The src option requires state to be 'link' or 'hard'. This will become an error in the future; state is '{state}'"));
    }
    // A directory that is given where a link or a touched file shall be: the name of the source inside it.
    if !matches!(state, "link" | "absent")
        && want.path.is_dir()
        && let Some(name) = args
            .str("_original_basename")
            .or(want.src.as_deref().and_then(|s| s.rsplit('/').next()))
            .filter(|n| !n.is_empty())
        && state != "directory"
    {
        want.path.push(name);
        want.text = want.path.to_string_lossy().into_owned();
    }
    match state {
        "absent" => absent(&want, task),
        "directory" => directory(&want, recurse, task),
        "touch" => touch(&want, task),
        "link" => links::symbolic(&want, task),
        "hard" => links::hard(&want, task),
        _ => attributes_only(&want, task),
    }
}

fn at(want: &Want<'_>, message: impl Into<String>) -> Failure {
    Failure::new(message).with("path", want.text.as_str())
}

fn start_diff(text: &str) -> Json {
    json!({"before": {"path": text}, "after": {"path": text}})
}

fn diff_state(text: &str, before: &str, after: &str) -> Json {
    let mut diff = start_diff(text);
    if before != after {
        diff["before"]["state"] = json!(before);
        diff["after"]["state"] = json!(after);
    }
    diff
}

fn absent(want: &Want<'_>, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let now = Is::at(&want.path);
    let mut outcome =
        Outcome::changed(now != Is::Absent).with("path", want.text.as_str()).with("state", "absent");
    if now == Is::Absent {
        return Ok(outcome.diff(start_diff(&want.text)));
    }
    let mut diff = diff_state(&want.text, now.word(), "absent");
    if now == Is::Directory && task.diff {
        diff["before"]["path_content"] = path_content(&want.path);
    }
    if !task.check {
        let gone = task.recorder.remove(&want.path);
        gone.map_err(|e| at(want, format!("failed to remove {}: {e}", want.text)))?;
    }
    outcome = outcome.diff(diff);
    Ok(outcome)
}

/// What goes away with a directory, for the diff.
fn path_content(path: &Path) -> Json {
    const ENOUGH: usize = 1000;
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    let mut todo = vec![path.to_owned()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let shown = entry.path().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                directories.push(shown);
                todo.push(entry.path());
            } else {
                files.push(shown);
            }
            if files.len() + directories.len() >= ENOUGH {
                return json!({"directories": directories, "files": files});
            }
        }
    }
    json!({"directories": directories, "files": files})
}

fn attributes_only(want: &Want<'_>, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = files::resolved(&want.path, want.follow);
    let now = Is::at(&path);
    let plain = matches!(now, Is::File | Is::Hard) || (now == Is::Link && !want.follow);
    if !plain {
        let message = match now {
            Is::Absent => format!("file ({}) is absent, cannot continue", want.text),
            other => format!("file ({}) is {}, cannot continue", want.text, other.word()),
        };
        return Err(at(want, message).with("state", now.word()));
    }
    let mut diff = start_diff(&want.text);
    let mut changed = want.files.apply(task, &path, Some(&mut diff))?;
    changed |= want.times.apply(task, &path, "preserve", Some(&mut diff))?;
    Ok(Outcome::changed(changed).with("path", want.text.as_str()).diff(diff))
}

fn touch(want: &Want<'_>, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = files::resolved(&want.path, want.follow);
    let now = Is::at(&path);
    let mut diff = diff_state(&want.text, now.word(), "touch");
    if now == Is::Absent {
        if task.check {
            return Ok(Outcome::changed(true).with("dest", want.text.as_str()).diff(diff));
        }
        let made = task.recorder.touch(&path, None, None);
        made.map_err(|e| at(want, format!("Error, could not touch target: {e}")))?;
    }
    let mut changed = now == Is::Absent;
    let attributes = want.files.apply(task, &path, Some(&mut diff));
    if now == Is::Absent && attributes.is_err() {
        // What cannot be as it was asked for is not left there.
        task.recorder.remove(&path)?;
    }
    changed |= attributes?;
    let default = if now == Is::Absent { "preserve" } else { "now" };
    changed |= want.times.apply(task, &path, default, Some(&mut diff))?;
    Ok(Outcome::changed(changed).with("dest", want.text.as_str()).diff(diff))
}

fn directory(want: &Want<'_>, recurse: bool, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = files::resolved(&want.path, want.follow);
    let now = Is::at(&path);
    let mut diff = diff_state(&want.text, now.word(), "directory");
    let mut changed = false;
    if now == Is::Absent {
        changed = true;
        if task.check {
            return Ok(Outcome::changed(true).with("path", want.text.as_str()).diff(diff));
        }
        let made = files::make_dirs(task, &path, &want.files);
        made.map_err(|f| {
            at(want, format!("There was an issue creating {} as requested: {}", want.text, f.message))
        })?;
    } else if now != Is::Directory {
        return Err(at(want, format!("{} already exists as a {}", want.text, now.word())));
    }
    changed |= want.files.apply(task, &path, Some(&mut diff))?;
    changed |= want.times.apply(task, &path, "preserve", Some(&mut diff))?;
    if recurse {
        changed |= recursively(want, &path, task)?;
    }
    Ok(Outcome::changed(changed).with("path", want.text.as_str()).diff(diff))
}

/// Everything below a directory gets the attributes; links are followed as `follow` says.
fn recursively(want: &Want<'_>, dir: &Path, task: &mut Task<'_>) -> Result<bool, Failure> {
    let mut changed = false;
    for entry in std::fs::read_dir(dir).at("list", dir)? {
        let path = entry.at("list", dir)?.path();
        task.go_on()?;
        if path.is_symlink() {
            changed |= want.files.apply(task, &path, None)?;
            if want.follow
                && let Ok(target) = std::fs::canonicalize(&path)
            {
                changed |= want.files.apply(task, &target, None)?;
                // A link into the tree itself is reached by its own way; one out of it once.
                if target.is_dir() && !dir.starts_with(&target) && !target.starts_with(&want.path) {
                    changed |= recursively(want, &target, task)?;
                }
            }
            continue;
        }
        changed |= want.files.apply(task, &path, None)?;
        changed |= want.times.apply(task, &path, "preserve", None)?;
        if path.is_dir() {
            changed |= recursively(want, &path, task)?;
        }
    }
    Ok(changed)
}

fn time_of(seconds: i64, nanos: i64) -> Time {
    Time(seconds, nanos as u32)
}

fn now() -> Time {
    SystemTime::now().into()
}
