//! What the engine of regular expressions has and Python has not. Some of it is dangerous: `\g<0>` and `(?R)` call the
//! pattern that they are in, which takes all memory.

/// Letters that mean something to Python after a backslash.
const LETTERS: &str = "AabBdDfnrNsStuUvwWxZ";

/// Why Python does not take this pattern, if it is for one of these.
pub fn refused(pattern: &str) -> Option<String> {
    let mut chars = pattern.char_indices();
    let mut class_begins = None;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next().map(|(_, escaped)| escaped)?;
                if escaped.is_ascii_alphabetic() && !LETTERS.contains(escaped) {
                    return Some(format!("bad escape \\{escaped}"));
                }
            }
            '[' if class_begins.is_none() => class_begins = Some(at),
            // The first one in a class is a character.
            ']' if class_begins.is_some_and(|begin| !matches!(&pattern[begin..at], "[" | "[^")) => {
                class_begins = None;
            }
            '(' if class_begins.is_none() && calls_a_group(&pattern[at..]) => {
                let shown: String = pattern[at + 1..].chars().take(3).collect();
                return Some(format!("unknown extension {shown}"));
            }
            _ => {}
        }
    }
    None
}

fn calls_a_group(text: &str) -> bool {
    let Some(kind) = text.strip_prefix("(?") else { return false };
    let named = kind.strip_prefix('P').is_some_and(|rest| !rest.starts_with(['<', '=']));
    named || kind.starts_with(['&', 'R', '+']) || kind.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn what_python_has_is_taken() {
        for pattern in [
            "",
            "\\",
            "^a.*$",
            r"(?P<n>\d+)(?P=n)\1",
            r"(?i:x)(?:y)(?=z)(?!z)(?<=a)(?<!b)(?#c)",
            r"[\w\]\-]\[\(",
            "[]g(?R)]",
            "[^]](x)",
            r"\Aé\\g\Z",
            "(?(1)a|b)",
        ] {
            assert_eq!(refused(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_only_the_engine_has_is_not() {
        for (pattern, why) in [
            (r"a\g<0>", "bad escape \\g"),
            (r"[\p{L}]", "bad escape \\p"),
            (r"\K", "bad escape \\K"),
            ("x(?R)", "unknown extension ?R)"),
            ("(?1)", "unknown extension ?1)"),
            ("(?&n)", "unknown extension ?&n"),
            ("(?P>n)", "unknown extension ?P>"),
            ("[a](?0)", "unknown extension ?0)"),
        ] {
            assert_eq!(refused(pattern).as_deref(), Some(why), "{pattern}");
        }
    }
}
