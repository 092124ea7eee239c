//! The planting tool: changes of twenty kinds at random places of a host, and where they are.

use std::collections::BTreeSet;
use std::fmt::Write;

use lab::LabHost;

/// How many files and directories of ours the host needs before so many changes can be planted.
pub(crate) struct Field {
    pub(crate) changes: usize,
    seed: u64,
}

/// Where something was planted; what else follows from it (what was in a directory that went) is below it.
pub(crate) struct Planted(pub(crate) BTreeSet<String>);

const KINDS: usize = 20;

impl Field {
    pub(crate) fn new(changes: usize, seed: u64) -> Self {
        Self { changes, seed }
    }

    /// Files of ours, known at the first look: each change has one of its own. Two packages that list some.
    pub(crate) fn prepare(&self, host: &LabHost) {
        let count = self.changes;
        let script = format!(
            r#"set -e
mkdir -p /etc/plank.d /opt/plank /usr/local/share/plank /var/cache/apt/archives
i=0; while [ $i -lt {count} ]; do
  for top in /etc/plank.d /opt/plank /usr/local/share/plank; do echo "plank $i of $top" >$top/f$i; done
  mkdir -p /opt/plank/d$i/deep; echo inside >/opt/plank/d$i/deep/file; ln -s f$i /opt/plank/l$i
  i=$((i+1))
done
make() {{ # name version
  rm -rf /tmp/$1; mkdir -p /tmp/$1/DEBIAN /tmp/$1/usr/share/$1 /tmp/$1/etc/$1
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n' $1 $2 >/tmp/$1/DEBIAN/control
  i=0; while [ $i -lt {count} ]; do
    echo "$1 $2 $i" >/tmp/$1/usr/share/$1/p$i; echo "option $i" >/tmp/$1/etc/$1/c$i; echo /etc/$1/c$i >>/tmp/$1/DEBIAN/conffiles
    i=$((i+1))
  done
  (cd /tmp/$1 && find usr -type f -exec md5sum {{}} + >DEBIAN/md5sums)
  dpkg-deb -Znone -b /tmp/$1 /var/cache/apt/archives/$1_$2_all.deb >/dev/null; rm -rf /tmp/$1
}}
make mast 1; make hull 1; make hull 2
dpkg -i /var/cache/apt/archives/mast_1_all.deb /var/cache/apt/archives/hull_1_all.deb >/dev/null
"#
        );
        host.run("sh", &["-c", &script]).unwrap();
    }

    /// As `apt-get upgrade` and a day of logs would leave the host.
    pub(crate) fn weather(&self, host: &LabHost) {
        let script = "dpkg -i /var/cache/apt/archives/hull_2_all.deb >/dev/null; \
                      for i in 1 2 3; do echo line >>/var/log/daemon.log; logger -s hello 2>/dev/null || true; done; \
                      mkdir -p /var/cache/some /var/lib/some; date >/var/cache/some/x; date >/var/lib/some/state; ldconfig";
        host.run("sh", &["-c", script]).unwrap();
    }

    pub(crate) fn plant(&self, host: &LabHost) -> Planted {
        let mut random = self.seed;
        let mut planted = BTreeSet::new();
        let mut script = String::from("set -e\n");
        for i in 0..self.changes {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Every kind comes first once.
            let kind = if i < KINDS { i } else { (random >> 33) as usize % KINDS };
            let top = ["/etc/plank.d", "/opt/plank", "/usr/local/share/plank"][(random >> 40) as usize % 3];
            let (act, path) = change(kind, i, top);
            _ = writeln!(script, "{act}");
            planted.insert(path);
            if script.len() > 60_000 {
                host.run("sh", &["-c", &std::mem::replace(&mut script, String::from("set -e\n"))]).unwrap();
            }
        }
        host.run("sh", &["-c", &script]).unwrap();
        Planted(planted)
    }
}

/// The change and the path by which it must be told.
fn change(kind: usize, i: usize, top: &str) -> (String, String) {
    let file = format!("{top}/f{i}");
    let act = |act: &str| (format!("{act} {file}"), file.clone());
    let other = |act: String, path: String| (act, path);
    match kind {
        0 => (format!("echo more >>{file}"), file),
        1 => act("chmod 0600"),
        2 => act("chown 1:1"),
        3 => act("rm"),
        4 => other(format!("echo new >{top}/new{i}"), format!("{top}/new{i}")),
        5 => other(format!("cp /bin/true /usr/local/bin/tool{i}"), format!("/usr/local/bin/tool{i}")),
        6 => other(format!("cp /bin/true {top}/root{i}; chmod 4755 {top}/root{i}"), format!("{top}/root{i}")),
        7 => other(format!("ln -sfn /etc/passwd /opt/plank/l{i}"), format!("/opt/plank/l{i}")),
        8 => (format!("ln -sf /etc/hostname {file}"), file),
        9 => (format!("rm {file}; mkdir {file}"), file),
        10 => act("setfattr -n user.rogue -v 1"),
        11 => other(format!("chmod 0777 /opt/plank/d{i}"), format!("/opt/plank/d{i}")),
        12 => other(format!("rm -r /opt/plank/d{i}"), format!("/opt/plank/d{i}")),
        13 => other(format!("echo bad >>/usr/share/mast/p{i}"), format!("/usr/share/mast/p{i}")),
        14 => other(format!("rm /usr/share/mast/p{i}"), format!("/usr/share/mast/p{i}")),
        15 => other(format!("chmod 0666 /usr/share/mast/p{i}"), format!("/usr/share/mast/p{i}")),
        16 => other(format!("echo option bad >/etc/mast/c{i}"), format!("/etc/mast/c{i}")),
        // The same length, and the old time: only the inode's own time tells.
        17 => (
            format!("touch -r {file} /tmp/time; sed -i s/plank/PLANK/ {file}; touch -r /tmp/time {file}"),
            file,
        ),
        18 => other(format!("ln {file} {top}/twin{i}"), format!("{top}/twin{i}")),
        _ => other(
            format!("echo '* * * * * root true' >/etc/cron.d/rogue{i}"),
            format!("/etc/cron.d/rogue{i}"),
        ),
    }
}
