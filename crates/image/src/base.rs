//! What a bake starts from: a directory, an archive, an OCI image, a fresh Debian, packages of
//! this machine, another image of ours; unpacked
//! once into the store and known by its digest.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clean;
use crate::digest::Hashing;
use crate::error::{Doing, Error, Result};
use crate::installed;
use crate::oci::{self, Layout};
use crate::pack::Packer;
use crate::registry::{self, Reference};
use crate::sandbox;
use crate::store::{Image, LayerRecord, Store};
use crate::tree::{self, Tree};
use crate::unpack;

/// A base that is in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Base {
    pub digest: String,
    /// As it was asked for.
    pub name: String,
    /// No time in images made from it is later, unless the definition says so.
    pub epoch: i64,
    /// Of an image: its own layers, which go into new images as they are. Empty: one is made of the directory.
    pub layers: Vec<LayerRecord>,
    pub config: Value,
    #[serde(skip)]
    pub rootfs: PathBuf,
}

impl Base {
    /// Finds what `name` says; relative paths are relative to `project`. `say` tells what takes long.
    pub fn find(store: &Store, name: &str, project: &Path, fresh: bool, say: &dyn Fn(&str)) -> Result<Self> {
        if let Some(image) = name.strip_prefix("image:") {
            return of_image(store, &store.resolve(image)?, name);
        }
        if let Some(suite) = name.strip_prefix("debootstrap:") {
            return debootstrap(store, suite, name, fresh, say);
        }
        if let Some(packages) = name.strip_prefix("installed:") {
            return of_packages(store, packages, name, fresh, say);
        }
        if let Some(reference) = name.strip_prefix("oci:") {
            let (dir, tag) = oci::split(reference);
            let layout = Layout::open(&project.join(dir))?;
            return of_layout(store, &layout, tag, name, say);
        }
        if name.starts_with("docker://") {
            return of_registry(store, name, fresh, say);
        }
        let path = project.join(name);
        let meta = fs::metadata(&path).at(&path)?;
        if !meta.is_dir() {
            return of_archive(store, &path, name, say);
        }
        if path.join("oci-layout").exists() {
            return of_layout(store, &Layout::open(&path)?, None, name, say);
        }
        of_directory(store, &path, name, say)
    }

    /// The files of a living server, in an archive with its own record. `undo` takes back what came after the wanted
    /// generation, in a sandbox of those files.
    pub fn of_host<F>(store: &Store, archive: &Path, name: &str, undo: Option<F>) -> Result<Self>
    where
        F: FnOnce(&lab::Sandbox) -> std::result::Result<(), String>,
    {
        let dir = store.path("work").join(format!("host.{}", std::process::id()));
        let rootfs = dir.join("rootfs");
        fs::create_dir_all(&rootfs).at(&rootfs)?;
        fs::set_permissions(&rootfs, fs::Permissions::from_mode(0o755)).at(&rootfs)?;
        unpack::unpack(unpack::reader(archive)?, &rootfs)?;
        let mut tree = Tree::scan(&rootfs)?;
        if let Some(undo) = undo {
            let sandbox = sandbox::alone(store, &rootfs, &dir)?;
            undo(&sandbox).map_err(|why| {
                Error::wrong(format!("{name}: what came later cannot be taken back: {why}"))
            })?;
            tree.apply(&dir.join("upper"))?;
        }
        tree.0.retain(|path, _| !clean::is_of_a_host(path));
        let base = of_tree(store, &tree, None, name)?;
        fs::remove_dir_all(&dir).at(&dir)?;
        Ok(base)
    }

    fn place(store: &Store, digest: &str) -> PathBuf {
        store.path("bases").join(digest.trim_start_matches("sha256:"))
    }

    fn known(store: &Store, digest: &str, name: &str) -> Option<Self> {
        let place = Self::place(store, digest);
        let base: Self = store.read_json(&place.join("base.json"))?;
        Some(Self { rootfs: place.join("rootfs"), name: name.to_owned(), ..base })
    }

