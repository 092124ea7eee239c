//! `known_hosts`: the keys by which ssh knows other hosts.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;
use sha1::{Digest, Sha1};

use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::str("name").required().aliases(&["host"]),
    Arg::str("key"),
    Arg::path("path").default("~/.ssh/known_hosts"),
    Arg::bool("hash_host").default("false"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("known_hosts", ARGS), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let given = args.string("name");
    if given.contains(',') {
        return Err("Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.".into());
    }
    // As ssh does.
    let host = if given.starts_with('[') { given.clone() } else { given.to_lowercase() };
    let state = args.string("state");
    let hash = args.bool("hash_host");
    let key = args.str("key").map(str::trim_end).filter(|k| !k.is_empty());
    let lines: Vec<String> = match key {
        None if state == "present" => return Err("No key specified when adding a host".into()),
        None => Vec::new(),
        Some(key) => checked(key, &host)?,
    };
    let file = TextFile::read(PathBuf::from(args.string("path")))?;
    let after = if state == "present" {
        add(file.text(), &host, &lines, hash)?
    } else {
        remove(file.text(), &host, &lines)
    };
    let changed = file.differs(&after);
    let shown = file.path.to_string_lossy().into_owned();
    let diff = json!({
        "before_header": if file.before.is_some() { shown.as_str() } else { "/dev/null" },
        "after_header": shown, "before": file.text(), "after": after,
    });
    if task.check {
        return Ok(Outcome::changed(changed).with("diff", diff));
    }
    if changed {
        file.write(task, &after, None)?;
    }
    let key = args.str("key").map_or(Json::Null, |key| json!(key.trim_end()));
    Ok(Outcome::changed(changed)
        .with("name", given)
        .with("key", key)
        .with("path", shown)
        .with("hash_host", hash)
        .with("state", "file")
        .with("diff", diff))
}

/// The lines of the key; each is about this host.
fn checked(key: &str, host: &str) -> Result<Vec<String>, Failure> {
    let lines: Vec<String> = key
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if lines.iter().all(|line| Line::parse(line).is_some_and(|line| line.is_about(host))) {
        return Ok(lines);
    }
    Err("Host parameter does not match hashed host field in supplied key".into())
}

struct Line<'a> {
    marker: Option<&'a str>,
    hosts: &'a str,
    kind: &'a str,
    key: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let (hosts, kind, key) = (words.next()?, words.next()?, words.next()?);
        (!hosts.starts_with('#')).then_some(Self { marker, hosts, kind, key })
    }

    fn is_about(&self, host: &str) -> bool {
        if self.hosts.starts_with("|1|") {
            return is_hash_of(self.hosts, host);
        }
        // Brackets are part of a name with a port, not a class of letters.
        let matches = |pattern: &str| {
            let pattern = pattern.to_lowercase();
            pattern == host || (!pattern.contains('[') && crate::patterns::matches(&pattern, host))
        };
        let refused = self.hosts.split(',').filter_map(|p| p.strip_prefix('!')).any(matches);
        !refused && self.hosts.split(',').any(matches)
    }
}

fn add(text: &str, host: &str, wanted: &[String], hash: bool) -> Result<String, Failure> {
    let mut after = text.to_owned();
    for line in wanted {
        let Some(new) = Line::parse(line) else { continue };
        let same_kind =
            |old: &Line<'_>| old.is_about(host) && old.kind == new.kind && old.marker == new.marker;
        let is_there = after.lines().filter_map(Line::parse).any(|old| {
            same_kind(&old)
                && old.key == new.key
                && old.hosts.starts_with("|1|") == (hash || new.hosts.starts_with("|1|"))
        });
        if is_there {
            continue;
        }
        // A host has one key of a kind; there may be several authorities.
        let replaces = new.marker != Some("@cert-authority");
        let stays = |l: &&str| !(replaces && Line::parse(l).is_some_and(|old| same_kind(&old)));
        after = after.split_inclusive('\n').filter(stays).collect();
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        if hash && !new.hosts.starts_with("|1|") {
            let name = hashed(host)?;
            after.push_str(&line.replacen(new.hosts, &name, 1));
        } else {
            after.push_str(line);
        }
        after.push('\n');
    }
    Ok(after)
}

/// Without a key, every one of the host goes.
fn remove(text: &str, host: &str, keys: &[String]) -> String {
    let goes = |line: &&str| {
        Line::parse(line).is_some_and(|old| {
            let named = keys.is_empty()
                || keys.iter().filter_map(|k| Line::parse(k)).any(|k| k.kind == old.kind && k.key == old.key);
            named && old.is_about(host)
        })
    };
    text.split_inclusive('\n').filter(|line| !goes(line)).collect()
}

fn is_hash_of(field: &str, host: &str) -> bool {
    let mut parts = field.split('|').skip(2);
    let (Some(salt), Some(sum)) = (parts.next(), parts.next()) else { return false };
    let Ok(salt) = BASE64.decode(salt) else { return false };
    BASE64.decode(sum).is_ok_and(|sum| sum == hmac(&salt, host.as_bytes()))
}

fn hashed(host: &str) -> Result<String, Failure> {
    let mut salt = [0; 20];
    rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())
        .map_err(std::io::Error::from)?;
    Ok(format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(hmac(&salt, host.as_bytes()))))
}

/// HMAC-SHA1 (RFC 2104) with a key no longer than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |fill: u8| {
        let mut block = [fill; 64];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        block
    };
    let inner = Sha1::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha1::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{hmac, is_hash_of};

    #[test]
    fn hashed_names_are_those_of_ssh_keygen() {
        // RFC 2202, test case 2.
        assert_eq!(
            crate::files::hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        let field = super::hashed("a.example").unwrap();
        assert!(is_hash_of(&field, "a.example") && !is_hash_of(&field, "b.example"));
    }
}
