//! Where images are kept: contents by digest, what they were made of, and the pointers that name them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chain::Step;
use crate::error::{Doing, Error, Result};
use crate::{digest, unpack};

/// Where an instance of an image finds what it is.
pub(crate) const RECORD: &str = "usr/share/theseus/image.json";

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Of the compressed archive: its name among the blobs.
    pub digest: String,
    pub diff_id: String,
    pub size: u64,
    pub media_type: String,
    /// In words: the role or play.
    pub made_by: String,
}

/// An image that was baked or pulled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub name: String,
    /// Of the manifest.
    pub digest: String,
    /// Which state of its files this is: also told by every instance.
    pub generation: String,
    /// What it was baked on, in words.
    pub base: String,
    /// When it was baked, by this machine's clock.
    pub created: String,
    /// No time in the image is later: seconds.
    pub epoch: i64,
    pub labels: BTreeMap<String, String>,
    /// Compressed.
    pub size: u64,
    pub layers: Vec<LayerRecord>,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub(crate) base_digest: String,
    /// The keys of its layers in the cache.
    #[serde(default)]
    pub(crate) chain: Vec<String>,
    /// When a test passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<String>,
}

impl Image {
    /// `name@` and the beginning of the digest.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}@{}", self.name, &self.digest.trim_start_matches("sha256:")[..12])
    }
}

/// A name for a digest that may move: where it points, and where it pointed before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Newest last.
    pub history: Vec<Pointed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointed {
    pub digest: String,
    pub at: String,
    pub by: String,
}

impl Pointer {
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.history.last().map(|last| last.digest.as_str())
    }
}

/// What an instance tells of itself: the record in its own root. `None`: it was made from no image of ours.
pub fn instance(root: &Path) -> Option<(String, String)> {
    let record: Value = serde_json::from_slice(&fs::read(root.join(RECORD)).ok()?).ok()?;
    Some((record["name"].as_str()?.to_owned(), record["generation"].as_str()?.to_owned()))
}

/// By this machine's clock; sorted as text it is sorted by time.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Held while something is baked or removed: one at a time.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "the lock goes with the file")] File);

