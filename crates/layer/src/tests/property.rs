//! Random trees, random changes, random ways back: undo is exact, redo is exact, what others changed is kept.
//!
//! `THESEUS_LAYER_CASES=100000` for more; `THESEUS_LAYER_SEED=n` for one case alone.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, FileType, IFlags, Mode, XattrFlags};

use super::snapshot::{self, Snapshot};
use crate::history::Options;
use crate::*;

const CASES: u64 = 2000;

pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xdead_beef_cafe)
    }
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) root: PathBuf,
    pub(super) state: PathBuf,
    pub(super) random: Random,
    pub(super) trace: Vec<String>,
    is_root: bool,
    /// Inodes with several names are not changed through one of them: the others are known only in part.
    one_name: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        // Memory: the order of writes is not what is tested here.
        let dir = ["/dev/shm", "/tmp"].iter().find_map(|d| tempfile::tempdir_in(d).ok()).unwrap();
        let top = std::fs::canonicalize(dir.path()).unwrap();
        let (root, state) = (top.join("root"), top.join("state"));
        std::fs::create_dir(&root).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let random = Random::new(seed);
        let mut world = Self { _dir: dir, root, state, random, trace: Vec::new(), is_root, one_name: false };
        for _ in 0..4 + world.random.below(16) {
            world.raw(None);
        }
        world.trace.push("-- the tree stands".to_owned());
        world
    }

    fn name(&mut self) -> OsString {
        let odd: [&[u8]; 4] = [b"\xff\xfe", b"a\nb", b" ", b"-rf"];
        match self.random.below(24) {
            0 => OsString::from_vec(odd[self.random.below(4)].to_vec()),
            1 => OsString::from_vec(vec![b'l'; 255]),
            n => format!("{}", (b'a' + (n % 8) as u8) as char).into(),
        }
    }

    fn all(&self) -> Vec<PathBuf> {
        let mut all = vec![self.root.clone()];
        let mut i = 0;
        while i < all.len() {
            if all[i].symlink_metadata().is_ok_and(|m| m.is_dir()) {
                let mut names: Vec<_> =
                    std::fs::read_dir(&all[i]).unwrap().map(|e| e.unwrap().path()).collect();
                names.sort_unstable();
                all.extend(names);
            }
            i += 1;
        }
        all
    }

    fn some(&mut self, wanted: impl Fn(&std::fs::Metadata) -> bool) -> Option<PathBuf> {
        let all = self.all();
        let fit: Vec<PathBuf> =
            all.into_iter().skip(1).filter(|p| p.symlink_metadata().is_ok_and(|m| wanted(&m))).collect();
        (!fit.is_empty()).then(|| self.random.pick(&fit))
    }

    fn dir(&mut self) -> PathBuf {
        let root = self.root.clone();
        if self.random.one_in(3) { root } else { self.some(std::fs::Metadata::is_dir).unwrap_or(root) }
    }

    /// A name that may or may not be there.
    fn place(&mut self) -> PathBuf {
        let dir = self.dir();
        dir.join(self.name())
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = [0, 1, 7, 100, 5000][self.random.below(5)];
        let byte = b'a' + self.random.below(5) as u8;
        vec![byte; length]
    }

    fn time(&mut self) -> Time {
        Time(1_000_000_000 + self.random.below(1000) as i64, self.random.below(1000) as u32)
    }

    /// One change by somebody who is not the recorder. With one: it is told before.
    fn raw(&mut self, recorder: Option<&mut Recorder>) {
        let recorder_is_there = recorder.is_some();
        let mut told = Told(recorder);
        let kind = self.random.below(22);
        self.one_name = recorder_is_there;
        let done = self.raw_of(kind, &mut told);
        self.trace.push(format!("raw {kind}: {done:?}"));
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of change")]
    /// Fails where the change cannot be made; that is fine, what was told does not need to happen.
    fn raw_of(&mut self, kind: usize, told: &mut Told<'_>) -> Option<String> {
        use Touch::{Content, Metadata, NameGoes, New};
        let one_name = self.one_name && !matches!(kind, 9..=13);
        let fits = move |m: &std::fs::Metadata| !one_name || m.is_dir() || m.nlink() == 1;
        let place = self.place();
        if place.symlink_metadata().is_ok_and(|m| !fits(&m)) {
            return None;
        }
        let file = self.some(|m| m.is_file() && fits(m));
        let any = self.some(fits);
        let shown = format!("{place:?} {file:?} {any:?}");
        match kind {
            0..=3 => {
                let there = place.symlink_metadata().is_ok();
                if place.symlink_metadata().is_ok_and(|m| !m.is_file()) {
                    return None;
                }
                told.tell(&place, if there { Content } else { New });
                std::fs::write(&place, self.bytes()).ok()?;
            }
            4 => {
                let file = file?;
                told.tell(&file, Content);
                let handle = std::fs::OpenOptions::new().write(true).open(&file).ok()?;
                handle.write_all_at(&self.bytes(), self.random.below(8192) as u64).ok()?;
            }
            5 => {
                let file = file?;
                told.tell(&file, Content);
                let handle = std::fs::OpenOptions::new().write(true).open(&file).ok()?;
                handle.set_len([0, 3, 100_000][self.random.below(3)]).ok()?;
            }
            6 | 7 => {
                told.tell(&place, New);
                std::fs::create_dir(&place).ok()?;
            }
            8 => {
                told.tell(&place, New);
                symlink(self.name(), &place).ok()?;
            }
            9 => {
                let file = file?;
                told.tell(&file, Metadata);
                told.tell(&place, New);
                std::fs::hard_link(&file, &place).ok()?;
            }
            10 => {
                let any = any?;
                told.tell(&any, NameGoes);
                let dir = any.symlink_metadata().is_ok_and(|m| m.is_dir());
                if dir { std::fs::remove_dir(&any).ok()? } else { std::fs::remove_file(&any).ok()? }
            }
            11..=13 => {
                let any = any?;
                if place.starts_with(&any) || any.starts_with(&place) {
                    return None;
                }
                if any.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                    told.moved(&any, &place);
                } else {
                    told.tell(&any, NameGoes);
                    told.tell(&place, NameGoes);
                }
                std::fs::rename(&any, &place).ok()?;
            }
            14 => {
                let any = self.some(|m| !m.is_symlink() && fits(m))?;
                told.tell(&any, Metadata);
                let mode = [0o644, 0o600, 0o755, 0o4755, 0o1777][self.random.below(5)];
                std::fs::set_permissions(&any, std::fs::Permissions::from_mode(mode)).ok()?;
            }
            15 => {
                let any = any.filter(|_| self.is_root)?;
                told.tell(&any, Metadata);
                let id = self.random.below(3) as u32;
                std::os::unix::fs::lchown(&any, Some(id), Some(id)).ok()?;
            }
            16 => {
                let any = self.some(|m| (m.is_file() || m.is_dir()) && fits(m))?;
                told.tell(&any, Metadata);
                self.raw_xattr(&any)?;
            }
            17 => {
                told.tell(&place, New);
                let kinds =
                    [FileType::Fifo, FileType::Socket, FileType::CharacterDevice, FileType::BlockDevice];
                let kind = kinds[self.random.below(if self.is_root { 4 } else { 1 })];
                let device = rustix::fs::makedev(7, self.random.below(4) as u32);
                rustix::fs::mknodat(CWD, &place, kind, Mode::RUSR, device).ok()?;
            }
            18 => {
                let any = self.some(|m| (m.is_file() || m.is_dir()) && fits(m))?;
                told.tell(&any, Metadata);
                let time = SystemTime::UNIX_EPOCH + Duration::new(self.time().0 as u64, 5);
                std::fs::File::open(&any)
                    .ok()?
                    .set_times(std::fs::FileTimes::new().set_modified(time))
                    .ok()?;
            }
            19 => {
                let any = self.some(|m| (m.is_file() || m.is_dir()) && fits(m)).filter(|_| self.is_root)?;
                told.tell(&any, Metadata);
                let handle = std::fs::File::open(&any).ok()?;
                let old = rustix::fs::ioctl_getflags(&handle).ok()?;
                let flag = self.random.pick(&[IFlags::IMMUTABLE, IFlags::APPEND, IFlags::NODUMP]);
                rustix::fs::ioctl_setflags(&handle, old ^ flag).ok()?;
            }
            _ => {
                // As programs do it: beside, then over.
                let beside = place.with_file_name("beside");
                if beside.symlink_metadata().is_ok_and(|m| !fits(&m)) {
                    return None;
                }
                if place.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                    return None;
                }
                told.tell(&beside, if beside.exists() { Content } else { New });
                std::fs::write(&beside, self.bytes()).ok()?;
                told.tell(&beside, NameGoes);
                told.tell(&place, NameGoes);
                std::fs::rename(&beside, &place).ok()?;
            }
        }
        Some(shown)
    }

    fn raw_xattr(&mut self, path: &Path) -> Option<()> {
        // A named user may read; as the kernel writes it.
        let acl = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 1, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255,
            255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
        ];
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let (name, value): (_, &[u8]) = match self.random.below(4) {
            0 => ("user.a", b"1"),
            1 => ("user.a", b"2"),
            2 => ("system.posix_acl_access", &acl),
            _ => ("security.capability", &capability),
        };
        if self.random.one_in(4) {
            rustix::fs::lremovexattr(path, name).ok()
        } else {
            rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).ok()
        }
    }

    /// One change by the recorder itself.
    fn native(&mut self, recorder: &mut Recorder) {
        let kind = self.random.below(12);
        let fits = move |m: &std::fs::Metadata| !matches!(kind, 3 | 10 | 11) || m.is_dir() || m.nlink() == 1;
        let (place, any) = (self.place(), self.some(fits));
        let file = self.some(|m| m.is_file() && fits(m));
        let bytes = self.bytes();
        self.trace.push(format!("native {kind}: {place:?} {file:?} {any:?}"));
        let modes = Attributes::mode([0o600, 0o644, 0o2755][self.random.below(3)]);
        let done = match (kind, any, file) {
            (0..=2, ..) => recorder.write(&place, bytes.as_slice(), &modes).map(drop),
            (3, _, Some(file)) => recorder.write_in_place(&file, bytes.as_slice()).map(drop),
            (4, ..) => recorder.create_dir(&place, &modes),
            (5, ..) => recorder.symlink(Path::new("a"), &place),
            (6, _, Some(file)) => recorder.hard_link(&file, &place),
            (7, ..) => recorder.fifo(&place, &modes),
            (8, Some(any), _) if !place.starts_with(&any) && !any.starts_with(&place) => {
                recorder.rename(&any, &place)
            }
            (9, Some(any), _) => recorder.remove(&any),
            (10, Some(any), _) => recorder.set(&any, &modes, false).map(drop),
            (11, _, Some(file)) => recorder.touch(&file, None, Some(self.time())),
            _ => Ok(()),
        };
        if let Err(error) = done {
            self.trace.push(format!("  {error}"));
        }
    }

    pub(super) fn recorder(&self) -> Recorder {
        // A process that another test starts has our locks until it runs its program.
        let run = Run { run: format!("r{}", self.trace.len()), ..Run::default() };
        let mut recorder = Recorder::new(self.state.clone(), run).lock_wait(Duration::from_secs(10));
        recorder.begin(Cause { task: "t0".to_owned(), ..Cause::default() });
        recorder
    }

    /// A run of several tasks.
    pub(super) fn run(&mut self, recorder: &mut Recorder) {
        for task in 0..1 + self.random.below(3) {
            recorder.begin(Cause { task: format!("t{task}"), ..Cause::default() });
            let watched = self.random.one_in(2);
            for _ in 0..1 + self.random.below(5) {
                if watched { self.raw(Some(recorder)) } else { self.native(recorder) }
            }
            recorder.settle_watched().unwrap();
        }
    }

    pub(super) fn expect(&self, then: &Snapshot, what: &str) {
        let differ = snapshot::compare(&snapshot::take(&self.root), then, |_, _| false);
        assert!(differ.is_empty(), "{what}:\n{}", differ.join("\n").replace(&"l".repeat(255), "LONG"));
    }

    fn expect_whole_store(&self) {
        let checked = store::check(&self.state).unwrap();
        assert!(checked.is_good(), "{checked:?}");
    }

    fn undo(&self, to: u64, force: bool) -> history::Report {
        history::undo(&self.state, &Options { to, force, only: None }, Run::default()).unwrap()
    }
}

