//! `lineinfile`: one line in a file is as it should be, or is not there.

use std::path::PathBuf;

use catalog::{Arg, Args, ModuleSpec};
use fancy_regex::Regex;
use serde_json::json;

use crate::fileargs::FileArgs;
use crate::files::{self, Edit};
use crate::module::{Failure, Module, Outcome, Task};
use crate::regex;

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest", "destfile", "name"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("regexp").aliases(&["regex"]),
    Arg::str("search_string"),
    Arg::str("line").aliases(&["value"]),
    Arg::str("encoding").default("utf-8"),
    Arg::str("insertafter"),
    Arg::str("insertbefore"),
    Arg::bool("backrefs").default("false"),
    Arg::bool("create").default("false"),
    Arg::bool("backup").default("false"),
    Arg::bool("firstmatch").default("false"),
    Arg::str("validate"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("lineinfile", ARGS)
        .file_args()
        .mutually_exclusive(&[
            &["insertbefore", "insertafter"],
            &["regexp", "search_string"],
            &["backrefs", "search_string"],
        ])
        .asked(&[
            ("backrefs", "True", &["regexp"], "regexp is required with backrefs=true"),
            ("state", "present", &["line"], "line is required with state=present"),
            (
                "state",
                "absent",
                &["line", "search_string", "regexp"],
                "one of line, search_string, or regexp is required with state=absent",
            ),
        ]),
    run,
};

/// What is looked for: by pattern or by a part of the line.
enum Look<'a> {
    Pattern(Regex),
    Part(&'a str),
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = PathBuf::from(args.string("path"));
    if path.is_dir() {
        return Err(Failure::new(format!("Path {} is a directory !", path.display())).with("rc", 256));
    }
    if args.str("regexp") == Some("") {
        task.warn("The regular expression is an empty string, which will match every line in the file. This may have unintended consequences, such as replacing the last line in the file rather than appending.");
    }
    let look = match (args.str("regexp"), args.str("search_string")) {
        (Some(pattern), _) => Some(Look::Pattern(regex::python(pattern)?)),
        (None, Some(part)) => Some(Look::Part(part)),
        (None, None) => None,
    };
    let there = path.exists();
    if args.str("state") == Some("absent") {
        if !there {
            return Ok(Outcome::changed(false).with("msg", "file not present"));
        }
    } else {
        if !there && !args.bool("create") {
            return Err(
                Failure::new(format!("Destination {} does not exist !", path.display())).with("rc", 257)
            );
        }
    }
    let before = if there { files::read(&path)? } else { Vec::new() };
    let text = files::escape(&before);
    let mut lines = files::lines(&text);
    let (message, found) = if args.str("state") == Some("absent") {
        let gone = remove(&mut lines, look.as_ref(), args.str("line"))?;
        (if gone > 0 { format!("{gone} line(s) removed") } else { String::new() }, Some(gone))
    } else {
        (ensure(&mut lines, look.as_ref(), args)?.to_owned(), None)
    };
    finish(args, task, &path, &before, &lines.concat(), message, found)
}

fn finish(
    args: &Args,
    task: &mut Task<'_>,
    path: &std::path::Path,
    before: &[u8],
    after: &str,
    mut message: String,
    found: Option<usize>,
) -> Result<Outcome, Failure> {
    let file_args = FileArgs::read(args)?;
    let after = files::unescape(after);
    let mut changed = after != before || !message.is_empty();
    let mut backup = String::new();
    if changed && !task.check {
        if let Some(parent) = path.parent().filter(|p| !p.exists()) {
            files::make_dirs(task, parent, &FileArgs::default())?;
        }
        let edit =
            Edit { path, validate: args.str("validate"), backup: args.bool("backup"), args: &file_args };
        backup = edit.write(task, &after)?.unwrap_or_default();
    }
    let shown = path.display();
    let mut attributes = json!({"before_header": format!("{shown} (file attributes)"), "after_header": format!("{shown} (file attributes)")});
    let metadata_changed = (path.exists() || !task.check)
        && path.symlink_metadata().is_ok()
        && file_args.apply(task, &files::resolved(path, true), Some(&mut attributes))?;
    if metadata_changed {
        let and = if changed { " and " } else { "" };
        message = format!("{message}{and}ownership, perms or SE linux context changed");
        changed = true;
    }
    let outcome =
        Outcome::changed(changed).with("msg", message).with("backup", backup).with_some("found", found);
    let content = files::content_diff(before, &after, &format!("{shown} (content)"));
    Ok(outcome.diff(content).diff(attributes))
}

