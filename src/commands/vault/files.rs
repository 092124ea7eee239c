//! Reading, writing and editing files that hold secrets: never readable by others, never half written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::Problem;

pub(super) const PRIVATE: u32 = 0o600;

/// Bytes that may be a secret: wiped when they are dropped.
#[derive(Default)]
pub(super) struct Text(Vec<u8>);

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::Other(format!("{} cannot be {what}: {error}", path.display()))
}

pub(super) fn read(path: &Path) -> Result<Text, Problem> {
    std::fs::read(path).map(Text).map_err(|error| failed("read", path, &error))
}

pub(super) fn standard_input() -> Result<Text, Problem> {
    let mut text = Text::default();
    std::io::stdin()
        .lock()
        .read_to_end(&mut text.0)
        .map_err(|error| format!("standard input cannot be read: {error}"))?;
    Ok(text)
}

pub(super) fn print(text: &[u8]) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output cannot be written: {error}").into())
}

/// A file's mode, as it shall stay.
pub(super) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(PRIVATE, |metadata| metadata.permissions().mode() & 0o7777)
}

/// All of it or nothing: written beside and put in place. Through a link, the file it leads to is replaced.
pub(super) fn write(path: &Path, text: &[u8], mode: u32) -> Result<(), Problem> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = target.file_name().ok_or_else(|| format!("{} is no file", path.display()))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = target.with_file_name(beside);
    let put = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&beside)?;
        file.write_all(text)?;
        if let Ok(before) = std::fs::metadata(&target) {
            keep_owner(&file, &before);
        }
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&beside, &target)
    };
    put().map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        failed("written", path, &error)
    })
}

/// Root's work on somebody's file leaves it theirs.
fn keep_owner(file: &File, before: &std::fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid()));
}

/// What the person makes of a text in `$EDITOR`. The plain text lies in a folder that only they can enter, and is
/// overwritten afterwards.
pub(super) fn edited(text: &[u8], named: &Path) -> Result<Text, Problem> {
    let folder = private_folder()?;
    let name = named.file_name().unwrap_or_else(|| "secret".as_ref());
    let path = folder.join(name);
    let outcome = edit_at(&path, text);
    wipe(&path);
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn edit_at(path: &Path, text: &[u8]) -> Result<Text, Problem> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path)
        .map_err(|error| failed("written", path, &error))?;
    file.write_all(text).map_err(|error| failed("written", path, &error))?;
    drop(file);
    let editor = std::env::var("EDITOR")
        .ok()
        .filter(|editor| !editor.trim().is_empty())
        .unwrap_or_else(|| "vi".to_owned());
    let words = playbook::keyvalue::shell_split(&editor, false)
        .map_err(|error| format!("EDITOR is `{editor}`: {error}"))?;
    let (program, arguments) = words.split_first().ok_or_else(|| "EDITOR is empty".to_owned())?;
    let status = Command::new(program).args(arguments).arg(path).status();
    let status = status
        .map_err(|error| format!("the editor `{program}` cannot be started: {error}; set EDITOR to yours"))?;
    if !status.success() {
        return Err(format!("the editor `{program}` failed ({status}); nothing was changed").into());
    }
    read(path)
}

/// Memory rather than a disk, where there is one for this user.
fn private_folder() -> Result<PathBuf, Problem> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    let base = runtime.unwrap_or_else(std::env::temp_dir);
    let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let folder = base.join(format!("theseus-vault-{}-{}", std::process::id(), moment.as_nanos()));
    DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed("made", &folder, &error))?;
    Ok(folder)
}

fn wipe(path: &Path) {
    let Ok(length) = std::fs::metadata(path).map(|metadata| metadata.len()) else { return };
    let zeros = vec![0; usize::try_from(length).unwrap_or_default()];
    if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
        let _ = file.write_all(&zeros).and_then(|()| file.sync_all());
    }
}
