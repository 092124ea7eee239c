//! How the host is set up: security modules, resolver, boot, managers of packages and services, host keys.

use std::os::unix::fs::MetadataExt;

use catalog::{Json, Map};
use serde_json::json;

use super::Children;
use super::distribution::{Distribution, assignments, os_release};
use super::source::Source;

fn one(key: &str, value: Json) -> Map {
    Map::from_iter([(key.to_owned(), value)])
}

pub fn apparmor(source: &Source) -> Map {
    let on = source.exists("/sys/kernel/security/apparmor");
    one("apparmor", json!({"status": if on { "enabled" } else { "disabled" }}))
}

pub fn fips(source: &Source) -> Map {
    one("fips", (source.line("/proc/sys/crypto/fips_enabled").as_deref() == Some("1")).into())
}

pub fn selinux(source: &Source) -> Map {
    let mut facts = one("selinux_python_present", true.into());
    let enabled = source.exists("/sys/fs/selinux/enforce");
    if !enabled {
        facts.insert("selinux".into(), json!({"status": "disabled"}));
        return facts;
    }
    let config = assignments(&source.text("/etc/selinux/config").unwrap_or_default());
    let enforcing = source.line("/sys/fs/selinux/enforce").as_deref() == Some("1");
    let setting = |key: &str| config.get(key).cloned().unwrap_or_else(|| "unknown".to_owned());
    let version = source.number("/sys/fs/selinux/policyvers");
    facts.insert(
        "selinux".into(),
        json!({
            "status": "enabled", "mode": if enforcing { "enforcing" } else { "permissive" },
            "config_mode": setting("SELINUX"), "type": setting("SELINUXTYPE"),
            "policyvers": version.map_or(json!("unknown"), Json::from),
        }),
    );
    facts
}

/// Names of the kernel's capabilities, in the order of their bits.
const CAPABILITIES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// What `capsh --print` would call our capabilities.
pub fn capabilities(source: &Source) -> Map {
    let status = source.text("/proc/self/status").unwrap_or_default();
    let set = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let Some(effective) = set("CapEff:") else { return Map::new() };
    let last =
        source.number("/proc/sys/kernel/cap_last_cap").and_then(|n| usize::try_from(n).ok()).unwrap_or(40);
    let named: Vec<usize> = (0..=last.min(63)).collect();
    let name = |bit: &usize| CAPABILITIES.get(*bit).map_or_else(|| format!("{bit}"), |n| format!("cap_{n}"));
    let (has, lacks): (Vec<&usize>, Vec<&usize>) = named.iter().partition(|bit| effective >> **bit & 1 == 1);
    let list = |bits: &[&usize]| bits.iter().map(|bit| name(bit)).collect::<Vec<_>>().join(",");
    let mut facts = Map::new();
    let (enforced, shown) = match (has.len(), lacks.len()) {
        (_, 0) => ("False", Vec::new()),
        (0, _) => ("True", vec![String::new()]),
        (most, few) if most > few => {
            ("True", format!("ep {}-ep", list(&lacks)).split(',').map(str::to_owned).collect())
        }
        _ => ("True", format!("{}=ep", list(&has)).split(',').map(str::to_owned).collect()),
    };
    facts.insert("system_capabilities".into(), shown.into());
    facts.insert("system_capabilities_enforced".into(), enforced.into());
    facts
}

pub fn chroot(source: &Source) -> Map {
    let id = |path: &str| std::fs::metadata(source.path(path)).ok().map(|m| (m.dev(), m.ino()));
    let inside = std::env::var_os("debian_chroot").is_some()
        || match (id("/"), id("/proc/1/root/.")) {
            (Some(ours), Some(first)) => ours != first,
            // Without a look at the first process: the root of most file systems is inode 2.
            (Some((_, inode)), None) => !matches!(inode, 2 | 128 | 256),
            _ => false,
        };
    one("is_chroot", inside.into())
}

pub fn command_line(source: &Source) -> Map {
    let text = source.line("/proc/cmdline").unwrap_or_default();
    let (mut last, mut all) = (Map::new(), Map::new());
    for word in shell_words(&text) {
        let Some((key, value)) = word.split_once('=') else {
            last.insert(word.clone(), true.into());
            all.insert(word, true.into());
            continue;
        };
        last.insert(key.to_owned(), value.into());
        match all.get_mut(key) {
            None => _ = all.insert(key.to_owned(), value.into()),
            Some(Json::Array(values)) => values.push(value.into()),
            Some(earlier) => *earlier = json!([earlier.clone(), value]),
        }
    }
    Map::from_iter([
        ("cmdline".to_owned(), Json::Object(last)),
        ("proc_cmdline".to_owned(), Json::Object(all)),
    ])
}

