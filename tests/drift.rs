//! Drift as people meet it: found, explained, put back, accepted; the odd host.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lab::{HostOptions, InitKind, Lab, LabHost};
use serde_json::Value;

use crate::common::{Project, lab_is_possible};
use crate::planting::{Field, Planted};

/// Hosts of a pool of their own, and a project that reaches them.
struct Ground {
    lab: Lab,
    hosts: Vec<LabHost>,
    project: Project,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.lab.down_all();
    }
}

impl Ground {
    fn new(name: &str, count: usize, init: Option<InitKind>, site: &str) -> Self {
        let pool = format!("{name}{}", std::process::id());
        let lab = Lab::pool(&pool).unwrap();
        let option = |i: usize| {
            let options = HostOptions { tied: true, ..HostOptions::new(format!("h{i:02}")) };
            match init {
                Some(init) => HostOptions { init, ..options },
                None => options,
            }
        };
        let hosts = lab.up(&(1..=count).map(option).collect::<Vec<_>>()).unwrap();
        hosts.iter().for_each(|host| drop(host.wait_ready(Duration::from_secs(60)).unwrap()));
        let lines: Vec<String> = hosts
            .iter()
            .map(|host| format!("{} ansible_connection=lab theseus_lab_pool={pool}\n", host.name))
            .collect();
        let project = Project::new(&[
            ("hosts", &lines.concat()),
            ("ansible.cfg", "[defaults]\ninventory = hosts\n"),
            ("site.yml", site),
        ]);
        Self { lab, hosts, project }
    }

    fn sh(&self, script: &str) -> String {
        self.hosts[0].run("sh", &["-c", script]).unwrap()
    }

    /// The lines of a look, alarms only.
    fn alarms(&self, more: &[&str]) -> Vec<Value> {
        let ended = self.project.run(&[&["drift", "--output", "json"], more].concat());
        assert!(ended.code == 0 || ended.code == 2, "{}", ended.shown());
        let lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| {
                line["event"] == "change" && line["explained"].is_null() && line["from_before"] != true
            })
            .collect()
    }
}

fn names(all: &[Value]) -> BTreeSet<String> {
    all.iter().filter_map(|f| f["path"].as_str().or(f["object"].as_str()).map(str::to_owned)).collect()
}

