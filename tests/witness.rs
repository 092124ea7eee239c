//! Programs under watch on a real Debian with systemd: everything that they changed is in the layer, as an independent
//! tool saw it before; and an undo brings the whole tree back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab::{HostOptions, InitKind, Lab, LabHost};
use layer::{Kind, PathState};

use crate::common::{Project, lab_is_possible};

const PACKAGES: &[&str] = &[
    "nginx-light",
    "git",
    "python3",
    "redis-server",
    "memcached",
    "rsyslog",
    "vim-nox",
    "haproxy",
    "man-db",
    "curl",
    "gnupg",
    "logrotate",
    "xz-utils",
    "bzip2",
    "rsync",
];

const SITE: &str = r"
- hosts: all
  gather_facts: false
  tasks:
    - name: install
      shell: DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends install /var/debs/*.deb
    - name: purge
      apt: {name: [memcached, haproxy], state: absent, purge: true}
    - name: by hand
      shell: |
        set -e
        cd /srv/old
        mv moved moved-to; mv tree grove; echo more >> grown; : > cut; ln linked second; echo more >> second
        chmod 4711 mode; chown 1:1 owned; rm gone; rm -r deep; mkfifo pipe; mknod null c 1 3; ln -sfn other way
        mv first swap; mv other-file first; mv swap other-file; touch -d 2001-02-03 dated
        dd if=/dev/zero of=sparse bs=1 count=1 seek=5M status=none
    - name: origin
      shell: |
        set -e
        git init -q /srv/origin; cd /srv/origin
        for i in $(seq 200); do mkdir -p d$i; echo $i > d$i/f; done
        git add .; git -c user.name=a -c user.email=a@b commit -q -m one
        git rm -q -r d1; git -c user.name=a -c user.email=a@b commit -q -m two
    - name: checkout
      git: {repo: /srv/origin, dest: /srv/clone}
    - name: older
      command: git -C /srv/clone checkout -q HEAD~1
    - name: archive
      command: tar -x -f /var/many.tar -C /srv/old/many
";

const SETTING: &str = "
mkdir -p /srv/old/tree/a /srv/old/deep/er /srv/old/many /srv/old/other; cd /srv/old
for f in moved tree/one tree/a/two grown cut linked mode owned gone deep/er/x first other-file dated; do echo content of $f > $f; done
ln linked also; ln -s tree way; truncate -s 6M sparse; setfattr -n user.note -v kept mode 2>/dev/null || true
mkdir /tmp/m; cd /tmp/m; for d in $(seq 100); do mkdir $d; for f in $(seq 200); do echo $d/$f > $d/$f; done; done
tar -c -f /var/many.tar -C /tmp/m .; rm -r /tmp/m
";

/// What daemons write by themselves, the record itself, and what is no file of a disk.
const LIVE: &[&str] = &[
    "./proc",
    "./sys",
    "./dev",
    "./run",
    "./tmp",
    "./var/tmp",
    "./var/lib/theseus",
    "./var/log",
    "./var/lib/systemd",
    "./var/lib/redis",
    "./var/lib/rsyslog",
    "./var/spool/rsyslog",
    "./var/lib/nginx",
];

struct Downed(Lab);

impl Drop for Downed {
    fn drop(&mut self) {
        let _ = self.0.down_all();
    }
}

/// The plain Debian that `cargo xtask setup` makes.
fn base() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let base = target.join("conformance-base");
    base.join("usr").is_dir().then_some(base)
}

/// Packages for it, downloaded once; the files.
fn packages(base: &Path) -> Result<Vec<PathBuf>, String> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("witness-packages");
    for dir in ["lists/partial", "archives/partial", "none/partial"] {
        std::fs::create_dir_all(cache.join(dir)).unwrap();
    }
    let apt = |archives: &str, words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-y", "--no-install-recommends"]);
        for (name, value) in [
            ("Debug::NoLocking", "1".to_owned()),
            ("Dir::State::lists", cache.join("lists").display().to_string()),
            ("Dir::Cache::archives", cache.join(archives).display().to_string()),
            ("Dir::State::status", base.join("var/lib/dpkg/status").display().to_string()),
            ("APT::Keep-Downloaded-Packages", "true".to_owned()),
        ] {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        let output = command.args(words).args(if words[0] == "update" { &[][..] } else { PACKAGES }).output();
        let output = output.map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(said)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    apt("archives", &["update"])?;
    apt("archives", &["install", "--download-only"])?;
    // Only those that are missing are listed: as if all were.
    let listed = apt("none", &["install", "--print-uris"])?;
    let names = listed.lines().filter_map(|line| line.split_whitespace().nth(1));
    Ok(names.map(|name| cache.join("archives").join(name)).collect())
}

/// Everything about every path, by other tools than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    kind: String,
    mode: u32,
    owner: (u32, u32),
    time: String,
    link: String,
    content: Option<String>,
}

fn look(host: &LabHost) -> (BTreeMap<String, Look>, String) {
    let prune = LIVE.iter().map(|path| format!("-path {path}")).collect::<Vec<_>>().join(" -o ");
    let find = |rest: &str| {
        host.run("sh", &["-c", &format!("cd /; find . -xdev \\( {prune} \\) -prune -o {rest}")]).unwrap()
    };
    let mut all = BTreeMap::new();
    for line in find("-printf '%p\\t%y\\t%m\\t%U\\t%G\\t%T@\\t%l\\n'").lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let number = |n: usize| words[n].parse().unwrap();
        let look = Look {
            kind: words[1].to_owned(),
            mode: u32::from_str_radix(words[2], 8).unwrap(),
            owner: (number(3), number(4)),
            time: words[5].to_owned(),
            link: words[6].to_owned(),
            content: None,
        };
        all.insert(words[0][1..].to_owned(), look);
    }
    for line in find("-type f -print0 | xargs -0 sha256sum").lines() {
        let (sum, path) = line.split_once("  ").unwrap();
        if let Some(look) = all.get_mut(&path[1..]) {
            look.content = Some(sum.to_owned());
        }
    }
    let attributes = find("-print0 | xargs -0 getfattr -h -d -m - 2>/dev/null || true");
    (all, attributes)
}

/// Whether the record of a path is what the other tools saw there.
fn same(look: Option<&Look>, state: Option<&PathState>) -> bool {
    let (look, state) = match (look, state) {
        (None, None) => return true,
        (Some(look), Some(state)) => (look, state),
        _ => return false,
    };
    let kind = match &state.kind {
        Kind::File { .. } => "f",
        Kind::Dir => "d",
        Kind::Symlink { target } => {
            if look.link != target.to_string_lossy() {
                return false;
            }
            "l"
        }
        Kind::Fifo => "p",
        Kind::Char { .. } => "c",
        Kind::Block { .. } => "b",
        Kind::Socket => "s",
    };
    let time = format!("{}.{:09}0", state.mtime.0, state.mtime.1);
    look.kind == kind
        && (look.mode == state.mode || kind == "l")
        && look.owner == (state.uid, state.gid)
        && look.time == time
}

/// The paths that are not alike, except for the times of directories: daemons make and remove files in theirs.
fn differing<'a>(
    one: &'a BTreeMap<String, Look>,
    other: &'a BTreeMap<String, Look>,
) -> impl Iterator<Item = (&'a String, Option<&'a Look>, Option<&'a Look>)> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let all = names.into_iter().map(|name| (name, one.get(name), other.get(name)));
    all.filter(|(_, old, new)| match (old, new) {
        (Some(old), Some(new)) if old.kind == "d" => {
            (old.mode, old.owner, &old.kind) != (new.mode, new.owner, &new.kind)
        }
        _ => old != new,
    })
}

#[test]
fn nothing_that_programs_do_goes_unseen() {
    const NAME: &str = "nothing_that_programs_do_goes_unseen";
    if !lab_is_possible(NAME) {
        return;
    }
    let Some(base) = base() else {
        println!("SKIPPED {NAME}: needs the plain Debian that `cargo xtask setup` makes");
        return;
    };
    let packages = match packages(&base) {
        Ok(packages) => packages,
        Err(why) => {
            println!(
                "SKIPPED {NAME}: packages cannot be downloaded: {}",
                why.lines().last().unwrap_or_default()
            );
            return;
        }
    };
    let pool = format!("seen{}", std::process::id());
    let lab = Downed(Lab::pool(&pool).unwrap());
    let options =
        HostOptions { tied: true, base: Some(base), init: InitKind::Systemd, ..HostOptions::new("one") };
    let host = lab.0.up(&[options]).unwrap().remove(0);
    host.wait_ready(Duration::from_secs(60)).unwrap();
    host.run("mkdir", &["/var/debs"]).unwrap();
    for package in &packages {
        let place = Path::new("/var/debs").join(package.file_name().unwrap());
        host.copy_in(place, &std::fs::read(package).unwrap(), 0o644).unwrap();
    }
    host.run("sh", &["-c", SETTING]).unwrap();
    let inventory = format!("one ansible_connection=lab theseus_lab_pool={pool}\n");
    let project = Project::new(&[
        ("hosts", &inventory),
        ("ansible.cfg", "[defaults]\ninventory = hosts\n"),
        ("site.yml", SITE),
    ]);

    let (before, attributes) = look(&host);
    project.run(&["apply", "site.yml"]).fine();
    let (after, _) = look(&host);

    let copy = project.root.join("record/layers");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::write(copy.join("000001.jsonl"), host.read("/var/lib/theseus/layers/000001.jsonl").unwrap())
        .unwrap();
    let layer = layer::history::read(&project.root.join("record"), 1).unwrap();
    let mut first: BTreeMap<String, Option<&PathState>> = BTreeMap::new();
    for step in &layer.steps {
        first.entry(step.path.to_string_lossy().into_owned()).or_insert(step.before.as_ref());
    }
    let mut wrong = Vec::new();
    let mut changed = 0;
    for (name, old, new) in differing(&before, &after) {
        changed += 1;
        match first.get(name) {
            // Another name of a file that is in the layer by the name it was written by.
            None if name == "/srv/old/also" => {}
            None => wrong.push(format!("{name} is not in the layer: {old:?} {new:?}")),
            Some(state) if !same(old, *state) => {
                wrong.push(format!("{name} was {old:?}, recorded as {state:?}"))
            }
            Some(_) => {}
        }
    }
    assert!(packages.len() >= 60, "{} packages", packages.len());
    assert!(changed > 20_000 + packages.len(), "{changed} paths");
    assert!(wrong.is_empty(), "{} of {changed}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);

    // What the daemons wrote meanwhile is in the way, and goes, too.
    project.run(&["rollback", "one", "--force"]).fine();
    let (back, attributes_back) = look(&host);
    let left: Vec<_> = differing(&before, &back).collect();
    assert!(left.is_empty(), "{}: {:#?}", left.len(), &left[..left.len().min(20)]);
    assert_eq!(attributes, attributes_back);
    assert_eq!(host.run("dpkg", &["--audit"]).unwrap(), "");
    host.run("apt-get", &["-qq", "check"]).unwrap();
    println!("{} packages, {changed} paths changed, all of them in the layer and taken back", packages.len());
}
