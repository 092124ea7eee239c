//! `mount`: file systems in fstab and in force.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

mod fstab;
mod live;

use fstab::Entry;

const ARGS: &[Arg] = &[
    Arg::bool("boot").default("true"),
    Arg::str("dump").default("0"),
    Arg::str("fstab"),
    Arg::str("fstype"),
    Arg::path("path").required().aliases(&["name"]),
    Arg::str("opts"),
    Arg::bool("opts_no_log").default("false"),
    Arg::str("passno").default("0"),
    Arg::path("src"),
    Arg::bool("backup").default("false"),
    Arg::str("state").required().choices(&[
        "absent",
        "absent_from_fstab",
        "mounted",
        "present",
        "unmounted",
        "remounted",
        "ephemeral",
    ]),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("mount", ARGS).collection("ansible.posix").required_if(&[
        ("state", "mounted", &["src", "fstype"], false),
        ("state", "present", &["src", "fstype"], false),
        ("state", "ephemeral", &["src", "fstype"], false),
    ]),
    run,
};

/// The table that the system itself reads.
const SYSTEM: &str = "/etc/fstab";

struct Mount {
    path: PathBuf,
    wanted: Entry,
    /// Whether the task says the options.
    has_opts: bool,
    fstab: PathBuf,
    backup: String,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut mount = read(args);
    let changed = match args.string("state").as_str() {
        "present" => mount.enter(args, task)?,
        "absent_from_fstab" => mount.leave(args, task)?,
        "absent" => mount.absent(args, task)?,
        "mounted" => mount.mounted(args, task)?,
        "unmounted" => mount.unmounted(task)?,
        "remounted" => mount.remounted(task)?,
        _ => mount.ephemeral(task)?,
    };
    let opts = if args.bool("opts_no_log") { "" } else { mount.wanted.opts.as_str() };
    Ok(Outcome::changed(changed)
        .with("name", args.string("path"))
        .with("opts", opts)
        .with("dump", args.string("dump"))
        .with("passno", args.string("passno"))
        .with("fstab", mount.fstab.to_string_lossy().into_owned())
        .with("boot", if args.bool("boot") { "yes" } else { "no" })
        .with("backup_file", mount.backup)
        .with_some("src", args.str("src"))
        .with_some("fstype", args.str("fstype")))
}

fn read(args: &Args) -> Mount {
    let mut opts = args.str("opts").unwrap_or("defaults").to_owned();
    if !args.bool("boot") && !opts.split(',').any(|o| o == "noauto") {
        opts.push_str(",noauto");
    }
    let wanted = Entry {
        src: args.string("src"),
        path: args.string("path"),
        fstype: args.string("fstype"),
        opts,
        dump: args.string("dump"),
        passno: args.string("passno"),
    };
    Mount {
        path: PathBuf::from(&wanted.path),
        wanted,
        has_opts: args.has("opts"),
        fstab: args.str("fstab").unwrap_or(SYSTEM).into(),
        backup: String::new(),
    }
}

impl Mount {
    fn enter(&mut self, args: &Args, task: &mut Task<'_>) -> Result<bool, Failure> {
        let file = TextFile::read(&self.fstab)?;
        let after = fstab::set(file.text(), &self.wanted);
        self.store(args, task, &file, &after)
    }

    fn leave(&mut self, args: &Args, task: &mut Task<'_>) -> Result<bool, Failure> {
        let file = TextFile::read(&self.fstab)?;
        let after = fstab::unset(file.text(), &self.wanted.path, args.str("src"));
        self.store(args, task, &file, &after)
    }

    fn store(
        &mut self,
        args: &Args,
        task: &mut Task<'_>,
        file: &TextFile,
        after: &str,
    ) -> Result<bool, Failure> {
        let changed = file.differs(after);
        if changed && !task.check {
            if args.bool("backup") && file.before.is_some() {
                self.backup = files::backup(task, &file.path)?;
            }
            if let Some(parent) = file.path.parent().filter(|p| !p.exists()) {
                files::make_dirs(task, parent, &FileArgs::default())?;
            }
            file.write(task, after, Some(0o644))?;
        }
        Ok(changed)
    }

