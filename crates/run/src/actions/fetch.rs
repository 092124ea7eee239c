//! `fetch`: a file of the host, brought to the controller.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use catalog::{Arg, Check, Json, Map, ModuleSpec};
use expressions::Error;

use super::Action;
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("fetch", ARGS).check(Check::Full).open();

const ARGS: &[Arg] = &[
    Arg::path("src").required(),
    Arg::path("dest").required(),
    Arg::bool("flat").default("false"),
    Arg::bool("fail_on_missing").default("true"),
    Arg::bool("validate_checksum").default("true"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let (source, dest) = (action.needed("src")?, action.needed("dest")?);
    let flat = action.flag("flat", false)?;
    let missing = action.flag("fail_on_missing", true)?;
    if action.traits.check {
        return Ok(Work::Done(results::skipped("check mode not (yet) supported for this module")));
    }
    let host = action.delegate.unwrap_or(&action.walker.host);
    let target = match place(action, &source, &dest, flat, host) {
        Ok(target) => target,
        Err(problem) => return Ok(Work::Done(results::failed(problem))),
    };
    let mut args = Map::new();
    args.insert("src".to_owned(), source.clone().into());
    args.insert("fail_on_missing".to_owned(), missing.into());
    let known: Option<Arc<[u8]>> = std::fs::read(&target).ok().map(Into::into);
    if let Some(bytes) = &known {
        // What is here already need not travel.
        args.insert("_known".to_owned(), blake3::hash(bytes).to_hex().to_string().into());
    }
    action.remote("fetch", args, Some(After::Fetch { target, source, known }))
}

/// Where the file goes; never outside of the destination, whatever the host says.
fn place(action: &Action<'_>, source: &str, dest: &str, flat: bool, host: &str) -> Result<PathBuf, String> {
    let base = if Path::new(dest).is_absolute() {
        PathBuf::from(dest)
    } else {
        action.walker.play.play.dir.join(dest)
    };
    let name = Path::new(source).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if flat {
        if base.is_dir() && !dest.ends_with('/') {
            return Err("dest is an existing directory, use a trailing slash if you want to fetch src into that directory".to_owned());
        }
        return Ok(if dest.ends_with('/') { base.join(name) } else { base });
    }
    let inside: PathBuf =
        Path::new(source).components().filter(|c| matches!(c, std::path::Component::Normal(_))).collect();
    Ok(base.join(host).join(inside))
}

/// What the controller does when the host has answered.
#[derive(Clone, Debug)]
pub(crate) enum After {
    /// `known`: what was in the file when the task was sent; tasks sent before it may write there meanwhile.
    Fetch { target: PathBuf, source: String, known: Option<Arc<[u8]>> },
}

impl After {
    pub(crate) fn finish(&self, result: &mut Map) {
        let Self::Fetch { target, known, .. } = self;
        // Without a checksum there is no file, and the task says that this is no failure.
        if results::is_failed(result) || results::is_unreachable(result) || !result.contains_key("checksum") {
            return;
        }
        let sent = result.shift_remove("content");
        let bytes = match (sent.as_ref().and_then(Json::as_str), known) {
            (Some(content), _) => base64::engine::general_purpose::STANDARD.decode(content).ok(),
            (None, known) => known.as_deref().map(<[u8]>::to_vec),
        };
        let Some(bytes) = bytes else {
            return *result = results::failed("the host sent something that is not the content of a file");
        };
        match store(target, &bytes) {
            Ok(changed) => self.done(result, target, changed),
            Err(error) => *result = results::failed(format!("{}: {error}", target.display())),
        }
    }

    fn done(&self, result: &mut Map, target: &Path, changed: bool) {
        let Self::Fetch { source, .. } = self;
        let sum = result.get("checksum").cloned().unwrap_or(Json::Null);
        let md5 = result.get("md5sum").cloned().unwrap_or(Json::Null);
        let mut fine = results::ok(changed);
        fine.insert("dest".to_owned(), target.display().to_string().into());
        fine.insert("checksum".to_owned(), sum.clone());
        fine.insert("md5sum".to_owned(), md5);
        if changed {
            fine.insert("remote_checksum".to_owned(), sum);
            fine.insert("remote_md5sum".to_owned(), Json::Null);
        } else {
            fine.insert("file".to_owned(), source.clone().into());
        }
        *result = fine;
    }
}

/// Says whether anything else was there before.
fn store(target: &Path, bytes: &[u8]) -> std::io::Result<bool> {
    if std::fs::read(target).is_ok_and(|now| now == bytes) {
        return Ok(false);
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(target, bytes)?;
    Ok(true)
}
