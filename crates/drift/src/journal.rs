//! What was logged about logins and about commands as root: `auth.log`, else the journal, and the login records.

use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Somebody was logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) from: String,
    pub(crate) begin: i64,
    /// `None`: still.
    pub(crate) end: Option<i64>,
}

impl Session {
    pub(crate) fn covers(&self, time: i64) -> bool {
        self.begin <= time && self.end.is_none_or(|end| time <= end)
    }
}

/// A line that says who did what as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sudo {
    pub(crate) time: i64,
    pub(crate) user: String,
    pub(crate) command: String,
}

/// From `wtmp`: records of 384 bytes.
pub(crate) fn sessions(path: &Path) -> Vec<Session> {
    const RECORD: usize = 384;
    const LOGIN: i16 = 7;
    const LOGOUT: i16 = 8;
    const BOOT: i16 = 2;
    let bytes = std::fs::read(path).unwrap_or_default();
    let mut open: Vec<(Vec<u8>, usize)> = Vec::new();
    let mut all: Vec<Session> = Vec::new();
    for record in bytes.chunks_exact(RECORD) {
        let text = |from: usize, length: usize| {
            let field = &record[from..from + length];
            let end = field.iter().position(|b| *b == 0).unwrap_or(length);
            field[..end].to_vec()
        };
        let kind = i16::from_le_bytes([record[0], record[1]]);
        let line = text(8, 32);
        let time = i64::from(i32::from_le_bytes([record[340], record[341], record[342], record[343]]));
        let end = |all: &mut Vec<Session>, i: usize| all[i].end = Some(time);
        match kind {
            LOGIN => {
                open.push((line, all.len()));
                let shown = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                all.push(Session {
                    user: shown(text(44, 32)),
                    from: shown(text(76, 256)),
                    begin: time,
                    end: None,
                });
            }
            LOGOUT => {
                if let Some(at) = open.iter().rposition(|(known, _)| *known == line) {
                    end(&mut all, open.remove(at).1);
                }
            }
            BOOT => open.drain(..).for_each(|(_, i)| end(&mut all, i)),
            _ => {}
        }
    }
    all
}

/// Commands by `sudo` since then.
pub(crate) fn sudos(root: &Path, since: i64) -> Vec<Sudo> {
    let log = |name: &str| std::fs::read(root.join("var/log").join(name)).unwrap_or_default();
    let text = [log("auth.log.1"), log("auth.log"), log("secure")].concat();
    let mut lines = String::from_utf8_lossy(&text).into_owned();
    if lines.is_empty() && root == Path::new("/") {
        lines = journal(since);
    }
    lines.lines().filter_map(sudo_line).filter(|sudo| sudo.time >= since).collect()
}

fn journal(since: i64) -> String {
    let since = format!("@{since}");
    let arguments = ["-q", "--no-pager", "-o", "short-iso", "-t", "sudo", "--since", &since, "-n", "2000"];
    let mut command = Command::new("journalctl");
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// `Nov 21 07:00:00 host sudo: ann : TTY=… ; COMMAND=/usr/bin/vi /etc/motd`, or with an ISO time.
fn sudo_line(line: &str) -> Option<Sudo> {
    let at = line.find(" sudo")?;
    let (_, message) = line[at..].split_once(": ")?;
    let (user, rest) = message.trim_start().split_once(" : ")?;
    let (_, command) = rest.split_once("COMMAND=")?;
    Some(Sudo { time: log_time(line)?, user: user.trim().to_owned(), command: command.trim().to_owned() })
}

pub(crate) fn log_time(line: &str) -> Option<i64> {
    let first = line.split(' ').next()?;
    if first.contains('T') {
        // `+0000` or `+00:00`
        let fixed = match first.len() {
            24 if !first.ends_with('Z') => format!("{}:{}", &first[..22], &first[22..]),
            _ => first.to_owned(),
        };
        return fixed.parse::<Timestamp>().ok().map(Timestamp::as_second);
    }
    let stamp = line.get(..15)?;
    let now = jiff::Zoned::now();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|name| stamp.starts_with(name))? as i8
        + 1;
    let day: i8 = stamp[4..6].trim().parse().ok()?;
    let mut clock = stamp[7..].split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let time = |year: i16| {
        let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(time.to_zoned(TimeZone::system()).ok()?.timestamp().as_second())
    };
    // The line does not say the year.
    let this = time(now.year())?;
    if this > now.timestamp().as_second() + 86_400 { time(now.year() - 1) } else { Some(this) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sudo_are_understood() {
        let line = "2026-11-21T07:00:00+0000 host sudo[12]:      ann : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/vi /etc/motd";
        let found = sudo_line(line).unwrap();
        assert_eq!((found.user.as_str(), found.command.as_str()), ("ann", "/usr/bin/vi /etc/motd"));
        assert_eq!(found.time, "2026-11-21T07:00:00Z".parse::<Timestamp>().unwrap().as_second());
        assert!(sudo_line("Nov 21 07:00:00 host sshd[1]: session opened").is_none());
        assert!(log_time("Nov 21 07:00:00 host x").is_some());
    }

    #[test]
    fn logins_begin_and_end() {
        let record = |kind: i16, line: &str, user: &str, time: i32| {
            let mut bytes = vec![0; 384];
            bytes[..2].copy_from_slice(&kind.to_le_bytes());
            bytes[8..8 + line.len()].copy_from_slice(line.as_bytes());
            bytes[44..44 + user.len()].copy_from_slice(user.as_bytes());
            bytes[340..344].copy_from_slice(&time.to_le_bytes());
            bytes
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wtmp");
        let all =
            [record(7, "pts/0", "ann", 100), record(7, "pts/1", "bob", 150), record(8, "pts/0", "", 200)];
        std::fs::write(&path, all.concat()).unwrap();
        let sessions = sessions(&path);
        assert!(sessions[0].covers(150) && !sessions[0].covers(201) && sessions[1].covers(900));
    }
}
