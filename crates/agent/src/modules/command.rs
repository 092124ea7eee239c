//! `command`: run a program. Also what `shell` shares with it.

use catalog::{Arg, Args, Json, ModuleSpec};

use crate::command::{Output, Run, RunError};
use crate::module::{Failure, Module, Outcome, Task, plain};
use crate::{children, patterns, words};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("command", ARGS)
        .free_form("_raw_params")
        .mutually_exclusive(ONE_WAY)
        .required_one_of(ONE_WAY),
    run,
};

pub(crate) const ONE_WAY: &[&[&str]] = &[&["_raw_params", "cmd", "argv"]];

/// Those of `shell`: there, variables are the shell's business.
pub(crate) const SHELL_ARGS: &[Arg] = ARGS.split_at(1).1;

const ARGS: &[Arg] = &[
    Arg::bool("expand_argument_vars").default("true"),
    Arg::str("_raw_params"),
    Arg::str("cmd"),
    Arg::list("argv"),
    Arg::path("chdir"),
    Arg::path("creates"),
    Arg::path("removes"),
    Arg::path("executable"),
    Arg::str("stdin"),
    Arg::bool("stdin_add_newline").default("true"),
    Arg::bool("strip_empty_ends").default("true"),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if let Some(shell) = args.str("executable") {
        task.warn(format!(
            "As of Ansible 2.4, the parameter 'executable' is no longer supported with the 'command' module. Not using '{shell}'."
        ));
    }
    let mut argv = if args.has("argv") {
        args.strings("argv")
    } else {
        words::split(&line(args)?).map_err(|problem| Failure::new(problem).with("rc", 257))?
    };
    if argv.is_empty() {
        return Err(nothing());
    }
    let shown = Json::from(argv.clone());
    if args.bool("expand_argument_vars") {
        let variable = |name: &str| task.environment.get(name).cloned().or_else(|| std::env::var(name).ok());
        let accounts = task.cache.accounts();
        argv = argv.iter().map(|word| words::expand(word, &variable, accounts)).collect();
    }
    let process = task.command(&argv[0]).args(&argv[1..]);
    carry_out(args, task, process, shown)
}

/// The text given, by either way.
pub(crate) fn line(args: &Args) -> Result<String, Failure> {
    let text = args.str("_raw_params").or(args.str("cmd")).unwrap_or_default();
    if text.trim().is_empty() {
        return Err(nothing());
    }
    Ok(text.to_owned())
}

fn nothing() -> Failure {
    Failure::new("no command given").with("rc", 256)
}

/// The part that `command` and `shell` have in common: conditions, check mode, the result.
pub(crate) fn carry_out(
    args: &Args,
    task: &mut Task<'_>,
    process: Run<'_>,
    shown: Json,
) -> Result<Outcome, Failure> {
    let mut result = blank(&shown);
    let process = match args.str("chdir") {
        None => process,
        Some(dir) if std::fs::metadata(dir).is_ok_and(|m| m.is_dir()) => process.cwd(dir),
        Some(dir) => {
            let why = std::fs::read_dir(dir).err().map_or_else(String::new, |e| plain(&e));
            let message = format!("Unable to change directory before execution: {why}: {dir}");
            return Err(Failure { message, values: result.values, changed: false });
        }
    };
    if let Some((stdout, message)) = not_needed(args, task.check) {
        result.set("stdout", stdout);
        result.set("msg", message);
        result.set("rc", 0);
        return Ok(result);
    }
    if task.check {
        // With a condition the answer is known: it would run.
        result.changed = args.has("creates") || args.has("removes");
        result.set("rc", 0);
        result.set("msg", "Command would have run if not in check mode");
        if !result.changed {
            result.set("skipped", true);
        }
        return Ok(result);
    }
    let process = match args.str("stdin") {
        Some(text) if args.bool("stdin_add_newline") && !text.ends_with('\n') => {
            process.stdin(format!("{text}\n"))
        }
        Some(text) => process.stdin(text),
        None => process,
    };
    let program = process.argv.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let said = if task.no_log { program.clone() } else { catalog::arguments::text(&shown) };
    task.cache.forget_all();
    match children::watch(task, &format!("ran {said}"), &[], process)? {
        Ok(output) => finished(args, result, &output),
        Err(RunError::NotStarted { source, .. }) => {
            let message = format!("Error executing command: {}: {program}", plain(&source));
            let line = match &shown {
                Json::Array(argv) => {
                    words::join(&argv.iter().filter_map(Json::as_str).collect::<Vec<_>>()).into()
                }
                other => other.clone(),
            };
            let rc = source.raw_os_error().unwrap_or(257);
            Err(Failure::new(message).with("rc", rc).with("cmd", line).with("stdout", "").with("stderr", ""))
        }
        Err(error) => Err(Failure::from(error).with("cmd", shown)),
    }
}

fn blank(shown: &Json) -> Outcome {
    let mut result = Outcome::default().with("stdout", "").with("stderr", "").with("cmd", shown.clone());
    for key in ["rc", "start", "end", "delta"] {
        result.set(key, Json::Null);
    }
    result
}

/// What `creates` and `removes` say: standard output and message, as if it had run.
fn not_needed(args: &Args, check: bool) -> Option<(String, String)> {
    let place = |pattern: &str| match args.str("chdir") {
        Some(dir) if !pattern.starts_with('/') => format!("{}/{pattern}", dir.trim_end_matches('/')),
        _ => pattern.to_owned(),
    };
    let verb = if check { "Would not" } else { "Did not" };
    if let Some(pattern) = args.str("creates").filter(|pattern| patterns::exists(&place(pattern))) {
        return Some((
            format!("skipped, since {pattern} exists"),
            format!("{verb} run command since '{pattern}' exists"),
        ));
    }
    let pattern = args.str("removes").filter(|pattern| !patterns::exists(&place(pattern)))?;
    Some((
        format!("skipped, since {pattern} does not exist"),
        format!("{verb} run command since '{pattern}' does not exist"),
    ))
}

fn finished(args: &Args, mut result: Outcome, output: &Output) -> Result<Outcome, Failure> {
    let text = |text: String| {
        if args.bool("strip_empty_ends") { text.trim_end_matches(['\r', '\n']).to_owned() } else { text }
    };
    result.changed = true;
    result.set("stdout", text(output.stdout_text()));
    result.set("stderr", text(output.stderr_text()));
    result.set("rc", output.rc);
    result.set("start", output.start_text());
    result.set("end", output.end_text());
    result.set("delta", output.delta());
    if output.ok() {
        return Ok(result.with("msg", ""));
    }
    Err(Failure { message: "non-zero return code".to_owned(), values: result.values, changed: true })
}
