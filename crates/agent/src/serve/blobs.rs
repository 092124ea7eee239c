//! Contents that were asked for: requested at most once at a time, given away when used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use catalog::Json;
use catalog::protocol::Call;
use layer::store::Store;

pub(super) struct BlobRoom {
    store: Store,
    slots: Mutex<Slots>,
    arrived: Condvar,
}

#[derive(Default)]
struct Slots {
    by_digest: HashMap<String, Slot>,
    closed: bool,
}

#[derive(Default)]
struct Slot {
    /// How many calls will fetch it.
    users: usize,
    content: Option<Result<Arc<[u8]>, String>>,
}

impl BlobRoom {
    pub(super) fn new(state_dir: PathBuf) -> Self {
        Self { store: Store::new(&state_dir), slots: Mutex::default(), arrived: Condvar::new() }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Digests that a call most likely lacks. Only looks at sizes: reading is the task's own work.
    pub(super) fn wanted_by(&self, call: &Call) -> Vec<String> {
        if call.check && !call.diff {
            return Vec::new();
        }
        let text = |key: &str| call.args.get(key).and_then(Json::as_str);
        let mut wanted = Vec::new();
        if let (Some(digest), false) = (text("_content"), call.args.contains_key("_inline")) {
            let dest = text("dest").or_else(|| text("path")).map(Path::new);
            let name = text("_original_basename");
            let size = call.args.get("_size").and_then(Json::as_u64);
            if !dest.is_some_and(|dest| size_of(dest, name) == size && size.is_some()) {
                wanted.push(digest.to_owned());
            }
        }
        if let (Some(Json::Array(tree)), Some(dest)) = (call.args.get("_tree"), text("dest")) {
            let own_name = text("_original_basename")
                .filter(|_| call.args.get("_source_slash").is_some_and(|slash| slash == false));
            let dest = Path::new(dest).join(own_name.unwrap_or_default());
            for entry in tree {
                let (Some(digest), Some(path)) = (entry["digest"].as_str(), entry["path"].as_str()) else {
                    continue;
                };
                let size = entry["size"].as_u64();
                let inline = entry.get("inline").is_some() || entry.get("_inline").is_some();
                if !inline && (size.is_none() || size_of(&dest.join(path), None) != size) {
                    wanted.push(digest.to_owned());
                }
            }
        }
        wanted
    }

    /// A call will use it. True: nobody asked for it yet, ask now.
    pub(super) fn expect(&self, digest: &str) -> bool {
        let mut slots = self.slots();
        let new = !slots.by_digest.contains_key(digest) && !self.stored(digest);
        if new || slots.by_digest.contains_key(digest) {
            slots.by_digest.entry(digest.to_owned()).or_default().users += 1;
        }
        new
    }

    /// A call wants it now. True: nobody asked for it yet, ask now.
    pub(super) fn ask(&self, digest: &str) -> bool {
        let mut slots = self.slots();
        if slots.by_digest.contains_key(digest) || self.stored(digest) {
            return false;
        }
        slots.by_digest.insert(digest.to_owned(), Slot { users: 1, content: None });
        true
    }

    fn stored(&self, digest: &str) -> bool {
        digest.parse().is_ok_and(|d| self.store.has(d))
    }

    pub(super) fn arrived(&self, digest: &str, content: Result<Arc<[u8]>, String>) {
        let content = content.and_then(|bytes| {
            let really = layer::Digest::of(&bytes).to_string();
            if really == digest { Ok(bytes) } else { Err(format!("the content {digest} arrived damaged")) }
        });
        if let Some(slot) = self.slots().by_digest.get_mut(digest) {
            slot.content = Some(content);
        }
        self.arrived.notify_all();
    }

    pub(super) fn wait(&self, digest: &str, cancelled: &AtomicBool) -> Result<Arc<[u8]>, String> {
        let mut slots = self.slots();
        while let Some(slot) = slots.by_digest.get_mut(digest) {
            if let Some(content) = slot.content.clone() {
                slot.users = slot.users.saturating_sub(1);
                if slot.users == 0 {
                    slots.by_digest.remove(digest);
                }
                return content;
            }
            if slots.closed || cancelled.load(Ordering::Relaxed) {
                return Err("the task was interrupted while it waited for a file's content".to_owned());
            }
            slots = self.arrived.wait(slots).unwrap_or_else(PoisonError::into_inner);
        }
        drop(slots);
        self.stored_content(digest)
    }

    fn stored_content(&self, digest: &str) -> Result<Arc<[u8]>, String> {
        let mut file = self.store.get(digest.parse()?).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes.into())
    }

    pub(super) fn close(&self) {
        self.slots().closed = true;
        self.arrived.notify_all();
    }

    pub(super) fn wake(&self) {
        drop(self.slots());
        self.arrived.notify_all();
    }
}

/// Size of the file that a content would go to.
fn size_of(dest: &Path, name: Option<&str>) -> Option<u64> {
    let metadata = std::fs::metadata(dest).ok()?;
    match name {
        Some(name) if metadata.is_dir() => size_of(&dest.join(name), None),
        _ => metadata.is_file().then_some(metadata.len()),
    }
}
