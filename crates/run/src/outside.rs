//! What expressions may ask of the run: other hosts' variables, lookups that need processes, warnings.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use expressions::{Error, PendingWhat, Value};
use parking_lot::Mutex;
use playbook::vars::{Outside, Scope};

use crate::foreign::Foreign;
use crate::python::Called;

/// Who may read whom, and who has to wait first.
#[derive(Default)]
pub struct Progress {
    /// Hosts that are on their way together in the present play; reading another one's variables waits.
    together: Mutex<HashSet<String>>,
    allowed: Mutex<HashSet<(String, String)>>,
    warn: OnceLock<Box<dyn Fn(String) + Send + Sync>>,
    /// Plugins in Python, and the Python of an installed Ansible.
    foreign: OnceLock<Arc<Foreign>>,
}

impl Progress {
    pub(crate) fn begin(&self, hosts: &[Arc<str>]) {
        *self.together.lock() = hosts.iter().map(ToString::to_string).collect();
        self.allowed.lock().clear();
    }

    pub(crate) fn allow(&self, host: &str, other: &str) {
        self.allowed.lock().insert((host.to_owned(), other.to_owned()));
    }

    /// This host has gone on: what it may read is decided anew.
    pub(crate) fn moved(&self, host: &str) {
        self.allowed.lock().retain(|(from, _)| from != host);
    }

    pub(crate) fn plugins_with(&self, foreign: Arc<Foreign>) {
        let _ = self.foreign.set(foreign);
    }

    fn plugin(&self, scope: &Scope, called: &Called<'_>) -> Option<Result<Value, Error>> {
        self.foreign.get()?.call(scope, called)
    }

    pub(crate) fn warn_with(&self, warn: Box<dyn Fn(String) + Send + Sync>) {
        let _ = self.warn.set(warn);
    }
}

impl Outside for Progress {
    fn other_host(&self, from: &str, host: &str) -> Result<(), Error> {
        let together = {
            let hosts = self.together.lock();
            hosts.len() > 1 && hosts.contains(from) && hosts.contains(host)
        };
        if from == host || !together || self.allowed.lock().contains(&(from.to_owned(), host.to_owned())) {
            return Ok(());
        }
        Err(Error::pending(PendingWhat::Host(host.to_owned())))
    }

    fn lookup(
        &self,
        scope: &Scope,
        name: &str,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Vec<Value>, Error>> {
        match name {
            "pipe" => Some(each(args, |command| pipe(command).map(|text| vec![Value::str(text)]))),
            "lines" => {
                Some(each(args, |command| pipe(command).map(|text| text.lines().map(Value::str).collect())))
            }
            "url" => Some(each(args, |url| read(url, kwargs))),
            _ => {
                let called = Called { kind: "lookup", name, value: None, args, named: kwargs };
                let result = self.plugin(scope, &called)?;
                Some(result.map(|list| list.as_list().unwrap_or_else(|| vec![list])))
            }
        }
    }

    fn filter(
        &self,
        scope: &Scope,
        name: &str,
        value: &Value,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        self.plugin(scope, &Called { kind: "filter", name, value: Some(value), args, named: kwargs })
    }

    fn test(
        &self,
        scope: &Scope,
        name: &str,
        value: &Value,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<bool, Error>> {
        let called = Called { kind: "test", name, value: Some(value), args, named: kwargs };
        Some(self.plugin(scope, &called)?.and_then(|result| result.truth()))
    }

    fn takes_undefined(&self, lookup: &str) -> bool {
        let plugin = self.foreign.get().and_then(|foreign| foreign.own_lookup(lookup));
        let text = plugin.and_then(|path| std::fs::read_to_string(path).ok());
        text.is_some_and(|text| text.contains("accept_args_markers = True"))
    }

    fn python(&self) -> Option<PathBuf> {
        self.foreign.get()?.core()?.python.clone()
    }

    fn warn(&self, message: String) {
        if let Some(warn) = self.warn.get() {
            warn(message);
        }
    }
}

fn each(args: &[Value], one: impl Fn(&str) -> Result<Vec<Value>, Error>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for arg in args {
        all.extend(one(&arg.python_str()?)?);
    }
    Ok(all)
}

/// The person wrote a shell command to be run on the controller: that is what this lookup is.
fn pipe(command: &str) -> Result<String, Error> {
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .output()
        .map_err(|e| Error::new(format!("lookup('pipe', '{command}'): {e}")))?;
    if !output.status.success() {
        return Err(Error::new(format!(
            "lookup('pipe', '{command}') ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn read(url: &str, kwargs: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
    let option = |name: &str| kwargs.iter().find(|(key, _)| **key == *name).map(|(_, value)| value);
    let timeout = option("timeout").and_then(Value::as_f64).unwrap_or(10.0);
    let flag = |name: &str| option(name).map_or(Ok(true), Value::truth);
    let bytes =
        agent::web::read(url, std::time::Duration::from_secs_f64(timeout.max(0.1)), flag("validate_certs")?);
    let bytes = bytes.map_err(|e| Error::new(format!("lookup('url', '{url}'): {e}")))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if flag("split_lines")? { Ok(text.lines().map(Value::str).collect()) } else { Ok(vec![Value::str(text)]) }
}
