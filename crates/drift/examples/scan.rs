//! `scan DIR MANIFEST [walk|full|again]`: the scanner alone, for measuring: what it did, its time, CPU and memory.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use drift::manifest::{Manifest, Writer};
use drift::scan::{Options, devices, scan, threads};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, path, how] = args.as_slice() else { return Err("scan DIR MANIFEST walk|full|again".into()) };
    let (root, path, cancelled) = (Path::new(dir), Path::new(path), AtomicBool::new(false));
    let known = if how == "again" { Manifest::open(path)? } else { None };
    let started = layer::Time::now();
    let walk = how == "walk";
    let options = Options {
        root,
        enter: &|_| true,
        reads: &|_| !walk,
        devices: devices(root),
        known: known.as_ref(),
        records: None,
        full: how == "full",
        again: HashSet::new(),
        threads: threads(),
        limit: None,
        cancelled: &cancelled,
    };
    let mut writer = Writer::create(path, started, 0)?;
    let stats = scan(&options, &mut |dir, block| if walk { Ok(()) } else { writer.add(dir, block) })?;
    if !walk {
        writer.finish()?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim();
    println!(
        "{how}: {} entries, {} files and {} bytes read, {:.2} s, memory {memory}",
        stats.entries, stats.files_read, stats.bytes_read, stats.seconds
    );
    Ok(())
}
