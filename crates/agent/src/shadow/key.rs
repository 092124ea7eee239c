//! A user's SSH key: made by `ssh-keygen`.

use std::path::{Path, PathBuf};

use catalog::Args;
use layer::Attributes;

use crate::accounts::User;
use crate::children;
use crate::module::{Failure, Outcome, Task};

/// Where the key is to be.
pub fn path(args: &Args, user: &User) -> PathBuf {
    let home = Path::new(&user.home);
    match args.str("ssh_key_file") {
        Some(file) => home.join(file),
        None => home.join(format!(".ssh/id_{}", args.string("ssh_key_type"))),
    }
}

/// Makes the key unless it is there. Returns whether it made one.
pub fn make(args: &Args, task: &mut Task<'_>, user: &User) -> Result<bool, Failure> {
    let file = path(args, user);
    if file.exists() && !args.bool("force") {
        return Ok(false);
    }
    if task.check {
        return Ok(true);
    }
    let own = Attributes { uid: Some(user.uid), gid: Some(user.gid), ..Attributes::default() };
    let dir = file.parent().unwrap_or(Path::new("/"));
    if !Path::new(&user.home).exists() {
        return Err(format!("User {} home directory does not exist", user.name).into());
    }
    if !dir.exists() {
        task.recorder.create_dir(dir, &Attributes { mode: Some(0o700), ..own.clone() })?;
    }
    let public = PathBuf::from(format!("{}.pub", file.display()));
    for old in [&file, &public] {
        task.recorder.remove(old)?;
    }
    generate(args, task, &file, &public)?;
    for made in [&file, &public] {
        task.recorder.set(made, &own, false)?;
    }
    Ok(true)
}

fn generate(args: &Args, task: &mut Task<'_>, file: &Path, public: &Path) -> Result<(), Failure> {
    let shown = file.to_string_lossy();
    let (kind, bits) = (args.string("ssh_key_type"), args.int("ssh_key_bits").unwrap_or(0).to_string());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let comment = args.string("ssh_key_comment").replace("$HOSTNAME", &host);
    let mut argv = vec!["ssh-keygen", "-q", "-t", &kind, "-C", &comment, "-f", &shown];
    if bits != "0" {
        argv.extend(["-b", &bits]);
    }
    let Some(passphrase) = args.str("ssh_key_passphrase").filter(|p| !p.is_empty()) else {
        argv.extend(["-N", ""]);
        let run = children::in_c_locale(task, &argv);
        return children::expect(children::act_on(task, &[file, public], run)?).map(drop);
    };
    // Not among the arguments, where everybody could read it: ssh-keygen asks a little program of ours.
    let run = children::in_c_locale(task, &argv);
    let scratch = layer::Scratch::new()?;
    let helper = scratch.program("ask", b"#!/bin/sh\nprintf '%s\\n' \"$THESEUS_PASSPHRASE\"\n")?;
    let run = run
        .env("SSH_ASKPASS", &helper)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DISPLAY", "none")
        .env("THESEUS_PASSPHRASE", passphrase);
    children::expect(children::act_on(task, &[file, public], run)?).map(drop)
}

/// `ssh_fingerprint`, `ssh_key_file`, `ssh_public_key`.
pub fn tell(args: &Args, task: &Task<'_>, user: &User, outcome: &mut Outcome) -> Result<(), Failure> {
    let file = path(args, user);
    let public = format!("{}.pub", file.display());
    let output = children::ask(task, &["ssh-keygen", "-l", "-f", &public])?;
    let fingerprint = if output.ok() { output.stdout_text() } else { output.stderr_text() };
    outcome.set("ssh_fingerprint", fingerprint.trim());
    outcome.set("ssh_key_file", file.to_string_lossy());
    if let Ok(key) = std::fs::read_to_string(&public) {
        outcome.set("ssh_public_key", key.trim());
    }
    Ok(())
}
