//! `unarchive`: the content of a tar or zip archive in a directory. Every entry is compared first: only what differs is written.

use std::io::Read;
use std::path::PathBuf;

use catalog::{Arg, Args, ModuleSpec};
use serde_json::json;

use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{At, Failure, Module, Outcome, Task};

mod entries;
mod options;
mod tarball;
mod zipfile;

const ARGS: &[Arg] = &[
    Arg::path("src").required(),
    Arg::path("dest").required(),
    Arg::bool("remote_src").default("false"),
    Arg::bool("copy").default("true"),
    Arg::path("creates"),
    Arg::bool("list_files").default("false"),
    Arg::bool("keep_newer").default("false"),
    Arg::list("exclude").default(""),
    Arg::list("include").default(""),
    Arg::list("extra_opts").default(""),
    Arg::bool("validate_certs").default("true"),
    Arg::int("io_buffer_size").default("65536"),
    Arg::bool("decrypt").default("true").controller_only(),
    Arg::str("_content"),
    Arg::str("_inline"),
    Arg::int("_size"),
    Arg::str("_original_basename"),
];

pub(crate) static MODULE: Module = Module { spec: SPEC, run };

pub static SPEC: ModuleSpec =
    ModuleSpec::builtin("unarchive", ARGS).file_args().mutually_exclusive(&[&["include", "exclude"]]);

/// How the archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Zip,
}

impl Format {
    fn of(start: &[u8]) -> Option<Self> {
        let is = |magic: &[u8]| start.starts_with(magic);
        Some(if is(b"\x1f\x8b") {
            Self::Gzip
        } else if is(b"BZh") {
            Self::Bzip2
        } else if is(b"\xfd7zXZ\0") {
            Self::Xz
        } else if is(b"\x28\xb5\x2f\xfd") {
            Self::Zstd
        } else if is(b"PK\x03\x04") || is(b"PK\x05\x06") {
            Self::Zip
        } else if start.get(257..262) == Some(b"ustar") || old_tar(start) {
            Self::Tar
        } else {
            return None;
        })
    }

    /// Ansible's word for it.
    fn handler(self) -> &'static str {
        match self {
            Self::Tar => "TarArchive",
            Self::Gzip => "TgzArchive",
            Self::Bzip2 => "TarBzipArchive",
            Self::Xz => "TarXzArchive",
            Self::Zstd => "TarZstdArchive",
            Self::Zip => "ZipArchive",
        }
    }

    fn unpacker(self) -> Option<&'static str> {
        match self {
            Self::Bzip2 => Some("bzip2"),
            Self::Xz => Some("xz"),
            Self::Zstd => Some("zstd"),
            _ => None,
        }
    }
}

/// Before `ustar` a header was known by its checksum only.
fn old_tar(start: &[u8]) -> bool {
    let Some(header) = start.get(..512) else { return false };
    let text = String::from_utf8_lossy(&header[148..156]);
    let Ok(wanted) = u32::from_str_radix(text.trim_matches(['\0', ' ']), 8) else { return false };
    let sum = |i: usize, b: u8| u32::from(if (148..156).contains(&i) { b' ' } else { b });
    header.iter().enumerate().map(|(i, b)| sum(i, *b)).sum::<u32>() == wanted && header[0] != 0
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (src, dest) = (args.string("src"), args.string("dest"));
    if let Some(creates) = args.str("creates").filter(|c| crate::patterns::exists(c)) {
        let outcome = Outcome::changed(false).with("skipped", true);
        return Ok(outcome.with("msg", format!("skipped, since {creates} exists")));
    }
    let scratch = layer::Scratch::new()?;
    let archive = locate(args, &src, &scratch, task)?;
    let top = PathBuf::from(&dest);
    if !top.is_dir() {
        return Err(Failure::new(format!("dest '{dest}' must be an existing dir")));
    }
    let mut start = Vec::new();
    files::open(&archive)?.take(512).read_to_end(&mut start).at("read", &archive)?;
    let Some(format) = Format::of(&start) else {
        let message = format!(
            "Failed to find handler for \"{src}\": it is neither a tar archive (plain, gzip, bzip2, xz, zstd) nor a zip archive"
        );
        return Err(Failure::new(message));
    };
    let options = options::Options::read(args)?;
    let mut unpacking = entries::Unpacking::new(&top, &options, FileArgs::read(args)?, task)?;
    match format {
        Format::Zip => zipfile::unpack(&archive, &mut unpacking, task)?,
        _ => tarball::unpack(&archive, format, &mut unpacking, task)?,
    }
    let (changed, names) = unpacking.finish(task)?;
    let mut outcome =
        Outcome::changed(changed).with("dest", dest).with("src", src).with("handler", format.handler());
    if changed && !task.check {
        outcome.set("extract_results", json!({"rc": 0, "out": "", "err": "", "cmd": []}));
    }
    if args.bool("list_files") {
        outcome.set("files", names);
    }
    Ok(outcome)
}

/// The archive as a file of this host.
fn locate(args: &Args, src: &str, scratch: &layer::Scratch, task: &mut Task<'_>) -> Result<PathBuf, Failure> {
    use super::copy_source as source;
    if let Some(bytes) = source(args, task)? {
        return Ok(scratch.write("archive", &bytes)?);
    }
    if src.contains("://") {
        return crate::http::download(task, src, (scratch, "archive"), args.bool("validate_certs"));
    }
    let path = PathBuf::from(src);
    if !path.exists() {
        return Err(Failure::new(format!("Source '{src}' does not exist")));
    }
    if path.is_dir() {
        return Err(Failure::new(format!("Source '{src}' is a directory, not an archive")));
    }
    Ok(path)
}
