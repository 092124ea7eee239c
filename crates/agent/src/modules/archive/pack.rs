//! Packing into a scratch file, and whether two archives hold the same.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use layer::Scratch;

use super::sources::Entry;
use crate::children;
use crate::files;
use crate::module::{At, Failure, Task, plain};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Bzip2,
    Gzip,
    Tar,
    Xz,
    Zip,
}

impl Format {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "bz2" => Self::Bzip2,
            "tar" => Self::Tar,
            "xz" => Self::Xz,
            "zip" => Self::Zip,
            _ => Self::Gzip,
        }
    }

    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Bzip2 => "bz2",
            Self::Gzip => "gz",
            Self::Tar => "tar",
            Self::Xz => "xz",
            Self::Zip => "zip",
        }
    }

    /// The program for what we cannot do ourselves.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Bzip2 => Some("bzip2"),
            Self::Xz => Some("xz"),
            _ => None,
        }
    }
}

/// One file, compressed.
pub(super) fn compress(
    task: &Task<'_>,
    source: &Path,
    format: Format,
    scratch: &Scratch,
) -> Result<PathBuf, Failure> {
    let (mut copy, path) = scratch.create("content")?;
    io::copy(&mut files::open(source)?, &mut copy).at("read", source)?;
    squeeze(task, path, format, scratch)
}

/// All entries in one archive.
pub(super) fn archive(
    task: &Task<'_>,
    entries: &[Entry],
    format: Format,
    scratch: &Scratch,
) -> Result<PathBuf, Failure> {
    let (file, path) = scratch.create("archive")?;
    if format == Format::Zip {
        zip(task, entries, file).map_err(unmade)?;
        return Ok(path);
    }
    tar(task, entries, file)?;
    squeeze(task, path, format, scratch)
}

fn unmade(error: zip::result::ZipError) -> Failure {
    Failure::new(format!("the zip archive could not be made: {error}"))
}

/// The file under another name, compressed.
fn squeeze(
    task: &Task<'_>,
    path: PathBuf,
    format: Format,
    scratch: &Scratch,
) -> Result<PathBuf, Failure> {
    let packed = path.with_extension(format.ending());
    match format.program() {
        Some(program) => {
            let name = path.to_string_lossy();
            let run = children::in_c_locale(task, &[program, "-k", &name]);
            let output = run.output().map_err(|error| {
                Failure::new(format!("`{program}` is needed on the host for this format: {error}"))
            })?;
            children::expect(output)?;
            Ok(packed)
        }
        None if format == Format::Tar => Ok(path),
        None => {
            // Without name and time: the same content always is the same file.
            let (file, packed) = scratch.create("packed")?;
            let mut encoder = GzEncoder::new(file, Compression::default());
            io::copy(&mut files::open(&path)?, &mut encoder).at("compress", &path)?;
            encoder.finish().at("compress", &path)?;
            Ok(packed)
        }
    }
}

fn tar(task: &Task<'_>, entries: &[Entry], file: File) -> Result<(), Failure> {
    let mut builder = tar::Builder::new(io::BufWriter::new(file));
    builder.follow_symlinks(false);
    for entry in entries {
        task.go_on()?;
        let path = &entry.path;
        let metadata = path.symlink_metadata().at("look at", path)?;
        if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) {
            continue;
        }
        let slash = if metadata.is_dir() { "/" } else { "" };
        builder.append_path_with_name(path, format!("{}{slash}", entry.name)).at("pack", path)?;
    }
    builder.into_inner().and_then(|mut out| out.flush()).at("write", "the archive")
}

fn zip(task: &Task<'_>, entries: &[Entry], file: File) -> Result<(), zip::result::ZipError> {
    let mut writer = zip::ZipWriter::new(file);
    for entry in entries {
        if task.go_on().is_err() {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        let metadata = entry.path.metadata()?;
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .large_file(metadata.len() >= u64::from(u32::MAX))
            .unix_permissions(metadata.mode() & 0o7777);
        let options = match time(&metadata) {
            Some(time) => options.last_modified_time(time),
            None => options,
        };
        if metadata.is_dir() {
            writer.add_directory(format!("{}/", entry.name), options)?;
        } else if metadata.is_file() {
            writer.start_file(entry.name.as_str(), options)?;
            io::copy(&mut File::open(&entry.path)?, &mut writer)?;
        }
    }
    writer.finish().map(drop)
}

/// Zip files have local times.
fn time(metadata: &std::fs::Metadata) -> Option<zip::DateTime> {
    let stamp = jiff::Timestamp::from_second(metadata.mtime()).ok()?;
    let t = stamp.to_zoned(jiff::tz::TimeZone::system()).datetime();
    let small = |n: i8| u8::try_from(n).ok();
    let year = u16::try_from(t.year()).ok()?;
    let date = (small(t.month())?, small(t.day())?, small(t.hour())?, small(t.minute())?, small(t.second())?);
    zip::DateTime::from_date_and_time(year, date.0, date.1, date.2, date.3, date.4).ok()
}

/// Whether both hold the same; what cannot be read does not.
pub(super) fn same(old: &Path, new: &Path, format: Format, whole: bool) -> bool {
    match (format, whole) {
        (Format::Zip, _) => zip_list(old).is_some_and(|list| Some(list) == zip_list(new)),
        (Format::Tar, _) => tar_list(old, None).is_some_and(|list| Some(list) == tar_list(new, None)),
        (Format::Gzip, true) => {
            let list = |path| tar_list(path, Some(format));
            list(old).is_some_and(|old| Some(old) == list(new))
        }
        (Format::Gzip, false) => {
            let content = |path: &Path| {
                let mut content = Vec::new();
                reader(path, Some(format))?.read_to_end(&mut content).ok()?;
                Some(content)
            };
            content(old).is_some_and(|old| Some(old) == content(new))
        }
        // The programs always make the same of the same.
        _ => files::read(old).is_ok_and(|old| files::read(new).is_ok_and(|new| old == new)),
    }
}

fn reader(path: &Path, format: Option<Format>) -> Option<Box<dyn Read>> {
    let file = BufReader::new(files::open(path).ok()?);
    Some(if format == Some(Format::Gzip) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Name, type, mode, size, time and target.
type Member = (Vec<u8>, u8, u32, u64, u64, Vec<u8>);

/// Every entry.
fn tar_list(path: &Path, format: Option<Format>) -> Option<BTreeSet<Member>> {
    let mut archive = tar::Archive::new(reader(path, format)?);
    let mut all = BTreeSet::new();
    for entry in archive.entries().ok()? {
        let entry = entry.ok()?;
        let header = entry.header();
        let name = entry.path_bytes();
        let name = name.strip_suffix(b"/").unwrap_or(&name).to_vec();
        let link = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
        let kind = header.entry_type().as_byte();
        all.insert((name, kind, header.mode().ok()? & 0o7777, entry.size(), header.mtime().ok()?, link));
    }
    Some(all)
}

fn zip_list(path: &Path) -> Option<BTreeSet<(Vec<u8>, u32)>> {
    let mut archive = zip::ZipArchive::new(files::open(path).ok()?).ok()?;
    let mut all = BTreeSet::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|e| plain(&e.into())).ok()?;
        all.insert((file.name_raw().to_vec(), file.crc32()));
    }
    Some(all)
}
