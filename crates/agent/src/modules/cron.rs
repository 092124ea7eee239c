//! `cron`: jobs and variables in users' crontabs (through `crontab`) and in files of /etc/cron.d.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, ModuleSpec};
use layer::Attributes;
use serde_json::json;

use crate::children;
use crate::crontab::Crontab;
use crate::module::{At, Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "cron",
        &[
            Arg::str("name").required(),
            Arg::str("user"),
            Arg::str("job").aliases(&["value"]),
            Arg::path("cron_file"),
            Arg::str("state").default("present").choices(&["present", "absent"]),
            Arg::bool("backup").default("false"),
            Arg::str("minute").default("*"),
            Arg::str("hour").default("*"),
            Arg::str("day").default("*").aliases(&["dom"]),
            Arg::str("month").default("*"),
            Arg::str("weekday").default("*").aliases(&["dow"]),
            Arg::str("special_time")
                .choices(&["reboot", "yearly", "annually", "monthly", "weekly", "daily", "hourly"]),
            Arg::bool("disabled").default("false"),
            Arg::bool("env").default("false"),
            Arg::str("insertafter"),
            Arg::str("insertbefore"),
        ],
    )
    .mutually_exclusive(&[&["insertafter", "insertbefore"]])
    .asked(&[("state", "present", &["job"], "You must specify 'job' to install a new cron job or variable")]),
    run,
};

/// Where the table is.
enum Table {
    User(Option<String>),
    File(PathBuf),
}

impl Table {
    fn of(args: &Args) -> Self {
        match args.str("cron_file") {
            Some(file) if file.starts_with('/') => Self::File(PathBuf::from(file)),
            Some(file) => Self::File(Path::new("/etc/cron.d").join(file)),
            None => Self::User(args.str("user").map(str::to_owned)),
        }
    }

    fn header(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::User(Some(user)) => format!("crontab for user \"{user}\""),
            Self::User(None) => "crontab".to_owned(),
        }
    }

    fn words<'a>(&'a self, more: &'a str) -> Vec<&'a str> {
        match self {
            Self::User(Some(user)) => vec!["crontab", "-u", user, more],
            _ => vec!["crontab", more],
        }
    }

    fn read(&self, task: &Task<'_>) -> Result<String, Failure> {
        match self {
            Self::File(path) => match std::fs::read(path) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
                Err(e) => Err(e).at("read", path),
            },
            Self::User(_) => {
                let words = self.words("-l");
                let output = children::ask_if_there(task, &words)?
                    .ok_or_else(|| Failure::new("Failed to find required executable \"crontab\""))?;
                if !output.ok() && output.rc != 1 {
                    return Err(children::failed(&output, "Unable to read crontab"));
                }
                Ok(if output.ok() { output.stdout_text() } else { String::new() })
            }
        }
    }

    fn write(&self, task: &mut Task<'_>, text: &str) -> Result<(), Failure> {
        match self {
            Self::File(path) if text.is_empty() => Ok(task.recorder.remove(path)?),
            Self::File(path) => {
                let mode = (!path.exists()).then_some(0o644);
                task.recorder.write(path, text.as_bytes(), &Attributes { mode, ..Attributes::default() })?;
                Ok(())
            }
            Self::User(user) => {
                let user = user.clone().unwrap_or_else(crate::accounts::own_name);
                let places = ["/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron"]
                    .map(|dir| Path::new(dir).join(&user));
                let known: Vec<&Path> = places
                    .iter()
                    .map(PathBuf::as_path)
                    .find(|p| p.parent().is_some_and(Path::is_dir))
                    .into_iter()
                    .collect();
                let words = self.words("-");
                let process = children::in_c_locale(task, &words).stdin(text);
                let output = children::act_on(task, &known, process)?;
                if output.ok() {
                    return Ok(());
                }
                Err(children::failed(
                    &output,
                    format!("Failed to install new crontab: {}", output.stderr_text().trim()),
                ))
            }
        }
    }
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    check(args, task)?;
    let table = Table::of(args);
    let present = args.string("state") == "present";
    let before = table.read(task)?;
    let mut tab = Crontab::parse(&before);
    let name = args.string("name");
    let changed = match (args.bool("env"), present) {
        (true, true) => set_variable(args, &mut tab, &name)?,
        (true, false) => tab.remove_variable(&name),
        (false, true) => tab.set_job(&name, &job_line(args)),
        (false, false) => tab.remove_job(&name),
    };
    let after = tab.render();
    let ends_badly = matches!(&table, Table::User(_)) && !before.is_empty() && !before.ends_with('\n');
    let changed = changed || (ends_badly && present);
    let backup = args.bool("backup") && changed && !task.check;
    let backup = if backup { Some(back_up(task, &before)?) } else { None };
    if changed && !task.check {
        table.write(task, &after)?;
    }
    let gone = matches!(&table, Table::File(_)) && !present && after.is_empty();
    let mut outcome = if gone {
        Outcome::changed(changed).with("state", "absent")
    } else {
        Outcome::changed(changed).with("jobs", tab.jobs()).with("envs", tab.variables())
    };
    if task.diff && changed {
        let header = table.header();
        let after_header = if gone { "/dev/null" } else { &header };
        outcome.diff.push(
            json!({"before": before, "before_header": header, "after": after, "after_header": after_header}),
        );
    }
    if let Some(file) = args.get("cron_file") {
        outcome.set("cron_file", file.clone());
    }
    if let Some(path) = backup {
        outcome.set("backup_file", Json::from(path.to_string_lossy()));
    }
    Ok(outcome)
}

