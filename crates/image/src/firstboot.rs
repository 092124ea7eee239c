//! What an instance makes for itself when it starts for the first time, because an image must not carry it: the keys of
//! its SSH server, the certificate that Debian's `ssl-cert` makes for every machine.

use std::path::Path;
use std::sync::Arc;

use crate::tree::{Node, Tree};

pub(crate) const UNIT: &str = "usr/lib/systemd/system/theseus-identity.service";
pub(crate) const WANTED: &str = "etc/systemd/system/multi-user.target.wants/theseus-identity.service";

/// The files to add, if the image has systemd and something that needs them.
pub(crate) fn files(tree: &Tree) -> Vec<(&'static str, Node)> {
    let has = |path: &str| tree.get(path).is_some();
    let systemd = has("usr/lib/systemd/systemd") || has("lib/systemd/systemd");
    let ssh = has("usr/sbin/sshd") && has("usr/bin/ssh-keygen");
    let snakeoil = has("usr/sbin/make-ssl-cert");
    if !systemd || !(ssh || snakeoil) {
        return Vec::new();
    }
    // Keys take their time on a slow machine, and only the SSH server needs them; the certificate may be anybody's.
    let others = if snakeoil { "basic.target " } else { "" };
    let mut unit = format!(
        "[Unit]\nDescription=What only this machine may have: host keys, a certificate\nDefaultDependencies=no\nAfter=local-fs.target systemd-random-seed.service\nBefore={others}ssh.service sshd.service ssh.socket sshd.socket\nConditionPathIsReadWrite=/etc\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n",
    );
    if ssh {
        unit.push_str("ExecStart=/usr/bin/ssh-keygen -A\n");
    }
    if snakeoil {
        unit.push_str("ExecStart=/bin/sh -c 'test -e /etc/ssl/private/ssl-cert-snakeoil.key || /usr/sbin/make-ssl-cert generate-default-snakeoil'\n");
    }
    unit.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    let dir: Arc<Path> = Arc::from(Path::new("/"));
    let mut files = vec![
        (UNIT, Node::file(&dir, 0o644, unit.as_bytes())),
        (WANTED, Node::link(&dir, b"/usr/lib/systemd/system/theseus-identity.service")),
    ];
    for parent in ["etc/systemd/system/multi-user.target.wants", "etc/systemd/system", "etc/systemd"] {
        if !has(parent) {
            files.insert(0, (parent, Node::dir(&dir, 0o755)));
        }
    }
    files
}
