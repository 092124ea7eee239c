//! Modules that run programs, and those that change packages, users and services. What would change the machine
//! runs in a copy of it: a mount namespace with an overlay over the root, gone with the test.

use catalog::Json;
use serde_json::json;

use crate::host::Host;

/// Runs one test again inside a throw-away copy of this machine. `true`: we are inside.
fn inside_a_copy(test: &str) -> bool {
    in_a_copy(&format!("system::{test}"))
}

/// The same for a test of any file.
pub(crate) fn in_a_copy(test: &str) -> bool {
    if std::env::var_os("THESEUS_IN_A_COPY").is_some() {
        return true;
    }
    let script = r#"set -e
T=$(mktemp -d); mount -t tmpfs t "$T"; mkdir "$T/u" "$T/w" "$T/r"
mount -t overlay o -o lowerdir=/,upperdir="$T/u",workdir="$T/w" "$T/r"
mount -t proc p "$T/r/proc"; mount --rbind /sys "$T/r/sys"; mount --rbind /dev "$T/r/dev"; mount -t tmpfs t "$T/r/tmp"
echo ready
exec chroot "$T/r" "$0" --exact "$1" --nocapture"#;
    let binary = std::env::current_exe().unwrap();
    let output = std::process::Command::new("unshare")
        .args(["-mpu", "--fork", "--kill-child", "sh", "-c", script])
        .arg(binary)
        .arg(test)
        .env("THESEUS_IN_A_COPY", "1")
        .output();
    let Ok(output) = output else {
        println!("SKIPPED {test}: there is no `unshare`");
        return false;
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !text.contains("ready\n") {
        println!("SKIPPED {test}: no copy of this machine can be made: {}", text.trim());
        return false;
    }
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

/// Whether the host lacks a program that the test is about.
pub(crate) fn lacks(test: &str, program: &str) -> bool {
    let there = agent::command::find_program(program).is_some();
    if !there {
        println!("SKIPPED {test}: there is no `{program}`");
    }
    !there
}

fn fields(result: &Json, keys: &[&str]) -> Json {
    Json::Object(
        keys.iter().map(|k| ((*k).to_owned(), result.get(*k).cloned().unwrap_or_default())).collect(),
    )
}

#[test]
fn commands_give_what_ansible_gives() {
    let mut host = Host::new();
    let ran = host.run("command", json!({"_raw_params": "printf 'a b\\n\\n'"}));
    assert_eq!(
        fields(&ran, &["changed", "rc", "stdout", "stderr", "cmd", "msg"]),
        json!({"changed": true, "rc": 0, "stdout": "a b", "stderr": "", "cmd": ["printf", "a b\\n\\n"], "msg": ""})
    );
    let missing = host.run("command", json!({"cmd": "no-such-program-here x"}));
    assert_eq!(
        fields(&missing, &["failed", "rc", "cmd"]),
        json!({"failed": true, "rc": 2, "cmd": "no-such-program-here x"})
    );
    assert!(missing["msg"].as_str().unwrap().contains("No such file or directory"), "{missing}");
    let expanded = host.run("command", json!({"argv": ["echo", "$PWD_NOT_SET", "~root", "a  b"]}));
    assert_eq!(expanded["stdout"], "$PWD_NOT_SET /root a  b");
    let plain = host.run("command", json!({"argv": ["echo", "~root"], "expand_argument_vars": false}));
    assert_eq!(plain["stdout"], "~root");
    let both = host.run("command", json!({"_raw_params": "echo a", "argv": ["b"]}));
    assert_eq!(both["failed"], true);
}

#[test]
fn shells_get_their_line_and_their_input() {
    let mut host = Host::new();
    let ran = host.run("shell", json!({"_raw_params": "cat; echo err >&2; exit 3", "stdin": "in"}));
    assert_eq!(
        fields(&ran, &["failed", "changed", "rc", "stdout", "stderr", "msg"]),
        json!({"failed": true, "changed": true, "rc": 3, "stdout": "in", "stderr": "err", "msg": "non-zero return code"})
    );
    let bytes =
        host.run("shell", json!({"_raw_params": "printf 'a\\377b\\n\\n'", "strip_empty_ends": false}));
    assert_eq!(bytes["stdout"], "a\u{fffd}b\n\n");
    let killed = host.run("shell", json!({"_raw_params": "kill -9 $$"}));
    assert_eq!(killed["rc"], -9);
    let elsewhere = host.run("shell", json!({"_raw_params": "pwd", "chdir": "/etc"}));
    assert_eq!(elsewhere["stdout"], "/etc");
    let nowhere = host.run("shell", json!({"_raw_params": "pwd", "chdir": "/no/such/place"}));
    assert!(
        nowhere["msg"].as_str().unwrap().starts_with("Unable to change directory before execution"),
        "{nowhere}"
    );
    let raw = host.run("raw", json!({"_raw_params": "echo hi"}));
    assert_eq!(raw["stdout"], "hi\n");
}

#[test]
fn conditions_decide_before_anything_runs() {
    let mut host = Host::new();
    host.put("there", "");
    let made = host.run("shell", json!({"_raw_params": "touch W/new", "creates": "W/the*"}));
    assert_eq!(made["changed"], false);
    assert!(made["stdout"].as_str().unwrap().starts_with("skipped, since"), "{made}");
    let gone = host.run("command", json!({"_raw_params": "touch W/new", "removes": "W/nope*"}));
    assert_eq!((&gone["changed"], &gone["rc"]), (&json!(false), &json!(0)));
    let unsure = host.check("command", json!({"_raw_params": "touch W/new"}));
    assert_eq!((&unsure["changed"], &unsure["skipped"]), (&json!(false), &json!(true)));
    let sure = host.check("command", json!({"_raw_params": "touch W/new", "creates": "W/new"}));
    assert_eq!((&sure["changed"], &sure["skipped"]), (&json!(true), &json!(null)));
    assert!(!std::path::Path::new(&host.path("new")).exists());
}

#[test]
fn facts_are_filtered() {
    let mut host = Host::new();
    let facts =
        host.run("setup", json!({"filter": ["ansible_dist*", "os_family"], "gather_subset": ["!all"]}));
    let names: Vec<&String> = facts["ansible_facts"].as_object().unwrap().keys().collect();
    assert!(names.iter().all(|n| n.starts_with("ansible_dist") || *n == "ansible_os_family"), "{names:?}");
    assert!(names.len() > 3);
    let bad = host.run("setup", json!({"gather_subset": ["foo"]}));
    assert!(bad["msg"].as_str().unwrap().contains("Bad subset 'foo'"), "{bad}");
}

#[test]
fn waiting_ends_when_it_is_there_or_too_late() {
    let mut host = Host::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = host.run("wait_for", json!({"port": port, "timeout": 5}));
    assert_eq!(
        fields(&open, &["failed", "state", "port"]),
        json!({"failed": null, "state": "started", "port": port})
    );
    let late = host.run("wait_for", json!({"port": port, "state": "stopped", "timeout": 1, "sleep": 1}));
    assert!(late["msg"].as_str().unwrap().contains("to stop"), "{late}");
    drop(listener);
    let closed = host.run("wait_for", json!({"port": port, "state": "stopped", "timeout": 5}));
    assert_eq!(closed["failed"], json!(null));
    host.put("log", "one\nready: 42\n");
    let word = host.run("wait_for", json!({"path": "W/log", "search_regex": "^ready: (?P<n>\\d+)"}));
    assert_eq!((&word["match_groups"], &word["match_groupdict"]), (&json!(["42"]), &json!({"n": "42"})));
    let wrong = host.run("wait_for", json!({"path": "W/log", "state": "stopped"}));
    assert_eq!(wrong["failed"], true);
}

#[test]
fn users_and_groups_become_as_told() {
    let test = "users_and_groups_become_as_told";
    if lacks(test, "useradd") || !inside_a_copy(test) {
        return;
    }
    let mut host = Host::new();
    let group = host.run("group", json!({"name": "thg", "gid": 4711}));
    assert_eq!(fields(&group, &["changed", "gid"]), json!({"changed": true, "gid": 4711}));
    let args = json!({"name": "thu", "groups": ["thg"], "comment": "A user", "shell": "/bin/sh"});
    assert_eq!(host.check("user", args.clone())["changed"], true);
    let made = host.run("user", args.clone());
    assert_eq!(
        fields(&made, &["changed", "home", "groups", "create_home"]),
        json!({"changed": true, "home": "/home/thu", "groups": "thg", "create_home": true})
    );
    assert!(
        std::path::Path::new("/home/thu/.profile").exists()
            || !std::path::Path::new("/etc/skel/.profile").exists()
    );
    assert_eq!(host.run("user", args)["changed"], false);
    let hash = format!("$6$salt${}", "x".repeat(86));
    assert_eq!(host.run("user", json!({"name": "thu", "password": hash}))["changed"], true);
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap();
    assert!(shadow.contains(&format!("thu:{hash}:")));
    assert_eq!(host.run("user", json!({"name": "thu", "password": hash}))["changed"], false);
    let locked = host.run("user", json!({"name": "thu", "password_lock": true, "expires": 86400.0}));
    assert_eq!(locked["changed"], true);
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap();
    assert!(shadow.lines().any(|l| l.starts_with("thu:!$6$") && l.ends_with(":1:")), "{shadow}");
    let moved = host.run("user", json!({"name": "thu", "home": "/home/other", "move_home": true}));
    assert_eq!((&moved["changed"], &moved["home"]), (&json!(true), &json!("/home/other")));
    assert!(!std::path::Path::new("/home/thu").exists());
    let gone = host.run("user", json!({"name": "thu", "state": "absent", "remove": true}));
    assert_eq!(gone["changed"], true);
    assert!(!std::path::Path::new("/home/other").exists());
    assert_eq!(host.run("user", json!({"name": "thu", "state": "absent"}))["changed"], false);
    assert_eq!(
        host.run("user", json!({"name": "x", "group": "nosuch"}))["msg"],
        "Group nosuch does not exist"
    );
}

#[test]
fn crontabs_keep_what_is_not_ours() {
    let test = "crontabs_keep_what_is_not_ours";
    if !inside_a_copy(test) {
        return;
    }
    let mut host = Host::new();
    host.put("tab", "# mine\nMAILTO=x\n1 2 3 4 5 root old\n");
    let job = json!({"name": "n", "cron_file": "W/tab", "user": "root", "hour": "3", "job": "do it"});
    assert_eq!(host.check("cron", job.clone())["changed"], true);
    assert_eq!(host.get("tab").lines().count(), 3);
    let made = host.run("cron", job.clone());
    assert_eq!(
        fields(&made, &["changed", "jobs", "envs"]),
        json!({"changed": true, "jobs": ["n"], "envs": ["MAILTO"]})
    );
    assert_eq!(host.get("tab"), "# mine\nMAILTO=x\n1 2 3 4 5 root old\n#Ansible: n\n* 3 * * * root do it\n");
    assert_eq!(host.run("cron", job)["changed"], false);
    host.run("cron", json!({"name": "PATH", "cron_file": "W/tab", "user": "root", "env": true, "value": "/b", "insertafter": "MAILTO"}));
    assert!(host.get("tab").starts_with("# mine\nMAILTO=x\nPATH=\"/b\"\n"));
    let removed = host.run("cron", json!({"name": "n", "cron_file": "W/tab", "state": "absent"}));
    assert_eq!(removed["changed"], true);
    assert_eq!(host.get("tab"), "# mine\nMAILTO=x\nPATH=\"/b\"\n1 2 3 4 5 root old\n");
}

#[test]
fn package_files_are_installed_once() {
    let test = "package_files_are_installed_once";
    if lacks(test, "apt-get") || !inside_a_copy(test) {
        return;
    }
    let mut host = Host::new();
    let made = host.run(
        "shell",
        json!({"_raw_params": "mkdir -p W/p/DEBIAN W/p/etc && echo c > W/p/etc/thp.conf && echo /etc/thp.conf > W/p/DEBIAN/conffiles && printf 'Package: thp\\nVersion: 1.2-1\\nArchitecture: all\\nMaintainer: t <t@example.org>\\nDescription: t\\n' > W/p/DEBIAN/control && dpkg-deb -b W/p W/thp.deb"}),
    );
    assert_eq!(made["rc"], 0, "{made}");
    let install = json!({"deb": "W/thp.deb"});
    assert_eq!(host.run("apt", install.clone())["changed"], true);
    assert_eq!(host.run("apt", install)["changed"], false);
    for spec in ["thp", "thp=1.*", "thp>=1.0"] {
        assert_eq!(host.run("apt", json!({"name": spec}))["changed"], false, "{spec}");
    }
    let missing = host.run("apt", json!({"name": "no-such-package-anywhere"}));
    assert_eq!(missing["msg"], "No package matching 'no-such-package-anywhere' is available");
    assert_eq!(host.check("apt", json!({"name": "thp", "state": "absent"}))["changed"], true);
    assert_eq!(host.run("package", json!({"name": "thp", "state": "absent"}))["changed"], true);
    assert_eq!(host.run("apt", json!({"name": "thp", "state": "absent"}))["changed"], false);
    assert!(std::path::Path::new("/etc/thp.conf").exists());
    assert_eq!(host.run("apt", json!({"name": "thp", "state": "absent", "purge": true}))["changed"], true);
    assert!(!std::path::Path::new("/etc/thp.conf").exists());
}

#[test]
fn units_are_enabled_without_a_running_systemd() {
    let test = "units_are_enabled_without_a_running_systemd";
    if lacks(test, "systemctl") || !inside_a_copy(test) {
        return;
    }
    let mut host = Host::new();
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    std::fs::write("/etc/systemd/system/thx.service", unit).unwrap();
    let link = std::path::Path::new("/etc/systemd/system/multi-user.target.wants/thx.service");
    let enable = json!({"name": "thx", "enabled": true});
    assert_eq!(host.check("systemd", enable.clone())["changed"], true);
    assert!(link.symlink_metadata().is_err());
    assert_eq!(host.run("systemd", enable.clone())["changed"], true);
    assert!(link.symlink_metadata().is_ok());
    assert_eq!(host.run("systemd_service", enable)["changed"], false);
    assert_eq!(host.run("systemd", json!({"name": "thx", "enabled": false}))["changed"], true);
    assert!(link.symlink_metadata().is_err());
    assert_eq!(host.run("systemd", json!({"name": "no-such-unit", "enabled": true}))["failed"], true);
}

#[test]
fn databases_become_facts() {
    let mut host = Host::new();
    let root = host.run("getent", json!({"database": "passwd", "key": "root"}));
    assert_eq!(root["ansible_facts"]["getent_passwd"]["root"][1], "0");
    let none = host.run("getent", json!({"database": "group", "key": "no-such-group", "fail_key": false}));
    assert_eq!(none["ansible_facts"]["getent_group"], json!({"no-such-group": null}));
    assert_eq!(host.run("getent", json!({"database": "group", "key": "no-such-group"}))["failed"], true);
}

#[test]
fn sources_of_packages_are_written_once() {
    let test = "sources_of_packages_are_written_once";
    if lacks(test, "apt-get") || !inside_a_copy(test) {
        return;
    }
    let mut host = Host::new();
    let line = "deb [arch=amd64 signed-by=/k.asc] https://u:p@packages.example.org/linux/debian stable main";
    let file = std::path::Path::new("/etc/apt/sources.list.d/packages_example_org_linux_debian.list");
    let repo = json!({"repo": line, "update_cache": false});
    assert_eq!(host.check("apt_repository", repo.clone())["changed"], true);
    assert!(!file.exists());
    let added = host.run("apt_repository", repo.clone());
    assert_eq!(
        fields(&added, &["changed", "sources_added"]),
        json!({"changed": true, "sources_added": [file]})
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{line}\n"));
    assert_eq!(host.run("apt_repository", repo)["changed"], false);
    std::fs::write(file, format!("# {line}\n")).unwrap();
    host.run("apt_repository", json!({"repo": line, "update_cache": false}));
    assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{line}\n"));
    let gone = host.run("apt_repository", json!({"repo": line, "update_cache": false, "state": "absent"}));
    assert_eq!((&gone["changed"], file.exists()), (&json!(true), false));
    assert_eq!(
        host.run("apt_repository", json!({"repo": "garbage"}))["msg"],
        "Invalid repository string: garbage"
    );
}

#[test]
fn settings_of_the_kernel_are_kept_once_in_their_file() {
    let mut host = Host::new();
    host.put("s", "# x\nvm.swappiness = 10\nvm.swappiness=20\n");
    let set = |name: &str, value: &str| json!({"name": name, "value": value, "sysctl_file": "W/s", "reload": false});
    assert_eq!(host.check("sysctl", set("vm.swappiness", "5"))["changed"], true);
    assert_eq!(host.run("sysctl", set("vm.swappiness", "5"))["changed"], true);
    assert_eq!(host.run("sysctl", set("vm/swappiness", "5"))["changed"], false);
    assert_eq!(host.run("sysctl", set("net.ipv4.ip_forward", "yes"))["changed"], true);
    assert_eq!(host.get("s"), "# x\nvm.swappiness=5\nnet.ipv4.ip_forward=1\n");
    // What the kernel has not in force is loaded again, also where the file says it already.
    let lost = json!({"name": "net.no.such", "value": "1", "sysctl_file": "W/t", "ignoreerrors": true});
    assert_eq!(host.run("sysctl", lost.clone())["changed"], true);
    assert_eq!(host.run("sysctl", lost)["changed"], true);
    let absent = json!({"name": "vm.swappiness", "state": "absent", "sysctl_file": "W/s", "reload": false});
    assert_eq!(host.run("sysctl", absent)["changed"], true);
    assert_eq!(host.get("s"), "# x\nnet.ipv4.ip_forward=1\n");
}

#[test]
fn keys_are_added_beside_those_of_others() {
    let mut host = Host::new();
    let key = |tail: &str| {
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHl4ezNKxomqHVL+AMI9UZSVoCInvVCpfzLnrrmp1E{tail}")
    };
    host.put("k", &format!("# c\nfrom=\"a b\" {} old\n", key("aa")));
    let add =
        json!({"user": "root", "path": "W/k", "key": format!("{} me@x", key("bb")), "manage_dir": false});
    assert_eq!(host.run("authorized_key", add.clone())["changed"], true);
    assert_eq!(host.run("authorized_key", add)["changed"], false);
    assert_eq!(host.get("k"), format!("# c\nfrom=\"a b\" {} old\n{} me@x\n", key("aa"), key("bb")));
    let only =
        json!({"user": "root", "path": "W/k", "key": key("bb"), "exclusive": true, "manage_dir": false});
    assert_eq!(host.run("authorized_key", only)["changed"], true);
    assert_eq!(host.get("k"), format!("# c\n{} me@x\n", key("bb")));
    let absent =
        json!({"user": "root", "path": "W/k", "key": key("bb"), "state": "absent", "manage_dir": false});
    assert_eq!(host.run("authorized_key", absent)["changed"], true);
    assert_eq!(host.get("k"), "# c\n");
}
