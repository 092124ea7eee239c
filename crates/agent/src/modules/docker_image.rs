//! `docker_image`: images of a Docker Engine: built, pulled, loaded, tagged, pushed, saved, removed.

mod archive;
mod build;
mod context;

use std::path::PathBuf;

use catalog::spec::joined;
use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::docker::{self, CLIENT, Engine, part};
use crate::module::{Failure, Module, Outcome, Task};

const LIMITS: &[Arg] =
    &[Arg::str("memory"), Arg::str("memswap"), Arg::int("cpushares"), Arg::str("cpusetcpus")];
const BUILD: &[Arg] = &[
    Arg::path("path").required(),
    Arg::str("dockerfile"),
    Arg::dict("args"),
    Arg::list("cache_from"),
    Arg::dict("container_limits").options(LIMITS),
    Arg::dict("etc_hosts"),
    Arg::int("http_timeout"),
    Arg::dict("labels"),
    Arg::str("network"),
    Arg::bool("nocache").default("false"),
    Arg::str("platform"),
    Arg::bool("pull").default("false"),
    Arg::bool("rm").default("true"),
    Arg::str("shm_size"),
    Arg::str("target"),
    Arg::bool("use_config_proxy"),
];
const OWN: &[Arg] = &[
    Arg::str("name").required(),
    Arg::str("tag").default("latest"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("source").choices(&["build", "load", "pull", "local"]),
    Arg::dict("build").options(BUILD),
    Arg::dict("pull").options(&[Arg::str("platform")]),
    Arg::path("load_path"),
    Arg::path("archive_path"),
    Arg::str("repository"),
    Arg::bool("push").default("false"),
    Arg::bool("force_source").default("false"),
    Arg::bool("force_absent").default("false"),
    Arg::bool("force_tag").default("false"),
];
const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("docker_image", &ARGS).collection("community.docker").required_together(docker::TOGETHER).required_if(&[
        ("state", "present", &["source"], false),
        ("source", "build", &["build"], false),
        ("source", "load", &["load_path"], false),
    ]),
    run,
};

/// The image that a task names, and what was done with it.
struct Image<'a> {
    engine: &'a Engine,
    args: &'a Args,
    name: String,
    tag: String,
    /// Both together, or the id.
    full: String,
    is: Option<Json>,
    changed: bool,
    actions: Vec<String>,
    stdout: Option<String>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let engine = Engine::of(args, task)?;
    let given = args.string("name");
    let (name, tag) = docker::named(&given, &args.string("tag"));
    let full = if docker::is_id(&given) { given } else { docker::joined(&name, &tag) };
    let is = engine.image(task, &full)?;
    let mut image =
        Image { engine: &engine, args, name, tag, full, is, changed: false, actions: Vec::new(), stdout: None };
    let done = if args.string("state") == "absent" { image.absent(task) } else { image.present(task) };
    done.map_err(|failure| failure.after_change(image.changed && !task.check))?;
    Ok(Outcome::changed(image.changed)
        .with("actions", image.actions)
        .with("image", image.is.unwrap_or_else(|| json!({})))
        .with_some("stdout", image.stdout))
}

