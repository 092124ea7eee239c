//! One account as the server has it, and the words that make or change it.

use catalog::{Args, Json};
use sha1::{Digest as _, Sha1};

use crate::files;
use crate::module::{Failure, Task};
use crate::mysql::{Server, literal};

/// Name and column of each limit.
const LIMITS: &[(&str, &str)] = &[
    ("MAX_QUERIES_PER_HOUR", "max_questions"),
    ("MAX_UPDATES_PER_HOUR", "max_updates"),
    ("MAX_CONNECTIONS_PER_HOUR", "max_connections"),
    ("MAX_USER_CONNECTIONS", "max_user_connections"),
];

pub(super) struct Account {
    /// `'name'@'host'`, as statements name it.
    pub(super) at: String,
    plugin: String,
    stored: String,
    limits: Vec<i64>,
    /// `NONE`, `SSL`, `X509` or what a certificate must have.
    pub(super) requires: String,
    pub(super) locked: bool,
    expires: Option<&'static str>,
    interval: Option<i64>,
}

pub(super) fn at(name: &str, host: &str) -> String {
    format!("{}@{}", literal(name), literal(host))
}

impl Account {
    pub(super) fn look(
        server: &Server,
        task: &Task<'_>,
        name: &str,
        host: &str,
    ) -> Result<Option<Self>, Failure> {
        let stored = if server.is_mariadb {
            "COALESCE(NULLIF(authentication_string, ''), Password, '')"
        } else {
            "COALESCE(authentication_string, '')"
        };
        let columns: Vec<&str> = LIMITS.iter().map(|(_, column)| *column).collect();
        let query = format!(
            "SELECT plugin, {stored}, {} FROM mysql.user WHERE User = {} AND Host = {}",
            columns.join(", "),
            literal(name),
            literal(host)
        );
        let Some(row) = server.ask(task, &query)?.into_iter().next() else { return Ok(None) };
        let at = at(name, host);
        // Servers too old for this statement have none of what it tells beside.
        let made = server.ask(task, &format!("SHOW CREATE USER {at}")).unwrap_or_default();
        let made = made.into_iter().flatten().next().unwrap_or_default();
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or_default();
        let (plugin, stored) = (next(), next());
        let limits = row.map(|number| number.parse().unwrap_or(0)).collect();
        let (requires, locked) = (required(&made), made.contains("ACCOUNT LOCK"));
        let (expires, interval) = expiry(&made);
        Ok(Some(Self { at, plugin, stored, limits, requires, locked, expires, interval }))
    }

    /// Whether what the server stores is not what the task asks for.
    pub(super) fn password_differs(&self, args: &Args) -> bool {
        if let Some(plugin) = args.str("plugin") {
            let same = same_plugin(plugin, &self.plugin);
            return match (args.str("plugin_hash_string"), args.str("plugin_auth_string")) {
                (Some(hash), _) => !same || hash != self.stored,
                (None, Some(text)) => !same || self.stored != native_hash(text),
                (None, None) => !same,
            };
        }
        let Some(password) = args.str("password") else { return false };
        let wanted = if args.bool("encrypted") { password.to_owned() } else { native_hash(password) };
        !wanted.eq_ignore_ascii_case(&self.stored)
    }

    pub(super) fn limits_to_set(&self, args: &Args) -> Result<Option<String>, Failure> {
        let mut words = Vec::new();
        for (name, value) in args.dict("resource_limits").into_iter().flatten() {
            let (name, number) = limit(name, value)?;
            let at = LIMITS.iter().position(|(known, _)| *known == name).unwrap_or(0);
            if self.limits.get(at) != Some(&number) {
                words.push(format!("{name} {number}"));
            }
        }
        Ok(if words.is_empty() { None } else { Some(words.join(" ")) })
    }

    pub(super) fn expiry_to_set(&self, args: &Args) -> Option<String> {
        let wanted = args.str("password_expire")?;
        let interval = args.int("password_expire_interval");
        let same = match wanted {
            "interval" => self.interval == interval,
            word => self.expires.unwrap_or("default") == word,
        };
        if same { None } else { Some(expire_words(wanted, interval)) }
    }
}

/// `socket` is one thing under two names.
fn same_plugin(one: &str, other: &str) -> bool {
    let plain = |name: &str| if matches!(name, "auth_socket" | "unix_socket") { "socket".to_owned() } else { name.to_owned() };
    plain(one) == plain(other)
}

/// What `mysql_native_password` stores.
fn native_hash(password: &str) -> String {
    if password.is_empty() {
        return String::new();
    }
    let twice = Sha1::digest(Sha1::digest(password.as_bytes()));
    format!("*{}", files::hex(twice.as_slice()).to_uppercase())
}

fn limit(name: &str, value: &Json) -> Result<(&'static str, i64), Failure> {
    let upper = name.to_uppercase();
    let known = LIMITS.iter().find(|(known, _)| *known == upper).map(|(known, _)| *known);
    let number = catalog::arguments::text(value).parse().ok();
    known.zip(number).ok_or_else(|| {
        let names: Vec<&str> = LIMITS.iter().map(|(known, _)| *known).collect();
        Failure::new(format!("resource_limits: {name} must be one of {} with a number", names.join(", ")))
    })
}

