//! `mysql_user`: accounts of a MySQL or MariaDB server, their passwords and what they may do.

mod account;
mod grants;

use catalog::spec::joined;
use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::module::{Failure, Module, Outcome, Task};
use crate::mysql::{LOGIN, Server, literal};
use account::Account;
use grants::Privileges;

const OWN: &[Arg] = &[
    Arg::str("name").required().aliases(&["user"]),
    Arg::str("password").no_log(),
    Arg::bool("encrypted").default("false"),
    Arg::str("host").default("localhost"),
    Arg::bool("host_all").default("false"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::raw("priv"),
    Arg::dict("tls_requires"),
    Arg::bool("append_privs").default("false"),
    Arg::bool("subtract_privs").default("false"),
    Arg::str("update_password").default("always").choices(&["always", "on_create", "on_new_username"]),
    Arg::str("plugin"),
    Arg::str("plugin_hash_string"),
    Arg::str("plugin_auth_string"),
    Arg::str("salt"),
    Arg::dict("resource_limits"),
    Arg::bool("force_context").default("false"),
    Arg::dict("session_vars"),
    Arg::str("password_expire").choices(&["now", "never", "default", "interval"]),
    Arg::int("password_expire_interval"),
    Arg::bool("locked"),
    Arg::bool("column_case_sensitive"),
    Arg::dict("attributes"),
];
const ARGS: [Arg; LOGIN.len() + OWN.len()] = joined(LOGIN, OWN);

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("mysql_user", &ARGS)
        .collection("community.mysql")
        .mutually_exclusive(&[&["append_privs", "subtract_privs"]])
        .required_if(&[("password_expire", "interval", &["password_expire_interval"], false)]),
    run,
};

/// What was done to an account, in the reference's words.
#[derive(Default)]
struct Done {
    changed: bool,
    message: Option<String>,
    password: bool,
}

impl Done {
    fn say(&mut self, message: impl Into<String>) {
        self.changed = true;
        self.message = Some(message.into());
    }
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if args.dict("attributes").is_some_and(|map| !map.is_empty()) {
        return Err("user attributes are not supported here: set them with a statement in a task".into());
    }
    if args.bool("append_privs") && args.bool("subtract_privs") {
        return Err("append_privs and subtract_privs exclude each other".into());
    }
    let privileges = Privileges::wanted(args.get("priv"), args.bool("column_case_sensitive"))?;
    let server = Server::of(args, task)?;
    let name = args.string("name");
    let hosts = if args.bool("host_all") {
        let query = format!("SELECT Host FROM mysql.user WHERE User = {}", literal(&name));
        server.ask(task, &query)?.into_iter().flatten().collect()
    } else {
        vec![args.string("host")]
    };
    let mut all = Done::default();
    let mut attributes = Json::Null;
    let present = args.string("state") == "present";
    for host in &hosts {
        let account = Account::look(&server, task, &name, host)?;
        let mut done = Done::default();
        match (account, present) {
            (None, false) => {}
            (Some(account), false) => {
                act(&server, task, &format!("DROP USER {}", account.at))?;
                done.say("User deleted");
            }
            (None, true) => {
                create(args, task, &server, (&name, host), privileges.as_ref())?;
                done.say("User added");
                done.password = true;
            }
            (Some(account), true) => {
                attributes = json!({});
                change(args, task, &server, &account, privileges.as_ref(), &mut done)?;
            }
        }
        all.changed |= done.changed;
        all.password |= done.password;
        all.message = done.message.or(all.message);
    }
    let rest = if present { "User unchanged" } else { "User doesn't exist" };
    Ok(Outcome::changed(all.changed)
        .with("user", name)
        .with("msg", all.message.unwrap_or_else(|| rest.to_owned()))
        .with("password_changed", all.password)
        .with("attributes", attributes))
}

fn act(server: &Server, task: &mut Task<'_>, statement: &str) -> Result<(), Failure> {
    if task.check { Ok(()) } else { server.act(task, statement) }
}

fn create(
    args: &Args,
    task: &mut Task<'_>,
    server: &Server,
    (name, host): (&str, &str),
    privileges: Option<&Privileges>,
) -> Result<(), Failure> {
    let at = account::at(name, host);
    let identified = account::identified(args, server.is_mariadb);
    let mut words = format!("CREATE USER {at}{identified}");
    words.push_str(&account::options(args, server.is_mariadb));
    act(server, task, &words)?;
    for (object, wanted) in privileges.into_iter().flat_map(|privileges| &privileges.0) {
        grants::grant(server, task, &at, object, wanted)?;
    }
    Ok(())
}

fn change(
    args: &Args,
    task: &mut Task<'_>,
    server: &Server,
    account: &Account,
    privileges: Option<&Privileges>,
    done: &mut Done,
) -> Result<(), Failure> {
    let at = &account.at;
    if args.string("update_password") == "always" && account.password_differs(args) {
        let words = format!("ALTER USER {at}{}", account::identified(args, server.is_mariadb));
        act(server, task, &words)?;
        done.say("Password updated (new style)");
        done.password = true;
    }
    if let Some(limits) = account.limits_to_set(args)? {
        act(server, task, &format!("ALTER USER {at} WITH {limits}"))?;
        done.say("Resource limits updated");
    }
    if let Some(privileges) = privileges {
        let mode = match (args.bool("append_privs"), args.bool("subtract_privs")) {
            (true, _) => grants::Mode::Append,
            (_, true) => grants::Mode::Subtract,
            _ => grants::Mode::Exactly,
        };
        if let Some(message) = grants::settle(server, task, at, privileges, mode)? {
            done.say(message);
        }
    }
    let requires = account::requires(args);
    if requires != account.requires {
        act(server, task, &format!("ALTER USER {at} REQUIRE {requires}"))?;
        done.say("TLS requires updated");
    }
    if let Some(locked) = args.get("locked").and_then(Json::as_bool).filter(|locked| *locked != account.locked) {
        act(server, task, &format!("ALTER USER {at} ACCOUNT {}", if locked { "LOCK" } else { "UNLOCK" }))?;
        done.say(if locked { "User locked" } else { "User unlocked" });
    }
    if let Some(words) = account.expiry_to_set(args) {
        act(server, task, &format!("ALTER USER {at} {words}"))?;
        done.say("Password expiration updated");
    }
    Ok(())
}
