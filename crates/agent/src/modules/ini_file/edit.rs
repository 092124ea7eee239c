//! The lines of an INI file and the changes to them: what is not touched stays byte for byte.

use std::ops::Range;

/// What shall be so.
pub(super) struct Wanted {
    /// `None`: the part before the first section.
    pub section: Option<String>,
    /// The section meant is the one with these options (and one of these values each).
    pub has_values: Vec<(String, Vec<String>)>,
    pub option: Option<String>,
    pub values: Vec<String>,
    pub present: bool,
    pub exclusive: bool,
    pub equals: &'static str,
    pub ignore_spaces: bool,
    /// A line that is commented out is used for the option.
    pub wake: bool,
}

pub(super) struct Document {
    lines: Vec<String>,
}

/// A line that sets an option.
struct Setting<'a> {
    active: bool,
    /// `None`: without an equals sign.
    value: Option<&'a str>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = crate::files::lines(text);
        match lines.last_mut() {
            Some(last) if last.ends_with('\n') => {}
            Some(last) => last.push('\n'),
            None => lines.push("\n".to_owned()),
        }
        Self { lines }
    }

    pub(super) fn text(&self) -> String {
        self.lines.concat()
    }

    /// Makes it so; says what was done in the reference's words (`OK`: nothing).
    pub(super) fn apply(&mut self, wanted: &Wanted) -> &'static str {
        let Some(section) = self.find(wanted) else {
            return if wanted.present { self.add_section(wanted) } else { "OK" };
        };
        match (&wanted.option, wanted.present) {
            (None, true) => "OK",
            (None, false) => {
                let start = if wanted.section.is_some() { section.start - 1 } else { section.start };
                let gone = self.lines.drain(start..section.end).count() > 0;
                if gone { "section removed" } else { "OK" }
            }
            (Some(option), true) => self.set(section, option, wanted),
            (Some(option), false) => self.unset(section, option, wanted),
        }
    }

    /// The lines of the section, its head left out.
    fn find(&self, wanted: &Wanted) -> Option<Range<usize>> {
        let end_from = |start: usize| {
            let found = self.lines[start..].iter().position(|l| l.starts_with('['));
            found.map_or(self.lines.len(), |n| start + n)
        };
        let Some(name) = &wanted.section else { return Some(0..end_from(0)) };
        let heads = (0..self.lines.len()).filter(|i| head(&self.lines[*i]) == Some(name.as_str()));
        heads.map(|i| i + 1..end_from(i + 1)).find(|range| self.satisfies(range.clone(), wanted))
    }

    fn satisfies(&self, section: Range<usize>, wanted: &Wanted) -> bool {
        wanted.has_values.iter().all(|(option, values)| {
            self.lines[section.clone()].iter().filter_map(|line| setting(line, option)).any(|set| {
                set.active
                    && (values.is_empty() || set.value.is_some_and(|v| values.iter().any(|want| want == v)))
            })
        })
    }

    fn add_section(&mut self, wanted: &Wanted) -> &'static str {
        if let Some(section) = &wanted.section {
            self.lines.push(format!("[{section}]\n"));
        }
        for (option, values) in &wanted.has_values {
            let none = values.is_empty().then(|| format!("{option}\n"));
            self.lines.extend(none);
            self.lines.extend(values.iter().map(|v| format!("{option}{}{v}\n", wanted.equals)));
        }
        let Some(option) = &wanted.option else { return "only section added" };
        if wanted.values.is_empty() {
            self.lines.push(format!("{option}\n"));
        }
        self.lines.extend(wanted.values.iter().map(|v| format!("{option}{}{v}\n", wanted.equals)));
        "section and option added"
    }

    fn set(&mut self, section: Range<usize>, option: &str, wanted: &Wanted) -> &'static str {
        let mut message = "OK";
        let mut left: Vec<Option<&str>> = wanted.values.iter().map(|v| Some(v.as_str())).collect();
        if left.is_empty() {
            left.push(None);
        }
        let usable = |line: &str| setting(line, option).is_some_and(|set| set.active || wanted.wake);
        let mut kept = vec![false; self.lines.len()];
        // Lines that have a wanted value already, asleep or not.
        for i in section.clone() {
            let line = &self.lines[i];
            let Some(set) = setting(line, option).filter(|set| set.active || wanted.wake) else { continue };
            let Some(found) = left.iter().position(|value| *value == set.value) else { continue };
            let value = left.remove(found);
            kept[i] = true;
            let new = written(option, value, wanted.equals);
            if *line != new && !(set.active && wanted.ignore_spaces) {
                self.lines[i] = new;
                message = "option changed";
            }
        }
        let mut surplus = Vec::new();
        if wanted.exclusive {
            for i in section.clone().filter(|i| !kept[*i]) {
                if !usable(&self.lines[i]) {
                    continue;
                }
                message = "option changed";
                match (!left.is_empty()).then(|| left.remove(0)) {
                    Some(value) => self.lines[i] = written(option, value, wanted.equals),
                    None => surplus.push(i),
                }
            }
        }
        if !left.is_empty() {
            let place = self.end_of_settings(&section);
            let new: Vec<String> = left.into_iter().map(|v| written(option, v, wanted.equals)).collect();
            self.lines.splice(place..place, new);
            message = "option added";
        }
        for i in surplus.into_iter().rev() {
            self.lines.remove(i);
        }
        message
    }

    /// Behind the last line of the section that is neither empty nor a comment.
    fn end_of_settings(&self, section: &Range<usize>) -> usize {
        let bare = |line: &String| line.trim().is_empty() || line.trim_start().starts_with(['#', ';']);
        let last = section.clone().rev().find(|i| !bare(&self.lines[*i]));
        last.map_or(section.start, |i| i + 1)
    }

    fn unset(&mut self, section: Range<usize>, option: &str, wanted: &Wanted) -> &'static str {
        let before = self.lines.len();
        let goes = |line: &str| {
            let Some(set) = setting(line, option).filter(|set| set.active) else { return false };
            wanted.exclusive
                || wanted.values.is_empty()
                || set.value.is_some_and(|v| wanted.values.iter().any(|gone| gone == v))
        };
        let mut i = 0;
        self.lines.retain(|line| {
            i += 1;
            !(section.contains(&(i - 1)) && goes(line))
        });
        if self.lines.len() == before { "OK" } else { "option changed" }
    }
}

