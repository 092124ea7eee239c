//! The root's file system: made by `mke2fs` from a directory, without a mount; then all that a clock has put into it is
//! set to one time, so that the same directory gives the same bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::gpt::{self, Uuid};
use crate::error::{Doing, Error, Result};

/// What every Linux since 2016 and every boot loader reads, whatever this machine's mke2fs prefers.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// Where it shall be.
pub(super) struct Room<'a> {
    pub(super) disk: &'a Path,
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Makes the file system of `root` at its place on the disk.
pub(super) fn write(room: &Room<'_>, root: &Path, id: &Uuid, epoch: i64) -> Result<()> {
    let uuid = gpt::shown(id);
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "1"]);
    command.args(["-O", FEATURES, "-U", &uuid, "-L", "root"]);
    command.arg("-E").arg(format!(
        "offset={},hash_seed={uuid},root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard",
        room.start
    ));
    command.arg("-d").arg(root).arg(room.disk).arg(format!("{}k", room.length / 1024));
    // Its configuration is this machine's; sorted names and fixed times are what is wanted.
    command.env("MKE2FS_CONFIG", "/dev/null").env("LC_ALL", "C");
    command.env("E2FSPROGS_FAKE_TIME", epoch.to_string()).env("SOURCE_DATE_EPOCH", epoch.to_string());
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing("the program mke2fs, which makes file systems (Debian's package e2fsprogs)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("without a word");
        return Err(Error::wrong(format!("mke2fs ended with {}: {last}", output.status)));
    }
    let disk = File::options().read(true).write(true).open(room.disk).at(room.disk)?;
    settle(&disk, room.start, epoch).at(room.disk)
}

struct Shape {
    start: u64,
    block: u64,
    inodes_of_group: u32,
    inode: usize,
    groups: u32,
    descriptor: u64,
    seed: u32,
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Sets every inode's times but that of its content, and that of the root, to the one.
fn settle(disk: &File, start: u64, epoch: i64) -> io::Result<()> {
    let mut first = [0; 1024];
    disk.read_exact_at(&mut first, start + 1024)?;
    let inodes = number(&first, 0x00);
    let inodes_of_group = number(&first, 0x28).max(1);
    let shape = Shape {
        start,
        block: 1024 << number(&first, 0x18).min(6),
        inodes_of_group,
        inode: usize::from(short(&first, 0x58)),
        groups: inodes.div_ceil(inodes_of_group),
        descriptor: u64::from(short(&first, 0xfe)),
        seed: crc32c(u32::MAX, &first[0x68..0x78]),
    };
    if short(&first, 0x38) != 0xef53 || shape.inode < 160 || shape.descriptor < 64 {
        return Err(io::Error::other("mke2fs made another kind of file system than it was asked for"));
    }
    let time = u32::try_from(epoch).unwrap_or(0).to_le_bytes();
    for group in 0..shape.groups {
        settle_group(disk, &shape, group, time)?;
    }
    Ok(())
}

fn settle_group(disk: &File, shape: &Shape, group: u32, time: [u8; 4]) -> io::Result<()> {
    let mut descriptor = [0; 64];
    // The descriptors are behind the superblock's block.
    disk.read_exact_at(&mut descriptor, shape.start + shape.block + u64::from(group) * shape.descriptor)?;
    let wide = |low: usize, high: usize| {
        u64::from(number(&descriptor, low)) | u64::from(number(&descriptor, high)) << 32
    };
    // No inode of this group was ever used.
    if short(&descriptor, 0x12) & 1 != 0 {
        return Ok(());
    }
    let mut bitmap = vec![0; shape.inodes_of_group.div_ceil(8) as usize];
    disk.read_exact_at(&mut bitmap, shape.start + wide(0x04, 0x24) * shape.block)?;
    let table = shape.start + wide(0x08, 0x28) * shape.block;
    let mut inode = vec![0; shape.inode];
    for index in 0..shape.inodes_of_group {
        if bitmap[(index / 8) as usize] >> (index % 8) & 1 == 0 {
            continue;
        }
        let place = table + u64::from(index) * shape.inode as u64;
        disk.read_exact_at(&mut inode, place)?;
        if inode.iter().all(|byte| *byte == 0) {
            continue;
        }
        let name = group * shape.inodes_of_group + index + 1;
        settle_inode(&mut inode, name, shape.seed, time);
        disk.write_all_at(&inode, place)?;
    }
    Ok(())
}

const ROOT: u32 = 2;

fn settle_inode(inode: &mut [u8], name: u32, seed: u32, time: [u8; 4]) {
    // Some of the file system's own are of the old, short kind.
    let long = short(inode, 0x80) >= 24;
    // Of access and of change; of birth; fractions of all three.
    let (times, fractions): (&[usize], &[usize]) =
        if long { (&[0x08, 0x0c, 0x90], &[0x84, 0x8c, 0x94]) } else { (&[0x08, 0x0c], &[]) };
    for at in times {
        inode[*at..at + 4].copy_from_slice(&time);
    }
    for at in fractions {
        inode[*at..at + 4].fill(0);
    }
    if name == ROOT {
        inode[0x10..0x14].copy_from_slice(&time);
        inode[0x88..0x8c].fill(0);
    }
    let places: &[usize] = if long { &[0x7c, 0x82] } else { &[0x7c] };
    for at in places {
        inode[*at..at + 2].fill(0);
    }
    let generation = number(inode, 0x64);
    let mut sum = crc32c(seed, &name.to_le_bytes());
    sum = crc32c(sum, &generation.to_le_bytes());
    sum = crc32c(sum, inode);
    for (at, half) in places.iter().zip(sum.to_le_bytes().chunks(2)) {
        inode[*at..at + 2].copy_from_slice(half);
    }
}

/// Castagnoli's, as the file system uses it: not inverted at the end.
fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| {
                if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn the_sum_is_the_known_one() {
        assert_eq!(!crc32c(u32::MAX, b"123456789"), 0xe306_9283);
    }
}
