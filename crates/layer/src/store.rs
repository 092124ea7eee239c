//! Contents by their digest.
//!
//! An object is a file named by the digest of its content: the content itself; with `.z`, compressed; with `.x`,
//! encrypted under the host's key, and then its name is a keyed digest.

mod check;
mod hold;
mod pack;
mod prune;
mod secret;

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use self::check::{Check, Size, check, size};
pub use self::pack::compress;
pub use self::prune::{Policy, Pruned, pin, pinned, prune};
pub(crate) use self::secret::Key;

use crate::content::{copy_file, each_block, is_sparse, pour, pour_sparse};
use crate::digest::{Digest, Hasher};
use crate::error::{At, Error, Result};
use crate::state::descriptor_path;

/// `objects/` of one state directory.
#[derive(Clone, Debug)]
pub struct Store {
    state_dir: PathBuf,
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

/// In which form an object lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Compressed,
    Encrypted,
}

/// A content that can be read.
pub struct Content(Box<dyn Read + Send>);

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Store {
    pub fn new(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.to_owned(), dir: state_dir.join("objects") }
    }

    /// Where a content lies as it is.
    pub fn path(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.dir.join(&text[..2]).join(&text[2..])
    }

    pub(crate) fn path_as(&self, digest: Digest, form: Form) -> PathBuf {
        let mut path = self.path(digest).into_os_string();
        path.push(match form {
            Form::Plain => "",
            Form::Compressed => ".z",
            Form::Encrypted => ".x",
        });
        path.into()
    }

    pub(crate) fn find(&self, digest: Digest) -> Option<(PathBuf, Form)> {
        [Form::Plain, Form::Compressed, Form::Encrypted].into_iter().find_map(|form| {
            let path = self.path_as(digest, form);
            path.is_file().then_some((path, form))
        })
    }

    pub fn has(&self, digest: Digest) -> bool {
        self.find(digest).is_some()
    }

    /// Open a content after checking that it still is what its name says. Secret ones are given to nobody.
    pub fn get(&self, digest: Digest) -> Result<Content> {
        let (path, form) = self.found(digest)?;
        if form == Form::Encrypted {
            return Err(Error::Secret { path });
        }
        self.verify(digest)?;
        self.open(&path, form)
    }

    pub fn verify(&self, digest: Digest) -> Result<()> {
        let (path, form) = self.found(digest)?;
        let mut hasher = self.hasher(form)?;
        let read = self.open(&path, form).and_then(|mut content| {
            let noted = each_block(&mut content, |block| {
                hasher.update(block);
                Ok(())
            });
            noted.at("read", &path)
        });
        match read {
            Ok(()) if Digest::finish(&hasher) == digest => Ok(()),
            Err(Error::Io { source, .. }) if !is_decoding(&source) => Err(source).at("read", &path),
            _ => Err(damaged(path)),
        }
    }

    fn found(&self, digest: Digest) -> Result<(PathBuf, Form)> {
        self.find(digest).ok_or_else(|| Error::Damaged {
            path: self.path(digest),
            reason: "this content is not in the store".to_owned(),
        })
    }

    fn hasher(&self, form: Form) -> Result<Hasher> {
        match form {
            Form::Encrypted => Ok(self.key()?.hasher()),
            _ => Ok(Hasher::new()),
        }
    }

    fn open(&self, path: &Path, form: Form) -> Result<Content> {
        let file = File::open(path).at("open", path)?;
        Ok(Content(match form {
            Form::Plain => Box::new(file),
            Form::Compressed => Box::new(pack::reader(file).at("read", path)?),
            Form::Encrypted => Box::new(io::Cursor::new(self.key()?.decrypt(file).at("read", path)?)),
        }))
    }

    /// Write a content into an empty file, with its holes. A damaged one is an error; the file is useless then.
    pub(crate) fn restore(&self, digest: Digest, to: &mut File) -> Result<()> {
        let (path, form) = self.found(digest)?;
        let mut hasher = self.hasher(form)?;
        let copied = match form {
            Form::Plain => {
                let mut file = File::open(&path).at("open", &path)?;
                copy_file(&mut file, to, &mut hasher).at("restore", &path)
            }
            Form::Compressed => {
                let file = File::open(&path).at("open", &path)?;
                let (mut reader, sparse) = pack::reader_and_holes(file).at("read", &path)?;
                let mut note = |block: &[u8]| _ = hasher.update(block);
                if sparse {
                    pour_sparse(&mut reader, to, note).at("restore", &path)
                } else {
                    let copied = each_block(&mut reader, |block| {
                        note(block);
                        to.write_all(block)
                    });
                    copied.map(|()| 0).at("restore", &path)
                }
            }
            Form::Encrypted => {
                let bytes = self.key()?.decrypt(File::open(&path).at("open", &path)?).at("read", &path)?;
                hasher.update(&bytes);
                to.write_all(&bytes).map(|()| 0).at("restore", &path)
            }
        };
        match copied {
            Err(Error::Io { source, .. }) if is_decoding(&source) => Err(damaged(path)),
            Err(error) => Err(error),
            Ok(_) if Digest::finish(&hasher) != digest => Err(damaged(path)),
            Ok(_) => Ok(()),
        }
    }

    pub fn put(&self, mut content: impl Read) -> Result<Digest> {
        let (mut file, temporary) = self.temporary()?;
        let digest = pour(&mut content, &mut file).at("write", &temporary)?.0;
        self.settle(&temporary, &self.path(digest))?;
        Ok(digest)
    }

    /// Keep a file's content. `by_link`: the caller is about to remove or replace its only name, and nobody writes
    /// to it, so the inode itself can stay, without moving bytes.
    pub(crate) fn keep(&self, file: &mut File, by_link: bool) -> Result<(Digest, Kept)> {
        let shown = descriptor_path(file.as_fd());
        file.rewind().at("read", &shown)?;
        let digest = Digest::of_reader(&*file).at("read", &shown)?;
        let metadata = file.metadata().at("look at", &shown)?;
        if self.is_whole(digest, metadata.len()) {
            return Ok((digest, Kept::Present));
        }
        if by_link && metadata.nlink() == 1 {
            let temporary = self.dir.join(crate::place::temporary_name("new".as_ref()));
            let flags = rustix::fs::AtFlags::SYMLINK_FOLLOW;
            if rustix::fs::linkat(rustix::fs::CWD, &shown, rustix::fs::CWD, &temporary, flags).is_ok() {
                self.settle(&temporary, &self.path(digest))?;
                return Ok((digest, Kept::Linked));
            }
            // Another file system, or the kernel protects the file from us: a copy then.
        }
        crate::space::need(&self.dir, metadata.len())?;
        Ok((self.copy(file)?, Kept::Copied))
    }

    /// As [`Store::keep`], for contents that nobody may read here.
    pub(crate) fn keep_secret(&self, file: &mut File) -> Result<Digest> {
        let shown = descriptor_path(file.as_fd());
        file.rewind().at("read", &shown)?;
        let key = self.key()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at("read", &shown)?;
        let digest = key.digest(&bytes);
        if self.find(digest).is_some() {
            return Ok(digest);
        }
        let (mut new, temporary) = self.temporary()?;
        new.write_all(&key.encrypt(bytes).at("encrypt", &shown)?).at("write", &temporary)?;
        self.settle(&temporary, &self.path_as(digest, Form::Encrypted))?;
        new.sync_all().at("write", &temporary)?;
        Ok(digest)
    }

    /// The host's key; made when it is needed first.
    pub(crate) fn key(&self) -> Result<Key> {
        Key::of_host(&self.state_dir)
    }

    /// It is there, as long as it should be (one that is not, is written anew).
    fn is_whole(&self, digest: Digest, size: u64) -> bool {
        match self.find(digest) {
            Some((path, Form::Plain)) => path.metadata().is_ok_and(|m| m.len() == size),
            found => found.is_some(),
        }
    }

    /// A reflink where the file system can, else a copy. What changes meanwhile is read again.
    fn copy(&self, file: &mut File) -> Result<Digest> {
        const TIMES: usize = 5;
        let shown = descriptor_path(file.as_fd());
        let mut tries = 0;
        loop {
            tries += 1;
            let stamp = stamp(file).at("look at", &shown)?;
            let (mut new, temporary) = self.temporary()?;
            let copied = fill(file, &mut new).at("copy", &shown);
            let digest = copied.inspect_err(|_| _ = std::fs::remove_file(&temporary))?;
            if tries < TIMES && self::stamp(file).at("look at", &shown)? != stamp {
                std::fs::remove_file(&temporary).at("remove", &temporary)?;
                continue;
            }
            // Name and content are safe before the original is written over.
            self.settle(&temporary, &self.path(digest))?;
            new.sync_all().at("write", &temporary)?;
            return Ok(digest);
        }
    }

    /// An object that was kept as a link and whose inode still has another name becomes a copy. False: someone wrote
    /// to it meanwhile, and the content is lost.
    pub(crate) fn separate(&self, digest: Digest) -> Result<bool> {
        let path = self.path(digest);
        let mut file = File::open(&path).at("open", &path)?;
        if file.metadata().at("look at", &path)?.nlink() == 1 {
            return Ok(true);
        }
        if self.copy(&mut file)? == digest {
            return Ok(true);
        }
        std::fs::remove_file(&path).at("remove", &path)?;
        Ok(false)
    }

    pub(crate) fn temporary(&self) -> Result<(File, PathBuf)> {
        let path = self.dir.join(crate::place::temporary_name("new".as_ref()));
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .at("create", &path)?;
        Ok((file, path))
    }

    /// The names are durable before a change of which they keep what was there: a link is in the journal of the file system
    /// before the change, a copy is synced. A directory is, too, then.
    fn settle(&self, temporary: &Path, path: &Path) -> Result<()> {
        let dir = path.parent().expect("an object is in a directory");
        private_dir(dir)?;
        std::fs::rename(temporary, path).at("write", path)
    }

    /// Every object: its digest, form and path. What has no object's name is left out.
    pub(crate) fn each(&self, mut act: impl FnMut(Digest, Form, &Path) -> Result<()>) -> Result<()> {
        for dir in list(&self.dir)? {
            let Some(start) = dir.file_name().and_then(|n| n.to_str()).filter(|n| n.len() == 2) else {
                continue;
            };
            for path in list(&dir)? {
                let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
                let (rest, form) = match name.split_once('.') {
                    None => (name, Form::Plain),
                    Some((rest, "z")) => (rest, Form::Compressed),
                    Some((rest, "x")) => (rest, Form::Encrypted),
                    Some(_) => continue,
                };
                if let Ok(digest) = format!("{start}{rest}").parse() {
                    act(digest, form, &path)?;
                }
            }
        }
        Ok(())
    }

    /// After a power cut: objects that came since then and whose content did not reach the disk go. They were files that
    /// the run had written itself, and would be taken for what they are not. Returns those that share their inode with a
    /// living file.
    pub(crate) fn remove_lost(&self, since: crate::state::Time) -> Result<Vec<Digest>> {
        let (mut lost, mut shared) = (Vec::new(), Vec::new());
        self.each(|digest, form, path| {
            let metadata = std::fs::symlink_metadata(path).at("look at", path)?;
            if form != Form::Plain || metadata.ctime() < since.0 {
                return Ok(());
            }
            if !self.is_good(digest, path)? {
                lost.push(path.to_owned());
            } else if metadata.nlink() > 1 {
                shared.push(digest);
            }
            Ok(())
        })?;
        lost.iter().try_for_each(|path| std::fs::remove_file(path).at("remove", path))?;
        Ok(shared)
    }

    /// The objects that lie there as they are, by their inodes.
    pub(crate) fn by_inode(&self) -> Result<std::collections::HashMap<(u64, u64), Digest>> {
        let mut all = std::collections::HashMap::new();
        self.each(|digest, form, path| {
            if form == Form::Plain
                && let Some(inode) = crate::state::inode(path)
            {
                all.insert(inode, digest);
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn is_good(&self, digest: Digest, path: &Path) -> Result<bool> {
        Ok(Digest::of_reader(File::open(path).at("open", path)?).at("read", path)? == digest)
    }

    /// Objects that were being made when their maker died.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        for path in list(&self.dir)? {
            if path.is_file() {
                std::fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", dir)?,
    };
    entries.map(|entry| Ok(entry.at("list", dir)?.path())).collect()
}

fn damaged(path: PathBuf) -> Error {
    Error::Damaged { path, reason: "the content does not match its digest".to_owned() }
}

/// The file could be read, but what is in it is no compressed or encrypted content.
fn is_decoding(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

fn fill(from: &mut File, to: &mut File) -> io::Result<Digest> {
    from.rewind()?;
    if rustix::fs::ioctl_ficlone(&*to, &*from).is_ok() {
        to.rewind()?;
        return Digest::of_reader(&*to);
    }
    let mut hasher = Hasher::new();
    copy_file(from, to, &mut hasher)?;
    Ok(Digest::finish(&hasher))
}

fn stamp(file: &File) -> io::Result<(u64, i64, i64)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

/// For us alone. What is there already must be ours: in a directory that all can write, another may have been first.
pub(crate) fn make_private_dir(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if private_dir(path)? => crate::durable::sync_dir(parent),
        _ => Ok(()),
    }
}

/// True: it was not there, and its name is not durable yet.
fn private_dir(path: &Path) -> Result<bool> {
    let made = match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
        other => other.at("create the directory", path).map(|()| true)?,
    };
    let metadata = std::fs::symlink_metadata(path).at("look at", path)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !own || metadata.mode() & 0o022 != 0 {
        let reason = "it is a link, belongs to another user, or others can write to it".to_owned();
        return Err(Error::Damaged { path: path.to_owned(), reason });
    }
    Ok(made)
}
