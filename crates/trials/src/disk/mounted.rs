//! A file system on a loop device, unmounted when dropped; the device goes with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};

use super::image::Image;
use crate::scenario::quietly;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    Xfs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// An empty file system.
    pub(crate) fn make(self, scratch: &Path) -> Result<Image> {
        let path = scratch.join(format!("empty-{}", self.name()));
        let (megabytes, mut command) = match self {
            Self::Ext4 => {
                let mut command = Command::new("mkfs.ext4");
                command.args(["-q", "-F", "-E", "nodiscard,lazy_itable_init=0", "-I", "256"]);
                (32, command)
            }
            Self::Xfs => {
                let mut command = Command::new("mkfs.xfs");
                command.args(["-q", "-f", "-K"]);
                (300, command)
            }
        };
        std::fs::File::create(&path)?.set_len(megabytes << 20)?;
        quietly(command.arg(&path))?;
        let image = Image::read_from(&path)?;
        std::fs::remove_file(&path)?;
        Ok(image)
    }
}

pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// `direct`: past the page cache of the file below.
    pub(crate) fn new(kind: Kind, image: &Path, at: &Path, direct: bool) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        if direct {
            // The device is let go when it is unmounted.
            let mut losetup = Command::new("losetup");
            let output = losetup.args(["--find", "--show", "--direct-io=on"]).arg(image).output()?;
            let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if output.status.success() && !device.is_empty() {
                let mounted = quietly(Command::new("mount").args(["-t", kind.name(), &device]).arg(at));
                let detached = quietly(Command::new("losetup").args(["-d", &device]));
                mounted.and(detached)?;
                return Ok(Self(at.to_owned()));
            }
        }
        let options = "loop,nodiscard";
        quietly(Command::new("mount").args(["-t", kind.name(), "-o", options]).arg(image).arg(at))?;
        Ok(Self(at.to_owned()))
    }

    pub(crate) fn close(self) -> Result<()> {
        let path = self.0.clone();
        std::mem::forget(self);
        unmount(&path, UnmountFlags::empty()).with_context(|| format!("unmount {}", path.display()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
            eprintln!("unmount {}: {error}", self.0.display());
        }
    }
}
