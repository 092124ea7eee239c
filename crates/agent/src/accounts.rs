//! Users and groups: /etc/passwd and /etc/group read by ourselves, a `getent` process for other sources. (The C
//! library's own functions would load the host's plug-ins into our static program.)

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use crate::command::Run;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// Both databases, with what `getent` said.
#[derive(Default)]
pub struct Accounts {
    passwd: Source<User>,
    group: Source<Group>,
}

/// `(inode, ctime, its nanoseconds, size)`: another one means another content.
type Stamp = (u64, i64, i64, u64);

struct Source<T> {
    stamp: Option<Stamp>,
    all: Vec<T>,
    asked: HashMap<String, Option<T>>,
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self { stamp: None, all: Vec::new(), asked: HashMap::new() }
    }
}

impl<T: Clone> Source<T> {
    fn refresh(&mut self, path: &str, parse: fn(&str) -> Option<T>) {
        let stamp = std::fs::metadata(path).ok().map(|m| (m.ino(), m.ctime(), m.ctime_nsec(), m.size()));
        if stamp.is_some() && stamp == self.stamp {
            return;
        }
        let text = std::fs::read(path).unwrap_or_default();
        self.all = String::from_utf8_lossy(&text).lines().filter_map(parse).collect();
        self.asked.clear();
        self.stamp = stamp;
    }

    fn find(
        &mut self,
        database: &str,
        key: &str,
        parse: fn(&str) -> Option<T>,
        is: impl Fn(&T) -> bool,
    ) -> Option<T> {
        if let Some(found) = self.all.iter().find(|t| is(t)) {
            return Some(found.clone());
        }
        self.asked
            .entry(key.to_owned())
            .or_insert_with(|| getent(database, key).and_then(|line| parse(&line)))
            .clone()
    }
}

impl Accounts {
    pub fn read() -> Self {
        let mut accounts = Self::default();
        accounts.refresh();
        accounts
    }

    /// Read again if the files changed since.
    pub fn refresh(&mut self) {
        self.passwd.refresh("/etc/passwd", parse_user);
        self.group.refresh("/etc/group", parse_group);
    }

    pub fn user(&mut self, name: &str) -> Option<User> {
        self.passwd.find("passwd", name, parse_user, |u| u.name == name)
    }
    pub fn user_by_uid(&mut self, uid: u32) -> Option<User> {
        self.passwd.find("passwd", &uid.to_string(), parse_user, |u| u.uid == uid)
    }
    pub fn group(&mut self, name: &str) -> Option<Group> {
        self.group.find("group", name, parse_group, |g| g.name == name)
    }
    pub fn group_by_gid(&mut self, gid: u32) -> Option<Group> {
        self.group.find("group", &gid.to_string(), parse_group, |g| g.gid == gid)
    }
    /// Name, or the number where nobody has it.
    pub fn user_name(&mut self, uid: u32) -> String {
        self.user_by_uid(uid).map_or_else(|| uid.to_string(), |u| u.name)
    }
    pub fn group_name(&mut self, gid: u32) -> String {
        self.group_by_gid(gid).map_or_else(|| gid.to_string(), |g| g.name)
    }
    /// Of the local files.
    pub fn users(&self) -> &[User] {
        &self.passwd.all
    }
    /// Of the local files.
    pub fn groups(&self) -> &[Group] {
        &self.group.all
    }
}

fn parse_user(line: &str) -> Option<User> {
    let mut f = line.split(':');
    let mut next = || f.next().map(str::to_owned);
    Some(User {
        name: next()?,
        password: next()?,
        uid: next()?.parse().ok()?,
        gid: next()?.parse().ok()?,
        gecos: next()?,
        home: next()?,
        shell: next().unwrap_or_default(),
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let mut f = line.split(':');
    let (name, _, gid, members) = (f.next()?, f.next()?, f.next()?, f.next().unwrap_or_default());
    let members = members.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
}

/// Ask the other sources, where there are any.
fn getent(database: &str, key: &str) -> Option<String> {
    let switch = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    let line = switch.lines().find_map(|l| l.trim().strip_prefix(database)?.strip_prefix(':'))?;
    let others =
        line.split_whitespace().any(|word| !matches!(word, "files" | "compat") && !word.starts_with('['));
    if !others || key.is_empty() || key.starts_with('-') {
        return None;
    }
    let output =
        Run::new("getent").args([database, key]).timeout(std::time::Duration::from_secs(20)).output().ok()?;
    (output.rc == 0)
        .then(|| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// The user that we are, by the databases; the number where nobody has it.
pub fn own_name() -> String {
    Accounts::read().user_name(rustix::process::geteuid().as_raw())
}
