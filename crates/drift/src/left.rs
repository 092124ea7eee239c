//! Accounts, keys, cron entries, settings and mounts that our layers made or removed, in the words of their tasks: read
//! from what each layer changed in the files that hold them, and from what it says was done to the kernel.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use layer::store::Store;
use layer::{Digest, Layer, PathState, Step};

use crate::objects::{self, Objects};

/// What an object shall be like; `None`: it shall not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub value: Option<String>,
    pub cause: String,
    /// The file that holds it.
    file: Option<PathBuf>,
}

/// What a layer says of objects, before any content is read.
#[derive(Clone, Debug)]
pub(crate) enum Trace {
    /// A file that holds objects.
    File {
        path: PathBuf,
        contents: Contents,
        cause: String,
    },
    /// A setting of the running kernel: the value, where the layer says it.
    Setting {
        key: String,
        value: Option<String>,
        cause: String,
    },
    Mount {
        at: String,
        mounted: bool,
        cause: String,
    },
}

/// Before and after a change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contents {
    /// `None`: there was no file.
    Known(Option<Digest>, Option<Digest>),
    /// Secret, or not read.
    Unknown,
}

impl Contents {
    fn of(step: &Step) -> Self {
        let is_known = |state: &Option<PathState>| {
            state.as_ref().is_none_or(|state| !state.is_file() || (!state.secret && state.digest().is_some()))
        };
        if !(is_known(&step.before) && is_known(&step.after)) {
            return Self::Unknown;
        }
        let digest = |state: &Option<PathState>| state.as_ref().and_then(PathState::digest);
        Self::Known(digest(&step.before), digest(&step.after))
    }
}

impl Trace {
    pub(crate) fn is_of_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// In the order in which it happened, as far as a layer tells. `words`: of a cause.
pub(crate) fn traces(layer: &Layer, words: &dyn Fn(usize) -> String) -> Vec<Trace> {
    let files = layer.steps.iter().filter(|step| holds_objects(&step.path)).map(|step| Trace::File {
        path: step.path.clone(),
        contents: Contents::of(step),
        cause: words(step.cause),
    });
    let said = layer.opaque.iter().filter_map(|opaque| said(&opaque.what, || words(opaque.cause)));
    files.chain(said).collect()
}

/// As the watch and the modules say it.
fn said(what: &str, cause: impl Fn() -> String) -> Option<Trace> {
    let mount = |at: &str, mounted| Trace::Mount { at: at.to_owned(), mounted, cause: cause() };
    if let Some(at) = what.strip_prefix("mounted ") {
        return Some(mount(at, true));
    }
    if let Some(at) = what.strip_prefix("unmounted ") {
        return Some(mount(at, false));
    }
    if let Some(key) = what.strip_prefix("changed the kernel's /proc/sys/") {
        return Some(Trace::Setting { key: key.replace('/', "."), value: None, cause: cause() });
    }
    let (key, value) = what.strip_prefix("set ")?.split_once(" in the running kernel")?.0.split_once('=')?;
    let value = Some(objects::one_line(value));
    Some(Trace::Setting { key: key.replace('/', "."), value, cause: cause() })
}

fn holds_objects(path: &Path) -> bool {
    ["/etc/passwd", "/etc/group", "/etc/crontab"].iter().any(|file| path == Path::new(file))
        || ["/etc/cron.d", "/var/spool/cron/crontabs"].iter().any(|dir| path.starts_with(dir))
        || objects::is_settings(path)
        || path.ends_with(".ssh/authorized_keys")
}

/// The sum of all traces. What is in no store (too large, secret) says nothing.
pub(crate) fn objects(state_dir: &Path, traces: &[Trace]) -> BTreeMap<String, Left> {
    let store = Store::new(state_dir);
    let (mut all, mut settings) = (BTreeMap::new(), Objects::new());
    for trace in traces {
        match trace {
            Trace::File { path, contents, cause } => match contents.held(&store, path) {
                Some((was, is)) => {
                    let left = |value| Left { value, cause: cause.clone(), file: Some(path.clone()) };
                    note(&mut all, &mut settings, &was, is, &left);
                }
                // Whatever is in there now, nobody can tell whether it shall be so.
                None => all.retain(|_, left: &mut Left| left.file.as_ref() != Some(path)),
            },
            Trace::Setting { key, value, cause } => {
                let name = format!("sysctl:{key}");
                let value = value.clone().or_else(|| settings.get(&name).cloned());
                if value.is_some() {
                    all.insert(name, Left { value, cause: cause.clone(), file: None });
                }
            }
            Trace::Mount { at, mounted, cause } => {
                let value = mounted.then(|| "mounted".to_owned());
                all.insert(format!("mount:{at}"), Left { value, cause: cause.clone(), file: None });
            }
        }
    }
    all
}

/// What one change of a file did to the objects in it. A setting in a file is not in force by that alone.
fn note(
    all: &mut BTreeMap<String, Left>,
    settings: &mut Objects,
    was: &Objects,
    is: Objects,
    left: &dyn Fn(Option<String>) -> Left,
) {
    for name in was.keys().filter(|name| !is.contains_key(*name)) {
        if name.starts_with("sysctl:") {
            settings.remove(name);
            all.remove(name);
        } else {
            all.insert(name.clone(), left(None));
        }
    }
    for (name, value) in is {
        if name.starts_with("sysctl:") {
            settings.insert(name, value);
        } else if was.get(&name) != Some(&value) {
            all.insert(name, left(Some(value)));
        }
    }
}

impl Contents {
    /// The objects before and after, as far as the contents are to be had.
    fn held(self, store: &Store, path: &Path) -> Option<(Objects, Objects)> {
        match self {
            Self::Known(before, after) => Some((held(store, path, before)?, held(store, path, after)?)),
            Self::Unknown => None,
        }
    }
}

/// `None`: it is not known what was in there.
fn held(store: &Store, path: &Path, digest: Option<Digest>) -> Option<Objects> {
    let Some(digest) = digest else { return Some(Objects::new()) };
    let mut text = Vec::new();
    let now = || std::fs::read(path).ok().filter(|bytes| Digest::of(bytes) == digest);
    match store.get(digest) {
        Ok(mut content) => content.read_to_end(&mut text).map(drop).ok()?,
        Err(_) => text = now()?,
    }
    let mut held = Objects::new();
    objects::held_by(path, &String::from_utf8_lossy(&text), &mut held);
    Some(held)
}

#[cfg(test)]
mod tests {
    use layer::{Attributes, Cause, Recorder, Run, history};

