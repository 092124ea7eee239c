//! `pip`: Python packages, with the host's own pip.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, ModuleSpec};

use crate::children;
use crate::command::{Run, find_program};
use crate::module::{Failure, Module, Outcome, Task};
use crate::words;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "pip",
        &[
            Arg::str("state").default("present").choices(&["absent", "forcereinstall", "latest", "present"]),
            Arg::list("name"),
            Arg::str("version"),
            Arg::str("requirements"),
            Arg::path("virtualenv"),
            Arg::bool("virtualenv_site_packages").default("false"),
            Arg::path("virtualenv_command").default("virtualenv"),
            Arg::str("virtualenv_python"),
            Arg::str("extra_args"),
            Arg::bool("editable").default("false"),
            Arg::path("chdir"),
            Arg::path("executable"),
            Arg::str("umask"),
            Arg::bool("break_system_packages").default("false"),
        ],
    )
    .required_one_of(&[&["name", "requirements"]])
    .mutually_exclusive(&[&["name", "requirements"], &["executable", "virtualenv"]]),
    run,
};

const OPERATORS: &[&str] = &["==", "!=", ">=", "<=", "~=", ">", "<"];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let names = requirements(args)?;
    let made = virtualenv(args, task)?;
    let mut argv = pip(args, task)?;
    let listing = argv.clone();
    argv.extend(arguments(args, &names)?);
    let mut outcome = Outcome::default()
        .with("cmd", argv.clone())
        .with("name", if args.has("name") { Json::from(args.strings("name")) } else { Json::Null });
    for key in ["version", "state", "requirements", "virtualenv"] {
        outcome.set(key, args.get(key).cloned().unwrap_or_default());
    }
    if task.check {
        outcome.changed = made || would_change(args, task, &listing, &names)?;
        return Ok(outcome);
    }
    let process = process(args, task, &argv)?;
    let output = children::act_with(task, process)?;
    let (out, err) = (output.stdout_text(), output.stderr_text());
    let absent = args.string("state") == "absent";
    let not_there = err.contains("not installed") || out.contains("not installed");
    if !(output.ok() || (absent && not_there)) {
        let message = format!("stdout: {out}\n:stderr: {err}");
        return Err(Failure::new(message).with("cmd", argv).with("rc", output.rc).after_change(made));
    }
    outcome.changed = made
        || if absent {
            out.contains("Successfully uninstalled")
        } else {
            out.contains("Successfully installed")
        };
    Ok(outcome.with("stdout", out).with("stderr", err))
}

/// Names with their versions. A list that was split inside `a>=1,<2` is put together again.
fn requirements(args: &Args) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for name in args.strings("name") {
        let name = name.trim();
        match names.last_mut() {
            Some(last) if OPERATORS.iter().any(|o| name.starts_with(o)) => last.push_str(&format!(",{name}")),
            _ if name.is_empty() => {}
            _ => names.push(name.to_owned()),
        }
    }
    let Some(version) = args.str("version") else { return Ok(names) };
    let has_version = |name: &String| OPERATORS.iter().any(|o| name.contains(o));
    match names.as_mut_slice() {
        [only] if has_version(only) => {
            Err("The 'version' argument conflicts with any version specifier provided along with a package name. Please keep the version specifier, but remove the 'version' argument.".into())
        }
        [only] => {
            let exact = !OPERATORS.iter().any(|o| version.trim().starts_with(o));
            *only = format!("{only}{}{}", if exact { "==" } else { "" }, version.trim());
            Ok(names)
        }
        _ => Err("'version' argument is ambiguous when installing multiple package distributions. Please specify version restrictions next to each package in 'name' argument.".into()),
    }
}

fn process<'a>(args: &Args, task: &Task<'a>, argv: &[String]) -> Result<Run<'a>, Failure> {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut process = children::in_c_locale(task, &argv);
    if let Some(dir) = args.str("chdir") {
        process = process.cwd(dir);
    }
    if args.bool("break_system_packages") {
        process = process.env("PIP_BREAK_SYSTEM_PACKAGES", "1");
    }
    let umask = args.str("umask").map(|text| u32::from_str_radix(text, 8)).transpose();
    Ok(process.umask(umask.map_err(|_| "umask must be an octal integer")?))
}

fn place(args: &Args, path: &str) -> PathBuf {
    args.str("chdir").map_or_else(|| PathBuf::from(path), |dir| Path::new(dir).join(path))
}

