//! Databases and roles on a real PostgreSQL server of the test's own, where the programs of one are installed.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use catalog::Json;
use serde_json::json;

use crate::host::Host;

/// A server that ends with the test.
struct Server {
    programs: PathBuf,
    dir: tempfile::TempDir,
    /// PostgreSQL refuses to run as root.
    account: Option<(u32, u32)>,
}

impl Server {
    /// `None`, and said: there is none to be had here.
    fn start(test: &str) -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let programs = versions.map(|v| v.path().join("bin")).find(|bin| bin.join("initdb").exists());
        let account = std::fs::read_to_string("/etc/passwd").unwrap().lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields[0] == "postgres").then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
        });
        let root = rustix::process::geteuid().is_root();
        let (Some(programs), true) = (programs, account.is_some() || !root) else {
            println!("SKIPPED {test}: PostgreSQL is not installed");
            return None;
        };
        // `W/` in arguments stands for something else.
        let dir = tempfile::Builder::new().prefix("server-").suffix("-d").tempdir().unwrap();
        let account = account.filter(|_| root);
        if let Some((uid, gid)) = account {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let server = Self { programs, dir, account };
        let data = server.dir.path().join("data").display().to_string();
        let socket = server.dir.path().display().to_string();
        server
            .run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        let options = format!("-F -c listen_addresses='' -k {socket} -p 5433");
        let log = format!("{socket}/log");
        server.run("pg_ctl", &["-D", &data, "-w", "-l", &log, "-o", &options, "start"]);
        Some(server)
    }

    fn run(&self, program: &str, args: &[&str]) {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(self.programs.join(program));
        command.args(args).current_dir(self.dir.path()).stdout(std::process::Stdio::null());
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        assert!(command.status().unwrap().success(), "{program} {args:?}");
    }

    fn args(&self, more: Json) -> Json {
        let mut args = json!({"login_unix_socket": self.dir.path(), "login_port": 5433});
        for (key, value) in more.as_object().unwrap() {
            args[key] = value.clone();
        }
        args
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.dir.path().join("data").display().to_string();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
    }
}

#[test]
fn databases_and_roles_of_a_real_server() {
    let Some(server) = Server::start("databases_and_roles_of_a_real_server") else { return };
    let mut host = Host::new();
    roles(&server, &mut host);
    databases(&server, &mut host);
    rights(&server, &mut host);
    extensions(&server, &mut host);
    host.bye();
}

fn roles(server: &Server, host: &mut Host) {
    let mut user = |more: Json, wanted: Json| host.expect("postgresql_user", server.args(more), wanted);
    let made = user(
        json!({"name": "an \"odd\" name", "password": "it's\\secret", "role_attr_flags": "CREATEDB"}),
        json!({"changed": true, "user": "an \"odd\" name"}),
    );
    assert!(!made.to_string().contains("secret"), "{made}");
    let same = json!({"name": "an \"odd\" name", "password": "it's\\secret", "role_attr_flags": "CREATEDB,NOSUPERUSER"});
    user(same, json!({"changed": false, "queries": []}));
    user(json!({"name": "an \"odd\" name", "password": "another"}), json!({"changed": true}));
    user(
        json!({"name": "an \"odd\" name", "password": "third", "no_password_changes": true}),
        json!({"changed": false}),
    );
    let later =
        json!({"name": "an \"odd\" name", "expires": "Jan 31 2040", "conn_limit": 3, "comment": "words"});
    user(later.clone(), json!({"changed": true}));
    user(later, json!({"changed": false}));
    let settings = json!({"name": "an \"odd\" name", "configuration": {"work_mem": "16MB", "jit": false}});
    user(settings.clone(), json!({"changed": true}));
    user(settings, json!({"changed": false}));
    let wrong = user(json!({"name": "x", "role_attr_flags": "FLY"}), json!({"failed": true}));
    assert!(wrong["msg"].as_str().unwrap().contains("CREATEDB"));
    user(json!({"name": "owner"}), json!({"changed": true, "queries": ["CREATE USER \"owner\""]}));
    user(json!({"name": "an \"odd\" name", "state": "absent"}), json!({"changed": true}));
    user(json!({"name": "an \"odd\" name", "state": "absent"}), json!({"changed": false}));
    let dangerous = json!({"name": "x; DROP", "trust_input": false});
    user(dangerous, json!({"failed": true, "msg": "Passed input 'x; DROP' is potentially dangerous"}));
}

