//! The root of a host: an overlay over the machine's own root, or over a given directory, entered by `pivot_root`.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::disk::Template;

/// What the root is made from.
pub(crate) struct Plan<'a> {
    /// None: the machine's own root.
    pub(crate) base: Option<&'a Path>,
    /// An empty directory of the machine that is covered while the root is put together.
    pub(crate) stage: &'a Path,
    /// None: a tmpfs holds the changes.
    pub(crate) disk: Option<&'a Template>,
    pub(crate) host: &'a str,
    pub(crate) privileged: bool,
}

/// Directories whose contents of the machine are none of a host's business.
const EMPTY: [(&str, u32); 11] = [
    ("tmp", 0o1777),
    ("run", 0o755),
    ("dev", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("mnt", 0o755),
    ("media", 0o755),
    ("lost+found", 0o700),
    ("root/.ssh", 0o700),
    ("root/.config", 0o700),
    ("var/lib/theseus", 0o700),
];

/// Directories that are worth an overlay of their own where the machine mounts them separately.
const SEPARATE: [&str; 6] = ["usr", "var", "opt", "srv", "home", "boot"];

/// Without root, files of the machine belong to nobody; in these directories new ones can be made at least.
const OPENED: [&str; 9] = ["etc", "root", "var", "var/lib", "var/lib/dbus", "var/log", "opt", "srv", "home"];

/// Mounts the root of the plan and returns where; must run in a mount namespace of its own.
pub(crate) fn mount(plan: &Plan<'_>) -> io::Result<PathBuf> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    match plan.disk {
        Some(template) => template.mount_copy(plan.host, plan.stage)?,
        None => rustix::mount::mount("tmpfs", plan.stage, "tmpfs", MountFlags::empty(), c"mode=0755")?,
    }
    let upper = plan.stage.join("upper");
    make_dir(&upper)?;
    let base = plan.base.unwrap_or(Path::new("/"));
    if !plan.privileged {
        open_directories(base, &upper)?;
    }
    let root = plan.stage.join("root");
    match (plan.base, plan.privileged) {
        (None, false) => assemble(plan.stage, &upper, &root)?,
        (None, true) => {
            copy_attributes(base, &upper)?;
            hide_private(&upper)?;
            overlay(base, &upper, &plan.stage.join("work"), &root, true)?;
            overlay_separate(plan.stage, &root)?;
        }
        (Some(_), privileged) => {
            copy_attributes(base, &upper)?;
            overlay(base, &upper, &plan.stage.join("work"), &root, privileged)?;
        }
    }
    Ok(root)
}

/// Without root, the kernel refuses an overlay over `/`, because other file systems are mounted below it: one
/// for each of its directories, then. Those with mounts below them stay out.
fn assemble(stage: &Path, upper: &Path, root: &Path) -> io::Result<()> {
    make_dir(root)?;
    rustix::mount::mount_bind(root, root)?;
    make_dir(&stage.join("work"))?;
    for entry in fs::read_dir("/")? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let kind = fs::symlink_metadata(&entry)?.file_type();
        let place = root.join(&name);
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&entry)?, &place)?;
        } else if kind.is_dir() {
            make_dir(&place)?;
            if !EMPTY.iter().any(|(empty, _)| name == *empty) {
                make_dir(&upper.join(&name))?;
                let _ = overlay(&entry, &upper.join(&name), &stage.join("work").join(&name), &place, false);
            }
        }
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))
}

/// The machine's separately mounted parts of its system: an overlay over `/` shows only their mount points.
fn overlay_separate(stage: &Path, root: &Path) -> io::Result<()> {
    let device = fs::metadata("/")?.dev();
    for name in SEPARATE {
        let lower = Path::new("/").join(name);
        let elsewhere =
            fs::symlink_metadata(&lower).is_ok_and(|found| found.is_dir() && found.dev() != device);
        if elsewhere {
            let upper = stage.join(format!("upper-{name}"));
            make_dir(&upper)?;
            copy_attributes(&lower, &upper)?;
            let work = stage.join(format!("work-{name}"));
            overlay(&lower, &upper, &work, &root.join(name), true)?;
        }
    }
    Ok(())
}

fn overlay(lower: &Path, upper: &Path, work: &Path, place: &Path, privileged: bool) -> io::Result<()> {
    make_dir(work)?;
    make_dir(place)?;
    // Paths may hold the option string's own separators; descriptors do not.
    let (lower, upper, work) = (File::open(lower)?, File::open(upper)?, File::open(work)?);
    let fd = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let places = format!("lowerdir={},upperdir={},workdir={}", fd(&lower), fd(&upper), fd(&work));
    let extra: &[&str] =
        if privileged { &["redirect_dir=on,xino=auto", "xino=auto", ""] } else { &["userxattr", ""] };
    let mut last = Ok(());
    for options in extra {
        let data = CString::new(format!("{places},{options}").trim_end_matches(','))?;
        last = rustix::mount::mount("theseus-lab", place, "overlay", MountFlags::empty(), data.as_c_str());
        if last.is_ok() {
            break;
        }
    }
    Ok(last?)
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::metadata(from)?;
    // Without root, owners other than ourselves cannot be given.
    let _ = std::os::unix::fs::chown(to, Some(found.uid()), Some(found.gid()));
    fs::set_permissions(to, fs::Permissions::from_mode(found.mode() & 0o7777))
}

/// Puts empty directories over the machine's private ones, before the overlay is mounted.
fn hide_private(upper: &Path) -> io::Result<()> {
    for (name, mode) in EMPTY {
        if !fs::symlink_metadata(Path::new("/").join(name)).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        if let Some(parent) = Path::new(name).parent() {
            make_parents(upper, parent)?;
        }
        let place = upper.join(name);
        DirBuilder::new().mode(mode).create(&place)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
        rustix::fs::setxattr(&place, "trusted.overlay.opaque", b"y", XattrFlags::empty())?;
    }
    Ok(())
}

/// Makes the directories above a hidden one as they are on the machine.
fn make_parents(upper: &Path, below: &Path) -> io::Result<()> {
    let mut so_far = PathBuf::new();
    for part in below.components() {
        so_far.push(part);
        if !upper.join(&so_far).is_dir() {
            make_dir(&upper.join(&so_far))?;
            copy_attributes(&Path::new("/").join(&so_far), &upper.join(&so_far))?;
        }
    }
    Ok(())
}

fn open_directories(base: &Path, upper: &Path) -> io::Result<()> {
    for name in OPENED {
        let there = fs::symlink_metadata(base.join(name)).is_ok_and(|found| found.is_dir());
        if there && !upper.join(name).exists() {
            make_dir(&upper.join(name))?;
            fs::set_permissions(upper.join(name), fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// Makes `root` the root of this process and lets go of the machine's own.
pub(crate) fn enter(root: &Path) -> io::Result<()> {
    rustix::process::chdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}