struct Told<'a>(Option<&'a mut Recorder>);

impl Told<'_> {
    fn tell(&mut self, path: &Path, touch: Touch) {
        if let Some(recorder) = &mut self.0 {
            recorder.foresee(path, touch).unwrap();
        }
    }
    fn moved(&mut self, from: &Path, to: &Path) {
        if let Some(recorder) = &mut self.0 {
            recorder.foresee_moved(from, to).unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for generation in history::generations(&self.state).unwrap_or_default() {
                for step in history::read(&self.state, generation).map(|l| l.steps).unwrap_or_default() {
                    self.trace.push(format!(
                        "{generation} {:?} {:?} beside {:?}\n    {:?}\n    {:?}",
                        step.path, step.inode, step.peers, step.before, step.after
                    ));
                }
            }
            println!(
                "{}",
                self.trace
                    .join("\n")
                    .replace(&"l".repeat(255), "LONG")
                    .replace(&*self.root.to_string_lossy(), "")
            );
        }
        // Immutable files would stay behind.
        for path in self.all() {
            if path.symlink_metadata().is_ok_and(|m| m.is_file() || m.is_dir())
                && let Ok(file) = std::fs::File::open(&path)
            {
                _ = rustix::fs::ioctl_setflags(&file, IFlags::empty());
            }
        }
    }
}

