//! A container's life: made, started, paused, stopped, removed.

use std::time::{Duration, Instant};

use catalog::{Args, Json, Map};
use serde_json::json;

use super::networks::{Step, Wanted};
use super::property::Property;
use crate::docker::{Answer, Done, Engine, part};
use crate::http::encode;
use crate::module::{Failure, Task};

/// How often a container is looked at that shall become something.
const TICK: Duration = Duration::from_millis(200);
/// A container that is not let run in the background may run for long.
const RUNS: Duration = Duration::from_secs(30 * 24 * 3600);
/// The engine's own patience before it kills.
const STOP: u64 = 10;

pub(super) struct Container<'a> {
    pub(super) engine: &'a Engine,
    pub(super) args: &'a Args,
    name: String,
    /// As the engine describes it; null: there is none.
    pub(super) inspected: Json,
    pub(super) done: Done,
    pub(super) actions: Vec<Json>,
    pub(super) changed: bool,
    /// Why it is made anew.
    pub(super) differences: Option<Vec<Json>>,
    pub(super) other_image: bool,
    /// Before it was made anew.
    was_running: bool,
    /// Only in check mode: there would be one that was never looked at.
    imagined: bool,
}

impl<'a> Container<'a> {
    pub(super) fn find(engine: &'a Engine, args: &'a Args, task: &Task<'_>) -> Result<Self, Failure> {
        let name = args.string("name").trim_start_matches('/').to_owned();
        let mut container = Self {
            engine,
            args,
            name,
            inspected: Json::Null,
            done: Done::default(),
            actions: Vec::new(),
            changed: false,
            differences: None,
            other_image: false,
            was_running: false,
            imagined: false,
        };
        container.look(task)?;
        Ok(container)
    }

    fn look(&mut self, task: &Task<'_>) -> Result<(), Failure> {
        let path = format!("/containers/{}/json", part(&self.name));
        self.inspected = self.engine.look(task, &path)?.unwrap_or_default();
        Ok(())
    }

    pub(super) fn exists(&self) -> bool {
        self.inspected.is_object()
    }

    fn state(&self, key: &str) -> bool {
        self.inspected["State"][key] == true && self.inspected["State"]["Ghost"] != true
    }

    fn id(&self) -> String {
        self.inspected["Id"].as_str().unwrap_or(&self.name).to_owned()
    }

    pub(super) fn acted(&mut self, what: Json, changed: bool) {
        self.actions.push(what);
        self.changed |= changed;
    }

    /// One value of the diff; `again`: it is why the container is made anew.
    pub(super) fn differs(&mut self, name: &str, is: Json, wanted: Json, again: bool) {
        if again {
            let mut one = Map::new();
            one.insert(name.to_owned(), json!({"parameter": wanted, "container": is}));
            self.differences.get_or_insert_default().push(one.into());
        }
        self.done.differs(name, is, wanted);
    }

    /// `doing`: for the layer; `failing`: what the collection says where the engine refuses.
    fn act(
        &self,
        task: &mut Task<'_>,
        (doing, failing): (&str, &str),
        (method, path): (&str, &str),
        body: Option<&Json>,
    ) -> Result<Json, Failure> {
        if task.check {
            return Ok(Json::Null);
        }
        let doing = format!("{doing} the container {}", self.name);
        let wait = Duration::from_secs(self.patience() + STOP);
        self.engine.act_patiently(task, &doing, (method, path), body, wait).map_err(|failure| {
            let said = failure.message.trim_start_matches("An unexpected Docker error occurred: ");
            Failure::new(format!("{failing}: {said}")).after_change(self.changed)
        })
    }

    /// How long a container may take to end by itself.
    fn patience(&self) -> u64 {
        self.args.int("stop_timeout").and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(STOP)
    }

