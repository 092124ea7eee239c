//! Contents by their digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::error::{At, Error, Result};
use crate::state::descriptor_path;

/// `objects/` of one state directory.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// How a content came into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Present,
    /// Shares its inode with a name that is about to go away.
    Linked,
    Copied,
}

impl Store {
    pub fn new(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("objects") }
    }

    pub fn path(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.dir.join(&text[..2]).join(&text[2..])
    }

    pub fn has(&self, digest: Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Open a content after checking that it still is what its name says.
    pub fn get(&self, digest: Digest) -> Result<File> {
        let path = self.path(digest);
        let mut file = File::open(&path).at("open", &path)?;
        if Digest::of_reader(&file).at("read", &path)? != digest {
            return Err(Error::Damaged { path, reason: "the content does not match its digest".to_owned() });
        }
        io::Seek::rewind(&mut file).at("read", &path)?;
        Ok(file)
    }

    pub fn verify(&self, digest: Digest) -> Result<()> {
        self.get(digest).map(drop)
    }

    pub fn put(&self, mut content: impl Read) -> Result<Digest> {
        let (mut file, temporary) = self.temporary()?;
        let digest = pour(&mut content, &mut file).at("write", &temporary)?.0;
        self.settle(&temporary, digest)?;
        Ok(digest)
    }

    /// Keep a file's content. `name_goes_away`: the caller is about to remove or replace its only name, so the
    /// inode itself can stay, as a hard link, without moving bytes.
    pub(crate) fn keep(&self, file: &mut File, name_goes_away: bool) -> Result<(Digest, Kept)> {
        let shown = descriptor_path(file.as_fd());
        let digest = Digest::of_reader(&*file).at("read", &shown)?;
        if self.has(digest) {
            return Ok((digest, Kept::Present));
        }
        let metadata = file.metadata().at("look at", &shown)?;
        let (new, temporary) = self.temporary()?;
        if name_goes_away && metadata.nlink() == 1 {
            drop(new);
            std::fs::remove_file(&temporary).at("remove", &temporary)?;
            let flags = rustix::fs::AtFlags::SYMLINK_FOLLOW;
            if rustix::fs::linkat(rustix::fs::CWD, &shown, rustix::fs::CWD, &temporary, flags).is_ok() {
                self.settle(&temporary, digest)?;
                return Ok((digest, Kept::Linked));
            }
            // Another file system, or the kernel protects the file from us: a copy then.
            let new = create(&temporary)?;
            return self.copy(file, new, &temporary);
        }
        self.copy(file, new, &temporary)
    }

    fn copy(&self, file: &mut File, mut new: File, temporary: &Path) -> Result<(Digest, Kept)> {
        io::Seek::rewind(file).at("read", temporary)?;
        let digest = if rustix::fs::ioctl_ficlone(&new, &*file).is_ok() {
            let clone = File::open(temporary).at("open", temporary)?;
            Digest::of_reader(clone).at("read", temporary)?
        } else {
            pour(file, &mut new).at("write", temporary)?.0
        };
        // The original is written over in place next: the copy has to be safe first.
        new.sync_data().at("write", temporary)?;
        self.settle(temporary, digest)?;
        Ok((digest, Kept::Copied))
    }

    /// An object that was kept as a link and whose inode still has another name becomes a copy.
    pub(crate) fn separate(&self, digest: Digest) -> Result<()> {
        let path = self.path(digest);
        let mut file = File::open(&path).at("open", &path)?;
        if file.metadata().at("look at", &path)?.nlink() > 1 {
            let (new, temporary) = self.temporary()?;
            self.copy(&mut file, new, &temporary)?;
        }
        Ok(())
    }

    fn temporary(&self) -> Result<(File, PathBuf)> {
        let path = self.dir.join(crate::place::temporary_name("new".as_ref()));
        Ok((create(&path)?, path))
    }

    fn settle(&self, temporary: &Path, digest: Digest) -> Result<()> {
        let path = self.path(digest);
        let dir = path.parent().expect("an object is in a directory");
        make_private_dir(dir)?;
        std::fs::rename(temporary, &path).at("write", &path)
    }
}

fn create(path: &Path) -> Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .at("create", path)
}

/// For us alone. What is there already must be ours: in a directory that all can write, another may have been first.
pub(crate) fn make_private_dir(path: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other.at("create the directory", path),
    }
    let metadata = std::fs::symlink_metadata(path).at("look at", path)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !own || metadata.mode() & 0o022 != 0 {
        let reason = "it is a link, belongs to another user, or others can write to it".to_owned();
        return Err(Error::Damaged { path: path.to_owned(), reason });
    }
    Ok(())
}

/// Copy everything, hashing on the way.
pub(crate) fn pour(from: &mut impl Read, to: &mut impl Write) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((Digest::finish(&hasher), size)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
                size += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
