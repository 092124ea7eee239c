//! The tour's stage: a project in a folder of its own, three hosts, and a way to run this very program on them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use lab::{HostOptions, InitKind, Lab, LabHost};
use ledger::{HostResult, Ledger, SqliteLedger};
use rustix::process::{Pid, Signal, kill_process};

use super::{INTERRUPTED, project};
use crate::report::{self, Output, Style};
use crate::setup::Problem;

const HOSTS: [&str; 3] = ["web1", "web2", "web3"];
/// Where the ship answers.
const PORT: u16 = 8080;

pub(super) struct Stage {
    style: Style,
    folder: PathBuf,
    hosts: Vec<LabHost>,
    keep: bool,
    stop: Arc<AtomicBool>,
    /// The program that is running for us; 0: none.
    child: Arc<AtomicI32>,
    _signals: tokio::runtime::Runtime,
}

impl Stage {
    pub(super) fn set(style: Style, keep: bool) -> Result<Self, Problem> {
        refuse_without_root()?;
        let (stop, child) = (Arc::<AtomicBool>::default(), Arc::<AtomicI32>::default());
        let signals = listen(&stop, &child).map_err(|error| format!("signals cannot be heard: {error}"))?;
        let mut stage =
            Self { style, folder: new_folder()?, hosts: Vec::new(), keep, stop, child, _signals: signals };
        match stage.build() {
            Ok(()) => Ok(stage),
            Err(problem) => {
                let _ = stage.clear();
                Err(problem)
            }
        }
    }

    fn build(&mut self) -> Result<(), Problem> {
        project::write(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let lab = Lab::open().map_err(|error| error.to_string())?;
        if let Some(there) =
            lab.list().into_iter().find(|host| HOSTS.contains(&host.name.as_str()) && host.alive())
        {
            let all = HOSTS.join(" ");
            return Err(format!("the lab has a host {} already, and the tour needs {all} for itself: `theseus lab down {}` removes it", there.name, there.name).into());
        }
        let wanted: Vec<HostOptions> =
            HOSTS.iter().map(|name| HostOptions { tied: !self.keep, ..HostOptions::new(*name) }).collect();
        let began = Instant::now();
        self.hosts = lab.up(&wanted).map_err(|error| lacking(&error.to_string()))?;
        if self.hosts.iter().any(|host| host.address.is_loopback()) {
            return Err(lacking("the hosts have no network"));
        }
        let systemd = self.has_systemd();
        self.say(&format!(
            "Three servers of our own, made in {:.1} seconds from this machine's root, each with its own processes, network and\n\
             copy-on-write disk{}. Nothing that happens to them touches this machine.",
            began.elapsed().as_secs_f64(),
            if systemd { ", with systemd" } else { "" },
        ));
        for host in &self.hosts {
            self.say(&format!("    {}  {}", host.name, host.address));
        }
        Ok(())
    }

    pub(super) fn has_systemd(&self) -> bool {
        self.hosts.iter().all(|host| host.init == InitKind::Systemd)
    }

    pub(super) fn say(&self, text: &str) {
        // Programs read standard output.
        if self.style.output == Output::Json { eprintln!("{text}") } else { println!("{text}") }
    }

    pub(super) fn title(&self, number: usize, title: &str) {
        self.say(&format!("\n{}\n", self.style.paint.bold(&format!("{number}. {title}"))));
    }

    pub(super) fn interrupted(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Runs this program in the project's folder, just as a person would; a failure ends the tour.
    pub(super) fn theseus(&self, arguments: &[&str]) -> Result<(), Problem> {
        self.theseus_ends(arguments, 0)
    }

    /// The same, where this exit code is what shall come.
    pub(super) fn theseus_ends(&self, arguments: &[&str], expected: u8) -> Result<(), Problem> {
        self.say(&self.style.paint.dim(&format!("$ theseus {}", arguments.join(" "))));
        let mut command = self.command(arguments)?;
        command.args(self.shown());
        let mut child =
            command.spawn().map_err(|error| format!("this program cannot start itself: {error}"))?;
        self.child.store(i32::try_from(child.id()).unwrap_or_default(), Ordering::SeqCst);
        let status = child.wait().map_err(|error| error.to_string());
        self.child.store(0, Ordering::SeqCst);
        match status?.code() {
            Some(code) if code == i32::from(expected) => Ok(()),
            Some(code) if code == i32::from(INTERRUPTED) => {
                self.stop.store(true, Ordering::SeqCst);
                Err("interrupted".to_owned().into())
            }
            _ => {
                Err(format!("`theseus {}` did not end well; the tour stops here", arguments.join(" ")).into())
            }
        }
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, Problem> {
        let program =
            std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
        let mut command = Command::new(program);
        command.arg0("theseus").args(arguments);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ANSIBLE_"))
        {
            command.env_remove(name);
        }
        command.current_dir(&self.folder).env("THESEUS_STATE", self.state());
        Ok(command)
    }

    /// Runs this program beside the story, unseen.
    pub(super) fn beside(&self, arguments: &[&str]) -> Result<Child, Problem> {
        let mut command = self.command(arguments)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|error| format!("this program cannot start itself: {error}").into())
    }

    /// Where each server's page is.
    pub(super) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.hosts.iter().map(|host| (host.name.clone(), (host.address, PORT).into())).collect()
    }

    /// How the person wants to see it, where that is not what the program would choose by itself.
    fn shown(&self) -> Vec<&'static str> {
        let mut options = Vec::new();
        if self.style.output != report::default_output() {
            let output = match self.style.output {
                Output::Json => "json",
                Output::Pretty => "pretty",
                Output::Plain | Output::Ansible => "plain",
            };
            options.extend(["--output", output]);
        }
        if self.style.paint.on != report::Color::Auto.paint().on {
            options.extend(["--color", if self.style.paint.on { "always" } else { "never" }]);
        }
        options
    }

