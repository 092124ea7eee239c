//! Passwords that are made once and kept in a file of the project.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::{Error, Origin, Str, Twister, Value};
use parking_lot::Mutex;

use super::Call;
use crate::search;

/// Two hosts that want the same file get the same password.
static WRITING: Mutex<()> = Mutex::new(());

struct Options {
    path: PathBuf,
    length: usize,
    chars: Vec<String>,
    encrypt: Option<String>,
    ident: Option<String>,
    seed: Option<String>,
}

pub(super) fn password(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for term in call.texts()? {
        let options = Options::read(call, &term)?;
        let _lock = WRITING.lock();
        all.push(Value::from(one(call, &options)?));
    }
    Ok(all)
}

/// What is kept: `password salt=… ident=…`.
#[derive(Default)]
struct Kept {
    password: String,
    salt: Option<String>,
    ident: Option<String>,
}

impl Kept {
    fn parse(content: &str) -> Self {
        let content = content.trim_end_matches('\n');
        let (content, ident) = match content.rsplit_once(" ident=") {
            Some((content, ident)) => (content, Some(ident.to_owned())),
            None => (content, None),
        };
        match content.rsplit_once(" salt=") {
            Some((password, salt)) => {
                Self { password: password.to_owned(), salt: Some(salt.to_owned()), ident }
            }
            None => Self { password: content.to_owned(), salt: None, ident },
        }
    }
    fn render(&self) -> String {
        let mut text = self.password.clone();
        for (name, value) in [("salt", &self.salt), ("ident", &self.ident)] {
            if let Some(value) = value {
                text.push_str(&format!(" {name}={value}"));
            }
        }
        text + "\n"
    }
}

fn one(call: &Call<'_>, options: &Options) -> Result<String, Error> {
    let keep = options.path != Path::new("/dev/null");
    let vault = &call.scope.variables().vault;
    let known = if keep && options.path.exists() {
        let text = crate::yaml::read_text(&options.path, vault).map_err(|error| Error::new(error.message))?;
        Some(Kept::parse(&text))
    } else {
        None
    };
    let mut changed = known.is_none();
    let mut kept = match known {
        Some(kept) => kept,
        None => Kept { password: options.make()?, ..Kept::default() },
    };
    if let Some(scheme) = &options.encrypt
        && kept.salt.is_none()
    {
        kept.salt = Some(salt(scheme)?);
        if let Some(ident) = &options.ident {
            kept.ident = Some(ident.clone());
        }
        changed = true;
    }
    if changed && keep {
        write(&options.path, &kept.render())?;
    }
    match &options.encrypt {
        Some(scheme) => hash(call, &kept, scheme),
        None => Ok(kept.password),
    }
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    let problem = |error: std::io::Error| {
        Error::new(format!("cannot write the password file {}: {error}", path.display()))
    };
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(problem)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(problem)?;
    file.write_all(content.as_bytes()).map_err(problem)
}

/// By the engine's own `password_hash`.
fn hash(call: &Call<'_>, kept: &Kept, scheme: &str) -> Result<String, Error> {
    let vars =
        [("_password", Some(&kept.password)), ("_salt", kept.salt.as_ref()), ("_ident", kept.ident.as_ref())];
    let scope = call.scope.with(
        vars.into_iter()
            .map(|(name, value)| {
                (Arc::from(name), value.map_or(Value::None, |text| Value::from(text.as_str())))
            })
            .chain([(Arc::from("_scheme"), Value::from(scheme))]),
    );
    let origin = Arc::new(Origin::new(Path::new("<password>"), 1, 1));
    let ident = if kept.ident.is_some() { ", ident=_ident" } else { "" };
    let text = Str::trusted(format!("_password | password_hash(_scheme, _salt{ident})"), origin);
    scope.variables().engine().evaluate(&text, &scope)?.defined()?.python_str()
}

fn salt(scheme: &str) -> Result<String, Error> {
    let length = if scheme.contains("bcrypt") || scheme == "blowfish" {
        22
    } else if scheme.contains("md5") {
        8
    } else {
        16
    };
    const CHARS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./";
    (0..length).map(|_| Ok(char::from(CHARS[random_below(CHARS.len())?]))).collect()
}