    pub(super) fn create(
        &mut self,
        task: &mut Task<'_>,
        image: &str,
        all: &[Property],
        networks: &[Wanted],
    ) -> Result<(), Failure> {
        let body = self.body(image, all, networks);
        let platform = self.args.str("platform").map(|p| format!("&platform={}", encode(p))).unwrap_or_default();
        let path = format!("/containers/create?name={}{platform}", encode(&self.name));
        let made = self.act(task, ("create", "Error creating container"), ("POST", &path), Some(&body))?;
        for warning in made["Warnings"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            task.warn(format!("Docker warning: {warning}"));
        }
        self.acted(json!({"created": "Created container", "create_parameters": body, "networks": {}}), true);
        self.imagined = task.check;
        if task.check { Ok(()) } else { self.look(task) }
    }

    fn body(&self, image: &str, all: &[Property], networks: &[Wanted]) -> Json {
        let (detached, interactive) = (self.detached(), self.args.bool("interactive"));
        let mut body = json!({"Image": image, "AttachStdout": true, "AttachStderr": true});
        if interactive && !detached {
            body["AttachStdin"] = json!(true);
            body["StdinOnce"] = json!(true);
        }
        all.iter().for_each(|one| one.put(&mut body));
        let mode = &body["HostConfig"]["NetworkMode"];
        // It begins in this one; it enters the others when it is there.
        if let Some(first) = networks.iter().find(|network| *mode == *network.name) {
            body["NetworkingConfig"] = json!({"EndpointsConfig": {&first.name: first.endpoint()}});
        }
        body
    }

    fn detached(&self) -> bool {
        self.args.get("detach").and_then(Json::as_bool).unwrap_or(true)
    }

    /// What can be changed while it lives.
    pub(super) fn update(&mut self, task: &mut Task<'_>, all: &[&Property]) -> Result<(), Failure> {
        let mut body = json!({});
        all.iter().for_each(|one| one.put(&mut body));
        let body = body["HostConfig"].take();
        let path = format!("/containers/{}/update", self.id());
        let failing = format!("Error updating container {}", self.id());
        self.act(task, ("update", &failing), ("POST", &path), Some(&body))?;
        self.acted(json!({"updated": self.id(), "update_parameters": body}), true);
        if task.check { Ok(()) } else { self.look(task) }
    }

    /// Just made: into the networks that it did not begin in.
    pub(super) fn enter(&mut self, task: &mut Task<'_>, wanted: &[Wanted]) -> Result<(), Failure> {
        if self.imagined {
            return Ok(());
        }
        let steps = super::networks::steps(wanted, &self.inspected, false);
        for step in steps {
            self.step(task, &step)?;
        }
        self.look(task)
    }

    pub(super) fn change_networks(&mut self, task: &mut Task<'_>, steps: Vec<Step<'_>>) -> Result<(), Failure> {
        if steps.is_empty() {
            return Ok(());
        }
        let (mut entered, mut left) = (Vec::new(), Vec::new());
        for step in steps {
            self.step(task, &step)?;
            match step.enter {
                Some(_) => entered.push(json!({"parameter": step.after, "container": step.before})),
                None => left.push(step.before.clone()),
            }
            self.done.differs(&format!("network.{}", step.name), step.before, step.after);
        }
        let all = self.differences.get_or_insert_default();
        for (what, list) in [("network_differences", entered), ("purge_networks", left)] {
            if !list.is_empty() {
                all.push(json!({what: list}));
            }
        }
        if task.check { Ok(()) } else { self.look(task) }
    }

    fn step(&mut self, task: &mut Task<'_>, step: &Step<'_>) -> Result<(), Failure> {
        let (id, name) = (self.id(), &step.name);
        if step.leave {
            let failing = format!("Error disconnecting container from network {name}");
            let path = format!("/networks/{}/disconnect", step.id);
            let body = json!({"Container": id});
            self.act(task, (&format!("disconnect from the network {name}:"), &failing), ("POST", &path), Some(&body))?;
            self.acted(json!({"removed_from_network": name}), true);
        }
        if let Some(network) = step.enter {
            let failing = format!("Error connecting container to network {name}");
            let path = format!("/networks/{}/connect", step.id);
            let body = json!({"Container": id, "EndpointConfig": network.endpoint()});
            self.act(task, (&format!("connect to the network {name}:"), &failing), ("POST", &path), Some(&body))?;
            self.acted(json!({"added_to_network": name, "network_parameters": network.endpoint()}), true);
        }
        Ok(())
    }

