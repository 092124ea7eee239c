//! The tables, as numbered steps that are only ever added to. Plain SQL that PostgreSQL also takes.

/// Step n brings a ledger from version n to n + 1.
pub(crate) const STEPS: &[&str] = &["
CREATE TABLE log (
    number BIGINT PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
);
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    entry BIGINT NOT NULL REFERENCES log (number),
    started TEXT NOT NULL,
    finished TEXT,
    person TEXT NOT NULL,
    command TEXT NOT NULL,
    project TEXT NOT NULL,
    playbooks_digest TEXT NOT NULL,
    check_mode BIGINT NOT NULL,
    exit_code BIGINT
);
CREATE INDEX runs_by_entry ON runs (entry);
CREATE TABLE results (
    run TEXT NOT NULL REFERENCES runs (id),
    host TEXT NOT NULL,
    ok BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    unreachable BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    rescued BIGINT NOT NULL,
    ignored BIGINT NOT NULL,
    generation BIGINT,
    made BIGINT NOT NULL,
    reason TEXT,
    PRIMARY KEY (run, host)
);
CREATE INDEX results_by_host ON results (host, run);
CREATE TABLE generations (
    host TEXT NOT NULL,
    number BIGINT NOT NULL,
    run TEXT NOT NULL REFERENCES runs (id),
    entry BIGINT NOT NULL REFERENCES log (number),
    at TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (host, number, run)
);
CREATE INDEX generations_by_entry ON generations (entry);
CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    facts TEXT NOT NULL
);
"];
