//! Files that belong to no layer, because they are no part of the host: scratch files, which go with their owner, and
//! our own notes in the state directory. Everything else is written by a [`crate::Recorder`].

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use crate::error::{At, Result};

/// A directory that only its owner can read, under a name that nothing had; removed, with all in it, when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Where temporary files belong on this host.
    pub fn new() -> Result<Self> {
        Self::inside(&std::env::temp_dir())
    }

    pub fn inside(dir: &Path) -> Result<Self> {
        const TRIES: usize = 100;
        let mut tries = 0;
        loop {
            tries += 1;
            let path = dir.join(format!("theseus-{:016x}", random().at("make a name in", dir)?));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {}
                made => return made.map(|()| Self(path)).at("make a temporary directory in", dir),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A new file, for writing and reading, which its owner alone can read.
    pub fn create(&self, name: &str) -> Result<(File, PathBuf)> {
        self.create_as(name, 0o600)
    }

    /// A new file with this content; where it is.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let (mut file, path) = self.create(name)?;
        file.write_all(content).at("write", &path)?;
        Ok(path)
    }

    /// As [`Scratch::write`]; it can be run.
    pub fn program(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let (mut file, path) = self.create_as(name, 0o700)?;
        file.write_all(content).at("write", &path)?;
        Ok(path)
    }

    fn create_as(&self, name: &str, mode: u32) -> Result<(File, PathBuf)> {
        let path = self.0.join(plain(name).at("create", &self.0)?);
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(mode).open(&path);
        Ok((file.at("create", &path)?, path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a program left there that cannot be removed harms nobody.
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Small files of ours in a state directory, beside the layers: `jobs/ID`, `guard`. For their owner only.
#[derive(Clone, Debug)]
pub struct Notes(PathBuf);

impl Notes {
    pub fn of(state_dir: &Path) -> Self {
        Self(state_dir.to_owned())
    }

    /// Whole or not at all. Not made durable: what it is about ends with the machine.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path(name)?;
        self.make_dirs(&path)?;
        let new = path.with_extension(format!("new{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&new).and_then(|mut file| file.write_all(content));
        written.at("write", &new)?;
        std::fs::rename(&new, &path).at("write", &path)
    }

    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        std::fs::remove_file(&path).at("remove", &path)
    }

    /// Of several who try, one succeeds.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from)?, self.path(to)?);
        std::fs::rename(&from, &to).at("rename", &from)
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let name = Path::new(name);
        let mut parts = name.components().peekable();
        let inside = parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)));
        if inside { Ok(self.0.join(name)) } else { Err(no_name()).at("write", &self.0.join(name)) }
    }

    fn make_dirs(&self, path: &Path) -> Result<()> {
        let dir = path.parent().unwrap_or(&self.0);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at("create the directory", dir)?;
        dir.ancestors()
            .take_while(|dir| dir.starts_with(&self.0))
            .try_for_each(crate::store::make_private_dir)
    }
}

/// One name, which leads nowhere else.
fn plain(name: &str) -> io::Result<&str> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(one)), None) if one == name => Ok(name),
        _ => Err(no_name()),
    }
}

fn no_name() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "that is no name of a file")
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn scratch_files_go_with_their_owner() {
        let scratch = Scratch::new().unwrap();
        let dir = scratch.path().to_owned();
        assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
        let file = scratch.write("a", b"x").unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(scratch.program("p", b"").unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        assert!(scratch.write("a", b"y").is_err(), "there is one");
        for name in ["", ".", "..", "../a", "b/c", "/etc/motd", "d/"] {
            assert!(scratch.create(name).is_err(), "{name}");
        }
        std::fs::create_dir_all(dir.join("made/by/a/program")).unwrap();
        drop(scratch);
        assert!(!dir.exists());
    }

    #[test]
    fn notes_stay_in_the_state_directory() {
        let top = tempfile::tempdir().unwrap();
        let notes = Notes::of(&top.path().join("state"));
        notes.write("jobs/1", b"begun").unwrap();
        notes.write("jobs/1", b"done").unwrap();
        let file = top.path().join("state/jobs/1");
        assert_eq!(
            (std::fs::read(&file).unwrap().as_slice(), file.metadata().unwrap().mode() & 0o777),
            (&b"done"[..], 0o600)
        );
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1,
            "nothing temporary is left"
        );
        notes.rename("jobs/1", "taken").unwrap();
        assert!(notes.rename("jobs/1", "taken").is_err());
        notes.remove("taken").unwrap();
        for name in ["", "../x", "/etc/motd", "jobs/../../x"] {
            assert!(notes.write(name, b"").is_err(), "{name}");
        }
    }
}
