//! The traps, one by one.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use layer::{Recorder, Touch};

use crate::watching::{Log, helper, watch, well};

type Test = (&'static str, fn());

macro_rules! tests {
    ($($name:ident),* $(,)?) => { pub(crate) const ALL: &[Test] = &[$((stringify!($name), $name)),*]; };
}

tests![
    descriptors_without_a_path,
    relative_paths_and_directory_descriptors,
    paths_that_cross_a_page,
    wrong_pointers_stay_the_kernels_matter,
    links_are_followed_or_not,
    threads_with_directories_of_their_own,
    io_uring_is_not_there,
    system_calls_of_32_bits,
    system_calls_of_x32,
    a_daemon_lives_on,
    filters_inside_filters,
    a_tracer_inside,
    signals_while_calls_wait,
    killed_while_a_call_waits,
    sockets_have_names,
    another_root,
    another_mount_namespace,
    orders_to_the_kernel,
    reading_costs_nothing,
    names_that_move,
    a_file_is_replaced_with_care,
    files_without_a_name,
    openat2_has_its_flags_in_memory,
    an_inode_lives_on_under_another_name,
    a_descriptor_whose_name_is_gone,
    setuid_programs_work,
    devices_and_pipes,
    what_cannot_be_kept_is_not_changed,
    a_shell_script_is_taken_back,
];

struct Dir {
    _held: tempfile::TempDir,
    path: PathBuf,
}

fn dir(files: &[&str]) -> Dir {
    let held = tempfile::tempdir().unwrap();
    let path = held.path().canonicalize().unwrap();
    for file in files {
        match file.strip_suffix('/') {
            Some(directory) => std::fs::create_dir_all(path.join(directory)).unwrap(),
            None => std::fs::write(path.join(file), format!("content of {file}")).unwrap(),
        }
    }
    Dir { _held: held, path }
}

impl Dir {
    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn descriptors_without_a_path() {
    let dir = dir(&["mode", "xattr", "times", "owner", "empty", "flags", "noxattr", "size", "hole"]);
    let log = well("descriptors", &dir.path);
    for name in ["mode", "xattr", "times", "owner", "empty", "flags", "noxattr"] {
        assert_eq!(log.count(dir.at(name), Touch::Metadata), 1, "{name}");
    }
    assert_eq!(log.count(dir.at("size"), Touch::Content), 2);
    assert_eq!(log.count(dir.at("hole"), Touch::Content), 2);
    assert_eq!(log.before(dir.at("size")).unwrap(), b"content of size");
}

fn relative_paths_and_directory_descriptors() {
    let dir = dir(&["other/", "other/file", "other/mode"]);
    let log = well("relative", &dir.path);
    log.has(dir.at("sub"), Touch::New);
    log.has(dir.at("sub/made"), Touch::Content);
    log.has(dir.at("sub/made"), Touch::NameGoes);
    log.has(dir.at("up"), Touch::NameGoes);
    log.has(dir.at("other/file"), Touch::NameGoes);
    log.has(dir.at("other/link"), Touch::New);
    log.has(dir.at("other/pipe"), Touch::New);
    log.has(dir.at("other/mode"), Touch::Metadata);
}

fn paths_that_cross_a_page() {
    let dir = dir(&["across", "at-end"]);
    let log = well("pages", &dir.path);
    log.has(dir.at("across"), Touch::NameGoes);
    log.has(dir.at("at-end"), Touch::NameGoes);
    assert_eq!(log.all.len(), 2);
}

fn wrong_pointers_stay_the_kernels_matter() {
    let dir = dir(&[]);
    let log = well("pointers", &dir.path);
    assert!(log.all.is_empty() && log.unseen.is_empty() && log.irreversible.is_empty());
}

fn links_are_followed_or_not() {
    let dir = dir(&["target", "real/", "real/cut"]);
    for (name, to) in [
        ("link", "target"),
        ("own-link", "target"),
        ("time-link", "target"),
        ("gone-link", "target"),
        ("dangling", "real/../born"),
        ("way", "real"),
        ("round", "round"),
    ] {
        symlink(to, dir.at(name)).unwrap();
    }
    let log = well("links", &dir.path);
    log.has(dir.at("target"), Touch::Metadata);
    log.has(dir.at("own-link"), Touch::Metadata);
    log.has(dir.at("time-link"), Touch::Metadata);
    assert_eq!(log.count(dir.at("target"), Touch::Metadata), 1);
    log.has(dir.at("gone-link"), Touch::NameGoes);
    log.has(dir.at("born"), Touch::Content);
    log.lacks(dir.at("dangling"));
    log.has(dir.at("real/cut"), Touch::Content);
    log.lacks(dir.at("way/cut"));
    log.lacks(dir.at("round"));
}

fn threads_with_directories_of_their_own() {
    let dir = dir(&["one/", "two/"]);
    let log = well("threads", &dir.path);
    log.has(dir.at("one/made"), Touch::New);
    log.has(dir.at("two/made"), Touch::New);
}

fn io_uring_is_not_there() {
    assert!(well("uring", &dir(&[]).path).all.is_empty());
}

fn system_calls_of_32_bits() {
    if !cfg!(target_arch = "x86_64") {
        println!("SKIPPED system_calls_of_32_bits: for x86_64 only");
        return;
    }
    let dir = dir(&["gone"]);
    let log = well("narrow", &dir.path);
    log.has(dir.at("gone"), Touch::NameGoes);
    log.has(dir.at("made"), Touch::Content);
    log.has(dir.at("made"), Touch::Metadata);
    log.has(dir.at("dir"), Touch::New);
}

fn system_calls_of_x32() {
    if !cfg!(target_arch = "x86_64") {
        println!("SKIPPED system_calls_of_x32: for x86_64 only");
        return;
    }
    let dir = dir(&["gone"]);
    well("x32", &dir.path).has(dir.at("gone"), Touch::NameGoes);
}

fn a_daemon_lives_on() {
    let dir = dir(&[]);
    let mut log = Log::default();
    let (seen, output, listener) = watch(helper("daemon", &dir.path), &mut log);
    assert!(output.status.success() && seen.alive, "{seen:?}");
    // Handed on to a supervisor, as the agent does.
    let handed = rustix::io::fcntl_dupfd_cloexec(listener.descriptor(), 10).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("supervise").stdin(Stdio::null());
    let number = std::os::fd::AsRawFd::as_raw_fd(&handed);
    // SAFETY: one system call.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, move || {
            if libc::dup2(number, witness::LISTENER) < 0 {
                Err(std::io::Error::last_os_error())
            } else {
                Ok(())
            }
        });
    }
    let mut supervisor = command.spawn().unwrap();
    drop((handed, listener));
    std::fs::write(dir.at("go"), "").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !dir.at("late").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(dir.at("late").exists(), "the daemon could not go on");
    assert!(supervisor.wait().unwrap().success());
    log.lacks(dir.at("late"));
}

