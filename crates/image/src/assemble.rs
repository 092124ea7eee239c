//! From the chain's layers to an image: cleaned, packed, looked through for secrets, recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use crate::chain::{self, Chain, Link};
use crate::clean::{self, clean};
use crate::digest::{self, Hashing};
use crate::error::{Doing, Error, Result};
use crate::oci;
use crate::pack::Packer;
use crate::place::Bake;
use crate::secrets;
use crate::store::{Image, LayerRecord, RECORD, now};
use crate::tree::{Kind, Node, Tree};
use crate::{config, firstboot};

/// An image that is ready, and what it took.
#[derive(Clone, Debug)]
pub struct Built {
    pub image: Image,
    /// Layers that had to be packed anew, and their size, compressed.
    pub packed: usize,
    pub packed_bytes: u64,
    /// The very same image was there already.
    pub known: bool,
}

/// Something that must not be in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub what: String,
}

/// What is put on top of each other.
struct Stack<'a> {
    bake: &'a Bake,
    epoch: i64,
    /// What the image holds so far.
    held: Tree,
    layers: Vec<LayerRecord>,
    /// Names all that the layers so far came from.
    key: String,
    packed: usize,
    packed_bytes: u64,
}

impl Bake {
    /// Makes the image of what the run left. `Err` inside: secrets were found, and nothing was kept.
    pub fn assemble(&self, say: &dyn Fn(&str)) -> Result<std::result::Result<Built, Vec<Finding>>> {
        self.settle()?;
        let chain = self.chain();
        let mut tree = Tree::scan(&self.base.rootfs)?;
        let epoch = self.plan.epoch.unwrap_or(self.base.epoch);
        let keep = &self.plan.keep;
        let mut stack = Stack {
            bake: self,
            epoch,
            held: Tree::default(),
            layers: self.base.layers.clone(),
            key: chain::key(&[
                &self.base.digest,
                &epoch.to_string(),
                &keep.join(":"),
                &clean::VERSION.to_string(),
            ]),
            packed: 0,
            packed_bytes: 0,
        };
        if self.base.layers.is_empty() {
            stack.put(clean(&tree, keep, epoch)?, "base", "the base", say)?;
        } else {
            stack.held = tree.clone();
        }
        for links in chain.links.chunk_by(|a, b| a.group == b.group) {
            for link in links {
                tree.apply(&self.store.layer(&link.key))?;
            }
            let marks: Vec<String> =
                links.iter().map(|link| self.store.mark(&self.store.layer(&link.key))).collect();
            stack.put(clean(&tree, keep, epoch)?, &marks.join("\n"), &links[0].group, say)?;
        }
        let mut whole = clean(&tree, keep, epoch)?;
        let findings = self.look_for_secrets(&whole)?;
        if !findings.is_empty() {
            return Ok(Err(findings));
        }
        let generation = generation(&stack.layers);
        self.add_record(&mut whole, &chain, &generation);
        stack.put(whole, &format!("record {generation}"), "what it is", say)?;
        self.finish(&chain, stack, &generation, &tree).map(Ok)
    }

    fn look_for_secrets(&self, tree: &Tree) -> Result<Vec<Finding>> {
        // What was looked through once, and of which the same is seen now, has nothing in it.
        let mut visible: BTreeMap<Arc<Path>, blake3::Hasher> = BTreeMap::new();
        for (path, node) in &tree.0 {
            visible.entry(Arc::clone(&node.dir)).or_default().update(path).update(b"\0");
        }
        let note = |(dir, paths): (Arc<Path>, blake3::Hasher)| {
            let (paths, allowed) = (paths.finalize().to_hex(), self.plan.allow_secrets.join(":"));
            let key = chain::key(&[&self.store.mark(&dir), &paths, &allowed, &secrets::VERSION.to_string()]);
            (dir, self.store.path("scans").join(key))
        };
        let (seen, new): (Vec<_>, Vec<_>) =
            visible.into_iter().map(note).partition(|(_, note)| note.exists());
        let seen: Vec<Arc<Path>> = seen.into_iter().map(|(dir, _)| dir).collect();
        let found = secrets::scan(tree, &self.plan.allow_secrets, &seen)?;
        if found.is_empty() {
            for (_, note) in new {
                self.store.write(&note, b"")?;
            }
        }
        Ok(found.into_iter().map(|one| Finding { path: one.path, line: one.line, what: one.what }).collect())
    }

    /// What an instance can tell of itself, and what it does at its first start.
    fn add_record(&self, tree: &mut Tree, chain: &Chain, generation: &str) {
        let record = json!({
            "name": self.plan.name,
            "generation": generation,
            "base": self.base.digest,
            "steps": chain.steps,
        });
        let text = serde_json::to_string_pretty(&record).unwrap_or_default() + "\n";
        let root: Arc<Path> = Arc::from(Path::new("/"));
        let mut files = firstboot::files(tree);
        files.push((RECORD, Node::file(&root, 0o644, text.as_bytes())));
        for (path, node) in files {
            for (at, _) in path.match_indices('/') {
                let parent = &path.as_bytes()[..at];
                tree.0.entry(parent.to_vec()).or_insert_with(|| Node::dir(&root, 0o755));
            }
            tree.0.insert(path.as_bytes().to_vec(), node);
        }
    }

