//! Killed recoveries, full disks, power cuts: what the trials found once, made small.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;

use rustix::fs::inotify;

use super::*;
use crate::history::Options;
use crate::place::temporary_of;

/// The names that come and go in a directory meanwhile.
fn names_during(dir: &Path, act: impl FnOnce()) -> Vec<String> {
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let wanted = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, dir, wanted).unwrap();
    act();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    let mut all = Vec::new();
    while let Ok(event) = reader.next() {
        all.extend(event.file_name().map(|name| name.to_str().unwrap().to_owned()));
    }
    all
}

fn undo_all(state: &Path, to: u64) -> Result<history::Report> {
    history::undo(state, &Options { to, ..Options::default() }, Run::default())
}

#[test]
fn a_recovery_moves_a_content_back_in_one_step() {
    let room = Room::new();
    std::fs::write(room.path("a"), "old").unwrap();
    let mut recorder = room.recorder();
    recorder.remove(&room.path("a")).unwrap();
    drop(recorder);
    let names = names_during(&room.path(""), || _ = history::recover(&room.state).unwrap());
    assert_eq!(names, ["a"], "killed between two steps, it would be under a name that nobody knows");
    assert_eq!(text(&room.path("a")), "old");
}

#[test]
fn a_recovery_removes_what_one_before_it_was_making() {
    let room = Room::new();
    std::fs::write(room.path("a"), "old").unwrap();
    let mut recorder = room.recorder();
    // Nothing in its journal tells of a temporary file.
    recorder.remove(&room.path("a")).unwrap();
    let id = recorder.open().unwrap().journal.id().to_owned();
    drop(recorder);
    let temporary = room.path("a").with_file_name(temporary_of(&id, &room.path("a")));
    std::fs::write(&temporary, "half").unwrap();
    history::recover(&room.state).unwrap();
    assert!(!temporary.exists() && text(&room.path("a")) == "old");
}

#[test]
fn the_temporary_names_of_an_undo_follow_from_its_journal() {
    let room = Room::new();
    std::fs::write(room.path("a"), "old").unwrap();
    let mut recorder = room.recorder();
    recorder.write(&room.path("a"), &b"new"[..], &Attributes::default()).unwrap();
    recorder.seal(false).unwrap();
    let names = names_during(&room.path(""), || _ = undo_all(&room.state, 0).unwrap());
    let id = history::read(&room.state, 2).unwrap().id;
    assert_eq!(names, [temporary_of(&id, &room.path("a")).to_str().unwrap(), "a"]);
}

/// However few inodes are free: an undo that cannot make a new file fails, and never writes over what was just kept.
#[test]
fn an_undo_on_a_full_disk_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        std::process::Command::new(program)
            .args(arguments)
            .arg(dir.path())
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let mount = ["-t", "tmpfs", "-o", "size=8m,nr_inodes=64", "none"];
    if !rustix::process::geteuid().is_root() || !run("mount", &mount) {
        println!("SKIPPED an_undo_on_a_full_disk_is_all_or_nothing: needs the right to mount");
        return;
    }
    let outcome = std::panic::catch_unwind(|| (0..14).map(|free| undo_with_free(dir.path(), free)).collect());
    run("umount", &[]);
    let done: Vec<bool> = outcome.unwrap();
    assert!(done.contains(&true) && done.contains(&false), "both happened: {done:?}");
}