    /// Gives what was unpacked in `beside` its place.
    fn keep(mut self, store: &Store, beside: &Path) -> Result<Self> {
        let place = Self::place(store, &self.digest);
        let file = beside.join("base.json");
        fs::write(&file, serde_json::to_vec_pretty(&self).unwrap_or_default()).at(&file)?;
        let here = fs::File::open(beside).at(beside)?;
        rustix::fs::syncfs(&here).at(beside)?;
        if place.exists() {
            store.discard(&place)?;
        }
        fs::rename(beside, &place).at(&place)?;
        self.rootfs = place.join("rootfs");
        Ok(self)
    }
}

/// An empty directory in the store's workshop with `rootfs` in it.
fn workshop(store: &Store, like: Option<&fs::Metadata>) -> Result<PathBuf> {
    let beside = store.path("work").join(format!("base.{}", std::process::id()));
    let _ = fs::remove_dir_all(&beside);
    let rootfs = beside.join("rootfs");
    fs::create_dir_all(&rootfs).at(&rootfs)?;
    let mode = like.map_or(0o755, |meta| meta.mode() & 0o7777);
    fs::set_permissions(&rootfs, fs::Permissions::from_mode(mode)).at(&rootfs)?;
    Ok(beside)
}

/// A directory is read again only if something in it has changed since.
fn of_directory(store: &Store, dir: &Path, name: &str, say: &dyn Fn(&str)) -> Result<Base> {
    let dir = fs::canonicalize(dir).at(dir)?;
    if dir.join("usr").symlink_metadata().is_err() && dir.join("bin").symlink_metadata().is_err() {
        return Err(Error::wrong(format!(
            "{} is no root file system: it has neither /usr nor /bin",
            dir.display()
        )));
    }
    let note = store.path("sources").join(format!("{}.json", crate::chain::key(&[&dir.to_string_lossy()])));
    let mark = fingerprint(&dir)?;
    if let Some((old, digest)) = store.read_json::<(String, String)>(&note)
        && old == mark
        && let Some(base) = Base::known(store, &digest, name)
    {
        return Ok(base);
    }
    say(&format!("reading the base {name}"));
    let mut tree = Tree::scan(&dir)?;
    tree.0.retain(|path, _| !clean::is_of_a_host(path));
    let base = of_tree(store, &tree, Some(&fs::metadata(&dir).at(&dir)?), name)?;
    store.write_json(&note, &(mark, base.digest.clone()))?;
    Ok(base)
}

fn of_tree(store: &Store, tree: &Tree, like: Option<&fs::Metadata>, name: &str) -> Result<Base> {
    let beside = workshop(store, like)?;
    let digest = copy(tree, &beside.join("rootfs"))?;
    if let Some(base) = Base::known(store, &digest, name) {
        return Ok(base);
    }
    let base = Base {
        digest,
        name: name.to_owned(),
        epoch: tree.newest(),
        layers: Vec::new(),
        config: Value::Null,
        rootfs: PathBuf::new(),
    };
    base.keep(store, &beside)
}

/// Read again when this machine's packages have changed since.
fn of_packages(store: &Store, packages: &str, name: &str, fresh: bool, say: &dyn Fn(&str)) -> Result<Base> {
    let note = store.path("sources").join(format!("{}.json", crate::chain::key(&["installed", packages])));
    let mark = installed::mark();
    if let Some((old, digest)) = store.read_json::<(String, String)>(&note).filter(|_| !fresh)
        && old == mark
        && let Some(base) = Base::known(store, &digest, name)
    {
        return Ok(base);
    }
    say(&format!("copying the base {name}"));
    let base = of_tree(store, &installed::tree(packages)?, None, name)?;
    store.write_json(&note, &(mark, base.digest.clone()))?;
    Ok(base)
}

/// Packs a tree into a pipe, from which it is unpacked: the digest of the archive is that of the tree.
fn copy(tree: &Tree, to: &Path) -> Result<String> {
    let (read, write) = io::pipe().doing("a pipe")?;
    std::thread::scope(|scope| {
        let unpacking = scope.spawn(|| {
            let mut read = read;
            let done = unpack::unpack(&mut read, to);
            // The end of an archive is not the end of the pipe.
            let _ = io::copy(&mut read, &mut io::sink());
            done
        });
        let mut packer = Packer::new(Hashing::new(io::BufWriter::with_capacity(1 << 16, write)), i64::MAX);
        for (path, node) in &tree.0 {
            packer.add(path, node)?;
        }
        let (writer, digest, _) = packer.finish().doing("packing the base")?.finish();
        drop(writer);
        unpacking.join().map_err(|_| Error::wrong("unpacking the base failed"))??;
        Ok(digest)
    })
}

