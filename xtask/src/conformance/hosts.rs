//! Three fresh lab hosts for one program's turn at one case, and what they were like before and after.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use lab::{Archives, HostOptions, InitKind, Lab, LabHost};

use super::case::Case;
use super::packages;
use super::roles::proxy;
use super::tree::{self, Delta, Scope, Snapshot};
use crate::{base, shell};

const NAMES: [&str; 3] = ["h1", "h2", "h3"];

/// How long a service may take until it answers.
const PATIENCE: Duration = Duration::from_secs(15);

const PREPARE_PACKAGES: &str =
    "rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*; tar -x -C / -f - && apt-get -q update >/dev/null";

/// Fresh package lists of two days ago, so that what an age decides is the same for both programs.
const PREPARE_ARCHIVE: &str =
    "cat > /etc/apt/apt.conf.d/00conformance; touch -d '2 days ago' /var/lib/apt/lists";

pub(crate) struct Hosts {
    lab: Lab,
    hosts: Vec<LabHost>,
    /// Seconds of the epoch before anything of the hosts was there.
    born: i64,
    keep: bool,
    /// Where hosts of a role get Debian's packages.
    proxy: Option<Archives>,
}

impl Hosts {
    pub(crate) fn up(case: &Case, pool: &str, keep: bool) -> Result<Self> {
        let born = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())? - 1;
        let lab = Lab::pool(pool)?;
        lab.down_all()?;
        let key = fs::read_to_string(key()?.with_extension("pub"))?;
        let for_role = case.role.is_some();
        let base = if for_role { base::with_package_lists()? } else { base::directory()? };
        let init = if case.needs("systemd") { InitKind::Systemd } else { InitKind::Small };
        let names = if for_role { &NAMES[..1] } else { &NAMES };
        let options = names.iter().map(|name| HostOptions {
            base: Some(base.clone()),
            init,
            sshd: true,
            authorized_key: Some(key.trim().to_owned()),
            tied: !keep,
            ..HostOptions::new(*name)
        });
        let hosts = lab.up(&options.collect::<Vec<_>>())?;
        let address = lab.controller_address().filter(|_| for_role);
        let proxy = address.map(|address| proxy::start(address.into())).transpose()?;
        let set = Self { lab, hosts, born, keep, proxy };
        set.prepare(case)?;
        Ok(set)
    }

    fn prepare(&self, case: &Case) -> Result<()> {
        for host in &self.hosts {
            if let Some(proxy) = &self.proxy {
                let told = proxy.configuration();
                feed(host.command("sh").args(["-c", PREPARE_ARCHIVE]), told.as_bytes())?;
            }
            if case.needs("apt") {
                feed(host.command("sh").args(["-c", PREPARE_PACKAGES]), packages::archive()?)?;
            }
        }
        Ok(())
    }

    /// An inventory that reaches them, the same for both programs.
    pub(crate) fn inventory(&self) -> Result<String> {
        let line = |host: &LabHost| format!("{} ansible_host={}\n", host.name, host.address);
        let web: String = self.hosts.iter().take(2).map(line).collect();
        let db: String = self.hosts.iter().skip(2).map(line).collect();
        Ok(format!(
            "[web]\n{web}\n[db]\n{db}\n[all:vars]\nansible_user=root\nansible_ssh_private_key_file={}\n\
             ansible_ssh_common_args=-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no\n\
             ansible_python_interpreter=/usr/bin/python3\n",
            key()?.display(),
        ))
    }

    /// The same hosts by Theseus's own connection to the lab.
    pub(crate) fn lab_inventory(&self) -> String {
        format!(
            "[web]\nh1\nh2\n[db]\nh3\n\n[all:vars]\nansible_connection=lab\ntheseus_lab_pool={}\n\
             ansible_python_interpreter=/usr/bin/python3\n",
            self.lab.pool_name()
        )
    }

    /// What is said of each check, a command of a shell, that does not succeed on the first host in a while.
    pub(crate) fn silent(&self, checks: &[String]) -> Vec<String> {
        let Some(host) = self.hosts.first() else { return Vec::new() };
        checks.iter().filter_map(|check| answered(host, check).err()).collect()
    }

    pub(crate) fn snapshot(&self, case: &Case) -> Result<BTreeMap<String, Snapshot>> {
        let snapshot =
            |host: &LabHost| Ok((host.name.clone(), Snapshot::take(&scope(host, case), self.born)?));
        self.hosts.iter().map(snapshot).collect()
    }

    /// What changed on each since `before`, by host.
    pub(crate) fn delta(
        &self,
        case: &Case,
        before: &BTreeMap<String, Snapshot>,
        after: &BTreeMap<String, Snapshot>,
    ) -> BTreeMap<String, Delta> {
        let changed = |host: &LabHost| {
            let (before, after) = (before.get(&host.name)?, after.get(&host.name)?);
            Some((host.name.clone(), after.since(before, &scope(host, case))))
        };
        self.hosts.iter().filter_map(changed).collect()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if self.keep {
            for host in &self.hosts {
                eprintln!("kept: {} of pool {} at {}", host.name, host.pool, host.address);
            }
        } else if let Err(error) = self.lab.down_all() {
            eprintln!("hosts of a case could not be removed: {error}");
        }
    }
}

/// Services need a moment after their start.
fn answered(host: &LabHost, check: &str) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let output = host.command("sh").args(["-c", check]).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{check}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            let said = [output.stdout, output.stderr].concat();
            return Err(format!("does not answer: {check}: {}", String::from_utf8_lossy(&said).trim()));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn scope<'a>(host: &LabHost, case: &'a Case) -> Scope<'a> {
    Scope {
        root: host.root.clone(),
        within: if case.needs("apt") || case.role.is_some() { tree::HOST_WITH_PACKAGES } else { tree::HOST },
        lower: host.base.clone(),
        ignore: &case.about.ignore,
    }
}

/// The key with which both programs log in; made once.
fn key() -> Result<PathBuf> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let key = shell::target()?.join("conformance/key");
    if !key.exists() {
        fs::create_dir_all(key.parent().unwrap_or(Path::new(".")))?;
        shell::output(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "conformance", "-f"])
                .arg(&key),
        )?;
    }
    Ok(key)
}

/// Runs a command with these bytes as its input.
fn feed(command: &mut Command, bytes: &[u8]) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("preparing a host: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
