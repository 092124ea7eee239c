//! The planting tool: changes of more than twenty kinds at random places of a host, and where they are.

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

const KINDS: usize = 22;

const PREPARE: &str = r#"set -e
mkdir -p /etc/plank.d /opt/plank /usr/local/share/plank /var/cache/plank
i=0; while [ $i -lt $count ]; do
  for top in /etc/plank.d /opt/plank /usr/local/share/plank; do echo "plank $i of $top" >$top/f$i; done
  mkdir -p /opt/plank/d$i/deep; echo inside >/opt/plank/d$i/deep/file; ln -s f$i /opt/plank/l$i
  i=$((i+1))
done
make() { # name version
  d=/tmp/$1; rm -rf $d; mkdir -p $d/DEBIAN $d/usr/share/$1 $d/etc/$1 $d/lib/systemd/system
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n' $1 $2 >$d/DEBIAN/control
  i=0; while [ $i -lt $count ]; do
    echo "$1 $2 $i" >$d/usr/share/$1/p$i; echo "option $i" >$d/etc/$1/c$i; echo /etc/$1/c$i >>$d/DEBIAN/conffiles
    i=$((i+1))
  done
  if [ $1 = hull ]; then
    echo "of version $2" >$d/usr/share/hull/only$2; echo "new $2" >$d/etc/hull/c0
    cp /bin/true $d/usr/share/hull/helper; chmod 4755 $d/usr/share/hull/helper
    printf '[Service]\nExecStart=/bin/sh -c "while :; do date >>/var/log/hull.log; date >/var/lib/hull/state; logger hull; sleep 1; done"\n[Install]\nWantedBy=multi-user.target\n' >$d/lib/systemd/system/hull.service
    cat >$d/DEBIAN/postinst <<END
#!/bin/sh
set -e
mkdir -p /var/lib/hull; echo made by $2 >/etc/hull/made
getent passwd hull$2 >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin hull$2
update-alternatives --install /usr/bin/hullctl hullctl /usr/share/hull/p$2 10
if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl enable hull; systemctl restart hull; fi
ldconfig
END
    chmod 755 $d/DEBIAN/postinst
  fi
  (cd $d && find usr lib -type f -exec md5sum {} + >DEBIAN/md5sums)
  dpkg-deb -Znone -b $d /var/cache/plank/$1_$2_all.deb >/dev/null; rm -rf $d
}
make mast 1; make hull 1; make hull 2
dpkg -i /var/cache/plank/mast_1_all.deb /var/cache/plank/hull_1_all.deb >/dev/null
echo 'deb [trusted=yes] file:/var/cache/plank ./' >/etc/apt/sources.list.d/plank.list
"#;

const WEATHER: &str = r#"set -e
export DEBIAN_FRONTEND=noninteractive
cd /var/cache/plank
for deb in *%*.deb; do test ! -e $deb || mv $deb $(echo $deb | tr % _); done
for deb in *.deb; do
  dpkg-deb -f $deb
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $deb $(stat -c %s $deb) $(sha256sum <$deb | cut -d' ' -f1)
done >Packages
only='-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/plank.list -o Dir::Etc::sourceparts=-'
apt-get -q update $only -o APT::Get::List-Cleanup=0 >/dev/null
apt-get -q -y $only -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef upgrade >/tmp/upgrade.log 2>&1 || { tail -n 30 /tmp/upgrade.log >&2; exit 1; }
grep -h '^[0-9]* upgraded' /tmp/upgrade.log
dpkg-query -W -f '${Version}\n' hull | grep -qx 2
for i in 1 2 3; do echo line >>/var/log/daemon.log; logger -s hello 2>/dev/null || true; done
mkdir -p /var/cache/some /var/lib/some; date >/var/cache/some/x; date >/var/lib/some/state; ldconfig
if command -v logrotate >/dev/null; then logrotate -f /etc/logrotate.conf >/dev/null 2>&1 || true; fi
if [ -d /run/systemd/system ]; then
  systemctl start systemd-tmpfiles-clean.service dpkg-db-backup.service man-db.service 2>/dev/null || true
  test "$(systemctl is-active hull)" = active
fi
"#;

impl Field {
    pub(crate) fn new(changes: usize, seed: u64) -> Self {
        Self { changes, seed }
    }

    /// Files of ours, known at the first look: each change has one of its own. Packages that list some, a service that
    /// writes all the time, and an archive with a newer version of one package.
    pub(crate) fn prepare(&self, host: &LabHost) {
        let script = format!("count={}\n{PREPARE}", self.changes);
        host.run("sh", &["-c", &script]).unwrap();
    }

    /// A day in the life of a host: an upgrade of its packages by all that is in the archive, and what services and
    /// timers write.
    pub(crate) fn weather(&self, host: &LabHost) {
        println!("{}: {}", host.name, host.run("sh", &["-c", WEATHER]).unwrap().trim());
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
        19 => other(
            format!("echo '* * * * * root true' >/etc/cron.d/rogue{i}"),
            format!("/etc/cron.d/rogue{i}"),
        ),
        20 => other(format!("useradd -M rogue{i}"), format!("user:rogue{i}")),
        _ => other(
            format!(
                "printf '[Service]\\nExecStart=/bin/sleep 9999\\n' >/etc/systemd/system/rogue{i}.service; \
                 if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl start rogue{i}; fi"
            ),
            format!("/etc/systemd/system/rogue{i}.service"),
        ),
    }
}
