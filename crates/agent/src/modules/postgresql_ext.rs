//! `postgresql_ext`: extensions of a PostgreSQL database.

use catalog::spec::joined;
use catalog::{Arg, Args, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};
use crate::postgresql::{LOGIN, Server, distrust, identifier, literal};

const OWN: &[Arg] = &[
    Arg::str("login_db").required().aliases(&["db"]),
    Arg::str("name").required().aliases(&["ext"]),
    Arg::str("schema"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::bool("cascade").default("false"),
    Arg::str("session_role"),
    Arg::str("version"),
    Arg::bool("trust_input").default("true"),
    Arg::str("comment"),
];
const ARGS: [Arg; LOGIN.len() + OWN.len()] = joined(LOGIN, OWN);

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("postgresql_ext", &ARGS).collection("community.postgresql"), run };

/// What the server knows of an extension.
struct Known {
    installed: Option<String>,
    default: String,
    schema: String,
    comment: String,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    distrust(args, &["name", "schema", "session_role", "version", "comment"])?;
    let server = Server::of(args);
    let (name, db) = (args.string("name"), args.string("login_db"));
    let present = args.string("state") == "present";
    let known = look(&server, task, &db, &name)?;
    let before = known.as_ref().and_then(|known| known.installed.clone());
    let statements = match (&known, present) {
        (_, false) if before.is_none() => Vec::new(),
        (_, false) => {
            let cascade = if args.bool("cascade") { " CASCADE" } else { "" };
            vec![format!("DROP EXTENSION {}{cascade}", identifier(&name))]
        }
        (None, true) => return Err(Failure::new(format!("Extension {name} is not available"))),
        (Some(known), true) => wanted(args, &name, known),
    };
    if !task.check {
        for statement in &statements {
            server.act(task, &db, statement)?;
        }
    }
    let after = match (&known, present) {
        (_, false) => String::new(),
        (Some(_), true) if !task.check => look(&server, task, &db, &name)?.and_then(|k| k.installed).unwrap_or_default(),
        (known, true) => match args.str("version").filter(|version| *version != "latest") {
            Some(version) => version.to_owned(),
            None if args.has("version") => known.as_ref().map(|known| known.default.clone()).unwrap_or_default(),
            None => before.clone().or_else(|| known.as_ref().map(|known| known.default.clone())).unwrap_or_default(),
        },
    };
    Ok(Outcome::changed(!statements.is_empty())
        .with("db", db)
        .with("ext", name)
        .with("queries", statements)
        .with("prev_version", before.unwrap_or_default())
        .with("version", after))
}

fn look(server: &Server, task: &Task<'_>, db: &str, name: &str) -> Result<Option<Known>, Failure> {
    let query = format!(
        "SELECT e.extversion, a.default_version, n.nspname, obj_description(e.oid, 'pg_extension') \
         FROM pg_available_extensions a LEFT JOIN pg_extension e ON e.extname = a.name \
         LEFT JOIN pg_namespace n ON n.oid = e.extnamespace WHERE a.name = {}",
        literal(name)
    );
    let row = server.ask(task, db, &query)?.into_iter().next();
    Ok(row.map(|row| {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or_default();
        let installed = Some(next()).filter(|version| !version.is_empty());
        Known { installed, default: next(), schema: next(), comment: next() }
    }))
}

fn wanted(args: &Args, name: &str, known: &Known) -> Vec<String> {
    let quoted = identifier(name);
    let version = args.str("version").filter(|version| *version != "latest");
    let mut all = Vec::new();
    match &known.installed {
        None => {
            let mut words = format!("CREATE EXTENSION {quoted}");
            if let Some(schema) = args.str("schema") {
                words.push_str(&format!(" WITH SCHEMA {}", identifier(schema)));
            }
            if let Some(version) = version {
                words.push_str(&format!(" VERSION {}", literal(version)));
            }
            words.push_str(if args.bool("cascade") { " CASCADE" } else { "" });
            all.push(words);
        }
        Some(installed) => {
            if args.str("version") == Some("latest") && *installed != known.default {
                all.push(format!("ALTER EXTENSION {quoted} UPDATE"));
            } else if let Some(version) = version.filter(|version| version != installed) {
                all.push(format!("ALTER EXTENSION {quoted} UPDATE TO {}", literal(version)));
            }
            if let Some(schema) = args.str("schema").filter(|schema| *schema != known.schema) {
                all.push(format!("ALTER EXTENSION {quoted} SET SCHEMA {}", identifier(schema)));
            }
        }
    }
    if let Some(comment) = args.str("comment").filter(|comment| *comment != known.comment) {
        all.push(format!("COMMENT ON EXTENSION {quoted} IS {}", literal(comment)));
    }
    all
}