impl Store {
    /// Opens it, and makes it if it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let store = Self { root: root.into() };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for name in [
            "blobs/sha256",
            "bases",
            "sources",
            "steps",
            "layers",
            "tars",
            "images",
            "pointers",
            "rootfs",
            "agent",
            "packages",
            "partial",
            "scans",
            "signatures",
            "uploads",
            "work",
        ] {
            let dir = store.root.join(name);
            builder.create(&dir).at(&dir)?;
        }
        store.scaffold()?;
        Ok(store)
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// What a sandbox needs to find below everything else; none of it gets into an image.
    fn scaffold(&self) -> Result<()> {
        let root = self.scaffold_dir();
        let done = root.join("etc/resolv.conf");
        if done.exists() {
            return Ok(());
        }
        let dirs = [
            "proc",
            "sys",
            "dev",
            "run",
            "tmp",
            "root",
            "etc/apt/apt.conf.d",
            "etc/dpkg/dpkg.cfg.d",
            "usr/sbin",
            "var/cache/apt/archives",
        ];
        for dir in dirs {
            fs::create_dir_all(root.join(dir)).at(&root)?;
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).at(&root)?;
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).at(&root)?;
        let files = [
            (
                "usr/sbin/policy-rc.d",
                "#!/bin/sh\n# No service is started while an image is baked.\nexit 101\n",
                0o755,
            ),
            (
                "etc/apt/apt.conf.d/99theseus-bake",
                "APT::Keep-Downloaded-Packages \"true\";\nAPT::Sandbox::User \"root\";\n",
                0o644,
            ),
            ("etc/dpkg/dpkg.cfg.d/theseus-bake", "force-unsafe-io\n", 0o644),
            ("etc/resolv.conf", "", 0o644),
        ];
        for (name, text, mode) in files {
            let place = root.join(name);
            fs::write(&place, text).at(&place)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).at(&place)?;
        }
        Ok(())
    }

    pub(crate) fn scaffold_dir(&self) -> PathBuf {
        self.path("scaffold")
    }

    /// Waits for whoever else bakes here; `waiting` is called if somebody does.
    pub fn turn(&self, waiting: impl FnOnce()) -> Result<Turn> {
        let path = self.path("lock");
        let file = File::options().create(true).append(true).open(&path).at(&path)?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            waiting();
            rustix::fs::flock(&file, FlockOperation::LockExclusive).at(&path)?;
        }
        // What a killed bake left.
        let work = self.path("work");
        for entry in fs::read_dir(&work).at(&work)?.flatten() {
            let path = entry.path();
            let is_dir = entry.file_type().at(&path)?.is_dir();
            if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.at(&path)?;
        }
        Ok(Turn(file))
    }

    // Blobs.

    pub fn blob(&self, digest: &str) -> PathBuf {
        self.path("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// Whether a layer's content is there; a loss of power may have left less of it.
    pub(crate) fn has_layer(&self, layer: &LayerRecord) -> bool {
        fs::metadata(self.blob(&layer.digest)).is_ok_and(|found| found.len() == layer.size)
    }

    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<String> {
        let digest = self.note_blob(bytes)?;
        secure(&[self.blob(&digest)])?;
        Ok(digest)
    }

    /// Not for long, until it is secured.
    pub(crate) fn note_blob(&self, bytes: &[u8]) -> Result<String> {
        let digest = digest::of(bytes);
        let place = self.blob(&digest);
        if !fs::metadata(&place).is_ok_and(|found| found.len() == bytes.len() as u64) {
            self.note(&place, bytes)?;
        }
        Ok(digest)
    }

    pub(crate) fn read_blob(&self, digest: &str) -> Result<Vec<u8>> {
        let place = self.blob(digest);
        fs::read(&place).at(&place)
    }

    /// A new file that gets its name later, or none: what is left of it goes when the next one has its turn.
    pub fn scratch(&self, name: &str) -> Result<(PathBuf, File)> {
        let place = self.path("work").join(format!("{name}.{}", std::process::id()));
        let file = File::create(&place).at(&place)?;
        Ok((place, file))
    }

    /// Written wholly or not at all.
    pub(crate) fn write(&self, place: &Path, bytes: &[u8]) -> Result<()> {
        let (beside, mut file) = self.scratch(&place.file_name().unwrap_or_default().to_string_lossy())?;
        file.write_all(bytes).and_then(|()| file.sync_data()).at(&beside)?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).at(parent)?;
        }
        fs::rename(&beside, place).at(place)
    }

    /// The same for what is worth no waiting: after a loss of power it may be damaged or gone.
    pub(crate) fn note(&self, place: &Path, bytes: &[u8]) -> Result<()> {
        let (beside, mut file) = self.scratch(&place.file_name().unwrap_or_default().to_string_lossy())?;
        file.write_all(bytes).at(&beside)?;
        fs::rename(&beside, place).at(place)
    }

    pub(crate) fn note_json(&self, place: &Path, value: &impl Serialize) -> Result<()> {
        self.note(place, &serde_json::to_vec(value).map_err(|e| Error::wrong(e.to_string()))?)
    }

    pub(crate) fn write_json(&self, place: &Path, value: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::wrong(e.to_string()))?;
        self.write(place, &bytes)
    }

    /// What is damaged is as if it were not there.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, place: &Path) -> Option<T> {
        serde_json::from_slice(&fs::read(place).ok()?).ok()
    }

    /// Takes a directory away: from now on none of it is found, wherever this is interrupted.
    pub(crate) fn discard(&self, place: &Path) -> Result<()> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path("work").join(format!("{name}.{}.gone", std::process::id()));
        fs::rename(place, &beside).at(place)?;
        fs::remove_dir_all(&beside).at(&beside)
    }

    // Images.

    pub(crate) fn image_file(&self, name: &str, digest: &str) -> PathBuf {
        self.path("images").join(name).join(format!("{}.json", digest.trim_start_matches("sha256:")))
    }

    pub fn save(&self, image: &Image) -> Result<()> {
        self.write_json(&self.image_file(&image.name, &image.digest), image)
    }

    /// All images, by name, the newest of each first.
    pub fn list(&self) -> Result<Vec<Image>> {
        let mut all: Vec<Image> = Vec::new();
        let images = self.path("images");
        for name in fs::read_dir(&images).at(&images)?.flatten() {
            for file in fs::read_dir(name.path()).at(&name.path())?.flatten() {
                all.extend(self.read_json::<Image>(&file.path()));
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name).then(b.created.cmp(&a.created)));
        Ok(all)
    }

    pub fn pointers(&self, name: &str) -> BTreeMap<String, Pointer> {
        self.read_json(&self.path("pointers").join(format!("{name}.json"))).unwrap_or_default()
    }

    /// `NAME` (the newest), `NAME@production`, `NAME@sha256:…` or the digest's beginning, with or without a name.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        let all = self.list()?;
        let (name, which) = match text.split_once('@') {
            Some((name, which)) => (Some(name), Some(which)),
            None if text.starts_with("sha256:") => (None, Some(text)),
            None => (Some(text), None),
        };
        let mine: Vec<&Image> =
            all.iter().filter(|image| name.is_none_or(|name| image.name == name)).collect();
        let found: Vec<&Image> = match which {
            None => mine.first().copied().into_iter().collect(),
            Some(which) => {
                let pointers = name.map(|name| self.pointers(name)).unwrap_or_default();
                let wanted = pointers
                    .get(which)
                    .and_then(Pointer::digest)
                    .unwrap_or(which)
                    .trim_start_matches("sha256:")
                    .to_owned();
                let is = |image: &&Image| {
                    !wanted.is_empty() && image.digest.trim_start_matches("sha256:").starts_with(&wanted)
                };
                mine.into_iter().filter(is).collect()
            }
        };
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Error::wrong(missing(text, &all))),
            [first, rest @ ..] if rest.iter().all(|one| one.digest == first.digest) => Ok((*first).clone()),
            many => Err(Error::wrong(format!(
                "`{text}` is the beginning of {} digests; write more of it",
                many.len()
            ))),
        }
    }

    /// Moves a pointer; the one before stays in its history.
    pub fn promote(&self, image: &Image, pointer: &str, by: &str) -> Result<Option<String>> {
        let mut all = self.pointers(&image.name);
        let moved = all.entry(pointer.to_owned()).or_default();
        let before = moved.digest().map(str::to_owned);
        if before.as_deref() != Some(&image.digest) {
            let at = jiff::Timestamp::now().to_string();
            moved.history.push(Pointed { digest: image.digest.clone(), at, by: by.to_owned() });
            self.write_json(&self.path("pointers").join(format!("{}.json", image.name)), &all)?;
        }
        Ok(before)
    }

    /// Forgets an image that no pointer names now.
    pub fn remove(&self, image: &Image) -> Result<()> {
        let pointers = self.pointers(&image.name);
        let held: Vec<&str> = pointers
            .iter()
            .filter(|(_, one)| one.digest() == Some(&image.digest))
            .map(|(name, _)| name.as_str())
            .collect();
        if !held.is_empty() {
            return Err(Error::wrong(format!(
                "{} is what `{}` points to; promote another one first",
                image.short(),
                held.join("` and `")
            )));
        }
        let file = self.image_file(&image.name, &image.digest);
        fs::remove_file(&file).at(&file)
    }

    /// The image's root file system as a directory, unpacked once. Nobody may write into it: use it as the lower
    /// layer of an overlay (as the lab does with its base).
    pub fn rootfs(&self, image: &Image) -> Result<PathBuf> {
        let place = self.path("rootfs").join(image.digest.trim_start_matches("sha256:"));
        if place.exists() {
            return Ok(place);
        }
        let beside = self.path("work").join(format!("rootfs.{}", std::process::id()));
        let _ = fs::remove_dir_all(&beside);
        fs::create_dir_all(&beside).at(&beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).at(&beside)?;
        for layer in &image.layers {
            unpack::unpack(unpack::reader(&self.blob(&layer.digest))?, &beside)?;
        }
        match fs::rename(&beside, &place) {
            // Somebody else was quicker.
            Err(_) if place.exists() => fs::remove_dir_all(&beside).at(&beside)?,
            done => done.at(&place)?,
        }
        Ok(place)
    }
}

fn missing(text: &str, all: &[Image]) -> String {
    let mut names: Vec<&str> = all.iter().map(|image| image.name.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [] => format!("there is no image `{text}`: nothing was baked yet (`theseus bake NAME`)"),
        _ => format!("there is no image `{text}`; there are: {} (`theseus image list`)", names.join(", ")),
    }
}

/// Brings these to the disk, at once, so that they share its turns.
pub(crate) fn secure(files: &[PathBuf]) -> Result<()> {
    let one = |file: &PathBuf| File::open(file).and_then(|file| file.sync_all()).at(file);
    std::thread::scope(|scope| {
        let share = files.len().div_ceil(AT_ONCE).max(1);
        let waiting: Vec<_> =
            files.chunks(share).map(|files| scope.spawn(move || files.iter().try_for_each(one))).collect();
        waiting.into_iter().try_for_each(|one| {
            one.join().map_err(|_| Error::wrong("bringing contents to the disk failed"))?
        })
    })
}

const AT_ONCE: usize = 8;
