//! Members as containers of a Docker Engine, over its socket. The container's name is the member's: a second launch of
//! one name makes no second container.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Driver, Found};
use crate::engine::{Fault, Generation, MemberId, Outcome};
use crate::http::{self, Answer};

const FLEET: &str = "theseus.fleet";
const GENERATION: &str = "theseus.generation";
const ZONE: &str = "theseus.zone";
/// How long the engine may think about anything but a pull.
const PATIENCE: Duration = Duration::from_secs(60);
const PULL: Duration = Duration::from_secs(900);
/// How long a drained service may take to end by itself.
const STOP: u32 = 2;

/// What containers are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containers {
    pub socket: PathBuf,
    /// `{generation}` is replaced by the generation's name.
    pub image: String,
    pub network: Option<String>,
    /// In place of the image's own command.
    pub command: Vec<String>,
    /// `HOST:CONTAINER[:ro]`.
    pub volumes: Vec<String>,
}

pub struct DockerDriver {
    pub fleet: String,
    pub containers: Containers,
    pub port: u16,
}

impl DockerDriver {
    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Answer, String> {
        let body = body.map(ToString::to_string);
        http::local(&self.containers.socket, method, path, body.as_deref(), timeout)
            .map_err(|why| format!("Docker Engine: {why}"))
    }

    fn image(&self, generation: &Generation) -> String {
        self.containers.image.replace("{generation}", &generation.0)
    }

    /// What the engine answers, when it is not what was asked for.
    fn refusal(answer: &Answer) -> String {
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        said["message"].as_str().map_or_else(|| format!("it answers {}", answer.status), str::to_owned)
    }

    fn pull(&self, image: &str) -> Result<(), Outcome> {
        let (name, tag) = match image.rsplit_once(':') {
            _ if image.contains('@') => (image, ""),
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        };
        let path = format!("/images/create?fromImage={}&tag={}", http::escaped(name), http::escaped(tag));
        let answer = self.ask("POST", &path, None, PULL).map_err(|_| Outcome::Unknown)?;
        // A pull that fails half-way says so in the last line of a good answer.
        let failed = answer
            .body
            .lines()
            .find_map(|line| serde_json::from_str::<Value>(line).ok()?["error"].as_str().map(str::to_owned));
        match failed {
            Some(why) => Err(wrong_image(image, &why)),
            None if answer.status == 200 => Ok(()),
            None => Err(wrong_image(image, &Self::refusal(&answer))),
        }
    }

    fn create(
        &self,
        member: &MemberId,
        generation: &Generation,
        zone: Option<&str>,
    ) -> Result<Answer, String> {
        let mut labels = json!({FLEET: self.fleet, GENERATION: generation});
        if let Some(zone) = zone {
            labels[ZONE] = json!(zone);
        }
        let mut body = json!({
            "Image": self.image(generation),
            "Labels": labels,
            "Env": [
                format!("THESEUS_GENERATION={generation}"),
                format!("THESEUS_MEMBER={member}"),
                format!("PORT={}", self.port),
            ],
            "HostConfig": {"Binds": self.containers.volumes, "Init": false},
        });
        if let Some(network) = &self.containers.network {
            body["HostConfig"]["NetworkMode"] = json!(network);
        }
        if !self.containers.command.is_empty() {
            body["Cmd"] = json!(self.containers.command);
        }
        self.ask("POST", &format!("/containers/create?name={member}"), Some(&body), PATIENCE)
    }

    /// A container of this name that is the member: of this fleet, and of this generation.
    fn is_ours(&self, member: &MemberId, generation: &Generation) -> bool {
        let Ok(answer) = self.ask("GET", &format!("/containers/{member}/json"), None, PATIENCE) else {
            return false;
        };
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let label = |name: &str| said["Config"]["Labels"][name].as_str().unwrap_or_default().to_owned();
        label(FLEET) == self.fleet && label(GENERATION) == *generation.0
    }

