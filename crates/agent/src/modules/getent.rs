//! `getent`: entries of the host's databases as facts.

use catalog::{Arg, Args, Check, Json, Map, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "getent",
        &[
            Arg::str("database").required(),
            Arg::str("key"),
            Arg::str("service"),
            Arg::str("split"),
            Arg::bool("fail_key").default("true"),
        ],
    )
    .check(Check::Query),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let database = args.string("database");
    let mut argv = vec!["getent"];
    if let Some(service) = args.str("service") {
        argv.extend(["-s", service]);
    }
    argv.push(&database);
    argv.extend(args.str("key"));
    let output = children::ask(task, &argv)?;
    let missing = "One or more supplied key could not be found in the database.";
    match output.rc {
        0 => {
            let split = args.str("split").or_else(|| {
                matches!(database.as_str(), "passwd" | "shadow" | "group" | "gshadow").then_some(":")
            });
            Ok(told(&database, entries(&output.stdout_text(), split)))
        }
        1 => Err("Missing arguments, or database unknown.".into()),
        2 if !args.bool("fail_key") => {
            let none = args.str("key").map(|key| (key.to_owned(), Json::Null));
            Ok(told(&database, none.into_iter().collect()).with("msg", missing))
        }
        2 => Err(missing.into()),
        3 => Err("Enumeration not supported on this database.".into()),
        _ => Err("Unexpected failure!".into()),
    }
}

fn told(database: &str, found: Map) -> Outcome {
    let facts = Map::from_iter([(format!("getent_{database}"), Json::Object(found))]);
    Outcome::default().with("ansible_facts", Json::Object(facts))
}

/// A key that comes again gets a list of lists.
fn entries(text: &str, split: Option<&str>) -> Map {
    let mut found = Map::new();
    let mut repeated = std::collections::HashSet::new();
    for line in text.lines() {
        let mut words: Vec<&str> = match split {
            Some(separator) => line.split(separator).collect(),
            None => line.split_whitespace().collect(),
        };
        if words.is_empty() {
            continue;
        }
        let key = words.remove(0).to_owned();
        let entry: Json = words.into();
        match found.get_mut(&key) {
            None => _ = found.insert(key, entry),
            Some(Json::Array(list)) if repeated.contains(&key) => list.push(entry),
            Some(first) => {
                *first = Json::Array(vec![first.take(), entry]);
                repeated.insert(key);
            }
        }
    }
    found
}
