//! The ledger in one file of the controller, with SQLite inside the program.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use serde_json::{Map, Value};

use crate::migrations::STEPS;
use crate::{Entry, Error, Ledger, Result, chain, facts_summary, read, verify};
use crate::{Generation, HostRecord, HostResult, Run, RunEnd, RunStart, Verification};

/// "THES": the file's kind, in SQLite's header.
const APPLICATION: i64 = 0x5448_4553;

pub struct SqliteLedger {
    connection: Connection,
}

impl SqliteLedger {
    /// Opens the ledger, made (readable by its owner only) when it is missing, and brought to this version.
    pub fn open(path: &Path) -> Result<Self> {
        make(path).map_err(|source| Error::Place { path: path.to_path_buf(), source })?;
        Self::connect(path)
    }

    /// Opens the ledger if there is one.
    pub fn open_existing(path: &Path) -> Result<Option<Self>> {
        match path.try_exists() {
            Ok(true) => Self::connect(path).map(Some),
            Ok(false) => Ok(None),
            Err(source) => Err(Error::Place { path: path.to_path_buf(), source }),
        }
    }

    fn connect(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        prepare(&mut connection, path).map_err(|error| foreign(error, path))?;
        Ok(Self { connection })
    }

    /// One transaction that holds the only pen from its start, so that the chain has no forks.
    fn write(&mut self) -> Result<Transaction<'_>> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

/// An empty file in an own directory, both for their owner only.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn foreign(error: Error, path: &Path) -> Error {
    match &error {
        Error::Database(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == ErrorCode::NotADatabase =>
        {
            Error::Foreign { path: path.to_path_buf() }
        }
        _ => error,
    }
}

/// Checks whose file this is and brings it to this version.
fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL;")?;
    // Every run would wait for the disk at its end; now and then one does, when the log is long.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let version = version(connection)?;
    let known = STEPS.len() as i64;
    if version > known {
        return Err(Error::Newer { path: path.to_path_buf(), found: version, known });
    }
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let empty = || connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0));
    if application != APPLICATION && (application != 0 || empty()? > 0) {
        return Err(Error::Foreign { path: path.to_path_buf() });
    }
    if version == known {
        return Ok(());
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while we waited.
    let from = self::version(&transaction)?;
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    // The tables are in the file itself from here on.
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Adds to the chain; returns the entry's number.
fn append(transaction: &Transaction<'_>, at: &str, kind: &str, subject: &str, body: String) -> Result<i64> {
    let last: Option<(i64, String)> = transaction
        .prepare_cached("SELECT number, hash FROM log ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (before, previous) = last.unwrap_or_else(|| (0, chain::START.to_owned()));
    let number = before + 1;
    let entry = chain::link(Entry {
        number: number.unsigned_abs(),
        at: at.to_owned(),
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        body,
        previous,
        hash: String::new(),
    });
    transaction
        .prepare_cached(
            "INSERT INTO log (number, at, kind, subject, body, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )?
        .execute(params![number, entry.at, entry.kind, entry.subject, entry.body, entry.previous, entry.hash])?;
    Ok(number)
}

fn see(transaction: &Transaction<'_>, host: &str, at: &str) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO hosts (name, first_seen, last_seen, facts) VALUES ($1, $2, $3, '{}')
             ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen",
        )?
        .execute(params![host, at, at])?;
    Ok(())
}

fn insert_result(transaction: &Transaction<'_>, run: &str, result: &HostResult) -> Result<()> {
    let counts = &result.counts;
    transaction
        .prepare_cached(
            "INSERT INTO results (run, host, ok, changed, unreachable, failed, skipped, rescued, ignored, generation, made, reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )?
        .execute(params![
            run,
            result.host,
            read::signed(counts.ok),
            read::signed(counts.changed),
            read::signed(counts.unreachable),
            read::signed(counts.failed),
            read::signed(counts.skipped),
            read::signed(counts.rescued),
            read::signed(counts.ignored),
            result.generation.map(read::signed),
            i64::from(result.made),
            result.reason,
        ])?;
    Ok(())
}

fn insert_generation(transaction: &Transaction<'_>, entry: i64, generation: &Generation) -> Result<()> {
    let Generation { host, number, run, at, summary } = generation;
    transaction
        .prepare_cached(
            "INSERT INTO generations (host, number, run, entry, at, summary) VALUES ($1, $2, $3, $4, $5, $6)",
        )?
        .execute(params![host, read::signed(*number), run, entry, at, serde_json::to_string(summary)?])?;
    Ok(())
}

impl Ledger for SqliteLedger {
    fn begin_run(&mut self, run: &RunStart) -> Result<()> {
        let transaction = self.write()?;
        if read::run(&transaction, &run.id)?.is_some() {
            return Err(Error::KnownRun(run.id.clone()));
        }
        let entry = append(&transaction, &run.started, "run-begun", &run.id, serde_json::to_string(run)?)?;
        transaction
            .prepare_cached(
                "INSERT INTO runs (id, entry, started, person, command, project, playbooks_digest, check_mode)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )?
            .execute(params![
                run.id,
                entry,
                run.started,
                run.person,
                run.command,
                run.project,
                run.playbooks_digest,
                i64::from(run.check)
            ])?;
        Ok(transaction.commit()?)
    }

    fn end_run(&mut self, id: &str, end: &RunEnd) -> Result<()> {
        let transaction = self.write()?;
        let known = read::run(&transaction, id)?.ok_or_else(|| Error::UnknownRun(id.to_owned()))?;
        if known.finished.is_some() {
            return Err(Error::EndedRun(id.to_owned()));
        }
        let entry = append(&transaction, &end.finished, "run-ended", id, serde_json::to_string(end)?)?;
        transaction
            .prepare_cached("UPDATE runs SET finished = $1, exit_code = $2 WHERE id = $3")?
            .execute(params![end.finished, end.exit, id])?;
        for result in &end.hosts {
            insert_result(&transaction, id, result)?;
            see(&transaction, &result.host, &end.finished)?;
        }
        for (host, number, summary) in &end.generations {
            let generation = verify::generation(id, end, host, *number, summary);
            insert_generation(&transaction, entry, &generation)?;
            see(&transaction, host, &end.finished)?;
        }
        Ok(transaction.commit()?)
    }

    fn note_facts(&mut self, host: &str, at: &str, facts: &Map<String, Value>) -> Result<()> {
        let facts = serde_json::to_string(&facts_summary(facts))?;
        let transaction = self.write()?;
        let known: Option<String> = transaction
            .prepare_cached("SELECT facts FROM hosts WHERE name = $1")?
            .query_row([host], |row| row.get(0))
            .optional()?;
        see(&transaction, host, at)?;
        // The same facts again are no news.
        if known.as_deref() != Some(facts.as_str()) {
            append(&transaction, at, "facts", host, facts.clone())?;
            transaction
                .prepare_cached("UPDATE hosts SET facts = $1 WHERE name = $2")?
                .execute(params![facts, host])?;
        }
        Ok(transaction.commit()?)
    }

    fn runs(&self, host: Option<&str>, limit: usize) -> Result<Vec<Run>> {
        read::runs(&self.connection, host, limit)
    }

    fn run(&self, id: &str) -> Result<Option<Run>> {
        read::run(&self.connection, id)
    }

    fn results(&self, run: &str) -> Result<Vec<HostResult>> {
        read::results(&self.connection, run)
    }

    fn generations(&self, host: Option<&str>, limit: usize) -> Result<Vec<Generation>> {
        read::generations(&self.connection, host, limit)
    }

    fn last_generation(&self, host: &str) -> Result<Option<Generation>> {
        Ok(read::generations(&self.connection, Some(host), 1)?.pop())
    }

    fn hosts(&self) -> Result<Vec<HostRecord>> {
        read::hosts(&self.connection)
    }

    fn log(&self, from: u64, limit: usize) -> Result<Vec<Entry>> {
        read::log(&self.connection, from, limit)
    }

    fn verify(&self) -> Result<Verification> {
        // All of it at one moment, whatever others write meanwhile.
        let moment = self.connection.unchecked_transaction()?;
        let verification = verify::verify(self)?;
        moment.commit()?;
        Ok(verification)
    }
}

#[cfg(test)]
mod tests;