/// How the account shows who it is; nothing where the task does not say.
pub(super) fn identified(args: &Args, mariadb: bool) -> String {
    if let Some(plugin) = args.str("plugin") {
        return match (args.str("plugin_hash_string"), args.str("plugin_auth_string")) {
            (Some(hash), _) => format!(" IDENTIFIED WITH {plugin} AS {}", literal(hash)),
            (None, Some(text)) if mariadb => format!(" IDENTIFIED VIA {plugin} USING PASSWORD({})", literal(text)),
            (None, Some(text)) => format!(" IDENTIFIED WITH {plugin} BY {}", literal(text)),
            (None, None) => format!(" IDENTIFIED WITH {plugin}"),
        };
    }
    match args.str("password") {
        None => String::new(),
        Some(hash) if args.bool("encrypted") && mariadb => format!(" IDENTIFIED BY PASSWORD {}", literal(hash)),
        Some(hash) if args.bool("encrypted") => {
            format!(" IDENTIFIED WITH mysql_native_password AS {}", literal(hash))
        }
        Some(password) => format!(" IDENTIFIED BY {}", literal(password)),
    }
}

/// The rest of a new account.
pub(super) fn options(args: &Args, mariadb: bool) -> String {
    let mut words = String::new();
    let requires = requires(args);
    if requires != "NONE" {
        words.push_str(&format!(" REQUIRE {requires}"));
    }
    let limits = args.dict("resource_limits").into_iter().flatten();
    let limits: Vec<String> =
        limits.filter_map(|(name, value)| limit(name, value).ok()).map(|(name, n)| format!("{name} {n}")).collect();
    if !limits.is_empty() {
        words.push_str(&format!(" WITH {}", limits.join(" ")));
    }
    let lock = if args.bool("locked") { " ACCOUNT LOCK" } else { "" };
    let expire = args.str("password_expire").map(|word| expire_words(word, args.int("password_expire_interval")));
    let expire = expire.map(|words| format!(" {words}")).unwrap_or_default();
    // Each server reads the two in an order of its own.
    words + &if mariadb { format!("{lock}{expire}") } else { format!("{expire}{lock}") }
}

fn expire_words(word: &str, interval: Option<i64>) -> String {
    match word {
        "now" => "PASSWORD EXPIRE".to_owned(),
        "interval" => format!("PASSWORD EXPIRE INTERVAL {} DAY", interval.unwrap_or(0)),
        word => format!("PASSWORD EXPIRE {}", word.to_uppercase()),
    }
}

/// What the task wants after `REQUIRE`.
pub(super) fn requires(args: &Args) -> String {
    let Some(map) = args.dict("tls_requires").filter(|map| !map.is_empty()) else { return "NONE".to_owned() };
    let mut parts: Vec<String> = map
        .iter()
        .map(|(key, value)| match (key.to_uppercase(), value) {
            (key, Json::Null) => key,
            (key, value) => format!("{key} {}", literal(&catalog::arguments::text(value))),
        })
        .collect();
    parts.sort();
    parts.join(" AND ")
}

/// The same out of `SHOW CREATE USER`.
fn required(made: &str) -> String {
    let Some((_, rest)) = made.split_once(" REQUIRE ") else { return "NONE".to_owned() };
    let end = [" WITH ", " ACCOUNT ", " PASSWORD "].iter().filter_map(|word| rest.find(word)).min();
    let text = rest[..end.unwrap_or(rest.len())].trim();
    let mut parts = Vec::new();
    let mut words = text.split(' ').filter(|word| *word != "AND").peekable();
    while let Some(key) = words.next() {
        match words.peek() {
            Some(value) if value.starts_with('\'') => {
                let mut value = words.next().unwrap_or_default().to_owned();
                while !value.ends_with('\'') || value.len() == 1 {
                    let Some(more) = words.next() else { break };
                    value = format!("{value} {more}");
                }
                parts.push(format!("{key} {value}"));
            }
            _ => parts.push(key.to_owned()),
        }
    }
    parts.sort();
    parts.join(" AND ")
}

fn expiry(made: &str) -> (Option<&'static str>, Option<i64>) {
    let Some((_, rest)) = made.split_once("PASSWORD EXPIRE") else { return (None, None) };
    let mut words = rest.split_whitespace();
    match words.next() {
        Some("NEVER") => (Some("never"), None),
        Some("DEFAULT") => (Some("default"), None),
        Some("INTERVAL") => (Some("interval"), words.next().and_then(|days| days.parse().ok())),
        _ => (Some("now"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash() {
        assert_eq!(native_hash("secret"), "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
        assert_eq!(native_hash(""), "");
    }

    #[test]
    fn what_an_account_requires_is_read_back() {
        let made = "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*x' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 1";
        assert_eq!(required(made), "SSL");
        assert_eq!(required("CREATE USER `a`@`%`"), "NONE");
        let certificate = "… REQUIRE ISSUER '/CN=a b' AND CIPHER 'x' ACCOUNT LOCK";
        assert_eq!(required(certificate), "CIPHER 'x' AND ISSUER '/CN=a b'");
        assert_eq!(expiry("… PASSWORD EXPIRE INTERVAL 9 DAY"), (Some("interval"), Some(9)));
        assert_eq!(expiry("… PASSWORD EXPIRE"), (Some("now"), None));
    }
}
