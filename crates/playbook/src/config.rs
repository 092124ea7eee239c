//! `ansible.cfg` and the `ANSIBLE_…` environment: where settings are looked for, and what they say.

mod ini;
mod settings;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use expressions::Origin;

use crate::diagnostic::{Diagnostic, Result};
use crate::keyvalue::unquote;
use ini::Ini;

/// One known setting.
struct Setting {
    name: &'static str,
    /// Section and key; of several that are written the last counts.
    ini: &'static [(&'static str, &'static str)],
    env: &'static [&'static str],
    kind: Kind,
    default: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Int,
    /// Separated by commas.
    List,
    Path,
    /// Separated by colons.
    PathSpec,
    /// Separated by commas.
    PathList,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Setpoint {
    Unset,
    Flag(bool),
    Int(i64),
    Text(String),
    List(Vec<String>),
    Path(PathBuf),
    Paths(Vec<PathBuf>),
}

/// Who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    Environment(&'static str),
    File(Origin),
}

/// All settings of a run. They are named as in Ansible's documentation: `DEFAULT_FORKS`, `HOST_KEY_CHECKING`; those
/// of the ssh connection, the remote shell and the output begin with `SSH_`, `SHELL_` and `CALLBACK_`.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file that was read.
    pub file: Option<PathBuf>,
    pub warnings: Vec<Diagnostic>,
    values: BTreeMap<&'static str, (Setpoint, Source)>,
    written: Ini,
}

impl Config {
    /// Reads the first file that there is of `$ANSIBLE_CONFIG`, `./ansible.cfg`, `~/.ansible.cfg` and
    /// `/etc/ansible/ansible.cfg`; the environment wins over it.
    pub fn load(env: &dyn Fn(&str) -> Option<String>, cwd: &Path) -> Result<Self> {
        let mut config = Self::default();
        let file = config.find(env, cwd);
        if let Some(file) = &file {
            config.written = Ini::read(file)?;
        }
        config.file = file;
        let places = Places { env, cwd, folder: config.file.as_deref().and_then(Path::parent) };
        let home = places.home();
        // The home of everything else is itself a setting: it comes first.
        let (first, rest): (Vec<&Setting>, Vec<&Setting>) =
            settings::SETTINGS.iter().partition(|setting| setting.name == "ANSIBLE_HOME");
        let mut ansible_home = format!("{home}/.ansible");
        for setting in first.into_iter().chain(rest) {
            let found = config.resolve(setting, &places, &ansible_home)?;
            if setting.name == "ANSIBLE_HOME"
                && let Setpoint::Path(path) = &found.0
            {
                ansible_home = path.to_string_lossy().into_owned();
            }
            config.values.insert(setting.name, found);
        }
        Ok(config)
    }

