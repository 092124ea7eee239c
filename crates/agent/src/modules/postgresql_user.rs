//! `postgresql_user`: roles of a PostgreSQL server that may log in; passwords are compared by what the server stores.

mod password;

use catalog::spec::joined;
use catalog::{Arg, Args, Json, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};
use crate::postgresql::{LOGIN, Server, distrust, identifier, literal};

const OWN: &[Arg] = &[
    Arg::str("user").required().aliases(&["name"]),
    Arg::str("password").no_log(),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("login_db").default("").aliases(&["db"]),
    Arg::bool("fail_on_user").default("true").aliases(&["fail_on_role"]),
    Arg::str("role_attr_flags").default(""),
    Arg::bool("encrypted").default("true"),
    Arg::bool("no_password_changes").default("false"),
    Arg::str("expires"),
    Arg::int("conn_limit"),
    Arg::str("session_role"),
    Arg::str("comment"),
    Arg::bool("trust_input").default("true"),
    Arg::dict("configuration"),
    Arg::bool("reset_unspecified_configuration").default("false"),
    Arg::bool("quote_configuration_values").default("true"),
];
const ARGS: [Arg; LOGIN.len() + OWN.len()] = joined(LOGIN, OWN);

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("postgresql_user", &ARGS).collection("community.postgresql"), run };

/// What may be said of a role, and the column that holds it.
const FLAGS: &[(&str, &str)] = &[
    ("SUPERUSER", "rolsuper"),
    ("CREATEROLE", "rolcreaterole"),
    ("CREATEDB", "rolcreatedb"),
    ("INHERIT", "rolinherit"),
    ("LOGIN", "rolcanlogin"),
    ("REPLICATION", "rolreplication"),
    ("BYPASSRLS", "rolbypassrls"),
];

/// What there is of a role.
struct Found {
    /// In the order of [`FLAGS`].
    flags: Vec<bool>,
    conn_limit: i64,
    expires: String,
    /// As the server stores it; `None`: we may not see it.
    password: Option<String>,
    comment: String,
    /// `name=value`
    configuration: Vec<String>,
    /// Whether `expires` is the moment that was asked for.
    expires_as_wanted: bool,
}

/// A statement, and how it is shown.
struct Statement {
    text: String,
    shown: String,
}

impl Statement {
    fn plain(text: String) -> Self {
        Self { shown: text.clone(), text }
    }
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    distrust(args, &["user", "password", "role_attr_flags", "expires", "session_role", "comment"])?;
    let server = Server::of(args);
    let user = args.string("user");
    let database = args.str("login_db").filter(|db| !db.is_empty()).unwrap_or("postgres").to_owned();
    let flags = flags(&args.string("role_attr_flags"))?;
    let found = found(args, &server, task, &database, &user)?;
    let present = args.str("state") != Some("absent");
    let statements = match (&found, present) {
        (None, false) => Vec::new(),
        (Some(_), false) => vec![Statement::plain(format!("DROP USER {}", identifier(&user)))],
        (None, true) => created(args, &user, &flags),
        (Some(found), true) => changed(args, &user, &flags, found)?,
    };
    let mut done = Vec::new();
    for statement in &statements {
        if !task.check
            && let Err(failure) = server.act(task, &database, &statement.text)
        {
            let stays = !present && !args.bool("fail_on_user");
            if stays {
                return Ok(Outcome::changed(false).with("user", user).with("queries", done));
            }
            let words = if present { failure.message.clone() } else { format!("Unable to remove user: {}", failure.message) };
            return Err(Failure { message: words, ..failure }.after_change(!done.is_empty()));
        }
        done.push(statement.shown.clone());
    }
    Ok(Outcome::changed(!statements.is_empty()).with("user", user).with("queries", done))
}

/// `CREATEDB,NOSUPERUSER` as columns and their values.
fn flags(text: &str) -> Result<Vec<(usize, bool)>, Failure> {
    let mut all = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let upper = word.to_uppercase();
        let of = |name: &str| FLAGS.iter().position(|(flag, _)| *flag == name);
        let flag = of(&upper).map(|at| (at, true)).or_else(|| Some((of(upper.strip_prefix("NO")?)?, false)));
        match flag {
            Some(flag) => all.push(flag),
            None => {
                let known: Vec<&str> = FLAGS.iter().map(|(flag, _)| *flag).collect();
                return Err(Failure::new(format!(
                    "Invalid role_attr_flags specified: {word}; known are {} and each with NO before it",
                    known.join(", ")
                )));
            }
        }
    }
    Ok(all)
}

fn found(args: &Args, server: &Server, task: &Task<'_>, db: &str, user: &str) -> Result<Option<Found>, Failure> {
    let columns: Vec<String> = FLAGS.iter().map(|(_, column)| format!("r.{column}")).collect();
    let as_wanted = match args.str("expires") {
        Some(expires) => format!("coalesce(r.rolvaliduntil = {}::timestamptz, false)", literal(expires)),
        None => "true".to_owned(),
    };
    let query = format!(
        "SELECT {}, r.rolconnlimit, r.rolvaliduntil, {as_wanted}, shobj_description(r.oid, 'pg_authid'), \
         array_to_string(r.rolconfig, E'\\x1d') FROM pg_roles r WHERE r.rolname = {}",
        columns.join(", "),
        literal(user)
    );
    let Some(row) = server.ask(task, db, &query)?.into_iter().next() else { return Ok(None) };
    let stored = format!("SELECT rolpassword FROM pg_authid WHERE rolname = {}", literal(user));
    // Only a superuser may see it.
    let password = server.ask(task, db, &stored).ok().and_then(|rows| rows.into_iter().next()?.into_iter().next());
    let mut rest = row.iter().skip(FLAGS.len()).cloned();
    let mut next = || rest.next().unwrap_or_default();
    Ok(Some(Found {
        flags: row.iter().take(FLAGS.len()).map(|value| value == "t").collect(),
        conn_limit: next().parse().unwrap_or(-1),
        expires: next(),
        expires_as_wanted: next() == "t",
        comment: next(),
        configuration: next().split('\u{1d}').filter(|c| !c.is_empty()).map(str::to_owned).collect(),
        password,
    }))
}

