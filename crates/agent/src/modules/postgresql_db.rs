//! `postgresql_db`: databases of a PostgreSQL server, made, changed, renamed, dropped, saved to a file and filled from one.

mod archive;

use catalog::spec::joined;
use catalog::{Arg, Args, ModuleSpec};
use serde_json::json;

use crate::module::{Failure, Module, Outcome, Task};
use crate::postgresql::{LOGIN, Server, distrust, identifier, literal};

const OWN: &[Arg] = &[
    Arg::str("db").required().aliases(&["name"]),
    Arg::str("owner").default(""),
    Arg::str("template").default(""),
    Arg::str("encoding").default(""),
    Arg::str("lc_collate").default(""),
    Arg::str("lc_ctype").default(""),
    Arg::str("icu_locale").default(""),
    Arg::str("locale_provider").default(""),
    Arg::str("state").default("present").choices(&["absent", "dump", "present", "rename", "restore"]),
    Arg::path("target").default(""),
    Arg::str("target_opts").default(""),
    Arg::str("maintenance_db").default("postgres"),
    Arg::str("session_role"),
    Arg::str("conn_limit").default(""),
    Arg::path("tablespace").default(""),
    Arg::str("dump_extra_args"),
    Arg::bool("trust_input").default("true"),
    Arg::bool("force").default("false"),
    Arg::str("comment"),
];
const ARGS: [Arg; LOGIN.len() + OWN.len()] = joined(LOGIN, OWN);

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("postgresql_db", &ARGS).collection("community.postgresql"), run };

/// What there is of a database.
struct Found {
    owner: String,
    encoding: String,
    lc_collate: String,
    lc_ctype: String,
    conn_limit: String,
    tablespace: String,
    comment: String,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    distrust(args, &["owner", "conn_limit", "encoding", "db", "template", "tablespace", "session_role", "comment"])?;
    let server = Server::of(args);
    let (db, target) = (args.string("db"), args.string("target"));
    let state = args.string("state");
    if state == "rename" && target.is_empty() {
        return Err("You need to set target option when state is rename".into());
    }
    if state == "rename" && target == db {
        return Err("\"name/db\" and \"target\" options must be different".into());
    }
    let maintenance = args.string("maintenance_db");
    let found = found(&server, task, &maintenance, &db)?;
    let statements = match (state.as_str(), &found) {
        ("absent", None) => Vec::new(),
        ("absent", Some(_)) => {
            let force = if args.bool("force") { " WITH (FORCE)" } else { "" };
            vec![format!("DROP DATABASE {}{force}", identifier(&db))]
        }
        ("present", None) => created(args, &db),
        ("present", Some(found)) => changed(args, &db, found)?,
        ("rename", old) => {
            let new = self::found(&server, task, &maintenance, &target)?;
            renamed(&db, &target, old.is_some(), new.is_some())?
        }
        ("dump", _) => return archive::dump(args, task, &server, found.is_some()),
        (_, found) => return archive::restore(args, task, &server, found.is_some()),
    };
    if !task.check {
        for statement in &statements {
            server.act(task, &maintenance, statement)?;
        }
    }
    let done = if task.check { Vec::new() } else { statements.clone() };
    Ok(Outcome::changed(!statements.is_empty()).with("db", db).with("executed_commands", done))
}

fn found(server: &Server, task: &Task<'_>, maintenance: &str, db: &str) -> Result<Option<Found>, Failure> {
    let query = format!(
        "SELECT r.rolname, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datconnlimit, t.spcname, \
         shobj_description(d.oid, 'pg_database') FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba \
         JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = {}",
        literal(db)
    );
    let rows = server.ask(task, maintenance, &query)?;
    Ok(rows.into_iter().next().map(|row| {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or_default();
        Found {
            owner: next(),
            encoding: next(),
            lc_collate: next(),
            lc_ctype: next(),
            conn_limit: next(),
            tablespace: next(),
            comment: next(),
        }
    }))
}

fn created(args: &Args, db: &str) -> Vec<String> {
    let mut words = vec![format!("CREATE DATABASE {}", identifier(db))];
    let mut add = |name: &str, word: &str, how: fn(&str) -> String| {
        if let Some(value) = args.str(name).filter(|value| !value.is_empty()) {
            words.push(format!("{word} {}", how(value)));
        }
    };
    add("owner", "OWNER", identifier);
    add("template", "TEMPLATE", identifier);
    add("encoding", "ENCODING", literal);
    add("lc_collate", "LC_COLLATE", literal);
    add("lc_ctype", "LC_CTYPE", literal);
    add("icu_locale", "ICU_LOCALE", literal);
    add("locale_provider", "LOCALE_PROVIDER", identifier);
    add("tablespace", "TABLESPACE", identifier);
    add("conn_limit", "CONNECTION LIMIT", str::to_owned);
    let mut all = vec![words.join(" ")];
    if let Some(comment) = args.str("comment").filter(|comment| !comment.is_empty()) {
        all.push(format!("COMMENT ON DATABASE {} IS {}", identifier(db), literal(comment)));
    }
    all
}

/// How an existing database becomes as it shall be; what cannot be changed is refused.
fn changed(args: &Args, db: &str, found: &Found) -> Result<Vec<String>, Failure> {
    let wanted = |name: &str| args.str(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let fixed = [
        ("encoding", "database encoding", "encoding", &found.encoding),
        ("lc_collate", "LC_COLLATE", "LC_COLLATE", &found.lc_collate),
        ("lc_ctype", "LC_CTYPE", "LC_CTYPE", &found.lc_ctype),
    ];
    for (name, what, current, value) in fixed {
        let differs = |wanted: &String| {
            if name == "encoding" { plain(wanted) != plain(value) } else { wanted != value }
        };
        if wanted(name).as_ref().is_some_and(differs) {
            return Err(Failure::new(format!("Changing {what} is not supported. Current {current}: {value}")));
        }
    }
    let name = identifier(db);
    let mut all = Vec::new();
    if let Some(owner) = wanted("owner").filter(|owner| *owner != found.owner) {
        all.push(format!("ALTER DATABASE {name} OWNER TO {}", identifier(&owner)));
    }
    if let Some(limit) = wanted("conn_limit").filter(|limit| *limit != found.conn_limit) {
        all.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"));
    }
    if let Some(space) = wanted("tablespace").filter(|space| *space != found.tablespace) {
        all.push(format!("ALTER DATABASE {name} SET TABLESPACE {}", identifier(&space)));
    }
    if let Some(comment) = args.str("comment").filter(|comment| *comment != found.comment) {
        all.push(format!("COMMENT ON DATABASE {name} IS {}", literal(comment)));
    }
    Ok(all)
}

fn renamed(from: &str, to: &str, from_is: bool, to_is: bool) -> Result<Vec<String>, Failure> {
    match (from_is, to_is) {
        (true, true) => Err("Both the source and the target databases exist".into()),
        (false, false) => Err("The source and the target databases do not exist".into()),
        (false, true) => Ok(Vec::new()),
        (true, false) => {
            Ok(vec![format!("ALTER DATABASE {} RENAME TO {}", identifier(from), identifier(to))])
        }
    }
}

/// The outcome of saving or filling.
fn told(args: &Args, changed: bool, command: &str, words: &str) -> Outcome {
    let commands = if command.is_empty() { json!([]) } else { json!([command]) };
    Outcome::changed(changed).with("db", args.string("db")).with("msg", words).with("rc", 0).with("stderr", "").with(
        "stderr_lines",
        json!([]),
    ).with("executed_commands", commands)
}
