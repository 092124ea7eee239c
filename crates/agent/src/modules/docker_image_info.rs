//! `docker_image_info`: what a Docker Engine knows of images.

use catalog::spec::joined;
use catalog::{Arg, Args, Check, Json, ModuleSpec};

use crate::docker::{self, CLIENT, Engine};
use crate::module::{Failure, Module, Outcome, Task};

const OWN: &[Arg] = &[Arg::list("name")];
const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("docker_image_info", &ARGS).collection("community.docker").required_together(docker::TOGETHER).check(Check::Query),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let engine = Engine::of(args, task)?;
    let mut names = args.strings("name");
    for name in &mut names {
        if !docker::is_id(name) {
            let (own, tag) = docker::named(name, "latest");
            *name = docker::joined(&own, &tag);
        }
    }
    if !args.has("name") {
        let all = engine.look(task, "/images/json")?.unwrap_or_default();
        let ids = all.as_array().into_iter().flatten().filter_map(|image| image["Id"].as_str());
        names = ids.map(str::to_owned).collect();
    }
    let mut images = Vec::new();
    for name in names {
        images.extend(engine.image(task, &name)?);
    }
    Ok(Outcome::changed(false).with("images", Json::Array(images)))
}
