//! The file system that firmware reads: FAT32 with the one file that it starts, `EFI/BOOT/BOOT….EFI`. Always the same
//! bytes for the same file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SECTOR: u64 = 512;
const RESERVED: u64 = 32;
const END: u32 = 0x0fff_fff8;
/// FAT32 is what has at least so many clusters.
const LEAST_CLUSTERS: u64 = 65_525;

/// Where the clusters of the three directories are; the file follows.
const ROOT: u32 = 2;
const EFI: u32 = 3;
const BOOT: u32 = 4;
const CONTENT: u32 = 5;

struct Shape {
    sectors: u64,
    /// Sectors of a cluster, and of each of the two tables.
    cluster: u64,
    table: u64,
}

impl Shape {
    fn of(length: u64) -> Self {
        let sectors = length / SECTOR;
        let cluster = if sectors / 8 > LEAST_CLUSTERS + 1024 { 8 } else { 1 };
        // A little more than needed: the tables themselves have no clusters.
        let table = ((sectors / cluster + 2) * 4).div_ceil(SECTOR);
        Self { sectors, cluster, table }
    }

    fn clusters(&self) -> u64 {
        (self.sectors - RESERVED - 2 * self.table) / self.cluster
    }

    /// In bytes from the beginning.
    fn place(&self, cluster: u32) -> u64 {
        (RESERVED + 2 * self.table + u64::from(cluster - ROOT) * self.cluster) * SECTOR
    }
}

/// How many bytes the file system needs for a file of that length, and as much again for the next one.
pub(super) fn room(length: u64) -> u64 {
    (2 * length + (16 << 20)).next_multiple_of(1 << 20).max(64 << 20)
}

/// Writes it at `start` of the disk; what is not written is taken to be zero.
pub(super) fn write(
    disk: &File,
    start: u64,
    length: u64,
    id: u32,
    name: &str,
    content: &[u8],
) -> io::Result<()> {
    let shape = Shape::of(length);
    let bytes = shape.cluster * SECTOR;
    let used = u32::try_from((content.len() as u64).div_ceil(bytes)).unwrap_or(u32::MAX);
    if u64::from(used) + 3 > shape.clusters() {
        return Err(io::Error::other("the partition is too small for what it has to hold"));
    }
    let mut table = vec![0x0fff_fff8, 0x0fff_ffff, END, END, END];
    table.extend((1..used).map(|number| CONTENT + number));
    table.push(END);
    let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    let boot = boot_sector(&shape, id);
    let about = information(u32::try_from(shape.clusters()).unwrap_or(0) - 3 - used, CONTENT + used);
    for (sector, block) in [(0, &boot), (1, &about), (6, &boot), (7, &about)] {
        disk.write_all_at(block, start + sector * SECTOR)?;
    }
    for number in 0..2 {
        disk.write_all_at(&table, start + (RESERVED + number * shape.table) * SECTOR)?;
    }
    let size = u32::try_from(content.len()).map_err(io::Error::other)?;
    let directories = [
        (ROOT, [entry(*b"ESP        ", 0x08, 0, 0), entry(*b"EFI        ", 0x10, EFI, 0)].concat()),
        (EFI, [dots(EFI, 0), entry(*b"BOOT       ", 0x10, BOOT, 0).to_vec()].concat()),
        (BOOT, [dots(BOOT, EFI), entry(short(name), 0x20, CONTENT, size).to_vec()].concat()),
    ];
    for (cluster, entries) in directories {
        disk.write_all_at(&entries, start + shape.place(cluster))?;
    }
    disk.write_all_at(content, start + shape.place(CONTENT))
}

fn boot_sector(shape: &Shape, id: u32) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\xeb\x58\x90theseus ");
    put(11, &512_u16.to_le_bytes());
    put(13, &[u8::try_from(shape.cluster).unwrap_or(1), u8::try_from(RESERVED).unwrap_or(32), 0, 2]);
    put(21, &[0xf8]);
    put(24, &[32, 0, 64, 0]);
    put(32, &u32::try_from(shape.sectors).unwrap_or(u32::MAX).to_le_bytes());
    put(36, &u32::try_from(shape.table).unwrap_or(0).to_le_bytes());
    put(44, &ROOT.to_le_bytes());
    put(48, &[1, 0, 6, 0]);
    put(64, &[0x80, 0, 0x29]);
    put(67, &id.to_le_bytes());
    put(71, b"ESP        FAT32   ");
    put(510, &[0x55, 0xaa]);
    block
}

fn information(free: u32, next: u32) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RRaA");
    put(484, b"rrAa");
    put(488, &free.to_le_bytes());
    put(492, &next.to_le_bytes());
    put(508, &[0, 0, 0x55, 0xaa]);
    block
}

/// One entry of a directory; its times are the first that the format knows.
fn entry(name: [u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..11].copy_from_slice(&name);
    bytes[11] = attributes;
    for date in [16, 18, 24] {
        bytes[date] = 0x21;
    }
    let [a, b, c, d] = cluster.to_le_bytes();
    bytes[20..22].copy_from_slice(&[c, d]);
    bytes[26..28].copy_from_slice(&[a, b]);
    bytes[28..].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// What every directory has of itself and of the one above, which is 0 for the root.
fn dots(own: u32, above: u32) -> Vec<u8> {
    [entry(*b".          ", 0x10, own, 0), entry(*b"..         ", 0x10, above, 0)].concat()
}

fn short(name: &str) -> [u8; 11] {
    let mut bytes = [b' '; 11];
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    for (at, byte) in stem.bytes().take(8).enumerate().chain((8..).zip(ending.bytes().take(3))) {
        bytes[at] = byte.to_ascii_uppercase();
    }
    bytes
}