fn written(option: &str, value: Option<&str>, equals: &str) -> String {
    value.map_or_else(|| format!("{option}\n"), |value| format!("{option}{equals}{value}\n"))
}

fn head(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once(']').map(|(name, _)| name.trim())
}

fn setting<'a>(line: &'a str, option: &str) -> Option<Setting<'a>> {
    let blank = |c: char| c == ' ' || c == '\t';
    let line = line.strip_suffix('\n').unwrap_or(line).trim_start_matches(blank);
    let (active, rest) = match line.strip_prefix(['#', ';']) {
        Some(rest) => (false, rest.trim_start_matches(blank)),
        None => (true, line),
    };
    let rest = rest.strip_prefix(option)?.trim_start_matches(blank);
    match rest.strip_prefix('=') {
        Some(value) => Some(Setting { active, value: Some(value.trim_start_matches(blank)) }),
        None if rest.is_empty() => Some(Setting { active, value: None }),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Wanted};

    fn edit(text: &str, option: &str, values: &[&str], exclusive: bool) -> (String, &'static str) {
        let mut document = Document::parse(text);
        let said = document.apply(&Wanted {
            section: Some("a".to_owned()),
            has_values: Vec::new(),
            option: Some(option.to_owned()),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            present: true,
            exclusive,
            equals: " = ",
            ignore_spaces: false,
            wake: true,
        });
        (document.text(), said)
    }

    #[test]
    fn a_comment_is_woken_and_what_is_too_much_goes() {
        let (text, said) = edit("[a]\n;k = 1\n#k = 2\nk = 3\n;k = 5\n[b]\nk = 9\n", "k", &["3"], true);
        assert_eq!((text.as_str(), said), ("[a]\nk = 3\n[b]\nk = 9\n", "option changed"));
    }

    #[test]
    fn what_is_new_comes_behind_the_last_setting() {
        let (text, said) = edit("[a]\nx = 1\n\n# about b\n[b]\n", "k", &["1", "2"], true);
        assert_eq!((text.as_str(), said), ("[a]\nx = 1\nk = 1\nk = 2\n\n# about b\n[b]\n", "option added"));
        assert_eq!(edit(&text, "k", &["1", "2"], true), (text.clone(), "OK"));
    }

    #[test]
    fn a_name_that_only_begins_alike_is_another_option() {
        let (text, _) = edit("[a]\nkey = 1\n", "k", &["1"], true);
        assert_eq!(text, "[a]\nkey = 1\nk = 1\n");
    }
}
