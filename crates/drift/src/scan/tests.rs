//! The scanner on small trees.

use layer::Time;

use super::*;
use std::fs;

fn run(root: &Path, known: Option<&Manifest>, full: bool) -> (Stats, HashMap<String, Entry>) {
    run_with(root, known, full, HashSet::new())
}

fn run_with(
    root: &Path,
    known: Option<&Manifest>,
    full: bool,
    again: HashSet<u64>,
) -> (Stats, HashMap<String, Entry>) {
    let cancelled = AtomicBool::new(false);
    let options = Options {
        root,
        enter: &|_| true,
        reads: &|_| true,
        devices: devices(root),
        known,
        records: None,
        full,
        again,
        threads: 4,
        limit: None,
        cpu: None,
        cancelled: &cancelled,
    };
    let mut all = HashMap::new();
    let mut path = Vec::new();
    let stats = scan(&options, &mut |dir, block| {
        for entry in manifest::entries(block) {
            manifest::join(dir, &entry.name, &mut path);
            all.insert(String::from_utf8_lossy(&path).into_owned(), entry);
        }
        Ok(())
    })
    .unwrap();
    (stats, all)
}

fn write(all: &HashMap<String, Entry>, path: &Path, started: Time) -> Manifest {
    let mut writer = manifest::Writer::create(path, started, 0).unwrap();
    let mut dirs: HashMap<Vec<u8>, Vec<&Entry>> = HashMap::new();
    for (path, entry) in all {
        dirs.entry(manifest::split(path.as_bytes()).0.to_vec()).or_default().push(entry);
    }
    for (dir, mut entries) in dirs {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut block = Vec::new();
        entries.iter().for_each(|entry| entry.encode(&mut block));
        writer.add(&dir, &block).unwrap();
    }
    writer.finish().unwrap();
    Manifest::open(path).unwrap().unwrap()
}

#[test]
fn only_what_may_have_changed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc/deep")).unwrap();
    fs::write(root.join("etc/a"), "one").unwrap();
    fs::write(root.join("etc/deep/b"), "two").unwrap();
    fs::hard_link(root.join("etc/a"), root.join("etc/c")).unwrap();
    std::os::unix::fs::symlink("a", root.join("etc/l")).unwrap();
    let (stats, all) = run(&root, None, false);
    assert_eq!(all["/etc/a"].digest(), Some(Digest::of(b"one")));
    assert_eq!(all["/etc/l"].extra, b"a");
    assert_eq!(all["/etc/a"].digest, all["/etc/c"].digest);
    // A hard link may be read by two threads at the same time, never here: both names are in one directory.
    assert_eq!(stats.files_read, 2);
    // Files as young as the last scan are read again…
    let now = Time::now();
    let known = write(&all, &folder.path().join("manifest"), now);
    assert_eq!(run(&root, Some(&known), false).0.files_read, 2);
    // …older ones only if something about them is new.
    let known = write(&all, &folder.path().join("manifest"), Time(now.0 + 100, 0));
    assert_eq!(run(&root, Some(&known), false).0.files_read, 0);
    fs::write(root.join("etc/deep/b"), "too").unwrap();
    let (stats, all) = run(&root, Some(&known), false);
    assert_eq!((stats.files_read, all["/etc/deep/b"].digest()), (1, Some(Digest::of(b"too"))));
    assert_eq!(run(&root, Some(&known), true).0.files_read, 2);
}

/// A forged time hides a change only until its part is read again.
#[test]
fn contents_are_read_again_part_by_part() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/a"), "one").unwrap();
    let (_, mut all) = run(&root, None, false);
    // The inode tells nothing new, and the content is another one than was known.
    let entry = all.get_mut("/etc/a").unwrap();
    entry.digest = Digest::of(b"old").0;
    let part = entry.ino % PARTS;
    let known = write(&all, &folder.path().join("manifest"), Time(Time::now().0 + 100, 0));
    let digest = |again: &[u64]| {
        run_with(&root, Some(&known), false, again.iter().copied().collect()).1["/etc/a"].digest()
    };
    assert_eq!(digest(&[(part + 1) % PARTS]), Some(Digest::of(b"old")));
    assert_eq!(digest(&[part]), Some(Digest::of(b"one")));
}