fn undo_with_free(fs: &Path, free: usize) -> bool {
    let top = std::fs::canonicalize(fs).unwrap().join("top");
    std::fs::create_dir(&top).unwrap();
    let (a, state) = (top.join("a"), top.join("state"));
    std::fs::write(&a, "old").unwrap();
    let mut recorder = Recorder::new(state.clone(), Run::default());
    recorder.write(&a, &b"new"[..], &Attributes::default()).unwrap();
    recorder.seal(false).unwrap();
    std::fs::create_dir(top.join("fill")).unwrap();
    let fill = |i: usize| top.join(format!("fill/{i}"));
    let made = (0..).find(|i| std::fs::write(fill(*i), "").is_err()).unwrap();
    (made - free..made).for_each(|i| std::fs::remove_file(fill(i)).unwrap());
    let done = undo_all(&state, 0).is_ok();
    std::fs::remove_dir_all(top.join("fill")).unwrap();
    history::recover(&state).unwrap();
    let now = if done { "old" } else { "new" };
    assert_eq!(text(&a), now, "{free} free");
    if done {
        undo_all(&state, 1).unwrap();
        assert_eq!(text(&a), "new", "what the undo kept is whole; {free} free");
    }
    assert!(store::check(&state).unwrap().is_good());
    std::fs::remove_dir_all(top).unwrap();
    done
}

#[test]
fn an_attribute_that_cannot_be_kept_is_an_error() {
    let file = tempfile::tempfile().unwrap();
    let copy = |name: &str| state::copy_xattrs(&file, &BTreeMap::from([(name.to_owned(), "31".to_owned())]));
    assert!(copy(&format!("user.{}", "l".repeat(300))).is_err());
    // The file system has none of this kind.
    copy("nonsense.a").unwrap();
    copy("security.ima").unwrap();
}

#[test]
fn after_a_power_cut_a_lost_content_is_not_kept() {
    let room = Room::new();
    let a = room.path("a");
    std::fs::write(&a, "old").unwrap();
    let mut recorder = room.recorder();
    recorder.write(&a, &b"first"[..], &Attributes::default()).unwrap();
    recorder.write(&a, &b"second"[..], &Attributes::default()).unwrap();
    drop(recorder);
    let store = store::Store::new(&room.state);
    let lost = Digest::of(b"first");
    std::fs::write(store.path(lost), [0; 5]).unwrap();
    journal::pretend_power_cut(&room.state.join("journal"));
    history::recover(&room.state).unwrap();
    assert_eq!(text(&a), "old");
    assert!(store::check(&room.state).unwrap().is_good());
    assert!(!store.has(lost));
}

/// Beyond the first few, what names had is known by their inodes, not by entries that would each wait for the disk.
#[test]
fn after_a_power_cut_names_whose_entries_are_lost_have_what_they_had() {
    let room = Room::new();
    std::fs::create_dir(room.path("d")).unwrap();
    let files: Vec<PathBuf> = (0..40).map(|i| room.path(&format!("d/file {i}"))).collect();
    for (i, file) in files.iter().enumerate() {
        std::fs::write(file, format!("content {i}")).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600 + i as u32)).unwrap();
    }
    // One content twice: the second is kept by the link of the first.
    std::fs::write(&files[14], "content 13").unwrap();
    let tree = || {
        let names = std::fs::read_dir(room.path("d")).unwrap().map(|entry| entry.unwrap().path());
        names
            .map(|path| (observe(&path).unwrap(), path))
            .map(|(state, path)| (path, state))
            .collect::<BTreeMap<_, _>>()
    };
    let before = tree();
    let mut recorder = later(&room);
    for (i, file) in files.iter().enumerate() {
        match i % 4 {
            0 | 1 => _ = recorder.write(file, &b"new"[..], &Attributes::default()).unwrap(),
            2 => recorder.remove(file).unwrap(),
            _ => recorder.rename(file, &room.path(&format!("d/moved {i}"))).unwrap(),
        }
    }
    recorder.foresee(&files[0], Touch::NameGoes).unwrap();
    journal::lose_the_rest(&recorder.open().unwrap().journal);
    drop(recorder);
    let journal = room.state.join("journal");
    let left = journal::read(&journal).unwrap().unwrap().entries;
    let noted = left.iter().filter(|entry| matches!(entry, journal::Entry::Change { .. })).count();
    assert!((8..25).contains(&noted), "{noted} were made durable by themselves");
    journal::pretend_power_cut(&journal);
    history::recover(&room.state).unwrap();
    for (path, was) in &before {
        assert_eq!(observe(path).unwrap(), *was, "{}", path.display());
    }
    assert_eq!(tree().len(), before.len());
    assert!(store::check(&room.state).unwrap().is_good());
}

