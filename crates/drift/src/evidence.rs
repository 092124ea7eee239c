//! Who it was likely to be: from times, login records and what was logged. Never more than they carry.

use std::path::Path;

use crate::finding::{Evidence, Finding, moment};
use crate::journal::{self, Session, Sudo};
use crate::objects;
use crate::shell::{self, Typed};
use crate::transactions::Transaction;

/// A command by `sudo` so long before a change may have made it.
const WHILE: i64 = 300;

/// What the host still knows.
pub(crate) struct Witnesses<'a> {
    sessions: Vec<Session>,
    sudos: Vec<Sudo>,
    transactions: &'a [Transaction],
    /// Of people's shell histories, if somebody asked for them.
    typed: Vec<Typed>,
    /// Earlier than this nothing was looked for.
    since: i64,
}

impl<'a> Witnesses<'a> {
    pub(crate) fn load(root: &Path, since: i64, transactions: &'a [Transaction], histories: bool) -> Self {
        let typed = if histories { shell::histories(root) } else { Vec::new() };
        Self {
            transactions,
            typed,
            sessions: journal::sessions(&root.join("var/log/wtmp")),
            sudos: journal::sudos(root, since),
            since,
        }
    }

    /// Says what there is to say of one difference.
    pub(crate) fn tell(&self, finding: &mut Finding) {
        if let Some(object) = finding.object.as_deref().filter(|object| object.starts_with("listen:")) {
            if let Some((pid, began, command)) = objects::listener(object) {
                finding.at = Some(began);
                let unit = objects::unit_of(&pid).map(|unit| format!(" in {unit}")).unwrap_or_default();
                let text = format!("process {pid}{unit}, started {}: {command}", moment(began));
                finding.time = Some(moment(began));
                finding.evidence = Some(self.with_people(finding, began, Some(text)));
            }
            return;
        }
        if finding.at.is_none() {
            finding.at = finding.object.as_deref().and_then(object_time);
        }
        let Some(at) = finding.at else { return };
        finding.time = Some(moment(at));
        finding.evidence = Some(self.with_people(finding, at, named(finding, &self.sudos)));
    }

    fn with_people(&self, finding: &Finding, at: i64, fact: Option<String>) -> Evidence {
        let near: Vec<&Sudo> =
            self.sudos.iter().filter(|s| (at - WHILE..=at + 1).contains(&s.time)).collect();
        let mut there: Vec<&Session> = self.sessions.iter().filter(|session| session.covers(at)).collect();
        there.dedup_by(|a, b| a.user == b.user && a.from == b.from);
        let mut said: Vec<String> = fact.into_iter().collect();
        if let Some(last) = near.last() {
            said.push(format!("sudo by {} at {}: {}", last.user, moment(last.time), last.command));
        }
        let logins = there.iter().take(3).map(|session| {
            let from =
                if session.from.is_empty() { String::new() } else { format!(" from {}", session.from) };
            format!("{}{from} was logged in since {}", session.user, moment(session.begin))
        });
        said.extend(logins);
        let asked = self.transactions.iter().filter(|t| t.covers(at));
        let asked: Vec<&Transaction> = asked.filter(|t| t.asked().is_some()).collect();
        said.extend(asked.iter().filter_map(|t| Some(format!("{}, {}", t.text(), t.asked()?))));
        let typed: Vec<&Typed> = self.typed.iter().filter(|typed| typed.names(finding, at)).collect();
        said.extend(typed.iter().rev().take(2).map(|typed| typed.text()));
        // A line without a time may be years old: said, and no more.
        let timed = typed.iter().filter(|typed| typed.time.is_some()).map(|typed| typed.user.as_str());
        let mut people: Vec<&str> =
            near.iter().map(|s| s.user.as_str()).chain(there.iter().map(|s| s.user.as_str())).collect();
        people.extend(asked.iter().filter_map(|t| t.person.as_deref()?.split(' ').next()));
        people.extend(timed);
        people.sort_unstable();
        people.dedup();
        if people.is_empty() {
            let text = if at < self.since {
                "before the first look"
            } else {
                "no login and no sudo is recorded for that time"
            };
            said.push(text.to_owned());
        }
        // One person alone was there: likely, and no more than that.
        let confidence = if people.len() == 1 { "likely" } else { "unknown" };
        Evidence { confidence: confidence.to_owned(), text: said.join("; ") }
    }
}

/// When an object became as it is, as far as a file or systemd tells.
fn object_time(object: &str) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    let (kind, rest) = object.split_once(':')?;
    let changed = |path: &str| std::fs::symlink_metadata(path).ok().map(|metadata| metadata.ctime());
    match kind {
        "user" => changed("/etc/passwd"),
        "group" => changed("/etc/group"),
        "cron" => {
            let name = rest.split(' ').next()?;
            let files = [
                format!("/etc/cron.d/{name}"),
                format!("/var/spool/cron/crontabs/{name}"),
                format!("/etc/{name}"),
            ];
            files.iter().find_map(|file| changed(file))
        }
        "key" => {
            let user = rest.split(' ').next()?;
            let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
            changed(&format!("{home}/.ssh/authorized_keys"))
        }
        "service" => unit_time(rest),
        _ => None,
    }
}

/// When systemd saw a unit start or stop last.
fn unit_time(unit: &str) -> Option<i64> {
    let arguments = ["show", "--timestamp=unix", "-p", "StateChangeTimestamp", "--value", "--", unit];
    let output = std::process::Command::new("systemctl")
        .args(arguments)
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix('@')?.parse().ok()
}

/// A command that names the path itself.
fn named(finding: &Finding, sudos: &[Sudo]) -> Option<String> {
    let path = finding.path.as_deref()?;
    let at = finding.at?;
    let hit =
        sudos.iter().rev().find(|s| s.command.contains(path) && s.time <= at + 1 && at - s.time < 86_400)?;
    Some(format!("sudo by {} at {} names it: {}", hit.user, moment(hit.time), hit.command))
}
