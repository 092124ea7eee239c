//! Running a helper under watch, and what the keeper was told of it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use layer::Touch;
use witness::{Gate, Keeper, Listener, Mode, Seen};

/// What a test does at each path that is told.
pub(crate) type Each = Box<dyn FnMut(&Path) -> layer::Result<()> + Send>;

/// A keeper that writes down what it is told, and what was there at that moment.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) all: Vec<(PathBuf, Touch, Option<Vec<u8>>)>,
    pub(crate) moved: Vec<(PathBuf, PathBuf)>,
    pub(crate) irreversible: Vec<String>,
    pub(crate) unseen: Vec<String>,
    pub(crate) each: Option<Each>,
}

impl Keeper for Log {
    fn foresee(&mut self, path: &Path, touch: Touch) -> layer::Result<()> {
        self.all.push((path.to_owned(), touch, std::fs::read(path).ok()));
        self.each.as_mut().map_or(Ok(()), |each| each(path))
    }
    fn foresee_moved(&mut self, from: &Path, to: &Path) -> layer::Result<()> {
        self.moved.push((from.to_owned(), to.to_owned()));
        Ok(())
    }
    fn irreversible(&mut self, what: String) -> layer::Result<()> {
        self.irreversible.push(what);
        Ok(())
    }
    fn unseen(&mut self, what: String) -> layer::Result<()> {
        self.unseen.push(what);
        Ok(())
    }
}

impl Log {
    #[track_caller]
    pub(crate) fn has(&self, path: impl AsRef<Path>, touch: Touch) {
        let path = path.as_ref();
        assert!(self.told(path, touch), "{} {touch:?} is not among {:#?}", path.display(), self.names());
    }

    #[track_caller]
    pub(crate) fn lacks(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        assert!(
            !self.all.iter().any(|(seen, ..)| seen == path),
            "{} is among {:#?}",
            path.display(),
            self.names()
        );
    }

    pub(crate) fn count(&self, path: impl AsRef<Path>, touch: Touch) -> usize {
        self.all.iter().filter(|(seen, how, _)| seen == path.as_ref() && *how == touch).count()
    }

    fn told(&self, path: &Path, touch: Touch) -> bool {
        self.count(path, touch) > 0
    }

    fn names(&self) -> Vec<String> {
        self.all.iter().map(|(path, touch, _)| format!("{} {touch:?}", path.display())).collect()
    }

    /// What was there when it was told.
    pub(crate) fn before(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.all.iter().find(|(seen, ..)| seen == path.as_ref()).and_then(|(.., content)| content.clone())
    }
}

pub(crate) fn helper(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("helper").arg(name).arg(dir).current_dir(dir);
    command
}

/// Run it to its end under watch.
pub(crate) fn watch(mut command: Command, keeper: &mut (dyn Keeper + Send)) -> (Seen, Output, Listener) {
    let gate = Gate::new(Mode::Watch).unwrap();
    let door = gate.door();
    // SAFETY: the door makes system calls only.
    unsafe { command.pre_exec(move || door.enter()) };
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let listener = gate.listener().unwrap();
    let (seen, output) = std::thread::scope(|scope| {
        let serving = scope.spawn(|| listener.serve(keeper));
        let output = child.wait_with_output().unwrap();
        listener.end();
        (serving.join().unwrap(), output)
    });
    (seen, output, listener)
}

/// A helper that must end well and leave nothing behind.
#[track_caller]
pub(crate) fn well(name: &str, dir: &Path) -> Log {
    let mut log = Log::default();
    let (seen, output, _) = watch(helper(name, dir), &mut log);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {} {said}", output.status);
    assert!(seen.error.is_none(), "{:?}", seen.error);
    assert!(!seen.alive, "{:?}", seen.strays);
    log
}
