//! A disk that boots: GPT, the partition that firmware reads with kernel, initrd and command line in one program, and
//! the root as ext4. Made without mounts and loop devices; the same image gives the same bytes.

mod ext4;
mod fat;
mod gpt;
mod qcow2;
mod uki;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::config::architecture;
use crate::digest;
use crate::error::{Doing, Error, Result};
use crate::store::{Image, Store};
use crate::tree::{Kind, Tree};
use gpt::{Partition, Uuid};

/// How a disk is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// QEMU's format in place of the plain bytes.
    pub qcow2: bool,
    /// In bytes; `None`: what is in it, half of that again and half a gigabyte.
    pub size: Option<u64>,
    /// What the kernel is told beside where its root is; `None`: consoles on screen and serial line.
    pub arguments: Option<String>,
}

const MIB: u64 = 1 << 20;
const CONSOLES: &str = "console=tty0 console=ttyS0,115200";
/// Room for what the tables at both ends need.
const EDGE: u64 = MIB;

/// Writes the image as a disk.
pub fn export_disk(store: &Store, image: &Image, to: &Path, disk: &Disk) -> Result<()> {
    let root = store.rootfs(image)?;
    let tree = Tree::scan(&root)?;
    let id = |what: &str| identity(&image.digest, what);
    let root_id = id("root");
    let program = boot_program(&tree, &gpt::shown(&root_id), disk)?;
    let esp = Partition {
        kind: gpt::ESP,
        id: id("esp"),
        name: "esp",
        start: EDGE,
        length: fat::room(program.len() as u64),
    };
    let start = esp.start + esp.length;
    let needed = needed(&tree);
    let size = disk.size.unwrap_or(start + needed + needed / 2 + 512 * MIB).next_multiple_of(MIB);
    let least = start + needed + needed / 8 + 64 * MIB + EDGE;
    if size < least {
        return Err(Error::wrong(format!(
            "a disk of {} MiB is too small for {}: it needs {} MiB",
            size / MIB,
            image.short(),
            least.div_ceil(MIB)
        )));
    }
    let kind = if architecture() == "arm64" { gpt::ROOT_ARM } else { gpt::ROOT_X86 };
    let part = Partition { kind, id: root_id, name: "root", start, length: size - start - EDGE };
    let raw = if disk.qcow2 { beside(to) } else { to.to_owned() };
    let made = File::options().create(true).truncate(true).read(true).write(true).open(&raw).at(&raw)?;
    let done = made.set_len(size).at(&raw).and_then(|()| {
        let room = ext4::Room { disk: &raw, start: part.start, length: part.length };
        ext4::write(&room, &root, &id("file system"), image.epoch)?;
        let number = u32::from_le_bytes([esp.id[0], esp.id[1], esp.id[2], esp.id[3]]);
        let name = if architecture() == "arm64" { "BOOTAA64.EFI" } else { "BOOTX64.EFI" };
        fat::write(&made, esp.start, esp.length, number, name, &program).at(&raw)?;
        gpt::write(&made, size, &id("disk"), &[esp, part]).at(&raw)?;
        if disk.qcow2 {
            let target = File::create(to).at(to)?;
            qcow2::convert(&made, size, &target).at(to)?;
        }
        Ok(())
    });
    if disk.qcow2 || done.is_err() {
        let _ = fs::remove_file(&raw);
    }
    done
}

fn beside(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    to.with_file_name(format!(".{name}.raw.{}", std::process::id()))
}

/// An identity of its own for every part of every image, the same each time.
fn identity(digest: &str, what: &str) -> Uuid {
    let hash = digest::bytes(format!("{digest} {what}").as_bytes());
    let mut id: Uuid = Uuid::default();
    id.copy_from_slice(&hash[..16]);
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// What the files take, in whole blocks, and their inodes.
fn needed(tree: &Tree) -> u64 {
    tree.0.values().map(|node| node.size.next_multiple_of(4096) + 512).sum()
}

/// What firmware starts: everything until the root is mounted.
fn boot_program(tree: &Tree, root: &str, disk: &Disk) -> Result<Vec<u8>> {
    let (version, kernel) = newest(tree).ok_or_else(|| {
        Error::wrong("the image has no kernel in /boot: let its playbook install one (linux-image-amd64)")
    })?;
    let read = |path: &str| tree.get(path).map(|node| node.read(path.as_bytes())).transpose();
    let initrd = read(&format!("boot/initrd.img-{version}"))?.ok_or_else(|| {
        Error::wrong(format!(
            "the image has no /boot/initrd.img-{version} for its kernel: let its playbook install initramfs-tools"
        ))
    })?;
    let cpu = if architecture() == "arm64" { "aa64" } else { "x64" };
    let stub = format!("usr/lib/systemd/boot/efi/linux{cpu}.efi.stub");
    let stub = match read(&stub)? {
        Some(stub) => stub,
        None => fs::read(format!("/{stub}")).map_err(|_| {
            Error::wrong(format!(
                "neither the image nor this machine has /{stub}: let the playbook install systemd-boot-efi"
            ))
        })?,
    };
    let kernel = read(&kernel)?.unwrap_or_default();
    let release = tree.text("etc/os-release").or_else(|| tree.text("usr/lib/os-release")).unwrap_or_default();
    let arguments = disk.arguments.as_deref().unwrap_or(CONSOLES);
    let command_line = format!("root=PARTUUID={root} rw {arguments}");
    uki::build(
        &stub,
        &[
            (".osrel", release.as_bytes()),
            (".cmdline", command_line.trim_end().as_bytes()),
            (".uname", version.as_bytes()),
            (".linux", &kernel),
            (".initrd", &initrd),
        ],
    )
}

/// Version and path of the newest kernel.
fn newest(tree: &Tree) -> Option<(String, String)> {
    let is_kernel = |path: &[u8]| {
        let path = std::str::from_utf8(path).ok()?;
        let version = path.strip_prefix("boot/vmlinuz-")?;
        let file = tree.get(path)?.kind == Kind::File;
        (file && !version.contains('/')).then(|| (version.to_owned(), path.to_owned()))
    };
    let found = tree.below(b"boot").into_iter().filter_map(|path| is_kernel(&path));
    found.max_by_key(|(version, _)| numbers(version))
}

/// `6.10` is after `6.9`.
fn numbers(version: &str) -> Vec<(u64, String)> {
    let parts = version.split(|c: char| !c.is_ascii_alphanumeric());
    parts.map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_their_numbers() {
        assert!(numbers("6.10.0-1-amd64") > numbers("6.9.12-3-amd64"));
        assert!(numbers("6.1.0-41-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
    }
}
