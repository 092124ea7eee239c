//! `copy`: a file, a folder or a text of the project onto the host.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use catalog::{Arg, Json, Map, ModuleSpec};
use expressions::Error;

use super::{Action, content};
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("copy", ARGS)
    .file_args()
    .mutually_exclusive(&[&["src", "content"]])
    .asked(&[("", "", &["src", "content"], "src (or content) is required")]);

const ARGS: &[Arg] = &[
    Arg::path("src"),
    Arg::raw("content"),
    Arg::path("dest").required(),
    Arg::bool("backup").default("false"),
    Arg::bool("force").default("true").aliases(&["thirsty"]),
    Arg::str("validate"),
    Arg::raw("directory_mode"),
    Arg::bool("remote_src").default("false"),
    Arg::bool("follow").default("false"),
    Arg::bool("local_follow").default("true"),
    Arg::str("checksum"),
    Arg::bool("decrypt").default("true"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let mut args = action.arguments()?;
    if let Some(problem) = problem(&args) {
        return Ok(Work::Done(results::failed(problem)));
    }
    // Such names are between controller and host.
    if let Some(name) = args.keys().find(|name| name.starts_with('_')) {
        return Ok(Work::Done(results::failed(format!("Unsupported parameters for (copy) module: {name}"))));
    }
    let remote = action.flag("remote_src", false)?;
    let decrypt = action.flag("decrypt", true)?;
    args.shift_remove("decrypt");
    let follow = action.flag("local_follow", true)?;
    if !remote {
        args.shift_remove("local_follow");
    }
    if let Some(text) = args.shift_remove("content") {
        let bytes = catalog::bytes::unescape(&text_of(&text));
        content::put(&mut args, &action.bytes_content(bytes));
        args.shift_remove("src");
        return action.remote("copy", args, None);
    }
    if remote {
        return action.remote("copy", args, None);
    }
    let Some(source) = args.shift_remove("src").and_then(|v| v.as_str().map(str::to_owned)) else {
        return Ok(Work::Done(results::failed("src (or content) is required")));
    };
    let found = action.find(&source, "files")?;
    if found.is_dir() {
        let entries = tree(action, &found, decrypt, follow)?;
        args.insert("_tree".to_owned(), entries.into());
        args.insert("_source_slash".to_owned(), source.ends_with('/').into());
        let base = found.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        args.insert("_original_basename".to_owned(), base.into());
        args.insert("src".to_owned(), found.display().to_string().into());
        return action.remote("copy", args, None);
    }
    let content = action.file_content(&found, decrypt)?;
    content::put(&mut args, &content);
    let base = Path::new(&source).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    args.insert("_original_basename".to_owned(), base.into());
    preserve(&mut args, &found);
    action.remote("copy", args, None)
}

/// An empty path is none.
fn problem(args: &Map) -> Option<&'static str> {
    let path = |name: &str| args.get(name).filter(|path| path.as_str() != Some(""));
    match (path("src"), args.get("content"), path("dest")) {
        (None, None, _) => Some("src (or content) is required"),
        (_, _, None) => Some("dest is required"),
        (Some(_), Some(_), _) => Some("src and content are mutually exclusive"),
        (_, Some(_), Some(Json::String(dest))) if dest.ends_with('/') => {
            Some("can not use content with a dir as dest")
        }
        _ => None,
    }
}

/// A text is written as it is, a structure as JSON.
pub(super) fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(_) | Json::Object(_) => python_json(value),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

/// As Python's `json.dumps` writes it: nothing but ASCII.
fn python_json(value: &Json) -> String {
    match value {
        Json::String(text) => ascii_json(text),
        Json::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(k, v)| format!("{}: {}", ascii_json(k), python_json(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

fn ascii_json(text: &str) -> String {
    let mut out = String::new();
    for c in Json::String(text.to_owned()).to_string().chars() {
        if (' '..='~').contains(&c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// `mode: preserve`
fn preserve(args: &mut Map, source: &Path) {
    if args.get("mode").and_then(Json::as_str) == Some("preserve")
        && let Ok(metadata) = std::fs::metadata(source)
    {
        args.insert("mode".to_owned(), format!("0{:o}", metadata.permissions().mode() & 0o7777).into());
    }
}

/// Everything below a folder, folders before what is in them. `above`: the folders on the way there.
fn tree(action: &Action<'_>, root: &Path, decrypt: bool, follow: bool) -> Result<Vec<Json>, Error> {
    let mut entries = Vec::new();
    walk(action, root, Path::new(""), decrypt, follow, &mut Vec::new(), &mut entries)?;
    Ok(entries)
}

fn walk(
    action: &Action<'_>,
    root: &Path,
    below: &Path,
    decrypt: bool,
    follow: bool,
    above: &mut Vec<(u64, u64)>,
    entries: &mut Vec<Json>,
) -> Result<(), Error> {
    let dir = root.join(below);
    let wrong = |path: &Path, e: std::io::Error| Error::new(format!("{}: {e}", path.display()));
    let here = std::fs::metadata(&dir).map_err(|e| wrong(&dir, e))?;
    above.push((here.dev(), here.ino()));
    let mut names: Vec<_> = std::fs::read_dir(&dir)
        .map_err(|e| wrong(&dir, e))?
        .filter_map(Result::ok)
        .map(|e| e.file_name())
        .collect();
    // Files first: of several mistakes it is then the one that Ansible finds.
    names.sort_by_cached_key(|name| (dir.join(name).is_dir(), name.clone()));
    for name in names {
        let relative = below.join(&name);
        let path = root.join(&relative);
        let shown = relative.to_string_lossy().into_owned();
        let plain = std::fs::symlink_metadata(&path).map_err(|e| wrong(&path, e))?;
        let metadata = std::fs::metadata(&path);
        // One that leads nowhere or to a folder around it cannot be followed: it is copied as it is.
        let leads = metadata.as_ref().is_ok_and(|to| !to.is_dir() || !above.contains(&(to.dev(), to.ino())));
        if plain.is_symlink() && !(follow && leads) {
            let target = std::fs::read_link(&path).map_err(|e| wrong(&path, e))?;
            entries.push(content::entry(
                &shown,
                "link",
                None,
                &[("target", target.to_string_lossy().into_owned().into())],
            ));
            continue;
        }
        let metadata = metadata.map_err(|e| wrong(&path, e))?;
        let mode = ("source_mode", Json::from(format!("0{:o}", metadata.permissions().mode() & 0o7777)));
        if metadata.is_dir() {
            entries.push(content::entry(&shown, "dir", None, &[mode]));
            walk(action, root, &relative, decrypt, follow, above, entries)?;
        } else {
            let content = action.file_content(&path, decrypt)?;
            entries.push(content::entry(&shown, "file", Some(&content), &[mode]));
        }
    }
    above.pop();
    Ok(())
}