    /// What the last run did to each host, from the ledger.
    pub(super) fn last_run(&self) -> Result<Vec<HostResult>, Problem> {
        let results = || {
            let ledger = SqliteLedger::open(&self.state().join("ledger.db"))?;
            let last = ledger.runs(None, 1)?.pop();
            last.map_or_else(|| Ok(Vec::new()), |run| ledger.results(&run.start.id))
        };
        results().map_err(|error: ledger::Error| error.to_string().into())
    }

    /// The web page of every host, as a browser on this machine would get it.
    pub(super) fn pages(&self) -> Result<Vec<String>, Problem> {
        let mut pages = Vec::new();
        for host in &self.hosts {
            let began = Instant::now();
            let mut page = self.page_of(&host.name);
            // A service that was just started may need a moment.
            while page.is_err() && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(50));
                page = self.page_of(&host.name);
            }
            let page =
                page.map_err(|error| format!("{} does not answer on port {PORT}: {error}", host.name))?;
            self.say(&format!("    http://{}:{PORT}/  {}  {page}", host.address, host.name));
            pages.push(page);
        }
        Ok(pages)
    }

    /// One host's page, not shown; after a restart it may take a moment.
    pub(super) fn page_of(&self, name: &str) -> std::io::Result<String> {
        let host = self.hosts.iter().find(|host| host.name == name);
        let host = host.ok_or_else(|| std::io::Error::other("there is no such host"))?;
        page(SocketAddr::from((host.address, PORT)))
    }

    /// What somebody does on a host without Theseus; shown.
    pub(super) fn by_hand(&self, name: &str, script: &str) -> Result<(), Problem> {
        script.lines().for_each(|line| self.say(&self.style.paint.dim(&format!("{name}# {line}"))));
        self.host(name)?.run("sh", &["-c", script]).map(drop).map_err(|error| error.to_string().into())
    }

    pub(super) fn file_of(&self, name: &str, path: &str) -> Result<String, Problem> {
        self.host(name)?.run("cat", &[path]).map_err(|error| error.to_string().into())
    }

    fn host(&self, name: &str) -> Result<&LabHost, Problem> {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.ok_or_else(|| Problem::Other(format!("there is no host {name}")))
    }

    /// Changes a file of the project, and shows which line.
    pub(super) fn replace(&self, file: &str, before: &str, after: &str) -> Result<(), Problem> {
        let path = self.folder.join(file);
        let failed = |error: std::io::Error| Problem::Other(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        if !text.contains(before) {
            return Err(format!("{file} does not have the line that the tour changes").into());
        }
        std::fs::write(&path, text.replacen(before, after, 1)).map_err(failed)?;
        self.say(&format!("{file}:"));
        before
            .lines()
            .filter(|line| !after.lines().any(|new| new == *line))
            .for_each(|line| self.say(&format!("    - {line}")));
        after
            .lines()
            .filter(|line| !before.lines().any(|old| old == *line))
            .for_each(|line| self.say(&format!("    + {line}")));
        Ok(())
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.join(".state")
    }

    /// Takes everything away, unless it is to be kept.
    pub(super) fn clear(&self) -> Result<(), Problem> {
        if self.keep && !self.interrupted() && !self.hosts.is_empty() {
            self.say(&format!(
                "\nThe hosts and the project stay: cd {}; theseus apply site.yml; theseus lab down {}",
                self.folder.display(),
                HOSTS.join(" ")
            ));
            return Ok(());
        }
        let mut outcome = Ok(());
        if let Ok(lab) = Lab::open() {
            for host in &self.hosts {
                outcome = outcome.and(lab.down(&host.name));
            }
        }
        let _ = std::fs::remove_dir_all(&self.folder);
        outcome.map_err(|error| error.to_string().into())
    }
}

fn refuse_without_root() -> Result<(), Problem> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(lacking("the tour needs root, for hosts with a network"))
}

/// What is missing, and what to do.
fn lacking(what: &str) -> Problem {
    let mut text = what.to_owned();
    for lack in Lab::missing() {
        text.push_str(&format!("; {lack}"));
    }
    if !rustix::process::geteuid().is_root() {
        text.push_str("\nrun it as root: sudo theseus tour");
    }
    Problem::Other(text)
}

fn new_folder() -> Result<PathBuf, Problem> {
    let folder = std::env::temp_dir().join(format!("theseus-tour-{}", std::process::id()));
    let make = |folder: &Path| {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().mode(0o700).create(folder)
    };
    make(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    Ok(folder)
}

/// Ctrl-C ends the tour after the step that runs, which hears it too; a second one at once. What is tied to this
/// process ends with it in any case.
fn listen(stop: &Arc<AtomicBool>, child: &Arc<AtomicI32>) -> std::io::Result<tokio::runtime::Runtime> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let guard = runtime.enter();
    let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, child) = (stop.clone(), child.clone());
    runtime.spawn(async move {
        loop {
            let by_hand = tokio::select! {
                _ = interrupt.recv() => true,
                _ = end.recv() => false,
            };
            if stop.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED));
            }
            // Only the terminal tells the child by itself.
            if !by_hand && let Some(pid) = Pid::from_raw(child.load(Ordering::SeqCst)) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    });
    drop(guard);
    Ok(runtime)
}

/// A page's text without its tags.
fn page(address: SocketAddr) -> std::io::Result<String> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let first = head.lines().next().unwrap_or_default();
    if !first.contains(" 200 ") {
        return Err(std::io::Error::other(format!("it says `{first}`")));
    }
    Ok(without_tags(body))
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
