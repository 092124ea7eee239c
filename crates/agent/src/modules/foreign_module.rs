//! Any module that is not ours: the controller found it and sent it, with all that it needs; the host's Python (or
//! whatever it is written in) runs it, watched like every program.

mod interpreter;
mod python;
mod result;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use catalog::{Arg, Args, Json, Map, ModuleSpec};

use crate::children;
use crate::command::{Run, RunError};
use crate::module::{Failure, Module, Outcome, Task};
use interpreter::Interpreters;
use layer::Scratch;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("foreign_module", ARGS).collection("theseus.host"),
    run,
};

const ARGS: &[Arg] = &[
    // As the playbook calls it.
    Arg::str("name").required(),
    Arg::str("style").required().choices(&["python", "json_args", "want_json", "binary", "old"]),
    Arg::str("entry"),
    // The program and its first arguments; nothing: the module is a program itself.
    Arg::str("interpreter"),
    // Where Python may be, if nobody said.
    Arg::list("candidates"),
    Arg::raw("arguments").required(),
    Arg::str("version").default("2.19.0"),
    Arg::str("payload").required(),
    Arg::str("payload_inline"),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name");
    let payload = payload(args, task)?;
    let scratch = layer::Scratch::new()?;
    let mut arguments = match args.get("arguments") {
        Some(Json::Object(map)) => map.clone(),
        _ => Map::new(),
    };
    arguments.insert("_ansible_tmpdir".to_owned(), format!("{}/", scratch.path().display()).into());
    let ready = ready(args, &payload, &arguments, &scratch)?;
    let interpreters = Interpreters::of(args, task)?;
    // It may have changed anything, whatever it says.
    task.cache.forget_all();
    let mut last = None;
    for interpreter in &interpreters.all {
        let child = ready.under(interpreter, task);
        let ended = children::watch(task, &format!("ran the module {name}"), &[], child)?;
        match ended {
            // A name that leads nowhere: a version manager's stand-in for a Python that is not there.
            Ok(output) if output.rc == 127 && output.stdout.is_empty() && interpreters.searched => {
                last = Some(Ok(output));
            }
            Err(RunError::NotStarted { .. }) if interpreters.searched => {}
            other => {
                last = Some(other);
                break;
            }
        }
    }
    match last {
        Some(Ok(output)) => result::read(&name, &output, task, interpreters.discovered()),
        Some(Err(error @ RunError::NotStarted { .. })) => {
            Err(interpreters.missing(&name).with("rc", 127).with("module_stderr", error.to_string()))
        }
        Some(Err(error)) => Err(error.into()),
        None => Err(interpreters.missing(&name)),
    }
}

/// A module whose files are written.
struct Ready {
    /// Its file, and that of its arguments.
    files: Vec<PathBuf>,
    input: Option<String>,
}

fn ready(args: &Args, payload: &[u8], arguments: &Map, scratch: &Scratch) -> Result<Ready, Failure> {
    let text = python::json(arguments);
    let style = args.string("style");
    let own = match style.as_str() {
        "json_args" => Cow::Owned(with_arguments(payload, &text, &args.string("version"))),
        _ => Cow::Borrowed(payload),
    };
    let mut files = vec![scratch.program("module", &own)?];
    match style.as_str() {
        "python" => return Ok(Ready { files, input: Some(text) }),
        "old" => files.push(scratch.write("args", python::key_values(arguments).as_bytes())?),
        "want_json" | "binary" => files.push(scratch.write("args", text.as_bytes())?),
        _ => {}
    }
    Ok(Ready { files, input: None })
}

impl Ready {
    /// The process: `INTERPRETER MODULE ARGUMENTS`.
    fn under<'a>(&self, interpreter: &[String], task: &Task<'a>) -> Run<'a> {
        let mut words = interpreter.iter().map(OsString::from).chain(self.files.iter().map(OsString::from));
        let child = task.command(words.next().unwrap_or_default()).args(words);
        match &self.input {
            Some(text) => child.stdin(text.as_str()),
            None => child,
        }
    }
}

/// The module's archive or text: brought once and kept as long as this agent lives.
fn payload(args: &Args, task: &Task<'_>) -> Result<Arc<[u8]>, Failure> {
    static KEPT: Mutex<Vec<(String, Arc<[u8]>)>> = Mutex::new(Vec::new());
    if let Some(text) = args.str("payload_inline") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        return bytes.map(Arc::from).map_err(|_| Failure::new("the module arrived damaged"));
    }
    let digest = args.string("payload");
    let known = KEPT.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(d, _)| *d == digest).cloned();
    if let Some((_, bytes)) = known {
        return Ok(bytes);
    }
    let bytes = task.blobs.fetch(&digest).map_err(Failure::new)?;
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push((digest, bytes.clone()));
    Ok(bytes)
}

/// The marks in a module's text at which arguments stand.
fn with_arguments(payload: &[u8], arguments: &str, version: &str) -> Vec<u8> {
    let quoted = format!("'{}'", arguments.replace('\\', "\\\\").replace('\'', "\\'"));
    String::from_utf8_lossy(payload)
        .replace("\"<<INCLUDE_ANSIBLE_MODULE_COMPLEX_ARGS>>\"", &quoted)
        .replace("<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>", arguments)
        .replace("\"<<ANSIBLE_VERSION>>\"", &format!("'{version}'"))
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::with_arguments;

    #[test]
    fn marks_in_the_text_become_arguments() {
        let text = b"a = '''<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>'''; v = \"<<ANSIBLE_VERSION>>\"";
        let full = with_arguments(text, "{\"x\": 1}", "2.19.1");
        assert_eq!(String::from_utf8_lossy(&full), "a = '''{\"x\": 1}'''; v = '2.19.1'");
    }
}
