//! Fleets of containers of a real Docker Engine, and of servers that are changed in place over a real sshd.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use fleet::drivers::Driver;
use fleet::drivers::change::Change;
use fleet::drivers::docker::{Containers, DockerDriver};
use fleet::drivers::ssh::{Host, SshDriver};
use fleet::engine::{Fault, Generation, MemberId, Outcome};
use lab::{HostOptions, InitKind, Lab};

use super::load::Load;
use super::{APP, Fleet, conformance, free_port, python};
use crate::common::{Project, lab_is_possible};
use crate::docker::{Engine, docker_is_possible, root};

/// An engine with a network of its own, and images with the service.
fn engine(what: &str, images: &[&str]) -> Engine {
    let engine = Engine::start(&std::env::temp_dir().join(format!("theseus-{what}-{}", std::process::id())));
    let root = root(&engine.folder);
    std::fs::create_dir_all(root.join("usr")).unwrap();
    std::fs::create_dir_all(root.join("srv")).unwrap();
    // Python is the machine's own, mounted.
    for name in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    std::fs::write(root.join("srv/app.py"), APP).unwrap();
    let archive = engine.folder.join("app.tar");
    let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").status().unwrap();
    assert!(packed.success());
    for image in images {
        engine.must(&["import", &archive.display().to_string(), &format!("shop:{image}")]);
    }
    let number = std::process::id() % 200 + if what == "conform" { 0 } else { 1 };
    let subnet = format!("10.213.{number}.0/24");
    let bridge = format!("com.docker.network.bridge.name=thf{number}");
    engine.must(&["network", "create", "--subnet", &subnet, "--opt", &bridge, "fleet"]);
    engine
}

#[test]
fn containers_keep_what_drivers_promise() {
    let test = "containers_keep_what_drivers_promise";
    if !lab_is_possible(test) || !python(test) || !docker_is_possible(test) {
        return;
    }
    let engine = engine("conform", &["good", "crash"]);
    let containers = Containers {
        socket: engine.folder.join("socket"),
        image: "shop:{generation}".to_owned(),
        network: Some("fleet".to_owned()),
        command: vec!["/usr/bin/python3".to_owned(), "/srv/app.py".to_owned()],
        volumes: vec!["/usr:/usr:ro".to_owned()],
    };
    let driver = DockerDriver { fleet: "web".to_owned(), containers, port: 8000 };
    conformance::of_replacing(&driver, "web");
}

#[test]
fn containers_are_replaced_without_a_lost_request() {
    let test = "containers_are_replaced_without_a_lost_request";
    if !lab_is_possible(test) || !python(test) || !docker_is_possible(test) {
        return;
    }
    let engine = engine("fleet", &["v1", "v2"]);
    let port = free_port();
    let places = |_: &Project| {
        format!(
            "    docker: {{socket: {}, image: \"shop:{{generation}}\", network: fleet, command: [/usr/bin/python3, /srv/app.py], volumes: [\"/usr:/usr:ro\"]}}\n    rollout: {{strategy: blue-green, keep: 1m}}\n",
            engine.folder.join("socket").display()
        )
    };
    let fleet = Fleet::of("box", port, places, &format!("{{proxy: \"127.0.0.1:{port}\"}}"));
    fleet.run(&["fleet", "up", &fleet.name]).fine();
    let load = Load::on(port);
    fleet.there_and_back();
    // What cannot be pulled is refused before anything is touched, and remembered.
    let missing = fleet.run(&["rollout", "start", &fleet.name, "--to", "none"]);
    assert_eq!(missing.code, 2, "{}", missing.shown());
    let again = fleet.run(&["rollout", "start", &fleet.name, "--to", "none"]);
    assert!(again.code == 1 && again.err.contains("known to be bad"), "{}", again.shown());
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 100, "{failed} of {} requests failed", fine + failed);
}

/// Three lab hosts with an sshd, and the service already running on each.
struct Servers {
    lab: Lab,
    project: Project,
    addresses: Vec<(String, std::net::Ipv4Addr)>,
}

