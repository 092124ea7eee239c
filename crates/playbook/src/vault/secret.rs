//! Where vault passwords come from: files, and programs that print them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::{Password, Vault, is_encrypted};
use crate::diagnostic::{Diagnostic, Result};

/// Reads the password for `label`. A password file may itself be encrypted, with the secrets known so far.
pub(super) fn read(file: &Path, label: &str, known: &Vault) -> Result<Password> {
    let metadata = std::fs::metadata(file).map_err(|error| {
        Diagnostic::new(format!("the vault password file {} cannot be read: {error}", file.display()))
    })?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return run(file, label);
    }
    let bytes = std::fs::read(file).map(Zeroizing::new).map_err(|error| {
        Diagnostic::new(format!("the vault password file {} cannot be read: {error}", file.display()))
    })?;
    let bytes = match std::str::from_utf8(&bytes) {
        Ok(text) if is_encrypted(text) => known.decrypt(text)?,
        _ => bytes,
    };
    nonempty(bytes.trim_ascii(), file)
}

/// Runs a password program; one that is called `…-client` is told which label is wanted.
fn run(file: &Path, label: &str) -> Result<Password> {
    let mut command = Command::new(absolute(file));
    let client = file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    if client {
        command.args(["--vault-id", label]);
    }
    let failed =
        |why: String| Diagnostic::new(format!("the vault password program {} {why}", file.display()));
    let output = command.stdin(Stdio::inherit()).output().map_err(|error| {
        failed(format!("cannot be run: {error}"))
            .hint("a password file that is no program must not be executable")
    })?;
    let printed = Zeroizing::new(output.stdout);
    if client && output.status.code() == Some(2) {
        return Err(failed(format!("has no secret for the id '{label}'")));
    }
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("failed ({}): {}", output.status, complaint.trim())));
    }
    let end = printed.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    nonempty(&printed[..end], file)
}

fn nonempty(password: &[u8], file: &Path) -> Result<Password> {
    if password.is_empty() {
        return Err(Diagnostic::new(format!("the vault password from {} is empty", file.display())));
    }
    Ok(Zeroizing::new(password.to_vec()))
}

/// A bare name would be looked for in PATH.
fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// `~/…` in the caller's home directory.
pub(super) fn expand_home(file: &str) -> PathBuf {
    match (file.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(file),
    }
}