    fn find(&mut self, env: &dyn Fn(&str) -> Option<String>, cwd: &Path) -> Option<PathBuf> {
        let places = Places { env, cwd, folder: None };
        if let Some(named) = env("ANSIBLE_CONFIG").filter(|named| !named.is_empty()) {
            let mut path = places.path(&named, cwd);
            if path.is_dir() {
                path.push("ansible.cfg");
            }
            if path.is_file() {
                return Some(path);
            }
        }
        let here = cwd.join("ansible.cfg");
        if here.is_file() {
            let open = cwd.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0);
            if !open {
                return Some(here);
            }
            self.warnings.push(
                Diagnostic::warning(format!(
                    "{} is not used: everybody may write to its folder, so anybody may have put it there",
                    here.display()
                ))
                .hint("chmod o-w the folder, or name the file with ANSIBLE_CONFIG"),
            );
        }
        let others = [places.path("~/.ansible.cfg", cwd), PathBuf::from("/etc/ansible/ansible.cfg")];
        others.into_iter().find(|path| path.is_file())
    }

    fn resolve(&self, setting: &Setting, places: &Places<'_>, home: &str) -> Result<(Setpoint, Source)> {
        let said = setting.env.iter().rev().find_map(|name| Some((*name, (places.env)(name)?)));
        if let Some((name, text)) = said {
            let value = places.convert(setting.kind, &text, places.cwd).map_err(|what| {
                Diagnostic::new(format!("the environment variable {name} must be {what}, and is '{text}'"))
            })?;
            return Ok((value, Source::Environment(name)));
        }
        let written = setting.ini.iter().rev().find_map(|(section, key)| self.written.get(section, key));
        if let Some((text, origin)) = written {
            let folder = places.folder.unwrap_or(places.cwd);
            let text = if matches!(setting.kind, Kind::Text | Kind::Path) { unquote(text) } else { text };
            let value = places.convert(setting.kind, text, folder).map_err(|what| {
                let key = setting.ini.last().map_or(setting.name, |(_, key)| key);
                Diagnostic::new(format!("`{key}` must be {what}, and is '{text}'")).at(origin)
            })?;
            return Ok((value, Source::File(origin.clone())));
        }
        let value = match setting.default {
            None => Setpoint::Unset,
            Some(text) => places
                .convert(setting.kind, &text.replace("{home}", home), places.cwd)
                .map_err(|what| Diagnostic::new(format!("the default of {} must be {what}", setting.name)))?,
        };
        Ok((value, Source::Default))
    }

    /// The value and where it comes from; `None`: there is no such setting.
    pub fn get(&self, name: &str) -> Option<&(Setpoint, Source)> {
        self.values.get(name)
    }
    /// Did somebody say so (rather than nobody, and it is the default)?
    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|(_, source)| *source != Source::Default)
    }
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Setpoint::Flag(true))
    }
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Setpoint::Int(value) => Some(*value),
            _ => None,
        }
    }
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Setpoint::Text(value) => Some(value),
            _ => None,
        }
    }
    pub fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Setpoint::List(values) => values,
            _ => &[],
        }
    }
    pub fn path(&self, name: &str) -> Option<&Path> {
        match self.value(name) {
            Setpoint::Path(path) => Some(path),
            _ => None,
        }
    }
    pub fn paths(&self, name: &str) -> &[PathBuf] {
        match self.value(name) {
            Setpoint::Paths(paths) => paths,
            _ => &[],
        }
    }
    /// What the file says, word for word: for plugins with sections of their own.
    pub fn written(&self, section: &str, key: &str) -> Option<&str> {
        self.written.get(section, key).map(|(text, _)| text)
    }

    fn value(&self, name: &str) -> &Setpoint {
        debug_assert!(
            self.values.is_empty() || self.values.contains_key(name),
            "no setting is called {name}"
        );
        self.values.get(name).map_or(&Setpoint::Unset, |(value, _)| value)
    }
}

/// What texts mean in their surroundings.
struct Places<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    cwd: &'a Path,
    /// Where the file is.
    folder: Option<&'a Path>,
}

impl Places<'_> {
    fn home(&self) -> String {
        (self.env)("HOME").unwrap_or_else(|| "/".into())
    }

    /// The typed value; `Err`: what it should have been.
    fn convert(&self, kind: Kind, text: &str, base: &Path) -> std::result::Result<Setpoint, &'static str> {
        let text = text.trim();
        let items = |separator: char| {
            text.split(separator).map(|item| unquote(item.trim())).filter(|item| !item.is_empty())
        };
        Ok(match kind {
            Kind::Text => Setpoint::Text(text.to_owned()),
            Kind::Flag => Setpoint::Flag(flag(text).ok_or("yes or no")?),
            Kind::Int if text.is_empty() || text == "None" => Setpoint::Unset,
            Kind::Int => Setpoint::Int(text.parse().map_err(|_| "a whole number")?),
            Kind::List => Setpoint::List(items(',').map(str::to_owned).collect()),
            Kind::Path if text.is_empty() => Setpoint::Unset,
            Kind::Path => Setpoint::Path(self.path(text, base)),
            Kind::PathSpec => Setpoint::Paths(items(':').map(|item| self.path(item, base)).collect()),
            Kind::PathList => Setpoint::Paths(items(',').map(|item| self.path(item, base)).collect()),
        })
    }

    /// An absolute path: `~`, `$VARIABLE` and `{{CWD}}` resolved, `.` and `..` folded.
    fn path(&self, text: &str, base: &Path) -> PathBuf {
        let text = text.replace("{{CWD}}", &self.cwd.to_string_lossy());
        let text = self.variables(&text);
        let text = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => self.home() + rest,
            _ => text,
        };
        let mut path = PathBuf::new();
        for part in self.cwd.join(base).join(text).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    path.pop();
                }
                part => path.push(part),
            }
        }
        path
    }

    /// `$NAME` and `${NAME}`; unknown ones stay.
    fn variables(&self, text: &str) -> String {
        let mut result = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            let braced = tail.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let length = tail.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tail.len());
            let (name, after) = braced.unwrap_or_else(|| tail.split_at(length));
            match (self.env)(name).filter(|_| !name.is_empty()) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&rest[at..rest.len() - after.len()]),
            }
            rest = after;
        }
        result + rest
    }
}

/// The words that mean yes and no in any letter case.
fn flag(text: &str) -> Option<bool> {
    match unquote(text).to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        // Nothing written is no.
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" | "" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
