//! Words, patterns and lists as OpenSSH's configuration and command line write them.

/// Split a configuration line's arguments: blanks separate, quotes hold together, `#` ends.
/// `None`: a quote is not closed.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    words(text, true)
}

/// Split as a POSIX shell does, without expansions: Ansible's `ssh_args`.
pub(super) fn shell_split(text: &str) -> Option<Vec<String>> {
    words(text, false)
}

fn words(text: &str, comments: bool) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None => return Some(words),
            Some('#') if comments => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|c| quote.is_some() || !c.is_whitespace()) {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                ('"' | '\'', None) => quote = Some(c),
                ('\\', _) => match chars.peek() {
                    Some(next) if escapable(*next, quote, comments) => word.extend(chars.next()),
                    _ => word.push('\\'),
                },
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

fn escapable(next: char, quote: Option<char>, comments: bool) -> bool {
    match (quote, comments) {
        (_, true) => matches!(next, '"' | '\'' | '\\') || (quote.is_none() && next == ' '),
        (Some('\''), false) => false,
        (Some(_), false) => matches!(next, '"' | '\\'),
        (None, false) => true,
    }
}

/// `*` and `?`, as in `Host` lines.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// A list in which `!pattern` forbids: true if one matches and no forbidden one does.
pub(super) fn matches_list<'a>(text: &str, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(forbidden) if matches(text, forbidden) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments() {
        assert_eq!(split(r#"a "b c" d\ e # no"#).unwrap(), ["a", "b c", "d e"]);
        assert_eq!(
            shell_split(r#"-o "User=a b" -i '/x #y' \"z"#).unwrap(),
            ["-o", "User=a b", "-i", "/x #y", "\"z"]
        );
        assert_eq!(split("a \"b"), None);
    }

    #[test]
    fn patterns() {
        assert!(matches("web1.example.org", "web?.*"));
        assert!(matches("", "*") && matches("aab", "*ab") && !matches("ab", "a?b"));
        assert!(matches_list("web1", ["!db*", "web*"]) && !matches_list("web1", ["web*", "!web1"]));
        assert!(!matches_list("web1", ["!db*"]));
    }
}
