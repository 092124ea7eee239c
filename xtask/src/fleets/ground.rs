//! A fleet of six in a project of its own: on lab hosts or in containers of an engine started for it, behind the
//! embedded balancer or a HAProxy started for it. All of it goes when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::shell;

pub(crate) const MEMBERS: usize = 6;
const APP: &str = include_str!("../../../tests/fleet/app.py");

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    Lab,
    Docker,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Balancer {
    Proxy,
    HaProxy,
}

pub(super) struct Ground {
    pub(super) fleet: String,
    pub(super) port: u16,
    pub(super) balancer: Balancer,
    /// What is tried.
    program: PathBuf,
    places: Places,
    folder: PathBuf,
    app: PathBuf,
    generations: u32,
    /// Processes that end with it.
    started: Vec<Child>,
}

impl Ground {
    pub(super) fn up(program: &Path, places: Places, balancer: Balancer) -> Result<Self> {
        let number = std::process::id();
        // Sockets need short paths.
        let folder = std::env::temp_dir().join(format!("theseus-fleets-{number}"));
        std::fs::create_dir_all(folder.join("roots"))?;
        // Lab hosts see the machine's files, but not its temporary ones.
        let app = shell::target()?.join(format!("fleets-{number}.py"));
        std::fs::write(&app, APP)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let fleet = format!("six{number}");
        let mut ground = Self {
            program: program.to_owned(),
            fleet,
            port,
            balancer,
            places,
            folder,
            app,
            generations: 0,
            started: Vec::new(),
        };
        if places == Places::Docker {
            ground.start_engine()?;
        }
        if balancer == Balancer::HaProxy {
            ground.start_haproxy()?;
        }
        let first = ground.next()?;
        ensure!(first == "v1", "the first generation is {first}");
        ground.declare("rollout: {strategy: rolling}")?;
        let up = ground.theseus(&["fleet", "up", &ground.fleet]).output()?;
        ensure!(up.status.success(), "fleet up: {}", String::from_utf8_lossy(&up.stderr));
        Ok(ground)
    }

    pub(super) fn words(&self) -> String {
        let places = if self.places == Places::Lab { "lab" } else { "docker" };
        let balancer = if self.balancer == Balancer::Proxy { "theseus proxy" } else { "haproxy" };
        format!("{places}, {balancer}")
    }

    /// The balancer's socket.
    pub(super) fn socket(&self) -> PathBuf {
        match self.balancer {
            Balancer::Proxy => self.folder.join(format!("state/proxy-{}.sock", self.fleet)),
            Balancer::HaProxy => self.folder.join("haproxy.sock"),
        }
    }

    pub(super) fn theseus(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.env("THESEUS_STATE", self.folder.join("state"));
        command
    }

    /// Writes the project's file.
    pub(super) fn declare(&self, more: &str) -> Result<()> {
        let places = match self.places {
            Places::Lab => format!(
                "lab: {{root: \"{}/roots/{{generation}}\", start: \"exec /usr/bin/python3 {}\"}}",
                self.folder.display(),
                self.app.display()
            ),
            Places::Docker => format!(
                "docker: {{socket: {}/docker.sock, image: \"shop:{{generation}}\", network: fleet, command: [/usr/bin/python3, /srv/app.py], volumes: [\"/usr:/usr:ro\"]}}",
                self.folder.display()
            ),
        };
        let traffic = match self.balancer {
            Balancer::Proxy => format!("{{proxy: \"127.0.0.1:{}\"}}", self.port),
            Balancer::HaProxy => format!("{{haproxy: {}, backend: web}}", self.socket().display()),
        };
        let text = format!(
            "fleets:\n  {}:\n    members: {MEMBERS}\n    image: v1\n    port: 8000\n    {places}\n    health: {{http: /health, min_ready: 500ms, boot: 60s, timeout: 5s, sick: 30s}}\n    attest: {{http: /version}}\n    traffic: {traffic}\n    budget: {{surge: 2, unavailable: 0}}\n    {more}\n",
            self.fleet
        );
        std::fs::write(self.folder.join("theseus.yml"), text)?;
        Ok(())
    }

