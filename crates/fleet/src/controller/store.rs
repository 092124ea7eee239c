//! The journal of fleets on disk, in the machine's own words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::{Appended, Journal, Lease};
use serde_json::{Value, json};

use crate::engine::{Command, MemberId, Millis, Observation, Record, Spec, State, report};
use crate::traffic::Server;

/// The file beside the ledger.
const FILE: &str = "fleets.db";
/// How an entry with all of the state begins.
const SNAPSHOT: &str = r#"{"record":"snapshot""#;

#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Done,
    Refused(String),
    /// No controller has answered yet.
    Waiting,
}

pub struct Store {
    journal: Journal,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Store {
    /// `folder`: where the ledger is.
    pub fn open(folder: PathBuf) -> Result<Self, String> {
        Ok(Self { journal: Journal::open(&folder.join(FILE)).map_err(said)? })
    }

    pub fn fleets(&self) -> Result<Vec<String>, String> {
        self.journal.subjects().map_err(said)
    }

    /// This process, so that others can find out whether it lives.
    #[must_use]
    pub fn holder(&self) -> String {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let pid = std::process::id();
        format!("{machine} {pid} {}", started(pid).unwrap_or_default())
    }

    pub(super) fn take(&mut self, fleet: &str, millis: Millis) -> Result<Result<u64, String>, String> {
        let holder = self.holder();
        let over = |lease: &Lease| gone(&lease.holder);
        let taken = self.journal.take(fleet, &holder, now(), millis, &over).map_err(said)?;
        Ok(taken.map_err(|lease| lease.holder))
    }

    /// Who is at work on a fleet, if anybody is.
    pub fn at_work(&self, fleet: &str) -> Result<Option<String>, String> {
        let lease = self.journal.lease(fleet).map_err(said)?;
        Ok(lease.filter(|lease| lease.until > now() && !gone(&lease.holder)).map(|lease| lease.holder))
    }

    pub(super) fn renew(&mut self, fleet: &str, epoch: u64, until: Millis) -> Result<bool, String> {
        self.journal.renew(fleet, epoch, until).map_err(said)
    }

    pub(super) fn holds(&self, fleet: &str, epoch: u64) -> Result<bool, String> {
        let lease = self.journal.lease(fleet).map_err(said)?;
        Ok(lease.is_some_and(|lease| lease.epoch == epoch))
    }

    /// The number of the entry that everything before it need not be read for.
    pub(super) fn base(&self, fleet: &str) -> Result<u64, String> {
        Ok(self.journal.last_of(fleet, SNAPSHOT).map_err(said)?.unwrap_or(0))
    }

    /// What is behind an entry; from the beginning: from the last entry that has everything.
    pub fn read(&self, fleet: &str, after: u64) -> Result<Vec<(u64, Millis, Record)>, String> {
        let after = if after == 0 { self.base(fleet)?.saturating_sub(1) } else { after };
        let entries = self.journal.read(fleet, after).map_err(said)?;
        let parse = |entry: ledger::JournalEntry| {
            let record = serde_json::from_str(&entry.body).map_err(said)?;
            Ok((entry.number, entry.at, record))
        };
        entries.into_iter().map(parse).collect()
    }

    pub(super) fn append(
        &mut self,
        fleet: &str,
        epoch: Option<u64>,
        after: Option<u64>,
        at: Millis,
        records: &[Record],
    ) -> Result<Appended, String> {
        let bodies: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
        self.journal.append(fleet, epoch, after, at, &bodies.map_err(said)?).map_err(said)
    }

    /// What the journal says of a fleet; none: it says nothing.
    pub fn state(&self, fleet: &str) -> Result<Option<State>, String> {
        let entries = self.read(fleet, 0)?;
        if entries.is_empty() {
            return Ok(None);
        }
        let mut state = State::new(Spec::new(fleet, 1));
        entries.iter().for_each(|(_, at, record)| state.apply(*at, record));
        Ok(Some(state))
    }

    /// Puts a request into the journal; its number.
    pub fn ask(
        &mut self,
        fleet: &str,
        by: &str,
        rollout: Option<String>,
        command: Command,
    ) -> Result<u64, String> {
        let record = Record::Asked { by: by.to_owned(), rollout, command };
        self.append(fleet, None, None, now(), &[record])?;
        let state = self.state(fleet)?;
        Ok(state.map_or(1, |state| state.answered + state.requests.len() as u64))
    }

    pub fn answer(&self, fleet: &str, number: u64) -> Result<Asked, String> {
        let state = self.state(fleet)?;
        let answers = state.into_iter().flat_map(|state| state.answers);
        let answer = answers.into_iter().find(|answer| answer.number == number);
        Ok(match answer {
            None => Asked::Waiting,
            Some(answer) => answer.refused.map_or(Asked::Done, Asked::Refused),
        })
    }

    /// For those who watch: what the controller sees now.
    pub(super) fn show(
        &mut self,
        fleet: &str,
        state: &State,
        seen: &Observation,
        servers: &BTreeMap<MemberId, Server>,
    ) -> Result<(), String> {
        let body = json!({"waits": report(state, seen), "seen": seen, "servers": servers});
        self.journal.show(fleet, seen.at, &body.to_string()).map_err(said)
    }

    pub fn shown(&self, fleet: &str) -> Result<Option<(Millis, Value)>, String> {
        let found = self.journal.shown(fleet).map_err(said)?;
        Ok(found.and_then(|(at, body)| Some((at, serde_json::from_str(&body).ok()?))))
    }
}

/// When a process of this machine was started, in the kernel's clock: tells it from a later one of the same number.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let zombie = matches!(fields.next(), Some("Z" | "X"));
    fields.nth(18).filter(|_| !zombie).map(str::to_owned)
}

/// Whether a holder was a process of this machine and has ended.
fn gone(holder: &str) -> bool {
    let mut words = holder.split(' ');
    let (machine, pid, since) = (words.next(), words.next().and_then(|pid| pid.parse().ok()), words.next());
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let Some(pid) = pid.filter(|_| machine == Some(here.as_str())) else { return false };
    started(pid).as_deref() != since
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Generation;

    #[test]
    fn what_is_before_a_snapshot_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path().to_owned()).expect("a store");
        let generation = Generation::from("v1");
        store.ask("web", "ann", None, Command::Up { generation: generation.clone() }).expect("asked");
        let current = Record::Current { generation };
        store.append("web", None, None, 1, &[Record::Answered { refused: None }, current]).expect("written");
        let state = store.state("web").expect("read").expect("there");
        let snapshot = Record::Snapshot { state: Box::new(state.clone()) };
        store.append("web", None, None, 2, &[snapshot, Record::Scaled { members: 5 }]).expect("written");
        assert_eq!(store.read("web", 0).expect("read").len(), 2);
        assert_eq!(store.base("web"), Ok(4));
        assert_eq!(store.state("web").expect("read"), Some(State { desired: 5, ..state }));
    }
}
