//! The reference runs: a tree, and what is done to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use base64::Engine;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use serde_json::{Value, json};

type Steps = fn(&Path) -> Vec<(&'static str, Value)>;

/// A run that is known before it begins.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    steps: Steps,
    /// The run is made first, in peace; the trial is about taking it back.
    pub(crate) undo: bool,
    /// Programs without which it cannot be.
    pub(crate) needs: &'static [&'static str],
}

const RUNS: &[(&str, Steps, &[&str])] = &[
    ("writes", writes, &[]),
    ("attributes", attributes, &[]),
    ("removal", removal, &[]),
    ("links", links, &[]),
    ("shell", shell, &["sh", "setfattr"]),
    ("package", package, &["dpkg", "dpkg-deb"]),
    ("archive", archive, &["tar"]),
    ("mixture", mixture, &["sh"]),
    ("many", many, &["sh"]),
    ("beside", beside, &["sh"]),
];

/// Every reference run, and the undo of each.
pub(crate) fn all() -> Vec<Scenario> {
    let forth = RUNS.iter().map(|(name, steps, needs)| Scenario { name, steps: *steps, undo: false, needs });
    let back = RUNS.iter().map(|(name, steps, needs)| Scenario { name, steps: *steps, undo: true, needs });
    forth.chain(back).collect()
}

impl Scenario {
    /// `undo of writes`
    pub(crate) fn title(&self) -> String {
        if self.undo { format!("undo-of-{}", self.name) } else { self.name.to_owned() }
    }

    pub(crate) fn calls(&self, tree: &Path) -> Vec<(&'static str, Value)> {
        (self.steps)(tree)
    }

    /// The program that is missing here.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.needs.iter().copied().find(|program| !on_path(program))
    }
}

pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(more).any(|dir| dir.join(program).is_file())
}

fn at(tree: &Path, name: &str) -> String {
    tree.join(name).to_string_lossy().into_owned()
}

fn copy(tree: &Path, name: &str, content: &str, mode: Option<&str>) -> (&'static str, Value) {
    let inline = base64::prelude::BASE64_STANDARD.encode(content);
    let digest = blake3::hash(content.as_bytes()).to_hex().to_string();
    let mut args =
        json!({"dest": at(tree, name), "_content": digest, "_inline": inline, "_size": content.len()});
    if let Some(mode) = mode {
        args["mode"] = json!(mode);
    }
    ("copy", args)
}

/// Fifty files: half of them new.
fn writes(tree: &Path) -> Vec<(&'static str, Value)> {
    let one = |i: usize| {
        let (name, content) = (format!("etc/file-{i:02}"), format!("setting = new {i}\n").repeat(i + 1));
        copy(tree, &name, &content, i.is_multiple_of(3).then_some("0640"))
    };
    (0..50).map(one).collect()
}

fn attributes(tree: &Path) -> Vec<(&'static str, Value)> {
    let file = |name: &str, more: Value| {
        let mut args = more;
        args["path"] = json!(at(tree, name));
        ("file", args)
    };
    vec![
        copy(tree, "etc/file-01", "from a template\n", Some("0600")),
        file("etc/file-01", json!({"owner": "1234", "group": "2345"})),
        file("etc/file-02", json!({"mode": "4755"})),
        file("etc/file-03", json!({"owner": "77", "mode": "u=rw,go="})),
        file("site", json!({"state": "directory", "recurse": true, "mode": "u=rwX,g=rX,o=", "owner": "33"})),
        ("lineinfile", json!({"path": at(tree, "etc/file-05"), "line": "one more line"})),
        ("replace", json!({"path": at(tree, "etc/file-06"), "regexp": "setting", "replace": "value"})),
        (
            "blockinfile",
            json!({"path": at(tree, "etc/file-07"), "block": "a\nb\nc", "mode": "0444", "owner": "5"}),
        ),
        file("etc/empty", json!({"state": "touch", "mode": "0604"})),
    ]
}

