//! `mysql_db`: databases of a MySQL or MariaDB server, made, dropped, saved to a file and filled from one.

mod archive;

use catalog::spec::joined;
use catalog::{Arg, Args, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};
use crate::mysql::{LOGIN, Server, identifier, literal};

const OWN: &[Arg] = &[
    Arg::list("name").required().aliases(&["db"]),
    Arg::str("encoding").default(""),
    Arg::str("collation").default(""),
    Arg::path("target"),
    Arg::str("state").default("present").choices(&["absent", "dump", "import", "present"]),
    Arg::bool("single_transaction").default("false"),
    Arg::bool("quick").default("true"),
    Arg::list("ignore_tables").default(""),
    Arg::bool("hex_blob").default("false"),
    Arg::bool("force").default("false"),
    Arg::int("master_data").default("0").choices(&["0", "1", "2"]),
    Arg::bool("skip_lock_tables").default("false"),
    Arg::str("dump_extra_args"),
    Arg::bool("use_shell").default("false"),
    Arg::bool("unsafe_login_password").default("false"),
    Arg::bool("restrict_config_file").default("false"),
    Arg::bool("config_overrides_defaults").default("false"),
    Arg::path("chdir"),
    Arg::bool("pipefail").default("false"),
];
const ARGS: [Arg; LOGIN.len() + OWN.len()] = joined(LOGIN, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("mysql_db", &ARGS)
        .collection("community.mysql")
        .required_if(&[("state", "dump", &["target"], false), ("state", "import", &["target"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let names = args.strings("name");
    let state = args.string("state");
    let all = names.iter().any(|name| name == "all");
    if all && !matches!(state.as_str(), "dump" | "import") {
        return Err("name=all can only be used with state=dump or state=import".into());
    }
    if names.len() > 1 && state == "import" && !all {
        return Err("Multiple databases are not supported with state=import".into());
    }
    let server = Server::of(args, task)?;
    let there = server.ask(task, "SHOW DATABASES")?.into_iter().flatten().collect::<Vec<_>>();
    let (known, missing): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| there.contains(name));
    let statements: Vec<String> = match state.as_str() {
        "absent" => known.iter().map(|name| format!("DROP DATABASE {}", identifier(name))).collect(),
        "present" => missing.iter().map(|name| created(args, name)).collect(),
        "dump" => {
            if !all && !missing.is_empty() {
                let names: Vec<String> = missing.iter().map(|name| (*name).clone()).collect();
                return Err(Failure::new(format!("Cannot dump database(s) '{}' - not found", names.join("', '"))));
            }
            return archive::dump(args, task, &server, &names);
        }
        _ => return archive::import(args, task, &server, &names, all || missing.is_empty()),
    };
    let outcome = told(Outcome::changed(!statements.is_empty()), &names);
    if task.check {
        return Ok(outcome);
    }
    for statement in &statements {
        server.act(task, statement)?;
    }
    Ok(outcome.with("executed_commands", statements))
}

fn created(args: &Args, name: &str) -> String {
    let mut text = format!("CREATE DATABASE {}", identifier(name));
    for (argument, words) in [("encoding", "CHARACTER SET"), ("collation", "COLLATE")] {
        if let Some(value) = args.str(argument).filter(|value| !value.is_empty()) {
            text.push_str(&format!(" {words} {}", literal(value)));
        }
    }
    text
}

fn told(outcome: Outcome, names: &[String]) -> Outcome {
    outcome.with("db", names.join(" ")).with("db_list", names.to_vec())
}
