//! What a command about a fleet stands on: its declaration, its driver, its balancer, its journal.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::controller::{Controller, Stop, Store};
use fleet::definition::{DriverSpec, Fleet, TrafficSpec};
use fleet::drivers::Driver;
use fleet::drivers::lab::LabDriver;
use fleet::engine::{Command, Generation, State};
use fleet::traffic::Traffic;
use fleet::traffic::control::{ProxyClient, Request};
use fleet::traffic::haproxy::HaProxy;
use playbook::definition::{Definition, FILE};
use playbook::vault::Vault;

use crate::setup::Problem;

/// Longer paths cannot be a socket's.
const SOCKET: usize = 100;

pub(crate) struct Ground {
    pub(crate) fleet: Fleet,
    pub(crate) store: Store,
    folder: PathBuf,
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

impl Ground {
    pub(crate) fn of(name: &str) -> Result<Self, Problem> {
        let all = declared()?;
        let names: Vec<String> = all.iter().map(|fleet| fleet.spec.name.clone()).collect();
        let found = all.into_iter().find(|fleet| fleet.spec.name == name);
        let fleet = found.ok_or_else(|| {
            Problem::Other(format!("there is no fleet {name} in {FILE}; there are: {}", names.join(", ")))
        })?;
        let folder = folder()?;
        Ok(Self { fleet, store: Store::open(folder.clone())?, folder })
    }

    pub(crate) fn state(&self) -> Result<Option<State>, Problem> {
        Ok(self.store.state(&self.fleet.spec.name)?)
    }

    pub(crate) fn current(&self) -> Result<Option<Generation>, Problem> {
        Ok(self.state()?.and_then(|state| state.current))
    }

    /// Puts a request into the journal; its number.
    pub(crate) fn ask(&mut self, command: Command) -> Result<u64, Problem> {
        let seen = self.state()?.and_then(|state| state.rollout).map(|rollout| rollout.id);
        let about_it = matches!(
            command,
            Command::Pause | Command::Resume | Command::Abort | Command::Back | Command::Approve { .. }
        );
        let person = std::env::var("SUDO_USER")
            .or_else(|_| std::env::var("USER"))
            .unwrap_or_else(|_| "root".to_owned());
        Ok(self.store.ask(&self.fleet.spec.name, &person, seen.filter(|_| about_it), command)?)
    }

    fn driver(&self) -> Arc<dyn Driver> {
        match &self.fleet.driver {
            DriverSpec::Lab { root, start } => Arc::new(LabDriver {
                fleet: self.fleet.spec.name.clone(),
                root: root.clone(),
                start: start.clone(),
                port: self.fleet.port,
            }),
        }
    }

    fn traffic(&self) -> Option<Arc<dyn Traffic>> {
        match self.fleet.traffic.as_ref()? {
            TrafficSpec::Proxy { .. } => Some(Arc::new(ProxyClient { socket: self.socket() })),
            TrafficSpec::HaProxy { socket, backend } => {
                Some(Arc::new(HaProxy { socket: socket.clone(), backend: backend.clone() }))
            }
        }
    }

    pub(crate) fn controller(&self) -> Result<Controller, Stop> {
        Controller::start(self.fleet.clone(), self.driver(), self.traffic(), self.folder.clone())
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
