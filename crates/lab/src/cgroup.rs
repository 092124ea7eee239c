//! A control group for each host, in the unified hierarchy and in systemd's own where that is still separate.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PARENT: &str = "theseus-lab";
const ENTERED: &str = "entered";

/// How the machine's control groups are arranged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Where version 2 is mounted.
    pub(crate) unified: Option<PathBuf>,
    /// Where systemd's hierarchy of version 1 is mounted.
    pub(crate) named: Option<PathBuf>,
}

impl Layout {
    pub(crate) fn of_machine() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::parse(&mounts)
    }

    fn parse(mountinfo: &str) -> Self {
        let mut layout = Self::default();
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(place) = before.split(' ').nth(4).map(PathBuf::from) else { continue };
            let options = after.split(' ').nth(2).unwrap_or("");
            match after.split(' ').next() {
                Some("cgroup2") if layout.unified.is_none() => layout.unified = Some(place),
                Some("cgroup") if options.split(',').any(|option| option == "name=systemd") => {
                    layout.named = Some(place);
                }
                _ => {}
            }
        }
        layout
    }

    /// Whether a systemd inside a host would find a hierarchy to keep its services in.
    pub(crate) fn carries_systemd(&self) -> bool {
        self.named.is_some() || self.unified.is_some()
    }

    fn hierarchies(&self) -> impl Iterator<Item = &PathBuf> {
        self.unified.iter().chain(&self.named)
    }

    fn groups(&self, host: &str) -> Vec<PathBuf> {
        self.hierarchies().map(|top| top.join(PARENT).join(host)).collect()
    }

    /// Makes the host's groups.
    pub(crate) fn make(&self, host: &str) -> io::Result<()> {
        for group in self.groups(host) {
            fs::create_dir_all(group)?;
        }
        self.pass_on_controllers();
        Ok(())
    }

    /// Lets systemd inside limit memory and the like, as far as the machine offers that here.
    fn pass_on_controllers(&self) {
        let Some(parent) = self.unified.as_ref().map(|top| top.join(PARENT)) else { return };
        for controller in ["+cpu", "+memory", "+pids", "+io"] {
            let _ = fs::write(parent.join("cgroup.subtree_control"), controller);
        }
    }

    /// Moves the calling process into the host's groups.
    pub(crate) fn join(&self, host: &str) -> io::Result<()> {
        self.groups(host).iter().try_for_each(|group| fs::write(group.join("cgroup.procs"), "0"))
    }

    /// The files through which a command that enters the host joins it; groups of their own, because systemd
    /// allows no processes in its topmost one.
    pub(crate) fn entrances(&self, host: &str) -> Vec<File> {
        let open = |group: &PathBuf| {
            let own = group.join(ENTERED);
            let _ = fs::create_dir(&own);
            File::options().write(true).open(own.join("cgroup.procs")).ok()
        };
        self.groups(host).iter().filter_map(open).collect()
    }

    /// Moves the calling process, a helper of the host outside of its namespaces, into its groups.
    pub(crate) fn join_entered(&self, host: &str) -> io::Result<()> {
        use std::io::Write;
        self.entrances(host).iter_mut().try_for_each(|entrance| entrance.write_all(b"0"))
    }

    /// Ends all processes of the host that are still in its groups.
    pub(crate) fn kill(&self, host: &str) {
        for group in self.groups(host) {
            for pid in processes(&group) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// Removes the host's groups, waiting a moment for processes that are just ending.
    pub(crate) fn remove(&self, host: &str) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        for group in self.groups(host) {
            while let Err(error) = remove_tree(&group) {
                if Instant::now() > deadline {
                    return Err(error);
                }
                self.kill(host);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// Removes the parent of all hosts' groups, if none is left.
    pub(crate) fn remove_parent(&self) {
        for top in self.hierarchies() {
            let _ = fs::remove_dir(top.join(PARENT));
        }
    }

    /// All hosts that have groups, known or not.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = Vec::new();
        for top in self.hierarchies() {
            hosts.extend(
                subgroups(&top.join(PARENT)).filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())),
            );
        }
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

fn subgroups(group: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

fn processes(group: &Path) -> Vec<rustix::process::Pid> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let own = text.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?));
    own.chain(subgroups(group).flat_map(|below| processes(&below))).collect()
}

fn remove_tree(group: &Path) -> io::Result<()> {
    subgroups(group).try_for_each(|below| remove_tree(&below))?;
    match fs::remove_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_arrangements_are_recognised() {
        let hybrid = "30 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                      31 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      32 25 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let layout = Layout::parse(hybrid);
        assert_eq!(layout.named.as_deref(), Some(Path::new("/sys/fs/cgroup/systemd")));
        assert_eq!(layout.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        let pure = Layout::parse("30 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
        assert!(pure.named.is_none() && pure.carries_systemd());
        assert!(!Layout::parse("1 0 0:1 / / rw - ext4 /dev/vda rw\n").carries_systemd());
    }
}