fn case(seed: u64) {
    let mut world = World::new(seed);
    let mut past = vec![snapshot::take(&world.root)];
    let generations = if world.random.one_in(40) { 20 } else { 1 + world.random.below(4) };
    while past.len() <= generations {
        let mut recorder = world.recorder();
        world.trace.push(format!("-- generation {}", past.len()));
        world.run(&mut recorder);
        if world.random.one_in(5) {
            world.trace.push("-- killed".to_owned());
            drop(recorder);
            history::recover(&world.state).unwrap();
            world.expect(past.last().unwrap(), "recovery");
            world.expect_whole_store();
        } else if recorder.seal(false).unwrap().made {
            past.push(snapshot::take(&world.root));
        } else {
            world.expect(past.last().unwrap(), "a run that made no layer");
            if world.random.one_in(3) {
                break;
            }
        }
    }
    let head = past.len() - 1;
    assert_eq!(history::head(&world.state).unwrap(), head as u64);
    let to = world.random.below(past.len());
    if world.random.one_in(3) {
        return beside_others(world, &past, to);
    }
    if to == head {
        return;
    }
    world.trace.push(format!("-- undo to {to}"));
    let report = world.undo(to as u64, false);
    assert_eq!(report.conflicts, [], "nobody changed anything");
    world.expect(&past[to], "undo");
    if let Some(made) = report.generation {
        world.trace.push("-- redo".to_owned());
        let report = world.undo(made - 1, false);
        assert_eq!(report.conflicts, [], "redo");
        world.expect(&past[head], "redo");
        world.trace.push("-- undo again".to_owned());
        world.undo(to as u64, false);
        world.expect(&past[to], "undo after redo");
    }
    world.expect_whole_store();
}

