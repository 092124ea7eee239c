//! People's shell histories, read only if somebody asks for that: which commands name what has changed.

use std::path::Path;

use crate::finding::{Finding, moment};

/// Longer before a change, a command hardly made it.
const WHILE: i64 = 3600;

/// A command that somebody typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) user: String,
    /// Shells note times only if they are told to.
    pub(crate) time: Option<i64>,
    pub(crate) command: String,
}

/// Of everybody who has a home on this root.
pub(crate) fn histories(root: &Path) -> Vec<Typed> {
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let mut all = Vec::new();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let (Some(user), Some(home)) = (fields.first(), fields.get(5)) else { continue };
        let home = root.join(home.trim_start_matches('/'));
        for name in [".bash_history", ".zsh_history"] {
            let text = std::fs::read(home.join(name)).unwrap_or_default();
            all.extend(lines(user, &String::from_utf8_lossy(&text)));
        }
    }
    all
}

/// bash: `#1700000000` before a command; zsh: `: 1700000000:0;command`
fn lines(user: &str, text: &str) -> Vec<Typed> {
    let (mut all, mut time) = (Vec::new(), None);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(stamp) = line.strip_prefix('#').and_then(|rest| rest.parse().ok()) {
            time = Some(stamp);
            continue;
        }
        let zsh = line.strip_prefix(": ").and_then(|rest| {
            let (stamp, command) = rest.split_once(';')?;
            Some((stamp.split(':').next()?.parse().ok()?, command))
        });
        let (time, command) = zsh.map_or((time.take(), line), |(stamp, command)| (Some(stamp), command));
        all.push(Typed { user: user.to_owned(), time, command: command.trim().to_owned() });
    }
    all
}

impl Typed {
    /// It names what has changed, and not after it did.
    pub(crate) fn names(&self, finding: &Finding, at: i64) -> bool {
        let in_time = self.time.is_none_or(|time| (at - WHILE..=at + 1).contains(&time));
        let name = match (&finding.path, &finding.object) {
            (Some(path), _) => path.as_str(),
            (None, Some(object)) => object.split_once(':').map_or(object.as_str(), |(_, name)| name),
            _ => return false,
        };
        let short = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".service");
        let has = |word: &str| word.trim_matches(|c: char| "\"'>;".contains(c)).ends_with(short);
        in_time && !short.is_empty() && self.command.split_whitespace().any(has)
    }

    pub(crate) fn text(&self) -> String {
        match self.time {
            Some(time) => format!("typed by {} at {}: {}", self.user, moment(time), self.command),
            None => format!("in the shell history of {}, without a time: {}", self.user, self.command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_are_understood() {
        let bash = lines("ann", "#1700000000\nvi /etc/motd\nls\n");
        assert_eq!((bash[0].time, bash[1].time), (Some(1_700_000_000), None));
        let zsh = lines("ann", ": 1700000000:0;echo x >>/etc/motd\n");
        assert_eq!((zsh[0].time, zsh[0].command.as_str()), (Some(1_700_000_000), "echo x >>/etc/motd"));
    }

    #[test]
    fn only_what_names_it_in_time_is_evidence() {
        let finding = Finding { path: Some("/etc/motd".to_owned()), ..Finding::default() };
        let typed = |time, command: &str| Typed { user: "ann".to_owned(), time, command: command.to_owned() };
        let at = 1_700_000_000;
        for (time, command, wanted) in [
            (Some(at - 5), "vi /etc/motd", true),
            (Some(at - 5), "cd /etc; vi motd", true),
            (Some(at + 60), "vi /etc/motd", false),
            (Some(at - 90_000), "vi /etc/motd", false),
            (None, "echo hi >>/etc/motd", true),
            (None, "echo hi", false),
        ] {
            assert_eq!(typed(time, command).names(&finding, at), wanted, "{command}");
        }
        let service = Finding { object: Some("service:pirate.service".to_owned()), ..Finding::default() };
        assert!(typed(None, "systemctl start pirate").names(&service, at));
    }
}
