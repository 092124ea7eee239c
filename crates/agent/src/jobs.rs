//! `async`: tasks that go on by themselves, without agent and controller. Each has a result file that tells how far
//! it is; `async_status` reads it.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use catalog::protocol::{Call, RunInfo};
use catalog::{Json, Map};
use layer::{Notes, Recorder};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::module::{Blobs, plain};
use crate::serve::{Tools, layer_run, perform, watch_mode};
use crate::spawn::{Start, prepare};

/// How long a job that has ended waits to seal its layer: the run that started it, and those after it, may take long.
const SEAL_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the detached process is told, on its standard input.
#[derive(Serialize, Deserialize)]
struct Job {
    id: String,
    call: Call,
    run: RunInfo,
    state_dir: PathBuf,
}

/// The result file of a job, in the state directory; `None`: no such name can be.
pub(crate) fn note(id: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = !id.is_empty() && id.len() < 200 && !id.starts_with('.') && id.chars().all(plain);
    good.then(|| format!("jobs/{id}"))
}

/// Start a call detached. The result is what Ansible returns at once for `async` tasks.
pub(crate) fn start(call: &Call, run: &RunInfo, state_dir: &Path) -> Map {
    match launch(call, run, state_dir) {
        Ok(result) => result,
        Err(error) => crate::serve::failure(&format!(
            "the task could not be started in the background: {}",
            plain(&error)
        )),
    }
}

fn launch(call: &Call, run: &RunInfo, state_dir: &Path) -> io::Result<Map> {
    let id = if call.async_id.is_empty() { new_id() } else { call.async_id.clone() };
    let note = note(&id).ok_or_else(|| io::Error::other(format!("`{id}` is no job id")))?;
    let begun = json!({"ansible_job_id": id, "started": true, "finished": false});
    write_result(state_dir, &note, &begun)?;
    let job = Job { id: id.clone(), call: call.clone(), run: run.clone(), state_dir: state_dir.to_owned() };
    let mut command = Command::new("/proc/self/exe");
    command
        .args(crate::escalate::own_args("async-run"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    prepare(&mut command, Start { session: true, ..Start::default() });
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(&job)?)?;
    }
    // It starts the worker and ends: the worker belongs to nobody.
    child.wait()?;
    let result = json!({
        "ansible_job_id": id,
        "started": true,
        "finished": false,
        "changed": true,
        "results_file": state_dir.join(&note).to_string_lossy(),
    });
    Ok(result.as_object().cloned().unwrap_or_default())
}

fn new_id() -> String {
    let time = layer::Time::now();
    format!("j{}{:06}.{}", time.0, time.1 / 1000, std::process::id())
}

/// `async-run`: pass the job on to a process that has no parent, and end.
pub(crate) fn run_detached() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args(crate::escalate::own_args("async-work"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    prepare(&mut command, Start { session: true, ..Start::default() });
    let mut worker = command.spawn()?;
    worker.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&text))
}

/// `async-work`: do the job and write its result.
pub(crate) fn work() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let Job { id, mut call, run, state_dir } = serde_json::from_slice(&text)?;
    let note = note(&id).ok_or_else(|| io::Error::other("no job id"))?;
    let limit = call.async_seconds;
    call.timeout_seconds = if call.timeout_seconds == 0 { limit } else { call.timeout_seconds.min(limit) };
    let ended = watch(&state_dir, &note, &id, Duration::from_secs(limit.saturating_add(10)))?;
    let mut recorder = Recorder::new(state_dir.clone(), layer_run(&run)).lock_wait(SEAL_WAIT).detached();
    let cancelled = AtomicBool::new(false);
    let tools = Tools {
        recorder: (&mut recorder).into(),
        watch: watch_mode(&run),
        cache: &mut crate::cache::Cache::default(),
        blobs: &NoContents,
        cancelled: &cancelled,
    };
    let mut result = perform(&call, tools);
    ended.store(true, Ordering::Release);
    let failed = result.get("failed").is_some_and(|f| f == true);
    result.insert("ansible_job_id".to_owned(), json!(id));
    result.insert("started".to_owned(), json!(true));
    result.insert("finished".to_owned(), json!(true));
    // Before the layer: the run that waits for this result may hold the lock until its own end.
    write_result(&state_dir, &note, &Json::Object(result.clone()))?;
    let sealed = recorder.seal(failed);
    if let Err(error) = &sealed
        && state_dir.join(&note).exists()
    {
        result.insert(
            "warnings".to_owned(),
            json!([format!("the record of this job could not be completed: {error}")]),
        );
        write_result(&state_dir, &note, &Json::Object(result))?;
    }
    sealed.map(drop).map_err(io::Error::other)
}

/// A job that does not end in time, whatever it does, is ended; not so one that has set the flag returned.
fn watch(state_dir: &Path, note: &str, id: &str, limit: Duration) -> io::Result<Arc<AtomicBool>> {
    let (state_dir, note, id) = (state_dir.to_owned(), note.to_owned(), id.to_owned());
    let ended = Arc::new(AtomicBool::new(false));
    let seen = ended.clone();
    let watcher = std::thread::Builder::new().name("limit".to_owned());
    watcher
        .spawn(move || {
            std::thread::sleep(limit);
            if seen.load(Ordering::Acquire) {
                return;
            }
            let message = "the task was ended because its time (`async`) is over";
            let result = json!({"ansible_job_id": id, "started": true, "finished": true, "failed": true, "changed": false, "msg": message});
            _ = write_result(&state_dir, &note, &result);
            _ = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
        })
        .map(|_| ended)
}

/// Whole or not at all; for its owner only.
fn write_result(state_dir: &Path, note: &str, result: &Json) -> io::Result<()> {
    Notes::of(state_dir).write(note, &serde_json::to_vec(result)?).map_err(io::Error::other)
}

/// A detached job has no controller to ask.
struct NoContents;

impl Blobs for NoContents {
    fn fetch(&self, _digest: &str) -> Result<Arc<[u8]>, String> {
        Err("files from the controller are not available to a task that runs in the background".to_owned())
    }
}
