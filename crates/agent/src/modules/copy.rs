//! `copy`: a content from the controller (by digest), or files of the host itself (`remote_src`).

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, Kind, ModuleSpec};

use crate::fileargs::{FileArgs, Mode};
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};

mod place;
mod tree;

use place::{Placed, Placing, Source};

const ARGS: &[Arg] = &[
    Arg::path("src"),
    Arg::raw("content").no_log().controller_only(),
    Arg::path("dest").required(),
    Arg::bool("backup").default("false"),
    Arg::bool("force").default("true"),
    Arg::str("validate"),
    Arg::raw("directory_mode"),
    Arg::bool("remote_src").default("false"),
    Arg::bool("follow").default("false"),
    Arg::bool("local_follow").default("true"),
    Arg::str("checksum"),
    Arg::bool("decrypt").default("true").controller_only(),
    // From the controller: what to write.
    Arg::str("_original_basename"),
    Arg::str("_content"),
    Arg::str("_inline"),
    Arg::int("_size"),
    Arg::new("_tree", Kind::List(&Kind::Dict)),
    Arg::bool("_source_slash").default("true"),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("copy", ARGS).file_args(), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let placing = Placing {
        files: FileArgs::read(args)?,
        directory_mode: args.get("directory_mode").map(Mode::read).transpose()?.flatten(),
        backup: args.bool("backup"),
        force: args.bool("force"),
        follow: args.bool("follow"),
        local_follow: args.bool("local_follow"),
        validate: args.str("validate").map(str::to_owned),
        // What the controller sends is checked by its digest; the argument is about files of the host.
        checksum: args.str("checksum").filter(|_| args.bool("remote_src")).map(str::to_owned),
    };
    let dest = args.string("dest");
    if let Some(entries) = args.list("_tree") {
        return tree::from_controller(&placing, entries, args, task);
    }
    if args.bool("remote_src") {
        let src = args.string("src");
        let path = Path::new(&src);
        if src.is_empty() || !path.exists() {
            return Err(Failure::new(format!("Source {src} not found")));
        }
        if path.is_dir() {
            return tree::on_the_host(&placing, &src, &dest, task);
        }
        if !path.is_file() {
            return Err(Failure::new(format!("Cannot copy invalid source '{src}': not a file")));
        }
        let source = Source::File(path.to_owned());
        return one(
            &placing,
            &source,
            &src,
            &dest,
            path.file_name().map(|n| n.to_string_lossy().into_owned()),
            task,
        );
    }
    let source = Source::of(args.str("_content"), args.str("_inline"), args.int("_size"))?
        .ok_or("copy needs `src` or `content`; the controller sent neither")?;
    let src = args.str("src").or(args.str("_original_basename")).unwrap_or_default().to_owned();
    one(&placing, &source, &src, &dest, args.str("_original_basename").map(str::to_owned), task)
}

/// What the controller sent along.
pub(super) fn sent(args: &Args, task: &Task<'_>) -> Result<Option<Vec<u8>>, Failure> {
    let source = Source::of(args.str("_content"), args.str("_inline"), args.int("_size"))?;
    source.map(|source| source.bytes(task).map(|bytes| bytes.to_vec())).transpose()
}

/// Where a path is, also a relative one.
fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}

fn one(
    placing: &Placing,
    source: &Source,
    src: &str,
    dest: &str,
    name: Option<String>,
    task: &mut Task<'_>,
) -> Result<Outcome, Failure> {
    let mut path = PathBuf::from(dest);
    let name = name.as_deref().and_then(|n| n.rsplit('/').next()).filter(|n| !n.is_empty());
    let mut made_dirs = false;
    if dest.ends_with('/') || path.is_dir() {
        if !path.exists() {
            made_dirs = !files::make_dirs(task, &path, &placing.for_directories())?.is_empty();
        }
        path.push(name.ok_or_else(|| Failure::new(format!("can not use content with a dir as dest: {dest}")))?);
    }
    let parent = folder_of(&path);
    if !parent.exists() && (!made_dirs || !task.check) {
        let message = format!("Destination directory {} does not exist", parent.display());
        return Err(Failure::new(message).with_checksum(source, task));
    }
    let shown = path.to_string_lossy().into_owned();
    let Placed { changed, content_changed, backup, diffs, checksum, md5 } =
        placing.place(source, &path, task)?;
    let mut outcome = Outcome::changed(changed || made_dirs).with("dest", shown.as_str());
    if !src.is_empty() {
        outcome.set("src", src);
    }
    if !content_changed && checksum.is_some() {
        outcome.set("path", shown);
    }
    if !placing.force && !content_changed && checksum.is_none() {
        outcome.set("msg", "file already exists");
    }
    outcome =
        outcome.with_some("checksum", checksum).with_some("md5sum", md5).with_some("backup_file", backup);
    // A diff of contents is a list in Ansible's results, one of attributes is not.
    outcome.diff = if content_changed && task.diff { vec![diffs.into()] } else { diffs };
    if !task.diff && !matches!(source, Source::File(_)) {
        outcome.set("diff", Vec::<Json>::new());
    }
    Ok(outcome)
}

impl Failure {
    fn with_checksum(self, source: &Source, task: &Task<'_>) -> Self {
        match source.bytes(task) {
            Ok(bytes) => self.with("checksum", files::sha1_of(&bytes)),
            Err(_) => self,
        }
    }
}
