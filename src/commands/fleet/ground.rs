//! What a command about a fleet stands on: its declaration, its driver, its balancer, its journal.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleet::controller::{Controller, Stop, Store};
use fleet::definition::{DriverSpec, Fleet, TrafficSpec};
use fleet::drivers::Driver;
use fleet::drivers::change::Change;
use fleet::drivers::docker::DockerDriver;
use fleet::drivers::lab::{InPlace, LabDriver, Roots};
use fleet::drivers::ssh::{Host, SshDriver};
use fleet::engine::{Command, Generation, MemberId, Slot, Stage, State};
use fleet::traffic::Traffic;
use fleet::traffic::control::{ProxyClient, Request};
use fleet::traffic::haproxy::HaProxy;
use fleet::traffic::nginx::Nginx;
use playbook::definition::{Definition, FILE};
use playbook::vault::Vault;

use crate::commands::bake;
use crate::setup::Problem;

/// Longer paths cannot be a socket's.
const SOCKET: usize = 100;

pub(crate) struct Ground {
    pub(crate) fleet: Fleet,
    pub(crate) store: Store,
    folder: PathBuf,
    project: PathBuf,
    /// In place: who they are.
    hosts: BTreeMap<MemberId, Host>,
}

/// All fleets of the project.
pub(crate) fn declared() -> Result<Vec<Fleet>, Problem> {
    let cwd = std::env::current_dir().map_err(|e| format!("the current folder cannot be used: {e}"))?;
    let definition = Definition::of_project(&cwd, &Vault::new())?;
    let Some(node) = definition.fleets else {
        return Err(Problem::Other(format!("{} declares no fleets", cwd.join(FILE).display())));
    };
    Ok(fleet::definition::read(&node)?)
}

pub(crate) fn folder() -> Result<PathBuf, Problem> {
    let ledger = crate::commands::record::place().map_err(|error| error.to_string())?;
    Ok(ledger.parent().map(PathBuf::from).unwrap_or_default())
}

/// Roots of baked images, each unpacked once.
fn baked_roots() -> Roots {
    let one_at_a_time = Mutex::new(());
    Roots::Baked(Box::new(move |generation| {
        let _turn = one_at_a_time.lock();
        let store = bake::store().map_err(|problem| match problem {
            Problem::Options(why) | Problem::Other(why) => why,
            Problem::Mistakes(all) => all.into_iter().map(|mistake| mistake.message).collect(),
        })?;
        let image = store.resolve(&generation.0).map_err(|error| error.to_string())?;
        store.rootfs(&image).map_err(|error| error.to_string())
    }))
}

/// The hosts of a fleet that is changed in place: they are its members.
fn in_place(fleet: &mut Fleet) -> Result<BTreeMap<MemberId, Host>, Problem> {
    let DriverSpec::Ssh { inventory, hosts, .. } = &fleet.driver else { return Ok(BTreeMap::new()) };
    let mut all = BTreeMap::new();
    for (name, labels) in crate::commands::inventory::labels(inventory, hosts)? {
        let zone = labels.get("theseus_zone").cloned();
        let place = labels.get("ansible_host").unwrap_or(&name);
        let address = resolved(place, fleet.port, labels.get("ansible_connection").map(String::as_str));
        fleet.spec.slots.push(Slot { name: name.clone(), zone: zone.clone(), labels });
        all.insert(MemberId::from(name), Host { address, zone });
    }
    fleet.spec.members = u32::try_from(all.len()).unwrap_or(u32::MAX);
    fleet.spec.check().map_err(|why| format!("fleet {}: {why}", fleet.spec.name))?;
    Ok(all)
}

/// Where a host's service answers.
fn resolved(place: &str, port: u16, connection: Option<&str>) -> Option<SocketAddr> {
    if connection == Some("lab") {
        let host = lab::Lab::open().ok()?.get(place).ok()?;
        return Some(SocketAddr::from((host.address, port)));
    }
    (place, port).to_socket_addrs().ok()?.next()
}

impl Ground {
    pub(crate) fn of(name: &str) -> Result<Self, Problem> {
        let all = declared()?;
        let names: Vec<String> = all.iter().map(|fleet| fleet.spec.name.clone()).collect();
        let found = all.into_iter().find(|fleet| fleet.spec.name == name);
        let mut fleet = found.ok_or_else(|| {
            Problem::Other(format!("there is no fleet {name} in {FILE}; there are: {}", names.join(", ")))
        })?;
        let hosts = in_place(&mut fleet)?;
        let folder = folder()?;
        let project =
            std::env::current_dir().map_err(|e| format!("the current folder cannot be used: {e}"))?;
        Ok(Self { fleet, store: Store::open(folder.clone())?, folder, project, hosts })
    }

    /// What a person calls a generation; a baked image is meant by what it is now, not by what its name will be.
    pub(crate) fn generation(&self, text: &str) -> Result<Generation, Problem> {
        if let DriverSpec::Lab { images: true, .. } = &self.fleet.driver {
            let image = bake::store()?.resolve(text).map_err(bake::failed)?;
            return Ok(Generation::from(image.short()));
        }
        Ok(Generation::from(text))
    }

