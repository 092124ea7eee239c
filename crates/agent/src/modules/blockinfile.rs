//! `blockinfile`: a block of lines between two marker lines.

use std::ops::Range;
use std::path::PathBuf;

use catalog::{Arg, Args, ModuleSpec};
use serde_json::json;

use crate::fileargs::FileArgs;
use crate::files::{self, Edit};
use crate::module::{Failure, Module, Outcome, Task};
use crate::regex;

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest", "destfile", "name"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("marker").default("# {mark} ANSIBLE MANAGED BLOCK"),
    Arg::str("block").default("").aliases(&["content"]),
    Arg::str("insertafter"),
    Arg::str("insertbefore"),
    Arg::bool("create").default("false"),
    Arg::bool("backup").default("false"),
    Arg::str("validate"),
    Arg::str("marker_begin").default("BEGIN"),
    Arg::str("marker_end").default("END"),
    Arg::bool("append_newline").default("false"),
    Arg::bool("prepend_newline").default("false"),
    Arg::str("encoding").default("utf-8"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("blockinfile", ARGS)
        .file_args()
        .mutually_exclusive(&[&["insertbefore", "insertafter"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = PathBuf::from(args.string("path"));
    if path.is_dir() {
        return Err(Failure::new(format!("Path {} is a directory !", path.display())).with("rc", 256));
    }
    let there = path.exists();
    if !there && !args.bool("create") {
        return Err(Failure::new(format!("Path {} does not exist !", path.display())).with("rc", 257));
    }
    let before = if there { files::read(&path)? } else { Vec::new() };
    let text = files::escape(&before);
    let block = block_lines(args);
    let after = files::unescape(&edit(&text, &block, args)?);
    let mut changed = before != after || (!there && !block.is_empty());
    let mut message = match (changed, there, block.is_empty()) {
        (false, ..) => "",
        (true, false, _) => "File created",
        (true, true, true) => "Block removed",
        (true, true, false) => "Block inserted",
    }
    .to_owned();
    let file_args = FileArgs::read(args)?;
    let mut backup = None;
    if changed && !task.check {
        if let Some(parent) = path.parent().filter(|p| !p.exists()) {
            files::make_dirs(task, parent, &FileArgs::default())?;
        }
        let edit = Edit {
            path: &path,
            validate: args.str("validate"),
            backup: args.bool("backup"),
            args: &file_args,
        };
        backup = edit.write(task, &after)?;
    }
    let shown = path.display();
    let mut attributes = json!({"before_header": format!("{shown} (file attributes)"), "after_header": format!("{shown} (file attributes)")});
    if path.exists() && file_args.apply(task, &files::resolved(&path, true), Some(&mut attributes))? {
        let and = if changed { " and " } else { "" };
        message = format!("{message}{and}ownership, perms or SE linux context changed");
        changed = true;
    }
    let outcome = Outcome::changed(changed).with("msg", message).with_some("backup_file", backup);
    Ok(outcome.diff(files::content_diff(&before, &after, &format!("{shown} (content)"))).diff(attributes))
}

fn marker(args: &Args, mark: &str) -> String {
    args.string("marker").replace("{mark}", &args.string(mark)) + "\n"
}

/// The block with its markers; nothing when it shall not be there.
fn block_lines(args: &Args) -> Vec<String> {
    let mut block = args.string("block");
    if block.is_empty() || args.str("state") == Some("absent") {
        return Vec::new();
    }
    if !block.ends_with('\n') {
        block.push('\n');
    }
    let mut lines = vec![marker(args, "marker_begin")];
    lines.extend(files::lines(&block));
    lines.push(marker(args, "marker_end"));
    lines
}

fn edit(text: &str, block: &[String], args: &Args) -> Result<String, Failure> {
    let mut lines = files::lines(text);
    let present = args.str("state") != Some("absent");
    let mut at = match marked(&lines, args) {
        Some(old) => {
            let start = old.start;
            lines.drain(old);
            start
        }
        None if block.is_empty() => return Ok(text.to_owned()),
        None => insertion(text, &lines, args)?,
    };
    if at > 0 && !lines[at - 1].ends_with('\n') {
        lines[at - 1].push('\n');
    }
    if args.bool("prepend_newline") && present && at != 0 && lines[at - 1] != "\n" {
        lines.insert(at, "\n".to_owned());
        at += 1;
    }
    let end = at + block.len();
    lines.splice(at..at, block.iter().cloned());
    if args.bool("append_newline") && present && end < lines.len() && lines[end] != "\n" {
        lines.insert(end, "\n".to_owned());
    }
    Ok(lines.concat())
}

/// The lines from marker to marker. The last of each counts, in either order.
fn marked(lines: &[String], args: &Args) -> Option<Range<usize>> {
    let (begin, end) = (marker(args, "marker_begin"), marker(args, "marker_end"));
    // A marker on the last line may lack its end.
    let is = |line: &String, marker: &String| line == marker || line == marker.trim_end_matches('\n');
    let first = lines.iter().rposition(|line| is(line, &begin))?;
    let last = lines.iter().rposition(|line| is(line, &end))?;
    Some(first.min(last)..first.max(last) + 1)
}

/// Where a block goes that is not there yet.
fn insertion(text: &str, lines: &[String], args: &Args) -> Result<usize, Failure> {
    let (pattern, after) = match (args.str("insertafter"), args.str("insertbefore")) {
        (_, Some("BOF")) | (Some("BOF"), None) => return Ok(0),
        (Some("EOF") | None, None) | (_, Some("EOF")) => return Ok(lines.len()),
        (Some(pattern), _) => (pattern, true),
        (None, Some(pattern)) => (pattern, false),
    };
    let compiled = regex::python(pattern)?;
    if pattern.starts_with("(?") && pattern.split(')').next().is_some_and(|flags| flags.contains('m')) {
        let found = compiled.find(text).map_err(|e| regex::too_hard(&e))?;
        let Some(found) = found else { return Ok(lines.len()) };
        let count = |end: usize| text[..end].matches('\n').count();
        return Ok(if after { (count(found.end()) + 1).min(lines.len()) } else { count(found.start()) });
    }
    let mut place = lines.len();
    for (i, line) in lines.iter().enumerate() {
        if regex::found(&compiled, line)? {
            place = if after { i + 1 } else { i };
        }
    }
    Ok(place)
}