fn removal(tree: &Path) -> Vec<(&'static str, Value)> {
    vec![
        ("file", json!({"path": at(tree, "site"), "state": "absent"})),
        ("file", json!({"path": at(tree, "etc/file-03"), "state": "absent"})),
        ("file", json!({"path": at(tree, "etc/twin"), "state": "absent"})),
        copy(tree, "site", "a file where a tree was\n", None),
    ]
}

fn links(tree: &Path) -> Vec<(&'static str, Value)> {
    vec![
        ("file", json!({"src": "file-01", "path": at(tree, "etc/new-link"), "state": "link"})),
        ("file", json!({"src": "file-02", "path": at(tree, "etc/file-03"), "state": "link", "force": true})),
        ("file", json!({"src": at(tree, "etc/file-04"), "path": at(tree, "etc/hard"), "state": "hard"})),
        (
            "file",
            json!({"src": at(tree, "etc/file-04"), "path": at(tree, "etc/file-05"), "state": "hard", "force": true}),
        ),
        copy(tree, "etc/file-04", "the group is broken up\n", None),
        ("file", json!({"src": "../etc", "path": at(tree, "site/link"), "state": "link", "force": true})),
        ("file", json!({"path": at(tree, "new/deep/tree"), "state": "directory", "mode": "0750"})),
        ("copy", json!({"src": at(tree, "site/"), "dest": at(tree, "new/deep/copy/"), "remote_src": true})),
    ]
}

const SCRIPT: &str = r#"set -e
cd "$1"
mv etc/file-01 etc/moved
mv site/a site/elsewhere
ln etc/file-02 etc/second-name
echo "in place" >> etc/second-name
: > etc/file-03
printf 'short' > etc/file-04
chmod 0711 etc/file-05
chown 11:12 etc/file-06
ln -sf file-07 etc/link
mkfifo etc/new-pipe
mknod etc/new-device c 1 3
rm -r site/b
mkdir -p var/new/deep
for i in 1 2 3 4 5 6; do echo "$i" > "var/new/deep/$i"; done
mv var/new/deep/6 etc/file-08
sed -i s/setting/changed/ etc/file-09
touch -d '2001-02-03 04:05:06' etc/file-10
rm etc/twin
setfattr -n user.new -v value etc/file-11
cp -a etc/file-12 etc/copy-of-12
truncate -s 100000 var/sparse
mv -T site/elsewhere site/a
sync etc/file-04
"#;

fn shell(tree: &Path) -> Vec<(&'static str, Value)> {
    vec![("command", json!({"argv": ["sh", "-c", SCRIPT, "sh", tree.to_string_lossy()]}))]
}

/// Three names of the host at the same time, after and before a task of its own: a directory that all change, a file that
/// all append to, names that one makes and another may find.
fn beside(tree: &Path) -> Vec<(&'static str, Value)> {
    let script = "cd \"$1\"\nmv etc/file-0$2 etc/moved-$2\necho $2 >> etc/moved-$2\nrm etc/file-1$2\nmkdir -p new/$2\n\
                  echo same >> etc/file-20\nln -f etc/file-20 new/$2/again\nchmod 0600 etc/file-2$2\necho new > new/$2/file\n\
                  mv new/$2/file new/$2/named\n: > etc/file-3$2\n";
    let lane = |lane: u32| {
        let argv = json!(["sh", "-ec", script, "sh", tree.to_string_lossy(), lane.to_string()]);
        ("command", json!({"argv": argv, "_lane": lane}))
    };
    let own = || copy(tree, "etc/file-20", "before\n", None);
    [vec![own()], (1..4).map(lane).collect(), vec![copy(tree, "etc/file-04", "after\n", None)]].concat()
}

fn package(tree: &Path) -> Vec<(&'static str, Value)> {
    let deb = tree.with_file_name("cache").join("trial_2.deb");
    let root = format!("--root={}", tree.display());
    let argv =
        json!(["dpkg", root, "--log=/dev/null", "--force-script-chrootless", "--force-confnew", "-i", deb]);
    vec![("command", json!({"argv": argv}))]
}

