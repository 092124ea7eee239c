//! Host patterns: `web:&prod:!db`, `~regex`, `www*`, `web[0]`, `--limit @file`.

use std::path::Path;

use fancy_regex::Regex;
use indexmap::IndexSet;

use crate::diagnostic::{Diagnostic, Result};
use crate::inventory::{ALL, Inventory, LOCALHOST, is_address};

/// The hosts that a pattern means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// In order, each once. `localhost` may be among them without being in the inventory.
    pub hosts: Vec<String>,
    /// Parts of the pattern that name nothing.
    pub unmatched: Vec<String>,
}

impl Inventory {
    /// The hosts of a pattern, and of these only those that `limit` (another pattern) means as well.
    pub fn select(&self, pattern: &str, limit: Option<&str>) -> Result<Vec<String>> {
        Ok(self.selection(&[pattern.to_owned()], limit, Path::new(""))?.hosts)
    }

    /// As [`Self::select`], for several patterns (`hosts:` may be a list), and saying which parts name nothing.
    /// Files in a limit (`@file`) are relative to `base`.
    pub fn selection(&self, patterns: &[String], limit: Option<&str>, base: &Path) -> Result<Selection> {
        let parts: Vec<String> = patterns.iter().flat_map(|pattern| split(pattern)).collect();
        self.select_parts(&parts, limit, base)
    }

    fn select_parts(&self, parts: &[String], limit: Option<&str>, base: &Path) -> Result<Selection> {
        let mut unmatched = Vec::new();
        let mut hosts = self.evaluate(parts, &mut unmatched)?;
        if let Some(limit) = limit {
            let allowed = self.evaluate(&limit_parts(limit, base)?, &mut unmatched)?;
            hosts.retain(|host| allowed.contains(host));
        }
        Ok(Selection { hosts: hosts.into_iter().collect(), unmatched })
    }

    /// First everything that is named, then `&`, then `!`, whatever the order in which they are written.
    fn evaluate(&self, parts: &[String], unmatched: &mut Vec<String>) -> Result<IndexSet<String>> {
        let mut hosts = IndexSet::new();
        let named = |part: &&String| !part.starts_with(['&', '!']);
        if parts.iter().filter(named).count() == 0 {
            hosts.extend(self.hosts_of(ALL));
        }
        for part in parts.iter().filter(named) {
            hosts.extend(self.one(part, unmatched)?);
        }
        for part in parts.iter().filter_map(|part| part.strip_prefix('&')) {
            let kept: IndexSet<String> = self.one(part, unmatched)?.into_iter().collect();
            hosts.retain(|host| kept.contains(host));
        }
        for part in parts.iter().filter_map(|part| part.strip_prefix('!')) {
            let gone: IndexSet<String> = self.one(part, unmatched)?.into_iter().collect();
            hosts.retain(|host| !gone.contains(host));
        }
        Ok(hosts)
    }

    fn one(&self, part: &str, unmatched: &mut Vec<String>) -> Result<Vec<String>> {
        let (name, subscript) = subscript(part);
        let hosts: Vec<String> = self.matching(name)?.into_iter().collect();
        if hosts.is_empty() {
            unmatched.push(part.to_owned());
        }
        match subscript {
            Some(subscript) => subscript.apply(hosts, part),
            None => Ok(hosts),
        }
    }

    fn matching(&self, name: &str) -> Result<IndexSet<String>> {
        let matcher = Matcher::new(name)?;
        let mut hosts = IndexSet::new();
        let mut any_group = false;
        for group in self.groups.keys().filter(|group| matcher.matches(group)) {
            any_group = true;
            hosts.extend(self.hosts_of(group));
        }
        if !any_group || name.starts_with('~') || name.contains(['.', '?', '*', '[']) {
            hosts.extend(self.hosts.keys().filter(|host| matcher.matches(host)).cloned());
        }
        if hosts.is_empty() && LOCALHOST.contains(&name) {
            // Another name for the controller may be listed; if none is, it is there all the same.
            let listed = LOCALHOST.iter().find(|local| self.hosts.contains_key(**local));
            hosts.insert((*listed.unwrap_or(&name)).to_owned());
        }
        Ok(hosts)
    }
}

/// The parts of a limit, those in files included.
fn limit_parts(limit: &str, base: &Path) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    for part in split(limit) {
        let Some(file) = part.strip_prefix('@') else {
            parts.push(part);
            continue;
        };
        if base.join(file).is_dir() {
            return Err(Diagnostic::new(format!("the limit @{file} must be a file, not a directory")));
        }
        let text = std::fs::read_to_string(base.join(file))
            .map_err(|error| Diagnostic::new(format!("the limit file {file} cannot be read: {error}")))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        parts.extend(lines.map(str::to_owned));
    }
    Ok(parts)
}

