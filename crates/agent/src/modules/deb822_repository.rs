//! `deb822_repository`: sources of apt in the format of paragraphs, with their keys.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, ModuleSpec, arguments};
use layer::Attributes;

use crate::fileargs::FileArgs;
use crate::files;
use crate::http;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

/// In the order in which they are written.
const ARGS: &[Arg] = &[
    Arg::bool("allow_downgrade_to_insecure"),
    Arg::bool("allow_insecure"),
    Arg::bool("allow_weak"),
    Arg::list("architectures"),
    Arg::bool("by_hash"),
    Arg::bool("check_date"),
    Arg::bool("check_valid_until"),
    Arg::list("components"),
    Arg::int("date_max_future"),
    Arg::bool("enabled"),
    Arg::str("inrelease_path"),
    Arg::list("languages"),
    Arg::str("name").required(),
    Arg::bool("pdiffs"),
    Arg::str("signed_by"),
    Arg::list("suites"),
    Arg::list("targets"),
    Arg::bool("trusted"),
    Arg::list("types").default("deb").choices(&["deb", "deb-src"]),
    Arg::list("uris"),
    Arg::raw("mode").default("0644"),
    Arg::str("state").default("present").choices(&["present", "absent"]),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("deb822_repository", ARGS), run };

const KEYRINGS: &str = "/etc/apt/keyrings";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let slug = slug(&args.string("name"));
    let path = PathBuf::from(format!("/etc/apt/sources.list.d/{slug}.sources"));
    if args.str("state") == Some("absent") {
        return absent(task, &slug, &path);
    }
    let (signed_by, key, mut changed) = key(args, task, &slug)?;
    let text = paragraph(args, signed_by.as_deref());
    let file = TextFile::read(&path)?;
    if file.before.as_deref() != Some(&text) {
        changed = true;
        if !task.check {
            file.write(task, &text, Some(0o644))?;
        }
    }
    if path.exists() {
        changed |= FileArgs::read(args)?.apply(task, &path, None)?;
    }
    let outcome = Outcome::changed(changed).with("repo", text.clone()).with("key_filename", key);
    let outcome = outcome.with("dest", path.to_string_lossy().into_owned());
    Ok(outcome.diff(file.diff(&text)))
}

fn absent(task: &mut Task<'_>, slug: &str, path: &Path) -> Result<Outcome, Failure> {
    let keys = ["gpg", "asc"].map(|kind| format!("{KEYRINGS}/{slug}.{kind}"));
    let mut changed = false;
    for path in keys.iter().map(Path::new).chain([path]).filter(|p| p.symlink_metadata().is_ok()) {
        changed = true;
        if !task.check {
            task.recorder.remove(path)?;
        }
    }
    let outcome = Outcome::changed(changed).with("repo", Json::Null);
    let outcome = outcome.with("dest", path.to_string_lossy().into_owned());
    Ok(outcome.with("key_filename", keys[0].clone()))
}

fn paragraph(args: &Args, signed_by: Option<&str>) -> String {
    let mut text = String::new();
    for arg in ARGS.iter().filter(|arg| !matches!(arg.name, "mode" | "state")) {
        let value = match (arg.name, args.get(arg.name)) {
            ("signed_by", _) => signed_by.map(str::to_owned),
            (_, None) => None,
            (_, Some(Json::Bool(yes))) => Some(if *yes { "yes" } else { "no" }.to_owned()),
            (_, Some(Json::Array(words))) => {
                Some(words.iter().map(arguments::text).collect::<Vec<_>>().join(" "))
            }
            (_, Some(other)) => Some(arguments::text(other)),
        };
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let space = if value.starts_with('\n') { "" } else { " " };
            text.push_str(&format!("{}:{space}{value}\n", field(arg.name)));
        }
    }
    text
}

fn field(name: &str) -> String {
    match name {
        "name" => "X-Repolib-Name".to_owned(),
        "uris" => "URIs".to_owned(),
        _ => name.split('_').map(capital).collect::<Vec<_>>().join("-"),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|c| c.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn slug(name: &str) -> String {
    let spaced = name.to_lowercase().replace(['_', ' '], "-");
    spaced.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').collect()
}

/// What stands behind `Signed-By`, the file of the key if there is one, and whether that file changed.
fn key(
    args: &Args,
    task: &mut Task<'_>,
    slug: &str,
) -> Result<(Option<String>, Option<String>, bool), Failure> {
    let Some(given) = args.str("signed_by") else { return Ok((None, None, false)) };
    if given.contains("-----BEGIN PGP") {
        let lines = given.trim_end().lines().map(|l| if l.trim().is_empty() { "." } else { l.trim_end() });
        let inline: String = lines.map(|line| format!("\n    {line}")).collect();
        return Ok((Some(inline), None, false));
    }
    if given.starts_with('/') {
        return Ok((Some(given.to_owned()), Some(given.to_owned()), false));
    }
    if !given.contains("://") {
        return Ok((Some(given.to_owned()), None, false));
    }
    let bytes = fetch(task, given)?;
    let armored = bytes.starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK");
    let path = format!("{KEYRINGS}/{slug}.{}", if armored { "asc" } else { "gpg" });
    let changed = std::fs::read(&path).ok().as_ref() != Some(&bytes);
    if changed && !task.check {
        if !Path::new(KEYRINGS).exists() {
            task.recorder.create_dir(Path::new(KEYRINGS), &Attributes::mode(0o755))?;
        }
        task.recorder.write(Path::new(&path), bytes.as_slice(), &Attributes::mode(0o644))?;
    }
    Ok((Some(path.clone()), Some(path), changed))
}

fn fetch(task: &Task<'_>, address: &str) -> Result<Vec<u8>, Failure> {
    let failed = |f: Failure| Failure::new(format!("Could not fetch signed_by key: {}", f.message));
    if let Some(path) = address.strip_prefix("file://") {
        return files::read(Path::new(path)).map_err(failed);
    }
    let scratch = layer::Scratch::new()?;
    let file = http::download(task, address, (&scratch, "key"), true).map_err(failed)?;
    files::read(&file)
}
