//! What the file modules share: checksums, backups, validation, making parents, writing with `unsafe_writes`.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use catalog::Json;
pub use catalog::bytes::{escape, unescape};
use layer::{Attributes, Digest};
use serde_json::json;
use sha1::Digest as _;

use crate::fileargs::FileArgs;
use crate::module::{At, Failure, Task};

/// The algorithms that Ansible's modules offer.
pub const CHECKSUMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// A checksum as hexadecimal digits.
pub fn checksum(algorithm: &str, from: impl Read) -> Result<String, Failure> {
    fn run<D: sha1::Digest>(mut from: impl Read) -> std::io::Result<String> {
        let mut hasher = D::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hasher.update(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(hex(hasher.finalize().as_slice()))
    }
    let done = match algorithm {
        "md5" => run::<md5::Md5>(from),
        "sha1" | "sha" => run::<sha1::Sha1>(from),
        "sha224" => run::<sha2::Sha224>(from),
        "sha256" => run::<sha2::Sha256>(from),
        "sha384" => run::<sha2::Sha384>(from),
        "sha512" => run::<sha2::Sha512>(from),
        other => {
            return Err(Failure::new(format!(
                "there is no checksum algorithm `{other}`; known are {}",
                CHECKSUMS.join(", ")
            )));
        }
    };
    done.map_err(Failure::from)
}

pub fn checksum_file(algorithm: &str, path: &Path) -> Result<String, Failure> {
    checksum(algorithm, open(path)?)
        .map_err(|f| Failure::new(format!("could not read {}: {}", path.display(), f.message)))
}

pub fn sha1_of(bytes: &[u8]) -> String {
    hex(sha1::Sha1::digest(bytes).as_slice())
}

pub fn md5_of(bytes: &[u8]) -> String {
    hex(md5::Md5::digest(bytes).as_slice())
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// A regular file for reading; never blocks on a pipe.
pub fn open(path: &Path) -> Result<File, Failure> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).at("open", path)
}

pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).at("read", path)?;
    Ok(bytes)
}

/// Whether the file has this content (by BLAKE3, cheap when the sizes differ).
pub fn has_digest(path: &Path, digest: &str, size: Option<u64>) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    if !metadata.is_file() || size.is_some_and(|size| size != metadata.len()) {
        return false;
    }
    open(path).ok().and_then(|f| Digest::of_reader(f).ok()).is_some_and(|d| d.to_string() == digest)
}

/// Copy a file aside under Ansible's backup name; returns that name.
pub fn backup(task: &mut Task<'_>, path: &Path) -> Result<String, Failure> {
    let time = jiff::Zoned::now().strftime("%Y-%m-%d@%H:%M:%S").to_string();
    let name = format!("{}.{}.{time}~", path.display(), std::process::id());
    let metadata = std::fs::metadata(path).at("look at", path)?;
    let like = Attributes {
        mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        mtime: Some(layer::Time(metadata.mtime(), metadata.mtime_nsec() as u32)),
        atime: Some(layer::Time(metadata.atime(), metadata.atime_nsec() as u32)),
        xattrs: Vec::new(),
    };
    task.recorder.write(Path::new(&name), open(path)?, &like)?;
    Ok(name)
}

/// Write a file whole, with its metadata where a new file is made. `unsafe_writes` allows to write in place.
pub fn write(
    task: &mut Task<'_>,
    path: &Path,
    content: &[u8],
    attributes: &Attributes,
    args: &FileArgs,
) -> Result<(), Failure> {
    task.recorder.reserve(path, content.len() as u64)?;
    match task.recorder.write(path, content, attributes) {
        Err(error) if args.unsafe_writes && error.wants_in_place() => {
            task.recorder.write_in_place(path, content)?;
            Ok(())
        }
        other => other.map(drop).map_err(Failure::from),
    }
}