fn flag_words(flags: impl Iterator<Item = (usize, bool)>) -> Vec<String> {
    flags.map(|(at, on)| format!("{}{}", if on { "" } else { "NO" }, FLAGS[at].0)).collect()
}

fn created(args: &Args, user: &str, flags: &[(usize, bool)]) -> Vec<Statement> {
    let mut text = format!("CREATE USER {}", identifier(user));
    let mut shown = text.clone();
    if let Some(password) = args.str("password") {
        let word = if args.bool("encrypted") { " WITH ENCRYPTED" } else { " WITH UNENCRYPTED" };
        // The old word is refused by every server since version 10; what is stored is the server's choice.
        text.push_str(&format!(" WITH ENCRYPTED PASSWORD {}", password::as_sql(password)));
        shown.push_str(&format!("{word} PASSWORD %(password)s"));
    }
    let mut more = flag_words(flags.iter().copied());
    more.extend(args.str("expires").map(|expires| format!("VALID UNTIL {}", literal(expires))));
    more.extend(args.int("conn_limit").map(|limit| format!("CONNECTION LIMIT {limit}")));
    for word in more {
        text.push_str(&format!(" {word}"));
        shown.push_str(&format!(" {word}"));
    }
    let mut all = vec![Statement { text, shown }];
    all.extend(comment(args, user, ""));
    all.extend(configuration(args, user, &[]));
    all
}

fn changed(args: &Args, user: &str, flags: &[(usize, bool)], found: &Found) -> Result<Vec<Statement>, Failure> {
    let mut all = Vec::new();
    let mut words = flag_words(flags.iter().copied().filter(|(at, on)| found.flags.get(*at) != Some(on)));
    if let Some(expires) = args.str("expires")
        && !found.expires_as_wanted
        && !(expires == "infinity" && found.expires == "infinity")
    {
        words.push(format!("VALID UNTIL {}", literal(expires)));
    }
    if let Some(limit) = args.int("conn_limit").filter(|limit| *limit != found.conn_limit) {
        words.push(format!("CONNECTION LIMIT {limit}"));
    }
    let new_password = match args.str("password") {
        Some(_) if args.bool("no_password_changes") => None,
        Some(given) if !password::is(given, user, found.password.as_deref()) => Some(given),
        _ => None,
    };
    let start = format!("ALTER USER {} WITH", identifier(user));
    if let Some(given) = new_password {
        let more: String = words.iter().map(|word| format!(" {word}")).collect();
        all.push(Statement {
            text: format!("{start} ENCRYPTED PASSWORD {}{more}", password::as_sql(given)),
            shown: format!("{start} ENCRYPTED PASSWORD %(password)s{more}"),
        });
    } else if !words.is_empty() {
        all.push(Statement::plain(format!("{start} {}", words.join(" "))));
    }
    all.extend(comment(args, user, &found.comment));
    all.extend(configuration(args, user, &found.configuration));
    Ok(all)
}

fn comment(args: &Args, user: &str, before: &str) -> Option<Statement> {
    let comment = args.str("comment").filter(|comment| *comment != before)?;
    Some(Statement::plain(format!("COMMENT ON ROLE {} IS {}", identifier(user), literal(comment))))
}

/// Settings that hold for the role's sessions.
fn configuration(args: &Args, user: &str, before: &[String]) -> Vec<Statement> {
    let Some(wanted) = args.dict("configuration") else { return Vec::new() };
    let user = identifier(user);
    let value_of = |name: &str| before.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
    let mut all = Vec::new();
    for (name, value) in wanted {
        let text = match value {
            Json::Bool(true) => "on".to_owned(),
            Json::Bool(false) => "off".to_owned(),
            other => catalog::arguments::text(other),
        };
        if value_of(name) != Some(text.as_str()) {
            let value = if args.bool("quote_configuration_values") { literal(&text) } else { text };
            all.push(Statement::plain(format!("ALTER USER {user} SET {} TO {value}", identifier(name))));
        }
    }
    if args.bool("reset_unspecified_configuration") {
        let names = before.iter().filter_map(|one| one.split_once('=')).map(|(name, _)| name);
        for name in names.filter(|name| !wanted.contains_key(*name)) {
            all.push(Statement::plain(format!("ALTER USER {user} RESET {}", identifier(name))));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::flags;

    #[test]
    fn flags_are_read_with_and_without_no() {
        assert_eq!(flags("CREATEDB, nosuperuser").expect("good"), [(2, true), (0, false)]);
        assert!(flags("NOINHERIT,FLY").expect_err("bad").message.contains("FLY"));
    }
}
