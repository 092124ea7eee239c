//! Temporary projects for tests.

use std::path::PathBuf;

pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Files of a project, in one text: `=== path` begins each.
pub(crate) fn folder(files: &str) -> Folder {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let root = std::env::temp_dir().join(format!("theseus-load-{}-{number}", std::process::id()));
    for part in files.split("=== ").skip(1) {
        let (name, content) = part.split_once('\n').unwrap();
        let path = root.join(name.trim());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    Folder(root)
}
