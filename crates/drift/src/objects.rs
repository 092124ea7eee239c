//! What is no file: services that run, programs that listen, accounts, keys, cron entries, kernel modules, settings of
//! the kernel, mounts, packages. Each has a name and a value in words.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

/// Name and value: `user:ann` is `uid 1000, …`.
pub type Objects = BTreeMap<String, String>;

/// Units that come and go by themselves.
const PASSING: &[&str] = &[
    "session-",
    "user@",
    "user-runtime-dir@",
    "run-",
    "apt-daily",
    "man-db",
    "systemd-tmpfiles",
    "logrotate",
    "dpkg-db-backup",
    "e2scrub",
    "fstrim",
    "anacron",
    "systemd-hostnamed",
    "systemd-timedated",
    "systemd-localed",
    "polkit",
    "packagekit",
    "phpsessionclean",
    "fwupd",
    "motd-news",
    "ua-timer",
    "update-notifier",
    "emergency",
    "rescue",
    "systemd-ask-password",
    "systemd-update-utmp",
    "certbot.service",
    "sysstat-",
    "exim4-base",
    "systemd-fsck",
    "modprobe@",
    "systemd-journal-flush",
    "systemd-rfkill",
    "systemd-backlight",
    "initrd-",
    "plymouth",
    "dm-event",
];

/// Settings that decide about safety; those in `sysctl.d` are looked at as well.
const SETTINGS: &[&str] = &[
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.core.somaxconn",
    "net.ipv4.ip_unprivileged_port_start",
    "kernel.randomize_va_space",
    "kernel.kptr_restrict",
    "kernel.dmesg_restrict",
    "kernel.yama.ptrace_scope",
    "kernel.unprivileged_bpf_disabled",
    "kernel.core_pattern",
    "kernel.sysrq",
    "kernel.modules_disabled",
    "fs.protected_hardlinks",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "vm.swappiness",
    "vm.overcommit_memory",
    "vm.max_map_count",
    "fs.file-max",
];

/// All that there is now. `versions`: of the packages.
pub fn collect(versions: &HashMap<String, String>) -> Objects {
    let mut all = Objects::new();
    all.extend(versions.iter().map(|(name, version)| (format!("package:{name}"), version.clone())));
    services(&mut all);
    listeners(&mut all);
    accounts(&mut all);
    keys(&mut all);
    cron(&mut all);
    mounts(&mut all);
    settings(&mut all);
    modules(&mut all);
    all
}

fn text(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.sort();
    all
}

/// From systemd's own links, so that no process is started.
fn services(all: &mut Objects) {
    for name in names("/run/systemd/units") {
        let Some(unit) = name.strip_prefix("invocation:") else { continue };
        let kept = [".service", ".socket", ".timer"].iter().any(|end| unit.ends_with(end));
        if kept && !PASSING.iter().any(|start| unit.starts_with(start)) {
            all.insert(format!("service:{unit}"), "runs".to_owned());
        }
    }
}

/// Whether a unit runs now.
pub fn runs(unit: &str) -> bool {
    Path::new("/run/systemd/units").join(format!("invocation:{unit}")).is_symlink()
}

/// Whether it is known here which services run.
pub fn services_are_known() -> bool {
    Path::new("/run/systemd/system").is_dir() && rustix::process::geteuid().is_root()
}

fn listeners(all: &mut Objects) {
    let mut sockets: Vec<(String, String)> = Vec::new();
    for (file, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        for line in text(format!("/proc/net/{file}")).lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) = (words.get(1), words.get(3), words.get(9)) else {
                continue;
            };
            // 0A: it listens; 07: a bound datagram socket.
            if (protocol == "tcp" && *state != "0A") || (protocol == "udp" && *state != "07") {
                continue;
            }
            let Some((address, port)) = address(local) else { continue };
            // Clients that ask something have such ports for a moment.
            if protocol == "udp" && port >= 32768 {
                continue;
            }
            sockets.push((format!("listen:{protocol} {address}:{port}"), (*inode).to_owned()));
        }
    }
    if sockets.is_empty() {
        return;
    }
    let holders = holders();
    for (name, inode) in sockets {
        let holder =
            holders.get(&inode).cloned().unwrap_or_else(|| "a program that cannot be seen".to_owned());
        all.insert(name, holder);
    }
}

/// `0100007F:1F90`: bytes of each word are in the machine's order.
fn address(text: &str) -> Option<(String, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = match <[u8; 16]>::try_from(bytes.as_slice()) {
        Ok(six) => format!("[{}]", std::net::Ipv6Addr::from(six)),
        Err(_) => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(bytes.as_slice()).ok()?).to_string(),
    };
    Some((address, port))
}

