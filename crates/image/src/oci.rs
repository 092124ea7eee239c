//! OCI image layouts: read as bases, written as exports.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config;
use crate::error::{Doing, Error, Result};
use crate::store::LayerRecord;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A directory with `oci-layout`, `index.json` and blobs.
pub(crate) struct Layout {
    dir: PathBuf,
    index: Value,
}

/// An image of a layout.
pub(crate) struct Found {
    pub(crate) digest: String,
    pub(crate) layers: Vec<LayerRecord>,
    pub(crate) config: Value,
}

/// `DIR[:TAG]`
pub(crate) fn split(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((dir, tag)) if !tag.contains('/') => (dir, Some(tag)),
        _ => (reference, None),
    }
}

impl Layout {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("index.json");
        let index = json_file(&file)?;
        Ok(Self { dir: dir.to_owned(), index })
    }

    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs").join(digest.replace(':', "/"))
    }

    /// The image of that tag, or the only one; of several machines' images this machine's.
    pub(crate) fn image(&self, tag: Option<&str>) -> Result<Found> {
        let shown = self.dir.display();
        let all = self.index["manifests"].as_array().cloned().unwrap_or_default();
        let name = |one: &Value| {
            one["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or_default().to_owned()
        };
        let named: Vec<&Value> = all.iter().filter(|one| tag.is_none_or(|tag| name(one) == tag)).collect();
        let chosen = match named.as_slice() {
            [one] => *one,
            [] => return Err(Error::wrong(format!("{shown} has no image `{}`", tag.unwrap_or("")))),
            _ => {
                let names: Vec<String> = all.iter().map(name).collect();
                return Err(Error::wrong(format!(
                    "{shown} has several images ({}); write oci:{shown}:TAG",
                    names.join(", ")
                )));
            }
        };
        let mut digest = digest_of(chosen)?;
        let mut manifest = json_file(&self.blob(&digest))?;
        if let Some(machines) = manifest["manifests"].as_array() {
            let fits = |one: &&Value| one["platform"]["architecture"] == config::architecture();
            let one = machines
                .iter()
                .find(fits)
                .ok_or_else(|| Error::wrong(format!("{shown} has no image for this machine")))?;
            digest = digest_of(one)?;
            manifest = json_file(&self.blob(&digest))?;
        }
        let config = json_file(&self.blob(&digest_of(&manifest["config"])?))?;
        Ok(Found { layers: layers(&manifest, &config)?, digest, config })
    }
}

pub(crate) fn layers(manifest: &Value, config: &Value) -> Result<Vec<LayerRecord>> {
    let diff_ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
    let made: Vec<&Value> =
        config["history"].as_array().into_iter().flatten().filter(|one| one["empty_layer"] != true).collect();
    let all = manifest["layers"].as_array().ok_or_else(|| Error::wrong("this is no manifest of an image"))?;
    let record = |(number, layer): (usize, &Value)| {
        Ok(LayerRecord {
            digest: digest_of(layer)?,
            diff_id: diff_ids.get(number).and_then(Value::as_str).unwrap_or_default().to_owned(),
            size: layer["size"].as_u64().unwrap_or(0),
            media_type: layer["mediaType"].as_str().unwrap_or(LAYER).to_owned(),
            made_by: made.get(number).and_then(|one| one["created_by"].as_str()).unwrap_or("base").to_owned(),
        })
    };
    all.iter().enumerate().map(record).collect()
}

/// A digest names a file: nothing else may be in it.
pub(crate) fn digest_of(value: &Value) -> Result<String> {
    let digest = value["digest"].as_str().unwrap_or_default();
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digest.to_owned());
    }
    Err(Error::wrong(format!("`{digest}` is no SHA-256 digest")))
}

fn json_file(path: &Path) -> Result<Value> {
    serde_json::from_slice(&fs::read(path).at(path)?)
        .map_err(|e| Error::wrong(format!("{}: {e}", path.display())))
}

pub(crate) fn manifest(config: (&str, usize), layers: &[LayerRecord], annotations: &Value) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| json!({"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}))
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config.0, "size": config.1},
        "layers": layers,
        "annotations": annotations,
    })
}