fn archive(tree: &Path) -> Vec<(&'static str, Value)> {
    let tar = tree.with_file_name("cache").join("trial.tar");
    vec![
        ("unarchive", json!({"src": tar, "dest": at(tree, "site"), "remote_src": true})),
        ("file", json!({"path": at(tree, "site/packed"), "mode": "0700"})),
    ]
}

fn mixture(tree: &Path) -> Vec<(&'static str, Value)> {
    let script = format!("cd '{}' && mv etc/file-01 etc/renamed && echo more >> etc/renamed", tree.display());
    vec![
        copy(tree, "etc/file-01", "written, then moved by a program\n", None),
        ("command", json!({"argv": ["sh", "-c", script]})),
        copy(tree, "etc/renamed", "and written again\n", Some("0611")),
        ("file", json!({"path": at(tree, "etc/renamed"), "owner": "9"})),
        ("lineinfile", json!({"path": at(tree, "etc/file-02"), "line": "last"})),
        ("file", json!({"path": at(tree, "etc/file-02"), "state": "absent"})),
    ]
}

/// More names of one directory than are made durable one by one, each another way.
fn many(tree: &Path) -> Vec<(&'static str, Value)> {
    let script = "set -e\ncd \"$1\"\nrm etc/file-0[0-3]\nfor i in 4 5 6 7 8 9; do mv etc/file-0$i etc/moved-$i; done\n\
                  for i in 10 11 12; do mv etc/file-$i site/a/; done\nmv etc/file-13 etc/file-14\nmv etc/moved-4 etc/file-15\n\
                  echo more >> etc/moved-5\nchmod 0600 etc/moved-6\nmv etc/moved-7 etc/file-00\nrm etc/file-16 etc/file-17\n\
                  mkdir etc/new\nmv etc/file-18 etc/file-19 etc/new/\nln etc/file-21 etc/again\n";
    vec![
        copy(tree, "etc/file-22", "as before: setting = old 1\n", None),
        ("command", json!({"argv": ["sh", "-c", script, "sh", tree.to_string_lossy()]})),
        copy(tree, "etc/file-23", "new\n", Some("0600")),
        ("file", json!({"path": at(tree, "etc/file-24"), "state": "absent"})),
    ]
}