fn is_it(look: &Look<'_>, line: &str) -> Result<bool, Failure> {
    match look {
        Look::Pattern(pattern) => regex::found(pattern, line),
        Look::Part(part) => Ok(line.contains(part)),
    }
}

fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn remove(lines: &mut Vec<String>, look: Option<&Look<'_>>, line: Option<&str>) -> Result<usize, Failure> {
    let mut kept = Vec::with_capacity(lines.len());
    let all = lines.len();
    for candidate in lines.drain(..) {
        let matches = match look {
            Some(look) => is_it(look, &candidate)?,
            None => line == Some(bare(&candidate)),
        };
        if !matches {
            kept.push(candidate);
        }
    }
    *lines = kept;
    Ok(all - lines.len())
}

/// Where a new line goes.
enum Anchor {
    Start,
    End,
    After(Regex),
    Before(Regex),
}

fn anchor(args: &Args) -> Result<Anchor, Failure> {
    Ok(match (args.str("insertafter"), args.str("insertbefore")) {
        (Some("BOF"), _) | (_, Some("BOF")) => Anchor::Start,
        (Some("EOF") | None, None) | (None, Some("EOF")) => Anchor::End,
        (Some(pattern), _) => Anchor::After(regex::python(pattern)?),
        (None, Some(pattern)) => Anchor::Before(regex::python(pattern)?),
    })
}

/// Make the line so. Returns what was done; nothing: empty.
fn ensure(lines: &mut Vec<String>, look: Option<&Look<'_>>, args: &Args) -> Result<&'static str, Failure> {
    let line = args.string("line");
    let first = args.bool("firstmatch");
    let anchor = anchor(args)?;
    let mut matched = None;
    if let Some(look) = look {
        for (i, candidate) in lines.iter().enumerate() {
            if is_it(look, candidate)? {
                matched = Some(i);
                if first {
                    break;
                }
            }
        }
    }
    if let Some(i) = matched {
        let mut new = match look {
            Some(Look::Pattern(pattern)) if args.bool("backrefs") => {
                let captures = pattern.captures(lines[i].as_str()).map_err(|e| regex::too_hard(&e))?;
                captures.map_or(Ok(line.clone()), |c| regex::expand(&line, &c))?
            }
            _ => line,
        };
        if !new.ends_with('\n') {
            new.push('\n');
        }
        if lines[i] == new {
            return Ok("");
        }
        lines[i] = new;
        return Ok("line replaced");
    }
    if args.bool("backrefs") {
        return Ok("");
    }
    insert(lines, line, &anchor, first)
}

/// The line is nowhere by its pattern: is it there already, and if not, where does it go?
fn insert(
    lines: &mut Vec<String>,
    line: String,
    anchor: &Anchor,
    first: bool,
) -> Result<&'static str, Failure> {
    let mut place = None;
    for (i, candidate) in lines.iter().enumerate() {
        if bare(candidate) == line {
            // There, but perhaps without its end.
            if candidate.ends_with('\n') && !candidate.ends_with("\r\n") {
                return Ok("");
            }
            lines[i] = line + "\n";
            return Ok("line replaced");
        }
        let hit = match anchor {
            Anchor::After(pattern) => regex::found(pattern, candidate)?.then_some(i + 1),
            Anchor::Before(pattern) => regex::found(pattern, candidate)?.then_some(i),
            Anchor::Start | Anchor::End => None,
        };
        if hit.is_some() && !(first && place.is_some()) {
            place = hit;
        }
    }
    let at = match (anchor, place) {
        (Anchor::Start, _) => 0,
        (_, Some(at)) => at,
        (_, None) => lines.len(),
    };
    if at > 0 && !lines[at - 1].ends_with(['\n', '\r']) {
        lines[at - 1].push('\n');
    }
    lines.insert(at, line + "\n");
    Ok("line added")
}
