use std::path::Path;

use super::distribution::Distribution;
use super::source::Source;
use super::{local, mounts, settings, subsets, virtualization};
use crate::patterns::matches;

fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

fn distribution(files: &[(&str, &str)]) -> String {
    let dir = root(files);
    let d = Distribution::detect(&Source::new(dir.path()));
    format!("{} {} {} {} {}", d.name, d.version, d.major, d.release, d.family)
}

#[test]
fn distributions_go_by_ansibles_names() {
    let os = "/etc/os-release";
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[
                (os, "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n"),
                ("/etc/debian_version", "12.11\n"),
            ],
            "Debian 12.11 12 bookworm Debian",
        ),
        (
            &[
                (os, "ID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\n"),
                ("/etc/debian_version", "bookworm/sid"),
            ],
            "Ubuntu 22.04 22 jammy Debian",
        ),
        (
            &[
                (os, "ID=\"rocky\"\nVERSION_ID=\"9.3\"\nVERSION=\"9.3 (Blue Onyx)\"\n"),
                ("/etc/redhat-release", "Rocky Linux release 9.3 (Blue Onyx)\n"),
            ],
            "Rocky 9.3 9 Blue Onyx RedHat",
        ),
        (
            &[
                (os, "ID=\"centos\"\nVERSION_ID=\"7\"\nVERSION=\"7 (Core)\"\n"),
                ("/etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n"),
            ],
            "CentOS 7.9 7 Core RedHat",
        ),
        (
            &[
                (os, "ID=\"centos\"\nVERSION_ID=\"9\"\n"),
                ("/etc/redhat-release", "CentOS Stream release 9\n"),
            ],
            "CentOS 9 9 Stream RedHat",
        ),
        (
            &[(os, "ID=fedora\nVERSION_ID=40\n"), ("/etc/redhat-release", "Fedora release 40 (Forty)\n")],
            "Fedora 40 40  RedHat",
        ),
        (
            &[
                (os, "ID=\"ol\"\nVERSION_ID=\"8.9\"\n"),
                ("/etc/oracle-release", "Oracle Linux Server release 8.9\n"),
            ],
            "OracleLinux 8.9 8 NA RedHat",
        ),
        (&[(os, "ID=\"amzn\"\nVERSION_ID=\"2023\"\n")], "Amazon 2023 2023 NA RedHat"),
        (
            &[(os, "ID=alpine\nVERSION_ID=3.19.1\n"), ("/etc/alpine-release", "3.19.1\n")],
            "Alpine 3.19.1 3 NA Alpine",
        ),
        (
            &[(os, "ID=arch\nBUILD_ID=rolling\n"), ("/etc/arch-release", "")],
            "Archlinux rolling rolling NA Archlinux",
        ),
        (&[(os, "ID=\"opensuse-leap\"\nVERSION_ID=\"15.5\"\n")], "openSUSE Leap 15.5 15 5 Suse"),
        (&[(os, "ID=\"sles\"\nVERSION_ID=\"12.5\"\n")], "SLES 12.5 12 5 Suse"),
        (&[("/etc/redhat-release", "CentOS release 6.10 (Final)\n")], "CentOS 6.10 6 Final RedHat"),
    ];
    for (files, expected) in table {
        assert_eq!(distribution(files), *expected);
    }
}

#[test]
fn subsets_select_what_ansible_selects() {
    let chosen = |words: &str| {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        subsets::select(&words).map(|set| set.into_iter().collect::<Vec<_>>().join(" "))
    };
    let minimal = "apparmor caps cmdline date_time distribution dns env fips local lsb pkg_mgr platform python selinux \
        service_mgr ssh_pub_keys systemd user";
    assert_eq!(chosen("!all").unwrap(), minimal);
    assert_eq!(chosen("!hardware").unwrap(), minimal);
    assert_eq!(chosen("all,!all").unwrap(), minimal);
    assert_eq!(chosen("!min").unwrap(), "");
    assert_eq!(chosen("!all,!min,network").unwrap(), "distribution network platform");
    assert_eq!(chosen("!all,!min,interfaces").unwrap(), "distribution network platform");
    assert_eq!(chosen("!all,!min,hardware").unwrap(), "hardware platform");
    assert!(!chosen("all,!hardware").unwrap().contains("hardware"));
    assert!(chosen("all").unwrap().contains("virtual"));
    assert!(chosen("nonsense").unwrap_err().starts_with("Bad subset 'nonsense' given to Ansible."));
}