    /// As the state says, now that the container is what it shall be; the exit status of one that was waited for.
    pub(super) fn settle(&mut self, task: &mut Task<'_>) -> Result<Option<i64>, Failure> {
        let state = self.args.string("state");
        let up = matches!(state.as_str(), "started" | "healthy");
        // In check mode nothing more is known of a container that would be made.
        if self.imagined {
            return Ok(None);
        }
        let running = self.state("Running");
        let mut ended = None;
        if up && !running {
            ended = self.start(task)?;
        } else if up && self.args.bool("restart") {
            self.done.differs("running", running, true);
            self.done.differs("restarted", false, true);
            let path = format!("/containers/{}/restart?t={}", self.id(), self.patience());
            let failing = format!("Error restarting container {}", self.id());
            self.act(task, ("restart", &failing), ("POST", &path), None)?;
            self.acted(json!({"restarted": self.id(), "timeout": self.args.get("stop_timeout")}), true);
        } else if state == "stopped" && self.stop(task)? {
            self.done.differs("running", true, false);
        }
        if up {
            self.pause(task)?;
        }
        if self.changed && !task.check && ended.is_none() {
            self.look(task)?;
        }
        if state == "healthy" && !task.check {
            self.await_health(task)?;
        }
        Ok(ended)
    }

    fn start(&mut self, task: &mut Task<'_>) -> Result<Option<i64>, Failure> {
        let path = format!("/containers/{}/start", self.id());
        let failing = format!("Error starting container {}", self.id());
        self.act(task, ("start", &failing), ("POST", &path), None)?;
        self.acted(json!({"started": self.id()}), true);
        self.done.differs("running", self.was_running, true);
        if self.detached() || task.check {
            return Ok(None);
        }
        self.await_end(task).map(Some)
    }

    /// `detach: false`: what it wrote, and its exit status.
    fn await_end(&mut self, task: &mut Task<'_>) -> Result<i64, Failure> {
        let path = format!("/containers/{}/wait", self.id());
        let answer = self.engine.send(task, "POST", &path, None, RUNS)?.json()?;
        let status = answer["StatusCode"].as_i64().unwrap_or_default();
        let output = if self.args.bool("auto_remove") {
            "Cannot retrieve result as auto_remove is enabled".to_owned()
        } else {
            self.logs(task)?
        };
        self.look(task)?;
        if self.args.bool("output_logs") {
            task.warn(output.clone());
        }
        if self.args.bool("cleanup") && status == 0 {
            self.remove(task)?;
            self.inspected = json!({});
        }
        if self.inspected.is_null() {
            self.inspected = json!({});
        }
        self.inspected["Output"] = json!(output);
        if status != 0 {
            let failure = Failure::new(output).with("status", status).with("container", self.inspected.clone());
            let failure = if task.diff { failure.with("diff", self.done.diff()) } else { failure };
            return Err(failure.after_change(true));
        }
        Ok(status)
    }

