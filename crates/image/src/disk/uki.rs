//! A unified kernel image: the stub that firmware starts, with kernel, initrd and command line as sections behind it.

use crate::error::{Error, Result};

const SECTION: usize = 40;
/// Initialised data that is only read.
const READ_ONLY: u32 = 0x4000_0040;

/// Appends sections to a program in PE format.
pub(super) fn build(stub: &[u8], sections: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    join(stub, sections).ok_or_else(|| Error::wrong("the boot stub is no EFI program for a 64-bit machine"))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn put(bytes: &mut [u8], at: usize, value: usize) -> Option<()> {
    bytes.get_mut(at..at + 4)?.copy_from_slice(&u32::try_from(value).ok()?.to_le_bytes());
    Some(())
}

fn join(stub: &[u8], sections: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let pe = number(stub, 0x3c)? as usize;
    let optional = pe + 24;
    if stub.get(pe..pe + 4)? != b"PE\0\0" || stub.get(optional..optional + 2)? != b"\x0b\x02" {
        return None;
    }
    let count = short(stub, pe + 6)?;
    let headers = optional + short(stub, pe + 20)?;
    let (in_memory, in_file) = (number(stub, optional + 32)? as usize, number(stub, optional + 36)? as usize);
    let (mut address, old_headers) =
        (number(stub, optional + 56)? as usize, number(stub, optional + 60)? as usize);
    if !in_memory.is_power_of_two() || !in_file.is_power_of_two() {
        return None;
    }
    // The contents move back by what the longer list of sections needs.
    let end = headers + SECTION * (count + sections.len());
    let shift = end.next_multiple_of(in_file).saturating_sub(old_headers).next_multiple_of(in_file);
    let mut whole = stub.get(..headers + SECTION * count)?.to_vec();
    for one in 0..count {
        let at = headers + SECTION * one + 20;
        let place = number(&whole, at)? as usize;
        if place > 0 {
            put(&mut whole, at, place + shift)?;
        }
    }
    let mut behind = stub.get(old_headers..)?.to_vec();
    for (name, content) in sections {
        behind
            .resize((old_headers + shift + behind.len()).next_multiple_of(in_file) - old_headers - shift, 0);
        let mut header = [0; SECTION];
        header[..name.len().min(8)].copy_from_slice(&name.as_bytes()[..name.len().min(8)]);
        put(&mut header, 8, content.len())?;
        put(&mut header, 12, address)?;
        put(&mut header, 16, content.len().next_multiple_of(in_file))?;
        put(&mut header, 20, old_headers + shift + behind.len())?;
        header[36..].copy_from_slice(&READ_ONLY.to_le_bytes());
        whole.extend(header);
        behind.extend_from_slice(content);
        address = (address + content.len()).next_multiple_of(in_memory);
    }
    behind.resize(behind.len().next_multiple_of(in_file), 0);
    whole.resize(old_headers + shift, 0);
    let all = u16::try_from(count + sections.len()).ok()?;
    whole[pe + 6..pe + 8].copy_from_slice(&all.to_le_bytes());
    put(&mut whole, optional + 56, address)?;
    put(&mut whole, optional + 60, old_headers + shift)?;
    // No checksum: it is for drivers only.
    put(&mut whole, optional + 64, 0)?;
    whole.extend(behind);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers of one section of 16 bytes, and no room for more.
    pub(super) fn stub() -> Vec<u8> {
        let mut bytes = vec![0; 0x200];
        bytes[0x3c] = 0x40;
        bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
        bytes[0x46] = 1;
        // Sections begin at 0x1d8, so that a second one does not fit.
        let optional = 0x58;
        let size = u16::try_from(0x1d8 - optional).unwrap();
        bytes[0x54..0x56].copy_from_slice(&size.to_le_bytes());
        bytes[optional..optional + 2].copy_from_slice(b"\x0b\x02");
        for (at, value) in [(32, 0x1000), (36, 0x200), (56, 0x2000), (60, 0x200)] {
            put(&mut bytes, optional + at, value).unwrap();
        }
        bytes[0x1d8..0x1dd].copy_from_slice(b".text");
        for (at, value) in [(8, 16), (12, 0x1000), (16, 0x200), (20, 0x200)] {
            put(&mut bytes, 0x1d8 + at, value).unwrap();
        }
        bytes.extend(*b"instructions....");
        bytes.resize(0x400, 0);
        bytes
    }

    /// Name, address and content of every section, by what the headers say.
    fn read(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let count = short(bytes, 0x46).unwrap();
        let one = |index: usize| {
            let at = 0x1d8 + SECTION * index;
            let name = String::from_utf8_lossy(&bytes[at..at + 8]).trim_end_matches('\0').to_owned();
            let (size, place) = (number(bytes, at + 8).unwrap(), number(bytes, at + 20).unwrap());
            let content = bytes[place as usize..(place + size) as usize].to_vec();
            (name, number(bytes, at + 12).unwrap(), content)
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn sections_follow_the_stubs_own() {
        let large = vec![7; 0x1234];
        let whole = build(&stub(), &[(".linux", &large), (".cmdline", b"root=x")]).unwrap();
        let expected = [
            (".text".to_owned(), 0x1000, b"instructions....".to_vec()),
            (".linux".to_owned(), 0x2000, large),
            (".cmdline".to_owned(), 0x4000, b"root=x".to_vec()),
        ];
        assert_eq!(read(&whole), expected);
        assert_eq!(number(&whole, 0x58 + 56), Some(0x5000), "the size in memory");
        assert_eq!(whole.len() % 0x200, 0);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for wrong in [&b""[..], b"MZ", &[0xff; 600], &stub()[..0x1e0]] {
            assert!(build(wrong, &[(".linux", b"x")]).is_err());
        }
    }
}