/// Expected are the reference's own results for these tasks.
fn rights(server: &Server, host: &mut Host) {
    let db = |more: Json| {
        let mut args = server.args(more);
        args["login_db"] = json!("shop");
        args["roles"] = args.get("roles").cloned().unwrap_or(json!("owner"));
        args
    };
    host.expect("postgresql_user", server.args(json!({"name": "reader"})), json!({"changed": true}));
    let read = json!({"roles": "reader", "privs": "SELECT,INSERT", "objs": "goods"});
    assert_eq!(host.check("postgresql_privs", db(read.clone()))["changed"], true);
    let query = "GRANT INSERT,SELECT ON table \"public\".\"goods\" TO \"reader\";";
    host.expect("postgresql_privs", db(read.clone()), json!({"changed": true, "queries": [query]}));
    host.expect("postgresql_privs", db(read), json!({"changed": false}));
    let mut twice = |args: Json| {
        host.expect("postgresql_privs", db(args.clone()), json!({"changed": true}));
        host.expect("postgresql_privs", db(args), json!({"changed": false}));
    };
    twice(json!({"roles": "reader", "privs": "INSERT", "objs": "goods", "state": "absent"}));
    twice(json!({"roles": "reader", "privs": "ALL", "objs": "ALL_IN_SCHEMA", "grant_option": true}));
    twice(json!({"roles": "reader", "type": "database", "privs": "CREATE,connect", "objs": "shop"}));
    twice(json!({"roles": "reader", "type": "schema", "privs": "USAGE,CREATE", "objs": "public"}));
    twice(json!({"roles": "reader", "type": "default_privs", "privs": "SELECT", "objs": "TABLES"}));
    twice(json!({"roles": "reader", "type": "group", "objs": "owner", "grant_option": true}));
    twice(json!({"roles": "PUBLIC", "privs": "SELECT", "objs": "goods"}));
    let unknown = json!({"roles": "nosuch", "privs": "SELECT", "objs": "goods"});
    host.expect(
        "postgresql_privs",
        db(unknown),
        json!({"failed": true, "msg": "Role 'nosuch' does not exist"}),
    );
    let soft = json!({"roles": "nosuch", "privs": "SELECT", "objs": "goods", "fail_on_role": false});
    host.expect("postgresql_privs", db(soft), json!({"changed": false, "queries": []}));
    host.expect(
        "postgresql_privs",
        db(json!({"roles": "reader", "privs": "FLY", "objs": "goods"})),
        json!({"failed": true}),
    );
}

fn extensions(server: &Server, host: &mut Host) {
    let mut ext = |more: Json, wanted: Json| {
        let mut args = server.args(more);
        args["login_db"] = json!("shop");
        host.expect("postgresql_ext", args, wanted)
    };
    let there = json!({"changed": false, "prev_version": "1.0", "version": "1.0", "queries": []});
    ext(json!({"name": "plpgsql"}), there);
    ext(json!({"name": "plpgsql", "comment": "it's"}), json!({"changed": true}));
    ext(json!({"name": "plpgsql", "comment": "it's"}), json!({"changed": false}));
    let unknown = json!({"failed": true, "msg": "Extension nosuch is not available"});
    ext(json!({"name": "nosuch"}), unknown);
    ext(json!({"name": "nosuch", "state": "absent"}), json!({"changed": false, "version": ""}));
}

fn databases(server: &Server, host: &mut Host) {
    let checked = host.check("postgresql_db", server.args(json!({"name": "shop"})));
    assert_eq!((&checked["changed"], &checked["executed_commands"]), (&json!(true), &json!([])));
    let dump = "W/dump.sql.gz";
    let mut db = |more: Json, wanted: Json| host.expect("postgresql_db", server.args(more), wanted);
    let command = "CREATE DATABASE \"shop\" ENCODING 'UTF8'";
    db(
        json!({"name": "shop", "encoding": "UTF8"}),
        json!({"changed": true, "db": "shop", "executed_commands": [command]}),
    );
    db(json!({"name": "shop", "encoding": "utf-8"}), json!({"changed": false, "executed_commands": []}));
    db(
        json!({"name": "shop", "encoding": "LATIN1"}),
        json!({"failed": true, "msg": "Changing database encoding is not supported. Current encoding: UTF8"}),
    );
    db(
        json!({"name": "shop", "owner": "owner", "conn_limit": "5", "comment": "it's"}),
        json!({"changed": true}),
    );
    db(
        json!({"name": "shop", "owner": "owner", "conn_limit": "5", "comment": "it's"}),
        json!({"changed": false}),
    );
    let kept = server.dir.path().join("in.sql");
    std::fs::write(&kept, "CREATE TABLE goods (name text); INSERT INTO goods VALUES ('nail');\n").unwrap();
    db(json!({"name": "shop", "state": "restore", "target": kept}), json!({"changed": true, "rc": 0}));
    db(json!({"name": "shop", "state": "dump", "target": dump}), json!({"changed": true}));
    db(json!({"name": "copy"}), json!({"changed": true}));
    db(json!({"name": "copy", "state": "restore", "target": dump}), json!({"changed": true}));
    db(json!({"name": "copy", "state": "rename", "target": "other"}), json!({"changed": true}));
    db(json!({"name": "copy", "state": "rename", "target": "other"}), json!({"changed": false}));
    db(
        json!({"name": "none", "state": "dump", "target": dump}),
        json!({"failed": true, "msg": "source database \"none\" does not exist"}),
    );
    db(json!({"name": "other", "state": "absent", "force": true}), json!({"changed": true}));
    db(json!({"name": "other", "state": "absent"}), json!({"changed": false}));
    let away = db(json!({"name": "shop", "login_unix_socket": "/nowhere"}), json!({"failed": true}));
    assert!(away["msg"].as_str().unwrap().starts_with("unable to connect to database:"), "{away}");
    assert!(Path::new(&host.path("dump.sql.gz")).exists());
}
