//! Private keys, tokens and passwords in files that no package put there.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::clean::matches;
use crate::error::Result;
use crate::packages;
use crate::tree::{Kind, Node, Tree};

/// Larger files are no configuration.
const LARGEST: u64 = 4 << 20;

/// Marks of keys: the text of a line.
const KEYS: &[&str] = &[
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN DSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "PuTTY-User-Key-File-",
    "AGE-SECRET-KEY-1",
];

/// How tokens begin, how long the rest at least is, and whose they are.
const TOKENS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "an AWS access key"),
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("github_pat_", 40, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("sk_live_", 20, "a Stripe key"),
    ("rk_live_", 20, "a Stripe key"),
    ("AIza", 35, "a Google key"),
    ("npm_", 36, "an npm token"),
    ("pypi-", 50, "a PyPI token"),
    ("hvs.", 24, "a Vault token"),
    ("dckr_pat_", 24, "a Docker token"),
];

/// Words before a `=` or `:` whose value is a secret.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret_key",
    "secret_access_key",
    "api_key",
    "apikey",
    "auth_token",
    "access_token",
];

/// What stands for a value and is none.
const NO_VALUES: &[&str] = &[
    "none",
    "null",
    "false",
    "true",
    "changeme",
    "yes",
    "no",
    "prompt",
    "required",
    "optional",
    "sufficient",
    "password",
    "secret",
];

/// What was found where: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Raised when the rules change.
pub(crate) const VERSION: u32 = 1;

/// Looks through all files of a tree but those that packages own as they are, and those of directories in `seen`.
pub(crate) fn scan(tree: &Tree, allowed: &[String], seen: &[Arc<Path>]) -> Result<Vec<Found>> {
    let is_new = |node: &Node| node.content.is_some() || !seen.iter().any(|dir| Arc::ptr_eq(dir, &node.dir));
    let new: Vec<_> = tree.0.iter().filter(|(_, node)| is_new(node)).collect();
    // To know what packages own takes longer than to look through a few files of theirs.
    if new.len() < FEW {
        let found = look(&new, &HashSet::new(), allowed)?;
        return if found.is_empty() { Ok(found) } else { look(&new, &packages::owned(tree)?, allowed) };
    }
    look(&new, &packages::owned(tree)?, allowed)
}

const FEW: usize = 500;

fn look(files: &[(&Vec<u8>, &Node)], owned: &HashSet<Vec<u8>>, allowed: &[String]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (path, node) in files {
        if node.kind != Kind::File || node.size == 0 || node.size > LARGEST || owned.contains(*path) {
            continue;
        }
        let shown = format!("/{}", String::from_utf8_lossy(path));
        if shown == "/etc/nsswitch.conf" || shown.starts_with("/etc/pam.d/") {
            continue;
        }
        if allowed.iter().any(|pattern| matches(pattern.trim_start_matches('/'), &shown[1..])) {
            continue;
        }
        found.extend(file(&shown, path, node)?);
    }
    Ok(found)
}

fn file(shown: &str, path: &[u8], node: &Node) -> Result<Option<Found>> {
    let bytes = node.read(path)?;
    // Programs have the marks of keys in them, too.
    let binary = bytes.iter().take(8000).any(|byte| *byte == 0);
    if binary {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    let is_source =
        [".py", ".pl", ".pm", ".rb", ".js", ".sh", ".html", ".md", ".rst", ".c", ".h", ".go", ".rs"]
            .iter()
            .any(|end| shown.ends_with(end));
    for (number, line) in text.lines().enumerate() {
        let what = key(line)
            .or_else(|| token(line))
            .or_else(|| url(line))
            .or_else(|| if is_source { None } else { password(line) });
        if let Some(what) = what {
            return Ok(Some(Found { path: shown.to_owned(), line: number + 1, what }));
        }
    }
    Ok(None)
}

fn key(line: &str) -> Option<String> {
    let line = line.trim_start();
    KEYS.iter().any(|mark| line.starts_with(mark)).then(|| "a private key".to_owned())
}

fn token(line: &str) -> Option<String> {
    for (start, length, whose) in TOKENS {
        for (at, _) in line.match_indices(start) {
            let before = line[..at].chars().next_back();
            let fresh = before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
            let rest = line[at + start.len()..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
                .count();
            if fresh && rest >= *length {
                return Some((*whose).to_owned());
            }
        }
    }
    None
}

/// `scheme://user:password@host`
fn url(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("://")?;
    let authority: &str = rest.split(['/', ' ', '"', '\'', '<', '>']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (is_value(password)).then(|| "a password in an address".to_owned())
}

fn password(line: &str) -> Option<String> {
    let line = line.trim_start();
    if line.starts_with(['#', ';']) || line.starts_with("//") {
        return None;
    }
    let at = line.find(['=', ':'])?;
    let name = line[..at].trim().trim_matches(['"', '\'']).to_ascii_lowercase().replace('-', "_");
    let word = WORDS.iter().find(|word| {
        name == **word || name.ends_with(&format!("_{word}")) || name.ends_with(&format!(".{word}"))
    })?;
    let value = line[at + 1..].trim().trim_end_matches([',', ';']).trim_matches(['"', '\'']);
    is_value(value).then(|| format!("a value for `{word}`"))
}

/// Something a person would call a secret: not empty, no placeholder, no path, no hash of it.
fn is_value(value: &str) -> bool {
    let plain = value.to_ascii_lowercase();
    value.len() >= 4
        && !value.contains(char::is_whitespace)
        && !value.starts_with(['/', '$', '{', '<', '%', '@', '*', '&', '!', '[', '('])
        && !NO_VALUES.contains(&plain.as_str())
        && !value.chars().all(|c| matches!(c, 'x' | 'X' | '*' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Option<String> {
        text.lines().find_map(|line| {
            key(line).or_else(|| token(line)).or_else(|| url(line)).or_else(|| password(line))
        })
    }

    #[test]
    fn secrets_are_seen() {
        let token = format!("token: ghp_{}", "a1B2".repeat(9));
        for (text, what) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "a private key"),
            (token.as_str(), "a GitHub token"),
            ("db_password = hunter22", "a value for `password`"),
            ("  \"password\": \"s3cr3t!\",", "a value for `password`"),
            ("url=postgres://app:s3cr3t@db/app", "a password in an address"),
            ("aws_access_key_id = AKIAABCDEFGHIJKLMNOP", "an AWS access key"),
        ] {
            assert_eq!(look(text).as_deref(), Some(what), "{text}");
        }
    }

    #[test]
    fn other_things_are_not() {
        for text in [
            "-----BEGIN PUBLIC KEY-----",
            "# password = hunter22",
            "password = $DB_PASSWORD",
            "password_file = /etc/secret",
            "password: {{ x }}",
            "password requisite pam_deny.so",
            "http://example.org/a:b@c",
            "xghp_short",
            "passwd:         files systemd",
            "UsePAM: yes",
        ] {
            assert_eq!(look(text), None, "{text}");
        }
    }
}