    fn finish(&self, chain: &Chain, stack: Stack<'_>, generation: &str, tree: &Tree) -> Result<Built> {
        let mut labels: BTreeMap<String, String> = BTreeMap::from([
            ("org.opencontainers.image.title".to_owned(), self.plan.name.clone()),
            ("org.opencontainers.image.base.digest".to_owned(), self.base.digest.clone()),
            ("theseus.generation".to_owned(), generation.to_owned()),
        ]);
        labels.extend(self.plan.labels.clone());
        let as_json: Map<String, Value> =
            labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let init = ["sbin/init", "usr/sbin/init"].iter().any(|path| tree.get(path).is_some());
        let config =
            config::config(&self.base.config, &self.plan.run, &as_json, stack.epoch, &stack.layers, init);
        let config = serde_json::to_vec(&config).map_err(|e| Error::wrong(e.to_string()))?;
        let config_digest = self.store.put_blob(&config)?;
        let manifest = oci::manifest(
            (&config_digest, config.len()),
            &stack.layers,
            &json!({"theseus.generation": generation}),
        );
        let manifest = serde_json::to_vec(&manifest).map_err(|e| Error::wrong(e.to_string()))?;
        let digest = self.store.put_blob(&manifest)?;
        let known = self.store.read_json::<Image>(&self.store.image_file(&self.plan.name, &digest));
        let image = Image {
            name: self.plan.name.clone(),
            digest,
            generation: generation.to_owned(),
            base: self.base.name.clone(),
            created: now(),
            epoch: stack.epoch,
            labels,
            size: stack.layers.iter().map(|layer| layer.size).sum(),
            layers: stack.layers,
            steps: chain.steps.clone(),
            base_digest: self.base.digest.clone(),
            chain: chain.links.iter().map(|link: &Link| link.key.clone()).collect(),
            tested: known.as_ref().and_then(|image| image.tested.clone()),
        };
        self.store.save(&image)?;
        Ok(Built { image, packed: stack.packed, packed_bytes: stack.packed_bytes, known: known.is_some() })
    }
}

/// Which state of the files this is: the same wherever and whenever it was made.
fn generation(layers: &[LayerRecord]) -> String {
    let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    digest::of(ids.join("\n").as_bytes())["sha256:".len()..][..16].to_owned()
}

impl Stack<'_> {
    /// Makes the image hold this tree: the difference is the next layer, unless there is none.
    fn put(&mut self, tree: Tree, key: &str, made_by: &str, say: &dyn Fn(&str)) -> Result<()> {
        self.key = chain::key(&[&self.key, key]);
        let store = &self.bake.store;
        let note = store.path("tars").join(format!("{}.json", self.key));
        let known = store.read_json::<Option<LayerRecord>>(&note);
        let known =
            known.filter(|layer| layer.as_ref().is_none_or(|layer| store.blob(&layer.digest).exists()));
        let layer = match known {
            Some(layer) => layer,
            None => {
                say(&format!("packing {made_by}"));
                let layer = self.pack(&tree, made_by)?;
                store.write_json(&note, &layer)?;
                if let Some(layer) = &layer {
                    self.packed += 1;
                    self.packed_bytes += layer.size;
                }
                layer
            }
        };
        self.layers.extend(layer);
        self.held = tree;
        Ok(())
    }

    fn pack(&self, tree: &Tree, made_by: &str) -> Result<Option<LayerRecord>> {
        let new: Vec<_> = tree
            .0
            .iter()
            .filter(|(path, node)| !self.held.0.get(*path).is_some_and(|old| old.is(node)))
            .collect();
        let gone: Vec<_> = self
            .held
            .0
            .keys()
            .filter(|path| !tree.0.contains_key(*path) && in_a_directory(tree, path))
            .collect();
        if new.is_empty() && gone.is_empty() {
            return Ok(None);
        }
        let directories: BTreeSet<&[u8]> = new
            .iter()
            .map(|(path, _)| *path)
            .chain(gone.iter().copied())
            .flat_map(|path| above(path))
            .collect();
        let mut new: BTreeMap<&[u8], &Node> =
            new.into_iter().map(|(path, node)| (path.as_slice(), node)).collect();
        // Whoever unpacks this changes their times, unless they are in it.
        new.extend(directories.into_iter().filter_map(|path| Some((path, tree.0.get(path)?))));
        let store = &self.bake.store;
        let (beside, file) = store.scratch("layer")?;
        let gzip = GzEncoder::new(
            Hashing::new(std::io::BufWriter::with_capacity(1 << 16, file)),
            Compression::new(5),
        );
        let mut packer =
            Packer::new(Hashing::new(std::io::BufWriter::with_capacity(1 << 16, gzip)), self.epoch);
        for path in gone {
            packer.remove(path)?;
        }
        for (path, node) in new {
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

/// What is in a directory that is gone itself needs no mark.
fn in_a_directory(tree: &Tree, path: &[u8]) -> bool {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => tree.0.get(&path[..at]).is_some_and(|parent| parent.kind == Kind::Dir),
        None => true,
    }
}