/// A number from 0 up to (not including) `limit`, unpredictable.
pub(super) fn random_below(limit: usize) -> Result<usize, Error> {
    let limit = limit.max(1) as u64;
    let fair = u64::MAX - u64::MAX % limit;
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|error| Error::new(format!("no random numbers: {error}")))?;
        let number = u64::from_le_bytes(bytes);
        if number < fair {
            return Ok(usize::try_from(number % limit).unwrap_or(0));
        }
    }
}

impl Options {
    fn read(call: &Call<'_>, term: &str) -> Result<Self, Error> {
        let mut options = Self {
            path: PathBuf::new(),
            length: 20,
            chars: vec!["ascii_letters".into(), "digits".into(), ".,:-_".into()],
            encrypt: None,
            ident: None,
            seed: None,
        };
        for (name, value) in call.options {
            let value = match value {
                Value::None => continue,
                Value::List(list) if &**name == "chars" => {
                    options.chars = list.items()?.iter().map(Value::python_str).collect::<Result<_, _>>()?;
                    continue;
                }
                other => other.python_str()?,
            };
            options.set(name, &value)?;
        }
        let parsed = crate::keyvalue::parse(term).map_err(|error| Error::new(error.message))?;
        for (name, value) in &parsed.pairs {
            options.set(name, value)?;
        }
        let path = search::expand_home(parsed.raw.as_deref().unwrap_or_default().trim());
        options.path = search::normal(&call.scope.play().play.dir.join(path));
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "length" => {
                self.length =
                    value.parse().map_err(|_| Error::new(format!("invalid length of a password: {value}")))?
            }
            "encrypt" => {
                self.encrypt = Some(value.to_owned()).filter(|scheme| !scheme.is_empty() && scheme != "False")
            }
            "ident" => self.ident = Some(value.to_owned()),
            "seed" => self.seed = Some(value.to_owned()),
            "chars" => self.chars = chars(value),
            _ => {
                return Err(Error::new(format!(
                    "unrecognized parameter(s) given to password lookup: {name}"
                )));
            }
        }
        Ok(())
    }

    fn make(&self) -> Result<String, Error> {
        let candidates: Vec<char> = self
            .chars
            .iter()
            .flat_map(|set| alphabet(set).chars().collect::<Vec<_>>())
            .filter(|c| !matches!(c, '"' | '\''))
            .collect();
        if candidates.is_empty() {
            return Err(Error::new("no characters to make a password of"));
        }
        let mut seeded = self.seed.as_deref().map(Twister::from_text);
        (0..self.length.min(100_000))
            .map(|_| {
                let index = match &mut seeded {
                    Some(random) => random.below_len(candidates.len()),
                    None => random_below(candidates.len())?,
                };
                Ok(candidates[index])
            })
            .collect()
    }
}

/// `ascii_letters,digits,,`: two commas stand for one.
fn chars(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut text = text.to_owned();
    if text.contains(",,") {
        all.push(",".to_owned());
        text = text.replace(",,", ",");
    }
    all.extend(text.split(',').filter(|set| !set.is_empty()).map(str::to_owned));
    all
}

/// The characters of one of Python's `string` constants, or the text itself.
fn alphabet(set: &str) -> String {
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    const BLANKS: &str = " \t\n\r\u{b}\u{c}";
    match set {
        "ascii_letters" => format!("{LOWER}{UPPER}"),
        "ascii_lowercase" => LOWER.to_owned(),
        "ascii_uppercase" => UPPER.to_owned(),
        "digits" => "0123456789".to_owned(),
        "hexdigits" => "0123456789abcdefABCDEF".to_owned(),
        "octdigits" => "01234567".to_owned(),
        "punctuation" => PUNCTUATION.to_owned(),
        "whitespace" => BLANKS.to_owned(),
        "printable" => format!("0123456789{LOWER}{UPPER}{PUNCTUATION}{BLANKS}"),
        other => other.to_owned(),
    }
}
