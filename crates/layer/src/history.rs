//! Reading what was done on this host, without the controller.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};
use crate::record::{FORMAT, Layer};

/// The newest generation; 0 on a host that was never changed.
pub fn head(state_dir: &Path) -> Result<u64> {
    let path = state_dir.join("head");
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::Damaged { path, reason: format!("`{}` is no generation", text.trim()) }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e).at("read", &path),
    }
}

/// Every generation that has a record, oldest first.
pub fn generations(state_dir: &Path) -> Result<Vec<u64>> {
    let path = state_dir.join("layers");
    let entries = match std::fs::read_dir(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", &path)?,
    };
    let mut all: Vec<u64> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
        .collect();
    all.sort_unstable();
    Ok(all)
}

pub fn read(state_dir: &Path, generation: u64) -> Result<Layer> {
    let path = layer_path(state_dir, generation);
    let bytes = std::fs::read(&path).at("read", &path)?;
    let layer: Layer = serde_json::from_slice(&bytes)
        .map_err(|e| Error::Damaged { path: path.clone(), reason: e.to_string() })?;
    if layer.format > FORMAT {
        let reason = format!(
            "it was written by a newer program (format {}, this one reads up to {FORMAT})",
            layer.format
        );
        return Err(Error::Damaged { path, reason });
    }
    Ok(layer)
}

pub(crate) fn layer_path(state_dir: &Path, generation: u64) -> PathBuf {
    state_dir.join("layers").join(format!("{generation:06}.json"))
}

/// Write a layer and make it the head: each file is whole or not there, and the head never names a missing layer.
pub(crate) fn append(state_dir: &Path, layer: &Layer) -> Result<()> {
    crate::store::make_private_dir(&state_dir.join("layers"))?;
    let path = layer_path(state_dir, layer.generation);
    let bytes = serde_json::to_vec(layer).map_err(std::io::Error::from).at("write", &path)?;
    replace(&path, &bytes)?;
    replace(&state_dir.join("head"), format!("{}\n", layer.generation).as_bytes())
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .at("create", &new)?;
    file.write_all(bytes).at("write", &new)?;
    file.sync_all().at("write", &new)?;
    std::fs::rename(&new, path).at("write", path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::File::open(dir).and_then(|d| d.sync_all()).at("write", dir)
}