    pub(crate) fn state(&self) -> Result<Option<State>, Problem> {
        Ok(self.store.state(&self.fleet.spec.name)?)
    }

    pub(crate) fn current(&self) -> Result<Option<Generation>, Problem> {
        Ok(self.state()?.and_then(|state| state.current))
    }

    /// Puts a request into the journal; its number.
    pub(crate) fn ask(&mut self, command: Command) -> Result<u64, Problem> {
        // What is said of a rollout is said of the one that the person has seen; of one that is over, only `back`.
        let seen = self.state()?.and_then(|state| state.rollout).filter(|rollout| {
            let over = rollout.stage.ended() && rollout.stage != Stage::Halted;
            !over || matches!(command, Command::Back)
        });
        let about_it = matches!(
            command,
            Command::Pause | Command::Resume | Command::Abort | Command::Back | Command::Approve { .. }
        );
        let seen = seen.filter(|_| about_it).map(|rollout| rollout.id);
        let person = crate::setup::person();
        Ok(self.store.ask(&self.fleet.spec.name, &person, seen, command)?)
    }

    fn change(&self, playbook: &str) -> std::io::Result<Change> {
        let program = std::env::current_exe()?;
        Ok(Change { program, project: self.project.clone(), playbook: playbook.to_owned() })
    }

    fn driver(&self) -> std::io::Result<Arc<dyn Driver>> {
        let (fleet, port) = (self.fleet.spec.name.clone(), self.fleet.port);
        Ok(match &self.fleet.driver {
            DriverSpec::Lab { root, images, start, playbook } => {
                let roots = match root {
                    _ if *images => baked_roots(),
                    Some(root) => Roots::Folders(root.clone()),
                    None => Roots::Machine,
                };
                let in_place = match playbook {
                    Some((playbook, group)) => Some(InPlace {
                        change: self.change(playbook)?,
                        group: group.clone(),
                        folder: self.folder.clone(),
                    }),
                    None => None,
                };
                Arc::new(LabDriver { fleet, roots, start: start.clone(), port, in_place })
            }
            DriverSpec::Docker(containers) => {
                Arc::new(DockerDriver { fleet, containers: containers.clone(), port })
            }
            DriverSpec::Ssh { playbook, inventory, .. } => Arc::new(SshDriver {
                change: self.change(playbook)?,
                inventory: inventory.clone(),
                hosts: self.hosts.clone(),
                applied: self.folder.join(format!("applied-{fleet}.json")),
                writing: Mutex::default(),
            }),
        })
    }

    fn traffic(&self) -> Option<Arc<dyn Traffic>> {
        match self.fleet.traffic.as_ref()? {
            TrafficSpec::Proxy { .. } => Some(Arc::new(ProxyClient { socket: self.socket() })),
            TrafficSpec::HaProxy { socket, backend, config } => Some(Arc::new(HaProxy {
                socket: socket.clone(),
                backend: backend.clone(),
                config: config.clone(),
            })),
            TrafficSpec::Nginx { file, upstream, pid } => {
                Some(Arc::new(Nginx { file: file.clone(), upstream: upstream.clone(), pid: pid.clone() }))
            }
        }
    }

    pub(crate) fn controller(&self) -> Result<Controller, Stop> {
        let driver = self.driver().map_err(|error| error.to_string())?;
        Controller::start(self.fleet.clone(), driver, self.traffic(), self.folder.clone())
    }

    fn socket(&self) -> PathBuf {
        let name = format!("proxy-{}.sock", self.fleet.spec.name);
        let path = self.folder.join(&name);
        if path.as_os_str().len() <= SOCKET {
            return path;
        }
        // A short name that is this folder's alone.
        let folder = self.folder.to_string_lossy();
        let sum = folder.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        std::env::temp_dir().join(format!("theseus-{sum:x}-{name}"))
    }

    /// Starts the fleet's balancer if it is not running: a process of its own, that outlives this one.
    pub(crate) fn ensure_proxy(&self) -> Result<(), Problem> {
        let Some(TrafficSpec::Proxy { listen, tcp }) = &self.fleet.traffic else { return Ok(()) };
        let client = ProxyClient { socket: self.socket() };
        if client.ask(&Request::Show).is_ok() {
            return Ok(());
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = std::process::Command::new(program);
        command.args(["proxy", "--listen", &listen.to_string(), "--control"]).arg(&client.socket);
        if *tcp {
            command.arg("--tcp");
        }
        let log = client.socket.with_extension("log");
        let said = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).process_group(0);
        let mut child = command.spawn().map_err(|error| format!("starting the proxy: {error}"))?;
        let begun = Instant::now();
        while client.ask(&Request::Show).is_err() {
            let ended = child.try_wait().ok().flatten().is_some();
            if ended || begun.elapsed() > Duration::from_secs(10) {
                let why = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(Problem::Other(why.trim().trim_start_matches("error: ").to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(crate) fn stop_proxy(&self) {
        if matches!(self.fleet.traffic, Some(TrafficSpec::Proxy { .. })) {
            let socket = self.socket();
            let _ = ProxyClient { socket: socket.clone() }.ask(&Request::Stop);
            let _ = std::fs::remove_file(socket.with_extension("log"));
        }
    }
}
