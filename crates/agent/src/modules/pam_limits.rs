//! `pam_limits`: limits of users and groups.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};
use serde_json::json;

use crate::files;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::str("domain").required(),
    Arg::str("limit_type").required().choices(&["soft", "hard", "-"]),
    Arg::str("limit_item").required().choices(&[
        "core",
        "data",
        "fsize",
        "memlock",
        "nofile",
        "rss",
        "stack",
        "cpu",
        "nproc",
        "as",
        "maxlogins",
        "maxsyslogins",
        "priority",
        "locks",
        "sigpending",
        "msgqueue",
        "nice",
        "rtprio",
        "chroot",
    ]),
    Arg::str("value").required(),
    Arg::bool("use_max").default("false"),
    Arg::bool("use_min").default("false"),
    Arg::bool("backup").default("false"),
    Arg::str("dest").default("/etc/security/limits.conf"),
    Arg::str("comment").default(""),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("pam_limits", ARGS).collection("community.general"), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if args.bool("use_max") && args.bool("use_min") {
        return Err("Cannot use use_min and use_max at the same time.".into());
    }
    let (item, value) = (args.string("limit_item"), args.string("value"));
    check(&item, &value)?;
    let dest = args.string("dest");
    let parent = Path::new(&dest).parent().unwrap_or(Path::new("/"));
    if !parent.is_dir() {
        return Err(Failure::new(format!("directory {} is not writable (use become)", parent.display())));
    }
    let file = TextFile::read(&dest)?;
    let (after, line, found_other) = edited(args, file.text(), &item, &value)?;
    // Taken each time, also where nothing changes: that is how the reference does it.
    let backup = (args.bool("backup") && !task.check && file.before.is_some())
        .then(|| files::backup(task, Path::new(&dest)))
        .transpose()?;
    let changed = file.differs(&after) && found_other;
    if changed && !task.check {
        file.write(task, &after, Some(0o644))?;
    }
    let outcome = Outcome::changed(changed).with("msg", line).with_some("backup_file", backup);
    Ok(outcome.diff(json!({"before": file.text(), "after": after})))
}

fn is_unlimited(value: &str) -> bool {
    matches!(value, "unlimited" | "infinity" | "-1")
}

fn check(item: &str, value: &str) -> Result<(), Failure> {
    if item == "chroot" {
        return Ok(());
    }
    let number = value.parse::<i64>().ok();
    let wrong = |may: &str| {
        Err(Failure::new(format!(
            " Value of '{value}' for item '{item}' is invalid. Value must either be {may}. Refer to the limits.conf(5) manual pages for more details."
        )))
    };
    match item {
        "priority" if number.is_none() => wrong("any integer"),
        "nice" if number.is_none_or(|n| !(-20..=19).contains(&n)) => {
            wrong("a number in the range of -20 to 19 inclusive")
        }
        "nice" | "priority" => Ok(()),
        _ if is_unlimited(value) || number.is_some_and(|n| n >= 0) => Ok(()),
        _ => {
            wrong("'unlimited', 'infinity' or -1, all of which indicate no limit, or a limit of 0 or larger")
        }
    }
}

/// The new text, our line of it, and whether something is different in meaning.
fn edited(args: &Args, text: &str, item: &str, value: &str) -> Result<(String, String, bool), Failure> {
    let (domain, kind) = (args.string("domain"), args.string("limit_type"));
    let comment = args.string("comment");
    let comment = if comment.is_empty() { comment } else { format!("\t#{comment}") };
    let written = |value: &str| format!("{domain}\t{kind}\t{item}\t{value}{comment}\n");
    let (mut after, mut ours, mut different) = (String::new(), None, false);
    for line in text.split_inclusive('\n') {
        let setting = line.split('#').next().unwrap_or_default();
        let fields: Vec<&str> = setting.split_whitespace().collect();
        let [d, k, i, old] = fields.as_slice() else {
            after.push_str(line);
            continue;
        };
        if (*d, *k, *i) != (&domain, &kind, item) {
            after.push_str(line);
            continue;
        }
        if ours.is_some() {
            // Said twice: once is enough.
            different = true;
            continue;
        }
        let value = chosen(args, old, value);
        if value == *old {
            after.push_str(line);
            ours = Some(format!("{domain}\t{kind}\t{item}\t{old}\n"));
        } else {
            different = true;
            after.push_str(&written(value));
            ours = Some(written(value));
        }
    }
    let line = match ours {
        Some(line) => line,
        None => {
            different = true;
            if !after.is_empty() && !after.ends_with('\n') {
                after.push('\n');
            }
            after.push_str(&written(value));
            written(value)
        }
    };
    Ok((after, line, different))
}

/// The old or the new one, by `use_max` and `use_min`; no limit is more than any limit.
fn chosen<'a>(args: &Args, old: &'a str, new: &'a str) -> &'a str {
    let size = |value: &str| if is_unlimited(value) { Some(i64::MAX) } else { value.parse().ok() };
    let (Some(o), Some(n)) = (size(old), size(new)) else { return new };
    let keep = (args.bool("use_max") && o >= n) || (args.bool("use_min") && o <= n);
    if keep || (is_unlimited(old) && is_unlimited(new)) { old } else { new }
}