/// Words, double quotes kept.
fn shell_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        }
        if c.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words.retain(|w| !w.is_empty());
    words
}

pub fn dns(source: &Source) -> Map {
    let mut dns = Map::new();
    for line in source.text("/etc/resolv.conf").unwrap_or_default().lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        let values: Vec<&str> = words.collect();
        match key {
            "nameserver" => {
                let list = dns.entry("nameservers").or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.extend(values.iter().map(|v| Json::from(*v)));
                }
            }
            "domain" => _ = values.first().map(|v| dns.insert("domain".into(), (*v).into())),
            "search" => _ = dns.insert("search".into(), values.into()),
            "sortlist" => _ = dns.insert("sortlist".into(), values.into()),
            "options" => {
                let option = |v: &&str| match v.split_once(':') {
                    Some((name, value)) => (name.to_owned(), Json::from(value)),
                    None => ((*v).to_owned(), true.into()),
                };
                dns.insert("options".into(), Json::Object(values.iter().map(option).collect()));
            }
            _ => {}
        }
    }
    one("dns", Json::Object(dns))
}

/// What `lsb_release` would say, where it is installed or left its file.
pub fn lsb(source: &Source) -> Map {
    let file = source.text("/etc/lsb-release").map(|text| assignments(&text)).unwrap_or_default();
    let os = os_release(source);
    let installed = source.has_program("lsb_release");
    let field = |lsb: &str, os_key: &str| {
        file.get(lsb).or_else(|| os.get(os_key).filter(|_| installed)).cloned().filter(|v| !v.is_empty())
    };
    let mut lsb = Map::new();
    let id = file.get("DISTRIB_ID").cloned().or_else(|| {
        os.get("ID").filter(|_| installed).map(|id| {
            let mut letters = id.chars();
            letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
        })
    });
    let release = field("DISTRIB_RELEASE", "VERSION_ID");
    let major = release.as_ref().and_then(|r| r.split('.').next().map(str::to_owned));
    let found = [
        ("id", id),
        ("release", release),
        ("description", field("DISTRIB_DESCRIPTION", "PRETTY_NAME")),
        ("codename", field("DISTRIB_CODENAME", "VERSION_CODENAME")),
        ("major_release", major),
    ];
    for (key, value) in found {
        if let Some(value) = value {
            lsb.insert(key.to_owned(), value.into());
        }
    }
    one("lsb", Json::Object(lsb))
}

pub fn load_average(source: &Source) -> Map {
    let text = source.text("/proc/loadavg").unwrap_or_default();
    let mut numbers = text.split(' ').map(|n| n.parse::<f64>().ok());
    let mut next = || numbers.next().flatten();
    one("loadavg", json!({"1m": next(), "5m": next(), "15m": next()}))
}

pub fn host_keys(source: &Source) -> Map {
    let mut facts = Map::new();
    for kind in ["dsa", "rsa", "ecdsa", "ed25519"] {
        let line = ["/etc/ssh", "/etc/openssh", "/etc"]
            .iter()
            .find_map(|dir| source.line(&format!("{dir}/ssh_host_{kind}_key.pub")));
        let Some(line) = line else { continue };
        let mut words = line.split_whitespace();
        if let (Some(algorithm), Some(key)) = (words.next(), words.next()) {
            facts.insert(format!("ssh_host_key_{kind}_public"), key.into());
            facts.insert(format!("ssh_host_key_{kind}_public_keytype"), algorithm.into());
        }
    }
    facts
}

pub fn storage_names(source: &Source, collector: &str) -> Map {
    match collector {
        "iscsi" => {
            let text = source.text("/etc/iscsi/initiatorname.iscsi").unwrap_or_default();
            let name = text.lines().find_map(|line| line.strip_prefix("InitiatorName="));
            one("iscsi_iqn", name.unwrap_or_default().trim().into())
        }
        "nvme" => {
            let text = source.text("/etc/nvme/hostnqn").unwrap_or_default();
            one(
                "hostnqn",
                text.lines().find(|line| line.starts_with("nqn.")).unwrap_or_default().trim().into(),
            )
        }
        _ => {
            let hosts = source.names("/sys/class/fc_host").into_iter();
            let name = |host: String| source.line(&format!("/sys/class/fc_host/{host}/port_name"));
            let names = hosts.filter_map(name).map(|n| Json::from(n.trim_start_matches("0x")));
            one("fibre_channel_wwn", names.collect())
        }
    }
}

