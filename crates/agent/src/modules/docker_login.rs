//! `docker_login`: what the client's configuration knows of a registry.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use catalog::spec::joined;
use catalog::{Arg, Args, Json, ModuleSpec};
use layer::Attributes;
use serde::Serialize;
use serde_json::json;

use crate::children;
use crate::docker::{TOGETHER, CLIENT, Engine, Logins};
use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};

const OWN: &[Arg] = &[
    Arg::str("registry_url").default("https://index.docker.io/v1/").aliases(&["registry", "url"]),
    Arg::str("username"),
    Arg::str("password").no_log(),
    Arg::bool("reauthorize").default("false").aliases(&["reauth"]),
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::path("config_path").default("~/.docker/config.json").aliases(&["dockercfg_path"]),
];
const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("docker_login", &ARGS)
        .collection("community.docker").required_together(TOGETHER)
        .required_if(&[("state", "present", &["username", "password"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut logins = Logins::read(PathBuf::from(args.string("config_path")))?;
    let registry = args.string("registry_url");
    let known = logins.of(task, &registry)?;
    if args.string("state") == "absent" {
        let changed = known.is_some() || logins.key(&registry).is_some();
        if changed && !task.check {
            forget(task, &mut logins, &registry)?;
        }
        return Ok(Outcome::changed(changed).with("login_result", json!({})));
    }
    let (user, password) = (args.string("username"), args.string("password"));
    let same = known.is_some_and(|known| known["username"] == user && known["password"] == password);
    if same && !args.bool("reauthorize") {
        let result = json!({"username": user, "email": null, "serveraddress": registry});
        return Ok(Outcome::changed(false).with("login_result", result));
    }
    let asked = json!({"username": user, "password": password, "email": null, "serveraddress": registry});
    let answer = Engine::of(args, task)?.send(task, "POST", "/auth", Some(&asked), std::time::Duration::ZERO)?;
    let result = answer.json().map_err(|why| {
        let why = why.message.replace("An unexpected Docker error occurred: ", "");
        Failure::new(format!("Logging into {registry} for user {user} failed - {why}"))
    })?;
    if !task.check {
        remember(task, &mut logins, &registry, (&user, &password))?;
    }
    Ok(Outcome::changed(true).with("login_result", result))
}

fn forget(task: &mut Task<'_>, logins: &mut Logins, registry: &str) -> Result<(), Failure> {
    if let Some(helper) = logins.helper(registry) {
        return ask_helper(task, &helper, "erase", registry);
    }
    let key = logins.key(registry).cloned().unwrap_or_default();
    if let Some(all) = logins.config["auths"].as_object_mut() {
        all.shift_remove(&key);
    }
    write(task, logins)
}

fn remember(
    task: &mut Task<'_>,
    logins: &mut Logins,
    registry: &str,
    (user, password): (&str, &str),
) -> Result<(), Failure> {
    if let Some(helper) = logins.helper(registry) {
        let entry = json!({"ServerURL": registry, "Username": user, "Secret": password});
        return ask_helper(task, &helper, "store", &entry.to_string());
    }
    let sealed = BASE64_STANDARD.encode(format!("{user}:{password}"));
    if !logins.config["auths"].is_object() {
        logins.config["auths"] = json!({});
    }
    logins.config["auths"][registry] = json!({"auth": sealed});
    write(task, logins)
}

fn ask_helper(task: &mut Task<'_>, helper: &str, what: &str, input: &str) -> Result<(), Failure> {
    let run = task.command(helper).arg(what).stdin(input);
    children::expect(children::act_with(task, run)?).map(drop)
}

/// In the form that the client itself writes; what is new can be read by its owner alone.
fn write(task: &mut Task<'_>, logins: &Logins) -> Result<(), Failure> {
    let mut text = Vec::new();
    let indented = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, indented);
    sorted(&logins.config).serialize(&mut writer).map_err(|why| Failure::new(why.to_string()))?;
    if let Some(folder) = logins.path.parent() {
        files::make_dirs(task, folder, &FileArgs::default())?;
    }
    let path = files::resolved(&logins.path, true);
    let mode = (!path.exists()).then_some(0o600);
    let written = task.recorder.write(&path, text.as_slice(), &Attributes { mode, ..Attributes::default() });
    written.map(drop).map_err(Failure::from)
}

fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let mut pairs: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            Json::Object(pairs.into_iter().collect())
        }
        other => other.clone(),
    }
}
