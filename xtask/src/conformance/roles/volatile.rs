//! What is another each time a role runs, whoever runs it: left out of the comparison of trees, beside what no case
//! compares.

use super::super::outcome::Outcome;
use super::Role;

/// Path, and why it is left out.
const PATHS: &[(&str, &str)] = &[
    (
        "/var/lib/dpkg/status",
        "the order and the conffiles' sums of what was installed follow apt's own order",
    ),
    ("/var/lib/dpkg/available", "written by dpkg as it goes"),
    ("/var/lib/systemd/deb-systemd-helper-enabled", "carries the times of links"),
    ("/var/lib/ucf", "ucf keeps dated copies of its own registry"),
    ("/var/lib/apt", "package lists"),
    ("/etc/apt/apt.conf.d/00conformance", "the harness's own"),
    ("/usr/share/info/dir", "install-info sorts by time"),
    ("/var/spool/postfix", "queues and sockets of a running daemon"),
    ("/var/mail", "mails carry dates"),
    ("/var/lib/mysql", "a database's own files"),
    ("/var/lib/redis/dump.rdb", "a database's own file"),
    ("/var/lib/fail2ban/fail2ban.sqlite3", "a database's own file"),
    ("/var/lib/dovecot/instances", "the second of the last start"),
    ("/var/lib/snmp/snmpd.conf", "counts starts, holds keys of its own"),
    ("/var/lib/postfix/master.lock", "holds the number of a process"),
    ("/var/spool/rsyslog/imjournal.state", "a place in the journal"),
    ("/var/lib/postgresql", "a database's own files"),
    ("/etc/ssl/private/ssl-cert-snakeoil.key", "a key made by the package"),
    ("/etc/ssl/certs/ssl-cert-snakeoil.pem", "a certificate made by the package"),
];

/// Names of files that Python or a package's own tool writes with a date in them.
const NAMES: &[&str] = &[".pyc", ".cache"];

pub(super) fn without(outcome: &Outcome, role: &Role) -> Outcome {
    let mut kept = outcome.clone();
    for delta in kept.trees.values_mut() {
        delta.retain(|path, _| !left_out(path, role));
    }
    kept
}

fn left_out(path: &str, role: &Role) -> bool {
    let below =
        |listed: &str| path.strip_prefix(listed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    PATHS.iter().any(|(listed, _)| below(listed))
        || role.ignore.iter().any(|listed| below(listed.trim_end_matches('/')))
        || NAMES.iter().any(|end| path.ends_with(end))
}
