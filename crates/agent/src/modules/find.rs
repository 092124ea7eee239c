//! `find`: paths below directories that pass every filter.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use catalog::{Arg, Args, Check, Json, Kind, Map, ModuleSpec};
use fancy_regex::Regex;
use serde_json::json;

use crate::cache::Cache;
use crate::fileargs::Mode;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task, plain};
use crate::{children, patterns, regex};

const ARGS: &[Arg] = &[
    Arg::list("paths").of(&Kind::Path).required().aliases(&["name", "path"]),
    Arg::list("patterns").default("").aliases(&["pattern"]),
    Arg::list("excludes").aliases(&["exclude"]),
    Arg::str("contains"),
    Arg::bool("read_whole_file").default("false"),
    Arg::str("file_type").default("file").choices(&["any", "directory", "file", "link"]),
    Arg::str("age"),
    Arg::str("age_stamp").default("mtime").choices(&["atime", "ctime", "mtime"]),
    Arg::str("size"),
    Arg::bool("recurse").default("false"),
    Arg::raw("mode"),
    Arg::bool("exact_mode").default("true"),
    Arg::bool("hidden").default("false"),
    Arg::bool("follow").default("false"),
    Arg::bool("get_checksum").default("false"),
    Arg::str("checksum_algorithm")
        .default("sha1")
        .choices(files::CHECKSUMS)
        .aliases(&["checksum", "checksum_algo"]),
    Arg::bool("use_regex").default("false"),
    Arg::int("depth"),
    Arg::str("encoding"),
    Arg::int("limit"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("find", ARGS).check(Check::Query), run };

/// The filters, read once.
struct Filter {
    patterns: Vec<Name>,
    excludes: Vec<Name>,
    contains: Option<Regex>,
    whole_file: bool,
    kind: String,
    /// Seconds; negative: younger than.
    age: Option<f64>,
    stamp: String,
    size: Option<i64>,
    mode: Option<Mode>,
    exact_mode: bool,
    hidden: bool,
    follow: bool,
    recurse: bool,
    depth: Option<i64>,
    checksum: Option<String>,
    encoding: Option<String>,
    limit: Option<usize>,
    now: f64,
}

enum Name {
    Glob(String),
    Regex(Regex),
}

#[derive(Default)]
struct Found {
    files: Vec<Json>,
    examined: usize,
    skipped: Map,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let filter = Filter::read(args)?;
    let mut found = Found::default();
    for path in args.strings("paths") {
        if !Path::new(&path).is_dir() {
            skip(&mut found, task, &path, &format!("'{path}' is not a directory"));
            continue;
        }
        walk(&filter, Path::new(&path), 1, task, &mut found)?;
    }
    let all = found.skipped.is_empty();
    let message =
        if all { "All paths examined" } else { "Not all paths examined, check warnings for details" };
    let matched = found.files.len();
    let outcome = Outcome::default()
        .with("files", found.files)
        .with("matched", matched)
        .with("examined", found.examined);
    Ok(outcome.with("msg", message).with("skipped_paths", Json::Object(found.skipped)))
}

fn skip(found: &mut Found, task: &mut Task<'_>, path: &str, why: &str) {
    task.warn(format!("Skipped '{path}' path due to this access issue: {why}"));
    found.skipped.insert(path.to_owned(), json!(why));
}

/// One directory: first its files, then its directories, then what is below.
fn walk(
    filter: &Filter,
    dir: &Path,
    depth: i64,
    task: &mut Task<'_>,
    found: &mut Found,
) -> Result<(), Failure> {
    task.go_on()?;
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            skip(found, task, &dir.to_string_lossy(), &plain(&error));
            return Ok(());
        }
    };
    let (mut dirs, mut others) = (Vec::new(), Vec::new());
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { dirs.push(path) } else { others.push(path) }
    }
    found.examined += dirs.len() + others.len();
    if filter.depth.is_none_or(|limit| depth <= limit) {
        for path in others.iter().chain(&dirs) {
            if filter.limit.is_some_and(|limit| found.files.len() >= limit) {
                return Ok(());
            }
            match filter.take(path, task)? {
                Taken::File(file) => found.files.push(file),
                Taken::No => {}
                Taken::Unreadable(why) => skip(found, task, &dir.to_string_lossy(), &why),
            }
        }
    }
    // One level too many: what is there counts as examined.
    if filter.recurse && filter.depth.is_none_or(|limit| depth <= limit) {
        for path in dirs {
            if filter.follow || !path.is_symlink() {
                walk(filter, &path, depth + 1, task, found)?;
            }
        }
    }
    Ok(())
}