fn filters_inside_filters() {
    let dir = dir(&["gone"]);
    let log = well("nested", &dir.path);
    if cfg!(target_arch = "x86_64") {
        log.has(dir.at("gone"), Touch::NameGoes);
        log.lacks(dir.at("made"));
    }
}

fn a_tracer_inside() {
    let dir = dir(&["gone"]);
    well("tracer", &dir.path).has(dir.at("gone"), Touch::NameGoes);
}

fn signals_while_calls_wait() {
    let dir = dir(&[]);
    let mut log = Log {
        each: Some(Box::new(|_| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        })),
        ..Log::default()
    };
    let (seen, output, _) = watch(helper("signals", &dir.path), &mut log);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(seen.error.is_none());
    assert!(log.count(dir.at("f199"), Touch::NameGoes) >= 1);
}

fn killed_while_a_call_waits() {
    let dir = dir(&["a"]);
    let file = dir.at("a");
    let mut log = Log {
        each: Some(Box::new(move |path| {
            assert_eq!(path, file);
            // Whoever waits for us is the helper: the only child of ours that has this directory as its own.
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let there = std::fs::read_link(entry.path().join("cwd")).ok();
                if there.as_deref() == file.parent() {
                    let pid = entry.file_name().to_string_lossy().parse().unwrap();
                    rustix::process::kill_process(
                        rustix::process::Pid::from_raw(pid).unwrap(),
                        rustix::process::Signal::KILL,
                    )
                    .unwrap();
                }
            }
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        })),
        ..Log::default()
    };
    let (seen, output, _) = watch(helper("unlink", &dir.path), &mut log);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(9));
    assert!(seen.error.is_none() && !seen.alive, "{seen:?}");
    assert!(dir.at("a").exists());
}

fn sockets_have_names() {
    let dir = dir(&[]);
    well("socket", &dir.path).has(dir.at("here.sock"), Touch::New);
}

fn another_root() {
    let dir = dir(&["root/", "root/inside/"]);
    symlink("/inside", dir.at("root/way")).unwrap();
    let log = well("chroot", &dir.path);
    for name in ["made", "relative", "inside/below", "top"] {
        log.has(dir.at("root").join(name), Touch::New);
    }
    assert!(log.irreversible.is_empty() && log.unseen.is_empty());
}