/// What was not durable is lost; then the recovery.
fn cut_power(room: &Room, mut recorder: Recorder) {
    journal::lose_the_rest(&recorder.open().unwrap().journal);
    drop(recorder);
    journal::pretend_power_cut(&room.state.join("journal"));
    history::recover(&room.state).unwrap();
}

/// A run that begins when what is there is old.
fn later(room: &Room) -> Recorder {
    std::thread::sleep(std::time::Duration::from_millis(50));
    room.recorder()
}

/// Others remove a listed file, and a copy in the store gets its inode's number: that is not what the name had.
#[test]
fn after_a_power_cut_what_is_as_new_as_the_run_is_nobodys_content() {
    let room = Room::new();
    let files: Vec<PathBuf> = (0..10).map(|i| room.path(&format!("file {i}"))).collect();
    files.iter().for_each(|file| std::fs::write(file, file.to_str().unwrap()).unwrap());
    let mut recorder = later(&room);
    recorder.remove(&files[0]).unwrap();
    let (theirs, ours) = (room.path("theirs"), room.path("ours"));
    std::fs::write(&theirs, "a copy").unwrap();
    std::fs::write(&ours, "new").unwrap();
    // The list is made on the way.
    files[1..].iter().for_each(|file| recorder.remove(file).unwrap());
    let object = store::Store::new(&room.state).path(Digest::of(b"a copy"));
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::hard_link(&theirs, &object).unwrap();
    std::fs::remove_file(&theirs).unwrap();
    recorder.foresee(&ours, Touch::NameGoes).unwrap();
    std::fs::remove_file(&ours).unwrap();
    cut_power(&room, recorder);
    assert!(!theirs.exists(), "nobody's");
    assert_eq!(text(&ours), "new", "its entry was made durable");
    files.iter().for_each(|file| assert_eq!(text(file), file.to_str().unwrap()));
}

#[test]
fn after_a_power_cut_a_new_name_of_an_old_inode_goes() {
    let room = Room::new();
    std::fs::create_dir(room.path("d")).unwrap();
    let (old, again) = (room.path("d/old"), room.path("d/again"));
    std::fs::write(&old, "old").unwrap();
    let before = observe(&old).unwrap();
    let mut recorder = room.recorder();
    // The list of names is made for this one.
    recorder.write(&room.path("d/new"), &b"new"[..], &Attributes::default()).unwrap();
    recorder.foresee(&old, Touch::Metadata).unwrap();
    recorder.foresee(&again, Touch::New).unwrap();
    std::fs::hard_link(&old, &again).unwrap();
    cut_power(&room, recorder);
    assert!(!again.exists() && !room.path("d/new").exists());
    assert_eq!(observe(&old).unwrap(), before);
}

/// As `dpkg` replaces a file: it is linked aside first.
#[test]
fn after_a_power_cut_a_name_aside_goes_though_no_entry_tells_of_it() {
    let room = Room::new();
    let files: Vec<PathBuf> = (0..20).map(|i| room.path(&format!("file {i}"))).collect();
    files.iter().for_each(|file| std::fs::write(file, file.to_str().unwrap()).unwrap());
    let mut recorder = later(&room);
    for (i, file) in files.iter().enumerate() {
        let aside = room.path(&format!("aside {i}"));
        recorder.foresee(file, Touch::NameGoes).unwrap();
        recorder.foresee(&aside, Touch::New).unwrap();
        std::fs::hard_link(file, &aside).unwrap();
    }
    let new = room.path("new");
    recorder.foresee(&new, Touch::New).unwrap();
    std::fs::write(&new, "new").unwrap();
    recorder.foresee(&files[18], Touch::NameGoes).unwrap();
    std::fs::rename(&new, &files[18]).unwrap();
    cut_power(&room, recorder);
    files.iter().for_each(|file| assert_eq!(text(file), file.to_str().unwrap()));
    assert_eq!(
        std::fs::read_dir(room.path("")).unwrap().count(),
        files.len() + 1,
        "with the state directory"
    );
    assert!(store::check(&room.state).unwrap().is_good());
}

