//! `script`: a program that came from the controller, run once and removed.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use catalog::{Arg, Args, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};
use crate::{children, patterns, words};

pub(crate) static MODULE: Module = Module { spec: SPEC, run };

const SPEC: ModuleSpec = ModuleSpec::builtin("script", ARGS).free_form("_raw_params");

const ARGS: &[Arg] = &[
    Arg::str("_raw_params").required(),
    Arg::path("chdir"),
    Arg::path("creates"),
    Arg::path("removes"),
    Arg::str("executable"),
    Arg::str("_content"),
    Arg::str("_inline"),
    Arg::int("_size"),
    Arg::str("_original_basename"),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if let Some(path) = args.str("creates").filter(|path| patterns::exists(path)) {
        return Ok(Outcome::changed(false)
            .with("msg", format!("{path} exists, matching creates option"))
            .with("skipped", true));
    }
    if let Some(path) = args.str("removes").filter(|path| !patterns::exists(path)) {
        return Ok(Outcome::changed(false)
            .with("msg", format!("{path} does not exist, matching removes option"))
            .with("skipped", true));
    }
    if task.check {
        let certain = args.has("creates") || args.has("removes");
        return Ok(Outcome::changed(certain).with("skipped", !certain));
    }
    // It is ours and lies outside of what the layer keeps.
    let scratch = layer::Scratch::new()?;
    let place = store(args, task, &scratch)?;
    execute(args, task, &place)
}

fn store(args: &Args, task: &Task<'_>, scratch: &layer::Scratch) -> Result<PathBuf, Failure> {
    let bytes = match args.str("_inline") {
        Some(text) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| Failure::new("the script arrived damaged"))?,
        None => task.blobs.fetch(&args.string("_content")).map_err(Failure::new)?.to_vec(),
    };
    let name = args.str("_original_basename").filter(|name| !name.is_empty()).unwrap_or("script");
    Ok(scratch.program(&format!("script-{}", name.replace('/', "_")), &bytes)?)
}

fn execute(args: &Args, task: &mut Task<'_>, place: &Path) -> Result<Outcome, Failure> {
    let parts = words::split(&args.string("_raw_params")).map_err(|e| Failure::new(e.to_string()))?;
    let mut line = match args.str("executable") {
        Some(executable) => words::split(executable).map_err(|e| Failure::new(e.to_string()))?,
        None => Vec::new(),
    };
    line.push(place.display().to_string());
    line.extend(parts.into_iter().skip(1));
    let (program, rest) = line.split_first().ok_or_else(|| Failure::new("there is no script to run"))?;
    let mut child = task.command(program).args(rest);
    if let Some(dir) = args.str("chdir") {
        child = child.cwd(dir);
    }
    let said = format!("ran the script {}", args.str("_original_basename").unwrap_or_default());
    task.cache.forget_all();
    let output = children::watch(task, &said, &[], child)?.map_err(|e| Failure::new(e.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outcome = Outcome::changed(true)
        .with("rc", output.rc)
        .with("stdout", text(&output.stdout))
        .with("stderr", text(&output.stderr));
    if output.rc != 0 {
        return Err(Failure {
            message: "non-zero return code".to_owned(),
            values: outcome.values,
            changed: true,
        });
    }
    Ok(outcome)
}
