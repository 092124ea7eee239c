//! `git_config`: settings of git, of a user, a repository, the system or a file.

use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("name").required(),
    Arg::path("repo"),
    Arg::path("file"),
    Arg::str("add_mode").default("replace-all").choices(&["add", "replace-all"]),
    Arg::str("scope").choices(&["file", "local", "global", "system"]),
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::str("value"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("git_config", ARGS).collection("community.general").required_if(&[
        ("scope", "local", &["repo"], false),
        ("scope", "file", &["file"], false),
        ("state", "present", &["value"], false),
    ]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name");
    let present = args.str("state") != Some("absent");
    let old = values(args, task, &name)?;
    let value = args.string("value");
    if !present && old.is_empty() {
        return Ok(Outcome::changed(false).with("msg", "no setting to unset"));
    }
    let add = args.str("add_mode") == Some("add");
    let same = if add { old.contains(&value) } else { old.len() == 1 && old[0] == value };
    if present && same {
        return Ok(Outcome::changed(false).with("msg", ""));
    }
    let words: Vec<&str> = match (present, add) {
        (false, _) => vec!["--unset-all", &name],
        (true, true) => vec!["--add", &name, &value],
        (true, false) => vec!["--replace-all", &name, &value],
    };
    let argv = command(args, &words);
    if !task.check {
        let output = children::act_with(task, process(args, task, &argv))?;
        if !output.ok() {
            let said = output.stderr_text();
            return Err(children::failed(&output, said).with("cmd", argv.join(" ")));
        }
    }
    let new = match (present, add) {
        (false, _) => Vec::new(),
        (true, true) => old.iter().cloned().chain([value]).collect(),
        (true, false) => vec![value],
    };
    let shown = argv.join(" ");
    let diff = json!({
        "before_header": shown, "before": listed(&old), "after_header": shown, "after": listed(&new),
    });
    Ok(Outcome::changed(true).with("msg", "setting changed").diff(diff))
}

fn listed(values: &[String]) -> Json {
    match values {
        [] => json!("\n"),
        [one] => json!(format!("{one}\n")),
        all => json!(all),
    }
}

fn command(args: &Args, words: &[&str]) -> Vec<String> {
    let git = find_program("git").map_or_else(|| "git".to_owned(), |p| p.to_string_lossy().into_owned());
    let mut argv = vec![git, "config".to_owned(), "--includes".to_owned()];
    match args.str("scope") {
        Some("file") => argv.extend(["-f".to_owned(), args.string("file")]),
        Some(scope) => argv.push(format!("--{scope}")),
        None => {}
    }
    argv.extend(words.iter().map(|w| (*w).to_owned()));
    argv
}

fn process<'a>(args: &Args, task: &Task<'a>, argv: &[String]) -> crate::command::Run<'a> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let run = children::in_c_locale(task, &words);
    // A repository where the agent happens to run is not meant.
    run.cwd(args.str("repo").filter(|_| args.str("scope").is_none_or(|s| s == "local")).unwrap_or("/"))
}

fn values(args: &Args, task: &Task<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let argv = command(args, &["--get-all", name]);
    let output = process(args, task, &argv).output()?;
    // 128 with a file that is not there yet.
    if output.rc >= 2 && !output.stderr_text().contains("unable to read config file") {
        let said = output.stderr_text();
        return Err(children::failed(&output, said).with("cmd", argv.join(" ")));
    }
    Ok(output.stdout_text().lines().map(str::to_owned).collect())
}
