//! The partition table of a disk: GPT, with its copy at the end and the mark for those who know only MBR.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use flate2::Crc;

pub(super) const SECTOR: u64 = 512;
/// Entries of the table, and the size of each.
const ENTRIES: u64 = 128;
const ENTRY: u64 = 128;
const TABLE: u64 = ENTRIES * ENTRY;

/// Sixteen bytes, as UUIDs are written: most significant first.
pub(super) type Uuid = [u8; 16];

pub(super) const ESP: Uuid = *b"\xc1\x2a\x73\x28\xf8\x1f\x11\xd2\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
pub(super) const ROOT_X86: Uuid = *b"\x4f\x68\xbc\xe3\xe8\xcd\x4d\xb1\x96\xe7\xfb\xca\xf9\x84\xb7\x09";
pub(super) const ROOT_ARM: Uuid = *b"\xb9\x21\xb0\x45\x1d\xf0\x41\xc3\xaf\x44\x4c\x6f\x28\x0d\x3f\xae";

pub(super) struct Partition {
    pub(super) kind: Uuid,
    pub(super) id: Uuid,
    pub(super) name: &'static str,
    /// In bytes, whole sectors.
    pub(super) start: u64,
    pub(super) length: u64,
}

pub(super) fn shown(id: &Uuid) -> String {
    let hex = crate::digest::hex(id);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Writes both tables onto a disk of that many bytes.
pub(super) fn write(disk: &File, size: u64, id: &Uuid, partitions: &[Partition]) -> io::Result<()> {
    let sectors = size / SECTOR;
    let mut table = Vec::new();
    for one in partitions {
        table.extend(mixed(&one.kind));
        table.extend(mixed(&one.id));
        table.extend((one.start / SECTOR).to_le_bytes());
        table.extend(((one.start + one.length) / SECTOR - 1).to_le_bytes());
        table.extend(0_u64.to_le_bytes());
        let mut name: Vec<u8> = one.name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        name.resize(72, 0);
        table.extend(name);
    }
    table.resize(usize::try_from(TABLE).unwrap_or(0), 0);
    let behind = TABLE / SECTOR;
    let (first, last) = (2 + behind, sectors - behind - 2);
    let header = |own: u64, other: u64, entries: u64| {
        let mut block = Vec::from(&b"EFI PART"[..]);
        for number in [0x1_0000_u32, 92, 0, 0] {
            block.extend(number.to_le_bytes());
        }
        for number in [own, other, first, last] {
            block.extend(number.to_le_bytes());
        }
        block.extend(mixed(id));
        block.extend(entries.to_le_bytes());
        for number in [ENTRIES, ENTRY, u64::from(sum(&table))] {
            block.extend(u32::try_from(number).unwrap_or(0).to_le_bytes());
        }
        let own_sum = sum(&block);
        block[16..20].copy_from_slice(&own_sum.to_le_bytes());
        block
    };
    disk.write_all_at(&protection(sectors), 0)?;
    disk.write_all_at(&header(1, sectors - 1, 2), SECTOR)?;
    disk.write_all_at(&table, 2 * SECTOR)?;
    disk.write_all_at(&table, (sectors - 1 - behind) * SECTOR)?;
    disk.write_all_at(&header(sectors - 1, 1, sectors - 1 - behind), (sectors - 1) * SECTOR)
}

/// One partition over everything, of a kind that old programs leave alone.
fn protection(sectors: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[446..462].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]);
    let length = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    block[458..462].copy_from_slice(&length.to_le_bytes());
    block[510..].copy_from_slice(&[0x55, 0xaa]);
    block
}

/// The first three fields are little-endian, the rest is not.
fn mixed(id: &Uuid) -> Uuid {
    let mut bytes = *id;
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