/// Where a package brings a directory, it is made under another name and moved.
#[test]
fn after_a_power_cut_a_new_directory_that_was_moved_goes_with_all_that_is_in_it() {
    let room = Room::new();
    let mut recorder = room.recorder();
    let (made, moved) = (room.path("made"), room.path("moved"));
    recorder.foresee(&made, Touch::New).unwrap();
    // Nothing else waits for the disk. (The clock of a file system goes in steps.)
    let durable = journal::durable(&recorder.open().unwrap().journal);
    std::thread::sleep(std::time::Duration::from_millis(50));
    std::fs::create_dir(&made).unwrap();
    recorder.foresee(&made.join("in"), Touch::New).unwrap();
    std::fs::write(made.join("in"), "it").unwrap();
    recorder.foresee_moved(&made, &moved).unwrap();
    std::fs::rename(&made, &moved).unwrap();
    recorder.foresee(&moved.join("later"), Touch::New).unwrap();
    std::fs::write(moved.join("later"), "it").unwrap();
    assert_eq!(journal::durable(&recorder.open().unwrap().journal), durable);
    cut_power(&room, recorder);
    assert!(!made.exists() && !moved.exists());
}

#[test]
fn after_a_power_cut_no_object_shares_its_inode_with_a_living_file() {
    use std::os::unix::fs::MetadataExt;
    let room = Room::new();
    let files: Vec<PathBuf> = (0..20).map(|i| room.path(&format!("file {i}"))).collect();
    files.iter().for_each(|file| std::fs::write(file, file.to_str().unwrap()).unwrap());
    let mut recorder = room.recorder();
    files.iter().for_each(|file| recorder.foresee(file, Touch::NameGoes).unwrap());
    journal::lose_the_rest(&recorder.open().unwrap().journal);
    drop(recorder);
    assert_eq!(files[19].metadata().unwrap().nlink(), 2, "kept by a link");
    journal::pretend_power_cut(&room.state.join("journal"));
    history::recover(&room.state).unwrap();
    files.iter().for_each(|file| assert_eq!(file.metadata().unwrap().nlink(), 1));
    assert!(store::check(&room.state).unwrap().is_good());
}

/// A name that comes and goes, in a directory of its own.
fn come_and_go(recorder: &mut Recorder, path: &Path) {
    recorder.foresee(path, Touch::New).unwrap();
    std::fs::write(path, "x").unwrap();
    recorder.foresee(path, Touch::NameGoes).unwrap();
    std::fs::remove_file(path).unwrap();
    recorder.settle_watched().unwrap();
}

#[test]
fn names_that_came_and_went_are_made_durable() {
    let room = Room::new();
    std::fs::create_dir(room.path("d")).unwrap();
    let mut recorder = room.recorder();
    come_and_go(&mut recorder, &room.path("d/x"));
    assert!(recorder.dirty.has_dir(&room.path("d")));
}

#[test]
fn redo_gives_directories_their_times_again() {
    let room = Room::new();
    std::fs::create_dir(room.path("d")).unwrap();
    let mut recorder = room.recorder();
    come_and_go(&mut recorder, &room.path("d/x"));
    recorder.write(&room.path("a"), &b"a"[..], &Attributes::default()).unwrap();
    recorder.seal(false).unwrap();
    let after = observe(&room.path("d")).unwrap();
    undo_all(&room.state, 0).unwrap();
    assert_ne!(observe(&room.path("d")).unwrap(), after);
    undo_all(&room.state, 1).unwrap();
    assert_eq!(observe(&room.path("d")).unwrap(), after);
}

