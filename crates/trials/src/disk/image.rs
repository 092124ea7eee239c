//! The content of a disk, sparse; and what a power cut can make of a log of writes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::trial::mix;

const BLOCK: usize = 4096;
/// What a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct Image {
    pub(crate) size: u64,
    blocks: HashMap<u64, Box<[u8]>>,
}

/// What reached the disk, in order.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Write {
        offset: u64,
        data: Box<[u8]>,
    },
    /// All before it is there for good.
    Flush,
}

impl Image {
    pub(crate) fn read_from(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut image = Self { size: file.metadata()?.len(), blocks: HashMap::new() };
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        loop {
            let got = file.read_at(&mut buffer, offset)?;
            if got == 0 {
                return Ok(image);
            }
            for (index, block) in buffer[..got].chunks(BLOCK).enumerate() {
                if block.iter().any(|b| *b != 0) {
                    image.write(offset + (index * BLOCK) as u64, block);
                }
            }
            offset += got as u64;
        }
    }

    /// A new sparse file.
    pub(crate) fn write_to(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(self.size)?;
        for (number, block) in &self.blocks {
            file.write_all_at(block, number * BLOCK as u64)?;
        }
        Ok(())
    }

    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) {
        let mut done = 0;
        while done < into.len() {
            let at = offset + done as u64;
            let inside = (at % BLOCK as u64) as usize;
            let length = (BLOCK - inside).min(into.len() - done);
            match self.blocks.get(&(at / BLOCK as u64)) {
                Some(block) => into[done..done + length].copy_from_slice(&block[inside..inside + length]),
                None => into[done..done + length].fill(0),
            }
            done += length;
        }
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let inside = (at % BLOCK as u64) as usize;
            let length = (BLOCK - inside).min(data.len() - done);
            let block = self.blocks.entry(at / BLOCK as u64).or_insert_with(|| vec![0; BLOCK].into());
            block[inside..inside + length].copy_from_slice(&data[done..done + length]);
            done += length;
        }
    }
}

/// How the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Everything up to here is there.
    Prefix,
    /// Of what came after the last flush, any part is there.
    Subset(u64),
    /// As [`Cut::Prefix`], and some sectors of the next write.
    Torn(u64),
}

/// The disk after a power cut when `done` entries of the log had been sent.
pub(crate) fn after_cut(base: &Image, log: &[Entry], done: usize, cut: Cut) -> Image {
    let mut image = base.clone();
    let safe = log[..done].iter().rposition(|entry| matches!(entry, Entry::Flush)).unwrap_or(0);
    for (index, entry) in log[..done].iter().enumerate() {
        let Entry::Write { offset, data } = entry else { continue };
        let there = match cut {
            Cut::Subset(seed) => index < safe || mix(seed ^ (index as u64) << 20) & 1 == 0,
            Cut::Prefix | Cut::Torn(_) => true,
        };
        if there {
            image.write(*offset, data);
        }
    }
    if let (Cut::Torn(seed), Some(Entry::Write { offset, data })) = (cut, log.get(done)) {
        for (index, sector) in data.chunks(SECTOR).enumerate() {
            if mix(seed ^ index as u64) & 1 == 0 {
                image.write(*offset + (index * SECTOR) as u64, sector);
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::{Cut, Entry, Image, after_cut};

    fn byte(image: &Image, offset: u64) -> u8 {
        let mut one = [0];
        image.read(offset, &mut one);
        one[0]
    }

    #[test]
    fn what_was_flushed_survives_every_cut() {
        let base = Image { size: 1 << 20, ..Image::default() };
        let write = |offset, value| Entry::Write { offset, data: vec![value; 4096].into() };
        let log = vec![write(0, 1), Entry::Flush, write(4096, 2), write(8192, 3), write(100, 4)];
        for seed in 0..50 {
            let image = after_cut(&base, &log, 4, Cut::Subset(seed));
            assert_eq!(byte(&image, 0), 1);
            assert!([0, 2].contains(&byte(&image, 5000)));
        }
        let seen: std::collections::HashSet<u8> =
            (0..50).map(|seed| byte(&after_cut(&base, &log, 4, Cut::Subset(seed)), 5000)).collect();
        assert_eq!(seen.len(), 2);
        let torn: Vec<Image> = (0..20).map(|seed| after_cut(&base, &log, 4, Cut::Torn(seed))).collect();
        assert!(torn.iter().any(|i| byte(i, 200) == 4) && torn.iter().any(|i| byte(i, 200) == 1));
        assert_eq!(byte(&after_cut(&base, &log, 5, Cut::Prefix), 200), 4);
    }
}
