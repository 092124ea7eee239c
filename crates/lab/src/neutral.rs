//! Makes the clone a machine of its own: name, identity, known hosts, and none of the original's secrets.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const OPENING: &str = "# Hosts of this lab:";
const CLOSING: &str = "# End of the hosts of this lab";

/// Files of the machine that a host must not have; directories of this kind are hidden in root.rs.
const PRIVATE: [&str; 12] = [
    "/.dockerenv",
    "/run/.containerenv",
    "/root/.bash_history",
    "/root/.git-credentials",
    "/root/.netrc",
    "/root/.pgpass",
    "/root/.my.cnf",
    "/root/.npmrc",
    "/root/.aws",
    "/root/.docker",
    "/root/.gnupg",
    "/root/.kube",
];

/// A neighbour's name and address.
pub(crate) type Neighbour = (String, Ipv4Addr);

/// Gives the entered root its own identity.
pub(crate) fn make(name: &str, own_root: bool, neighbours: &[Neighbour]) -> io::Result<()> {
    if own_root {
        PRIVATE.iter().for_each(|path| remove(Path::new(path)));
    }
    remove_host_keys();
    let etc = Path::new("/etc");
    if !etc.is_dir() {
        fs::create_dir(etc)?;
    }
    replace("/etc/hostname", &format!("{name}\n"))?;
    replace("/etc/hosts", &hosts_file("", neighbours))?;
    replace("/etc/resolv.conf", "# This host has no way out of its lab.\n")?;
    replace("/etc/fstab", "# The root of this host is already mounted.\n")?;
    let id = machine_id()?;
    replace("/etc/machine-id", &id)?;
    let older = "/var/lib/dbus/machine-id";
    if fs::symlink_metadata(older).is_ok_and(|found| found.is_file()) {
        replace(older, &id)?;
    }
    rustix::system::sethostname(name.as_bytes())?;
    Ok(())
}

fn remove(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    let _ = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// The keys by which the original is known must not identify a second machine.
fn remove_host_keys() {
    for entry in fs::read_dir("/etc/ssh").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            remove(&entry.path());
        }
    }
}

/// Writes a file anew, in place of whatever was there: often these are links to elsewhere.
fn replace(path: &str, text: &str) -> io::Result<()> {
    remove(Path::new(path));
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn machine_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    Ok(text)
}

/// The hosts file: what stood there before, with the lab's own block brought up to date.
pub(crate) fn hosts_file(before: &str, neighbours: &[Neighbour]) -> String {
    let mut block = format!("{OPENING}\n");
    for (name, address) in neighbours {
        block.push_str(&format!("{address} {name}\n"));
    }
    block.push_str(CLOSING);
    block.push('\n');
    if before.is_empty() {
        return format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{block}");
    }
    match (before.find(OPENING), before.find(CLOSING)) {
        (Some(start), Some(end)) if start < end => {
            let rest = before[end..].split_once('\n').map_or("", |(_, rest)| rest);
            format!("{}{block}{rest}", &before[..start])
        }
        // Somebody took the block out on purpose.
        _ => before.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_of_neighbours_is_replaced_and_the_rest_kept() {
        let first = hosts_file("", &[("a".to_owned(), Ipv4Addr::new(10, 0, 0, 1))]);
        let edited = format!("{first}10.9.9.9 mine\n");
        let both =
            [("a".to_owned(), Ipv4Addr::new(10, 0, 0, 1)), ("b".to_owned(), Ipv4Addr::new(10, 0, 0, 2))];
        let second = hosts_file(&edited, &both);
        assert!(
            second.contains("10.0.0.1 a\n10.0.0.2 b\n") && second.ends_with("10.9.9.9 mine\n"),
            "{second}"
        );
        assert_eq!(second.matches(OPENING).count(), 1);
        assert_eq!(hosts_file("1.2.3.4 only\n", &both), "1.2.3.4 only\n");
    }
}
