//! Order of Debian versions.

use std::cmp::Ordering;

/// `[epoch:]upstream[-revision]` by dpkg's rules.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((epoch_a, rest_a), (epoch_b, rest_b)) = (epoch(a), epoch(b));
    let ((up_a, rev_a), (up_b, rev_b)) = (revision(rest_a), revision(rest_b));
    epoch_a.cmp(&epoch_b).then_with(|| part(up_a, up_b)).then_with(|| part(rev_a, rev_b))
}

fn epoch(version: &str) -> (u64, &str) {
    version
        .trim()
        .split_once(':')
        .map_or((0, version.trim()), |(epoch, rest)| (epoch.parse().unwrap_or(0), rest))
}

fn revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Alternately text and numbers; `~` before everything, also before the end; letters before other characters.
fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        loop {
            let weight = |rest: &[u8]| match rest.first() {
                None => 0,
                Some(c) if c.is_ascii_digit() => 0,
                Some(b'~') => -1,
                Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
                Some(c) => i32::from(*c) + 256,
            };
            let text = |rest: &[u8]| rest.first().is_some_and(|c| !c.is_ascii_digit());
            if !text(a) && !text(b) {
                break;
            }
            match weight(a).cmp(&weight(b)) {
                Ordering::Equal => (a, b) = (&a[1.min(a.len())..], &b[1.min(b.len())..]),
                other => return other,
            }
        }
        let ((number_a, rest_a), (number_b, rest_b)) = (number(a), number(b));
        match number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b)) {
            Ordering::Equal => (a, b) = (rest_a, rest_b),
            other => return other,
        }
    }
    Ordering::Equal
}

/// The digits at the start without leading zeros, and what follows.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let zeros = text[..end].iter().take_while(|c| **c == b'0').count();
    (&text[zeros..end], &text[end..])
}
