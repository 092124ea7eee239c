//! `docker_host_info`: what a Docker Engine says of itself and of what it has.

use catalog::spec::joined;
use catalog::{Arg, Args, Check, Json, Map, ModuleSpec};

use crate::docker::{TOGETHER, CLIENT, Engine, texts};
use crate::http::encode;
use crate::module::{Failure, Module, Outcome, Task};

const OWN: &[Arg] = &[
    Arg::bool("containers").default("false"),
    Arg::bool("containers_all").default("false"),
    Arg::dict("containers_filters"),
    Arg::bool("images").default("false"),
    Arg::dict("images_filters"),
    Arg::bool("networks").default("false"),
    Arg::dict("networks_filters"),
    Arg::bool("volumes").default("false"),
    Arg::dict("volumes_filters"),
    Arg::bool("disk_usage").default("false"),
    Arg::bool("verbose_output").default("false"),
];
const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("docker_host_info", &ARGS).collection("community.docker").required_together(TOGETHER).check(Check::Query),
    run,
};

/// Kinds of things, where they are asked for, and what is told of each unless all is.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("containers", "/containers/json", &["Id", "Image", "Command", "Created", "Status", "Ports", "Names"]),
    ("images", "/images/json", &["Id", "RepoTags", "Created", "Size"]),
    ("networks", "/networks", &["Id", "Driver", "Name", "Scope"]),
    ("volumes", "/volumes", &["Driver", "Name"]),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    asked(args, task).map_err(|failure| failure.with("can_talk_to_docker", false))
}

fn asked(args: &Args, task: &Task<'_>) -> Result<Outcome, Failure> {
    let engine = Engine::of(args, task)?;
    let ask = |path: &str| engine.look(task, path).map(Option::unwrap_or_default);
    let verbose = args.bool("verbose_output");
    let mut outcome =
        Outcome::changed(false).with("can_talk_to_docker", true).with("host_info", ask("/info")?);
    if args.bool("disk_usage") {
        let usage = ask("/system/df")?;
        let usage = if verbose { usage } else { only(&usage, &["LayersSize"]) };
        outcome = outcome.with("disk_usage", usage);
    }
    for (kind, path, keys) in KINDS.iter().filter(|(kind, ..)| args.bool(kind)) {
        let all = u8::from(*kind == "containers" && args.bool("containers_all"));
        let filters = filters(args.dict(&format!("{kind}_filters")));
        let mut listed = ask(&format!("{path}?all={all}&filters={}", encode(&Json::Object(filters).to_string())))?;
        if *kind == "volumes" {
            listed = listed["Volumes"].take();
        }
        let mut listed = listed.as_array().cloned().unwrap_or_default();
        if !verbose {
            listed = listed.iter().map(|one| only(one, keys)).collect();
        }
        outcome = outcome.with(kind, Json::Array(listed));
    }
    Ok(outcome)
}

fn only(all: &Json, keys: &[&str]) -> Json {
    let kept = keys.iter().filter_map(|key| Some(((*key).to_owned(), all.get(key)?.clone())));
    Json::Object(kept.collect())
}

/// Each with a list of texts.
fn filters(given: Option<&Map>) -> Map {
    let list = |(key, value): (&String, &Json)| {
        let values: Map = match value {
            Json::Array(all) => (0..).zip(all).map(|(at, one): (usize, _)| (at.to_string(), one.clone())).collect(),
            one => [("0".to_owned(), one.clone())].into_iter().collect(),
        };
        (key.clone(), texts(Some(&values)).into_iter().map(|(_, text)| text).collect::<Json>())
    };
    given.into_iter().flatten().map(list).collect()
}
