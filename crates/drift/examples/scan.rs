//! `scan DIR MANIFEST [walk|full|again]`: the scanner alone, for measuring: what it did, its time, CPU and memory.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use drift::manifest::{Manifest, Writer};
use drift::scan::{Options, devices, scan, threads};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, StatxFlags};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, path, how] = args.as_slice() else { return Err("scan DIR MANIFEST walk|full|again".into()) };
    if how == "walk" {
        println!("walk: {} entries, memory {}", walk(Path::new(dir))?, memory()?);
        return Ok(());
    }
    let (root, path, cancelled) = (Path::new(dir), Path::new(path), AtomicBool::new(false));
    let known = if how == "again" { Manifest::open(path)? } else { None };
    let started = layer::Time::now();
    let options = Options {
        root,
        enter: &|_| true,
        reads: &|_| true,
        devices: devices(root),
        known: known.as_ref(),
        records: None,
        full: how == "full",
        again: HashSet::new(),
        threads: threads(),
        limit: None,
        cpu: None,
        cancelled: &cancelled,
    };
    let mut writer = Writer::create(path, started, 0)?;
    let stats = scan(&options, &mut |dir, block| writer.add(dir, block))?;
    writer.finish()?;
    println!(
        "{how}: {} entries, {} files and {} bytes read, {:.2} s, memory {}",
        stats.entries,
        stats.files_read,
        stats.bytes_read,
        stats.seconds,
        memory()?
    );
    Ok(())
}

fn memory() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or_default().trim().to_owned())
}

/// Nothing but the names and the metadata of every entry: what a look cannot do without. One thread, no locks.
fn walk(root: &Path) -> rustix::io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (mut dirs, mut count) = (vec![root.to_owned()], 1);
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 32 * 1024];
    while let Some(path) = dirs.pop() {
        let dir = rustix::fs::open(&path, flags, Mode::empty())?;
        let mut entries = RawDir::new(&dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = rustix::fs::statx(&dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
            count += 1;
            if FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory {
                dirs.push(path.join(std::ffi::OsStr::from_bytes(name.to_bytes())));
            }
        }
    }
    Ok(count)
}
