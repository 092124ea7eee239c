//! `hostname`: the host's name, now and after the next start.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};
use layer::Attributes;
use serde_json::json;

use crate::children;
use crate::command::find_program;
use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "hostname",
        &[
            Arg::str("name").required(),
            Arg::str("use").choices(&[
                "alpine", "debian", "freebsd", "generic", "macos", "macosx", "darwin", "openbsd", "openrc",
                "redhat", "sles", "solaris", "systemd",
            ]),
        ],
    ),
    run,
};

/// Where the name is kept.
enum Kept {
    /// /etc/hostname, the name alone.
    Plain(&'static str),
    /// A line of a file of settings.
    Setting(&'static str, &'static str),
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name");
    let source = Source::new(Path::new("/"));
    let kept = match args.str("use") {
        Some("redhat") => Kept::Setting("/etc/sysconfig/network", "HOSTNAME="),
        Some("openrc") => Kept::Setting("/etc/conf.d/hostname", "hostname="),
        Some("sles") => Kept::Plain("/etc/HOSTNAME"),
        None if source.exists("/etc/conf.d/hostname") && !settings::systemd_runs(&source) => {
            Kept::Setting("/etc/conf.d/hostname", "hostname=")
        }
        _ => Kept::Plain("/etc/hostname"),
    };
    let current = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let stored = kept.read();
    let changed = current != name || stored.as_deref() != Some(&name);
    if !task.check {
        if stored.as_deref() != Some(&name) {
            kept.write(task, &name)?;
        }
        if current != name {
            set_now(task, &name)?;
        }
    }
    let short = name.split('.').next().unwrap_or_default();
    let domain = name.split_once('.').map(|(_, d)| d).unwrap_or_default();
    let facts = json!({
        "ansible_hostname": short, "ansible_nodename": name, "ansible_fqdn": name, "ansible_domain": domain,
    });
    let mut outcome = Outcome::changed(changed).with("name", name.clone()).with("ansible_facts", facts);
    if changed {
        let before = if current == name { stored.unwrap_or_default() } else { current };
        outcome.diff.push(
            json!({"before": format!("hostname = {before}\n"), "after": format!("hostname = {name}\n")}),
        );
    }
    Ok(outcome)
}

fn set_now(task: &mut Task<'_>, name: &str) -> Result<(), Failure> {
    if rustix::system::sethostname(name.as_bytes()).is_ok() {
        return Ok(task.recorder.opaque(format!("set the name of the running host to {name}"))?);
    }
    // Not allowed to us; perhaps to a service.
    let argv: &[&str] = if find_program("hostnamectl").is_some() {
        &["hostnamectl", "--transient", "set-hostname", name]
    } else {
        &["hostname", name]
    };
    let run = children::in_c_locale(task, argv);
    let output = children::order(task, run)?;
    if output.ok() {
        return Ok(());
    }
    let (out, err) = (output.stdout_text(), output.stderr_text());
    Err(children::failed(&output, format!("Command failed rc={}, out={out}, err={err}", output.rc)))
}

impl Kept {
    fn read(&self) -> Option<String> {
        match self {
            Self::Plain(path) => std::fs::read_to_string(path).ok().map(|t| t.trim().to_owned()),
            Self::Setting(path, key) => {
                let text = std::fs::read_to_string(path).ok()?;
                text.lines().find_map(|l| l.trim().strip_prefix(key)).map(|v| v.trim_matches('"').to_owned())
            }
        }
    }

    fn write(&self, task: &mut Task<'_>, name: &str) -> Result<(), Failure> {
        let (path, text) = match self {
            Self::Plain(path) => (path, format!("{name}\n")),
            Self::Setting(path, key) => {
                let old = std::fs::read_to_string(path).unwrap_or_default();
                let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
                let line = format!("{key}\"{name}\"");
                match lines.iter_mut().find(|l| l.trim().starts_with(key)) {
                    Some(found) => *found = line,
                    None => lines.push(line),
                }
                (path, lines.join("\n") + "\n")
            }
        };
        let path = Path::new(path);
        let mode = (!path.exists()).then_some(0o644);
        let attributes = Attributes { mode, ..Attributes::default() };
        if let Err(error) = task.recorder.write(path, text.as_bytes(), &attributes) {
            // Mounted by itself, as in containers: written over.
            task.recorder.write_in_place(path, text.as_bytes()).map_err(|_| error)?;
        }
        Ok(())
    }
}