/// Which program has a socket, by the socket's inode.
fn holders() -> HashMap<String, String> {
    let mut all = HashMap::new();
    for pid in names("/proc").iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
        for fd in names(format!("/proc/{pid}/fd")) {
            let Ok(target) = fs::read_link(format!("/proc/{pid}/fd/{fd}")) else { continue };
            let target = target.to_string_lossy();
            if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
                all.entry(inode.to_owned()).or_insert_with(|| program(pid));
            }
        }
    }
    all
}

/// Name and program, without what changes from start to start.
fn program(pid: &str) -> String {
    let name = text(format!("/proc/{pid}/comm")).trim().to_owned();
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let exe = exe.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
    if exe.is_empty() { name } else { format!("{name} ({exe})") }
}

/// The process that listens there, and since when (seconds since 1970).
pub fn listener(object: &str) -> Option<(String, i64, String)> {
    let wanted = object.strip_prefix("listen:")?;
    for (file, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        for line in text(format!("/proc/net/{file}")).lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(inode)) = (words.get(1), words.get(9)) else { continue };
            let Some((address, port)) = address(local) else { continue };
            if format!("{protocol} {address}:{port}") != wanted {
                continue;
            }
            let socket = format!("socket:[{inode}]");
            let holds = |pid: &&String| {
                names(format!("/proc/{pid}/fd")).iter().any(|fd| {
                    fs::read_link(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|t| t.to_string_lossy() == socket)
                })
            };
            let pids = names("/proc");
            let pid = pids.iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())).find(holds)?;
            let command = text(format!("/proc/{pid}/cmdline")).replace('\0', " ");
            return Some((pid.clone(), started(pid)?, command.trim().to_owned()));
        }
    }
    None
}

/// In these the kernel tells times to programs, whatever its own clock ticks in.
const TICKS: i64 = 100;

/// When a process began.
fn started(pid: &str) -> Option<i64> {
    let stat = text(format!("/proc/{pid}/stat"));
    let ticks: i64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    let boot = text("/proc/stat")
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok())?;
    Some(boot + ticks / TICKS)
}

/// Which unit and which login session a process belongs to.
pub fn unit_of(pid: &str) -> Option<String> {
    let groups = text(format!("/proc/{pid}/cgroup"));
    groups.lines().find_map(|line| {
        line.rsplit('/')
            .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
            .map(str::to_owned)
    })
}

fn accounts(all: &mut Objects) {
    for file in ["/etc/passwd", "/etc/group"] {
        held_by(Path::new(file), &text(file), all);
    }
}

/// The objects that one file holds: accounts, keys, cron entries, settings.
pub(crate) fn held_by(file: &Path, content: &str, all: &mut Objects) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match file.to_str().unwrap_or_default() {
        "/etc/passwd" => users_in(content, all),
        "/etc/group" => groups_in(content, all),
        _ if is_settings(file) => {
            let set = settings_in(content).filter(|(_, value)| !value.is_empty());
            let lines =
                set.map(|(key, value)| (format!("sysctl:{}", key.replace('/', ".")), one_line(value)));
            all.extend(lines);
        }
        path if path.ends_with("/.ssh/authorized_keys") => {
            let home = file.parent().and_then(Path::parent).unwrap_or(file);
            let user = homes().into_iter().find(|(_, of)| Path::new(of) == home).map(|(user, _)| user);
            let user =
                user.unwrap_or_else(|| home.file_name().unwrap_or_default().to_string_lossy().into_owned());
            keys_in(&user, content, all);
        }
        path => {
            for line in content.lines().map(str::trim) {
                if line.starts_with(|c: char| c.is_ascii_digit() || c == '*' || c == '@') {
                    all.insert(format!("cron:{name} {line}"), path.to_owned());
                }
            }
        }
    }
}

/// A file with settings of the kernel in it.
pub(crate) fn is_settings(file: &Path) -> bool {
    file.starts_with("/etc/sysctl.d") || file == Path::new("/etc/sysctl.conf")
}

fn users_in(content: &str, all: &mut Objects) {
    for line in content.lines() {
        if let [name, _, uid, gid, _, home, shell] = line.split(':').collect::<Vec<_>>()[..] {
            let value = format!("uid {uid}, gid {gid}, home {home}, shell {shell}");
            all.insert(format!("user:{name}"), value);
        }
    }
}

fn groups_in(content: &str, all: &mut Objects) {
    for line in content.lines() {
        if let [name, _, gid, members] = line.split(':').collect::<Vec<_>>()[..] {
            let members = if members.is_empty() { String::new() } else { format!(", members {members}") };
            all.insert(format!("group:{name}"), format!("gid {gid}{members}"));
        }
    }
}

/// Users and their home directories, where they have one.
fn homes() -> Vec<(String, String)> {
    let home = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let (user, home) = (fields.first()?, fields.get(5)?);
        (home.len() > 1).then(|| ((*user).to_owned(), (*home).to_owned()))
    };
    text("/etc/passwd").lines().filter_map(home).collect()
}