const SITE: &str = "- hosts: all
  gather_facts: false
  tasks:
    - fail: {msg: this one is bad}
      when: theseus_generation == 'bad'
    - copy: {dest: /srv/generation, content: \"{{ theseus_generation }}\\n\"}
";

impl Servers {
    fn up(pool: &str) -> Self {
        let project = Project::new(&[("app.py", APP), ("site.yml", SITE)]);
        let key = project.root.join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let lab = Lab::pool(&format!("{pool}{}", std::process::id())).unwrap();
        let options = |name: &str| HostOptions {
            sshd: true,
            tied: true,
            init: InitKind::Small,
            authorized_key: Some(public.trim().to_owned()),
            ..HostOptions::new(name)
        };
        let hosts = lab.up(&["one", "two", "three"].map(options)).unwrap();
        let mut inventory = String::new();
        for host in &hosts {
            inventory.push_str(&format!(
                "{} ansible_host={} ansible_user=root ansible_ssh_private_key_file={} ansible_ssh_common_args='-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no'\n",
                host.name, host.address, key.display()
            ));
            host.copy_in("/srv/app.py", APP.as_bytes(), 0o644).unwrap();
            host.copy_in("/srv/generation", b"none\n", 0o644).unwrap();
            let start = "GENERATION_FILE=/srv/generation PORT=8000 setsid /usr/bin/python3 /srv/app.py >/dev/null 2>&1 </dev/null &";
            let started = host.command("/bin/sh").args(["-c", start]).stdin(Stdio::null()).status();
            assert!(started.unwrap().success());
        }
        project.write("hosts", &inventory);
        let addresses = hosts.into_iter().map(|host| (host.name, host.address)).collect();
        Self { lab, project, addresses }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.project.run(&["fleet", "down", "sea"]);
        let _ = self.lab.down_all();
    }
}

fn ssh_is_possible(test: &str) -> bool {
    let there = std::path::Path::new("/usr/sbin/sshd").exists();
    if !there {
        println!("SKIPPED {test}: needs an OpenSSH server");
    }
    there && lab_is_possible(test) && python(test)
}

#[test]
fn servers_in_place_keep_what_drivers_promise() {
    if !ssh_is_possible("servers_in_place_keep_what_drivers_promise") {
        return;
    }
    let servers = Servers::up("place");
    let host = |(name, address): &(String, std::net::Ipv4Addr)| {
        let host = Host { address: Some((*address, 8000).into()), zone: None };
        (MemberId::from(name.as_str()), host)
    };
    let driver = SshDriver {
        change: Change {
            program: PathBuf::from(env!("CARGO_BIN_EXE_theseus")),
            project: servers.project.root.clone(),
            playbook: "site.yml".to_owned(),
        },
        inventory: vec!["hosts".to_owned()],
        hosts: servers.addresses.iter().map(host).collect::<BTreeMap<_, _>>(),
        applied: servers.project.root.join("applied.json"),
        writing: Mutex::default(),
    };
    let (one, good) = (MemberId::from("one"), Generation::from("good"));
    assert_eq!(driver.prepare(&good), Outcome::Done);
    let found = driver.observe().unwrap();
    assert!(found.len() == 3 && found.values().all(|found| found.generation.is_none()), "{found:?}");
    for _ in 0..2 {
        assert_eq!(driver.apply(&one, &good), Outcome::Done);
    }
    assert_eq!(driver.observe().unwrap()[&one].generation, Some(good.clone()));
    // One that fails is at no generation that anybody knows.
    let failed = driver.apply(&one, &Generation::from("bad"));
    assert!(
        matches!(&failed, Outcome::Failed { fault: Fault::Start, why } if why.contains("site.yml")),
        "{failed:?}"
    );
    assert_eq!(driver.observe().unwrap()[&one].generation, None);
    // Servers are neither made nor removed.
    for outcome in [
        driver.launch(&one, &good, None),
        driver.retire(&one),
        driver.apply(&MemberId::from("nobody"), &good),
    ] {
        assert!(matches!(outcome, Outcome::Failed { fault: Fault::Start, .. }), "{outcome:?}");
    }
}

#[test]
fn servers_are_changed_in_place_by_the_same_machine() {
    if !ssh_is_possible("servers_are_changed_in_place_by_the_same_machine") {
        return;
    }
    let servers = Servers::up("wave");
    let port = free_port();
    let text = format!(
        "fleets:\n  sea:\n    image: v1\n    port: 8000\n    ssh: {{playbook: site.yml, inventory: hosts}}\n    health: {{http: /health, min_ready: 300ms, timeout: 2s}}\n    attest: {{http: /version}}\n    traffic: {{proxy: \"127.0.0.1:{port}\"}}\n    budget: {{surge: 0, unavailable: 1}}\n    rollout: {{failures: 0}}\n"
    );
    servers.project.write("theseus.yml", &text);
    let run = |words: &[&str]| servers.project.run(words);
    run(&["fleet", "up", "sea"]).fine();
    let load = Load::on(port);
    let there = run(&["rollout", "start", "sea", "--to", "v2"]);
    assert_eq!(there.code, 0, "{}", there.shown());
    let bad = run(&["rollout", "start", "sea", "--to", "bad"]);
    assert!(bad.code == 2 && bad.out.contains("failed ("), "{}", bad.shown());
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 100, "{failed} of {} requests failed", fine + failed);
    let status = run(&["fleet", "status", "sea", "--output", "json"]).fine();
    assert!(
        status.contains(r#""healthy":3"#) && status.matches(r#""generation":"v2""#).count() == 4,
        "{status}"
    );
    // The servers do not end with the fleet: only the balancer does.
    let down = run(&["fleet", "down", "sea"]).fine();
    assert!(down.contains("stay as they are"), "{down}");
    // It has said yes, and ends in its own time.
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the balancer still answers");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