/// What the witness tells when a name made in the run is written: every name of the inode that it knows.
#[test]
fn a_file_that_is_written_through_a_new_name_is_put_back() {
    let room = Room::new();
    let (a, x) = (room.path("a"), room.path("x"));
    std::fs::write(&a, "old").unwrap();
    let before = observe(&a).unwrap();
    let mut recorder = room.recorder();
    recorder.foresee(&a, Touch::Metadata).unwrap();
    recorder.foresee(&x, Touch::New).unwrap();
    std::fs::hard_link(&a, &x).unwrap();
    [&a, &x].into_iter().for_each(|name| recorder.foresee(name, Touch::Content).unwrap());
    std::fs::write(&x, "new").unwrap();
    recorder.settle_watched().unwrap();
    recorder.seal(false).unwrap();
    assert_eq!(undo_all(&room.state, 0).unwrap().conflicts, []);
    assert!(observe(&a).unwrap() == before && !x.exists());
}

#[test]
fn a_journal_without_a_beginning_says_what_to_do() {
    let room = Room::new();
    let mut recorder = room.recorder();
    recorder.write(&room.path("a"), &b"a"[..], &Attributes::default()).unwrap();
    drop(recorder);
    let journal = room.state.join("journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let error = history::recover(&room.state).unwrap_err().to_string();
    assert!(error.contains("look at it, then move it away"), "{error}");
}

/// Every way to change a file by a name that the run itself gave it.
#[test]
fn what_changes_by_a_new_hard_link_is_put_back_at_the_old_name() {
    type Change = fn(&mut Recorder, &Room);
    let changes: [Change; 5] = [
        |recorder, room| _ = recorder.set(&room.path("new"), &Attributes::mode(0o600), false).unwrap(),
        |recorder, room| _ = recorder.write_in_place(&room.path("new"), &b"changed"[..]).unwrap(),
        |recorder, room| recorder.touch(&room.path("new"), None, Some(Time(5, 6))).unwrap(),
        |recorder, room| {
            _ = recorder.write_in_place(&room.path("new"), &b"changed"[..]).unwrap();
            _ = recorder.write(&room.path("old"), &b"another"[..], &Attributes::default()).unwrap();
        },
        |recorder, room| {
            _ = recorder.set(&room.path("new"), &Attributes::mode(0o600), false).unwrap();
            recorder.remove(&room.path("old")).unwrap();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for killed in [false, true] {
            let room = Room::new();
            std::fs::write(room.path("old"), "old").unwrap();
            std::fs::set_permissions(room.path("old"), std::fs::Permissions::from_mode(0o644)).unwrap();
            let before = observe(&room.path("old")).unwrap();
            let mut recorder = room.recorder();
            recorder.hard_link(&room.path("old"), &room.path("new")).unwrap();
            recorder.begin(Cause { task: "another".into(), ..Cause::default() });
            change(&mut recorder, &room);
            if killed {
                drop(recorder);
                history::recover(&room.state).unwrap();
            } else {
                recorder.seal(false).unwrap();
                assert_eq!(undo_all(&room.state, 0).unwrap().conflicts, [], "{number}");
            }
            assert_eq!(observe(&room.path("old")).unwrap(), before, "{number}, killed: {killed}");
            assert!(!room.path("new").exists(), "{number}, killed: {killed}");
        }
    }
}

#[test]
fn a_rename_that_cannot_be_takes_nothing_for_absent() {
    let room = Room::new();
    for name in ["full", "full/same", "other", "other/same"] {
        std::fs::create_dir(room.path(name)).unwrap();
    }
    let mut recorder = room.recorder();
    recorder.write(&room.path("new"), &b"x"[..], &Attributes::default()).unwrap();
    assert!(recorder.rename(&room.path("full"), &room.path("other")).is_err());
    drop(recorder);
    history::recover(&room.state).unwrap();
    assert!(room.path("other/same").is_dir() && room.path("full/same").is_dir());
    assert!(!room.path("new").exists());
}
