//! Options of the `ssh` program, as Ansible's `ssh_args` write them, as settings.

use std::path::PathBuf;

use super::words::shell_split;

/// What the words say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    pub settings: Vec<(String, String)>,
    pub config: Option<PathBuf>,
    /// The words themselves, for the OpenSSH program.
    pub words: Vec<String>,
    /// What only the program can do.
    pub beyond: Vec<String>,
}

/// Flags that change nothing for a connection that carries one channel of frames. `-C` is among them: it is
/// Ansible's default, and what is large is already compressed.
const NEUTRAL: &str = "CqvTnNxXYaxkgM";
/// Flags with an argument that change nothing either.
const NEUTRAL_WITH: &str = "SEeOLRD";

impl Arguments {
    /// `Err`: a quote is not closed.
    pub fn read(texts: &[String]) -> Result<Self, String> {
        let mut arguments = Self::default();
        for text in texts {
            let words = shell_split(text)
                .ok_or_else(|| format!("the SSH options {text:?} have a quote that is not closed"))?;
            arguments.words.extend(words.iter().filter(|word| !word.is_empty()).cloned());
        }
        let words = arguments.words.clone();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix('-').filter(|flags| !flags.is_empty() && !flags.starts_with('-')) {
                Some(flags) => arguments.flags(flags, &mut words),
                None => arguments.beyond.push(format!("the SSH option {word:?}")),
            }
        }
        Ok(arguments)
    }

    fn flags<'a>(&mut self, flags: &str, words: &mut impl Iterator<Item = &'a String>) {
        let mut rest = flags.chars();
        while let Some(flag) = rest.next() {
            if NEUTRAL.contains(flag) {
                continue;
            }
            match flag {
                '4' => self.set("addressfamily", "inet"),
                '6' => self.set("addressfamily", "inet6"),
                'A' => self.set("forwardagent", "yes"),
                _ => {
                    let attached: String = rest.by_ref().collect();
                    let value = if attached.is_empty() { words.next().cloned() } else { Some(attached) };
                    return self.with_value(flag, value.unwrap_or_default());
                }
            }
        }
    }

    fn with_value(&mut self, flag: char, value: String) {
        let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        match flag {
            'o' => {
                let cut = value.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(value.len());
                let (keyword, rest) = value.split_at(cut);
                let rest = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
                self.settings.push((keyword.to_ascii_lowercase(), rest.to_owned()));
            }
            'i' => self.settings.push(("identityfile".into(), quoted)),
            'p' => self.set("port", &value),
            'l' => self.settings.push(("user".into(), quoted)),
            'J' => self.set("proxyjump", &value),
            'c' => self.set("ciphers", &value),
            'm' => self.set("macs", &value),
            'b' => self.set("bindaddress", &value),
            'F' => self.config = Some(value.into()),
            other if NEUTRAL_WITH.contains(other) => {}
            other => self.beyond.push(format!("the SSH option -{other}")),
        }
    }

    fn set(&mut self, keyword: &str, value: &str) {
        self.settings.push((keyword.to_owned(), value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_settings() {
        let texts = ["-C -o ControlMaster=auto -oUser=deploy -p2222", "-i '/a key' -J b1,b2 -F /x"]
            .map(str::to_owned);
        let arguments = Arguments::read(&texts).unwrap();
        let expected = [
            ("controlmaster", "auto"),
            ("user", "deploy"),
            ("port", "2222"),
            ("identityfile", "\"/a key\""),
            ("proxyjump", "b1,b2"),
        ];
        assert_eq!(arguments.settings, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(arguments.config, Some("/x".into()));
        assert_eq!(arguments.beyond, [""; 0]);
        assert_eq!(Arguments::read(&["-W x:1".into()]).unwrap().beyond, ["the SSH option -W"]);
    }
}
