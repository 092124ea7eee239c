//! `archive`: files and directories of the host packed into one file, or a single file compressed.

mod pack;
mod sources;

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Kind, ModuleSpec};

use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};
use pack::Format;
use sources::Sources;

const ARGS: &[Arg] = &[
    Arg::list("path").of(&Kind::Path).required(),
    Arg::str("format").default("gz").choices(&["bz2", "gz", "tar", "xz", "zip"]),
    Arg::path("dest"),
    Arg::list("exclude_path").of(&Kind::Path).default(""),
    Arg::list("exclusion_patterns").of(&Kind::Path),
    Arg::bool("force_archive").default("false"),
    Arg::bool("remove").default("false"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("archive", ARGS).collection("community.general").file_args(), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let sources = Sources::find(args)?;
    let format = Format::of(&args.string("format"));
    let whole = sources.are_many || args.bool("force_archive") || format == Format::Zip || format == Format::Tar;
    let dest = dest(args, &sources, format)?;
    if args.bool("remove") && sources.found.iter().any(|path| path.is_dir() && dest.starts_with(path)) {
        return Err("Error, created archive can not be contained in source paths when remove=true".into());
    }
    let mut outcome = sources.told(Outcome::default().with("dest", dest.to_string_lossy()));
    if sources.found.is_empty() {
        outcome.set("archived", Vec::<String>::new());
        outcome.set("dest_state", left_over(&dest));
        if dest.exists() {
            outcome.changed = FileArgs::read(args)?.apply(task, &dest, None)?;
        }
        return Ok(outcome);
    }
    let entries = sources.entries(&dest, &args.strings("exclusion_patterns"))?;
    let scratch = layer::Scratch::new()?;
    let (made, archived) = match (whole, sources.found.first()) {
        (false, Some(file)) => (pack::compress(task, file, format, &scratch)?, vec![text(file)]),
        _ => {
            let told = entries.iter().filter(|e| format != Format::Zip || !e.path.is_dir() || e.path.is_symlink());
            let told = told.map(|e| text(&e.path)).collect();
            (pack::archive(task, &entries, format, &scratch)?, told)
        }
    };
    let there = dest.is_file().then(|| pack::same(&dest, &made, format, whole));
    let mut changed = there != Some(true);
    if changed && !task.check {
        let size = made.metadata()?.len();
        task.recorder.reserve(&dest, size)?;
        task.recorder.write(&dest, files::open(&made)?, &layer::Attributes::default())?;
    }
    if args.bool("remove") {
        changed = true;
        for path in sources.found.iter().filter(|_| !task.check) {
            task.recorder.remove(path)?;
        }
    }
    if dest.exists() {
        changed |= FileArgs::read(args)?.apply(task, &dest, None)?;
    }
    let state = match (whole, sources.missing.is_empty()) {
        _ if task.check && !dest.exists() => "absent",
        (false, _) => "compress",
        (true, true) => "archive",
        (true, false) => "incomplete",
    };
    outcome.changed = changed;
    Ok(outcome.with("archived", archived).with("dest_state", state))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Where the result goes: beside a single file, if nobody says.
fn dest(args: &Args, sources: &Sources, format: Format) -> Result<PathBuf, Failure> {
    if let Some(dest) = args.str("dest") {
        return Ok(PathBuf::from(dest));
    }
    match sources.found.first().or(sources.asked.first()) {
        Some(only) if !sources.are_many => {
            Ok(PathBuf::from(format!("{}.{}", only.display(), format.ending())))
        }
        _ => Err("Error, must specify \"dest\" when archiving multiple files or trees".into()),
    }
}

/// What is there when all that should be packed is gone: an earlier result, or nothing.
fn left_over(dest: &Path) -> &'static str {
    let name = dest.to_string_lossy();
    let endings = [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".zip"];
    match (dest.exists(), endings.iter().any(|ending| name.ends_with(ending))) {
        (false, _) => "absent",
        (true, true) => "archive",
        (true, false) => "compress",
    }
}
