//! Shell patterns for file names: `*`, `?`, `[a-z]`, over folders.

use std::path::{Path, PathBuf};

/// Does the name match? A leading dot has to be matched by a dot.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => (p, n) = (p + 1, n + 1),
            Some('[') if let Some((hit, after)) = class(&pattern, p, name[n]) => {
                if hit {
                    (p, n) = (after, n + 1);
                } else if !back(&mut retry, &mut p, &mut n) {
                    return false;
                }
            }
            Some(c) if *c == name[n] => (p, n) = (p + 1, n + 1),
            _ if back(&mut retry, &mut p, &mut n) => {}
            _ => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Lets the last star take one more character.
fn back(retry: &mut Option<(usize, usize)>, p: &mut usize, n: &mut usize) -> bool {
    let Some((after, at)) = retry else { return false };
    *at += 1;
    (*p, *n) = (*after, *at);
    true
}

/// `[…]` at `start`: whether it takes `c`, and where the pattern goes on. `None`: there is no `]`.
fn class(pattern: &[char], start: usize, c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(start + 1), Some('!' | '^'));
    let first = start + 1 + usize::from(negated);
    let end = (first + 1..pattern.len()).find(|index| pattern[*index] == ']')?;
    let set = &pattern[first..end];
    let mut hit = false;
    let mut index = 0;
    while index < set.len() {
        if index + 2 < set.len() && set[index + 1] == '-' {
            hit |= (set[index]..=set[index + 2]).contains(&c);
            index += 3;
        } else {
            hit |= set[index] == c;
            index += 1;
        }
    }
    Some((hit != negated, end + 1))
}

/// All files that match, sorted.
pub(super) fn files(pattern: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        let special = text.contains(['*', '?', '[']);
        found = found
            .into_iter()
            .flat_map(|base| if special { children(&base, &text) } else { vec![base.join(part)] })
            .collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn children(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let dir = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    names.filter(|name| matches(pattern, &name.to_string_lossy())).map(|name| base.join(name)).collect()
}
