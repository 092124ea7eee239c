//! `docker_volume`: volumes of a Docker Engine.

use catalog::spec::joined;
use catalog::{Arg, Args, Json, Map, ModuleSpec};
use serde_json::json;

use crate::docker::{TOGETHER, CLIENT, Differences, Done, Engine, labels, part, texts};
use crate::module::{Failure, Module, Outcome, Task};

const OWN: &[Arg] = &[
    Arg::str("volume_name").required().aliases(&["name"]),
    Arg::str("driver").default("local"),
    Arg::dict("driver_options").default("{}"),
    Arg::dict("labels"),
    Arg::str("recreate").default("never").choices(&["always", "never", "options-changed"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
];
const ARGS: [Arg; CLIENT.len() + OWN.len()] = joined(CLIENT, OWN);

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("docker_volume", &ARGS).collection("community.docker").required_together(TOGETHER), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let labels = labels(args.dict("labels"))?;
    let engine = Engine::of(args, task)?;
    let name = args.string("volume_name");
    let path = format!("/volumes/{}", part(&name));
    let existing = engine.look(task, &path)?;
    let mut done = Done::default();
    if args.string("state") == "absent" {
        if existing.is_some() {
            remove(&engine, task, &name, &mut done)?;
        }
        return Ok(done.absent(existing.is_some()));
    }
    let differences = existing.as_ref().map(|is| differences(args, &labels, is)).unwrap_or_default();
    let again = match args.string("recreate").as_str() {
        "always" => true,
        "options-changed" => !differences.is_empty(),
        _ => false,
    };
    done.differs("exists", existing.is_some(), true);
    let names = differences.tell(&mut done);
    if existing.is_some() && again {
        remove(&engine, task, &name, &mut done)?;
    }
    if existing.is_none() || again {
        create(&engine, task, args, (&name, labels), &mut done)?;
    }
    let now = if task.check || done.actions.is_empty() { existing } else { engine.look(task, &path)? };
    let mut diff = done.diff();
    diff["differences"] = json!(names);
    let outcome = Outcome::changed(!done.actions.is_empty()).with("volume", now.unwrap_or_default());
    let outcome = if engine.tells_actions(task) { outcome.with("actions", done.actions) } else { outcome };
    Ok(outcome.diff(diff))
}

fn differences(args: &Args, labels: &Map, is: &Json) -> Differences {
    let mut all = Differences::default();
    all.value("driver", args.get("driver"), &is["Driver"]);
    all.map("driver_options", &texts(args.dict("driver_options")), &is["Options"]);
    all.map("labels", labels, &is["Labels"]);
    all
}

fn create(
    engine: &Engine,
    task: &mut Task<'_>,
    args: &Args,
    (name, labels): (&str, Map),
    done: &mut Done,
) -> Result<(), Failure> {
    let driver = args.string("driver");
    if !task.check {
        let mut body =
            json!({"Name": name, "Driver": driver, "DriverOpts": texts(args.dict("driver_options"))});
        if args.has("labels") {
            body["Labels"] = labels.into();
        }
        engine.act(task, &format!("create the volume {name}"), ("POST", "/volumes/create"), Some(&body))?;
    }
    done.actions.push(format!("Created volume {name} with driver {driver}"));
    Ok(())
}

fn remove(engine: &Engine, task: &mut Task<'_>, name: &str, done: &mut Done) -> Result<(), Failure> {
    if !task.check {
        let path = format!("/volumes/{}", part(name));
        engine.act(task, &format!("remove the volume {name}"), ("DELETE", &path), None)?;
    }
    done.actions.push(format!("Removed volume {name}"));
    Ok(())
}
