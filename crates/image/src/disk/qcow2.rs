//! The disk as QEMU's own format has it: only clusters that hold something.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const CLUSTER: u64 = 64 << 10;
/// Entries in a cluster: of addresses, and of counts of references.
const ADDRESSES: u64 = CLUSTER / 8;
const COUNTS: u64 = CLUSTER / 2;
/// This cluster is referred to exactly once.
const OWN: u64 = 1 << 63;

/// Where everything is, in clusters.
struct Plan {
    first_level: u64,
    second_levels: u64,
    data: u64,
    counts_table: u64,
    counts: u64,
    all: u64,
}

/// Copies the raw disk of that many bytes.
pub(super) fn convert(raw: &File, size: u64, to: &File) -> io::Result<()> {
    let used = used(raw, size)?;
    let first_entries = size.div_ceil(CLUSTER).div_ceil(ADDRESSES);
    let mut tables: Vec<u64> = used.iter().map(|cluster| cluster / ADDRESSES).collect();
    tables.dedup();
    let plan = plan(first_entries, tables.len() as u64, used.len() as u64);
    let mut first = vec![0; usize::try_from(first_entries).unwrap_or(0)];
    for (index, table) in (0_u64..).zip(&tables) {
        let place = (plan.second_levels + index) * CLUSTER;
        first[usize::try_from(*table).unwrap_or(0)] = place | OWN;
    }
    to.write_all_at(&big(&first), plan.first_level * CLUSTER)?;
    let mut buffer = vec![0; usize::try_from(CLUSTER).unwrap_or(0)];
    for (index, cluster) in (0_u64..).zip(&used) {
        let place = (plan.data + index) * CLUSTER;
        let table = first[usize::try_from(cluster / ADDRESSES).unwrap_or(0)] & !OWN;
        to.write_all_at(&(place | OWN).to_be_bytes(), table + cluster % ADDRESSES * 8)?;
        let length = usize::try_from(CLUSTER.min(size - cluster * CLUSTER)).unwrap_or(0);
        raw.read_exact_at(&mut buffer[..length], cluster * CLUSTER)?;
        to.write_all_at(&buffer[..length], place)?;
    }
    let blocks = plan.all.div_ceil(COUNTS);
    let places: Vec<u64> = (0..blocks).map(|block| (plan.counts + block) * CLUSTER).collect();
    to.write_all_at(&big(&places), plan.counts_table * CLUSTER)?;
    let ones = [0, 1].repeat(usize::try_from(plan.all).unwrap_or(0));
    to.write_all_at(&ones, plan.counts * CLUSTER)?;
    to.write_all_at(&header(size, first_entries, &plan), 0)?;
    to.set_len(plan.all * CLUSTER)
}

fn plan(first_entries: u64, tables: u64, data_clusters: u64) -> Plan {
    let first_level = 1;
    let second_levels = first_level + first_entries.div_ceil(ADDRESSES);
    let data = second_levels + tables;
    let counts_table = data + data_clusters;
    let (mut table, mut blocks) = (1, 1);
    loop {
        let all = counts_table + table + blocks;
        let needed = all.div_ceil(COUNTS);
        if needed <= blocks && needed.div_ceil(ADDRESSES) <= table {
            return Plan {
                first_level,
                second_levels,
                data,
                counts_table,
                counts: counts_table + table,
                all,
            };
        }
        (blocks, table) = (needed, needed.div_ceil(ADDRESSES));
    }
}

fn header(size: u64, first_entries: u64, plan: &Plan) -> Vec<u8> {
    let table_clusters = plan.counts - plan.counts_table;
    let words = |numbers: &[u32]| numbers.iter().flat_map(|one| one.to_be_bytes()).collect::<Vec<u8>>();
    let narrow = |number: u64| u32::try_from(number).unwrap_or(0);
    [
        b"QFI\xfb".to_vec(),
        words(&[3, 0, 0, 0, 16]),
        size.to_be_bytes().to_vec(),
        words(&[0, narrow(first_entries)]),
        (plan.first_level * CLUSTER).to_be_bytes().to_vec(),
        (plan.counts_table * CLUSTER).to_be_bytes().to_vec(),
        words(&[narrow(table_clusters), 0]),
        vec![0; 8 + 3 * 8],
        words(&[4, 104]),
    ]
    .concat()
}

/// Clusters that are not all zero; holes are not read.
fn used(raw: &File, size: u64) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    let mut buffer = vec![0; usize::try_from(CLUSTER).unwrap_or(0)];
    let mut cluster = 0;
    while cluster * CLUSTER < size {
        match rustix::fs::seek(raw, rustix::fs::SeekFrom::Data(cluster * CLUSTER)) {
            Ok(data) => cluster = data / CLUSTER,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        }
        let length = usize::try_from(CLUSTER.min(size - cluster * CLUSTER)).unwrap_or(0);
        raw.read_exact_at(&mut buffer[..length], cluster * CLUSTER)?;
        if buffer[..length].iter().any(|byte| *byte != 0) {
            found.push(cluster);
        }
        cluster += 1;
    }
    Ok(found)
}

fn big(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}