/// Changes if anything in the directory changes: names, sizes, times, numbers of files.
fn fingerprint(dir: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut waiting = vec![Vec::new()];
    while let Some(below) = waiting.pop() {
        let place = dir.join(OsStr::from_bytes(&below));
        let open =
            rustix::fs::open(&place, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let open = open.at(&place)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&open).at(&place)? {
            names.push(entry.at(&place)?.file_name().to_owned());
        }
        names.retain(|name| !matches!(name.to_bytes(), b"." | b".."));
        names.sort();
        for name in names {
            let path = tree::join(&below, name.to_bytes());
            if clean::is_of_a_host(&path) {
                continue;
            }
            // By its name in the open directory: most of a bake that has little to do is this walk.
            let Ok(meta) = rustix::fs::statat(&open, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            hasher.update(&path);
            for number in [
                meta.st_ino,
                meta.st_size.cast_unsigned(),
                meta.st_ctime.cast_unsigned(),
                meta.st_ctime_nsec,
                meta.st_mtime.cast_unsigned(),
            ] {
                hasher.update(&number.to_le_bytes());
            }
            if FileType::from_raw_mode(meta.st_mode) == FileType::Directory {
                waiting.push(path);
            }
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A root file system, or an image in one file (`docker save`, `skopeo copy … oci-archive:`).
fn of_archive(store: &Store, path: &Path, name: &str, say: &dyn Fn(&str)) -> Result<Base> {
    let meta = fs::metadata(path).at(path)?;
    let path_text = fs::canonicalize(path).at(path)?.display().to_string();
    let mark = format!("{} {} {} {}", meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec());
    let note = store.path("sources").join(format!("{}.json", crate::chain::key(&[&path_text])));
    if let Some((old, digest)) = store.read_json::<(String, String)>(&note)
        && old == mark
        && let Some(base) = Base::known(store, &digest, name)
    {
        return Ok(base);
    }
    say(&format!("unpacking the base {name}"));
    let rootfs = store.path("work").join(format!("archive.{}", std::process::id()));
    let _ = fs::remove_dir_all(&rootfs);
    fs::create_dir_all(&rootfs).at(&rootfs)?;
    fs::set_permissions(&rootfs, fs::Permissions::from_mode(0o755)).at(&rootfs)?;
    unpack::unpack(unpack::reader(path)?, &rootfs)?;
    let base = if rootfs.join("oci-layout").exists() {
        of_layout(store, &Layout::open(&rootfs)?, None, name, &|_| ())?
    } else if rootfs.join("manifest.json").exists() && !rootfs.join("usr").exists() {
        return Err(Error::wrong(format!(
            "{name} is an archive of an older Docker; convert it: skopeo copy docker-archive:{name} oci-archive:new.tar"
        )));
    } else {
        of_directory(store, &rootfs, name, &|_| ())?
    };
    fs::remove_dir_all(&rootfs).at(&rootfs)?;
    store.write_json(&note, &(mark, base.digest.clone()))?;
    Ok(base)
}

fn of_layout(
    store: &Store,
    layout: &Layout,
    tag: Option<&str>,
    name: &str,
    say: &dyn Fn(&str),
) -> Result<Base> {
    let found = layout.image(tag)?;
    if let Some(base) = Base::known(store, &found.digest, name) {
        return Ok(base);
    }
    say(&format!("unpacking the base {name}"));
    for layer in &found.layers {
        let (from, to) = (layout.blob(&layer.digest), store.blob(&layer.digest));
        if !to.exists() {
            let (beside, mut file) = store.scratch("blob")?;
            let mut source = fs::File::open(&from).at(&from)?;
            let mut hashing = Hashing::new(&mut file);
            io::copy(&mut source, &mut hashing).at(&from)?;
            let (_, digest, _) = hashing.finish();
            if digest != layer.digest {
                return Err(Error::wrong(format!(
                    "{}: its content is {digest}: it is damaged",
                    from.display()
                )));
            }
            fs::rename(&beside, &to).at(&to)?;
        }
    }
    unpacked(store, &found.digest, found.layers, found.config, name)
}

fn unpacked(
    store: &Store,
    digest: &str,
    layers: Vec<LayerRecord>,
    config: Value,
    name: &str,
) -> Result<Base> {
    let beside = workshop(store, None)?;
    let rootfs = beside.join("rootfs");
    for layer in &layers {
        unpack::unpack(unpack::reader(&store.blob(&layer.digest))?, &rootfs)?;
    }
    let epoch = Tree::scan(&rootfs)?.newest();
    let base = Base {
        digest: digest.to_owned(),
        name: name.to_owned(),
        epoch,
        layers,
        config,
        rootfs: PathBuf::new(),
    };
    base.keep(store, &beside)
}

/// A tag is looked up once, and again only when asked for.
fn of_registry(store: &Store, name: &str, fresh: bool, say: &dyn Fn(&str)) -> Result<Base> {
    let reference = Reference::parse(name)?;
    let note = store.path("sources").join(format!("{}.json", crate::chain::key(&[name])));
    if let Some(digest) = store.read_json::<String>(&note).filter(|_| !fresh)
        && let Some(base) = Base::known(store, &digest, name)
    {
        return Ok(base);
    }
    let client = registry::Client::new(&reference);
    let resolved = registry::resolve(&client, &reference)?;
    let digest = resolved.0.clone();
    let base = match Base::known(store, &digest, name) {
        Some(base) => base,
        None => {
            let found = registry::fetch(store, &client, &reference, resolved, say)?;
            say(&format!("unpacking the base {name}"));
            unpacked(store, &found.digest, found.layers, found.config, name)?
        }
    };
    store.write_json(&note, &digest)?;
    Ok(base)
}

fn of_image(store: &Store, image: &Image, name: &str) -> Result<Base> {
    if let Some(base) = Base::known(store, &image.digest, name) {
        return Ok(base);
    }
    let manifest: Value =
        serde_json::from_slice(&store.read_blob(&image.digest)?).map_err(|e| Error::wrong(e.to_string()))?;
    let config = manifest["config"]["digest"].as_str().unwrap_or_default();
    let config =
        serde_json::from_slice(&store.read_blob(config)?).map_err(|e| Error::wrong(e.to_string()))?;
    unpacked(store, &image.digest, image.layers.clone(), config, name)
}

/// `SUITE[,package…][@MIRROR]`: made once, and again only when asked for.
fn debootstrap(store: &Store, wanted: &str, name: &str, fresh: bool, say: &dyn Fn(&str)) -> Result<Base> {
    let note = store.path("sources").join(format!("{}.json", crate::chain::key(&["debootstrap", wanted])));
    if let Some(digest) = store.read_json::<String>(&note).filter(|_| !fresh)
        && let Some(base) = Base::known(store, &digest, name)
    {
        return Ok(base);
    }
    let (what, mirror) = wanted.split_once('@').map_or((wanted, None), |(what, mirror)| (what, Some(mirror)));
    let (suite, packages) = what.split_once(',').unwrap_or((what, ""));
    // Nothing of it is to be taken for an option: debootstrap knows no `--`.
    let option = |part: &str| part.starts_with('-');
    if suite.is_empty() || option(suite) || option(packages) || mirror.is_some_and(option) {
        return Err(Error::wrong(format!(
            "`{name}`: write debootstrap:SUITE, for instance debootstrap:bookworm"
        )));
    }
    say(&format!("making the base {name}: a minute or two"));
    let dir = store.path("work").join(format!("debootstrap.{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    let mut command = Command::new("debootstrap");
    command.arg("--variant=minbase");
    if !packages.is_empty() {
        command.arg(format!("--include={packages}"));
    }
    command.arg(suite).arg(&dir).args(mirror).env("DEBIAN_FRONTEND", "noninteractive");
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing("the program debootstrap (Debian's package debootstrap)")?;
    if !output.status.success() {
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let last =
            said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("without a word").to_owned();
        return Err(Error::wrong(format!("debootstrap {suite} ended with {}: {last}", output.status)));
    }
    // It takes them over from this machine.
    for own in ["etc/hostname", "etc/resolv.conf"] {
        let _ = fs::remove_file(dir.join(own));
    }
    let base = of_directory(store, &dir, name, &|_| ())?;
    fs::remove_dir_all(&dir).at(&dir)?;
    store.write_json(&note, &base.digest)?;
    Ok(base)
}
