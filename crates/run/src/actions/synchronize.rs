//! `synchronize`: `rsync` between the controller (or the host that the task is delegated to) and the host.

use catalog::Map;
use expressions::Error;
use link::{Connection, SshTarget, Target};

use super::Action;
use crate::connections::{Way, is_local};
use crate::results;
use crate::walker::prepare::Work;

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let host = &*action.walker.host;
    let there = action.walker.run.way(action.walker, action.task, action.scope, None)?;
    let here = match action.delegate.filter(|delegate| !is_local(delegate)) {
        Some(delegate) if delegate == host => there.clone(),
        Some(delegate) => action.walker.run.way(action.walker, action.task, action.scope, Some(delegate))?,
        None => Way {
            name: "localhost".to_owned(),
            target: Target::new("localhost", Connection::Local),
            // The right to read the controller's files is its user's own.
            escalate: None,
        },
    };
    let mut args = action.arguments()?;
    let pull = args.get("mode").and_then(|mode| mode.as_str()) == Some("pull");
    if action.delegate.is_none() {
        locate(action, &mut args, pull)?;
    }
    match &there.target.connection {
        _ if action.delegate == Some(host) => {}
        Connection::Local => {}
        Connection::Ssh(ssh) => {
            if ssh.password.is_some() {
                return Ok(Work::Done(results::failed(
                    "`synchronize` cannot log in with a password: give the host a key (private_key, ansible_ssh_private_key_file)",
                )));
            }
            reach(action, &mut args, ssh, &there, pull)?;
            action.walker.run.note(format!(
                "`synchronize` lets rsync write over a connection of its own: what it changes on {} is not in a layer",
                if pull { "the receiving side" } else { host }
            ));
        }
        _ => {
            return Ok(Work::Done(results::failed(
                "`synchronize` needs a host that is reached over ssh, or by a local connection",
            )));
        }
    }
    action.remote_by(here, "synchronize", args, None)
}

/// The controller's end: found as the files of `copy` are.
fn locate(action: &Action<'_>, args: &mut Map, pull: bool) -> Result<(), Error> {
    let name = if pull { "dest" } else { "src" };
    let Some(path) = args.get(name).and_then(|path| path.as_str()).map(str::to_owned) else { return Ok(()) };
    let full = if path.starts_with('/') || path.starts_with('~') || path.contains("://") {
        return Ok(());
    } else if pull {
        action.walker.play.play.dir.join(&path)
    } else {
        action.find(path.trim_end_matches('/'), "files")?
    };
    let mut text = full.display().to_string();
    // With a slash at its end the content of a folder is meant.
    if path.ends_with('/') && !text.ends_with('/') {
        text.push('/');
    }
    args.insert(name.to_owned(), text.into());
    Ok(())
}

/// The host's end, and how rsync gets there.
fn reach(action: &Action<'_>, args: &mut Map, ssh: &SshTarget, there: &Way, pull: bool) -> Result<(), Error> {
    let name = if pull { "src" } else { "dest" };
    let path = args.get(name).and_then(|path| path.as_str()).unwrap_or_default().to_owned();
    let remote_user = action.flag("set_remote_user", true)?;
    let user = ssh.user.as_ref().filter(|_| remote_user).map(|user| format!("{user}@")).unwrap_or_default();
    let host = if ssh.host.contains(':') { format!("[{}]", ssh.host) } else { ssh.host.clone() };
    args.insert(name.to_owned(), format!("{user}{host}:{path}").into());
    let key = args.get("private_key").and_then(|key| key.as_str()).map(str::to_owned);
    let key = key.or_else(|| ssh.key_file.as_ref().map(|file| file.display().to_string()));
    let port = action.text("dest_port")?.or_else(|| ssh.port.map(|port| port.to_string()));
    let mut words = vec!["ssh".to_owned(), "-o".to_owned(), "BatchMode=yes".to_owned()];
    words.extend(key.into_iter().flat_map(|key| ["-i".to_owned(), key]));
    words.extend(port.into_iter().flat_map(|port| ["-p".to_owned(), port]));
    if ssh.host_key_checking == Some(false) {
        words.extend(
            ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"].map(str::to_owned),
        );
    }
    words.extend(ssh.args.iter().cloned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    args.insert("_rsh".to_owned(), agent::words::join(&words).into());
    if let Some(become_) = &there.escalate
        && !args.contains_key("rsync_path")
    {
        let user = become_.user.as_str();
        let exe = become_.exe.as_deref().unwrap_or("sudo");
        if become_.method != "sudo" {
            let method = &become_.method;
            return Err(Error::new(format!(
                "`synchronize` can become another user by sudo only, not by {method}"
            )));
        }
        args.insert("rsync_path".to_owned(), format!("{exe} -n -u {user} rsync").into());
    }
    Ok(())
}
