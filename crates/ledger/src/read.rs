//! Rows back into records.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{Counts, Entry, Generation, HostRecord, HostResult, Result, Run, RunStart};

/// SQL knows no unsigned numbers; ours are counters that never come near the limit.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

const RUN: &str = "SELECT id, started, finished, person, command, project, playbooks_digest, check_mode, exit_code FROM runs";

fn to_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let start = RunStart {
        id: row.get(0)?,
        started: row.get(1)?,
        person: row.get(3)?,
        command: row.get(4)?,
        project: row.get(5)?,
        playbooks_digest: row.get(6)?,
        check: row.get::<_, i64>(7)? != 0,
    };
    Ok(Run { start, finished: row.get(2)?, exit: row.get(8)? })
}

pub(crate) fn run(connection: &Connection, id: &str) -> Result<Option<Run>> {
    Ok(connection.prepare_cached(&format!("{RUN} WHERE id = $1"))?.query_row([id], to_run).optional()?)
}

pub(crate) fn runs(connection: &Connection, host: Option<&str>, limit: usize) -> Result<Vec<Run>> {
    let order = "ORDER BY entry DESC LIMIT";
    let rows = match host {
        Some(host) => connection
            .prepare_cached(&format!(
                "{RUN} WHERE id IN (SELECT run FROM results WHERE host = $1) {order} $2"
            ))?
            .query_map(params![host, limited(limit)], to_run)?
            .collect::<rusqlite::Result<_>>(),
        None => connection
            .prepare_cached(&format!("{RUN} {order} $1"))?
            .query_map([limited(limit)], to_run)?
            .collect::<rusqlite::Result<_>>(),
    };
    Ok(rows?)
}

pub(crate) fn results(connection: &Connection, run: &str) -> Result<Vec<HostResult>> {
    let count = |row: &Row<'_>, column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let rows = connection
        .prepare_cached(
            "SELECT host, ok, changed, unreachable, failed, skipped, rescued, ignored, generation, made, reason
             FROM results WHERE run = $1 ORDER BY host",
        )?
        .query_map([run], |row| {
            let counts = Counts {
                ok: count(row, 1)?,
                changed: count(row, 2)?,
                unreachable: count(row, 3)?,
                failed: count(row, 4)?,
                skipped: count(row, 5)?,
                rescued: count(row, 6)?,
                ignored: count(row, 7)?,
            };
            Ok(HostResult {
                host: row.get(0)?,
                counts,
                generation: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
                made: row.get::<_, i64>(9)? != 0,
                reason: row.get(10)?,
            })
        })?
        .collect::<rusqlite::Result<_>>();
    Ok(rows?)
}

pub(crate) fn generations(
    connection: &Connection,
    host: Option<&str>,
    limit: usize,
) -> Result<Vec<Generation>> {
    let select = "SELECT host, number, run, at, summary FROM generations";
    let row = |row: &Row<'_>| {
        let summary: String = row.get(4)?;
        let number = row.get::<_, i64>(1)?.unsigned_abs();
        Ok((
            Generation {
                host: row.get(0)?,
                number,
                run: row.get(2)?,
                at: row.get(3)?,
                ..Generation::default()
            },
            summary,
        ))
    };
    let rows: rusqlite::Result<Vec<(Generation, String)>> = match host {
        Some(host) => connection
            .prepare_cached(&format!("{select} WHERE host = $1 ORDER BY entry DESC, number DESC LIMIT $2"))?
            .query_map(params![host, limited(limit)], row)?
            .collect(),
        None => connection
            .prepare_cached(&format!("{select} ORDER BY entry DESC, host, number DESC LIMIT $1"))?
            .query_map([limited(limit)], row)?
            .collect(),
    };
    let whole = |(mut generation, summary): (Generation, String)| {
        generation.summary = serde_json::from_str(&summary)?;
        Ok(generation)
    };
    rows?.into_iter().map(whole).collect()
}

pub(crate) fn hosts(connection: &Connection) -> Result<Vec<HostRecord>> {
    let rows: rusqlite::Result<Vec<(HostRecord, String)>> = connection
        .prepare_cached(
            "SELECT name, first_seen, last_seen, facts,
                    (SELECT number FROM generations WHERE generations.host = hosts.name ORDER BY entry DESC, number DESC LIMIT 1)
             FROM hosts ORDER BY name",
        )?
        .query_map([], |row| {
            let generation = row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs);
            let host = HostRecord {
                name: row.get(0)?,
                first_seen: row.get(1)?,
                last_seen: row.get(2)?,
                generation,
                ..HostRecord::default()
            };
            Ok((host, row.get(3)?))
        })?
        .collect();
    let whole = |(mut host, facts): (HostRecord, String)| {
        host.facts = serde_json::from_str(&facts)?;
        Ok(host)
    };
    rows?.into_iter().map(whole).collect()
}

pub(crate) fn log(connection: &Connection, from: u64, limit: usize) -> Result<Vec<Entry>> {
    let rows = connection
        .prepare_cached(
            "SELECT number, at, kind, subject, body, previous, hash FROM log WHERE number >= $1 ORDER BY number LIMIT $2",
        )?
        .query_map(params![signed(from), limited(limit)], |row| {
            Ok(Entry {
                number: row.get::<_, i64>(0)?.unsigned_abs(),
                at: row.get(1)?,
                kind: row.get(2)?,
                subject: row.get(3)?,
                body: row.get(4)?,
                previous: row.get(5)?,
                hash: row.get(6)?,
            })
        })?
        .collect::<rusqlite::Result<_>>();
    Ok(rows?)
}
