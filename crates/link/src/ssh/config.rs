//! The user's and the system's `ssh_config`, read as OpenSSH reads them: the first value found counts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::words::{matches_list, split};

/// Where reading starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Home directory: `~`, and `~/.ssh/config`.
    pub home: PathBuf,
    /// As `-F`: this file only. `none` reads nothing.
    pub config: Option<PathBuf>,
    /// Name of the person's own account.
    pub local_user: String,
    /// Settings that come first, as `-o`.
    pub given: Vec<(String, String)>,
}

/// What the configuration says about one host.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: HashMap<String, Vec<String>>,
    /// Why only OpenSSH itself can be asked.
    pub beyond: Vec<String>,
}

/// Keywords whose values add up.
const LISTS: [&str; 3] = ["identityfile", "certificatefile", "sendenv"];
/// Keywords whose value is the rest of the line.
const RAW: [&str; 4] = ["proxycommand", "localcommand", "remotecommand", "knownhostscommand"];
const DEEPEST: u32 = 16;

impl Settings {
    /// Read for `host` as a person gave it.
    pub fn read(host: &str, options: &Options) -> Self {
        let mut reader =
            Reader { host, options, settings: Self::default(), last_pass: false, wants_last: false };
        for (keyword, value) in &options.given {
            reader.set(&keyword.to_ascii_lowercase(), value, "the command line");
        }
        reader.files();
        if reader.wants_last {
            reader.last_pass = true;
            reader.files();
        }
        reader.settings
    }

    /// First word of a value.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.values.get(keyword)?.first().map(String::as_str)
    }

    /// All words of a value, or all values of a keyword that adds up.
    pub fn all(&self, keyword: &str) -> &[String] {
        self.values.get(keyword).map_or(&[], Vec::as_slice)
    }

    pub fn is(&self, keyword: &str, value: &str) -> bool {
        self.get(keyword).is_some_and(|have| have.eq_ignore_ascii_case(value))
    }

    pub fn yes(&self, keyword: &str) -> bool {
        self.is(keyword, "yes") || self.is(keyword, "true")
    }

    pub fn no(&self, keyword: &str) -> bool {
        self.is(keyword, "no") || self.is(keyword, "false")
    }

    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

struct Reader<'a> {
    host: &'a str,
    options: &'a Options,
    settings: Settings,
    last_pass: bool,
    wants_last: bool,
}