impl Filter {
    fn read(args: &Args) -> Result<Self, Failure> {
        let use_regex = args.bool("use_regex");
        let names = |key: &str| -> Result<Vec<Name>, Failure> {
            let all = args.strings(key).into_iter().filter(|p| !p.is_empty());
            all.map(|p| if use_regex { regex::python_match(&p).map(Name::Regex) } else { Ok(Name::Glob(p)) })
                .collect()
        };
        let whole_file = args.bool("read_whole_file");
        let contains =
            args.str("contains").map(|p| if whole_file { regex::python(p) } else { regex::python_match(p) });
        Ok(Self {
            patterns: names("patterns")?,
            excludes: names("excludes")?,
            contains: contains.transpose()?,
            whole_file,
            kind: args.string("file_type"),
            age: args
                .str("age")
                .map(|a| amount(a, "smhdw", &[1.0, 60.0, 3600.0, 86400.0, 604_800.0], "age"))
                .transpose()?,
            stamp: args.string("age_stamp"),
            size: args
                .str("size")
                .map(|s| {
                    amount(
                        s,
                        "bkmgt",
                        &[1.0, 1024.0, 1_048_576.0, 1_073_741_824.0, 1_099_511_627_776.0],
                        "size",
                    )
                })
                .transpose()?
                .map(|s| s as i64),
            mode: args.get("mode").map(Mode::read).transpose()?.flatten(),
            exact_mode: args.bool("exact_mode"),
            hidden: args.bool("hidden"),
            follow: args.bool("follow"),
            recurse: args.bool("recurse"),
            depth: args.int("depth").filter(|d| *d > 0),
            checksum: args.bool("get_checksum").then(|| args.string("checksum_algorithm")),
            encoding: args.str("encoding").map(str::to_lowercase),
            limit: args.int("limit").and_then(|l| usize::try_from(l).ok()).filter(|l| *l > 0),
            now: seconds(SystemTime::now()),
        })
    }

