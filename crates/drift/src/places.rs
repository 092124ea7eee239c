//! What kind of place a path is: watched closely, changing by itself, or somebody's data. Names only; nothing is read.

use crate::records::matches;

/// How a change there is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Part of the system: a change must have a reason.
    System,
    /// Changes by itself all the time; which kind of thing it is.
    Volatile(&'static str),
    /// What programs and people work with.
    Data(&'static str),
}

/// Never entered by a scan.
const SKIPPED: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/mnt",
    "/media",
    "/lost+found",
    "/var/tmp",
    "/var/run",
    "/var/lock",
    "/var/cache",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/lib/lxcfs",
    "/var/lib/theseus",
    "/var/crash",
    "/var/log/journal",
    "/snap",
];

/// Where a scan goes; every other directory of the root is somebody's data.
const ENTERED: &[&str] = &[
    "/bin", "/boot", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/root", "/sbin",
    "/srv", "/usr", "/var",
];

/// Changes by itself, and which kind it is.
const VOLATILE: &[(&str, &str)] = &[
    ("/var/log/*", "logs"),
    ("/var/mail/*", "mail"),
    ("/var/spool/mail/*", "mail"),
    ("/var/spool/postfix/*", "mail"),
    ("/var/spool/exim4/*", "mail"),
    ("/var/spool/cups/*", "print jobs"),
    ("/var/spool/rsyslog/*", "logs"),
    ("/var/spool/anacron/*", "time stamps"),
    ("/var/spool/cron/atjobs/.SEQ", "time stamps"),
    ("/var/cache/*", "caches"),
    ("/var/backups/*", "dpkg's copies"),
    ("/var/lib/dpkg/*", "package database"),
    ("/var/lib/apt/*", "package lists"),
    ("/var/lib/systemd/*", "systemd's state"),
    ("/var/lib/dbus/machine-id", "machine id"),
    ("/var/lib/dhcp/*", "leases"),
    ("/var/lib/NetworkManager/*", "leases"),
    ("/var/lib/logrotate/*", "time stamps"),
    ("/var/lib/ucf/*", "package database"),
    ("/var/lib/pam/*", "package database"),
    ("/var/lib/update-notifier/*", "time stamps"),
    ("/var/lib/chrony/*", "clock"),
    ("/var/lib/ntp/*", "clock"),
    ("/var/lib/private/*", "systemd's state"),
    ("/etc/ld.so.cache", "caches"),
    ("/etc/machine-id", "machine id"),
    ("/etc/adjtime", "clock"),
    ("/etc/mtab", "mounts"),
    ("/etc/.pwd.lock", "locks"),
    ("/etc/.updated", "time stamps"),
    ("/var/.updated", "time stamps"),
    ("/etc/passwd-", "account copies"),
    ("/etc/shadow-", "account copies"),
    ("/etc/group-", "account copies"),
    ("/etc/gshadow-", "account copies"),
    ("/etc/subuid-", "account copies"),
    ("/etc/subgid-", "account copies"),
    ("/etc/resolv.conf", "network state"),
    ("/etc/udev/hwdb.bin", "caches"),
    ("/etc/alternatives/.*", "locks"),
    ("*/__pycache__", "caches"),
    ("*/__pycache__/*", "caches"),
    ("*.pyc", "caches"),
    ("/usr/lib/locale/locale-archive", "caches"),
    ("/usr/share/mime/*", "caches"),
    ("/usr/share/applications/mimeinfo.cache", "caches"),
    ("/usr/share/glib-2.0/schemas/gschemas.compiled", "caches"),
    ("/usr/share/icons/*/icon-theme.cache", "caches"),
    ("/usr/share/info/dir", "caches"),
    ("/usr/share/info/dir.old", "caches"),
    ("/usr/share/fonts/*/.uuid", "caches"),
    ("/usr/lib/*/gconv/gconv-modules.cache", "caches"),
    ("/usr/lib/*/gdk-pixbuf-2.0/*/loaders.cache", "caches"),
    ("/usr/lib/*/gio/modules/giomodule.cache", "caches"),
    ("/usr/lib/udev/hwdb.bin", "caches"),
    ("/usr/lib/modules/*/modules.*", "caches"),
    ("*/.bash_history", "people's files"),
    ("*/.zsh_history", "people's files"),
    ("*/.python_history", "people's files"),
    ("*/.lesshst", "people's files"),
    ("*/.viminfo", "people's files"),
    ("*/.wget-hsts", "people's files"),
    ("*/.cache", "caches"),
    ("*/.cache/*", "caches"),
    ("/root/.theseus/*", "our own"),
    ("/home/*/.theseus/*", "our own"),
];

/// In a home these decide who comes in and what runs; the rest is the person's own.
const LOGIN: &[&str] = &[
    ".ssh",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".zlogin",
    ".pam_environment",
    ".rhosts",
    ".shosts",
    ".k5login",
    ".forward",
    ".config/systemd",
    ".config/autostart",
    ".local/bin",
];

/// Never excused by a package transaction that only happened at the same time.
const GUARDED: &[&str] = &[
    "/usr/local/*",
    "/home/*",
    "/root/*",
    "/srv/*",
    "/opt/*",
    "/etc/sudoers*",
    "/etc/cron*",
    "/var/spool/cron/*",
    "/etc/ssh/*",
    "*/authorized_keys",
    "/etc/ld.so.preload",
    "/etc/pam.d/*",
    "/etc/sysctl*",
    "/etc/rc.local",
    "/etc/profile*",
];

