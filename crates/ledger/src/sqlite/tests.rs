//! The conformance checks on SQLite, and what is special to a file.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::GenerationSummary;

/// The file behind a ledger, without its rules.
fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/theseus/ledger.db");
    (folder, path)
}

fn with_runs(path: &Path, count: u32) -> SqliteLedger {
    let mut ledger = SqliteLedger::open(path).unwrap();
    for number in 0..count {
        let id = format!("r{number}");
        let start =
            RunStart { id: id.clone(), started: "2026-01-01T00:00:00Z".into(), ..RunStart::default() };
        ledger.begin_run(&start).unwrap();
        let host = HostResult {
            host: "a".into(),
            generation: Some(u64::from(number)),
            made: true,
            ..HostResult::default()
        };
        let generations = vec![("a".to_owned(), u64::from(number), GenerationSummary::default())];
        let finished = "2026-01-01T00:00:01Z".to_owned();
        ledger.end_run(&id, &RunEnd { finished, exit: 0, hosts: vec![host], generations }).unwrap();
    }
    ledger
}

#[test]
fn conforms() {
    let mut folders = Vec::new();
    crate::conformance::check(&mut || {
        let (folder, path) = place();
        folders.push(folder);
        Box::new(SqliteLedger::open(&path).unwrap())
    });
}

#[test]
fn is_for_its_owner_only_and_survives() {
    let (_folder, path) = place();
    drop(with_runs(&path, 2));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let again = SqliteLedger::open_existing(&path).unwrap().unwrap();
    assert_eq!(again.runs(None, 10).unwrap().len(), 2);
    assert!(SqliteLedger::open_existing(&path.with_extension("none")).unwrap().is_none());
}

#[test]
fn a_newer_ledger_is_refused_in_words() {
    let (_folder, path) = place();
    drop(SqliteLedger::open(&path).unwrap());
    raw(&path).pragma_update(None, "user_version", 99).unwrap();
    let Err(error) = SqliteLedger::open(&path) else { panic!("it was opened") };
    assert!(error.to_string().contains("newer Theseus (its version is 99"), "{error}");
}

#[test]
fn other_files_are_refused() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "this is a text of more than a hundred bytes, ".repeat(10)).unwrap();
    assert!(matches!(SqliteLedger::open(&path), Err(Error::Foreign { .. })));
    std::fs::remove_file(&path).unwrap();
    raw(&path).execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    assert!(matches!(SqliteLedger::open(&path), Err(Error::Foreign { .. })));
}

#[test]
fn every_kind_of_tampering_is_found() {
    for (change, said) in [
        (
            "UPDATE log SET body = replace(body, 'r1', 'rX') WHERE number = 3",
            "entry 3 of the log was altered",
        ),
        ("DELETE FROM log WHERE number = 4", "entry 4 of the log is missing"),
        ("UPDATE log SET previous = hash WHERE number = 2", "entry 2 of the log does not follow"),
        ("UPDATE runs SET person = 'nobody' WHERE id = 'r1'", "run r1 is not as entry 3"),
        ("UPDATE runs SET exit_code = 2 WHERE id = 'r1'", "the end of run r1"),
        ("UPDATE results SET failed = 1 WHERE run = 'r1'", "the results of run r1"),
        ("DELETE FROM generations WHERE number = 1", "generation 1 of a"),
        (
            "INSERT INTO generations SELECT host, 50, run, entry, at, summary FROM generations WHERE number = 1",
            "generation 50 of a",
        ),
        ("UPDATE hosts SET facts = '{\"kernel\": \"x\"}'", "the facts of a"),
    ] {
        let (_folder, path) = place();
        drop(with_runs(&path, 3));
        let connection = raw(&path);
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(change).unwrap();
        drop(connection);
        let found = SqliteLedger::open(&path).unwrap().verify().unwrap().problem;
        assert!(found.as_ref().is_some_and(|found| found.contains(said)), "{change}: {found:?}");
    }
}

#[test]
fn several_writers_make_one_chain() {
    let (_folder, path) = place();
    drop(SqliteLedger::open(&path).unwrap());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut ledger = SqliteLedger::open(path).unwrap();
                for number in 0..10 {
                    let id = format!("w{writer}-{number}");
                    ledger.begin_run(&RunStart { id, ..RunStart::default() }).unwrap();
                }
            });
        }
    });
    let verification = SqliteLedger::open(&path).unwrap().verify().unwrap();
    assert_eq!((verification.entries, verification.problem), (40, None));
}

#[test]
fn opens_in_about_a_millisecond() {
    let (_folder, path) = place();
    drop(with_runs(&path, 50));
    let fastest = (0..20)
        .map(|_| {
            let start = Instant::now();
            let ledger = SqliteLedger::open(&path).unwrap();
            let taken = start.elapsed();
            drop(ledger);
            taken
        })
        .min()
        .unwrap();
    println!("opened in {fastest:?}");
    assert!(fastest.as_millis() < 5, "{fastest:?}");
}