    /// A generation that was not there before.
    pub(super) fn next(&mut self) -> Result<String> {
        self.generations += 1;
        let name = format!("v{}", self.generations);
        self.provide(&name)?;
        Ok(name)
    }

    /// Makes an image of this name: the service behaves as its generation is called.
    pub(super) fn provide(&self, name: &str) -> Result<()> {
        match self.places {
            Places::Lab => {
                let link = self.folder.join("roots").join(name);
                let _ = std::fs::remove_file(&link);
                std::os::unix::fs::symlink("/", link)?;
            }
            Places::Docker => self.docker(&["tag", "shop:base", &format!("shop:{name}")])?,
        }
        Ok(())
    }

    pub(super) fn status(&self) -> Result<Value> {
        let output = self.theseus(&["fleet", "status", &self.fleet, "--output", "json"]).output()?;
        serde_json::from_slice(&output.stdout).context("fleet status")
    }

    /// How many members run a generation, in service or not.
    pub(super) fn members_of(&self, generation: &str) -> Result<usize> {
        let status = self.status()?;
        let members = status["members"].as_array().context("a status without members")?;
        Ok(members.iter().filter(|member| member["generation"] == generation).count())
    }

    fn docker(&self, arguments: &[&str]) -> Result<()> {
        let host = format!("unix://{}", self.folder.join("docker.sock").display());
        shell::output(Command::new("docker").env("DOCKER_HOST", host).args(arguments)).map(drop)
    }

    fn spawn(&mut self, command: &mut Command, log: &str, ready: impl Fn(&Self) -> bool) -> Result<()> {
        let log = self.folder.join(log);
        let said = std::fs::File::create(&log)?;
        let command = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let name = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        self.started.push(child);
        let begun = Instant::now();
        while !ready(self) {
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("{name} does not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn start_engine(&mut self) -> Result<()> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new("dockerd");
        command
            .args(["--host", &format!("unix://{}", at("docker.sock")), "--data-root", &at("docker")])
            .args(["--exec-root", &at("exec"), "--pidfile", &at("docker.pid")])
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]);
        self.spawn(&mut command, "docker.log", |ground| ground.docker(&["version"]).is_ok())?;
        let archive = pack(&self.folder)?;
        self.docker(&["import", &archive.display().to_string(), "shop:base"])?;
        let number = std::process::id() % 200;
        let subnet = format!("10.214.{number}.0/24");
        let bridge = format!("com.docker.network.bridge.name=ths{number}");
        self.docker(&["network", "create", "--subnet", &subnet, "--opt", &bridge, "fleet"])
    }

    fn start_haproxy(&mut self) -> Result<()> {
        let config = self.folder.join("haproxy.cfg");
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\nfrontend shop\n  bind 127.0.0.1:{}\n  default_backend web\nbackend web\n  balance roundrobin\n",
            self.socket().display(),
            self.port
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&config);
        self.spawn(&mut command, "haproxy.log", |ground| {
            std::net::TcpStream::connect(("127.0.0.1", ground.port)).is_ok()
        })
    }
}

/// The smallest root with a shell; Python is mounted.
fn pack(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("image");
    for dir in ["bin", "etc", "srv", "tmp", "usr"] {
        std::fs::create_dir_all(root.join(dir))?;
    }
    for name in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    std::os::unix::fs::symlink("busybox", root.join("bin/sh"))?;
    std::fs::write(root.join("srv/app.py"), APP)?;
    let archive = folder.join("image.tar");
    shell::run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg("."))?;
    Ok(archive)
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.theseus(&["fleet", "down", &self.fleet]).stdout(Stdio::null()).status();
        if self.places == Places::Docker {
            let _ = self.docker(&["network", "prune", "--force"]);
        }
        for child in self.started.iter_mut().rev() {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(&self.app);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