/// Somebody edits a file; then the undo.
fn beside_others(mut world: World, past: &[Snapshot], to: usize) {
    let Some(file) = world.some(|m| m.is_file() && m.nlink() == 1) else { return };
    let edited = b"somebody's own work".to_vec();
    if std::fs::write(&file, &edited).is_err() {
        return;
    }
    world.trace.push(format!("-- somebody writes {file:?}; undo to {to}"));
    let before = snapshot::take(&world.root);
    let report = world.undo(to as u64, false);
    let relative = Path::new(".").join(file.strip_prefix(&world.root).unwrap());
    // A file that was one with theirs comes back by itself, with its own content.
    let but_theirs =
        |path: &Path, what: &str| path == relative || (what == "time" && relative.parent() == Some(path));
    // What is there after an undo may be a pipe.
    let is_theirs = || {
        file.symlink_metadata().is_ok_and(|m| m.is_file()) && std::fs::read(&file).is_ok_and(|b| b == edited)
    };
    if report.conflicts.is_empty() {
        assert!(is_theirs(), "kept");
        let differ = snapshot::compare(&snapshot::take(&world.root), &past[to], but_theirs);
        assert!(differ.is_empty(), "undo beside:\n{}", differ.join("\n"));
        return;
    }
    assert!(report.conflicts.iter().any(|c| c.path == file), "{:?}", report.conflicts);
    assert_eq!(report.generation, None);
    world.expect(&before, "a refused undo");
    let report = world.undo(to as u64, true);
    // A content that no layer changed is not undone: then theirs is still there.
    let theirs_stays = is_theirs();
    world.expect_forced(&past[to], &relative, theirs_stays);
    if !theirs_stays {
        let kept = report.conflicts.iter().find(|c| c.path == file).unwrap().kept.expect("kept");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut store::Store::new(&world.state).get(kept).unwrap(), &mut bytes)
            .unwrap();
        assert_eq!(bytes, edited);
    }
    let made = report.generation.unwrap();
    assert_eq!(world.undo(made - 1, false).conflicts, []);
    world.expect(&before, "undo of a forced undo");
}

impl World {
    fn expect_forced(&self, then: &Snapshot, theirs: &Path, stays: bool) {
        let differ = snapshot::compare(&snapshot::take(&self.root), then, |path, what| {
            (what == "time" && theirs.parent() == Some(path)) || (stays && path == theirs)
        });
        assert!(differ.is_empty(), "forced undo:\n{}", differ.join("\n"));
    }
}

#[test]
fn undo_is_exact_and_so_is_redo() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("THESEUS_LAYER_SEED") {
        return case(seed);
    }
    let cases = number("THESEUS_LAYER_CASES").unwrap_or(CASES);
    let first = number("THESEUS_LAYER_FIRST").unwrap_or(1);
    let begun = Instant::now();
    let fails = |seed: &u64| {
        let failed = std::panic::catch_unwind(|| case(*seed)).is_err();
        if failed {
            eprintln!("THESEUS_LAYER_SEED={seed} fails");
        }
        failed
    };
    let failed: Vec<u64> = (first..first + cases).filter(fails).collect();
    assert!(failed.is_empty(), "of {cases} cases, THESEUS_LAYER_SEED= {failed:?} fail");
    println!("{cases} cases from seed {first} in {:.1} s", begun.elapsed().as_secs_f64());
}