fn another_mount_namespace() {
    let dir = dir(&["m/"]);
    let log = well("namespace", &dir.path);
    log.has(dir.at("shared"), Touch::New);
    log.lacks(dir.at("m/hidden"));
    let hidden = dir.at("m/hidden").display().to_string();
    assert!(log.irreversible.iter().any(|said| said.contains(&hidden)), "{:?}", log.irreversible);
    assert!(!log.irreversible.iter().any(|said| said.starts_with("mounted")), "{:?}", log.irreversible);
}

fn orders_to_the_kernel() {
    let dir = dir(&[]);
    let log = well("kernel", &dir.path);
    let disk = format!("opened the block device {} for writing", dir.at("disk").display());
    let mount = format!("mounted {}", dir.at("nowhere").display());
    assert_eq!(log.irreversible, ["changed the kernel's /proc/sys/vm/swappiness", &disk, &mount]);
    log.has(dir.at("disk"), Touch::New);
    assert_eq!(log.all.len(), 1);
}

fn reading_costs_nothing() {
    let dir = dir(&["a"]);
    let mut log = Log::default();
    let (seen, output, _) = watch(helper("reading", &dir.path), &mut log);
    assert!(output.status.success());
    // One is the standard input of the program that it starts, others new processes' ways of starting.
    assert!(seen.calls <= 3, "{}", seen.calls);
    assert!(log.all.is_empty());
}

fn names_that_move() {
    let dir = dir(&["old", "over", "taken", "tree/", "tree/x", "left", "right", "empty/"]);
    let log = well("renames", &dir.path);
    for name in ["old", "new", "over", "taken", "left", "right", "empty"] {
        log.has(dir.at(name), Touch::NameGoes);
    }
    assert_eq!(log.moved, [(dir.at("tree"), dir.at("moved"))]);
    log.has(dir.at("moved/in"), Touch::New);
    log.has(dir.at("second"), Touch::New);
    log.has(dir.at("moved/by-link"), Touch::New);
    log.has(dir.at("empty/direct"), Touch::New);
}

fn a_file_is_replaced_with_care() {
    let dir = dir(&["file"]);
    let log = well("replaces", &dir.path);
    let told: Vec<_> = log.all.iter().map(|(path, touch, _)| (path.clone(), *touch)).collect();
    let expected = [
        ("added", Touch::NameGoes),
        ("file.new", Touch::Content),
        // It is kept while it has one name.
        ("file", Touch::NameGoes),
        ("file.aside", Touch::New),
        ("file.new", Touch::NameGoes),
        ("file", Touch::NameGoes),
        ("file.aside", Touch::NameGoes),
    ];
    assert_eq!(told, expected.map(|(name, touch)| (dir.at(name), touch)), "nothing of what is not there");
}

fn files_without_a_name() {
    let dir = dir(&[]);
    let log = well("tmpfile", &dir.path);
    log.has(dir.at("named"), Touch::New);
    assert_eq!(log.all.len(), 1);
    assert!(log.unseen.is_empty(), "{:?}", log.unseen);
}

fn openat2_has_its_flags_in_memory() {
    let dir = dir(&["root/"]);
    let log = well("openat2", &dir.path);
    assert_eq!(log.count(dir.at("made"), Touch::Content), 1);
    log.has(dir.at("root/inside"), Touch::Content);
}

fn an_inode_lives_on_under_another_name() {
    let dir = dir(&["a", "c", "e", "g"]);
    let state = tempfile::tempdir_in(dir.path.parent().unwrap()).unwrap();
    let mut recorder = recorder(state.path());
    let (seen, output, _) = watch(helper("lives-on", &dir.path), &mut recorder);
    assert!(output.status.success() && seen.error.is_none(), "{}", String::from_utf8_lossy(&output.stderr));
    recorder.settle_watched().unwrap();
    let steps: Vec<_> = recorder.steps().to_vec();
    recorder.seal(false).unwrap();
    for name in ["a", "c", "e", "g"] {
        let step = steps.iter().find(|step| step.path == dir.at(name)).unwrap();
        // What `g` was is changed by another name.
        assert_eq!(step.after.is_none(), name != "g", "{name}");
        let digest = step.before.as_ref().and_then(layer::PathState::digest).unwrap();
        assert_eq!(digest, layer::Digest::of(format!("content of {name}").as_bytes()), "{name}");
        // What is in the store is still what was there.
        let mut kept = String::new();
        let store = layer::store::Store::new(&state.path().canonicalize().unwrap().join("s"));
        std::io::Read::read_to_string(&mut store.get(digest).unwrap(), &mut kept).unwrap();
        assert_eq!(kept, format!("content of {name}"));
    }
}

