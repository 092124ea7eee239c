//! `docker_network`: networks of a Docker Engine, and which containers are connected to them.

use catalog::spec::joined;
use catalog::{Arg, Args, Json, Kind, Map, ModuleSpec};
use serde_json::json;

use crate::docker::{TOGETHER, CLIENT, Differences, Done, Engine, labels, part, texts};
use crate::module::{Failure, Module, Outcome, Task};

const BLOCK: &[Arg] = &[Arg::str("subnet"), Arg::str("iprange"), Arg::str("gateway"), Arg::dict("aux_addresses")];
/// The engine's names for them.
const BLOCK_KEYS: &[(&str, &str)] = &[
    ("subnet", "Subnet"),
    ("iprange", "IPRange"),
    ("gateway", "Gateway"),
    ("aux_addresses", "AuxiliaryAddresses"),
];
const OWN: &[Arg] = &[
    Arg::str("name").required().aliases(&["network_name"]),
    Arg::bool("config_only"),
    Arg::str("config_from"),
    Arg::list("connected").default("").aliases(&["containers"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("driver").default("bridge"),
    Arg::dict("driver_options").default("{}"),
    Arg::bool("force").default("false"),
    Arg::bool("appends").default("false").aliases(&["incremental"]),
    Arg::str("ipam_driver"),
    Arg::dict("ipam_driver_options"),
    Arg::list("ipam_config").of(&Kind::Dict).options(BLOCK),
    Arg::bool("enable_ipv4"),
    Arg::bool("enable_ipv6"),
    Arg::bool("internal"),
    Arg::dict("labels").default("{}"),
    Arg::str("scope").choices(&["local", "global", "swarm"]),
    Arg::bool("attachable"),
    Arg::bool("ingress"),
];
const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);
/// Arguments that are one value, and the engine's names for them.
const VALUES: &[(&str, &str)] = &[
    ("config_only", "ConfigOnly"),
    ("enable_ipv4", "EnableIPv4"),
    ("enable_ipv6", "EnableIPv6"),
    ("internal", "Internal"),
    ("scope", "Scope"),
    ("attachable", "Attachable"),
    ("ingress", "Ingress"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("docker_network", &ARGS).collection("community.docker").required_together(TOGETHER), run };

/// The network as it was, and what is done to it.
struct Network<'a> {
    engine: &'a Engine,
    args: &'a Args,
    name: String,
    labels: Map,
    existing: Option<Json>,
    done: Done,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    for block in args.list("ipam_config").unwrap_or_default() {
        if let Some(subnet) = block["subnet"].as_str() {
            check_subnet(subnet)?;
        }
    }
    let labels = labels(args.dict("labels"))?;
    let engine = Engine::of(args, task)?;
    let name = args.string("name");
    let existing = find(&engine, task, &name)?;
    let mut network = Network { engine: &engine, args, name, labels, existing, done: Done::default() };
    if args.string("state") == "absent" {
        let existed = network.existing.is_some();
        if existed {
            network.remove(task)?;
        }
        return Ok(network.done.absent(existed));
    }
    network.present(task)
}

/// By its whole name: the engine alone would also take the beginning of an id.
fn find(engine: &Engine, task: &Task<'_>, name: &str) -> Result<Option<Json>, Failure> {
    let found = engine.look(task, &format!("/networks/{}", part(name)))?;
    Ok(found.filter(|network| network["Name"] == name || network["Id"] == name))
}

impl Network<'_> {
    fn present(mut self, task: &mut Task<'_>) -> Result<Outcome, Failure> {
        let differences =
            self.existing.as_ref().map(|is| differences(self.args, &self.labels, is)).unwrap_or_default();
        let again = self.existing.is_some() && (self.args.bool("force") || !differences.is_empty());
        self.done.differs("exists", self.existing.is_some(), true);
        let names = differences.tell(&mut self.done);
        let before = self.existing.clone();
        let mut connected = self.args.strings("connected");
        // Nobody says who: those who are.
        let canonical = !connected.is_empty() && !self.args.bool("appends");
        if connected.is_empty() {
            connected = self.connected();
        }
        if again {
            self.remove(task)?;
            self.existing = None;
        }
        if self.existing.is_none() {
            self.create(task)?;
        }
        self.connect(task, &connected, canonical)?;
        let now = if task.check || self.done.actions.is_empty() {
            before
        } else {
            find(self.engine, task, &self.name)?
        };
        let mut diff = self.done.diff();
        diff["differences"] = json!(names);
        let outcome = Outcome::changed(!self.done.actions.is_empty()).with("network", now.unwrap_or_default());
        let told = self.engine.tells_actions(task);
        let outcome = if told { outcome.with("actions", self.done.actions) } else { outcome };
        Ok(outcome.diff(diff))
    }

    fn act(
        &self,
        task: &mut Task<'_>,
        doing: &str,
        request: (&str, &str),
        body: Option<&Json>,
    ) -> Result<(), Failure> {
        if task.check { Ok(()) } else { self.engine.act(task, doing, request, body).map(drop) }
    }

    fn create(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let body = wanted(self.args, &self.name, &self.labels);
        self.act(
            task,
            &format!("create the network {}", self.name),
            ("POST", "/networks/create"),
            Some(&body),
        )?;
        let driver = self.args.string("driver");
        self.done.actions.push(format!("Created network {} with driver {driver}", self.name));
        Ok(())
    }

    fn remove(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        for container in self.connected() {
            self.disconnect(task, &container)?;
        }
        let path = format!("/networks/{}", part(&self.name));
        self.act(task, &format!("remove the network {}", self.name), ("DELETE", &path), None)?;
        self.done.actions.push(format!("Removed network {}", self.name));
        Ok(())
    }

    /// The names of the containers that are connected now.
    fn connected(&self) -> Vec<String> {
        let containers = self.existing.as_ref().and_then(|network| network["Containers"].as_object());
        let names = containers.into_iter().flatten().filter_map(|(_, container)| container["Name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// `canonical`: nobody else.
    fn connect(&mut self, task: &mut Task<'_>, wanted: &[String], canonical: bool) -> Result<(), Failure> {
        let is = self.connected();
        for name in wanted {
            // Also by id.
            let Some(container) = self.engine.look(task, &format!("/containers/{}/json", part(name)))? else {
                continue;
            };
            let own = container["Name"].as_str().unwrap_or(name).trim_start_matches('/').to_owned();
            if is.contains(&own) {
                continue;
            }
            let body = json!({"Container": name});
            let path = format!("/networks/{}/connect", part(&self.name));
            let doing = format!("connect {name} to the network {}", self.name);
            self.act(task, &doing, ("POST", &path), Some(&body))?;
            self.done.actions.push(format!("Connected container {name}"));
            self.done.differs(&format!("connected.{name}"), false, true);
        }
        if canonical {
            for name in is.iter().filter(|name| !wanted.contains(name)) {
                self.disconnect(task, name)?;
            }
        }
        Ok(())
    }

    fn disconnect(&mut self, task: &mut Task<'_>, container: &str) -> Result<(), Failure> {
        let body = json!({"Container": container});
        let path = format!("/networks/{}/disconnect", part(&self.name));
        let doing = format!("disconnect {container} from the network {}", self.name);
        self.act(task, &doing, ("POST", &path), Some(&body))?;
        self.done.actions.push(format!("Disconnected container {container}"));
        self.done.differs(&format!("connected.{container}"), true, false);
        Ok(())
    }
}

/// A network as the engine is told to make it.
fn wanted(args: &Args, name: &str, labels: &Map) -> Json {
    let mut body = json!({
        "Name": name,
        "Driver": args.string("driver"),
        "Options": texts(args.dict("driver_options")),
        "CheckDuplicate": true,
    });
    for (argument, key) in VALUES {
        if let Some(value) = args.get(argument) {
            body[*key] = value.clone();
        }
    }
    if let Some(from) = args.str("config_from") {
        body["ConfigFrom"] = json!({"Network": from});
    }
    if !labels.is_empty() {
        body["Labels"] = labels.clone().into();
    }
    let blocks = args.list("ipam_config").unwrap_or_default();
    let (driver, options) = (args.str("ipam_driver"), texts(args.dict("ipam_driver_options")));
    if !blocks.is_empty() || driver.is_some() || !options.is_empty() {
        let mut ipam = json!({"Config": blocks.iter().map(block).collect::<Vec<_>>()});
        if let Some(driver) = driver {
            ipam["Driver"] = driver.into();
        }
        if !options.is_empty() {
            ipam["Options"] = options.into();
        }
        body["IPAM"] = ipam;
    }
    body
}

/// A block of addresses as the engine writes it.
fn block(given: &Json) -> Map {
    let pairs = BLOCK_KEYS.iter().filter_map(|(argument, key)| {
        let value = given.get(argument).filter(|value| !value.is_null())?;
        let value = value.as_object().map_or_else(|| value.clone(), |map| texts(Some(map)).into());
        Some(((*key).to_owned(), value))
    });
    pairs.collect()
}

fn differences(args: &Args, labels: &Map, is: &Json) -> Differences {
    let mut all = Differences::default();
    all.value("config_from", args.get("config_from"), &is["ConfigFrom"]["Network"]);
    all.value("driver", args.get("driver"), &is["Driver"]);
    all.map("driver_options", &texts(args.dict("driver_options")), &is["Options"]);
    all.value("ipam_driver", args.get("ipam_driver"), &is["IPAM"]["Driver"]);
    all.map("ipam_driver_options", &texts(args.dict("ipam_driver_options")), &is["IPAM"]["Options"]);
    blocks(args, is, &mut all);
    for (argument, key) in VALUES {
        // Older engines do not tell all of them.
        if let Some(now) = is.get(*key) {
            all.value(argument, args.get(argument), now);
        }
    }
    all.map("labels", labels, &is["Labels"]);
    all
}

/// Each wanted block against that of the network in which all its values are.
fn blocks(args: &Args, is: &Json, all: &mut Differences) {
    let Some(wanted) = args.list("ipam_config") else { return };
    let empty = Vec::new();
    let there = is["IPAM"]["Config"].as_array().unwrap_or(&empty);
    for (number, given) in wanted.iter().enumerate() {
        let own = block(given);
        if there.iter().any(|now| own.iter().all(|(key, value)| same(&now[key], value))) {
            continue;
        }
        for (argument, key) in BLOCK_KEYS {
            if let Some(value) = own.get(*key) {
                all.value(&format!("ipam_config[{number}].{argument}"), Some(value), &Json::Null);
            }
        }
    }
}

/// Addresses of version 6 are written in many ways.
fn same(is: &Json, wanted: &Json) -> bool {
    let address = |text: &str| -> Option<(std::net::IpAddr, String)> {
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        Some((address.parse().ok()?, length.to_owned()))
    };
    is == wanted
        || matches!((is.as_str().and_then(address), wanted.as_str().and_then(address)),
            (Some(is), Some(wanted)) if is == wanted)
}

fn check_subnet(subnet: &str) -> Result<(), Failure> {
    let parsed = subnet.split_once('/').and_then(|(address, length)| {
        let most = if address.parse::<std::net::IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
        length.parse::<u8>().ok().filter(|length| *length <= most)
    });
    parsed.map(drop).ok_or_else(|| Failure::new(format!("\"{subnet}\" is not a valid CIDR")))
}
