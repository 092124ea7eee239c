//! What package managers did, and when: from dpkg's log, with what apt's log knows of who asked.

use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Lines further apart belong to two transactions, even without dpkg saying that it starts.
const GAP: i64 = 600;
/// Logs have seconds only.
const SLACK: i64 = 1;
/// apt starts dpkg so long after it wrote that it begins.
const BEFORE: i64 = 120;

/// One run of dpkg, or several that follow each other at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) acts: Vec<Act>,
    /// The command, and who asked for it.
    pub(crate) command: Option<String>,
    pub(crate) person: Option<String>,
}

/// What became of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Act {
    /// `upgrade`, `install`, `remove`, `purge`
    pub(crate) verb: String,
    /// Without its architecture.
    pub(crate) package: String,
    /// Versions, or `<none>`.
    pub(crate) old: String,
    pub(crate) new: String,
}

impl Transaction {
    pub(crate) fn touches(&self, package: &str) -> bool {
        self.acts.iter().any(|act| act.package == package)
    }

    /// Who asked for it, and by which command.
    pub(crate) fn asked(&self) -> Option<String> {
        let command = self.command.as_ref().map(|command| format!("`{command}`"));
        match (command, &self.person) {
            (Some(command), Some(person)) => Some(format!("{command} asked for by {person}")),
            (command, None) => command,
            (None, Some(person)) => Some(format!("asked for by {person}")),
        }
    }

    pub(crate) fn covers(&self, time: i64) -> bool {
        (self.begin - SLACK..=self.end + SLACK).contains(&time)
    }

    pub(crate) fn text(&self) -> String {
        let shown: Vec<String> =
            self.acts.iter().take(2).map(|act| format!("{} {}", act.verb, act.package)).collect();
        let more = self.acts.len().saturating_sub(2);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what = if shown.is_empty() { "dpkg".to_owned() } else { shown.join(", ") };
        format!("package transaction of {}: {what}{more}", crate::finding::moment(self.begin))
    }
}

/// All that the logs of a root still have, oldest first.
pub(crate) fn load(root: &Path) -> Vec<Transaction> {
    let log = |name: &str| std::fs::read(root.join("var/log").join(name)).unwrap_or_default();
    let text = [log("dpkg.log.1"), log("dpkg.log")].concat();
    let mut all = parse(&String::from_utf8_lossy(&text));
    let apt = [log("apt/history.log.1"), log("apt/history.log")].concat();
    attribute(&mut all, &String::from_utf8_lossy(&apt));
    all
}

fn parse(text: &str) -> Vec<Transaction> {
    let mut all: Vec<Transaction> = Vec::new();
    for line in text.lines() {
        let Some((stamp, rest)) = line.split_at_checked(19) else { continue };
        let Some(time) = seconds(stamp) else { continue };
        let starts = rest.trim_start().starts_with("startup ");
        if starts || all.last().is_none_or(|last| time - last.end > GAP) {
            all.push(Transaction { begin: time, end: time, ..Transaction::default() });
        }
        let Some(last) = all.last_mut() else { continue };
        last.end = last.end.max(time);
        let words: Vec<&str> = rest.split_whitespace().collect();
        if let [verb @ ("install" | "upgrade" | "remove" | "purge"), package, old, new] = words.as_slice() {
            let package = package.split(':').next().unwrap_or(package);
            let [verb, package, old, new] = [*verb, package, *old, *new].map(str::to_owned);
            last.acts.push(Act { verb, package, old, new });
        }
    }
    all
}

/// `Start-Date: 2026-11-21  07:00:00`, `Commandline: …`, `Requested-By: …`
fn attribute(all: &mut [Transaction], history: &str) {
    for paragraph in history.split("\n\n") {
        let field = |key: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(key)).map(|text| text.trim().to_owned())
        };
        let Some(start) = field("Start-Date:").and_then(|text| seconds(&text.replace("  ", " "))) else {
            continue;
        };
        for transaction in
            all.iter_mut().filter(|t| t.covers(start) || (t.begin >= start && t.begin - start < BEFORE))
        {
            transaction.command = field("Commandline:");
            transaction.person = field("Requested-By:");
        }
    }
}

/// Local time, as logs have it.
fn seconds(stamp: &str) -> Option<i64> {
    let time: DateTime = stamp.replace(' ', "T").parse().ok()?;
    Some(time.to_zoned(TimeZone::system()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_told_apart() {
        let log = "2026-11-21 07:00:00 startup archives unpack\n\
                   2026-11-21 07:00:01 upgrade tool:amd64 1 2\n\
                   2026-11-21 07:00:09 status installed tool:amd64 2\n\
                   2026-11-21 09:00:00 remove other:all 3 <none>\nnonsense\n";
        let mut all = parse(log);
        attribute(
            &mut all,
            "\nStart-Date: 2026-11-21  09:00:00\nCommandline: apt remove other\nRequested-By: ann (1000)\n",
        );
        assert_eq!(all.len(), 2);
        let [act] = &all[0].acts[..] else { panic!("{all:?}") };
        assert_eq!(
            [&act.verb, &act.package, &act.old, &act.new].map(String::as_str),
            ["upgrade", "tool", "1", "2"]
        );
        assert!(all[0].covers(all[0].begin + 9) && !all[0].covers(all[1].begin));
        assert_eq!(all[1].asked().as_deref(), Some("`apt remove other` asked for by ann (1000)"));
        assert_eq!(all[0].asked(), None);
    }
}
