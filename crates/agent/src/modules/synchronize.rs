//! `synchronize`: files by `rsync`, run where the files come from (or go to); the controller names the other end.

use catalog::{Arg, Args, Kind, ModuleSpec};

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};
use crate::words;

const ARGS: &[Arg] = &[
    Arg::path("src").required(),
    Arg::path("dest").required(),
    Arg::int("dest_port"),
    Arg::str("mode").default("push").choices(&["pull", "push"]),
    Arg::bool("archive").default("true"),
    Arg::bool("checksum").default("false"),
    Arg::bool("compress").default("true"),
    Arg::bool("existing_only").default("false"),
    Arg::bool("delay_updates").default("true"),
    Arg::bool("delete").default("false"),
    Arg::bool("dirs").default("false"),
    Arg::bool("recursive"),
    Arg::bool("links"),
    Arg::bool("copy_links").default("false"),
    Arg::bool("perms"),
    Arg::bool("times"),
    Arg::bool("owner"),
    Arg::bool("group"),
    Arg::str("rsync_path"),
    Arg::int("rsync_timeout").default("0"),
    Arg::bool("set_remote_user").default("true"),
    Arg::bool("use_ssh_args").default("false"),
    Arg::bool("ssh_connection_multiplexing").default("false"),
    Arg::list("rsync_opts").default(""),
    Arg::bool("partial").default("false"),
    Arg::bool("verify_host").default("false"),
    Arg::path("private_key"),
    Arg::list("link_dest").of(&Kind::Path),
    // What the controller adds: how the other end is reached; nothing: both are here.
    Arg::str("_rsh"),
];

/// What the controller reads as well.
pub static SPEC: ModuleSpec = ModuleSpec::builtin("synchronize", ARGS).collection("ansible.posix");

pub(crate) static MODULE: Module = Module { spec: SPEC, run };

const MARK: &str = "<<CHANGED>>";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if find_program("rsync").is_none() {
        return Err("Failed to find required executable \"rsync\"".into());
    }
    let argv = command(args, task.check);
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let output = if task.check { children::ask(task, &words)? } else { children::act(task, &words)? };
    let shown = words::join(&words);
    if !output.ok() {
        let said = output.stderr_text();
        return Err(Failure::new(said).with("rc", output.rc).with("cmd", shown));
    }
    let said = output.stdout_text();
    let changed = said.contains(MARK) || said.contains("*deleting");
    let clean = said.replace(MARK, "");
    let lines: Vec<&str> = clean.lines().filter(|line| !line.is_empty()).collect();
    let mut outcome = Outcome::changed(changed).with("rc", output.rc).with("cmd", shown);
    outcome.set("stdout_lines", lines);
    if task.diff {
        outcome = outcome.diff(serde_json::json!({"prepared": clean}));
    }
    Ok(outcome.with("msg", clean))
}

fn command(args: &Args, check: bool) -> Vec<String> {
    let mut words = vec!["rsync".to_owned()];
    let mut add = |on: bool, word: &str| {
        if on {
            words.push(word.to_owned());
        }
    };
    add(args.bool("delay_updates"), "--delay-updates");
    add(true, "-F");
    add(args.bool("compress"), "--compress");
    add(check, "--dry-run");
    add(args.bool("delete"), "--delete-after");
    add(args.bool("existing_only"), "--existing");
    add(args.bool("checksum"), "--checksum");
    add(args.bool("copy_links"), "--copy-links");
    add(args.bool("partial"), "--partial");
    add(args.bool("dirs"), "--dirs");
    let archive = args.bool("archive");
    add(archive, "--archive");
    for name in ["recursive", "links", "perms", "times", "owner", "group"] {
        // What an archive is about is on unless taken away, and the other way round.
        let wanted = if args.has(name) { args.bool(name) } else { archive };
        add(wanted && !archive, &format!("--{name}"));
        add(!wanted && archive, &format!("--no-{name}"));
    }
    let patience = args.int("rsync_timeout").unwrap_or(0);
    add(patience > 0, &format!("--timeout={patience}"));
    for (name, option) in [("rsync_path", "--rsync-path"), ("_rsh", "--rsh")] {
        if let Some(value) = args.str(name) {
            words.push(format!("{option}={value}"));
        }
    }
    words.extend(args.strings("rsync_opts").into_iter().filter(|option| !option.is_empty()));
    words.extend(args.strings("link_dest").into_iter().map(|dir| format!("--link-dest={dir}")));
    words.push(format!("--out-format={MARK}%i %n%L"));
    words.extend([args.string("src"), args.string("dest")]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_archive_has_is_taken_away_by_name() {
        let args = |text: &str| SPEC.read(&serde_json::from_str(text).unwrap(), &|_| false).unwrap();
        let words = command(&args(r#"{"src": "/a/", "dest": "h:/b", "owner": false, "delete": true}"#), false);
        assert!(words.contains(&"--no-owner".to_owned()) && words.contains(&"--delete-after".to_owned()));
        assert!(!words.iter().any(|word| word == "--no-links" || word == "--links"));
        let plain = command(&args(r#"{"src": "a", "dest": "b", "archive": false, "recursive": true}"#), true);
        assert!(plain.contains(&"--recursive".to_owned()) && plain.contains(&"--dry-run".to_owned()));
        assert!(!plain.contains(&"--archive".to_owned()));
    }
}
