//! A file system of one file, the disk: every write and every flush to it is logged. A loop device stands on it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite,
    Request, WriteFlags,
};

use super::image::{Entry, Image};

const TTL: Duration = Duration::from_secs(3600);
const FILE: INodeNo = INodeNo(2);

#[derive(Default)]
struct Shared {
    image: Image,
    log: Vec<Entry>,
    logging: bool,
}

#[derive(Clone, Default)]
struct Logger(Arc<Mutex<Shared>>);

/// The disk, mounted as `disk` in a directory until it is dropped.
pub(crate) struct Disk {
    logger: Logger,
    session: Option<BackgroundSession>,
}

impl Disk {
    pub(crate) fn mount(image: Image, at: &Path) -> Result<Self> {
        let logger = Logger::default();
        logger.shared().image = image;
        std::fs::create_dir_all(at)?;
        let mut config = Config::default();
        config.mount_options = vec![fuser::MountOption::FSName("trial".to_owned())];
        let session = fuser::spawn_mount(logger.clone(), at, &config).context("FUSE")?;
        Ok(Self { logger, session: Some(session) })
    }

    /// From now on, everything is logged; the disk as it is now.
    pub(crate) fn begin(&self) -> Image {
        let mut shared = self.logger.shared();
        shared.logging = true;
        shared.log.clear();
        shared.image.clone()
    }

    /// How much was logged until now.
    pub(crate) fn length(&self) -> usize {
        self.logger.shared().log.len()
    }

    pub(crate) fn end(&self) -> Vec<Entry> {
        let mut shared = self.logger.shared();
        shared.logging = false;
        std::mem::take(&mut shared.log)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
        {
            eprintln!("the disk of the trial: {error}");
        }
    }
}

impl Logger {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let file = ino == FILE;
        FileAttr {
            ino,
            size: if file { self.shared().image.size } else { 0 },
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if file { FileType::RegularFile } else { FileType::Directory },
            perm: if file { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Logger {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == "disk" {
            reply.entry(&TTL, &self.attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(ino));
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let shared = self.shared();
        let length = shared.image.size.saturating_sub(offset).min(u64::from(size));
        let mut bytes = vec![0; length as usize];
        shared.image.read(offset, &mut bytes);
        drop(shared);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut shared = self.shared();
        shared.image.write(offset, data);
        if shared.logging {
            shared.log.push(Entry::Write { offset, data: data.into() });
        }
        drop(shared);
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let mut shared = self.shared();
        if shared.logging {
            shared.log.push(Entry::Flush);
        }
        drop(shared);
        reply.ok();
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }
}
