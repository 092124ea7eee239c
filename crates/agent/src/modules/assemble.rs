//! `assemble`: a file out of the fragments in a directory of the host.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use layer::Attributes;

use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{At, Failure, Module, Outcome, Task};
use crate::regex;

const ARGS: &[Arg] = &[
    Arg::path("src").required(),
    Arg::path("dest").required(),
    Arg::bool("backup").default("false"),
    Arg::str("delimiter"),
    Arg::bool("remote_src").default("true"),
    Arg::str("regexp"),
    Arg::bool("ignore_hidden").default("false"),
    Arg::str("validate"),
    Arg::bool("decrypt").default("true").controller_only(),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("assemble", ARGS).file_args(), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (src, dest) = (args.string("src"), args.string("dest"));
    let source = Path::new(&src);
    if !source.exists() {
        return Err(Failure::new(format!("Source ({src}) does not exist")));
    }
    if !source.is_dir() {
        return Err(Failure::new(format!("Source ({src}) is not a directory")));
    }
    let pattern = args.str("regexp").map(regex::python).transpose()?;
    let content =
        assemble(&fragments(source, pattern.as_ref(), args.bool("ignore_hidden"))?, args.str("delimiter"));
    let path = files::resolved(Path::new(&dest), true);
    if path.is_dir() {
        return Err(Failure::new(format!("Destination {dest} is a directory")));
    }
    let old = if path.exists() { Some(files::read(&path)?) } else { None };
    let mut changed = old.as_deref() != Some(content.as_slice());
    let mut outcome = Outcome::default().with("src", src).with("dest", dest.as_str()).with("msg", "OK");
    outcome = outcome.with("checksum", files::sha1_of(&content)).with("md5sum", files::md5_of(&content));
    let file_args = FileArgs::read(args)?;
    if changed {
        outcome = outcome.diff(files::content_diff(old.as_deref().unwrap_or_default(), &content, &dest));
        if let Some(command) = args.str("validate") {
            files::validate(task, command, &content)?;
        }
        if !task.check {
            if args.bool("backup") && old.is_some() {
                outcome = outcome.with("backup_file", files::backup(task, &path)?);
            }
            files::write(task, &path, &content, &Attributes::default(), &file_args)?;
        }
    }
    changed |= file_args.apply(task, &path, None)?;
    outcome.changed = changed;
    Ok(outcome)
}

fn fragments(
    dir: &Path,
    pattern: Option<&fancy_regex::Regex>,
    ignore_hidden: bool,
) -> Result<Vec<Vec<u8>>, Failure> {
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).at("list", dir)? {
        names.push(entry.at("list", dir)?.path());
    }
    names.sort();
    let mut all = Vec::new();
    for path in names {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = pattern.map_or(Ok(true), |p| regex::found(p, &name))?;
        if wanted && path.is_file() && !(ignore_hidden && name.starts_with('.')) {
            all.push(files::read(&path)?);
        }
    }
    Ok(all)
}

/// Fragments never share a line; the delimiter stands between them.
fn assemble(fragments: &[Vec<u8>], delimiter: Option<&str>) -> Vec<u8> {
    let delimiter = delimiter.filter(|d| !d.is_empty()).map(unescape);
    let mut content = Vec::new();
    for (i, fragment) in fragments.iter().enumerate() {
        if i > 0 {
            if !fragments[i - 1].ends_with(b"\n") {
                content.push(b'\n');
            }
            if let Some(delimiter) = &delimiter {
                content.extend_from_slice(delimiter.as_bytes());
                if !delimiter.ends_with('\n') {
                    content.push(b'\n');
                }
            }
        }
        content.extend_from_slice(fragment);
    }
    content
}

/// `\n` and `\t` in a delimiter.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('\\') | None => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
            },
        }
    }
    out
}
