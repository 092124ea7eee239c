//! `htpasswd`: users and passwords of a web server.

mod hash;

use std::path::PathBuf;

use catalog::{Arg, Args, ModuleSpec};

use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest", "destfile"]),
    Arg::str("name").required().aliases(&["username"]),
    Arg::str("password").no_log(),
    Arg::str("hash_scheme").default("apr_md5_crypt").aliases(&["crypt_scheme"]),
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::bool("create").default("true"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("htpasswd", ARGS).collection("community.general").file_args(),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (path, name) = (PathBuf::from(args.string("path")), args.string("name"));
    let file = TextFile::read(&path)?;
    check(file.text())?;
    let (after, told) = if args.string("state") == "absent" {
        if file.before.is_none() {
            task.warn(format!("{} does not exist", path.display()));
        }
        removed(file.text(), &name)
    } else {
        present(args, task, &file, &name)?
    };
    let changed = after.is_some();
    if let Some(after) = after.filter(|_| !task.check) {
        if let Some(parent) = path.parent() {
            files::make_dirs(task, parent, &FileArgs::default())?;
        }
        file.write(task, &after, None)?;
    }
    let attributes = (path.exists()) && FileArgs::read(args)?.apply(task, &files::resolved(&path, true), None)?;
    let told = if attributes { format!("{told} and ownership, perms or SE linux context changed") } else { told };
    Ok(Outcome::changed(changed || attributes).with("msg", told))
}

fn check(text: &str) -> Result<(), Failure> {
    let broken = |line: &&str| !is_other(line) && !line.contains(':');
    match text.lines().position(|line| broken(&line)) {
        None => Ok(()),
        Some(at) => Err(Failure::new(format!("malformed htpasswd file (error reading line {})", at + 1))),
    }
}

/// A comment, or nothing.
fn is_other(line: &str) -> bool {
    line.trim_start().is_empty() || line.trim_start().starts_with('#')
}

/// What stands behind the name, in the line that is this user's.
fn hash_in<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (user, hash) = line.split_once(':').filter(|_| !is_other(line))?;
    (user == name).then(|| hash.trim_end())
}

/// The text after the change, if there is one, and what is told.
type Edited = (Option<String>, String);

fn removed(text: &str, name: &str) -> Edited {
    let is_own = |line: &str| hash_in(line, name).is_some();
    if !text.lines().any(is_own) {
        return (None, format!("{name} not present"));
    }
    (Some(written(text.lines().filter(|line| !is_own(line)))), format!("Remove {name}"))
}

fn present(args: &Args, task: &Task<'_>, file: &TextFile, name: &str) -> Result<Edited, Failure> {
    if name.contains([':', '\n', '\r', '\t', '\0']) {
        return Err(Failure::new(format!("user contains invalid characters: {name:?}")));
    }
    let password = args.str("password").ok_or("password is needed: state is present")?;
    let path = &file.path.display();
    if file.before.is_none() && !args.bool("create") {
        return Err(Failure::new(format!("Destination {path} does not exist")));
    }
    let scheme = hash::Scheme::of(&args.string("hash_scheme"))?;
    let known = file.text().lines().find_map(|line| hash_in(line, name));
    if let Some(known) = known
        && scheme.verifies(task, password, known)?
    {
        return Ok((None, format!("{name} already present")));
    }
    let told = match (&file.before, task.check) {
        (None, true) => format!("Create {path}"),
        (None, false) => format!("Created {path} and added {name}"),
        _ => format!("Add/update {name}"),
    };
    let own = format!("{name}:{}", scheme.hash(task, password)?);
    let mut own = Some(own.as_str());
    let mut lines = Vec::new();
    for line in file.text().lines() {
        match hash_in(line, name) {
            // Who is there twice is so no more.
            Some(_) => lines.extend(own.take()),
            None => lines.push(line),
        }
    }
    lines.extend(own);
    Ok((Some(written(lines.into_iter())), told))
}

/// Empty lines go, as the reference has it.
fn written<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.filter(|line| !line.trim().is_empty()).fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_nobody() {
        let text = "# a:b\n\nx:1\n #c\ny:2";
        assert_eq!(removed(text, "x"), (Some("# a:b\n #c\ny:2\n".to_owned()), "Remove x".to_owned()));
        assert_eq!(removed(text, "# a").0, None);
        assert!(check(text).is_ok() && check("x:1\nnonsense\n").is_err());
    }
}
