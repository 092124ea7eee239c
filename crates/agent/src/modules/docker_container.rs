//! `docker_container`: containers of a Docker Engine, compared with what is wanted and made anew where they differ.

mod life;
mod networks;
mod options;
mod ports;
mod property;
mod simple;
mod special;
mod volumes;

use catalog::spec::joined;
use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::docker::{TOGETHER, CLIENT, Engine, is_id, part};
use crate::module::{Failure, Module, Outcome, Task};
use life::Container;
use options::OWN;
use property::{How, Kind, Property, Rules};
use special::property;

const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("docker_container", &ARGS)
        .collection("community.docker").required_together(TOGETHER).required_by(&[("log_options", &["log_driver"]), ("restart_retries", &["restart_policy"])])
        .required_if(&[("state", "present", &["image"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let args = &with_defaults(args);
    let rules = Rules::of_task(args)?;
    let engine = Engine::of(args, task)?;
    let mut container = Container::find(&engine, args, task)?;
    if args.string("state") == "absent" {
        if container.exists() {
            if container.stop(task)? {
                container.done.differs("running", true, false);
            }
            container.remove(task)?;
            container.done.differs("exists", true, false);
        }
        return Ok(told(container, task, None));
    }
    let pull = Pull::of(args)?;
    let image = image(&mut container, task, pull)?;
    present(&mut container, task, &rules, image.as_ref())?;
    let ended = container.settle(task)?;
    Ok(told(container, task, ended))
}

/// `container_default_behavior: compatibility`.
fn with_defaults(args: &Args) -> Args {
    let mut all = args.clone();
    if args.string("container_default_behavior") == "compatibility" {
        let off = ["auto_remove", "init", "interactive", "paused", "privileged", "read_only", "tty"];
        let usual = off.iter().map(|name| (*name, json!(false)));
        for (name, value) in usual.chain([("detach", json!(true)), ("memory", json!("0"))]) {
            if !all.has(name) {
                all.0.insert(name.to_owned(), value);
            }
        }
    }
    all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pull {
    Never,
    Missing,
    Always,
}

impl Pull {
    fn of(args: &Args) -> Result<Self, Failure> {
        match args.get("pull").map(catalog::arguments::text).unwrap_or_default().to_ascii_lowercase().as_str() {
            "never" => Ok(Self::Never),
            "missing" | "false" | "no" => Ok(Self::Missing),
            "always" | "true" | "yes" => Ok(Self::Always),
            other => Err(Failure::new(format!(
                "value of pull must be one of: never, missing, always, true, false, got: {other}"
            ))),
        }
    }
}

/// The image that the task names, pulled where that is to be done; `None`: none is named, or check mode cannot have it.
fn image(container: &mut Container<'_>, task: &mut Task<'_>, pull: Pull) -> Result<Option<Json>, Failure> {
    let (args, engine) = (container.args, container.engine);
    let Some(name) = args.str("image") else { return Ok(None) };
    let now = engine.image(task, name)?;
    if is_id(name) {
        return now.map(Some).ok_or_else(|| Failure::new(format!("Cannot find image with ID {name}")));
    }
    if now.is_none() && pull == Pull::Never {
        return Err(Failure::new(format!("Cannot find image with name {name}, and pull=never")));
    }
    if now.is_some() && pull != Pull::Always {
        return Ok(now);
    }
    if task.check {
        let says = now.is_none() || args.string("pull_check_mode_behavior") == "always";
        if says {
            container.acted(json!({"pulled_image": name, "changed": true}), true);
        }
        return Ok(now);
    }
    engine.pull(task, name, args.str("platform"))?;
    let after = engine.image(task, name)?;
    let changed = after.as_ref().map(|image| &image["Id"]) != now.as_ref().map(|image| &image["Id"]);
    container.acted(json!({"pulled_image": name, "changed": changed}), changed);
    after.map(Some).ok_or_else(|| Failure::new(format!("Cannot find the image {name} that was pulled")))
}

/// The container exists as it is wanted, whatever runs in it.
fn present(
    container: &mut Container<'_>,
    task: &mut Task<'_>,
    rules: &Rules,
    image: Option<&Json>,
) -> Result<(), Failure> {
    let (args, engine) = (container.args, container.engine);
    let wanted = networks::wanted(args, engine, task)?;
    let own_image = match container.exists().then(|| container.inspected["Image"].as_str()).flatten() {
        Some(id) if args.string("image_comparison") == "current-image" || !args.has("image") => engine.image(task, id)?,
        _ => None,
    };
    let of_image = own_image.as_ref().or(image).unwrap_or(&Json::Null).clone();
    let all = properties((args, rules), engine, task, &of_image, &container.inspected)?;
    if !container.exists() {
        let Some(name) = args.str("image") else {
            return Err("Cannot create container when image is not specified!".into());
        };
        container.create(task, name, &all, &wanted)?;
        container.done.differs("exists", false, true);
        return container.enter(task, &wanted);
    }
    let differing: Vec<&Property> = all.iter().filter(|one| one.differs(rules)).collect();
    let other_image = rules.other("image") != How::Ignore && differs_in_image(container, image);
    container.other_image = other_image;
    let again = args.bool("recreate") || other_image || differing.iter().any(|one| !one.update);
    for one in &differing {
        container.differs(one.name, sorted(one.kind, &one.is), sorted(one.kind, &one.wanted), again);
    }
    let steps = networks::steps(&wanted, &container.inspected, rules.other("networks") == How::Strict);
    if again {
        container.differences.get_or_insert_default();
        let named = container.inspected["Config"]["Image"].as_str().map(str::to_owned);
        let Some(name) = args.str("image").map(str::to_owned).or(named) else {
            return Err(
                "Cannot recreate container when image is not specified or cannot be extracted from current container!"
                    .into(),
            );
        };
        container.stop(task)?;
        container.remove(task)?;
        container.create(task, &name, &all, &wanted)?;
        return container.enter(task, &wanted);
    }
    if !differing.is_empty() {
        container.update(task, &differing)?;
    }
    container.change_networks(task, steps)
}

/// Another image, or the same under another name.
fn differs_in_image(container: &mut Container<'_>, image: Option<&Json>) -> bool {
    let Some(name) = container.args.str("image") else { return false };
    let (id, called) = (container.inspected["Image"].clone(), container.inspected["Config"]["Image"].clone());
    let wanted = image.map_or(Json::Null, |image| image["Id"].clone());
    let other = id != wanted;
    if other {
        container.done.differs("image", id, wanted);
    }
    let renamed = container.args.string("image_name_mismatch") == "recreate" && called != *name && !is_id(name);
    if renamed {
        container.done.differs("image_name", called, json!(name));
    }
    other || renamed
}

fn properties(
    (args, rules): (&Args, &Rules),
    engine: &Engine,
    task: &Task<'_>,
    image: &Json,
    container: &Json,
) -> Result<Vec<Property>, Failure> {
    let mut all = simple::properties(args, container)?;
    all.extend(special::properties(args, rules, image, container)?);
    let ip = if args.has("published_ports") { default_ip(args, engine, task)? } else { String::new() };
    all.extend(ports::properties(args, &ip, image, container)?);
    all.extend(volumes::properties(args, task, image, container)?);
    all.extend(network_mode(args, container));
    all.extend(links(args, container));
    if container.is_object() {
        all.extend(platform(args, engine, task, container)?);
    }
    for one in all.iter_mut().filter(|one| ["network_mode", "ipc_mode", "pid_mode"].contains(&one.option)) {
        if means_the_same(engine, task, one)? {
            one.is = one.wanted.clone();
        }
    }
    Ok(all)
}

/// Where ports are bound if nobody says it: as the engine's own bridge has it.
fn default_ip(args: &Args, engine: &Engine, task: &Task<'_>) -> Result<String, Failure> {
    if let Some(ip) = args.str("default_host_ip") {
        return Ok(ip.to_owned());
    }
    let bridge = engine.look(task, "/networks/bridge")?.unwrap_or_default();
    let own = bridge["Options"]["com.docker.network.bridge.host_binding_ipv4"].as_str().unwrap_or("0.0.0.0");
    Ok(own.to_owned())
}

/// As said, or the first of the networks, as the client's `--network`.
fn network_mode(args: &Args, container: &Json) -> Option<Property> {
    let first = args.list("networks").and_then(<[Json]>::first).filter(|_| args.bool("networks_cli_compatible"));
    let wanted = args.get("network_mode").or_else(|| first.map(|network| &network["name"]))?;
    let is = &container["HostConfig"]["NetworkMode"];
    Some(property("network_mode", Kind::Value, &["HostConfig", "NetworkMode"], wanted.clone(), is))
}

/// Containers that the engine knows by other words: `/other:/this/alias`.
fn links(args: &Args, container: &Json) -> Option<Property> {
    let wanted: Vec<String> = args
        .strings("links")
        .into_iter()
        .map(|link| if link.contains(':') { link } else { format!("{link}:{link}") })
        .collect();
    args.list("links")?;
    let own = |link: &str| {
        let (other, alias) = link.split_once(':').unwrap_or((link, link));
        json!(format!("{}:{}", other.trim_start_matches('/'), alias.rsplit('/').next().unwrap_or(alias)))
    };
    let there = container["HostConfig"]["Links"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let is: Json = there.map(own).collect();
    Some(property("links", Kind::Set, &["HostConfig", "Links"], json!(wanted), &is))
}

/// Compared with the platform of the image that the container is of.
fn platform(
    args: &Args,
    engine: &Engine,
    task: &Task<'_>,
    container: &Json,
) -> Result<Option<Property>, Failure> {
    let Some(wanted) = args.str("platform") else { return Ok(None) };
    let image = engine.image(task, container["Image"].as_str().unwrap_or_default())?.unwrap_or_default();
    let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
    let mut parts = vec![text("Os"), text("Architecture"), text("Variant")];
    let asked: Vec<&str> = wanted.split('/').collect();
    let asked = if asked.len() == 1 && asked[0] != "linux" { vec!["linux", asked[0]] } else { asked };
    parts.truncate(asked.len());
    let usual = |part: &str| match part {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    let asked = asked.into_iter().map(usual).collect::<Vec<_>>().join("/");
    let mut one = property("platform", Kind::Value, &[], json!(asked), &json!(parts.join("/")));
    // Asked for in the request itself.
    one.make.clear();
    Ok(Some(one))
}

/// The engine may have an id where the task has a name.
fn means_the_same(engine: &Engine, task: &Task<'_>, one: &Property) -> Result<bool, Failure> {
    let (Some(wanted), Some(is)) = (one.wanted.as_str(), one.is.as_str()) else { return Ok(false) };
    if wanted == is {
        return Ok(true);
    }
    if let (Some(name), Some(id)) = (wanted.strip_prefix("container:"), is.strip_prefix("container:")) {
        let other = engine.look(task, &format!("/containers/{}/json", part(name)))?;
        return Ok(other.is_some_and(|other| other["Id"] == id));
    }
    if one.option != "network_mode" {
        return Ok(false);
    }
    let usual = |mode: &str| matches!(mode, "default" | "bridge");
    if usual(wanted) && usual(is) {
        return Ok(true);
    }
    let network = engine.look(task, &format!("/networks/{}", part(wanted)))?;
    Ok(network.is_some_and(|network| network["Id"] == is))
}

/// Where the order does not count, the diff has its own.
fn sorted(kind: Kind, value: &Json) -> Json {
    let Some(list) = value.as_array().filter(|_| matches!(kind, Kind::Set | Kind::SetOfMaps)) else {
        return value.clone();
    };
    let mut list = list.clone();
    list.sort_by_key(ToString::to_string);
    list.into()
}

/// The result in the collection's words.
fn told(container: Container<'_>, task: &Task<'_>, ended: Option<i64>) -> Outcome {
    let Container { engine, args, inspected, done, actions, changed, differences, other_image, .. } = container;
    let mut diff = done.diff();
    if let Some(differences) = differences {
        diff["differences"] = differences.into();
    }
    if other_image {
        diff["image_different"] = json!(true);
    }
    let mut outcome = Outcome::changed(changed).diff(diff).with_some("status", ended);
    if engine.tells_actions(task) {
        outcome.set("actions", actions);
    }
    if args.string("state") != "absent" && inspected.is_object() {
        outcome.set("container", inspected);
    }
    outcome
}
