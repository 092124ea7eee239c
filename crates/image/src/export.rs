//! Images as files that other programs take.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::error::{Doing, Error, Result};
use crate::oci;
use crate::pack::Packer;
use crate::store::{Image, Store};
use crate::tree::{Node, Tree};

/// What an image is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A directory in the OCI's layout.
    Oci,
    /// One file that `docker load`, `podman load` and `skopeo` (as oci-archive) take.
    Archive,
    /// A tar of the root file system; compressed as the name ends.
    Rootfs,
}

/// Writes it; what is there already is replaced only if it is a file.
pub fn export(store: &Store, image: &Image, format: Format, to: &Path, tag: &str) -> Result<()> {
    match format {
        Format::Oci => layout(store, image, to, tag),
        Format::Archive => {
            let file = File::create(to).at(to)?;
            archive(store, image, io::BufWriter::new(file), tag)?.flush().at(to)
        }
        Format::Rootfs => rootfs(store, image, to),
    }
}

fn index(image: &Image, manifest: usize, tag: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": oci::MANIFEST,
            "digest": image.digest,
            "size": manifest,
            "annotations": {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": reference(image, tag)},
        }],
    })
}

/// As Docker names images that come from no registry.
fn reference(image: &Image, tag: &str) -> String {
    format!("{}:{tag}", image.name)
}

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The manifest's bytes and the digest of the configuration.
pub(crate) fn manifest(store: &Store, image: &Image) -> Result<(Vec<u8>, String)> {
    let bytes = store.read_blob(&image.digest)?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::wrong(format!("the manifest of {}: {e}", image.short())))?;
    Ok((bytes, oci::digest_of(&value["config"])?))
}

fn layout(store: &Store, image: &Image, to: &Path, tag: &str) -> Result<()> {
    let blobs = to.join("blobs/sha256");
    if to.exists() && fs::read_dir(to).at(to)?.next().is_some() && !to.join("oci-layout").exists() {
        return Err(Error::wrong(format!("{} is not empty and no OCI layout", to.display())));
    }
    fs::create_dir_all(&blobs).at(&blobs)?;
    let (manifest, config) = manifest(store, image)?;
    let all = image
        .layers
        .iter()
        .map(|layer| layer.digest.as_str())
        .chain([image.digest.as_str(), config.as_str()]);
    for digest in all {
        let place = blobs.join(digest.trim_start_matches("sha256:"));
        if !place.exists() {
            fs::copy(store.blob(digest), &place).at(&place)?;
        }
    }
    fs::write(to.join("oci-layout"), LAYOUT).at(to)?;
    let mut index = index(image, manifest.len(), tag);
    // Other tags of the layout stay.
    if let Some(old) = store.read_json::<Value>(&to.join("index.json"))
        && let (Some(all), Some(old)) = (index["manifests"].as_array_mut(), old["manifests"].as_array())
    {
        let others = old.iter().filter(|one| one["annotations"]["org.opencontainers.image.ref.name"] != tag);
        all.extend(others.cloned());
    }
    let file = to.join("index.json");
    fs::write(&file, index.to_string()).at(&file)
}

fn archive<W: Write>(store: &Store, image: &Image, to: W, tag: &str) -> Result<W> {
    let (manifest, config) = manifest(store, image)?;
    let blob = |digest: &str| format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
    let layers: Vec<String> = image.layers.iter().map(|layer| blob(&layer.digest)).collect();
    let docker = json!([{"Config": blob(&config), "RepoTags": [reference(image, tag)], "Layers": layers}]);
    let root: Arc<Path> = Arc::from(store.root());
    let mut packer = Packer::new(to, image.epoch);
    packer.add(b"blobs", &Node::dir(&root, 0o755))?;
    packer.add(b"blobs/sha256", &Node::dir(&root, 0o755))?;
    let mut all: Vec<String> = layers;
    all.push(blob(&config));
    all.push(blob(&image.digest));
    all.sort();
    all.dedup();
    for path in all {
        let size = fs::metadata(root.join(&path)).at(&root.join(&path))?.len();
        packer.add(path.as_bytes(), &Node { size, content: None, ..Node::file(&root, 0o644, b"") })?;
    }
    let index = index(image, manifest.len(), tag).to_string();
    for (name, text) in [
        ("index.json", index.as_bytes()),
        ("manifest.json", docker.to_string().as_bytes()),
        ("oci-layout", LAYOUT),
    ] {
        packer.add(name.as_bytes(), &Node::file(&root, 0o644, text))?;
    }
    packer.finish().doing("writing the archive")
}

fn rootfs(store: &Store, image: &Image, to: &Path) -> Result<()> {
    let tree = Tree::scan(&store.rootfs(image)?)?;
    let file = File::create(to).at(to)?;
    match to.extension().and_then(|end| end.to_str()) {
        Some("gz" | "tgz") => {
            let gzip = GzEncoder::new(io::BufWriter::new(file), Compression::new(6));
            pack(&tree, gzip, image.epoch)?.finish().and_then(|mut file| file.flush()).at(to)
        }
        Some("zst") => {
            let mut child = Command::new("zstd")
                .args(["-q", "-T0", "-c"])
                .stdin(Stdio::piped())
                .stdout(file)
                .spawn()
                .doing("the program zstd")?;
            let input = child.stdin.take().ok_or_else(|| Error::wrong("zstd was started without a pipe"))?;
            drop(pack(&tree, io::BufWriter::new(input), image.epoch)?);
            let status = child.wait().doing("zstd")?;
            if status.success() { Ok(()) } else { Err(Error::wrong(format!("zstd ended with {status}"))) }
        }
        _ => pack(&tree, io::BufWriter::new(file), image.epoch)?.flush().at(to),
    }
}

fn pack<W: Write>(tree: &Tree, to: W, epoch: i64) -> Result<W> {
    let mut packer = Packer::new(to, epoch);
    for (path, node) in &tree.0 {
        packer.add(path, node)?;
    }
    packer.finish().doing("writing the root file system")
}
