//! `authorized_key`: who may log in as a user with which SSH key.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use layer::Attributes;

use crate::accounts::User;
use crate::module::{At, Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "authorized_key",
        &[
            Arg::str("user").required(),
            Arg::str("key").required(),
            Arg::path("path"),
            Arg::bool("manage_dir").default("true"),
            Arg::str("state").default("present").choices(&["absent", "present"]),
            Arg::str("key_options"),
            Arg::bool("exclusive").default("false"),
            Arg::str("comment"),
            Arg::bool("validate_certs").default("true"),
            Arg::bool("follow").default("false"),
        ],
    )
    .collection("ansible.posix"),
    run,
};

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Key(Key),
    /// Comments, blank lines and what nobody understands.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    options: String,
    kind: String,
    body: String,
    comment: String,
}

const KINDS: &[&str] = &["ssh-", "ecdsa-", "sk-", "rsa-sha2-"];

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let words = words(line);
        let at = words.iter().take(2).position(|w| KINDS.iter().any(|k| w.starts_with(k)))?;
        let body = words.get(at + 1)?;
        // A key is base64 of something that starts with a length.
        if body.len() < 16 || !body.starts_with("AAAA") {
            return None;
        }
        Some(Self {
            options: words[..at].join(" "),
            kind: words[at].clone(),
            body: body.clone(),
            comment: words[at + 2..].join(" "),
        })
    }

    fn render(&self) -> String {
        let parts = [&self.options, &self.kind, &self.body, &self.comment];
        parts.iter().filter(|p| !p.is_empty()).map(|p| p.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn same_key(&self, other: &Self) -> bool {
        self.kind == other.kind && self.body == other.body
    }
}

/// Blanks within quotes separate nothing (options may have them).
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.trim().chars() {
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        if c.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words.retain(|w| !w.is_empty());
    words
}

fn parse(text: &str) -> Vec<Line> {
    let line = |line: &str| match Key::parse(line) {
        Some(key) if !line.trim_start().starts_with('#') => Line::Key(key),
        _ => Line::Other(line.to_owned()),
    };
    text.lines().map(line).collect()
}

fn render(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            Line::Key(key) => key.render() + "\n",
            Line::Other(text) => text.clone() + "\n",
        })
        .collect()
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("user");
    let user = task.cache.accounts().user(&name);
    let Some(user) = user else {
        if task.check && args.has("path") {
            return Ok(Outcome::changed(true));
        }
        return Err(Failure::new(format!("Failed to lookup user {name}: there is no such user")));
    };
    let file = match args.str("path") {
        Some(path) => PathBuf::from(path),
        None => Path::new(&user.home).join(".ssh/authorized_keys"),
    };
    let file = if args.bool("follow") { crate::files::real_path(&file) } else { file };
    let wanted = wanted(args, task)?;
    let before = match std::fs::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).at("read", &file),
    };
    let old = parse(&before);
    let new = changed_lines(args, &old, &wanted);
    let changed = new != old;
    if changed && !task.check {
        write(args, task, &user, &file, &render(&new))?;
    }
    let mut outcome = Outcome::changed(changed);
    if task.diff && changed {
        let path = file.display().to_string();
        outcome.diff.push(crate::files::content_diff(before.as_bytes(), render(&new).as_bytes(), &path));
    }
    for key in ["user", "key", "state", "exclusive", "manage_dir", "key_options", "comment"] {
        outcome.set(key, args.get(key).cloned().unwrap_or_default());
    }
    Ok(outcome
        .with("keyfile", file.to_string_lossy())
        .with("path", args.get("path").cloned().unwrap_or_default()))
}

/// The keys given: text, or an address where they are.
fn wanted(args: &Args, task: &Task<'_>) -> Result<Vec<Key>, Failure> {
    let mut text = args.string("key");
    if text.starts_with("http://") || text.starts_with("https://") {
        let scratch = layer::Scratch::new()?;
        let file = crate::http::download(task, &text, (&scratch, "keys"), args.bool("validate_certs"))?;
        text = String::from_utf8_lossy(&crate::files::read(&file)?).into_owned();
    }
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(mut key) = Key::parse(line) else {
            return Err(Failure::new(format!("invalid key specified: {line}")));
        };
        if let Some(options) = args.str("key_options") {
            options.clone_into(&mut key.options);
        }
        if let Some(comment) = args.str("comment") {
            comment.clone_into(&mut key.comment);
        }
        keys.push(key);
    }
    Ok(keys)
}

fn changed_lines(args: &Args, old: &[Line], wanted: &[Key]) -> Vec<Line> {
    let of = |key: &Key| wanted.iter().find(|w| w.same_key(key));
    if args.string("state") == "absent" {
        // With options given, only the line with just those options.
        let fits = |key: &Key| of(key).is_some_and(|w| !args.has("key_options") || w.options == key.options);
        return old.iter().filter(|line| !matches!(line, Line::Key(key) if fits(key))).cloned().collect();
    }
    let mut lines: Vec<Line> = Vec::new();
    for line in old {
        match line {
            Line::Key(key) => match of(key) {
                Some(want) => {
                    let mut new = key.clone();
                    new.options.clone_from(&want.options);
                    if args.has("comment") || !want.comment.is_empty() {
                        new.comment.clone_from(&want.comment);
                    }
                    lines.push(Line::Key(new));
                }
                None if args.bool("exclusive") => {}
                None => lines.push(line.clone()),
            },
            Line::Other(_) => lines.push(line.clone()),
        }
    }
    for want in wanted {
        if !lines.iter().any(|line| matches!(line, Line::Key(key) if key.same_key(want))) {
            lines.push(Line::Key(want.clone()));
        }
    }
    lines
}

fn write(args: &Args, task: &mut Task<'_>, user: &User, file: &Path, text: &str) -> Result<(), Failure> {
    let own = |mode| Attributes {
        mode: Some(mode),
        uid: Some(user.uid),
        gid: Some(user.gid),
        ..Attributes::default()
    };
    let dir = file.parent().unwrap_or(Path::new("/"));
    if args.bool("manage_dir") {
        if dir.is_dir() {
            task.recorder.set(dir, &own(0o700), true)?;
        } else {
            task.recorder.create_dir(dir, &own(0o700))?;
        }
    } else if !dir.is_dir() {
        return Err(Failure::new(format!("Failed to write: the directory {} does not exist", dir.display())));
    }
    task.recorder.write(file, text.as_bytes(), &own(0o600))?;
    Ok(())
}
