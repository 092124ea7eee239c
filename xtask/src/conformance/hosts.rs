//! Three fresh lab hosts for one program's turn at one case, and what they were like before and after.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use lab::{HostOptions, InitKind, Lab, LabHost};

use super::case::Case;
use super::packages;
use super::tree::{self, Delta, Scope, Snapshot};
use crate::{base, shell};

const NAMES: [&str; 3] = ["h1", "h2", "h3"];

const PREPARE_PACKAGES: &str =
    "rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*; tar -x -C / -f - && apt-get -q update >/dev/null";

pub(crate) struct Hosts {
    lab: Lab,
    hosts: Vec<LabHost>,
    /// Seconds of the epoch before anything of the hosts was there.
    born: i64,
    keep: bool,
}

impl Hosts {
    pub(crate) fn up(case: &Case, pool: &str, keep: bool) -> Result<Self> {
        let born = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())? - 1;
        let lab = Lab::pool(pool)?;
        lab.down_all()?;
        let key = fs::read_to_string(key()?.with_extension("pub"))?;
        let base = base::directory()?;
        let init = if case.needs("systemd") { InitKind::Systemd } else { InitKind::Small };
        let options = NAMES.map(|name| HostOptions {
            base: Some(base.clone()),
            init,
            sshd: true,
            authorized_key: Some(key.trim().to_owned()),
            tied: !keep,
            ..HostOptions::new(name)
        });
        let hosts = lab.up(&options)?;
        let set = Self { lab, hosts, born, keep };
        set.prepare(case)?;
        Ok(set)
    }

    fn prepare(&self, case: &Case) -> Result<()> {
        for host in &self.hosts {
            if case.needs("apt") {
                feed(host.command("sh").args(["-c", PREPARE_PACKAGES]), packages::archive()?)?;
            }
        }
        Ok(())
    }

    /// An inventory that reaches them, the same for both programs.
    pub(crate) fn inventory(&self) -> Result<String> {
        let line = |name: &str| -> Result<String> {
            let host = self.hosts.iter().find(|host| host.name == name).context("a host is missing")?;
            Ok(format!("{name} ansible_host={}\n", host.address))
        };
        Ok(format!(
            "[web]\n{}{}\n[db]\n{}\n[all:vars]\nansible_user=root\nansible_ssh_private_key_file={}\n\
             ansible_ssh_common_args=-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no\n\
             ansible_python_interpreter=/usr/bin/python3\n",
            line("h1")?,
            line("h2")?,
            line("h3")?,
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

fn scope<'a>(host: &LabHost, case: &'a Case) -> Scope<'a> {
    Scope {
        root: host.root.clone(),
        within: if case.needs("apt") { tree::HOST_WITH_PACKAGES } else { tree::HOST },
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