fn check(args: &Args, task: &mut Task<'_>) -> Result<(), Failure> {
    let present = args.string("state") == "present";
    if args.str("job").is_some_and(|job| job.contains(['\n', '\r'])) {
        task.warn("Job should not contain line breaks");
    }
    let times = ["minute", "hour", "day", "month", "weekday"].iter().any(|key| args.string(key) != "*");
    if args.has("special_time") && times {
        return Err("You cannot combine special_time with any of the time or day/date parameters.".into());
    }
    if args.has("cron_file") && present && !args.has("user") {
        return Err("To use cron_file=... parameter you must specify user=... as well".into());
    }
    if (args.has("insertafter") || args.has("insertbefore")) && !args.bool("env") && present {
        return Err("Insertafter and insertbefore parameters are valid only with env=yes".into());
    }
    Ok(())
}

fn job_line(args: &Args) -> String {
    let off = if args.bool("disabled") { "#" } else { "" };
    let job = args.string("job").trim_matches(['\r', '\n']).to_owned();
    let user =
        args.str("user").filter(|_| args.has("cron_file")).map(|user| format!("{user} ")).unwrap_or_default();
    let time = match args.str("special_time") {
        Some(special) => format!("@{special}"),
        None => ["minute", "hour", "day", "month", "weekday"].map(|key| args.string(key)).join(" "),
    };
    format!("{off}{time} {user}{job}")
}

fn set_variable(args: &Args, tab: &mut Crontab, name: &str) -> Result<bool, Failure> {
    let line = format!("{name}=\"{}\"", args.string("job"));
    for (key, after) in [("insertafter", true), ("insertbefore", false)] {
        if let Some(other) = args.str(key) {
            return tab
                .set_variable(name, &line, Some((other, after)))
                .ok_or_else(|| Failure::new(format!("Variable named '{other}' not found.")));
        }
    }
    Ok(tab.set_variable(name, &line, None).unwrap_or(false))
}

/// A copy of the table for people.
fn back_up(task: &mut Task<'_>, text: &str) -> Result<PathBuf, Failure> {
    let mut random = [0u8; 6];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .at("read", "random numbers")?;
    let name: String = random.iter().map(|b| format!("{b:02x}")).collect();
    let path = std::env::temp_dir().join(format!("crontab{name}"));
    task.recorder.write(&path, text.as_bytes(), &Attributes::mode(0o600))?;
    Ok(path)
}