pub fn text(path: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(path)
}

fn within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a scan goes into this directory.
pub fn is_entered(path: &[u8]) -> bool {
    let path = text(path);
    if path == "/" {
        return true;
    }
    if SKIPPED.iter().any(|top| within(&path, top)) || !ENTERED.iter().any(|top| within(&path, top)) {
        return false;
    }
    match inside_home(&path) {
        // The person's own; only the few directories that matter are entered.
        Some(inside) if !inside.is_empty() => {
            LOGIN.iter().any(|dir| within(inside, dir) || within(dir, inside))
        }
        _ => true,
    }
}

/// The rest of a path below somebody's home.
fn inside_home(path: &str) -> Option<&str> {
    if let Some(rest) = path.strip_prefix("/root") {
        return rest.strip_prefix('/').or(rest.is_empty().then_some(""));
    }
    let (_, inside) = path.strip_prefix("/home/")?.split_once('/')?;
    Some(inside)
}

pub fn class(path: &[u8]) -> Class {
    let path = text(path);
    if let Some((_, kind)) = VOLATILE.iter().find(|(pattern, _)| matches(pattern, &path)) {
        return Class::Volatile(kind);
    }
    if let Some(inside) = inside_home(&path).filter(|inside| !inside.is_empty()) {
        let matters = LOGIN.iter().any(|name| within(inside, name));
        return if matters { Class::System } else { Class::Data("people's files") };
    }
    if path.starts_with("/var/") && !path.starts_with("/var/spool/cron") && !path.starts_with("/var/www") {
        return Class::Data("programs' data");
    }
    if !ENTERED.iter().any(|top| within(&path, top)) {
        return Class::Data("data");
    }
    Class::System
}

/// Here a package's script may not be the excuse.
pub fn is_guarded(path: &[u8]) -> bool {
    let path = text(path);
    GUARDED.iter().any(|pattern| matches(pattern, &path))
}

/// Where only packages should put files: one that nobody owns is worth a line even at the first look.
pub fn is_packages_own(path: &[u8]) -> bool {
    const OWN: &[&str] = &[
        "/usr/bin/",
        "/usr/sbin/",
        "/usr/lib/systemd/",
        "/usr/libexec/",
        "/bin/",
        "/sbin/",
        "/usr/lib/udev/rules.d/",
    ];
    let path = text(path);
    OWN.iter().any(|top| path.starts_with(top))
}

/// Files of accounts: objects say more exactly what happened in them.
pub const ACCOUNTS: &[&str] =
    &["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid"];

/// Its whole content is a secret.
pub fn is_private(path: &[u8]) -> bool {
    let path = text(path);
    let name = path.rsplit('/').next().unwrap_or_default();
    let starts = |all: &[&str]| all.iter().any(|start| name.starts_with(start));
    (path.starts_with("/etc/") && starts(&["shadow", "gshadow", "opasswd"]))
        || path.starts_with("/etc/ssl/private/")
        || (name.ends_with("_key") && path.starts_with("/etc/ssh/"))
        || (starts(&["id_"]) && !name.ends_with(".pub"))
        || starts(&[".pgpass", ".netrc", ".vault_pass"])
        || name.ends_with(".key")
        || name.ends_with(".pem")
}

/// Different on every host, and rightly so: not what makes one odd.
pub fn is_expected_to_differ(path: &[u8]) -> bool {
    const OWN: &[&str] = &[
        "/etc/hostname",
        "/etc/hosts",
        "/etc/machine-id",
        "/etc/ssh/ssh_host_*",
        "/etc/network/*",
        "/etc/netplan/*",
        "/etc/resolv.conf",
        "/etc/hostid",
        "/etc/iscsi/initiatorname.iscsi",
        "/etc/ssl/certs/ssl-cert-snakeoil.pem",
        "/etc/ssl/private/ssl-cert-snakeoil.key",
        "/etc/machine-info",
        "/etc/mailname",
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/ssl/certs/*.0",
        "/boot/grub/*",
    ];
    let path = text(path);
    OWN.iter().any(|pattern| matches(pattern, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        for (path, wanted) in [
            ("/etc/passwd", Class::System),
            ("/etc/passwd-", Class::Volatile("account copies")),
            ("/usr/bin/ls", Class::System),
            ("/usr/lib/python3/__pycache__/a.pyc", Class::Volatile("caches")),
            ("/var/log/syslog", Class::Volatile("logs")),
            ("/var/lib/postgresql/15/x", Class::Data("programs' data")),
            ("/var/spool/cron/crontabs/root", Class::System),
            ("/root/.ssh/authorized_keys", Class::System),
            ("/root/notes", Class::Data("people's files")),
            ("/home/ann/.bashrc", Class::System),
            ("/srv/site/index.html", Class::System),
            ("/work/x", Class::Data("data")),
        ] {
            assert_eq!(class(path.as_bytes()), wanted, "{path}");
        }
    }

    #[test]
    fn homes_are_entered_where_it_matters() {
        for (path, entered) in [
            ("/home", true),
            ("/home/ann", true),
            ("/home/ann/.ssh", true),
            ("/home/ann/.config", true),
            ("/home/ann/photos", false),
            ("/root", true),
            ("/root/.cargo", false),
            ("/proc", false),
            ("/data", false),
            ("/var/lib/docker", false),
            ("/var/lib", true),
            ("/", true),
            ("/rooted", false),
        ] {
            assert_eq!(is_entered(path.as_bytes()), entered, "{path}");
        }
    }
}