    fn make(&self, member: &MemberId, generation: &Generation, zone: Option<&str>) -> Result<(), Outcome> {
        let lost = |_| Outcome::Unknown;
        let mut made = self.create(member, generation, zone).map_err(lost)?;
        if made.status == 404 {
            self.pull(&self.image(generation))?;
            made = self.create(member, generation, zone).map_err(lost)?;
        }
        let taken = made.status == 409 && self.is_ours(member, generation);
        if made.status != 201 && !taken {
            return Err(not_started(member, &Self::refusal(&made)));
        }
        let started =
            self.ask("POST", &format!("/containers/{member}/start"), None, PATIENCE).map_err(lost)?;
        match started.status {
            204 | 304 => Ok(()),
            _ => Err(not_started(member, &Self::refusal(&started))),
        }
    }

    fn found(&self, container: &Value) -> Option<(MemberId, Found)> {
        let name = container["Names"][0].as_str()?.trim_start_matches('/');
        let label = |name: &str| container["Labels"][name].as_str();
        let state = container["State"].as_str().unwrap_or_default();
        // Made and never started: the launch is not over.
        if state == "created" {
            return None;
        }
        let runs = matches!(state, "running" | "restarting" | "paused");
        let stopped = (!runs).then(|| container["Status"].as_str().unwrap_or(state).to_owned());
        let networks = container["NetworkSettings"]["Networks"].as_object();
        let address = networks.into_iter().flatten().find_map(|(_, network)| {
            network["IPAddress"].as_str()?.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
        });
        let found = Found {
            generation: label(GENERATION).map(Generation::from),
            zone: label(ZONE).map(str::to_owned),
            stopped,
            address,
        };
        Some((MemberId::from(name), found))
    }
}

fn wrong_image(image: &str, why: &str) -> Outcome {
    Outcome::Failed { fault: Fault::Image, why: format!("image {image}: {why}") }
}

fn not_started(member: &MemberId, why: &str) -> Outcome {
    Outcome::Failed { fault: Fault::Start, why: format!("container {member}: {why}") }
}

impl Driver for DockerDriver {
    fn observe(&self) -> Result<BTreeMap<MemberId, Found>, String> {
        let filter = json!({"label": [format!("{FLEET}={}", self.fleet)]}).to_string();
        let path = format!("/containers/json?all=true&filters={}", http::escaped(&filter));
        let answer = self.ask("GET", &path, None, PATIENCE)?;
        if answer.status != 200 {
            return Err(format!("Docker Engine: {}", Self::refusal(&answer)));
        }
        let all: Vec<Value> =
            serde_json::from_str(&answer.body).map_err(|error| format!("Docker Engine: {error}"))?;
        Ok(all.iter().filter_map(|container| self.found(container)).collect())
    }

    fn prepare(&self, generation: &Generation) -> Outcome {
        let image = self.image(generation);
        let there = self.ask("GET", &format!("/images/{image}/json"), None, PATIENCE);
        match there.map(|answer| answer.status) {
            Ok(200) => Outcome::Done,
            Ok(_) => self.pull(&image).err().unwrap_or(Outcome::Done),
            Err(_) => Outcome::Unknown,
        }
    }

    fn launch(&self, member: &MemberId, generation: &Generation, zone: Option<&str>) -> Outcome {
        self.make(member, generation, zone).err().unwrap_or(Outcome::Done)
    }

    fn apply(&self, _: &MemberId, _: &Generation) -> Outcome {
        super::never_in_place()
    }

    fn retire(&self, member: &MemberId) -> Outcome {
        let stop = format!("/containers/{member}/stop?t={STOP}");
        if self.ask("POST", &stop, None, PATIENCE).is_err() {
            return Outcome::Unknown;
        }
        match self.ask("DELETE", &format!("/containers/{member}?force=true&v=true"), None, PATIENCE) {
            Ok(answer) if matches!(answer.status, 204 | 404 | 409) => Outcome::Done,
            Ok(answer) => not_started(member, &Self::refusal(&answer)),
            Err(_) => Outcome::Unknown,
        }
    }
}
