//! Changing users and groups with the host's own tools, their files kept exactly by the layer.

pub mod home;
pub mod key;

use std::path::Path;

use crate::children;
use crate::command::{Output, Run, find_program};
use crate::module::{Failure, Task};

/// What the tools of the shadow suite write.
const FILES: &[&str] = &[
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/group",
    "/etc/group-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/subuid",
    "/etc/subuid-",
    "/etc/subgid",
    "/etc/subgid-",
];

/// Runs one of the tools.
pub fn run(task: &mut Task<'_>, argv: &[String]) -> Result<Output, Failure> {
    run_with(task, argv, None)
}

/// With something on standard input that must not be among the arguments.
pub fn run_with(task: &mut Task<'_>, argv: &[String], stdin: Option<String>) -> Result<Output, Failure> {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let program =
        find_program(name).ok_or_else(|| format!("Failed to find required executable \"{name}\""))?;
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut process: Run<'_> = children::in_c_locale(task, &words);
    process.argv[0] = program.into();
    if let Some(text) = stdin {
        process = process.stdin(text);
    }
    let paths: Vec<&Path> = FILES.iter().map(Path::new).collect();
    children::act_on(task, &paths, process)
}

/// Fails with the tool's own words.
pub fn must(task: &mut Task<'_>, argv: &[String], name: &str) -> Result<Output, Failure> {
    let output = run(task, argv)?;
    check(output, name)
}

pub fn check(output: Output, name: &str) -> Result<Output, Failure> {
    if output.ok() {
        return Ok(output);
    }
    let (err, out) = (output.stderr_text(), output.stdout_text());
    Err(Failure::new(if err.is_empty() { out } else { err }).with("name", name).with("rc", output.rc))
}

/// A user's line of /etc/shadow.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Secret {
    pub password: String,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub warn: Option<i64>,
    pub inactive: Option<i64>,
    /// Days since 1970; none: never.
    pub expires: Option<i64>,
}

pub fn secret(name: &str) -> Option<Secret> {
    let text = std::fs::read("/etc/shadow").ok()?;
    String::from_utf8_lossy(&text).lines().find_map(|line| parse_secret(line, name))
}

pub fn parse_secret(line: &str, name: &str) -> Option<Secret> {
    let fields: Vec<&str> = line.split(':').collect();
    let number = |at: usize| fields.get(at).and_then(|f| f.parse().ok());
    (fields[0] == name).then(|| Secret {
        password: fields.get(1).copied().unwrap_or_default().to_owned(),
        min: number(3),
        max: number(4),
        warn: number(5),
        inactive: number(6),
        expires: number(7),
    })
}

/// Whether a password is surely not a hash.
pub fn looks_plain(password: &str) -> bool {
    if matches!(password, "*" | "!" | "*************") {
        return false;
    }
    let fields: Vec<&str> = password.split('$').collect();
    let Some(hash) = fields.last().filter(|_| fields.len() >= 3 && !password.contains([':', '*', '!']))
    else {
        return true;
    };
    let strange = hash.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '/' | '='));
    let length = match fields[1] {
        "1" => Some(22),
        "5" => Some(43),
        "6" => Some(86),
        _ => None,
    };
    strange || length.is_some_and(|l| hash.len() != l)
}

/// Days since 1970 to `YYYY-MM-DD`.
pub fn date(days: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(days.checked_mul(86400)?).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d").to_string())
}
