//! `theseus lab`: throw-away hosts on this machine.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use lab::{HostOptions, InitKind, Lab, LabHost};
use serde_json::json;

use crate::arguments::{self, LabAction};
use crate::report::{self, Output, Style};
use crate::setup::Problem;
use crate::terminal;

pub(crate) fn lab(asked: &arguments::Lab, style: Style) -> u8 {
    let json = style.output == Output::Json;
    let done = match &asked.action {
        LabAction::Up { number, name, base, small, sshd } => {
            let wanted =
                Wanted { number: *number, name, base: base.clone(), small: *small, key: sshd.as_deref() };
            up(&wanted, json)
        }
        LabAction::List => list(json),
        LabAction::Exec { host, command } => exec(host, command),
        LabAction::Down { hosts, all } => down(hosts, *all),
    };
    done.unwrap_or_else(|problem| terminal::show(&problem, &playbook::Sources::new(), json))
}

fn failed(error: lab::Error) -> Problem {
    Problem::Other(error.to_string())
}

struct Wanted<'a> {
    number: usize,
    name: &'a str,
    base: Option<PathBuf>,
    small: bool,
    key: Option<&'a Path>,
}

fn up(wanted: &Wanted<'_>, json: bool) -> Result<u8, Problem> {
    if wanted.number == 0 {
        return Err(Problem::Options("how many hosts? At least 1".to_owned()));
    }
    let lab = Lab::open().map_err(failed)?;
    let authorized_key = match wanted.key {
        Some(file) => Some(
            std::fs::read_to_string(file).map_err(|e| format!("the public key {}: {e}", file.display()))?,
        ),
        None => None,
    };
    let used: Vec<String> = lab.list().into_iter().filter(LabHost::alive).map(|host| host.name).collect();
    let names = (1..).map(|number| format!("{}{number}", wanted.name)).filter(|name| !used.contains(name));
    let options: Vec<HostOptions> = names
        .take(wanted.number)
        .map(|name| HostOptions {
            base: wanted.base.clone(),
            init: if wanted.small { InitKind::Small } else { InitKind::Auto },
            sshd: wanted.key.is_some(),
            authorized_key: authorized_key.clone(),
            ..HostOptions::new(name)
        })
        .collect();
    for lack in Lab::missing() {
        eprintln!("note: {lack}");
    }
    let hosts = lab.up(&options).map_err(failed)?;
    show(&hosts, json);
    if !json {
        println!(
            "in an inventory: NAME ansible_connection=lab; a shell: theseus lab exec {} -- sh",
            hosts.first().map_or("NAME", |h| &h.name)
        );
    }
    Ok(0)
}

fn list(json: bool) -> Result<u8, Problem> {
    let lab = Lab::open().map_err(failed)?;
    let hosts = lab.list_everything();
    show(&hosts, json);
    let known: Vec<String> = hosts.iter().map(|host| format!("{}/{}", host.pool, host.name)).collect();
    for stray in lab.strays().into_iter().filter(|stray| !known.contains(&stray.what)) {
        if json {
            report::json_line(json!({"event": "stray", "what": stray.what, "reason": stray.reason}));
        } else {
            println!("stray: {}: {}", stray.what, stray.reason);
        }
    }
    if hosts.is_empty() && !json {
        println!("no lab hosts");
    }
    Ok(0)
}

fn show(hosts: &[LabHost], json: bool) {
    let width = hosts.iter().map(|host| host.name.len()).max().unwrap_or(4).max(4);
    for host in hosts {
        let init = if host.init == InitKind::Systemd { "systemd" } else { "small init" };
        if json {
            report::json_line(json!({
                "event": "lab", "host": host.name, "pool": host.pool, "address": host.address.to_string(), "init": init,
                "pid": host.pid, "ssh_port": host.ssh_port, "base": host.base, "alive": host.alive(), "stray": host.stray, "notes": host.notes,
            }));
            continue;
        }
        let pool = if host.pool == "lab" { String::new() } else { format!("  of {}", host.pool) };
        let ssh = host.ssh_port.map(|port| format!("  sshd on port {port}")).unwrap_or_default();
        let stray = host.stray.as_ref().map(|reason| format!("  stray: {reason}")).unwrap_or_default();
        println!("{:<width$}  {:<15}  {init}{ssh}{pool}{stray}", host.name, host.address);
        for note in &host.notes {
            println!("{:<width$}  note: {note}", "");
        }
    }
}

fn exec(name: &str, command: &[String]) -> Result<u8, Problem> {
    let lab = Lab::open().map_err(failed)?;
    let host = match lab.get(name) {
        Ok(host) => host,
        // Hosts of other pools, if the name says which one is meant.
        Err(error) => lab
            .list_everything()
            .into_iter()
            .find(|host| format!("{}/{}", host.pool, host.name) == name)
            .ok_or_else(|| failed(error))?,
    };
    let Some((program, arguments)) = command.split_first() else {
        return Err(Problem::Options("which command?".to_owned()));
    };
    let status = host
        .command(program)
        .args(arguments)
        .status()
        .map_err(|error| format!("{program} on host {name}: {error}"))?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

fn down(hosts: &[String], all: bool) -> Result<u8, Problem> {
    let lab = Lab::open().map_err(failed)?;
    match (hosts, all) {
        ([], true) => lab.down_everything().map_err(failed)?,
        ([], false) => return Err(Problem::Options("which hosts? Name them, or say --all".to_owned())),
        (_, true) => return Err(Problem::Options("either names of hosts or --all".to_owned())),
        (hosts, false) => {
            // Nothing is taken down if a name is mistyped.
            for host in hosts {
                lab.get(host).map_err(failed)?;
            }
            for host in hosts {
                lab.down(host).map_err(failed)?;
            }
        }
    }
    Ok(0)
}
