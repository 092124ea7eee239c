//! tar archives, packed or not.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tar::{Archive, EntryType};

use super::Format;
use super::entries::{Entry, Unpacking, What};
use crate::cache::Cache;
use crate::command::find_program;
use crate::files;
use crate::module::{At, Failure, Task, plain};

pub(super) fn unpack(
    archive: &Path,
    format: Format,
    to: &mut Unpacking<'_>,
    task: &mut Task<'_>,
) -> Result<(), Failure> {
    let file = files::open(archive)?;
    let Some(unpacker) = format.unpacker() else {
        let reader: Box<dyn Read> = match format {
            Format::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
            _ => Box::new(BufReader::new(file)),
        };
        return all(reader, to, task);
    };
    let program = find_program(unpacker)
        .ok_or_else(|| format!("the program `{unpacker}` is needed on the host to unpack this archive"))?;
    let mut child = start(&program, file).at("run", &program)?;
    let Some(output) = child.stdout.take() else { return Err("the unpacker has no output".into()) };
    let done = all(Box::new(output), to, task);
    if done.is_err() {
        _ = child.kill();
    }
    let status = child.wait()?;
    done?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{unpacker}` could not unpack the archive: {status}").into())
    }
}

fn start(program: &Path, file: std::fs::File) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("-dc").stdin(Stdio::from(file)).stdout(Stdio::piped()).stderr(Stdio::null());
    crate::spawn::prepare(&mut command, crate::spawn::Start { die_with_us: true, ..Default::default() });
    command.spawn()
}

fn all(mut reader: Box<dyn Read>, to: &mut Unpacking<'_>, task: &mut Task<'_>) -> Result<(), Failure> {
    let broken = |e: std::io::Error| Failure::new(format!("the archive cannot be read: {}", plain(&e)));
    let mut archive = Archive::new(&mut reader);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let header = entry.header();
        let link = || -> Result<_, Failure> {
            let link = entry.link_name().map_err(broken)?;
            Ok(link.ok_or("the archive has a link without a target")?.into_owned())
        };
        let what = match header.entry_type() {
            EntryType::Directory => What::Dir,
            EntryType::Symlink => What::Symlink(link()?),
            EntryType::Link => What::Hardlink(link()?),
            EntryType::Fifo => What::Fifo,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                What::File { size: entry.size() }
            }
            EntryType::XGlobalHeader => continue,
            other => {
                let name = entry.path().map(|p| p.display().to_string()).unwrap_or_default();
                task.warn(format!("the entry {name} of the kind {other:?} was left out"));
                continue;
            }
        };
        let described = Entry {
            name: entry.path().map_err(broken)?.into_owned(),
            what,
            mode: header.mode().ok(),
            owner: owner(header, task.cache),
            mtime: header.mtime().ok().map(u64::cast_signed),
        };
        to.entry(&described, &mut entry, task)?;
    }
    // The unpacker must come to its end to tell whether all was well.
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(broken)?;
    Ok(())
}

/// By name where this host knows the name, else by number, as tar does.
fn owner(header: &tar::Header, cache: &mut Cache) -> Option<(u32, u32)> {
    let accounts = cache.accounts();
    let uid = header
        .username()
        .ok()
        .flatten()
        .filter(|n| !n.is_empty())
        .and_then(|n| accounts.user(n))
        .map(|u| u.uid);
    let gid = header
        .groupname()
        .ok()
        .flatten()
        .filter(|n| !n.is_empty())
        .and_then(|n| accounts.group(n))
        .map(|g| g.gid);
    let number = |n: std::io::Result<u64>| n.ok().and_then(|n| u32::try_from(n).ok());
    Some((uid.or_else(|| number(header.uid()))?, gid.or_else(|| number(header.gid()))?))
}
