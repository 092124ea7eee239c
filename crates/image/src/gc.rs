//! Removing what no image needs any more; never what one refers to.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::{Doing, Result};
use crate::export::manifest;
use crate::store::{LayerRecord, Store};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub blobs: usize,
    pub layers: usize,
    pub roots: usize,
    pub bytes: u64,
}

impl Store {
    /// Removes contents, unpacked roots and cached layers that no image refers to; cached steps only if they were not
    /// made within `keep_cache`. The caller has the turn.
    pub fn collect(&self, keep_cache: Duration) -> Result<Collected> {
        let images = self.list()?;
        let (mut blobs, mut layers, mut roots, mut bases) =
            (HashSet::new(), HashSet::new(), HashSet::new(), HashSet::new());
        for image in &images {
            let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
            blobs.insert(hex(&image.digest));
            if let Ok((_, config)) = manifest(self, image) {
                blobs.insert(hex(&config));
            }
            blobs.extend(image.layers.iter().map(|layer| hex(&layer.digest)));
            layers.extend(image.chain.iter().cloned());
            roots.insert(hex(&image.digest));
            bases.insert(hex(&image.base_digest));
        }
        let mut collected = Collected::default();
        for base in names(&self.path("bases"))? {
            if bases.contains(&base) {
                let record: Option<crate::base::Base> =
                    self.read_json(&self.path("bases").join(&base).join("base.json"));
                blobs.extend(
                    record
                        .into_iter()
                        .flat_map(|base| base.layers)
                        .map(|layer| layer.digest.trim_start_matches("sha256:").to_owned()),
                );
            } else if self.is_old(&self.path("bases").join(&base), keep_cache) {
                collected.roots += self.take(&self.path("bases").join(&base), &mut collected.bytes)?;
            }
        }
        for root in names(&self.path("rootfs"))?.into_iter().filter(|root| !roots.contains(root)) {
            collected.roots += self.take(&self.path("rootfs").join(root), &mut collected.bytes)?;
        }
        for blob in names(&self.path("blobs/sha256"))?.into_iter().filter(|blob| !blobs.contains(blob)) {
            collected.blobs += self.take(&self.path("blobs/sha256").join(blob), &mut collected.bytes)?;
        }
        for layer in names(&self.path("layers"))?.into_iter().filter(|layer| !layers.contains(layer)) {
            let place = self.path("layers").join(&layer);
            if self.is_old(&place, keep_cache) {
                self.forget(&layer);
                collected.layers += self.take(&place, &mut collected.bytes)?;
            }
        }
        for note in names(&self.path("scans"))? {
            let place = self.path("scans").join(note);
            fs::remove_file(&place).at(&place)?;
        }
        for note in names(&self.path("tars"))? {
            let place = self.path("tars").join(&note);
            let gone = |layer: LayerRecord| !self.blob(&layer.digest).exists();
            if self.read_json::<Option<LayerRecord>>(&place).flatten().is_some_and(gone) {
                fs::remove_file(&place).at(&place)?;
            }
        }
        Ok(collected)
    }

    fn take(&self, place: &Path, bytes: &mut u64) -> Result<usize> {
        *bytes += size(place);
        let is_dir = fs::symlink_metadata(place).is_ok_and(|meta| meta.is_dir());
        if is_dir {
            self.discard(place)?
        } else {
            fs::remove_file(place).at(place)?
        }
        Ok(1)
    }

    fn is_old(&self, place: &Path, keep: Duration) -> bool {
        let made = fs::symlink_metadata(place).and_then(|meta| meta.modified());
        made.is_ok_and(|made| SystemTime::now().duration_since(made).unwrap_or_default() >= keep)
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    Ok(fs::read_dir(dir)
        .at(dir)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

fn size(place: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(place) else { return 0 };
    if !meta.is_dir() {
        return meta.len();
    }
    fs::read_dir(place).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}
