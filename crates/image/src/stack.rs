//! The image's layers on top of each other: each is what its steps made different from those below, cleaned, packed
//! once and known again by what it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::chain;
use crate::clean;
use crate::digest::Hashing;
use crate::error::{Doing, Result};
use crate::oci;
use crate::pack::Packer;
use crate::place::Bake;
use crate::store::LayerRecord;
use crate::tree::{Kind, Node, Tree};

/// What paths are from now on; `None`: they are not there.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Node>>;

pub(crate) struct Stack<'a> {
    bake: &'a Bake,
    pub(crate) epoch: i64,
    /// All files as the steps so far left them, and what of them the image holds.
    tree: Tree,
    pub(crate) held: Tree,
    /// Paths that are other in `tree` than when they were last put into the image.
    touched: BTreeSet<Vec<u8>>,
    pub(crate) layers: Vec<LayerRecord>,
    /// Names all that the layers so far came from.
    key: String,
    pub(crate) packed: usize,
    pub(crate) packed_bytes: u64,
}

/// What a layer is made of.
#[derive(Default)]
struct Difference {
    new: Vec<Vec<u8>>,
    gone: Vec<Vec<u8>>,
}

impl<'a> Stack<'a> {
    /// On the files of the bake's base. The layers of a base that is an image stay as they are.
    pub(crate) fn begin(bake: &'a Bake, tree: Tree, say: &dyn Fn(&str)) -> Result<Self> {
        let (base, keep) = (&bake.base, &bake.plan.keep);
        let epoch = bake.plan.epoch.unwrap_or(base.epoch);
        let version = clean::VERSION.to_string();
        let mut stack = Self {
            bake,
            epoch,
            touched: tree.0.keys().cloned().collect(),
            held: if base.layers.is_empty() { Tree::default() } else { tree.clone() },
            tree,
            layers: base.layers.clone(),
            key: chain::key(&[&base.digest, &epoch.to_string(), &keep.join(":"), &version]),
            packed: 0,
            packed_bytes: 0,
        };
        if base.layers.is_empty() {
            stack.put("base", "the base", say)?;
        }
        Ok(stack)
    }

    /// Lays what a step left over all before it.
    pub(crate) fn lay(&mut self, step: &str) -> Result<()> {
        self.touched.extend(self.tree.apply(&self.bake.store.layer(step))?);
        Ok(())
    }

    /// Makes the image hold what was laid since: the difference is the next layer, unless there is none.
    pub(crate) fn put(&mut self, key: &str, made_by: &str, say: &dyn Fn(&str)) -> Result<()> {
        let mut changes = Changes::new();
        for path in std::mem::take(&mut self.touched) {
            let node = match self.tree.0.get(&path) {
                Some(node) => clean::cleaned(&path, node, &self.bake.plan.keep, self.epoch)?,
                None => None,
            };
            changes.insert(path, node);
        }
        self.put_changes(changes, key, made_by, say)
    }

    pub(crate) fn put_changes(
        &mut self,
        changes: Changes,
        key: &str,
        made_by: &str,
        say: &dyn Fn(&str),
    ) -> Result<()> {
        self.key = chain::key(&[&self.key, key]);
        let difference = self.hold(changes);
        let store = &self.bake.store;
        let note = store.path("tars").join(format!("{}.json", self.key));
        let known = store.read_json::<Option<LayerRecord>>(&note);
        let known = known.filter(|layer| layer.as_ref().is_none_or(|layer| store.has_layer(layer)));
        let layer = match known {
            Some(layer) => layer,
            None => {
                say(&format!("packing {made_by}"));
                let layer = self.pack(&difference, made_by)?;
                store.note_json(&note, &layer)?;
                if let Some(layer) = &layer {
                    self.packed += 1;
                    self.packed_bytes += layer.size;
                }
                layer
            }
        };
        self.layers.extend(layer);
        Ok(())
    }

    /// The image holds this from now on. What is different by it.
    fn hold(&mut self, changes: Changes) -> Difference {
        let mut difference = Difference::default();
        for (path, node) in changes {
            let Some(node) = node else {
                if self.held.0.remove(&path).is_some() {
                    difference.gone.push(path);
                }
                continue;
            };
            if !self.held.0.get(&path).is_some_and(|old| old.is(&node)) {
                difference.new.push(path.clone());
            }
            self.held.0.insert(path, node);
        }
        // What is in a directory that is gone itself needs no mark.
        difference.gone.retain(|path| match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => self.held.0.get(&path[..at]).is_some_and(|parent| parent.kind == Kind::Dir),
            None => true,
        });
        difference
    }

    fn pack(&self, difference: &Difference, made_by: &str) -> Result<Option<LayerRecord>> {
        if difference.new.is_empty() && difference.gone.is_empty() {
            return Ok(None);
        }
        let paths = difference.new.iter().chain(&difference.gone);
        // Whoever unpacks this changes the times of directories, unless they are in it.
        let with_directories: BTreeSet<&[u8]> =
            difference.new.iter().map(Vec::as_slice).chain(paths.flat_map(|path| above(path))).collect();
        let store = &self.bake.store;
        let (beside, file) = store.scratch("layer")?;
        let gzip = GzEncoder::new(
            Hashing::new(std::io::BufWriter::with_capacity(1 << 16, file)),
            Compression::new(5),
        );
        let mut packer =
            Packer::new(Hashing::new(std::io::BufWriter::with_capacity(1 << 16, gzip)), self.epoch);
        for path in &difference.gone {
            packer.remove(path)?;
        }
        for (path, node) in with_directories.into_iter().filter_map(|path| self.held.0.get_key_value(path)) {
            packer.add(path, node)?;
        }
        let (buffer, diff_id, _) = packer.finish().at(&beside)?.finish();
        let gzip = buffer.into_inner().map_err(std::io::IntoInnerError::into_error).at(&beside)?;
        let (mut file, digest, size) = gzip.finish().at(&beside)?.finish();
        file.flush().at(&beside)?;
        let place = store.blob(&digest);
        fs::rename(&beside, &place).at(&place)?;
        Ok(Some(LayerRecord {
            digest,
            diff_id,
            size,
            media_type: oci::LAYER.to_owned(),
            made_by: format!("theseus bake: {made_by}"),
        }))
    }
}

/// All directories that a path is in.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}