/// The tree before a run: the same at every trial, times included.
pub(crate) fn furnish(tree: &Path) -> Result<()> {
    for dir in
        ["etc", "site/a/deep", "site/b", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"]
    {
        fs::create_dir_all(tree.join(dir))?;
    }
    for i in 0..25 {
        let path = tree.join(format!("etc/file-{i:02}"));
        fs::write(&path, format!("setting = old {i}\n").repeat(3 * i + 1))?;
        fs::set_permissions(
            &path,
            fs::Permissions::from_mode(if i.is_multiple_of(2) { 0o644 } else { 0o600 }),
        )?;
    }
    for name in ["a/one", "a/deep/two", "b/three", "b/four"] {
        fs::write(tree.join("site").join(name), format!("this is {name}\n"))?;
    }
    fs::hard_link(tree.join("site/a/one"), tree.join("site/b/one-again"))?;
    fs::hard_link(tree.join("etc/file-20"), tree.join("etc/twin"))?;
    std::os::unix::fs::symlink("file-01", tree.join("etc/link"))?;
    std::os::unix::fs::symlink("nowhere", tree.join("site/link"))?;
    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(CWD, tree.join("site/pipe"), FileType::Fifo, mode, 0)?;
    rustix::fs::chownat(
        CWD,
        tree.join("etc/file-02"),
        Some(rustix::fs::Uid::from_raw(1)),
        Some(rustix::fs::Gid::from_raw(2)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    // Some file systems know no such attributes; then the trial is without them.
    _ = rustix::fs::lsetxattr(tree.join("etc/file-03"), "user.note", b"kept", XattrFlags::empty());
    _ = rustix::fs::lsetxattr(tree.join("site/a"), "user.note", b"kept too", XattrFlags::empty());
    _ = rustix::fs::lsetxattr(tree.join("etc/file-06"), "system.posix_acl_access", ACL, XattrFlags::empty());
    for name in ["status", "available", "diversions", "statoverride"] {
        fs::write(tree.join("var/lib/dpkg").join(name), "")?;
    }
    Ok(())
}

/// `u::rw- u:5:r-- g::r-- m::r-- o::---`
const ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 5, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16,
    0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];

/// Times that no run would make.
pub(crate) fn set_times(tree: &Path) -> Result<()> {
    let mut all = Vec::new();
    list(tree, &mut all)?;
    // The deepest first, so that a directory's own time stays.
    for (index, path) in all.iter().rev().enumerate() {
        let time = Timespec { tv_sec: 1_600_000_000 + index as i64, tv_nsec: 123_456_000 + index as i64 };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn list(path: &Path, all: &mut Vec<std::path::PathBuf>) -> Result<()> {
    all.push(path.to_owned());
    if fs::symlink_metadata(path)?.is_dir() {
        let mut below: Vec<_> = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
        below.sort_by_key(fs::DirEntry::file_name);
        below.iter().try_for_each(|entry| list(&entry.path(), all))?;
    }
    Ok(())
}

/// Packages and archives that the runs use: beside the tree, made once.
pub(crate) fn make_cache(cache: &Path) -> Result<()> {
    if cache.join("trial.tar").exists() {
        return Ok(());
    }
    fs::create_dir_all(cache)?;
    for version in 1..=2 {
        let dir = cache.join(format!("deb-{version}"));
        fs::create_dir_all(dir.join("DEBIAN"))?;
        fs::create_dir_all(dir.join("usr/share/trial"))?;
        fs::create_dir_all(dir.join("etc/trial"))?;
        let control = format!(
            "Package: trial\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: a trial\n"
        );
        fs::write(dir.join("DEBIAN/control"), control)?;
        fs::write(dir.join("DEBIAN/conffiles"), "/etc/trial/conf\n")?;
        let script = "#!/bin/sh\nset -e\nmkdir -p \"$DPKG_ROOT/var/trial\"\necho \"$1 $2\" >> \"$DPKG_ROOT/var/trial/configured\"\n";
        fs::write(dir.join("DEBIAN/postinst"), script)?;
        fs::set_permissions(dir.join("DEBIAN/postinst"), fs::Permissions::from_mode(0o755))?;
        fs::write(dir.join("etc/trial/conf"), format!("version = {version}\n"))?;
        for i in 0..6 + version {
            fs::write(dir.join(format!("usr/share/trial/{i}")), format!("{version} {i}\n"))?;
        }
        if on_path("dpkg-deb") {
            let deb = cache.join(format!("trial_{version}.deb"));
            quietly(
                Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "-b"]).arg(&dir).arg(deb),
            )?;
        }
    }
    let packed = cache.join("tar/packed");
    fs::create_dir_all(packed.join("deep"))?;
    for i in 0..12 {
        fs::write(packed.join(format!("file-{i}")), format!("packed {i}\n"))?;
    }
    fs::hard_link(packed.join("file-0"), packed.join("deep/hard"))?;
    std::os::unix::fs::symlink("file-1", packed.join("deep/soft"))?;
    let tar = cache.join("trial.tar");
    quietly(Command::new("tar").arg("-C").arg(cache.join("tar")).arg("-cf").arg(tar).arg("packed"))
}

/// The first version of the package, installed.
pub(crate) fn install_first(tree: &Path) -> Result<()> {
    let deb = tree.with_file_name("cache").join("trial_1.deb");
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", tree.display()));
    quietly(dpkg.args(["--log=/dev/null", "--force-script-chrootless", "--force-unsafe-io", "-i"]).arg(deb))
}

/// Runs a program; what it says is told only when it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", program.display(), output.status, said.trim());
    }
    Ok(())
}