#[test]
fn own_facts_are_read_as_json_or_ini() {
    let read = local::ini("[general]\na=1\nb: two\n  lines\n[Up.per]\nX=y z\n# no\n").unwrap();
    assert_eq!(read, serde_json::json!({"general": {"a": "1", "b": "two\nlines"}, "Up.per": {"x": "y z"}}));
    assert_eq!(local::ini("garbage"), None);
    let percents = local::ini("[s]\na=100%%\nb=%(A)s!\n").unwrap();
    assert_eq!(local::interpolated(&percents).unwrap()["s"], serde_json::json!({"a": "100%", "b": "100%!"}));
    for wrong in ["[s]\na=50% of\n", "[s]\na=%(b)s\n", "[s]\na=%(a)s\n"] {
        assert!(local::interpolated(&local::ini(wrong).unwrap()).is_err(), "{wrong}");
    }
    assert_eq!(local::ini("a=1\n"), None);
    let with_default = local::ini("[DEFAULT]\nd=1\n[s]\nk=v\n").unwrap();
    assert_eq!(with_default, serde_json::json!({"s": {"d": "1", "k": "v"}}));
}

#[test]
fn mounts_say_what_proc_mounts_says() {
    let text = "29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard\n\
        36 29 254:0 /srv/a\\040b /mnt ro,relatime - ext4 /dev/vda1 rw,discard\n";
    let found = mounts::parse(text);
    assert_eq!(found[0].options, "rw,relatime,discard");
    assert_eq!((found[1].root.as_str(), found[1].options.as_str()), ("/srv/a b", "ro,relatime,discard"));
}

#[test]
fn patterns_fit_as_in_a_shell() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("ansible_dist*", "ansible_distribution", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false),
        ("[]x]", "]", true),
        ("*.*.*", "a.b", false),
        ("1.2*", "1.20-3", true),
        ("a[", "a[", true),
    ] {
        assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
    }
}

#[test]
fn service_and_package_managers_are_found_by_files() {
    let dir = root(&[("/proc/1/comm", "systemd\n")]);
    assert_eq!(settings::service_manager(&Source::new(dir.path())), "systemd");
    let dir = root(&[("/proc/1/comm", "bash\n"), ("/etc/init.d/x", "")]);
    assert_eq!(settings::service_manager(&Source::new(dir.path())), "sysvinit");
    let dir = root(&[("/proc/1/comm", "runit-init\n")]);
    assert_eq!(settings::service_manager(&Source::new(dir.path())), "runit");
}

#[test]
fn machines_and_containers_are_told_apart() {
    let kind = |files: &[(&str, &str)]| {
        let dir = root(files);
        let facts = virtualization::collect(&Source::new(dir.path()));
        format!("{} {}", facts["virtualization_type"], facts["virtualization_role"])
    };
    assert_eq!(kind(&[]), "\"NA\" \"NA\"");
    assert_eq!(kind(&[("/.dockerenv", "")]), "\"docker\" \"guest\"");
    assert_eq!(kind(&[("/proc/1/environ", "A=b\0container=lxc\0")]), "\"lxc\" \"guest\"");
    assert_eq!(kind(&[("/sys/devices/virtual/dmi/id/sys_vendor", "Amazon EC2\n")]), "\"kvm\" \"guest\"");
    assert_eq!(kind(&[("/proc/modules", "kvm 1 0 - Live 0x0\n")]), "\"kvm\" \"host\"");
}

#[test]
fn the_facts_of_this_host_come_quickly_and_whole() {
    let words = ["all".to_owned()];
    let environment = std::collections::BTreeMap::new();
    let request = super::Request {
        subset: &words,
        filter: &[],
        fact_path: Path::new("/nonexistent"),
        timeout: std::time::Duration::from_secs(5),
        environment: &environment,
    };
    let (facts, _) = super::gather(Path::new("/"), &request, &|_| None).unwrap();
    for name in [
        "ansible_distribution",
        "ansible_kernel",
        "ansible_processor_vcpus",
        "ansible_memtotal_mb",
        "ansible_mounts",
        "ansible_interfaces",
        "ansible_lo",
        "ansible_date_time",
        "ansible_user_id",
        "ansible_service_mgr",
    ] {
        assert!(facts.contains_key(name), "{name}");
    }
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(facts["ansible_kernel"], kernel.trim());
    assert_eq!(facts["ansible_lo"]["ipv4"]["address"], "127.0.0.1");
}