    fn logs(&self, task: &Task<'_>) -> Result<String, Failure> {
        let driver = self.inspected["HostConfig"]["LogConfig"]["Type"].as_str().unwrap_or_default();
        if !["json-file", "journald", "local"].contains(&driver) {
            return Ok(format!("Result logged using `{driver}` driver"));
        }
        let path = format!("/containers/{}/logs?stdout=1&stderr=1", self.id());
        let answer: Answer = self.engine.send(task, "GET", &path, None, Duration::ZERO)?;
        let bytes = if self.args.bool("tty") { answer.body } else { woven(&answer.body) };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn pause(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (Some(wanted), is) = (self.args.get("paused").and_then(Json::as_bool), self.state("Paused")) else {
            return Ok(());
        };
        if wanted == is {
            return Ok(());
        }
        let word = if wanted { "pause" } else { "unpause" };
        let path = format!("/containers/{}/{word}", self.id());
        let failing = format!("Error {}ing container {}", word.trim_end_matches('e'), self.id());
        self.act(task, (word, &failing), ("POST", &path), None)?;
        self.acted(json!({"set_paused": wanted}), true);
        self.done.differs("paused", is, wanted);
        Ok(())
    }

    fn await_health(&mut self, task: &Task<'_>) -> Result<(), Failure> {
        let limit = self.args.float("healthy_wait_timeout").filter(|seconds| *seconds > 0.0);
        let end = limit.and_then(|seconds| Instant::now().checked_add(Duration::from_secs_f64(seconds)));
        loop {
            let state = &self.inspected["State"];
            let health = state["Health"]["Status"].as_str().unwrap_or_default().to_owned();
            // Without a check of its health, one that runs is well.
            if health == "healthy" || state["Health"].is_null() && self.state("Running") {
                return Ok(());
            }
            if health == "unhealthy" || !self.state("Running") {
                return Err(Failure::new(format!("Container is {}", if health.is_empty() { "not running" } else { &health }))
                    .after_change(self.changed));
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return Err(Failure::new("Timeout while waiting for container to become healthy").after_change(self.changed));
            }
            task.go_on()?;
            std::thread::sleep(TICK);
            self.look(task)?;
        }
    }

    /// Whether it ran.
    pub(super) fn stop(&mut self, task: &mut Task<'_>) -> Result<bool, Failure> {
        if !self.state("Running") {
            return Ok(false);
        }
        let id = self.id();
        self.was_running = true;
        if self.args.bool("force_kill") {
            let signal = self.args.str("kill_signal").map(|s| format!("?signal={}", encode(s))).unwrap_or_default();
            let path = format!("/containers/{id}/kill{signal}");
            self.act(task, ("kill", &format!("Error killing container {id}")), ("POST", &path), None)?;
            self.acted(json!({"killed": id, "signal": self.args.get("kill_signal")}), true);
            return Ok(true);
        }
        let limit = self.args.int("stop_timeout").map(|seconds| format!("?t={seconds}")).unwrap_or_default();
        let path = format!("/containers/{id}/stop{limit}");
        self.act(task, ("stop", &format!("Error stopping container {id}")), ("POST", &path), None)?;
        self.acted(json!({"stopped": id, "timeout": self.args.get("stop_timeout")}), true);
        Ok(true)
    }

    pub(super) fn remove(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let (id, volumes) = (self.id(), !self.args.bool("keep_volumes"));
        let path = format!("/containers/{id}?v={volumes}&force=false");
        let failing = format!("Error removing container {id}");
        // One that removes itself may be gone already.
        let gone = |failure: &Failure| failure.message.contains(": 404 ") || failure.message.contains("is already in progress");
        match self.act(task, ("remove", &failing), ("DELETE", &path), None) {
            Err(failure) if gone(&failure) => {}
            other => _ = other?,
        }
        self.acted(json!({"removed": id, "volume_state": volumes, "link": false, "force": false}), true);
        if task.check { Ok(()) } else { self.await_removal(task, &id) }
    }

    fn await_removal(&mut self, task: &Task<'_>, id: &str) -> Result<(), Failure> {
        let limit = self.args.float("removal_wait_timeout").filter(|seconds| *seconds > 0.0);
        let end = limit.and_then(|seconds| Instant::now().checked_add(Duration::from_secs_f64(seconds)));
        let path = format!("/containers/{id}/json");
        while self.engine.look(task, &path)?.is_some() {
            if end.is_some_and(|end| Instant::now() >= end) {
                return Err(Failure::new(format!("Timeout while waiting for the removal of container {id}")).after_change(true));
            }
            task.go_on()?;
            std::thread::sleep(TICK);
        }
        self.inspected = Json::Null;
        Ok(())
    }
}

/// Both streams as one: each piece has eight bytes before it, of which the last four are its length.
fn woven(bytes: &[u8]) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (piece, next) = tail.split_at(length.min(tail.len()));
        all.extend_from_slice(piece);
        rest = next;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::woven;

    #[test]
    fn streams_are_woven() {
        let both = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err";
        assert_eq!(woven(both), b"outerr");
        assert_eq!(woven(b"\x01\0\0\0\0\0\0\x09cut"), b"cut");
        assert_eq!(woven(b"\x01\0"), b"");
    }
}