    /// The entry for a path that passes.
    fn take(&self, path: &Path, task: &mut Task<'_>) -> Result<Taken, Failure> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && !self.hidden {
            return Ok(Taken::No);
        }
        // Gone in the meantime: not there.
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(Taken::No) };
        let fits = match self.kind.as_str() {
            "any" => true,
            "directory" => metadata.is_dir(),
            "link" => metadata.is_symlink(),
            _ => metadata.is_file(),
        };
        if !fits || !self.name_fits(&name)? || !self.age_fits(&metadata) || !self.mode_fits(&metadata)? {
            return Ok(Taken::No);
        }
        if metadata.is_file() && !self.size_fits(&metadata) {
            return Ok(Taken::No);
        }
        if self.kind == "file" {
            match self.content_fits(path, task)? {
                Ok(true) => {}
                Ok(false) => return Ok(Taken::No),
                Err(why) => return Ok(Taken::Unreadable(why)),
            }
        }
        let mut entry = describe(path, &metadata, task.cache);
        if let Some(algorithm) = self.checksum.as_ref().filter(|_| metadata.is_file()) {
            entry["checksum"] = json!(files::checksum_file(algorithm, path)?);
        }
        Ok(Taken::File(entry))
    }

    fn name_fits(&self, name: &str) -> Result<bool, Failure> {
        let any = |all: &[Name]| -> Result<bool, Failure> {
            for one in all {
                let hit = match one {
                    Name::Glob(glob) => patterns::matches(glob, name),
                    Name::Regex(pattern) => regex::found(pattern, name)?,
                };
                if hit {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok((self.patterns.is_empty() || any(&self.patterns)?) && !any(&self.excludes)?)
    }

    fn age_fits(&self, metadata: &Metadata) -> bool {
        let Some(age) = self.age else { return true };
        let stamp = match self.stamp.as_str() {
            "atime" => metadata.atime(),
            "ctime" => metadata.ctime(),
            _ => metadata.mtime(),
        };
        let old = self.now - stamp as f64;
        if age >= 0.0 { old >= age } else { old <= -age }
    }

    fn size_fits(&self, metadata: &Metadata) -> bool {
        let size = metadata.len().cast_signed();
        self.size.is_none_or(|wanted| if wanted >= 0 { size >= wanted } else { size <= -wanted })
    }

    fn mode_fits(&self, metadata: &Metadata) -> Result<bool, Failure> {
        let Some(mode) = &self.mode else { return Ok(true) };
        let is = metadata.mode() & 0o7777;
        let wanted = mode.on(0, metadata.is_dir())?;
        Ok(if self.exact_mode { is == wanted } else { is & wanted != 0 })
    }

    /// The inner error: the file is not in the encoding that was named.
    fn content_fits(&self, path: &Path, task: &Task<'_>) -> Result<Result<bool, String>, Failure> {
        let Some(pattern) = &self.contains else { return Ok(Ok(true)) };
        let Ok(bytes) = files::read(path) else { return Ok(Ok(false)) };
        let text = match self.decoded(path, &bytes, task)? {
            Ok(text) => text,
            Err(why) => return Ok(Err(why)),
        };
        if self.whole_file {
            return regex::found(pattern, &text).map(Ok);
        }
        for line in text.split_inclusive('\n') {
            if regex::found(pattern, line)? {
                return Ok(Ok(true));
            }
        }
        Ok(Ok(false))
    }

    /// The text of a file; other encodings than the usual one are the business of the host's `iconv`.
    fn decoded(
        &self,
        path: &Path,
        bytes: &[u8],
        task: &Task<'_>,
    ) -> Result<Result<String, String>, Failure> {
        let Some(encoding) = self.encoding.as_deref() else { return Ok(Ok(files::escape(bytes))) };
        let shown = path.to_string_lossy();
        let wrong = || {
            format!("Failed to read the file {shown} due to an encoding error. current encoding: {encoding}")
        };
        if matches!(encoding, "utf-8" | "utf8") {
            return Ok(std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| wrong()));
        }
        let words = ["iconv", "-f", encoding, "-t", "utf-8", "--", &shown];
        let output = children::in_c_locale(task, &words).output()?;
        if output.ok() {
            return Ok(Ok(output.stdout_text()));
        }
        let said = output.stderr_text();
        let unknown = ["not supported", "failed to start conversion"].iter().any(|words| said.contains(words));
        Ok(Err(if unknown { format!("unknown encoding: {encoding}") } else { wrong() }))
    }
}

/// What comes of one path.
enum Taken {
    No,
    File(Json),
    Unreadable(String),
}

/// A number with a unit of one letter.
fn amount(text: &str, units: &str, factors: &[f64], what: &str) -> Result<f64, Failure> {
    let wrong = || Failure::new(format!("failed to process {what}: {text}"));
    let lower = text.trim().to_lowercase();
    let (number, factor) = match lower.chars().last().and_then(|c| units.find(c)) {
        Some(i) => (&lower[..lower.len() - 1], factors.get(i).copied().unwrap_or(1.0)),
        None => (lower.as_str(), 1.0),
    };
    number.parse::<i64>().map(|n| n as f64 * factor).map_err(|_| wrong())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn describe(path: &Path, m: &Metadata, cache: &mut Cache) -> Json {
    let mode = m.mode();
    let kind = m.file_type();
    let accounts = cache.accounts();
    let time = |s: i64, ns: i64| json!(s as f64 + ns as f64 / 1e9);
    json!({
        "path": path.to_string_lossy(),
        "mode": format!("{:04o}", mode & 0o7777),
        "isdir": m.is_dir(),
        "ischr": kind.is_char_device(),
        "isblk": kind.is_block_device(),
        "isreg": m.is_file(),
        "isfifo": kind.is_fifo(),
        "islnk": m.is_symlink(),
        "issock": kind.is_socket(),
        "uid": m.uid(),
        "gid": m.gid(),
        "size": m.size(),
        "inode": m.ino(),
        "dev": m.dev(),
        "nlink": m.nlink(),
        "atime": time(m.atime(), m.atime_nsec()),
        "mtime": time(m.mtime(), m.mtime_nsec()),
        "ctime": time(m.ctime(), m.ctime_nsec()),
        "gr_name": accounts.group_by_gid(m.gid()).map(|g| g.name).unwrap_or_default(),
        "pw_name": accounts.user_by_uid(m.uid()).map(|u| u.name).unwrap_or_default(),
        "wusr": mode & 0o200 != 0,
        "rusr": mode & 0o400 != 0,
        "xusr": mode & 0o100 != 0,
        "wgrp": mode & 0o020 != 0,
        "rgrp": mode & 0o040 != 0,
        "xgrp": mode & 0o010 != 0,
        "woth": mode & 0o002 != 0,
        "roth": mode & 0o004 != 0,
        "xoth": mode & 0o001 != 0,
        "isuid": mode & 0o4000 != 0,
        "isgid": mode & 0o2000 != 0,
    })
}
