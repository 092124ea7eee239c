//! Python's regular expressions on the engine that we have: what differs in syntax is translated.

use fancy_regex::{Captures, Regex, RegexBuilder};

use crate::module::Failure;

/// `re.MULTILINE` and `re.DOTALL`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    pub multiline: bool,
    pub dotall: bool,
}

/// `re.compile(pattern)`.
pub fn python(pattern: &str) -> Result<Regex, Failure> {
    python_with(pattern, Flags::default())
}

pub fn python_with(pattern: &str, flags: Flags) -> Result<Regex, Failure> {
    if let Some(why) = catalog::regex::refused(pattern) {
        return Err(Failure::new(format!("the regular expression `{pattern}` cannot be used: {why}")));
    }
    let multiline = flags.multiline || inline_flag(pattern, 'm');
    let mut text = String::new();
    if flags.multiline {
        text.push_str("(?m)");
    }
    if flags.dotall {
        text.push_str("(?s)");
    }
    text.push_str(&translate(pattern, multiline));
    let built = RegexBuilder::new(&text).backtrack_limit(10_000_000).build();
    built.map_err(|e| Failure::new(format!("the regular expression `{pattern}` cannot be used: {e}")))
}

/// `re.match`: at the start of the text.
pub fn python_match(pattern: &str) -> Result<Regex, Failure> {
    // Checked alone, so that the message shows what the person wrote.
    python(pattern)?;
    python(&format!("\\A(?:{pattern})"))
}

/// Whether it is found; a pattern that takes forever counts as an error.
pub fn found(regex: &Regex, text: &str) -> Result<bool, Failure> {
    regex.is_match(text).map_err(|e| too_hard(&e))
}

pub fn too_hard(error: &fancy_regex::Error) -> Failure {
    Failure::new(format!("the regular expression took too long: {error}"))
}

/// Does the pattern turn the flag on at its start (`(?m)`, `(?im)`)?
fn inline_flag(pattern: &str, flag: char) -> bool {
    let Some(rest) = pattern.strip_prefix("(?") else { return false };
    let letters: &str = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
    rest[letters.len()..].starts_with(')') && letters.contains(flag)
}