    fn absent(&mut self, args: &Args, task: &mut Task<'_>) -> Result<bool, Failure> {
        let changed = self.leave(args, task)?;
        if !changed || task.check {
            return Ok(changed);
        }
        if live::is_mounted(&self.path) {
            self.umount(task)?;
        }
        if self.path.is_dir() && !self.path.is_symlink() {
            if std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_some()) {
                let shown = self.path.display();
                return Err(Failure::new(format!("Error rmdir {shown}: the directory is not empty"))
                    .after_change(true));
            }
            task.recorder.remove(&self.path)?;
        }
        Ok(true)
    }

    fn mounted(&mut self, args: &Args, task: &mut Task<'_>) -> Result<bool, Failure> {
        let is_mounted = live::is_mounted(&self.path);
        let made = self.make_mount_point(task)?;
        let text = TextFile::read(&self.fstab)?.before;
        let entered = self.enter(args, task)?;
        let result = match (is_mounted, entered, task.check) {
            (true, false, _) => return Ok(false),
            (_, _, true) => Ok(()),
            (true, true, false) => self.remount(task),
            (false, _, false) => self.mount(task, self.fstab != Path::new(SYSTEM)),
        };
        if let Err(failure) = result {
            self.take_back(task, text, &made)?;
            return Err(failure);
        }
        Ok(true)
    }

    /// What could not be mounted is not left in the table either.
    fn take_back(&self, task: &mut Task<'_>, text: Option<String>, made: &[PathBuf]) -> Result<(), Failure> {
        match text {
            Some(text) => TextFile::read(&self.fstab)?.write(task, &text, None)?,
            None => task.recorder.remove(&self.fstab)?,
        }
        if let Some(first) = made.first() {
            task.recorder.remove(first)?;
        }
        Ok(())
    }

    fn make_mount_point(&self, task: &mut Task<'_>) -> Result<Vec<PathBuf>, Failure> {
        if self.path.exists() {
            return Ok(Vec::new());
        }
        files::make_dirs(task, &self.path, &FileArgs::default())
    }

    fn unmounted(&self, task: &mut Task<'_>) -> Result<bool, Failure> {
        let is_mounted = live::is_mounted(&self.path);
        if is_mounted && !task.check {
            self.umount(task)?;
        }
        Ok(is_mounted)
    }

    fn remounted(&self, task: &mut Task<'_>) -> Result<bool, Failure> {
        if !task.check {
            self.remount(task)?;
        }
        Ok(true)
    }

    fn ephemeral(&self, task: &mut Task<'_>) -> Result<bool, Failure> {
        let source = live::source(&self.path);
        let other = source.as_ref().filter(|s| {
            **s != self.wanted.src && Path::new(s) != files::real_path(Path::new(&self.wanted.src))
        });
        if let Some(other) = other {
            return Err(Failure::new(format!(
                "Ephemeral mount point is already mounted with a different source: {other}"
            )));
        }
        let made = self.make_mount_point(task)?;
        if task.check {
            return Ok(true);
        }
        if source.is_some() {
            self.remount(task)?;
            return Ok(true);
        }
        let shown = self.path.to_string_lossy();
        let Entry { src, fstype, opts, .. } = &self.wanted;
        let output = children::act(task, &["mount", "-t", fstype, "-o", opts, src, &shown])?;
        if !output.ok() {
            if let Some(first) = made.first() {
                task.recorder.remove(first)?;
            }
            return Err(words_of("mounting", &shown, &output));
        }
        Ok(true)
    }

    fn mount(&self, task: &mut Task<'_>, other_table: bool) -> Result<(), Failure> {
        let (shown, table) = (self.path.to_string_lossy(), self.fstab.to_string_lossy());
        let mut argv = vec!["mount"];
        if other_table {
            argv.extend(["-T", &table]);
        }
        argv.push(&shown);
        let output = children::act(task, &argv)?;
        if output.ok() { Ok(()) } else { Err(words_of("mounting", &shown, &output)) }
    }

    fn umount(&self, task: &mut Task<'_>) -> Result<(), Failure> {
        let shown = self.path.to_string_lossy();
        let output = children::act(task, &["umount", &shown])?;
        if output.ok() { Ok(()) } else { Err(words_of("unmounting", &shown, &output)) }
    }

    /// In place; where that is not possible, off and on again.
    fn remount(&self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (shown, table) = (self.path.to_string_lossy(), self.fstab.to_string_lossy());
        let mut argv = vec!["mount"];
        if self.fstab != Path::new(SYSTEM) {
            argv.extend(["-T", &table]);
        }
        let options = format!("remount,{}", self.wanted.opts);
        let plain = !self.has_opts || self.wanted.opts == "defaults";
        argv.extend(["-o", if plain { "remount" } else { &options }]);
        argv.push(&shown);
        if children::act(task, &argv)?.ok() {
            return Ok(());
        }
        let output = children::act(task, &["umount", &shown])?;
        if !output.ok() {
            return Err(words_of("remounting", &shown, &output));
        }
        self.mount(task, self.fstab != Path::new(SYSTEM))
    }
}

fn words_of(doing: &str, path: &str, output: &crate::command::Output) -> Failure {
    let words = format!("{}{}", output.stdout_text(), output.stderr_text());
    Failure::new(format!("Error {doing} {path}: {words}"))
}