impl Reader<'_> {
    fn files(&mut self) {
        match &self.options.config {
            Some(file) if file.as_os_str() == "none" => {}
            Some(file) => self.file(&file.clone(), &self.user_directory(), 0),
            None => {
                let directory = self.user_directory();
                self.file(&directory.join("config"), &directory, 0);
                self.file(Path::new("/etc/ssh/ssh_config"), Path::new("/etc/ssh"), 0);
            }
        }
    }

    fn user_directory(&self) -> PathBuf {
        self.options.home.join(".ssh")
    }

    fn file(&mut self, path: &Path, directory: &Path, depth: u32) {
        let text = match fs::read(path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(e) => {
                // No file is no settings; a file that cannot be read, or a missing one that was asked for, is OpenSSH's to judge.
                let asked_for = self.options.config.as_deref() == Some(path);
                if asked_for || e.kind() != std::io::ErrorKind::NotFound {
                    self.beyond(format!("{} cannot be read ({e})", path.display()));
                }
                return;
            }
        };
        let mut active = true;
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            let Some((keyword, rest)) = keyword(line) else { continue };
            match keyword.as_str() {
                "host" => active = self.host_line(rest, &place),
                "match" => active = self.match_line(rest, &place),
                "include" if active => self.include(rest, directory, depth, &place),
                _ if active => self.set(&keyword, rest, &place),
                _ => {}
            }
        }
    }

    fn beyond(&mut self, reason: String) {
        if !self.settings.beyond.contains(&reason) {
            self.settings.beyond.push(reason);
        }
    }

    fn words(&mut self, text: &str, place: &str) -> Vec<String> {
        split(text).unwrap_or_else(|| {
            self.beyond(format!("{place} has a quote that is not closed"));
            Vec::new()
        })
    }

    fn host_line(&mut self, rest: &str, place: &str) -> bool {
        let patterns = self.words(rest, place);
        matches_list(self.host, patterns.iter().map(String::as_str))
    }

    fn match_line(&mut self, rest: &str, place: &str) -> bool {
        let mut words = self.words(rest, place).into_iter();
        let mut result = true;
        while let Some(word) = words.next() {
            let (name, mut argument) = match word.split_once('=') {
                Some((name, argument)) => (name.to_owned(), Some(argument.to_owned())),
                None => (word, None),
            };
            let (name, wanted) = match name.strip_prefix('!') {
                Some(name) => (name.to_ascii_lowercase(), false),
                None => (name.to_ascii_lowercase(), true),
            };
            let holds = match name.as_str() {
                "all" => true,
                "canonical" => false,
                "final" => {
                    self.wants_last = true;
                    self.last_pass
                }
                _ => {
                    let argument = argument.take().or_else(|| words.next()).unwrap_or_default();
                    // What is already decided needs no look: as in OpenSSH, no program is run for it either.
                    if result { self.criterion(&name, &argument, place) } else { false }
                }
            };
            result &= holds == wanted;
        }
        result
    }

    fn criterion(&mut self, name: &str, argument: &str, place: &str) -> bool {
        let text = match name {
            "host" => self.hostname(),
            "originalhost" => self.host.to_owned(),
            "user" => self.settings.get("user").unwrap_or(&self.options.local_user).to_owned(),
            "localuser" => self.options.local_user.clone(),
            other => {
                self.beyond(format!("{place} has Match {other}"));
                return false;
            }
        };
        matches_list(&text, argument.split(','))
    }

    fn hostname(&self) -> String {
        match self.settings.get("hostname") {
            Some(name) => name.replace("%h", self.host),
            None => self.host.to_owned(),
        }
    }

    fn include(&mut self, rest: &str, directory: &Path, depth: u32, place: &str) {
        if depth >= DEEPEST {
            return self.beyond(format!("{place} includes too deeply"));
        }
        for pattern in self.words(rest, place) {
            let pattern = match pattern.strip_prefix("~/") {
                Some(rest) => self.options.home.join(rest),
                None => directory.join(&pattern),
            };
            if pattern.to_string_lossy().contains("${") {
                return self.beyond(format!("{place} includes by an environment variable"));
            }
            for file in glob(&pattern) {
                self.file(&file, directory, depth + 1);
            }
        }
    }

    fn set(&mut self, keyword: &str, rest: &str, place: &str) {
        let keyword = modern(keyword);
        let words = match RAW.contains(&keyword) {
            true => vec![rest.to_owned()],
            false => self.words(rest, place),
        };
        if words.is_empty() {
            return self.beyond(format!("{place} has {keyword} without a value"));
        }
        // Of these two the one that is found first counts.
        let rival = match keyword {
            "proxyjump" => "proxycommand",
            "proxycommand" => "proxyjump",
            _ => "",
        };
        if self.settings.values.contains_key(rival) {
            return;
        }
        if LISTS.contains(&keyword) {
            let list = self.settings.values.entry(keyword.to_owned()).or_default();
            list.extend(words.into_iter().filter(|word| !list.contains(word)).collect::<Vec<_>>());
        } else {
            self.settings.values.entry(keyword.to_owned()).or_insert(words);
        }
    }
}

/// Old names of keywords.
fn modern(keyword: &str) -> &str {
    match keyword {
        "challengeresponseauthentication" | "skeyauthentication" | "tisauthentication" => {
            "kbdinteractiveauthentication"
        }
        "dsaauthentication" | "rsaauthentication" => "pubkeyauthentication",
        "pubkeyacceptedkeytypes" => "pubkeyacceptedalgorithms",
        "globalknownhostsfile2" => "globalknownhostsfile",
        "userknownhostsfile2" => "userknownhostsfile",
        other => other,
    }
}

/// `Keyword value`, `Keyword=value`; `None` for blank lines and comments.
fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    Some((word.trim_matches('"').to_ascii_lowercase(), rest))
}

/// The files a path with wildcards in its last components stands for, sorted.
fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        found = found.iter().flat_map(|path| children(path, &name)).collect();
    }
    found.retain(|path| path.exists());
    found
}

fn children(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name());
    let hidden = |name: &str| name.starts_with('.') && !pattern.starts_with('.');
    let mut names: Vec<_> = names
        .filter(|name| {
            let name = name.to_string_lossy();
            !hidden(&name) && super::words::matches(&name, pattern)
        })
        .collect();
    names.sort();
    names.into_iter().map(|name| directory.join(name)).collect()
}