/// Who may come in with a key: its comment and its end tell keys apart.
fn keys(all: &mut Objects) {
    for (user, home) in homes() {
        keys_in(&user, &text(Path::new(&home).join(".ssh/authorized_keys")), all);
    }
}

fn keys_in(user: &str, content: &str, all: &mut Objects) {
    for key in content.lines() {
        let words: Vec<&str> = key.split_whitespace().collect();
        let begins = |word: &&str| ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| word.starts_with(kind));
        let Some(at) = words.iter().position(begins) else { continue };
        let Some(body) = words.get(at + 1) else { continue };
        let end: String = body.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect();
        let comment = words[at + 2..].join(" ");
        let mut value = words[at].to_owned();
        if at > 0 {
            value.push_str(&format!(", with {}", words[..at].join(" ")));
        }
        all.insert(format!("key:{user} …{end} {comment}").trim_end().to_owned(), value);
    }
}

fn cron(all: &mut Objects) {
    held_by(Path::new("/etc/crontab"), &text("/etc/crontab"), all);
    for dir in ["/etc/cron.d", "/var/spool/cron/crontabs"] {
        for name in names(dir) {
            let file = Path::new(dir).join(name);
            held_by(&file, &text(&file), all);
        }
    }
}

/// Where something is mounted, its type and what it is.
fn mount_points() -> Vec<(String, String)> {
    let point = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let dash = words.iter().position(|word| *word == "-")?;
        let (at, kind, source) = (words.get(4)?, words.get(dash + 1)?, words.get(dash + 2)?);
        Some(((*at).to_owned(), format!("{source} ({kind})")))
    };
    text("/proc/self/mountinfo").lines().filter_map(point).collect()
}

fn mounts(all: &mut Objects) {
    const OWN: &[&str] =
        &["/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/docker", "/var/lib/kubelet", "/snap"];
    let own = |at: &str| OWN.iter().any(|top| Path::new(at).starts_with(top));
    for (at, what) in mount_points() {
        if !own(&at) && !what.ends_with(" (autofs)") {
            all.insert(format!("mount:{at}"), what);
        }
    }
}

/// What is mounted there.
pub(crate) fn mounted(at: &str) -> Option<String> {
    mount_points().into_iter().rev().find(|(point, _)| point == at).map(|(_, what)| what)
}

/// `key = value` lines; a key alone, or one that is no assignment, has no value.
fn settings_in(content: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = content.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines.filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim().trim_start_matches('-'), value.trim()))
    })
}

/// The kernel separates the numbers of a setting by tabs, people by spaces.
pub(crate) fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn settings(all: &mut Objects) {
    let mut keys: Vec<String> = SETTINGS.iter().map(|key| (*key).to_owned()).collect();
    let mut files = vec!["/etc/sysctl.conf".to_owned()];
    for dir in ["/etc/sysctl.d", "/usr/lib/sysctl.d", "/run/sysctl.d"] {
        files.extend(names(dir).iter().map(|name| format!("{dir}/{name}")));
    }
    for file in files {
        keys.extend(settings_in(&text(&file)).map(|(key, _)| key.to_owned()));
    }
    for key in keys.into_iter().filter(|key| !key.contains(['*', '?'])) {
        if let Some(value) = setting(&key) {
            all.insert(format!("sysctl:{}", key.replace('/', ".")), value);
        }
    }
}

/// The value in the running kernel.
pub(crate) fn setting(key: &str) -> Option<String> {
    let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    let value = text(Path::new("/proc/sys").join(path));
    (!value.is_empty()).then(|| one_line(&value))
}

/// A container shows the modules of its machine, which are none of its business.
fn modules(all: &mut Objects) {
    let contained =
        ["/run/systemd/container", "/.dockerenv", "/run/.containerenv"].iter().any(|p| Path::new(p).exists());
    if contained {
        return;
    }
    for line in text("/proc/modules").lines() {
        if let Some(name) = line.split(' ').next() {
            all.insert(format!("module:{name}"), "loaded".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(address("0100007F:1F90"), Some(("127.0.0.1".to_owned(), 8080)));
        assert_eq!(address("00000000000000000000000000000000:0016"), Some(("[::]".to_owned(), 22)));
        assert_eq!(address("zz:1"), None);
    }

    #[test]
    fn this_machine_has_accounts_and_a_root() {
        let all = collect(&HashMap::from([("tool".to_owned(), "1".to_owned())]));
        assert_eq!(all["package:tool"], "1");
        assert!(all["user:root"].starts_with("uid 0"));
        assert!(all.contains_key("mount:/"), "{all:?}");
    }
}
