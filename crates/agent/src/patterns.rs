//! Shell patterns (`*`, `?`, `[…]`) on names and on paths.

use std::path::{Path, PathBuf};

/// Whether anything fits a pattern with slashes; without wildcards: whether it is there.
pub fn exists(pattern: &str) -> bool {
    !expand(pattern).is_empty()
}

/// The paths that fit a pattern, sorted. `*` finds no hidden files.
pub fn expand(pattern: &str) -> Vec<PathBuf> {
    let (mut found, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (vec![PathBuf::from("/")], rest),
        None => (vec![PathBuf::new()], pattern),
    };
    for part in rest.split('/').filter(|p| !p.is_empty()) {
        found = found.iter().flat_map(|dir| children(dir, part)).collect();
    }
    found.sort();
    found.retain(|path| path.symlink_metadata().is_ok());
    found
}

fn children(dir: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[']) {
        return vec![dir.join(part)];
    }
    let place = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let fits = |name: &str| (part.starts_with('.') || !name.starts_with('.')) && matches(part, name);
    entries
        .map(|e| e.file_name())
        .filter(|name| fits(&name.to_string_lossy()))
        .map(|name| dir.join(name))
        .collect()
}

/// Whether a whole text fits.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match step(&pattern, p, text[t]) {
            Step::Star => {
                star = Some((p + 1, t));
                p += 1;
            }
            Step::One(next) => {
                p = next;
                t += 1;
            }
            Step::No => {
                let Some((back, at)) = star else { return false };
                (p, t, star) = (back, at + 1, Some((back, at + 1)));
            }
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|c| *c == '*')
}

enum Step {
    Star,
    One(usize),
    No,
}

fn step(pattern: &[char], at: usize, c: char) -> Step {
    match pattern.get(at) {
        Some('*') => Step::Star,
        Some('?') => Step::One(at + 1),
        Some('[') => match class(&pattern[at + 1..]) {
            Some((members, negated, length)) if class_has(members, c) != negated => {
                Step::One(at + 1 + length)
            }
            Some(_) => Step::No,
            None if c == '[' => Step::One(at + 1),
            None => Step::No,
        },
        Some(same) if *same == c => Step::One(at + 1),
        _ => Step::No,
    }
}

/// Members of a class, whether it is negated, and how long it is up to after its `]`.
fn class(rest: &[char]) -> Option<(&[char], bool, usize)> {
    let negated = matches!(rest.first(), Some('!' | '^'));
    let start = usize::from(negated);
    // A `]` right at the start is a member.
    let end = rest.iter().enumerate().skip(start + 1).find(|(_, c)| **c == ']')?.0;
    Some((&rest[start..end], negated, end + 1))
}

fn class_has(members: &[char], c: char) -> bool {
    let mut at = 0;
    while at < members.len() {
        if members.get(at + 1) == Some(&'-') && at + 2 < members.len() {
            if (members[at]..=members[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if members[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}
