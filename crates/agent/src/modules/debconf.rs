//! `debconf`: answers to questions that packages will ask.

use catalog::{Arg, Args, Json, Map, ModuleSpec, arguments};
use serde_json::json;

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "debconf",
        &[
            Arg::str("name").required().aliases(&["pkg"]),
            Arg::str("question").aliases(&["selection", "setting"]),
            Arg::str("vtype").choices(&[
                "boolean",
                "error",
                "multiselect",
                "note",
                "password",
                "seen",
                "select",
                "string",
                "text",
                "title",
            ]),
            Arg::raw("value").aliases(&["answer"]),
            Arg::bool("unseen").default("false"),
        ],
    )
    .required_together(&[&["question", "vtype", "value"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name");
    let before = answers(task, &name)?;
    let Some(question) = args.str("question") else {
        return Ok(Outcome::changed(false).with("msg", "").with("current", Json::Object(before)));
    };
    let kind = args.string("vtype");
    if args.get("value").is_none() {
        return Err("when supplying a question you must supply a valid vtype and value".into());
    }
    let value = wanted(args, &kind);
    let old = match kind.as_str() {
        "password" => password(task, question)?,
        _ => before.get(question).and_then(Json::as_str).map(str::to_owned),
    };
    let same = match (&old, kind.as_str()) {
        (Some(old), "multiselect") => sorted(old) == sorted(&value),
        (Some(old), _) => *old == value,
        (None, _) => false,
    };
    if same {
        return Ok(Outcome::changed(false).with("msg", "").with("current", Json::Object(before)));
    }
    let secret =
        |text: Json| if kind == "password" { json!("VALUE_SPECIFIED_IN_NO_LOG_PARAMETER") } else { text };
    let mut said = String::new();
    if !task.check {
        // Through standard input: an answer can be a password.
        let line = format!("{name} {question} {kind} {value}\n");
        let mut argv = vec!["debconf-set-selections"];
        if args.bool("unseen") {
            argv.push("-u");
        }
        let process = children::in_c_locale(task, &argv).stdin(line);
        let paths = [
            "config.dat",
            "config.dat-old",
            "passwords.dat",
            "passwords.dat-old",
            "templates.dat",
            "templates.dat-old",
        ]
        .map(|f| std::path::PathBuf::from("/var/cache/debconf").join(f));
        let paths: Vec<&std::path::Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
        said = children::expect(children::act_on(task, &paths, process)?)?.stdout_text();
    }
    let one = |text: Json| Map::from_iter([(question.to_owned(), secret(text))]);
    let (current, previous) = (one(value.into()), one(old.into()));
    let mut outcome = Outcome::changed(true)
        .with("msg", said)
        .with("current", Json::Object(current.clone()))
        .with("previous", Json::Object(previous.clone()));
    outcome.diff.push(json!({"before": previous, "after": current}));
    Ok(outcome)
}

fn wanted(args: &Args, kind: &str) -> String {
    let value = args.get("value").cloned().unwrap_or_default();
    match (kind, &value) {
        ("boolean", Json::Bool(b)) => b.to_string(),
        ("boolean", _) => arguments::text(&value).to_lowercase(),
        ("multiselect", Json::Array(list)) => list.iter().map(arguments::text).collect::<Vec<_>>().join(", "),
        _ => arguments::text(&value),
    }
}

fn sorted(list: &str) -> Vec<&str> {
    let mut words: Vec<&str> = list.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    words.sort_unstable();
    words
}

/// What is answered so far: `* question: answer` lines.
fn answers(task: &Task<'_>, name: &str) -> Result<Map, Failure> {
    let output = children::expect(children::ask(task, &["debconf-show", name])?)?;
    let text = output.stdout_text();
    let pairs = text.lines().filter_map(|line| line.trim_start_matches(['*', ' ']).split_once(':'));
    Ok(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().into())).collect())
}

/// `debconf-show` hides passwords.
fn password(task: &Task<'_>, question: &str) -> Result<Option<String>, Failure> {
    let process = children::in_c_locale(task, &["debconf-communicate"]).stdin(format!("get {question}\n"));
    let output = process.output()?;
    let text = output.stdout_text();
    Ok(text.trim_end().strip_prefix("0 ").map(str::to_owned))
}
