//! Reading what was done on this host, without the controller.
//!
//! A layer is a file of JSON lines: first what there is to say of the whole, then causes, steps, directories' times and
//! what was not watched, one a line; last a digest of all before it. So a history can be listed, and a store pruned,
//! without reading whole layers into memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::error::{At, Error, Result};
use crate::record::{Cause, DirTime, FORMAT, Layer, Opaque, Step};

pub use crate::recover::{Interrupted, Recovered, recover};
pub use crate::undo::{Conflict, Options, Plan, Report, plan, undo};

/// The newest generation; 0 on a host that was never changed.
pub fn head(state_dir: &Path) -> Result<u64> {
    let path = state_dir.join("head");
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::Damaged { path, reason: format!("`{}` is no generation", text.trim()) }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e).at("read", &path),
    }
}

/// Every generation that has a record, oldest first.
pub fn generations(state_dir: &Path) -> Result<Vec<u64>> {
    let head = head(state_dir)?;
    let mut all: Vec<u64> = names(state_dir)?.iter().filter_map(|name| name.parse().ok()).collect();
    // A layer that is not under the head was never finished.
    all.retain(|generation| *generation <= head);
    all.sort_unstable();
    Ok(all)
}

/// Names of the records, without their ending.
fn names(state_dir: &Path) -> Result<Vec<String>> {
    let path = state_dir.join("layers");
    let entries = match std::fs::read_dir(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", &path)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let name = entry.at("list", &path)?.file_name();
        if let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".jsonl")) {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

/// A whole layer.
pub fn read(state_dir: &Path, generation: u64) -> Result<Layer> {
    read_file(&layer_path(state_dir, generation))
}

/// What there is to say of a layer as a whole; its lists are empty.
pub fn summary(state_dir: &Path, generation: u64) -> Result<Summary> {
    let mut summary = Reader::open(&layer_path(state_dir, generation))?.head;
    if summary.tasks.is_none() {
        let layer = read(state_dir, generation)?;
        summary.tasks = Some(tasks(&layer.causes, &layer.steps, &layer.opaque));
    }
    Ok(summary)
}

/// What runs did that never ended, and that was put back; in the order of their beginning.
pub fn interrupted(state_dir: &Path) -> Result<Vec<Layer>> {
    let mut all = Vec::new();
    for name in names(state_dir)?.iter().filter(|name| name.starts_with("interrupted-")) {
        all.push(read_file(&state_dir.join("layers").join(format!("{name}.jsonl")))?);
    }
    all.sort_by(|a: &Layer, b| (a.generation, &a.sealed).cmp(&(b.generation, &b.sealed)));
    Ok(all)
}

/// The steps of a layer with their causes, one by one: a layer may be long.
pub fn each_step(state_dir: &Path, generation: u64, act: impl FnMut(&Step, &Cause)) -> Result<()> {
    each_step_of(&layer_path(state_dir, generation), act)
}

pub(crate) fn each_step_of(path: &Path, mut act: impl FnMut(&Step, &Cause)) -> Result<()> {
    let mut reader = Reader::open(path)?;
    let (mut causes, unknown) = (Vec::new(), Cause::default());
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Cause(cause) => causes.push(cause),
            Line::Step(step) => act(&step, causes.get(step.cause).unwrap_or(&unknown)),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn layer_path(state_dir: &Path, generation: u64) -> PathBuf {
    state_dir.join("layers").join(format!("{generation:06}.jsonl"))
}

pub(crate) fn interrupted_path(state_dir: &Path, id: &str) -> PathBuf {
    state_dir.join("layers").join(format!("interrupted-{id}.jsonl"))
}

/// The records of interrupted runs.
pub(crate) fn interrupted_paths(state_dir: &Path) -> Result<Vec<PathBuf>> {
    let names = names(state_dir)?.into_iter().filter(|name| name.starts_with("interrupted-"));
    Ok(names.map(|name| state_dir.join("layers").join(format!("{name}.jsonl"))).collect())
}

/// The first line of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Without its lists.
    #[serde(flatten)]
    pub layer: Layer,
    /// So many paths it changed.
    pub paths: u64,
    /// How much it did that undo does not cover.
    pub uncovered: u64,
    /// The tasks that changed something, in their order. `None`: written by an older program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Cause(Cause),
    Step(Box<Step>),
    Dir(DirTime),
    Opaque(Opaque),
    End(Digest),
}

struct Reader {
    path: PathBuf,
    lines: BufReader<std::fs::File>,
    hasher: Hasher,
    head: Summary,
}

impl Reader {
    fn open(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let mut lines = BufReader::new(std::fs::File::open(path).at("read", path)?);
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).at("read", path)?;
        let format =
            serde_json::from_slice::<Version>(&line).map_err(|e| damaged(path, e.to_string()))?.format;
        if format != FORMAT {
            let reason =
                format!("it was written by another program (format {format}, this one reads {FORMAT})");
            return Err(damaged(path, reason));
        }
        let head = serde_json::from_slice(&line).map_err(|e| damaged(path, e.to_string()))?;
        let mut hasher = Hasher::new();
        hasher.update(&line);
        Ok(Self { path: path.to_owned(), lines, hasher, head })
    }

    /// `None`: the end, and all was whole.
    fn next_line(&mut self) -> Result<Option<Line>> {
        let mut text = Vec::new();
        self.lines.read_until(b'\n', &mut text).at("read", &self.path)?;
        if text.is_empty() {
            return Err(damaged(&self.path, "its end is missing".to_owned()));
        }
        match serde_json::from_slice(&text).map_err(|e| damaged(&self.path, e.to_string()))? {
            Line::End(digest) if digest == Digest::finish(&self.hasher) => Ok(None),
            Line::End(_) => Err(damaged(&self.path, "it does not match its digest".to_owned())),
            line => {
                self.hasher.update(&text);
                Ok(Some(line))
            }
        }
    }
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Damaged { path: path.to_owned(), reason }
}

