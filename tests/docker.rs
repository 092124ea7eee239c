//! The docker connection, to a container of a real Docker Engine that the test starts for itself, and tasks that order that
//! engine about.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Project, lab_is_possible};

/// An engine of our own: its socket, data and containers are in a folder that goes with it.
pub(crate) struct Engine {
    child: Child,
    pub(crate) folder: PathBuf,
}

impl Engine {
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("dockerd")
            .args(["--host", &format!("unix://{}", at("socket")), "--data-root", &at("data")])
            .args(["--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Self { child, folder: folder.to_owned() };
        let start = Instant::now();
        while !engine.docker(&["version"]).status().unwrap().success() {
            let log = std::fs::read_to_string(folder.join("log")).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60), "the engine does not start: {log}");
            std::thread::sleep(Duration::from_millis(200));
        }
        engine
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.join("socket").display())
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.host()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn must(&self, arguments: &[&str]) {
        let output = self.docker(arguments).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let listed = self.docker(&["ps", "--all", "--quiet"]).stdout(Stdio::piped()).output();
        let listed =
            listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for container in listed.split_whitespace() {
            let _ = self.docker(&["rm", "--force", container]).status();
        }
        let _ = self.docker(&["network", "prune", "--force"]).status();
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The smallest root with a shell: BusyBox, which is static.
pub(crate) fn root(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for dir in ["bin", "etc", "root", "tmp", "var/lib", "var/tmp"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for name in [
        "sh", "uname", "grep", "true", "mkdir", "cat", "chmod", "mv", "id", "rm", "sleep", "test", "ls",
        "head", "dd", "stat",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
    root
}

/// Whether an engine can be started; says why a test is left out.
pub(crate) fn docker_is_possible(test: &str) -> bool {
    let there = |name: &str| {
        ["/usr/sbin", "/usr/bin", "/bin", "/usr/local/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(name).exists())
    };
    let possible = there("dockerd") && there("busybox");
    if !possible {
        println!("SKIPPED {test}: needs docker.io and busybox-static");
    }
    possible
}

/// An engine in a folder of this name, with the image `box:1` and a container of it, `box`, with these further options.
fn with_box(name: &str, options: &[&str]) -> Engine {
    let folder = std::env::temp_dir().join(format!("theseus-docker-{name}-{}", std::process::id()));
    let engine = Engine::start(&folder);
    let root = root(&folder);
    let archive = folder.join("root.tar");
    let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").status().unwrap();
    assert!(packed.success());
    engine.must(&["import", &archive.display().to_string(), "box:1"]);
    let mut words = vec!["run", "--detach", "--name", "box", "--network", "none"];
    words.extend(options);
    words.extend(["box:1", "/bin/sleep", "600"]);
    engine.must(&words);
    engine
}

#[test]
fn a_container_is_a_host() {
    if !lab_is_possible("a_container_is_a_host") {
        return;
    }
    if !docker_is_possible("a_container_is_a_host") {
        return;
    }
    let engine = with_box("connection", &[]);
    let site = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {dest: /etc/motd, content: \"sail\\n\"}\n    - command: cat /etc/motd\n      changed_when: false\n      register: motd\n    - assert: {that: motd.stdout == 'sail'}\n";
    let project = Project::new(&[("hosts", "box ansible_connection=docker\n"), ("site.yml", site)]);
    let apply = || {
        let mut command = project.command("theseus", &["apply", "-i", "hosts", "site.yml"]);
        project.ended(command.env("DOCKER_HOST", engine.host()).output().unwrap())
    };
    let (first, second) = (apply(), apply());
    assert!(first.out.contains("changed=1"), "{}", first.shown());
    assert!(second.out.contains("changed=0"), "{}", second.shown());
    assert_eq!((first.code, second.code), (0, 0), "{}", second.shown());
    project.write("hosts", "box ansible_connection=docker ansible_host=nobody\n");
    let gone = apply();
    assert_eq!(gone.code, 4, "{}", gone.shown());
    assert!(gone.shown().contains("No such container"), "{}", gone.shown());
}

/// Builds an image, keeps a volume, runs a container of both: by tasks on a host that reaches the engine.
const SHOP: &str = r#"- hosts: all
  gather_facts: false
  module_defaults:
    group/community.docker.docker: {docker_host: "unix:///engine/socket"}
  tasks:
    - file: {path: /srv/shop, state: directory}
    - copy: {dest: /srv/shop/Dockerfile, content: "FROM box:1\nCOPY goods /goods\nLABEL of=shop\n"}
    - copy: {dest: /srv/shop/goods, content: "apples\n"}
    - community.docker.docker_image: {name: "shop:1", source: build, build: {path: /srv/shop}}
      notify: again
    - community.docker.docker_volume: {name: till}
    - community.docker.docker_container:
        name: shop
        image: shop:1
        command: [sh, -c, "cat /goods > /till/sold; exec sleep 600"]
        network_mode: none
        volumes: ["till:/till"]
        stop_signal: KILL
    - docker_image_info: {name: "shop:1"}
      register: known
    - assert: {that: "known.images[0].Config.Labels.of == 'shop'"}
  handlers:
    - name: again
      docker_container: {name: shop, image: "shop:1", restart: true, comparisons: {'*': ignore}}
"#;
const CLOSED: &str = r#"- hosts: all
  gather_facts: false
  module_defaults:
    group/docker: {docker_host: "unix:///engine/socket"}
  tasks:
    - docker_container: {name: shop, state: absent, force_kill: true}
    - docker_volume: {name: till, state: absent}
    - docker_image: {name: "shop:1", state: absent}
"#;

#[test]
fn tasks_order_an_engine_about() {
    if !lab_is_possible("tasks_order_an_engine_about") || !docker_is_possible("tasks_order_an_engine_about") {
        return;
    }
    let socket = std::env::temp_dir().join(format!("theseus-docker-tasks-{}", std::process::id()));
    let engine = with_box("tasks", &["--volume", &format!("{}:/engine", socket.display())]);
    let project = Project::new(&[
        ("hosts", "box ansible_connection=docker\n"),
        ("shop.yml", SHOP),
        ("closed.yml", CLOSED),
    ]);
    let apply = |playbook: &str, more: &[&str]| {
        let mut words = vec!["apply", "-i", "hosts", playbook];
        words.extend(more);
        let mut command = project.command("theseus", &words);
        project.ended(command.env("DOCKER_HOST", engine.host()).output().unwrap())
    };
    let (first, second) = (apply("shop.yml", &[]), apply("shop.yml", &[]));
    assert!(first.out.contains("changed=7"), "{}", first.shown());
    assert!(second.out.contains("changed=0"), "{}", second.shown());
    assert_eq!((first.code, second.code), (0, 0), "{}", second.shown());
    engine.must(&["exec", "shop", "grep", "apples", "/till/sold"]);
    let asked = apply("closed.yml", &["--check"]);
    assert!(asked.out.contains("changed=3"), "{}", asked.shown());
    engine.must(&["exec", "shop", "true"]);
    let closed = apply("closed.yml", &[]);
    assert!(closed.out.contains("changed=3") && closed.code == 0, "{}", closed.shown());
    assert!(!engine.docker(&["inspect", "shop:1"]).status().unwrap().success());
    assert!(!engine.docker(&["volume", "inspect", "till"]).status().unwrap().success());
}
