//! From the chain's layers to an image: cleaned, packed, looked through for secrets, recorded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::chain::{self, Chain, Link};
use crate::digest;
use crate::error::{Error, Result};
use crate::oci;
use crate::place::Bake;
use crate::secrets;
use crate::stack::{Changes, Stack};
use crate::store::{Image, LayerRecord, RECORD, now, secure};
use crate::tree::{Node, Tree};
use crate::{config, firstboot, index};

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

/// Of more layers than these engines cannot make one root.
const LAYERS: usize = 100;

impl Bake {
    /// Makes the image of what the run left. `Err` inside: secrets were found, and nothing was kept.
    pub fn assemble(&self, say: &dyn Fn(&str)) -> Result<std::result::Result<Built, Vec<Finding>>> {
        self.keep_greetings()?;
        let chain = self.chain();
        // While the disk takes what the steps left, it is packed.
        let (settled, stack) = std::thread::scope(|scope| {
            let settling = scope.spawn(|| self.store.settle(&chain));
            let stack = self.stacked(&chain, say);
            (settling.join(), stack)
        });
        settled.map_err(|_| Error::wrong("the layers could not be brought to the disk"))??;
        let mut stack = stack?;
        let findings = self.look_for_secrets(&stack.held)?;
        if !findings.is_empty() {
            return Ok(Err(findings));
        }
        let generation = generation(&stack.layers);
        let record = self.record(&stack.held, &chain, &generation);
        // By all that is in it: a task with another name, or another version of this program, writes another one.
        let key = format!("record {generation} {record:?}");
        stack.put_changes(record, &key, "what it is", say)?;
        self.finish(&chain, stack, &generation).map(Ok)
    }

    /// The base and what the steps left of each role or play.
    fn stacked(&self, chain: &Chain, say: &dyn Fn(&str)) -> Result<Stack<'_>> {
        let mut stack = Stack::begin(self, index::tree(&self.store, &self.base.rootfs)?, say)?;
        let groups: Vec<&[Link]> = chain.links.chunk_by(|a, b| a.group == b.group).collect();
        for together in groups.chunks(groups.len().div_ceil(LAYERS).max(1)) {
            let links = || together.iter().copied().flatten();
            for link in links() {
                stack.lay(&link.key)?;
            }
            let marks: Vec<String> =
                links().map(|link| self.store.mark(&self.store.layer(&link.key))).collect();
            let names: Vec<&str> = together.iter().map(|links| links[0].group.as_str()).collect();
            stack.put(&marks.join("\n"), &names.join(", "), say)?;
        }
        Ok(stack)
    }

    fn look_for_secrets(&self, tree: &Tree) -> Result<Vec<Finding>> {
        // What was looked through once, and of which the same is seen now, has nothing in it.
        let mut visible: Vec<(Arc<Path>, blake3::Hasher)> = Vec::new();
        for (path, node) in &tree.0 {
            let known = visible.iter().position(|(dir, _)| Arc::ptr_eq(dir, &node.dir));
            let at = known.unwrap_or_else(|| {
                visible.push((Arc::clone(&node.dir), blake3::Hasher::new()));
                visible.len() - 1
            });
            visible[at].1.update(path).update(b"\0");
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
                self.store.note(&note, b"")?;
            }
        }
        Ok(found.into_iter().map(|one| Finding { path: one.path, line: one.line, what: one.what }).collect())
    }

    /// What an instance can tell of itself, and what it does at its first start.
    fn record(&self, held: &Tree, chain: &Chain, generation: &str) -> Changes {
        let record = json!({
            "name": self.plan.name,
            "generation": generation,
            "base": self.base.digest,
            "steps": chain.steps,
        });
        let text = serde_json::to_string_pretty(&record).unwrap_or_default() + "\n";
        let root: Arc<Path> = Arc::from(Path::new("/"));
        let mut files = firstboot::files(held);
        files.push((RECORD, Node::file(&root, 0o644, text.as_bytes())));
        let mut changes = Changes::new();
        for (path, node) in files {
            for (at, _) in path.match_indices('/') {
                let parent = &path.as_bytes()[..at];
                if !held.0.contains_key(parent) {
                    changes.entry(parent.to_vec()).or_insert_with(|| Some(Node::dir(&root, 0o755)));
                }
            }
            changes.insert(path.as_bytes().to_vec(), Some(node));
        }
        changes
    }

    fn finish(&self, chain: &Chain, stack: Stack<'_>, generation: &str) -> Result<Built> {
        let mut labels: BTreeMap<String, String> = BTreeMap::from([
            ("org.opencontainers.image.title".to_owned(), self.plan.name.clone()),
            ("org.opencontainers.image.base.digest".to_owned(), self.base.digest.clone()),
            ("theseus.generation".to_owned(), generation.to_owned()),
        ]);
        labels.extend(self.plan.labels.clone());
        let as_json: Map<String, Value> =
            labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let init = ["sbin/init", "usr/sbin/init"].iter().any(|path| stack.held.get(path).is_some());
        let config =
            config::config(&self.base.config, &self.plan.run, &as_json, stack.epoch, &stack.layers, init);
        let config = serde_json::to_vec(&config).map_err(|e| Error::wrong(e.to_string()))?;
        let config_digest = self.store.note_blob(&config)?;
        let manifest = oci::manifest(
            (&config_digest, config.len()),
            &stack.layers,
            &json!({"theseus.generation": generation}),
        );
        let manifest = serde_json::to_vec(&manifest).map_err(|e| Error::wrong(e.to_string()))?;
        let digest = self.store.note_blob(&manifest)?;
        let blobs = stack.layers.iter().map(|layer| &layer.digest).chain([&config_digest, &digest]);
        secure(&blobs.map(|digest| self.store.blob(digest)).collect::<Vec<PathBuf>>())?;
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