/// A pattern into its parts: at commas; without any, at colons that are outside brackets and no part of an address.
pub fn split(pattern: &str) -> Vec<String> {
    let pieces: Vec<&str> = if pattern.contains(',') {
        pattern.split(',').collect()
    } else if is_address(pattern) {
        vec![pattern]
    } else {
        split_at_colons(pattern)
    };
    pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

fn split_at_colons(pattern: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in pattern.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                pieces.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&pattern[start..]);
    pieces
}

enum Subscript {
    Index(i64),
    /// Both ends included; without an end to the last one.
    Range(usize, Option<usize>),
}

impl Subscript {
    fn apply(&self, mut hosts: Vec<String>, part: &str) -> Result<Vec<String>> {
        match *self {
            Self::Index(index) => {
                let length = i64::try_from(hosts.len()).unwrap_or(i64::MAX);
                let at = if index < 0 { length.saturating_add(index) } else { index };
                match usize::try_from(at).ok().filter(|at| *at < hosts.len()) {
                    Some(at) => Ok(vec![hosts.swap_remove(at)]),
                    None if hosts.is_empty() => Ok(hosts),
                    None => Err(Diagnostic::new(format!(
                        "the pattern '{part}' means no host: its group has {length} of them, counted from 0"
                    ))),
                }
            }
            Self::Range(first, last) => {
                hosts.truncate(last.map_or(usize::MAX, |last| last.saturating_add(1)));
                Ok(hosts.split_off(first.min(hosts.len())))
            }
        }
    }
}

/// `name[0]`, `name[-1]`, `name[1:3]`, `name[1-3]`, `name[2:]` apart. Other brackets are part of the name.
fn subscript(part: &str) -> (&str, Option<Subscript>) {
    let whole = (part, None);
    if part.starts_with('~') {
        return whole;
    }
    let Some((name, inner)) = part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) else {
        return whole;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name.is_empty() {
        return whole;
    }
    if digits(inner.strip_prefix('-').unwrap_or(inner)) {
        return inner.parse().map_or(whole, |index| (name, Some(Subscript::Index(index))));
    }
    let Some((first, last)) = inner.split_once([':', '-']).filter(|(first, _)| digits(first)) else {
        return whole;
    };
    let range = match (first.parse(), last.parse::<usize>()) {
        (Ok(first), Ok(end)) if digits(last) => Subscript::Range(first, Some(end)),
        (Ok(first), Err(_)) if last.is_empty() => Subscript::Range(first, None),
        _ => return whole,
    };
    (name, Some(range))
}

enum Matcher<'a> {
    Regex(Regex),
    Wildcard(&'a str),
}

impl<'a> Matcher<'a> {
    fn new(pattern: &'a str) -> Result<Self> {
        let Some(regex) = pattern.strip_prefix('~') else { return Ok(Self::Wildcard(pattern)) };
        // Anchored at the beginning only, like Python's `match`.
        Regex::new(&format!("^(?:{regex})")).map(Self::Regex).map_err(|error| {
            Diagnostic::new(format!("the host pattern '{pattern}' is no regular expression: {error}"))
        })
    }
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(name).unwrap_or(false),
            Self::Wildcard(pattern) => wildcard(pattern, name),
        }
    }
}

/// Shell wildcards: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`.
pub fn wildcard(pattern: &str, name: &str) -> bool {
    if !pattern.contains(['*', '?', '[']) {
        return pattern == name;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where to go on after the last star, should the rest not fit.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let next = match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, read));
                at += 1;
                continue;
            }
            None if read == name.len() => return true,
            Some(_) if read < name.len() => fits(&pattern[at..], name[read]),
            _ => None,
        };
        match (next, retry) {
            (Some(length), _) => {
                at += length;
                read += 1;
            }
            (None, Some((star, from))) if from < name.len() => {
                retry = Some((star, from + 1));
                (at, read) = (star, from + 1);
            }
            _ => return false,
        }
    }
}

/// If the head of the pattern fits the character: how long that head is.
fn fits(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern) {
            Some((length, negated, members)) => (in_class(members, c) != negated).then_some(length),
            None => (c == '[').then_some(1),
        },
        literal => (*literal == c).then_some(1),
    }
}

/// A bracket expression: its length, whether it is negated, its members.
fn class(pattern: &[char]) -> Option<(usize, bool, &[char])> {
    let negated = pattern.get(1) == Some(&'!');
    let start = 1 + usize::from(negated);
    // A bracket right at the beginning is a member.
    let end = (start + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
    Some((end + 1, negated, &pattern[start..end]))
}

fn in_class(mut members: &[char], c: char) -> bool {
    while let Some(first) = members.first() {
        if let [low, '-', high, ..] = members {
            if (*low..=*high).contains(&c) {
                return true;
            }
            members = &members[3..];
        } else {
            if *first == c {
                return true;
            }
            members = &members[1..];
        }
    }
    false
}

#[cfg(test)]
mod tests;