pub(crate) fn read_file(path: &Path) -> Result<Layer> {
    let mut reader = Reader::open(path)?;
    let mut layer = reader.head.layer.clone();
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Cause(cause) => layer.causes.push(cause),
            Line::Step(step) => layer.steps.push(*step),
            Line::Dir(dir) => layer.dirs.push(dir),
            Line::Opaque(opaque) => layer.opaque.push(opaque),
            Line::End(_) => break,
        }
    }
    Ok(layer)
}

fn encode(layer: Layer) -> serde_json::Result<Vec<u8>> {
    let Layer { causes, steps, dirs, opaque, .. } = layer;
    let paths: std::collections::BTreeSet<&Path> =
        steps.iter().filter(|s| s.changes()).map(|s| s.path.as_path()).collect();
    let (paths, uncovered) = (paths.len() as u64, opaque.len() as u64);
    let tasks = Some(tasks(&causes, &steps, &opaque));
    let whole = Layer { causes: vec![], steps: vec![], dirs: vec![], opaque: vec![], ..layer };
    let mut bytes = serde_json::to_vec(&Summary { layer: whole, paths, uncovered, tasks })?;
    bytes.push(b'\n');
    let lines = (causes.into_iter().map(Line::Cause))
        .chain(steps.into_iter().map(|step| Line::Step(Box::new(step))))
        .chain(dirs.into_iter().map(Line::Dir))
        .chain(opaque.into_iter().map(Line::Opaque));
    for line in lines {
        serde_json::to_writer(&mut bytes, &line)?;
        bytes.push(b'\n');
    }
    let end = Line::End(Digest::of(&bytes));
    serde_json::to_writer(&mut bytes, &end)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Those that did something, each once.
fn tasks(causes: &[Cause], steps: &[Step], opaque: &[Opaque]) -> Vec<String> {
    let by_steps = steps.iter().filter(|step| step.changes()).map(|step| step.cause);
    let used: std::collections::BTreeSet<usize> =
        by_steps.chain(opaque.iter().map(|opaque| opaque.cause)).collect();
    let mut tasks: Vec<String> = Vec::new();
    for task in used.into_iter().map(|cause| causes.get(cause).map_or("", |cause| cause.task.as_str())) {
        if !tasks.iter().any(|known| known == task) {
            tasks.push(task.to_owned());
        }
    }
    tasks
}

/// Write a record: whole or not there.
pub(crate) fn write_record(path: &Path, layer: Layer) -> Result<()> {
    crate::store::make_private_dir(path.parent().unwrap_or(Path::new("/")))?;
    let bytes = encode(layer).map_err(std::io::Error::from).at("write", path)?;
    replace(path, &bytes)
}

/// Write a layer and make it the head: the head never names a missing layer. With the head, the run is done.
pub(crate) fn append(state_dir: &Path, layer: Layer) -> Result<()> {
    let generation = layer.generation;
    write_record(&layer_path(state_dir, generation), layer)?;
    replace(&state_dir.join("head"), format!("{generation}\n").as_bytes())
}

/// A new content for a file of ours, durable: the whole of the one or of the other.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .at("create", &new)?;
    file.write_all(bytes).at("write", &new)?;
    file.sync_all().at("write", &new)?;
    std::fs::rename(&new, path).at("write", path)?;
    crate::durable::sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// A small file of ours; nothing if it is not there.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes).map(|_| bytes).at("read", path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(bytes),
        Err(e) => Err(e).at("read", path),
    }
}
