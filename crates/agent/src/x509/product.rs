//! The file that a module for keys or certificates is about: made, kept aside, removed.

use std::path::{Path, PathBuf};

use catalog::Args;
use layer::Attributes;

use crate::fileargs::{FileArgs, Mode};
use crate::files;
use crate::module::{Failure, Task};

pub(crate) struct Product {
    pub(crate) path: PathBuf,
    file_args: FileArgs,
    backup: bool,
    /// Where what was there before is kept.
    pub(crate) kept: Option<String>,
}

impl Product {
    /// The `path` of a task; its directory must be there. `mode`: where the task names none.
    pub(crate) fn of(args: &Args, mode: Option<u32>) -> Result<Self, Failure> {
        let path = PathBuf::from(args.string("path"));
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !parent.is_dir() {
            let name = parent.display().to_string();
            let why = format!("The directory {name} does not exist or the file is not a directory");
            return Err(Failure::new(why).with("name", name));
        }
        let mut file_args = FileArgs::read(args)?;
        file_args.mode = file_args.mode.or(mode.map(Mode::Octal));
        Ok(Self { path, file_args, backup: args.bool("backup"), kept: None })
    }

    /// What is there now.
    pub(crate) fn content(&self) -> Result<Option<Vec<u8>>, Failure> {
        match std::fs::metadata(&self.path) {
            Err(_) => Ok(None),
            Ok(there) if there.is_dir() => Err(Failure::new(format!(
                "Error while loading {0} - Is a directory: '{0}'",
                self.path.display()
            ))),
            Ok(_) => files::read(&self.path).map(Some),
        }
    }

    /// Says whether anything was there.
    pub(crate) fn remove(&mut self, task: &mut Task<'_>) -> Result<bool, Failure> {
        let there = std::fs::symlink_metadata(&self.path).is_ok();
        if there && !task.check {
            self.keep(task)?;
            task.recorder.remove(&self.path)?;
        }
        Ok(there)
    }

    /// `mode`: in any case; `None`: what the umask leaves, or what it was.
    pub(crate) fn write(
        &mut self,
        task: &mut Task<'_>,
        content: &[u8],
        mode: Option<u32>,
    ) -> Result<(), Failure> {
        self.keep(task)?;
        let attributes = Attributes { mode, ..Attributes::default() };
        files::write(task, &self.path, content, &attributes, &self.file_args)
    }

    fn keep(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if self.backup && self.path.exists() {
            self.kept = Some(files::backup(task, &self.path)?);
        }
        Ok(())
    }

    /// Mode, owner and the like.
    pub(crate) fn attributes(&self, task: &mut Task<'_>) -> Result<bool, Failure> {
        if task.check && !self.path.exists() {
            return Ok(false);
        }
        self.file_args.apply(task, &self.path, None)
    }
}
