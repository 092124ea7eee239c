//! `postgresql_privs`: what roles of a PostgreSQL server may do with its objects. The statement is tried in a transaction
//! that is given up; whether anything changes is told by the server's own lists of rights before and after it.

mod statement;

use catalog::spec::joined;
use catalog::{Arg, Args, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};
use crate::postgresql::{LOGIN, Server, distrust, literal};

const TYPES: &[&str] = &[
    "database", "default_privs", "foreign_data_wrapper", "foreign_server", "function", "group", "language", "table",
    "tablespace", "schema", "sequence", "type", "procedure", "parameter",
];

const OWN: &[Arg] = &[
    Arg::str("login_db").required().aliases(&["db", "database"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("privs").aliases(&["priv"]),
    Arg::str("type").default("table").choices(TYPES),
    Arg::str("objs").aliases(&["obj"]),
    Arg::str("schema"),
    Arg::str("roles").required().aliases(&["role"]),
    Arg::str("session_role"),
    Arg::str("target_roles"),
    Arg::bool("grant_option").aliases(&["admin_option"]),
    Arg::bool("fail_on_role").default("true"),
    Arg::bool("trust_input").default("true"),
];
const ARGS: [Arg; LOGIN.len() + OWN.len()] = joined(LOGIN, OWN);

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("postgresql_privs", &ARGS).collection("community.postgresql"), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    distrust(args, &["roles", "target_roles", "session_role", "schema", "privs", "objs"])?;
    let server = Server::of(args);
    let db = args.string("login_db");
    let roles = roles(args, task, &server, &db)?;
    if roles.is_empty() {
        task.warn("No valid roles provided, nothing to do");
        return Ok(Outcome::changed(false).with("queries", Vec::<String>::new()));
    }
    let query = statement::of(args, &roles)?;
    let rights = rights(&args.string("type"));
    let trial = format!("BEGIN;\n{rights};\n{query}\n{rights};\nROLLBACK");
    let told = server.ask(task, &db, &trial).map_err(|failure| {
        let why = &failure.message;
        Failure::new(format!("Cannot execute SQL '{query}': {why}\n"))
    })?;
    let digests: Vec<String> = told.into_iter().flatten().flat_map(|text| digests(&text)).collect();
    let [before, after] = &digests[..] else {
        return Err("the server did not tell which rights there are".into());
    };
    let changed = before != after;
    if changed && !task.check {
        server.act(task, &db, query.trim_end_matches(';'))?;
    }
    Ok(Outcome::changed(changed).with("queries", vec![query]))
}

/// The words in an answer that are digests.
fn digests(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words.filter(|word| word.len() == 32).map(str::to_owned).collect()
}

/// Those of the task's roles that there are; `PUBLIC` is everybody.
fn roles(args: &Args, task: &mut Task<'_>, server: &Server, db: &str) -> Result<Vec<String>, Failure> {
    let given = args.string("roles");
    let names = given.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut all = Vec::new();
    for name in names {
        if name.eq_ignore_ascii_case("public") {
            all.push("PUBLIC".to_owned());
            continue;
        }
        let query = format!("SELECT 1 FROM pg_roles WHERE rolname = {}", literal(name));
        if !server.ask(task, db, &query)?.is_empty() {
            all.push(crate::postgresql::identifier(name));
        } else if args.bool("fail_on_role") {
            return Err(Failure::new(format!("Role '{name}' does not exist")));
        } else {
            task.warn(format!("Role '{name}' does not exist, pass it"));
        }
    }
    Ok(all)
}

/// A digest of all rights on objects of this type.
fn rights(kind: &str) -> String {
    let (table, columns) = match kind {
        "database" => ("pg_database", "datacl"),
        "default_privs" => ("pg_default_acl", "defaclacl"),
        "foreign_data_wrapper" => ("pg_foreign_data_wrapper", "fdwacl"),
        "foreign_server" => ("pg_foreign_server", "srvacl"),
        "function" | "procedure" => ("pg_proc", "proacl"),
        "group" => ("pg_auth_members", ""),
        "language" => ("pg_language", "lanacl"),
        "parameter" => ("pg_parameter_acl", "paracl"),
        "schema" => ("pg_namespace", "nspacl"),
        "tablespace" => ("pg_tablespace", "spcacl"),
        "type" => ("pg_type", "typacl"),
        _ => ("pg_class", "relacl"),
    };
    let row = match kind {
        "group" => "x.roleid || '/' || x.member || '/' || x.admin_option".to_owned(),
        // Such a list is made anew each time, under another number.
        "default_privs" => {
            "x.defaclrole || '/' || x.defaclnamespace || '/' || x.defaclobjtype::text || '/' || \
             (SELECT string_agg(y::text, ',' ORDER BY y::text) FROM unnest(x.defaclacl) y)"
                .to_owned()
        }
        _ => format!(
            "x.oid || '/' || (SELECT string_agg(y::text, ',' ORDER BY y::text) FROM unnest(x.{columns}) y)"
        ),
    };
    format!("SELECT md5(coalesce((SELECT string_agg(z, '|' ORDER BY z) FROM (SELECT {row} AS z FROM {table} x) q), ''))")
}

#[cfg(test)]
mod tests {
    #[test]
    fn digests_are_found_whatever_stands_between() {
        let one = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(super::digests(&format!("{one}\n{one}")), [one, one]);
        assert!(super::digests("abc").is_empty());
    }
}