impl Image<'_> {
    fn absent(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if self.is.is_none() {
            return Ok(());
        }
        if !task.check {
            let force = u8::from(self.args.bool("force_absent"));
            let path = format!("/images/{}?force={force}", part(&self.full));
            self.engine.act(task, &format!("remove the image {}", self.full), ("DELETE", &path), None)?;
        }
        self.changed = true;
        self.actions.push(format!("Removed image {}", self.full));
        self.is = Some(json!({"state": "Deleted"}));
        Ok(())
    }

    fn present(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let local = self.args.string("source") == "local";
        if local && self.is.is_none() {
            return Err(Failure::new(format!("Cannot find the image {} locally.", self.full)));
        }
        if !local && (self.is.is_none() || self.args.bool("force_source")) {
            self.fetch(task)?;
        }
        if let Some(path) = self.args.str("archive_path").map(PathBuf::from) {
            self.archive(task, &path)?;
        }
        match self.args.str("repository") {
            Some(repository) => {
                let (name, tag) = docker::named(repository, &self.tag);
                self.tag_as(task, (&name, &tag))?;
                if self.args.bool("push") { self.push(task, (&name, &tag)) } else { Ok(()) }
            }
            None if self.args.bool("push") => {
                let (name, tag) = (self.name.clone(), self.tag.clone());
                self.push(task, (&name, &tag))
            }
            None => Ok(()),
        }
    }

    /// From where the task says. In check mode nobody knows what comes.
    fn fetch(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let before = self.is.take().map(|image| image["Id"].clone());
        match self.args.string("source").as_str() {
            "build" => self.build(task)?,
            "load" => self.load(task)?,
            _ => self.pull(task)?,
        }
        if !task.check {
            self.is = self.engine.image(task, &self.full)?;
        }
        let now = self.is.as_ref().map(|image| &image["Id"]);
        self.changed = task.check || now.is_none() || now != before.as_ref();
        Ok(())
    }

    fn pull(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        if docker::is_id(&self.full) {
            return Err(Failure::new(format!("Cannot pull an image by ID: {}", self.full)));
        }
        self.actions.push(format!("Pulled image {}:{}", self.name, self.tag));
        if task.check {
            return Ok(());
        }
        let platform = self.args.dict("pull").and_then(|pull| pull["platform"].as_str());
        self.engine.pull(task, &self.full, platform)
    }

    fn load(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let path = PathBuf::from(self.args.string("load_path"));
        if !path.is_file() {
            return Err(Failure::new(format!(
                "Error loading image {}. Specified path {} does not exist.",
                self.name,
                path.display()
            )));
        }
        self.actions.push(format!("Loaded image {} from {}", self.full, path.display()));
        if task.check {
            return Ok(());
        }
        let told = self.engine.load(task, &path)?;
        let said = told.stream();
        let failed = |why: String| Err(Failure::new(why).with("stdout", said.clone()));
        if let Some(why) = told.error() {
            return failed(format!("Error loading image {}: {why}", self.name));
        }
        let loaded: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("Loaded image: ").or_else(|| line.strip_prefix("Loaded image ID: ")))
            .map(str::trim)
            .collect();
        if loaded.is_empty() {
            return failed("Detected no loaded images. Archive potentially corrupt?".to_owned());
        }
        self.changed = true;
        if !loaded.contains(&self.full.as_str()) {
            let found: Vec<String> = loaded.iter().map(|name| format!("'{name}'")).collect();
            return failed(format!(
                "The archive did not contain image '{}'. Instead, found {}.",
                self.full,
                found.join(", ")
            ));
        }
        Ok(())
    }

    fn tag_as(&mut self, task: &mut Task<'_>, (name, tag): (&str, &str)) -> Result<(), Failure> {
        let wanted = docker::joined(name, tag);
        let there = self.engine.look(task, &format!("/images/{}/json", part(&wanted))).ok().flatten();
        if there.is_some() && !self.args.bool("force_tag") {
            return Ok(());
        }
        self.actions.push(format!("Tagged image {} to {wanted}", self.full));
        if !task.check {
            self.engine.tag(task, &self.full, (name, tag)).map_err(|failure| {
                let why = failure.message.replace("An unexpected Docker error occurred: ", "");
                Failure::new(format!("Error: failed to tag image - {why}"))
            })?;
        }
        let same = there.zip(self.is.as_ref()).is_some_and(|(there, is)| there["Id"] == is["Id"]);
        self.changed |= !same;
        Ok(())
    }

    fn push(&mut self, task: &mut Task<'_>, (name, tag): (&str, &str)) -> Result<(), Failure> {
        if docker::is_id(&self.full) && !self.args.has("repository") {
            return Err(Failure::new(format!("Cannot push an image by ID: {}", self.full)));
        }
        self.actions.push(format!("Pushed image {} to {name}:{tag}", self.name));
        if task.check {
            self.changed = true;
            return Ok(());
        }
        let told = self.engine.push(task, name, tag)?;
        if let Some(why) = told.error() {
            return Err(Failure::new(format!("Error pushing image {name}: {why}")));
        }
        self.changed |= told.has_status("Pushed");
        Ok(())
    }
}
