//! One file gets its content and its attributes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use catalog::Json;
use layer::Attributes;
use serde_json::json;

use crate::fileargs::{FileArgs, Mode};
use crate::files;
use crate::module::{At, Failure, Task};

/// Where a content comes from.
pub(super) enum Source {
    Digest { digest: String, size: Option<u64> },
    Inline(Vec<u8>),
    File(PathBuf),
}

/// How files are written by this task.
pub(super) struct Placing {
    pub(super) files: FileArgs,
    pub(super) directory_mode: Option<Mode>,
    pub(super) backup: bool,
    pub(super) force: bool,
    pub(super) follow: bool,
    pub(super) local_follow: bool,
    pub(super) validate: Option<String>,
    pub(super) checksum: Option<String>,
}

/// What was done to one file.
#[derive(Default)]
pub(super) struct Placed {
    pub(super) changed: bool,
    pub(super) content_changed: bool,
    pub(super) backup: Option<String>,
    pub(super) diffs: Vec<Json>,
    pub(super) checksum: Option<String>,
    pub(super) md5: Option<String>,
}

impl Source {
    pub(super) fn of(
        digest: Option<&str>,
        inline: Option<&str>,
        size: Option<i64>,
    ) -> Result<Option<Self>, Failure> {
        if let Some(inline) = inline {
            let bytes = BASE64_STANDARD
                .decode(inline)
                .map_err(|e| format!("the content that came with the task is damaged: {e}"))?;
            return Ok(Some(Self::Inline(bytes)));
        }
        let size = size.and_then(|s| u64::try_from(s).ok());
        Ok(digest.map(|digest| Self::Digest { digest: digest.to_owned(), size }))
    }

    pub(super) fn bytes(&self, task: &Task<'_>) -> Result<Content<'_>, Failure> {
        Ok(match self {
            Self::Digest { digest, .. } => Content::Shared(task.blobs.fetch(digest)?),
            Self::Inline(bytes) => Content::Plain(Cow::Borrowed(bytes)),
            Self::File(path) => Content::Plain(Cow::Owned(files::read(path)?)),
        })
    }

    /// Does the file have this content already? Without asking the controller.
    fn is_at(&self, path: &Path) -> Result<bool, Failure> {
        if !path.is_file() {
            return Ok(false);
        }
        Ok(match self {
            Self::Digest { digest, size } => files::has_digest(path, digest, *size),
            Self::Inline(bytes) => {
                let same_size = std::fs::metadata(path).is_ok_and(|m| m.len() == bytes.len() as u64);
                same_size && files::read(path)? == *bytes
            }
            Self::File(source) => {
                let (a, b) = (
                    std::fs::metadata(source).at("look at", source)?,
                    std::fs::metadata(path).at("look at", path)?,
                );
                a.len() == b.len()
                    && layer::Digest::of_reader(files::open(source)?).at("read", source)?
                        == layer::Digest::of_reader(files::open(path)?).at("read", path)?
            }
        })
    }
}

/// Bytes, owned or shared.
pub(super) enum Content<'a> {
    Shared(Arc<[u8]>),
    Plain(Cow<'a, [u8]>),
}

impl std::ops::Deref for Content<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Plain(bytes) => bytes,
        }
    }
}

impl Placing {
    /// What new directories get.
    pub(super) fn for_directories(&self) -> FileArgs {
        self.files.with_mode(self.directory_mode.clone())
    }

    pub(super) fn place(&self, source: &Source, dest: &Path, task: &mut Task<'_>) -> Result<Placed, Failure> {
        task.go_on()?;
        let path = files::resolved(dest, self.follow);
        let exists = path.symlink_metadata().is_ok();
        if exists && !self.force {
            let changed = false;
            return Ok(Placed { changed, ..Placed::default() });
        }
        if path.is_dir() && !path.is_symlink() {
            return Err(Failure::new(format!(
                "cannot overwrite the directory {} with a file",
                path.display()
            )));
        }
        let mut placed = Placed::default();
        if source.is_at(&path)? && !path.is_symlink() {
            placed.checksum = Some(files::checksum_file("sha1", &path)?);
            if let (Source::File(_), Some(wanted), Some(is)) = (source, &self.checksum, &placed.checksum) {
                verify(wanted, is)?;
            }
        } else {
            placed.content_changed = true;
            self.write(source, &path, exists, task, &mut placed)?;
        }
        let mut diff =
            json!({"before": {"path": path.to_string_lossy()}, "after": {"path": path.to_string_lossy()}});
        let args = self.file_args_for(source)?;
        if exists || !task.check {
            let metadata = args.apply(task, &path, Some(&mut diff))?;
            if !placed.content_changed {
                placed.diffs.push(diff);
            }
            placed.changed |= metadata;
        }
        placed.changed |= placed.content_changed;
        Ok(placed)
    }

    fn write(
        &self,
        source: &Source,
        path: &Path,
        exists: bool,
        task: &mut Task<'_>,
        placed: &mut Placed,
    ) -> Result<(), Failure> {
        if task.check && !task.diff {
            return Ok(());
        }
        let content = source.bytes(task)?;
        let checksum = files::sha1_of(&content);
        if let Some(wanted) = &self.checksum {
            verify(wanted, &checksum)?;
        }
        if task.diff {
            let old = if path.is_file() { files::read(path)? } else { Vec::new() };
            let shown = path.to_string_lossy();
            let mut diff = files::content_diff(&old, &content, &shown);
            if !exists && let Some(map) = diff.as_object_mut() {
                map.remove("before_header");
            }
            placed.diffs.push(diff);
        }
        if task.check {
            return Ok(());
        }
        if self.backup && path.exists() {
            placed.backup = Some(files::backup(task, path)?);
        }
        if let Some(command) = &self.validate {
            let checked = files::validate(task, command, &content);
            checked.map_err(|f| {
                let code = f.values.get("rc").cloned().unwrap_or_default();
                let mut failure = Failure { message: "failed to validate".to_owned(), ..f };
                failure.values.remove("rc");
                failure.with("exit_status", code).with("checksum", checksum.as_str())
            })?;
        }
        // The owner and mode are right from the first moment: a secret is never readable by others for a while.
        let attributes = if path.is_file() && !path.is_symlink() {
            Attributes::default()
        } else {
            self.file_args_for(source)?.resolve(task.cache, 0o666 & !crate::fileargs::own_umask(), false)?
        };
        files::write(task, path, &content, &attributes, &self.files)?;
        placed.md5 = Some(files::md5_of(&content));
        placed.checksum = Some(checksum);
        Ok(())
    }

    /// `mode: preserve` is the mode of the source.
    fn file_args_for(&self, source: &Source) -> Result<FileArgs, Failure> {
        if self.files.mode != Some(Mode::Preserve) {
            return Ok(self.files.clone());
        }
        let mode = match source {
            Source::File(path) => {
                use std::os::unix::fs::MetadataExt;
                Some(Mode::Octal(std::fs::metadata(path).at("look at", path)?.mode() & 0o7777))
            }
            _ => None,
        };
        Ok(self.files.with_mode(mode))
    }
}

fn verify(wanted: &str, is: &str) -> Result<(), Failure> {
    if wanted == is {
        return Ok(());
    }
    let failure = Failure::new("Copied file does not match the expected checksum. Transfer failed.");
    Err(failure.with("checksum", is).with("expected_checksum", wanted))
}