    use super::*;

    #[test]
    fn what_is_said_of_the_kernel_is_understood() {
        let of = |what: &str| said(what, || "task".to_owned());
        assert!(matches!(of("mounted /data"), Some(Trace::Mount { at, mounted: true, .. }) if at == "/data"));
        assert!(matches!(of("unmounted /data"), Some(Trace::Mount { mounted: false, .. })));
        let setting = of("set vm.swappiness=7 in the running kernel, was 60");
        assert!(matches!(setting, Some(Trace::Setting { key, value: Some(value), .. })
            if key == "vm.swappiness" && value == "7"));
        assert!(matches!(of("changed the kernel's /proc/sys/vm/swappiness"),
            Some(Trace::Setting { key, value: None, .. }) if key == "vm.swappiness"));
        assert!(of("ran a program").is_none());
    }

    /// Each object has the words of the task that made it, whoever wrote to the same file later.
    #[test]
    fn objects_have_the_words_of_their_task() {
        let folder = tempfile::tempdir().unwrap();
        let (state, file) = (folder.path().join("state"), folder.path().join("home/.ssh/authorized_keys"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let ann = "ssh-rsa AAAAann ann\n";
        let change = |task: &str, text: &str, no_log: bool| {
            let mut recorder = Recorder::new(state.clone(), Run::default());
            recorder.begin(Cause { task: task.to_owned(), no_log, ..Cause::default() });
            recorder.write(&file, text.as_bytes(), &Attributes::mode(0o600)).unwrap();
            recorder.seal(false).unwrap();
        };
        let found = || {
            let layers = history::generations(&state).unwrap().into_iter();
            let layers: Vec<Layer> = layers.map(|n| history::read(&state, n).unwrap()).collect();
            let words = |layer: &Layer, cause: usize| layer.causes[cause].task.clone();
            let all: Vec<Trace> = layers.iter().flat_map(|l| traces(l, &|cause| words(l, cause))).collect();
            objects(&state, &all)
        };
        change("a key for ann", ann, false);
        change("and bob", &format!("{ann}ssh-rsa AAAAbob bob\n"), false);
        let all = found();
        let causes: Vec<(&str, &str)> = all.iter().map(|(n, l)| (n.as_str(), l.cause.as_str())).collect();
        assert_eq!(causes.len(), 2, "{causes:?}");
        assert!(causes[0].0.ends_with("ann") && causes[0].1 == "a key for ann", "{causes:?}");
        assert!(causes[1].0.ends_with("bob") && causes[1].1 == "and bob", "{causes:?}");
        // What a secret change did is not known; no object of that file is expected any more.
        change("secretly", ann, true);
        assert_eq!(found(), BTreeMap::new());
    }
}
