//! The statement that gives or takes the rights.

use catalog::Args;

use crate::module::Failure;
use crate::postgresql::identifier;

const PRIVILEGES: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "CREATE", "CONNECT", "TEMPORARY",
    "TEMP", "EXECUTE", "USAGE", "ALL", "SET", "ALTER SYSTEM", "MAINTAIN",
];

/// Objects to which defaults apply.
const KINDS: &[&str] = &["TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS"];

/// `roles` are quoted already.
pub(super) fn of(args: &Args, roles: &[String]) -> Result<String, Failure> {
    let kind = args.string("type");
    let roles = roles.join(",");
    if kind == "group" {
        return group(args, &roles);
    }
    let privileges = privileges(args)?;
    if kind == "default_privs" {
        return default(args, &roles, &privileges);
    }
    let on = objects(args, &kind)?;
    let list = privileges.join(",");
    Ok(given(args, &format!("{list} ON {on}"), &roles, "GRANT"))
}

/// `GRANT what TO roles`, or the opposite.
fn given(args: &Args, what: &str, roles: &str, option: &str) -> String {
    let grant = args.get("grant_option").and_then(catalog::Json::as_bool);
    match (args.string("state").as_str(), grant) {
        ("absent", Some(true)) => format!("REVOKE {option} OPTION FOR {what} FROM {roles};"),
        ("absent", _) => format!("REVOKE {what} FROM {roles};"),
        (_, Some(true)) => format!("GRANT {what} TO {roles} WITH {option} OPTION;"),
        (_, Some(false)) => format!("GRANT {what} TO {roles};\nREVOKE {option} OPTION FOR {what} FROM {roles};"),
        (_, None) => format!("GRANT {what} TO {roles};"),
    }
}

fn group(args: &Args, roles: &str) -> Result<String, Failure> {
    let groups: Vec<String> = names(args).iter().map(|name| identifier(name)).collect();
    if groups.is_empty() {
        return Err("argument \"objs\" is required for type \"group\".".into());
    }
    if args.has("privs") {
        return Err("argument \"privs\" can not be set for type \"group\".".into());
    }
    Ok(given(args, &groups.join(","), roles, "ADMIN"))
}

fn privileges(args: &Args) -> Result<Vec<String>, Failure> {
    let given = args.string("privs");
    let mut all: Vec<String> =
        given.split(',').map(|word| word.trim().to_uppercase()).filter(|word| !word.is_empty()).collect();
    if all.is_empty() {
        return Err(Failure::new(format!("argument \"privs\" is required for type \"{}\".", args.string("type"))));
    }
    // A right on columns: `SELECT(a)`.
    let wrong = all.iter().find(|word| !PRIVILEGES.contains(&word.split('(').next().unwrap_or_default().trim()));
    if let Some(wrong) = wrong {
        return Err(Failure::new(format!("Invalid privileges specified: frozenset({{'{wrong}'}})")));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn names(args: &Args) -> Vec<String> {
    let given = args.string("objs");
    given.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn objects(args: &Args, kind: &str) -> Result<String, Failure> {
    let schema = args.str("schema").unwrap_or("public");
    let mut names = names(args);
    if names.is_empty() && kind == "database" {
        names.push(args.string("login_db"));
    }
    if names.is_empty() {
        return Err(Failure::new(format!("argument \"objs\" is required for type \"{kind}\".")));
    }
    let in_schema = matches!(kind, "table" | "sequence" | "function" | "procedure" | "type");
    if names == ["ALL_IN_SCHEMA"] {
        if !in_schema || kind == "type" {
            return Err("argument \"objs\": ALL_IN_SCHEMA can only be used for types: table, sequence, function, procedure".into());
        }
        let plural = format!("{}S", kind.to_uppercase());
        return Ok(format!("ALL {plural} IN SCHEMA {}", identifier(schema)));
    }
    let quoted: Vec<String> = names
        .iter()
        .map(|name| match (kind, in_schema) {
            ("function" | "procedure", _) => function(schema, name),
            ("parameter", _) => name.clone(),
            (_, true) => format!("{}.{}", identifier(schema), identifier(name)),
            _ => identifier(name),
        })
        .collect();
    let word = match kind {
        "foreign_data_wrapper" => "foreign data wrapper",
        "foreign_server" => "foreign server",
        other => other,
    };
    Ok(format!("{word} {}", quoted.join(",")))
}

/// `name(int:text)`: commas between objects, colons between a function's arguments.
fn function(schema: &str, text: &str) -> String {
    let (name, arguments) = text.split_once('(').unwrap_or((text, ")"));
    format!("{}.{}({}", identifier(schema), identifier(name), arguments.replace(':', ","))
}

fn default(args: &Args, roles: &str, privileges: &[String]) -> Result<String, Failure> {
    let mut kinds: Vec<String> = names(args).iter().map(|name| name.to_uppercase()).collect();
    let mut list = privileges.join(",");
    if kinds == ["ALL_DEFAULT"] {
        kinds = KINDS[..4].iter().map(|kind| (*kind).to_owned()).collect();
        kinds.sort();
        list = "ALL".to_owned();
    }
    if let Some(wrong) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Failure::new(format!(
            "Invalid Object set specified: {wrong}; known are {} and ALL_DEFAULT",
            KINDS.join(", ")
        )));
    }
    let of = args.str("target_roles").map(|names| {
        let names: Vec<String> = names.split(',').map(|name| identifier(name.trim())).collect();
        format!(" FOR ROLE {}", names.join(","))
    });
    let schema = args.str("schema").unwrap_or("public");
    let place = if schema == "not-specified" { String::new() } else { format!(" IN SCHEMA {}", identifier(schema)) };
    let head = format!("ALTER DEFAULT PRIVILEGES{}{place}", of.unwrap_or_default());
    let present = args.string("state") == "present";
    let option = if present && args.bool("grant_option") { " WITH GRANT OPTION" } else { "" };
    let mut all: Vec<String> = kinds.iter().map(|kind| format!("{head} REVOKE ALL ON {kind} FROM {roles};")).collect();
    if present {
        all.extend(kinds.iter().map(|kind| format!("{head} GRANT {list} ON {kind} TO {roles}{option};")));
    }
    Ok(all.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Args {
        super::super::MODULE.spec.read(&serde_json::from_str(text).unwrap(), &|_| false).unwrap()
    }

    #[test]
    fn statements_are_those_of_the_reference() {
        let statement = |text: &str| of(&read(text), &["\"r\"".to_owned()]).unwrap();
        assert_eq!(
            statement(r#"{"login_db": "d", "roles": "r", "privs": "select,INSERT", "objs": "t1,t2"}"#),
            "GRANT INSERT,SELECT ON table \"public\".\"t1\",\"public\".\"t2\" TO \"r\";"
        );
        assert_eq!(
            statement(r#"{"login_db": "d", "roles": "r", "type": "function", "privs": "EXECUTE", "objs": "f(int:int)", "state": "absent"}"#),
            "REVOKE EXECUTE ON function \"public\".\"f\"(int,int) FROM \"r\";"
        );
        assert_eq!(
            statement(r#"{"login_db": "d", "roles": "r", "type": "group", "objs": "g", "grant_option": true}"#),
            "GRANT \"g\" TO \"r\" WITH ADMIN OPTION;"
        );
    }
}