fn a_descriptor_whose_name_is_gone() {
    let dir = dir(&["a", "named (deleted)"]);
    let log = well("deleted", &dir.path);
    log.has(dir.at("b"), Touch::Metadata);
    log.has(dir.at("named (deleted)"), Touch::Metadata);
}

fn setuid_programs_work() {
    let dir = dir(&[]);
    std::fs::set_permissions(&dir.path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::copy("/usr/bin/id", dir.at("id")).unwrap();
    std::fs::set_permissions(dir.at("id"), PermissionsExt::from_mode(0o4755)).unwrap();
    let plain = Command::new(dir.at("id")).arg("-u").output().unwrap();
    assert!(plain.status.success());
    well("setuid", &dir.path);
}

fn devices_and_pipes() {
    let dir = dir(&[]);
    let log = well("devices", &dir.path);
    log.has(dir.at("null"), Touch::New);
    log.has(dir.at("pipe"), Touch::New);
    assert_eq!(log.all.len(), 2, "writing to them changes nothing of the host");
}

fn what_cannot_be_kept_is_not_changed() {
    let dir = dir(&["a"]);
    let full = |path: &Path| {
        let source = std::io::Error::from_raw_os_error(libc::ENOSPC);
        Err(layer::Error::Io { doing: "keep", path: path.to_owned(), source })
    };
    let mut log = Log { each: Some(Box::new(full)), ..Log::default() };
    let (seen, output, _) = watch(helper("unlink", &dir.path), &mut log);
    assert_eq!(output.status.code(), Some(libc::ENOSPC));
    assert!(seen.error.is_some());
    assert!(dir.at("a").exists());
}

fn a_shell_script_is_taken_back() {
    let dir = dir(&["text", "cut", "gone", "old", "tree/", "tree/one", "mode"]);
    let state = tempfile::tempdir_in(dir.path.parent().unwrap()).unwrap();
    let before = look(&dir.path);
    let mut recorder = recorder(state.path());
    let script = "echo more >> text; : > cut; rm gone; mv old new; mv tree grove; ln new second; echo x >> second; chmod 600 mode; mkfifo pipe; echo out; echo err >&2; cat /dev/null > /dev/null; (cd grove && echo y > two)";
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).current_dir(&dir.path);
    let (seen, output, _) = watch(command, &mut recorder);
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert!(output.status.success() && seen.error.is_none());
    recorder.settle_watched().unwrap();
    let steps = recorder.steps().to_vec();
    assert!(recorder.seal(false).unwrap().made);
    let step = |name: &str| {
        let found = steps.iter().find(|step| step.path == dir.at(name));
        found.unwrap_or_else(|| panic!("{name} is not in the layer"))
    };
    for (name, before, after) in [
        ("text", true, true),
        ("cut", true, true),
        ("gone", true, false),
        ("old", true, false),
        ("tree/one", true, false),
        ("tree", true, false),
        ("mode", true, true),
        ("new", false, true),
        ("second", false, true),
        ("pipe", false, true),
        ("grove/one", false, true),
        ("grove/two", false, true),
        ("grove", false, true),
    ] {
        assert_eq!((step(name).before.is_some(), step(name).after.is_some()), (before, after), "{name}");
    }
    let kept = |name: &str| step(name).before.as_ref().and_then(layer::PathState::digest);
    for name in ["text", "cut", "gone", "old", "tree/one"] {
        assert_eq!(kept(name), Some(layer::Digest::of(format!("content of {name}").as_bytes())), "{name}");
    }
    let undone = layer::history::undo(
        &state.path().canonicalize().unwrap().join("s"),
        &Default::default(),
        Default::default(),
    );
    let undone = undone.unwrap();
    assert_eq!((undone.conflicts, undone.irreversible), (vec![], vec![]));
    assert_eq!(look(&dir.path), before);
}

fn recorder(base: &Path) -> Recorder {
    Recorder::new(base.canonicalize().unwrap().join("s"), layer::Run::default())
}

/// By other tools than ours.
fn look(dir: &Path) -> String {
    let look = "find . -printf '%p %y %m %U %G %T@ %l\\n' | sort; find . -type f -exec sha256sum {} + | sort";
    let output = Command::new("sh").arg("-c").arg(look).current_dir(dir).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
