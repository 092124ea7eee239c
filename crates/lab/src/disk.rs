//! The writable disk of a host: an ext4 file system in a sparse file in memory, behind a loop device that the
//! kernel frees with its last mount. A plain tmpfs would lack attributes and behave unlike a disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{MemfdFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags};

use crate::sys;

pub(crate) const IMAGE_PREFIX: &str = "theseus-lab:";
const LARGEST: u64 = 8 << 30;
const SMALLEST: u64 = 16 << 20;

/// A freshly formatted image that hosts' disks are copied from.
pub(crate) struct Template {
    image: OwnedFd,
    size: u64,
}

/// The size a disk gets: as asked, else 8 GiB or what memory there is.
pub(crate) fn size(asked: Option<u64>) -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the field's type differs between architectures")]
    let memory = u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit.max(1)));
    asked.unwrap_or(LARGEST.min(memory)).max(SMALLEST).next_multiple_of(1 << 20)
}

/// The template for disks of this size; formatted once in a process. The reason, where it cannot be made.
pub(crate) fn template(size: u64) -> Result<&'static Template, String> {
    static MADE: OnceLock<Mutex<HashMap<u64, Result<&'static Template, String>>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let make = || format(size).map(|template| &*Box::leak(Box::new(template)));
    made.entry(size).or_insert_with(make).clone()
}

fn format(size: u64) -> Result<Template, String> {
    let program = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"]
        .iter()
        .find(|path| Path::new(path).exists());
    let program = program.ok_or("mkfs.ext4 is not installed")?;
    if !Path::new("/dev/loop-control").exists() {
        return Err("this kernel has no loop devices".to_owned());
    }
    let image =
        empty_image("theseus-lab-template", size).map_err(|error| format!("no image in memory: {error}"))?;
    let path = format!("/proc/{}/fd/{}", rustix::process::getpid().as_raw_nonzero(), image.as_raw_fd());
    let output = Command::new(program)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal,^resize_inode"])
        .args(["-E", "nodiscard,lazy_itable_init=1", "-L", "theseus-lab"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} could not be run: {error}"))?;
    if output.status.success() {
        Ok(Template { image, size })
    } else {
        Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn empty_image(name: &str, size: u64) -> io::Result<OwnedFd> {
    let image = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&image, size)?;
    Ok(image)
}

impl Template {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.image.as_fd()
    }

    /// Mounts a fresh copy of the template at `place`.
    pub(crate) fn mount_copy(&self, host: &str, place: &Path) -> io::Result<()> {
        let image = empty_image(&format!("{IMAGE_PREFIX}{host}"), self.size)?;
        copy_data(self.image.as_fd(), image.as_fd())?;
        let (device, _held) = attach(image.as_fd(), place)?;
        rustix::mount::mount(
            device,
            place,
            "ext4",
            MountFlags::NOATIME,
            c"discard,noinit_itable,errors=continue",
        )?;
        Ok(())
    }
}

/// Copies only what is not a hole.
fn copy_data(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut at = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let got = rustix::io::pread(from, &mut buffer[..wanted], at)?;
            let written = rustix::io::pwrite(to, &buffer[..got], at)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            at += written as u64;
        }
    }
}

/// Finds a free loop device and puts the image behind it; others may be looking for one at the same time.
fn attach(image: BorrowedFd<'_>, scratch: &Path) -> io::Result<(PathBuf, OwnedFd)> {
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    for _ in 0..1000 {
        let number = sys::free_loop(control.as_fd())?;
        let (path, device) = open_loop(number, scratch)?;
        match sys::configure_loop(device.as_fd(), image) {
            Ok(()) => return Ok((path, device)),
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("all loop devices are busy"))
}

/// Opens a loop device, through a node of our own where `/dev` lacks it.
fn open_loop(number: u32, scratch: &Path) -> io::Result<(PathBuf, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let path = PathBuf::from(format!("/dev/loop{number}"));
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return Ok((path, opened?)),
    }
    let path = scratch.join(format!("loop{number}.{}", rustix::process::getpid().as_raw_nonzero()));
    let kind = rustix::fs::FileType::BlockDevice;
    let number = rustix::fs::makedev(7, number);
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::RUSR | Mode::WUSR, number)?;
    let device = rustix::fs::open(&path, flags, Mode::empty())?;
    Ok((path, device))
}

/// The hosts (as pool.name) whose disks are still behind loop devices, and these devices.
pub(crate) fn attached() -> Vec<(String, PathBuf)> {
    let Ok(devices) = fs::read_dir("/sys/block") else { return Vec::new() };
    let host = |device: fs::DirEntry| {
        let text = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
        let (_, host) = text.split_once(IMAGE_PREFIX)?;
        let host = host.trim().trim_end_matches("(deleted)").trim().to_owned();
        Some((host, Path::new("/dev").join(device.file_name())))
    };
    devices.flatten().filter_map(host).collect()
}

/// Opens the directory with a host's changes, through a mount of its disk that nobody else sees.
pub(crate) fn open_changes(host: &str) -> io::Result<OwnedFd> {
    let device = attached().into_iter().find(|(id, _)| id == host).map(|(_, device)| device);
    let device = device.ok_or_else(|| io::Error::other("its changes are not on a disk"))?;
    let context = rustix::mount::fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", &device)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(&mount, "upper", flags, Mode::empty())?)
}