const SITE: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: message of the day
      copy: {dest: /etc/motd, content: \"hello\\n\", mode: '0644'}
    - name: the secret
      copy: {dest: /etc/ship.secret, content: \"hunter2\\n\", mode: '0600'}
      no_log: true
    - name: the ship's unit
      copy:
        dest: /etc/systemd/system/ship.service
        content: |
          [Service]
          ExecStart=/bin/sleep 1000
          [Install]
          WantedBy=multi-user.target
";

#[test]
fn drift_is_found_put_back_and_accepted() {
    if !lab_is_possible("drift_is_found_put_back_and_accepted") {
        return;
    }
    let site = format!(
        "{SITE}    - name: the ship sails\n      systemd: {{name: ship, state: started, enabled: true, daemon_reload: true}}\n"
    );
    let ground = Ground::new("drift", 1, None, &site);
    if ground.hosts[0].init != InitKind::Systemd {
        println!("SKIPPED drift_is_found_put_back_and_accepted: this machine has no systemd");
        return;
    }
    ground.project.run(&["apply", "site.yml"]).fine();
    assert!(ground.alarms(&[]).is_empty());
    ground.sh("echo hotfix >>/etc/motd; echo other >/etc/ship.secret; systemctl stop ship; rm /etc/systemd/system/ship.service; useradd -M rogue; \
               printf '[Service]\nExecStart=/bin/sleep 999\n' >/run/systemd/system/pirate.service; systemctl daemon-reload; systemctl start pirate");
    let found = ground.alarms(&[]);
    let all = names(&found);
    for name in [
        "/etc/motd",
        "/etc/ship.secret",
        "/etc/systemd/system/ship.service",
        "service:ship.service",
        "service:pirate.service",
        "user:rogue",
        "/etc/passwd",
    ] {
        assert!(all.contains(name), "{name}: {all:#?}");
    }
    let motd = found.iter().find(|f| f["path"] == "/etc/motd").unwrap();
    assert!(motd["declared"] == true && motd["kind"] == "changed" && motd["host"] == "h01", "{motd}");
    assert!(motd["cause"].as_str().unwrap().contains("message of the day"), "{motd}");
    assert!(motd["time"].is_string() && motd["evidence"]["confidence"].is_string(), "{motd}");
    let secret = found.iter().find(|f| f["path"] == "/etc/ship.secret").unwrap();
    assert!(secret.get("before").is_none() && secret.get("after").is_none(), "{secret}");
    // Looking twice finds the same; the baseline does not move.
    assert_eq!(names(&ground.alarms(&[])), all);
    assert_eq!(ground.project.run(&["drift", "--exit-code"]).code, 2);
    let shown = ground.project.run(&["drift"]).fine();
    assert!(shown.contains("message of the day") && shown.contains("pirate.service"), "{shown}");

    // Only one of them; then all others.
    ground.project.run(&["drift", "--accept", "--reason", "the hotfix stays", "--path", "/etc/motd"]).fine();
    assert!(!names(&ground.alarms(&[])).contains("/etc/motd"));
    assert_eq!(ground.sh("cat /etc/motd"), "hello\nhotfix\n");
    let fixed = ground.project.run(&["drift", "--fix"]).fine();
    assert!(fixed.contains("put back"), "{fixed}");
    assert_eq!(ground.sh("cat /etc/ship.secret"), "hunter2\n");
    assert_eq!(ground.sh("systemctl is-active ship pirate || true"), "active\ninactive\n");
    assert_eq!(ground.sh("grep -c rogue /etc/passwd || true").trim(), "0");
    let left = names(&ground.alarms(&[]));
    assert!(left.is_empty(), "{left:#?}");
    // Both can be undone.
    ground.project.run(&["rollback", "h01"]).fine();
    assert_eq!(ground.sh("cat /etc/ship.secret; grep -c rogue /etc/passwd"), "other\n1\n");
    assert_eq!(ground.project.run(&["drift", "--accept"]).code, 5);
}

/// `THESEUS_PLANT` says how many changes; `cargo xtask plant` plants a thousand, and has real packages upgraded.
#[test]
fn all_that_was_planted_is_found_and_put_back() {
    let name = "all_that_was_planted_is_found_and_put_back";
    if !lab_is_possible(name) {
        return;
    }
    let wanted = std::env::var("THESEUS_PLANT").ok().and_then(|n| n.parse().ok());
    let count = wanted.unwrap_or(60);
    // The second host sees the same weather and nothing else: what it does to a host that nobody touches.
    let ground = Ground::new("plant", 2, None, SITE);
    let [host, twin] = &ground.hosts[..] else { unreachable!("two were made") };
    if host.run("sh", &["-c", "command -v dpkg-deb && command -v apt-get && command -v setfattr"]).is_err() {
        println!("SKIPPED {name}: needs dpkg-deb, apt-get and setfattr (package attr)");
        return;
    }
    let field = Field::new(count, 42);
    ground.hosts.iter().for_each(|host| field.prepare(host));
    if wanted.is_some() {
        offer_newer_packages(&ground.hosts);
    }
    let first = ground.alarms(&[]);
    assert!(first.is_empty(), "{:#?}", names(&first));
    let (before, twin_before) = (tree(host), tree(twin));
    // Neither the packages' own seconds nor those of the upgrade: logs know no shorter times.
    std::thread::sleep(Duration::from_secs(11));
    let Planted(planted) = field.plant(host);
    std::thread::sleep(Duration::from_secs(3));
    ground.hosts.iter().for_each(|host| field.weather(host));
    let (after, twin_after) = (tree(host), tree(twin));
    let found = names(&ground.alarms(&["h01"]));
    let missed: Vec<_> = planted.difference(&found).collect();
    assert!(missed.is_empty(), "{} of {count} were missed: {missed:#?}", missed.len());
    let strange: Vec<_> = found.iter().filter(|name| !follows(name, &planted)).collect();
    let noise = names(&ground.alarms(&["h02"]));
    println!("planted {count}: found all, and {} that were not planted: {strange:?}", strange.len());
    println!("the twin that nobody touched: {} unexplained: {noise:?}", noise.len());
    assert!(strange.len() <= 1 && noise.len() <= 1, "{strange:#?} {noise:#?}");

    ground.project.run(&["drift", "h01", "--fix"]).fine();
    assert_same(&as_the_weather_left(&before, &twin_before, &twin_after), &tree(host), &twin_after);
    assert_eq!(ground.alarms(&["h01"]), Vec::<Value>::new());
    ground.project.run(&["rollback", "h01"]).fine();
    assert_same(&after, &tree(host), &Tree::new());
}

/// What a planted change brings with it: what is below its path, the entry of a cron file, the service of a unit, the
/// group and the account files of a user.
fn follows(name: &str, planted: &BTreeSet<String>) -> bool {
    const ACCOUNTS: &[&str] =
        &["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid"];
    planted.contains(name)
        || planted.iter().any(|top| name.starts_with(&format!("{top}/")))
        || ["cron:rogue", "service:rogue", "group:rogue"].iter().any(|start| name.starts_with(start))
        || (ACCOUNTS.contains(&name) && planted.iter().any(|one| one.starts_with("user:")))
}

/// The newer packages of the machine's own archives, in the hosts' archive.
fn offer_newer_packages(hosts: &[LabHost]) {
    let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("archives");
    std::fs::create_dir_all(cache.join("partial")).unwrap();
    let option = format!("Dir::Cache::archives={}", cache.display());
    let mut fetch = std::process::Command::new("apt-get");
    let fetched = fetch.args(["-q", "-y", "--download-only", "-o", &option, "upgrade"]).output().unwrap();
    let paths = std::fs::read_dir(&cache).unwrap().flatten().map(|entry| entry.path());
    let debs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
    println!("{} newer packages are in this machine's archives", debs.len());
    if debs.is_empty() {
        println!("only our own package is upgraded: {}", String::from_utf8_lossy(&fetched.stderr).trim());
        return;
    }
    for host in hosts {
        let mut copy = std::process::Command::new("cp");
        assert!(copy.args(&debs).arg(host.root.join("var/cache/plank/")).status().unwrap().success());
    }
}

/// Paths and all that is to be known of each.
type Tree = BTreeMap<String, String>;

/// By tools that are not ours.
fn tree(host: &LabHost) -> Tree {
    let tops = "etc opt/plank usr/local/bin usr/local/share/plank usr/share/mast usr/share/hull";
    let look = format!(
        "cd /; find {tops} -xdev ! -name '*-' ! -name ld.so.cache -printf '%p\\t%y %m %U %G %l\\n'; \
         find {tops} -xdev -type f ! -name '*-' ! -name ld.so.cache -printf '%p\\t%s\\n%p\\tat %T@\\n'; \
         find {tops} -xdev -type f ! -name '*-' ! -name ld.so.cache -exec sha256sum {{}} + | sed -E 's/^([0-9a-f]+)  (.*)/\\2\\t\\1/'; \
         getfattr -R -d -m - -P {tops} 2>/dev/null | awk '/^# file: /{{f=substr($0,9);next}} NF{{print f \"\\t\" $0}}'"
    );
    let mut tree = Tree::new();
    for line in host.run("sh", &["-c", &look]).unwrap().lines() {
        let (path, about) = line.split_once('\t').unwrap_or((line, ""));
        tree.entry(path.to_owned()).or_default().push_str(&format!("{about}\n"));
    }
    tree
}

/// What a host shall be like when the weather is all that happened to it.
fn as_the_weather_left(before: &Tree, twin_before: &Tree, twin_after: &Tree) -> Tree {
    let mut wanted = before.clone();
    let names: BTreeSet<&String> = twin_before.keys().chain(twin_after.keys()).collect();
    for name in names.into_iter().filter(|name| twin_before.get(*name) != twin_after.get(*name)) {
        match twin_after.get(name) {
            Some(about) => wanted.insert(name.clone(), about.clone()),
            None => wanted.remove(name),
        };
    }
    wanted
}

/// `weather`: what it wrote has other times on every host.
fn assert_same(wanted: &Tree, found: &Tree, weather: &Tree) {
    let names: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let timeless =
        |about: &String| about.lines().filter(|line| !line.starts_with("at ")).collect::<Vec<_>>().join("\n");
    let differs = |name: &&String| match (wanted.get(*name), found.get(*name)) {
        (Some(a), Some(b)) if weather.get(*name) == Some(a) => timeless(a) != timeless(b),
        (a, b) => a != b,
    };
    let all: Vec<_> = names
        .into_iter()
        .filter(differs)
        .take(10)
        .map(|name| format!("{name}\nwanted {:?}\nfound  {:?}", wanted.get(name), found.get(name)))
        .collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn the_odd_host_is_named() {
    if !lab_is_possible("the_odd_host_is_named") {
        return;
    }
    let count = std::env::var("THESEUS_HOSTS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let ground = Ground::new("odd", count, Some(InitKind::Small), SITE);
    ground.project.run(&["apply", "site.yml"]).fine();
    let alike = ground.project.run(&["compare", "all", "--exit-code"]);
    assert_eq!(alike.code, 0, "{}", alike.shown());
    // One line in one file; then a package's version; then a setting of the kernel.
    let odd = &ground.hosts[count - 2];
    for (script, reason) in [
        ("echo rogue >>/etc/motd", "/etc/motd"),
        (
            "sed -i '/^Package: base-files$/,/^$/s/^Version: .*/Version: 0.1/' /var/lib/dpkg/status",
            "package:base-files",
        ),
        ("echo 7 >/proc/sys/net/core/somaxconn", "sysctl:net.core.somaxconn"),
    ] {
        odd.run("sh", &["-c", script]).unwrap();
        let ended = ground.project.run(&["compare", "all", "--exit-code", "--output", "json"]);
        assert_eq!(ended.code, 2, "{}", ended.shown());
        let groups: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let one = groups.iter().find(|group| group["odd"] == true).unwrap();
        assert_eq!(one["hosts"], serde_json::json!([odd.name]), "{one}");
        let because: Vec<&str> =
            one["because"].as_array().unwrap().iter().filter_map(|b| b["name"].as_str()).collect();
        assert!(because.contains(&reason), "{reason}: {because:?}");
        println!("{count} hosts, one with another {reason}: {} is odd because of {because:?}", odd.name);
    }
    let detail = ground.project.run(&["diff", "h01", &odd.name, "--exit-code"]);
    let shown = |text: &str| assert!(detail.out.contains(text), "{text}: {}", detail.shown());
    assert_eq!(detail.code, 2);
    ["/etc/motd", "rogue", "package:base-files", "sysctl:net.core.somaxconn"].into_iter().for_each(shown);
}

const OBJECTS: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: somebody to deploy
      user: {name: deployer, shell: /bin/sh}
    - name: the key of the office
      authorized_key: {user: deployer, key: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0000000000000000000000000000000000000000000 office\"}
    - name: a job at night
      cron: {name: night, cron_file: night, user: root, minute: '5', job: /bin/true}
    - name: longer queues
      sysctl: {name: net.core.somaxconn, value: '777', sysctl_file: /etc/sysctl.d/queues.conf, sysctl_set: true, reload: false}
    - name: the tool
      apt: {deb: /var/cache/tool_1_all.deb}
";

/// Accounts, keys, cron entries, settings and packages of tasks are said in the words of those tasks; packages and modules of
/// the kernel come back as well.
#[test]
fn what_tasks_left_is_said_in_their_words() {
    let name = "what_tasks_left_is_said_in_their_words";
    if !lab_is_possible(name) {
        return;
    }
    let ground = Ground::new("objects", 1, Some(InitKind::Small), OBJECTS);
    if ground.hosts[0].run("sh", &["-c", "command -v dpkg-deb && command -v crontab"]).is_err() {
        println!("SKIPPED {name}: needs dpkg-deb and cron");
        return;
    }
    ground.sh(
        "cd /var/cache; mkdir -p p/DEBIAN p/usr/share/tool; echo 1 >p/usr/share/tool/data; \
         printf 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: t\n' >p/DEBIAN/control; \
         dpkg-deb -b p tool_1_all.deb >/dev/null; printf '%s\nFilename: ./tool_1_all.deb\nSize: %s\nSHA256: %s\n' \
           \"$(dpkg-deb -f tool_1_all.deb)\" $(stat -c %s tool_1_all.deb) $(sha256sum <tool_1_all.deb | cut -d' ' -f1) >Packages; \
         echo 'deb [trusted=yes] file:/var/cache ./' >/etc/apt/sources.list.d/tool.list; \
         apt-get -q update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/tool.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 >/dev/null; \
         printf '#!/bin/sh\\necho $* >>/tmp/modprobe.log\\n' >/usr/local/sbin/modprobe; chmod +x /usr/local/sbin/modprobe",
    );
    assert_eq!(names(&ground.alarms(&[])), BTreeSet::new());
    ground.project.run(&["apply", "site.yml"]).fine();
    assert_eq!(names(&ground.alarms(&[])), BTreeSet::new());
    // A module that was loaded at the first look, as far as this machine's kernel lets anybody load one.
    ground.sh(
        "sed -i 's/\"objects\":{/&\"module:plank\":\"loaded\",/' /var/lib/theseus/drift/first.json; \
         userdel -r deployer 2>/dev/null; rm /etc/cron.d/night; echo 9 >/proc/sys/net/core/somaxconn; dpkg --purge tool >/dev/null",
    );
    let found = ground.alarms(&[]);
    for (object, words) in [
        ("user:deployer", "somebody to deploy"),
        ("group:deployer", "somebody to deploy"),
        ("key:deployer …000000000000 office", "the key of the office"),
        ("cron:night 5 * * * * root /bin/true", "a job at night"),
        ("sysctl:net.core.somaxconn", "longer queues"),
        ("package:tool", "the tool"),
    ] {
        let one = found.iter().find(|finding| finding["object"] == object);
        let one = one.unwrap_or_else(|| panic!("{object}: {:#?}", names(&found)));
        assert!(one["declared"] == true && one["cause"].as_str().unwrap().contains(words), "{one}");
    }
    let package = found.iter().find(|finding| finding["object"] == "package:tool").unwrap();
    assert_eq!(package["before"], "1", "{package}");
    let fixed = ground.project.run(&["drift", "--fix"]).fine();
    assert_eq!(ground.sh("cat /tmp/modprobe.log").trim(), "plank", "{fixed}");
    let now = "id -un deployer; cat /etc/cron.d/night | grep -c true; cat /proc/sys/net/core/somaxconn; cat /usr/share/tool/data; \
               grep -c office ~deployer/.ssh/authorized_keys; dpkg-query -W -f '${Status}' tool";
    assert_eq!(ground.sh(now), "deployer\n1\n777\n1\n1\ninstall ok installed", "{fixed}");
    let left = names(&ground.alarms(&[]));
    assert_eq!(left, BTreeSet::from(["module:plank".to_owned()]), "{fixed}");
    ground.project.run(&["rollback", "h01"]).fine();
    assert_eq!(ground.sh("id -un deployer 2>/dev/null; ls /etc/cron.d | grep night; true"), "");
    assert!(!ground.sh("dpkg-query -W -f '${Status}' tool 2>/dev/null; true").contains("ok installed"));
}

/// Only the paths that somebody changed stay as they are, whether a module or a program would write them.
#[test]
fn what_somebody_changed_is_kept_if_wanted() {
    if !lab_is_possible("what_somebody_changed_is_kept_if_wanted") {
        return;
    }
    let site = "- hosts: all
  gather_facts: false
  tasks:
    - {name: a, copy: {dest: /etc/plank-a, content: \"a {{ n }}\\n\"}, notify: told}
    - {name: b, copy: {dest: /etc/plank-b, content: \"b {{ n }}\\n\"}}
    - {name: c, shell: 'echo c {{ n }} >/etc/plank-c; echo d {{ n }} >/etc/plank-d'}
  handlers:
    - {name: told, shell: echo told >>/tmp/told}
";
    let ground = Ground::new("keep", 1, Some(InitKind::Small), site);
    let apply = |more: &[&str]| ground.project.run(&[&["apply", "site.yml"], more].concat());
    apply(&["-e", "n=1"]).fine();
    ground.sh("echo hotfix >/etc/plank-a; echo hotfix >/etc/plank-c");
    let stopped = apply(&["-e", "n=2", "--on-drift", "stop"]);
    assert!(stopped.code == 1 && stopped.err.contains("/etc/plank-a"), "{}", stopped.shown());
    let ended = apply(&["-e", "n=2", "--on-drift", "keep"]);
    assert!(ended.code == 0, "{}", ended.shown());
    assert!(ended.shown().contains("/etc/plank-a: left as somebody changed it"), "{}", ended.shown());
    let now = ground.sh("cat /etc/plank-a /etc/plank-b /etc/plank-c /etc/plank-d /tmp/told");
    assert_eq!(now, "hotfix\nb 2\nhotfix\nd 2\ntold\n");
    // It is drift still, and overwritten by default, which can be undone.
    let found = names(&ground.alarms(&["--path", "/etc"]));
    assert!(found.contains("/etc/plank-a") && found.contains("/etc/plank-c"), "{found:?}");
    apply(&["-e", "n=3"]).fine();
    assert_eq!(ground.sh("cat /etc/plank-a /etc/plank-c"), "a 3\nc 3\n");
    ground.project.run(&["rollback", "h01"]).fine();
    assert_eq!(ground.sh("cat /etc/plank-a /etc/plank-b /etc/plank-c"), "hotfix\nb 2\nhotfix\n");
}

/// Thirty generations; since one of them something is wrong.
#[test]
fn the_generation_that_broke_it_is_named() {
    if !lab_is_possible("the_generation_that_broke_it_is_named") {
        return;
    }
    const BAD: u64 = 17;
    let site = format!(
        "- hosts: all
  gather_facts: false
  tasks:
    - {{name: 'step {{{{ n }}}}', copy: {{dest: /etc/plank-step, content: \"{{{{ n }}}}\\n\"}}}}
    - {{name: 'a bad setting', copy: {{dest: /etc/plank-bad, content: bad}}, when: n == '{BAD}'}}
"
    );
    let ground = Ground::new("bisect", 1, Some(InitKind::Small), &site);
    for n in 1..=30 {
        ground.project.run(&["apply", "site.yml", "-e", &format!("n={n}")]).fine();
    }
    let before = tree(&ground.hosts[0]);
    let check = "touch /etc/plank-tried; test ! -e /etc/plank-bad";
    let ended = ground.project.run(&["bisect", "h01", "--check", check, "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.shown());
    let found: Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
    assert!(found["bad"] == BAD && found["good"] == BAD - 1, "{found}");
    assert!(found["tasks"].as_array().unwrap().contains(&"a bad setting".into()), "{found}");
    let tried = found["tried"].as_array().unwrap().len();
    println!("generation {BAD} of 30 broke it: found by trying {tried}");
    assert!(tried <= 7, "{found}");
    // On a clone: the host itself is as it was.
    assert_eq!(tree(&ground.hosts[0]), before);
}

/// Checks of all kinds, before and after; those that failed before already are told apart, and what fails since undoes it.
#[test]
fn health_is_looked_at_before_and_after() {
    if !lab_is_possible("health_is_looked_at_before_and_after") {
        return;
    }
    let site = "- hosts: all
  gather_facts: false
  tasks:
    - {name: the marker, copy: {dest: /etc/plank-marker, content: x}}
";
    let ground = Ground::new("health", 1, Some(InitKind::Small), site);
    ground.sh("echo fine >/var/log/plank.log");
    let apply = |more: &[&str]| {
        ground.project.run(&[&["apply", "site.yml", "--on-failure", "rollback"], more].concat())
    };
    let there = || ground.sh("ls /etc/plank-marker 2>/dev/null || true");
    for broken in ["command:test ! -e /etc/plank-marker", "file:/etc/plank-marker:0"] {
        // The second one failed before already: there was no such file.
        let ended = apply(&["--health", broken]);
        let undone = broken.starts_with("command");
        assert_eq!(
            (ended.code, there().is_empty()),
            (if undone { 2 } else { 0 }, undone),
            "{}",
            ended.shown()
        );
    }
    let ended = apply(&["--health", "port:1", "--health", "log:/var/log/plank.log:^Error"]);
    assert!(ended.code == 0 && ended.out.contains("failed before the change already"), "{}", ended.shown());
    // Tasks of a playbook must hold after it; what they say tells whether they did before.
    let theseus = |line: &str| {
        ground.project.write("theseus.yml", &format!("health:\n  - name: it works\n    shell: '{line}'\n"))
    };
    theseus("test ! -e /etc/plank-new");
    let text = site.replace("plank-marker", "plank-new");
    ground.project.write("site.yml", &text);
    let ended = apply(&[]);
    assert!(ended.code == 2 && !ended.out.contains("failed before the change already"), "{}", ended.shown());
    assert_eq!(ground.sh("ls /etc/plank-new 2>/dev/null || true"), "");
    theseus("false");
    let ended = apply(&[]);
    assert!(
        ended.code == 2 && ended.out.contains("it works (failed before the change already)"),
        "{}",
        ended.shown()
    );
}