/// Let a program look at a content before it becomes the file. `%s` in the command is the path.
pub fn validate(task: &Task<'_>, command: &str, content: &[u8]) -> Result<(), Failure> {
    if !command.contains("%s") {
        return Err(Failure::new(format!("validate must contain %s: {command}")));
    }
    // For the validator, not part of the host's configuration.
    let scratch = layer::Scratch::new()?;
    let file = scratch.write("content", content)?;
    let words = crate::words::split(&command.replace("%s", &crate::words::quote(&file.to_string_lossy())))?;
    let (program, rest) = words.split_first().ok_or("validate is empty")?;
    let output = task.command(program).args(rest).output()?;
    if output.ok() {
        return Ok(());
    }
    let (out, err) = (output.stdout_text(), output.stderr_text());
    let failure = Failure::new(format!("failed to validate: rc:{} error:{err}", output.rc));
    Err(failure.with("rc", output.rc).with("stdout", out).with("stderr", err))
}

/// Make a directory and those above it; each new one gets the attributes. Returns the ones made.
pub fn make_dirs(task: &mut Task<'_>, path: &Path, args: &FileArgs) -> Result<Vec<PathBuf>, Failure> {
    let mut missing: Vec<PathBuf> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    for dir in &missing {
        if !task.check {
            task.recorder.create_dir(dir, &Attributes::default())?;
            args.apply(task, dir, None)?;
        }
    }
    Ok(missing)
}

/// `{before, after, before_header, after_header}`; contents that are no text are named instead of shown.
pub fn content_diff(before: &[u8], after: &[u8], path: &str) -> Json {
    const TOO_LONG: usize = 104_448;
    let mut diff = json!({"before_header": path, "after_header": path});
    for (side, bytes) in [("before", before), ("after", after)] {
        if bytes.contains(&0) {
            diff[if side == "before" { "dst_binary" } else { "src_binary" }] = json!(1);
        } else if bytes.len() > TOO_LONG {
            diff[if side == "before" { "dst_larger" } else { "src_larger" }] = json!(TOO_LONG);
        } else {
            diff[side] = json!(String::from_utf8_lossy(bytes));
        }
    }
    diff
}

/// Where links lead; the path itself when it is no link or leads nowhere.
pub fn resolved(path: &Path, follow: bool) -> PathBuf {
    if follow && path.is_symlink() { real_path(path) } else { path.to_owned() }
}

/// As Python's `realpath`: also for paths that do not exist, and up to where links lead in a circle.
pub fn real_path(path: &Path) -> PathBuf {
    real_path_past(path, &mut Vec::new())
}

/// `passed`: the links that were followed on the way to it.
fn real_path_past(path: &Path, passed: &mut Vec<PathBuf>) -> PathBuf {
    if let Ok(real) = std::fs::canonicalize(path) {
        return real;
    }
    let (parent, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => (parent, name),
        _ => return std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    };
    let parent = real_path_past(parent, passed);
    let here = parent.join(name);
    match std::fs::read_link(&here) {
        Ok(target) if !passed.contains(&here) => {
            passed.push(here);
            real_path_past(&parent.join(target), passed)
        }
        _ => here,
    }
}

/// When a file was last changed, as HTTP writes times.
pub fn http_date(path: &Path) -> Result<String, Failure> {
    let time = std::fs::metadata(path).at("look at", path)?.modified()?;
    let time = jiff::Timestamp::try_from(time).map_err(|e| e.to_string())?;
    Ok(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Lines with their ends.
pub fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// What the line editors (`lineinfile`, `blockinfile`, `replace`) do with a new content.
pub struct Edit<'a> {
    pub path: &'a Path,
    pub validate: Option<&'a str>,
    pub backup: bool,
    pub args: &'a FileArgs,
}

impl Edit<'_> {
    /// Write the content where the links lead, checked and with a backup. Returns the backup's name.
    pub fn write(&self, task: &mut Task<'_>, content: &[u8]) -> Result<Option<String>, Failure> {
        let backup = if self.backup && self.path.exists() { Some(backup(task, self.path)?) } else { None };
        if let Some(command) = self.validate {
            validate(task, command, content)?;
        }
        let path = resolved(self.path, true);
        write(task, &path, content, &Attributes::default(), self.args)?;
        Ok(backup)
    }
}
