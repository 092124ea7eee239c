//! A project in a folder of its own, and the program run in it with nothing of the machine's configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Project {
    pub(crate) root: PathBuf,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("project-{}-{number}", std::process::id()));
        let project = Self { root };
        std::fs::create_dir_all(project.root.join("home")).unwrap();
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap()
    }

    /// The program under a name, ready to be started.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(env!("CARGO_BIN_EXE_theseus"));
        command.arg0(name).args(arguments).current_dir(&self.root).stdin(Stdio::null()).env_clear();
        for kept in ["PATH", "XDG_RUNTIME_DIR", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        // A session of its own: nobody can be asked.
        command
            .env("HOME", self.root.join("home"))
            .env("THESEUS_STATE", self.root.join("state"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    pub(crate) fn run_as(&self, name: &str, arguments: &[&str]) -> Ended {
        self.ended(self.command(name, arguments).output().unwrap())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_as("theseus", arguments)
    }

    pub(crate) fn ended(&self, output: Output) -> Ended {
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(&self.root.display().to_string(), "[project]")
        };
        Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Ended {
    /// All that a person sees, but for the number of this machine's own generation.
    pub(crate) fn shown(&self) -> String {
        let lines = self.out.lines().map(|line| line.split("  generation ").next().unwrap_or_default());
        let out: String = lines.map(|line| format!("{line}\n")).collect();
        format!("exit {}\n--- standard output\n{out}--- standard error\n{}", self.code, self.err)
    }

    /// The standard output of what must have gone well.
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, 0, "{}", self.shown());
        self.out
    }
}

/// Whether hosts of the lab can be made; says why a test is left out.
pub(crate) fn lab_is_possible(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED {test}: needs root");
    }
    root
}