/// Makes the environment unless it is there. Returns whether it did (or would).
fn virtualenv(args: &Args, task: &mut Task<'_>) -> Result<bool, Failure> {
    let Some(env) = args.str("virtualenv") else { return Ok(false) };
    if place(args, env).join("bin/activate").exists() {
        return Ok(false);
    }
    if task.check {
        return Ok(true);
    }
    let mut argv = words::split(&args.string("virtualenv_command"))?;
    let venv = argv.iter().any(|word| word.ends_with("venv"));
    if args.bool("virtualenv_site_packages") {
        argv.push("--system-site-packages".to_owned());
    }
    match args.str("virtualenv_python") {
        Some(_) if venv => {
            return Err("virtualenv_python should not be used when using the venv module or pyvenv as virtualenv_command".into());
        }
        Some(python) => argv.push(format!("-p{python}")),
        None => {}
    }
    argv.push(env.to_owned());
    let process = process(args, task, &argv)?;
    children::expect(children::act_with(task, process)?)?;
    Ok(true)
}

/// The words that start pip.
fn pip(args: &Args, task: &Task<'_>) -> Result<Vec<String>, Failure> {
    if let Some(env) = args.str("virtualenv") {
        let bin = place(args, env).join("bin");
        let found = ["pip3", "pip"].iter().map(|name| bin.join(name)).find(|path| path.exists());
        let path = found.or_else(|| task.check.then(|| bin.join("pip3")));
        let path = path.ok_or_else(|| {
            Failure::new(format!(
                "Unable to find pip in the virtualenv, {env}, under any of these names: pip3, pip."
            ))
        })?;
        return Ok(vec![path.to_string_lossy().into_owned()]);
    }
    if let Some(executable) = args.str("executable") {
        return Ok(vec![executable.to_owned()]);
    }
    for name in ["pip3", "pip"] {
        if let Some(path) = find_program(name) {
            return Ok(vec![path.to_string_lossy().into_owned()]);
        }
    }
    let module = children::ask_if_there(task, &["python3", "-m", "pip", "--version"])?;
    match module.filter(crate::command::Output::ok) {
        Some(_) => Ok(["python3", "-m", "pip"].map(str::to_owned).to_vec()),
        None => Err("Unable to find any of pip3, pip to use.  pip needs to be installed.".into()),
    }
}

fn arguments(args: &Args, names: &[String]) -> Result<Vec<String>, Failure> {
    let state = args.string("state");
    let mut argv: Vec<String> = match state.as_str() {
        "absent" => vec!["uninstall", "-y"],
        "latest" => vec!["install", "-U"],
        "forcereinstall" => vec!["install", "-U", "--force-reinstall"],
        _ => vec!["install"],
    }
    .into_iter()
    .map(str::to_owned)
    .collect();
    if let Some(extra) = args.str("extra_args").filter(|_| state != "absent") {
        argv.extend(words::split(extra)?);
    }
    let editable = args.bool("editable") && state != "absent";
    for name in names {
        if editable {
            argv.push("-e".to_owned());
        }
        argv.push(name.clone());
    }
    if let Some(file) = args.str("requirements") {
        argv.extend(["-r".to_owned(), file.to_owned()]);
    }
    Ok(argv)
}

/// By what is installed. Anything that cannot be known without asking an index counts as a change.
fn would_change(args: &Args, task: &Task<'_>, pip: &[String], names: &[String]) -> Result<bool, Failure> {
    let state = args.string("state");
    if args.has("requirements")
        || matches!(state.as_str(), "latest" | "forcereinstall")
        || args.bool("editable")
    {
        return Ok(true);
    }
    let mut argv = pip.to_vec();
    argv.extend(["list", "--format=freeze"].map(str::to_owned));
    let output = process(args, task, &argv)?.output();
    let text = output.map(|o| o.stdout_text()).unwrap_or_default();
    let installed: Vec<(String, String)> =
        text.lines().filter_map(|l| l.split_once("==")).map(|(n, v)| (canonical(n), v.to_owned())).collect();
    let there = |spec: &String| {
        let end = spec.find(|c: char| "=!<>~[; ".contains(c)).unwrap_or(spec.len());
        let name = canonical(&spec[..end]);
        installed.iter().find(|(known, _)| *known == name).is_some_and(|(_, version)| {
            // Only an exact version can be compared without Python's own rules.
            spec.split_once("==").is_none_or(|(_, wanted)| wanted.trim() == version)
        })
    };
    Ok(if state == "absent" { names.iter().any(there) } else { !names.iter().all(there) })
}

/// `A_b.c` and `a-b-c` are one package.
fn canonical(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '.'], "-")
}
