//! Write-ahead journals, one for each subject (a fleet): checksummed entries in order, and a lease with an epoch, so
//! that only the newest holder may append. In a file of its own beside the ledger, always synced to the disk: what is
//! in it may be done afterwards.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{Error, Result};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS entries (
    subject TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    sum TEXT NOT NULL,
    PRIMARY KEY (subject, number)
);
CREATE TABLE IF NOT EXISTS leases (
    subject TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS shown (
    subject TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
";

/// One entry, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    pub number: u64,
    pub at: u64,
    pub body: String,
}

/// Who may append, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub epoch: u64,
    pub holder: String,
    pub until: u64,
}

/// What became of an attempt to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The last entry's number.
    Done(u64),
    /// Somebody has written since: read that first.
    Behind,
    /// The lease is another one's.
    Fenced,
}

pub struct Journal {
    connection: Connection,
}

impl Journal {
    /// Opens the file, made (for its owner only) when it is missing.
    pub fn open(path: &Path) -> Result<Self> {
        crate::sqlite::make(path).map_err(|source| Error::Place { path: path.to_path_buf(), source })?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch("PRAGMA synchronous = FULL;")?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection })
    }

    fn write(&mut self) -> Result<Transaction<'_>> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    pub fn subjects(&self) -> Result<Vec<String>> {
        let mut all = self.connection.prepare("SELECT DISTINCT subject FROM entries ORDER BY subject")?;
        let names = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(names)
    }

    pub fn lease(&self, subject: &str) -> Result<Option<Lease>> {
        lease(&self.connection, subject)
    }

    /// Takes the lease if it is free, has run out, or `over` says that its holder is gone. The epoch is a new one.
    /// Otherwise: who has it.
    pub fn take(
        &mut self,
        subject: &str,
        holder: &str,
        now: u64,
        millis: u64,
        over: &dyn Fn(&Lease) -> bool,
    ) -> Result<std::result::Result<u64, Lease>> {
        let transaction = self.write()?;
        let before = lease(&transaction, subject)?;
        if let Some(before) = &before
            && before.until > now
            && !over(before)
        {
            return Ok(Err(before.clone()));
        }
        let epoch = before.map_or(0, |before| before.epoch) + 1;
        transaction.execute(
            "INSERT INTO leases (subject, epoch, holder, until) VALUES ($1, $2, $3, $4)
             ON CONFLICT (subject) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder, until = excluded.until",
            params![subject, signed(epoch), holder, signed(now + millis)],
        )?;
        transaction.commit()?;
        Ok(Ok(epoch))
    }

    /// Makes the lease last longer. False: it is another one's.
    pub fn renew(&mut self, subject: &str, epoch: u64, until: u64) -> Result<bool> {
        let changed = self.connection.execute(
            // SQLite counts these in the order in which they appear.
            "UPDATE leases SET until = $1 WHERE subject = $2 AND epoch = $3",
            params![signed(until), subject, signed(epoch)],
        )?;
        Ok(changed > 0)
    }

    /// Appends all or nothing. With an epoch: only as the holder of the lease. With `after`: only behind that entry.
    pub fn append(
        &mut self,
        subject: &str,
        epoch: Option<u64>,
        after: Option<u64>,
        at: u64,
        bodies: &[String],
    ) -> Result<Appended> {
        let transaction = self.write()?;
        if let Some(epoch) = epoch
            && lease(&transaction, subject)?.is_none_or(|lease| lease.epoch != epoch)
        {
            return Ok(Appended::Fenced);
        }
        let (mut number, mut sum) = last(&transaction, subject)?;
        if after.is_some_and(|after| after != number) {
            return Ok(Appended::Behind);
        }
        for body in bodies {
            number += 1;
            sum = link(&sum, number, at, body);
            transaction
                .prepare_cached(
                    "INSERT INTO entries (subject, number, at, body, sum) VALUES ($1, $2, $3, $4, $5)",
                )?
                .execute(params![subject, signed(number), signed(at), body, sum])?;
        }
        transaction.commit()?;
        Ok(Appended::Done(number))
    }

    /// The entries behind number `after`. A broken checksum is an error.
    pub fn read(&self, subject: &str, after: u64) -> Result<Vec<JournalEntry>> {
        let mut sum: String = self
            .connection
            .prepare_cached("SELECT sum FROM entries WHERE subject = $1 AND number = $2")?
            .query_row(params![subject, signed(after)], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let mut rows = self.connection.prepare_cached(
            "SELECT number, at, body, sum FROM entries WHERE subject = $1 AND number > $2 ORDER BY number",
        )?;
        let mut rows = rows.query(params![subject, signed(after)])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let number = row.get::<_, i64>(0)?.unsigned_abs();
            let entry = JournalEntry { number, at: row.get::<_, i64>(1)?.unsigned_abs(), body: row.get(2)? };
            sum = link(&sum, entry.number, entry.at, &entry.body);
            if sum != row.get::<_, String>(3)? {
                return Err(Error::BrokenJournal { subject: subject.to_owned(), number });
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The newest entry that begins so.
    pub fn last_of(&self, subject: &str, beginning: &str) -> Result<Option<u64>> {
        let found: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT MAX(number) FROM entries WHERE subject = $1 AND substr(body, 1, $2) = $3",
            )?
            .query_row(params![subject, signed(beginning.len() as u64), beginning], |row| row.get(0))?;
        Ok(found.map(i64::unsigned_abs))
    }

    /// What others may see without asking the hosts: not part of the journal.
    pub fn show(&mut self, subject: &str, at: u64, body: &str) -> Result<()> {
        self.connection.execute(
            "INSERT INTO shown (subject, at, body) VALUES ($1, $2, $3)
             ON CONFLICT (subject) DO UPDATE SET at = excluded.at, body = excluded.body",
            params![subject, signed(at), body],
        )?;
        Ok(())
    }

    pub fn shown(&self, subject: &str) -> Result<Option<(u64, String)>> {
        let found =
            self.connection.query_row("SELECT at, body FROM shown WHERE subject = $1", [subject], |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
            });
        Ok(found.optional()?)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn lease(connection: &Connection, subject: &str) -> Result<Option<Lease>> {
    let found = connection.query_row(
        "SELECT epoch, holder, until FROM leases WHERE subject = $1",
        [subject],
        |row| {
            Ok(Lease {
                epoch: row.get::<_, i64>(0)?.unsigned_abs(),
                holder: row.get(1)?,
                until: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        },
    );
    Ok(found.optional()?)
}

fn last(connection: &Connection, subject: &str) -> Result<(u64, String)> {
    let found = connection
        .prepare_cached("SELECT number, sum FROM entries WHERE subject = $1 ORDER BY number DESC LIMIT 1")?
        .query_row([subject], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)));
    Ok(found.optional()?.unwrap_or_default())
}

/// Each checksum covers everything before it.
fn link(before: &str, number: u64, at: u64, body: &str) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(before.as_bytes());
    hash.update(&number.to_le_bytes());
    hash.update(&at.to_le_bytes());
    hash.update(body.as_bytes());
    hash.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_holder_appends_and_only_behind_what_it_has_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleets.db");
        let mut journal = Journal::open(&path).unwrap();
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let no = |_: &Lease| false;
        assert_eq!(journal.take("web", "one", 0, 100, &no).unwrap(), Ok(1));
        assert_eq!(
            journal.append("web", Some(1), Some(0), 1, &texts(&["a", "b"])).unwrap(),
            Appended::Done(2)
        );
        assert_eq!(journal.take("web", "two", 50, 100, &no).unwrap().unwrap_err().holder, "one");
        assert_eq!(journal.append("web", None, None, 2, &texts(&["abort"])).unwrap(), Appended::Done(3));
        assert_eq!(journal.append("web", Some(1), Some(2), 3, &texts(&["c"])).unwrap(), Appended::Behind);
        // It has run out, or its holder is gone.
        assert_eq!(journal.take("web", "two", 101, 100, &no).unwrap(), Ok(2));
        assert_eq!(journal.take("web", "three", 102, 100, &|_| true).unwrap(), Ok(3));
        assert_eq!(journal.append("web", Some(2), Some(3), 3, &texts(&["c"])).unwrap(), Appended::Fenced);
        assert!(!journal.renew("web", 2, 1000).unwrap() && journal.renew("web", 3, 1000).unwrap());
        let again = Journal::open(&path).unwrap();
        let read: Vec<String> = again.read("web", 1).unwrap().into_iter().map(|entry| entry.body).collect();
        assert_eq!(read, ["b", "abort"]);
        assert_eq!((again.last_of("web", "a").unwrap(), again.last_of("web", "x").unwrap()), (Some(3), None));
        again.connection.execute("UPDATE entries SET body = 'x' WHERE number = 2", []).unwrap();
        assert!(matches!(again.read("web", 0), Err(Error::BrokenJournal { number: 2, .. })));
    }
}
