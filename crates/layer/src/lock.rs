//! One writer: a lock on an open file, which the kernel lets go when its holder ends, however it ends.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::error::{At, Error, Result};
use crate::record::Run;

/// When to say that another run is waited for.
const SHORT: Duration = Duration::from_millis(500);

/// Take the lock, waiting at most so long. The file then says who holds it.
pub(crate) fn take(path: &Path, run: &Run, wait: Duration) -> Result<File> {
    take_saying(path, run, wait, &|_| ())
}

/// As [`take`]; `say` is told once who is waited for.
pub(crate) fn take_saying(path: &Path, run: &Run, wait: Duration, say: &dyn Fn(&str)) -> Result<File> {
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .at("open", path)?;
    let (begin, mut said) = (Instant::now(), false);
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) if begin.elapsed() < wait => {
                if !said && begin.elapsed() > SHORT {
                    said = true;
                    say(&holder(path));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Locked { holder: holder(path) }),
            Err(error) => return Err(error).at("lock", path),
        }
    }
    let text = format!(
        "run {} by {} since {} (pid {}): {}\n",
        run.run,
        run.person,
        run.started,
        std::process::id(),
        run.command
    );
    file.set_len(0).at("write", path)?;
    file.rewind().at("write", path)?;
    file.write_all(text.as_bytes()).at("write", path)?;
    Ok(file)
}

/// The head moves on: also a run inside another one, which never has the lock, is alone for that moment.
pub(crate) fn sealing(dir: &Path) -> Result<File> {
    let path = dir.join("sealing");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path).at("open", &path)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).at("lock", &path)?;
    Ok(file)
}

/// Is the lock with another agent of the same run (that became the same user in another way)?
pub(crate) fn with_same_run(path: &Path, run: &Run) -> bool {
    let Ok(file) = File::open(path) else { return false };
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return false;
    }
    holder(path)
        .strip_prefix("run ")
        .and_then(|rest| rest.strip_prefix(&run.run))
        .is_some_and(|rest| rest.starts_with(' '))
}

fn holder(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { "it does not say who it is".to_owned() } else { text.to_owned() }
}