fn translate(pattern: &str, multiline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let chars: Vec<char> = pattern.chars().collect();
    let mut i = 0;
    let mut in_class = false;
    while i < chars.len() {
        let c = chars[i];
        match c {
            '\\' if i + 1 < chars.len() => {
                escape(&mut out, chars[i + 1]);
                i += 1;
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.get(i + 1) == Some(&'^') {
                    out.push('^');
                    i += 1;
                }
                // A bracket right after the start is a character.
                if chars.get(i + 1) == Some(&']') {
                    out.push_str("\\]");
                    i += 1;
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // Set operations of the engine, plain characters to Python.
            '[' | '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && (chars.get(i + 1) == Some(&'-') || out.ends_with('-')) => out.push_str("\\-"),
            '$' if !in_class && !multiline => out.push_str("(?=\\n?\\z)"),
            '{' if !in_class && !is_counter(&chars[i..]) => out.push_str("\\{"),
            '}' if !in_class && !closes_counter(&chars[..i]) => out.push_str("\\}"),
            c => out.push(c),
        }
        i += 1;
    }
    out
}

fn escape(out: &mut String, c: char) {
    match c {
        'Z' => out.push_str("\\z"),
        '<' | '>' => out.push(c),
        c if !c.is_ascii_alphanumeric() && !c.is_ascii_punctuation() => out.push(c),
        c => out.extend(['\\', c]),
    }
}

/// `{2}`, `{2,}`, `{,3}`, `{2,3}`.
fn is_counter(text: &[char]) -> bool {
    let Some(end) = text.iter().position(|c| *c == '}') else { return false };
    let inside: String = text[1..end].iter().collect();
    let number = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    match inside.split_once(',') {
        Some((a, b)) => number(a) && number(b) && !(a.is_empty() && b.is_empty()),
        None => !inside.is_empty() && number(&inside),
    }
}

fn closes_counter(before: &[char]) -> bool {
    before.iter().rposition(|c| *c == '{').is_some_and(|at| {
        let mut text = before[at..].to_vec();
        text.push('}');
        is_counter(&text)
    })
}

/// `match.expand(template)`: `\1`, `\g<1>`, `\g<name>`, `\n`…
pub fn expand(template: &str, captures: &Captures<'_, str>) -> Result<String, Failure> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            return Err(Failure::new("a replacement ends with a single backslash"));
        };
        rest = &rest[c.len_utf8()..];
        match c {
            'g' if rest.starts_with('<') => {
                let end = rest.find('>').ok_or("missing > in a replacement's group name")?;
                out.push_str(group(captures, &rest[1..end])?);
                rest = &rest[end + 1..];
            }
            '0'..='9' => {
                let second = rest.chars().next().filter(char::is_ascii_digit);
                let mut name = c.to_string();
                name.extend(second);
                rest = &rest[second.map_or(0, char::len_utf8)..];
                out.push_str(group(captures, &name)?);
            }
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            'b' => out.push('\x08'),
            '\\' => out.push('\\'),
            c if c.is_ascii_alphabetic() => {
                return Err(Failure::new(format!("bad escape \\{c} in the replacement `{template}`")));
            }
            c => out.extend(['\\', c]),
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn group<'t>(captures: &Captures<'t, str>, name: &str) -> Result<&'t str, Failure> {
    let unknown = || Failure::new(format!("invalid group reference {name} in a replacement"));
    match name.parse::<usize>() {
        Ok(n) if n < captures.len() => Ok(captures.get(n).map_or("", |m| m.as_str())),
        Ok(_) => Err(unknown()),
        Err(_) => Ok(captures.name(name).map_or("", |m| m.as_str())),
    }
}

/// `re.subn`: the new text and how many were replaced.
/// A replacement is looked at before anything is found: a letter with a backslash must mean something.
pub fn checked(template: &str) -> Result<(), Failure> {
    let mut chars = template.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\'
            && let Some((_, letter)) = chars.next()
            && letter.is_ascii_alphabetic()
            && !"gntrafvb".contains(letter)
        {
            return Err(Failure::new(format!("bad escape \\{letter} at position {at}")));
        }
    }
    Ok(())
}

pub fn substitute(regex: &Regex, text: &str, template: &str) -> Result<(String, usize), Failure> {
    let (mut out, mut at, mut count) = (String::new(), 0, 0);
    for captures in regex.captures_iter(text) {
        let captures = captures.map_err(|e| too_hard(&e))?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[at..whole.start()]);
        out.push_str(&expand(template, &captures)?);
        at = whole.end();
        count += 1;
    }
    out.push_str(&text[at..]);
    Ok((out, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_syntax() {
        for (pattern, text, is) in [
            ("^foo$", "foo\n", true),
            ("^foo$", "foo\nbar", false),
            ("(?m)^foo$", "foo\nbar", true),
            ("a{", "a{", true),
            ("{{ x }}", "{{ x }}", true),
            ("a{2}", "aa", true),
            ("[[]", "[", true),
            ("[]a]", "]", true),
            (r"\<b\>", "<b>", true),
            (r"foo(?!bar)", "foobaz", true),
            (r"(?<=a)b", "ab", true),
            (r"(?P<q>['\x22])x(?P=q)", "'x'", true),
            (r"\/etc\/x", "/etc/x", true),
            (r"x\Z", "x", true),
            ("[a&&b]", "&", true),
        ] {
            assert_eq!(found(&python(pattern).unwrap(), text).unwrap(), is, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn templates() {
        let regex = python(r"(\w+)=(?P<v>\w+)").unwrap();
        assert_eq!(substitute(&regex, "a=b c=d", r"\2=\1").unwrap(), ("b=a d=c".to_owned(), 2));
        assert_eq!(substitute(&regex, "a=b", r"\g<v>\g<0>\n").unwrap().0, "ba=b\n");
        assert!(substitute(&regex, "a=b", r"\7").is_err());
    }
}
