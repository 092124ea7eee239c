//! `%h`, `~` and `${NAME}` in values of `ssh_config`.

use std::path::{Path, PathBuf};

use super::config::{Options, Settings};

/// What the tokens stand for, for one host.
pub(super) struct Tokens {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) jump: String,
    original: String,
    alias: String,
    home: PathBuf,
    local_user: String,
}

impl Tokens {
    /// `Err`: why OpenSSH must be asked.
    pub(super) fn new(original: &str, settings: &Settings, options: &Options) -> Result<Self, String> {
        let mut tokens = Self {
            host: original.to_owned(),
            port: match settings.get("port") {
                Some(port) => port.parse().map_err(|_| format!("Port {port} is not a port"))?,
                None => 22,
            },
            user: String::new(),
            jump: String::new(),
            original: original.to_owned(),
            alias: settings.get("hostkeyalias").unwrap_or(original).to_owned(),
            home: options.home.clone(),
            local_user: options.local_user.clone(),
        };
        if let Some(name) = settings.get("hostname") {
            tokens.host = tokens.expand(name, "h")?;
        }
        let user = settings.get("user").unwrap_or(&options.local_user);
        tokens.user = tokens.expand(user, "")?;
        Ok(tokens)
    }

    /// `allowed`: the tokens that may stand in this value.
    pub(super) fn expand(&self, text: &str, allowed: &str) -> Result<String, String> {
        let mut result = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                result.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => result.push('%'),
                Some(token) if allowed.contains(token) => match self.token(token) {
                    Some(value) => result.push_str(&value),
                    None => return Err(format!("{text} uses %{token}")),
                },
                // Where tokens are not read, a percent sign is one.
                Some(other) if allowed.is_empty() => result.extend(['%', other]),
                _ => return Err(format!("{text} uses a token that is not known")),
            }
        }
        Ok(result)
    }

    fn token(&self, token: char) -> Option<String> {
        Some(match token {
            'h' => self.host.clone(),
            'n' => self.original.clone(),
            'p' => self.port.to_string(),
            'r' => self.user.clone(),
            'u' => self.local_user.clone(),
            'd' => self.home.to_string_lossy().into_owned(),
            'i' => rustix::process::getuid().as_raw().to_string(),
            'j' => self.jump.clone(),
            'k' => self.alias.clone(),
            'l' => local_host()?,
            'L' => local_host()?.split('.').next()?.to_owned(),
            _ => return None,
        })
    }

    pub(super) fn paths(&self, texts: &[String]) -> Result<Vec<PathBuf>, String> {
        texts.iter().filter(|text| !text.eq_ignore_ascii_case("none")).map(|text| self.path(text)).collect()
    }

    pub(super) fn path(&self, text: &str) -> Result<PathBuf, String> {
        let text = self.variables(text)?;
        let text = self.expand(&text, "CdhijkLlnpru")?;
        match text.strip_prefix('~') {
            Some("") => Ok(self.home.clone()),
            Some(rest) => match rest.strip_prefix('/') {
                Some(rest) => Ok(self.home.join(rest)),
                None => Err(format!("{text} names another user's home directory")),
            },
            None => Ok(Path::new(&text).to_owned()),
        }
    }

    /// `${NAME}` from the environment; OpenSSH refuses one that is not set.
    fn variables(&self, text: &str) -> Result<String, String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("{text} has ${{ without }}"));
            };
            result.push_str(before);
            result.push_str(
                &std::env::var(name).map_err(|_| format!("{text} needs ${name}, which is not set"))?,
            );
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }
}

fn local_host() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}

/// The person's home directory, by account first, as OpenSSH does.
pub(super) fn home() -> PathBuf {
    let account = account().and_then(|fields| fields.get(5).map(PathBuf::from));
    account.or_else(|| std::env::var_os("HOME").map(PathBuf::from)).unwrap_or_else(|| "/".into())
}

pub(super) fn local_user() -> String {
    let account = account().and_then(|fields| fields.first().cloned());
    account.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "root".into())
}

/// The person's line of /etc/passwd.
fn account() -> Option<Vec<String>> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let lines = accounts.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    lines.into_iter().find(|fields| fields.get(2) == Some(&uid))
}