/// `(program, manager)`, the later ones win.
const MANAGERS: &[(&str, &str)] = &[
    ("/usr/bin/rpm-ostree", "atomic_container"),
    ("/usr/bin/yum", "yum"),
    ("/usr/bin/dnf", "dnf"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/sbin/urpmi", "urpmi"),
    ("/usr/bin/pacman", "pacman"),
    ("/usr/bin/emerge", "portage"),
    ("/usr/bin/swupd", "swupd"),
    ("/usr/sbin/sorcery", "sorcery"),
    ("/usr/bin/installp", "installp"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/apk", "apk"),
];

/// The package manager that belongs to the distribution; another that is there only if it is the only one.
pub fn package_manager(source: &Source, distribution: &Distribution) -> String {
    let there =
        |name: &str| MANAGERS.iter().any(|(path, manager)| *manager == name && source.is_executable(path));
    let preferred: &[&str] = match distribution.family.as_str() {
        "RedHat" if source.exists("/run/ostree-booted") => &["atomic_container", "dnf5", "dnf", "yum"],
        "RedHat" => {
            // Fedora 41 and later are dnf5's; earlier ones may have it beside dnf.
            let five = source.link_name("/usr/bin/dnf").is_some_and(|name| name == "dnf5");
            if five { &["dnf5", "dnf", "yum"] } else { &["dnf", "yum", "dnf5"] }
        }
        "Debian" => &["apt"],
        "Suse" => &["zypper"],
        "Archlinux" => &["pacman"],
        "Alpine" => &["apk"],
        "Gentoo" => &["portage"],
        "Altlinux" if there("apt") => return "apt_rpm".to_owned(),
        _ => &[],
    };
    let first = preferred.iter().find(|name| there(name)).copied();
    let any =
        || MANAGERS.iter().rev().find(|(path, _)| source.is_executable(path)).map(|(_, manager)| *manager);
    first.or_else(any).unwrap_or("unknown").to_owned()
}

/// What starts services: the first process, seen through its usual disguises.
pub fn service_manager(source: &Source) -> String {
    let name = source.line("/proc/1/comm").unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let shell = name.ends_with("sh");
    let known = match name {
        "runit-init" => "runit",
        "svscan" => "svc",
        "openrc-init" => "openrc",
        "procd" => "openwrt_init",
        "init" | "" | "sshd" | "entrypoint" | "conmon-entrypoint" => "",
        other if shell || other == "COMMAND" => "",
        other => other,
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let by_files = match () {
        () if systemd_runs(source) => "systemd",
        () if source.has_program("initctl") && source.exists("/etc/init") => "upstart",
        () if source.exists("/sbin/openrc") => "openrc",
        () if offline_systemd(source) => "systemd",
        () if source.exists("/etc/init.d") => "sysvinit",
        () if source.exists("/etc/dinit.d") => "dinit",
        () => "service",
    };
    by_files.to_owned()
}

/// Whether systemd is the first process here.
pub fn systemd_runs(source: &Source) -> bool {
    source.has_program("systemctl")
        && ["/run/systemd/system", "/dev/.run/systemd", "/dev/.systemd"]
            .iter()
            .any(|path| source.exists(path))
}

/// Whether systemd would be the first process here, in a root that is not running.
pub fn offline_systemd(source: &Source) -> bool {
    source.has_program("systemctl") && source.link_name("/sbin/init").is_some_and(|name| name == "systemd")
}

pub fn systemd(source: &Source, children: Children<'_>) -> Map {
    if !systemd_runs(source) {
        return Map::new();
    }
    let Some(ran) = children(&["systemctl", "--version"]).filter(|ran| ran.rc == 0) else {
        return Map::new();
    };
    let mut lines = ran.stdout.lines();
    let version =
        lines.next().and_then(|line| line.split_whitespace().nth(1)).and_then(|v| v.parse::<u32>().ok());
    let Some(version) = version else { return Map::new() };
    one("systemd", json!({"version": version, "features": lines.next().unwrap_or_default()}))
}
