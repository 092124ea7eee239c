//! What the reference's own modules returned and left behind, recorded; ours must do the same. Here for modules
//! of collections, which ansible-core alone does not have.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use catalog::Json;
use serde::Deserialize;

use crate::host::Host;

#[derive(Deserialize)]
struct Recording {
    tasks: Vec<Recorded>,
    /// Mode and content of every file in the end.
    files: BTreeMap<String, (String, String)>,
}

#[derive(Deserialize)]
struct Recorded {
    task: String,
    module: String,
    args: Json,
    check: bool,
    result: Json,
}

/// Tasks one after the other on what a script prepared, and the values that are wanted of each.
#[derive(Deserialize)]
struct InOrder {
    tasks: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    task: String,
    module: String,
    args: Json,
    #[serde(default)]
    check: bool,
    wanted: BTreeMap<String, Json>,
}

/// Runs a script that makes, in the host's working directory, what the tasks are about.
pub(crate) fn prepare(host: &Host, script: &str) {
    host.put("prepare", script);
    let done = Command::new("sh").arg(host.path("prepare")).arg(host.work()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

pub(crate) fn in_order(host: &mut Host, recording: &str) {
    let recording: InOrder = serde_json::from_str(recording).unwrap();
    let mut wrong = Vec::new();
    for Wanted { task, module, args, check, wanted } in recording.tasks {
        let result = if check { host.check(&module, args) } else { host.run(&module, args) };
        for (key, value) in wanted {
            let value: Json = serde_json::from_str(&value.to_string().replace("W/", &host.path(""))).unwrap();
            let is = if key == "failed" { (result["failed"] == true).into() } else { result[&key].clone() };
            if is != value {
                wrong.push(format!("{task}: `{key}` is {is}, not {value}: {}", result["msg"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_of_collections_do_as_recorded() {
    replay(include_str!("recorded/files.json"));
}

#[test]
fn passwords_of_web_servers_are_kept_as_recorded() {
    if agent::command::find_program("perl").is_none() {
        println!("SKIPPED passwords_of_web_servers_are_kept_as_recorded: there is no `perl`");
        return;
    }
    replay(include_str!("recorded/htpasswd.json"));
}

fn replay(recording: &str) {
    let recording: Recording = serde_json::from_str(recording).unwrap();
    let mut host = Host::new();
    for dir in ["repos", "sudoers.d"] {
        std::fs::create_dir(host.path(dir)).unwrap();
    }
    for recorded in recording.tasks {
        let Recorded { task, module, args, check, result } = recorded;
        let got = match (module.as_str(), args.get("content"), args.get("dest").and_then(Json::as_str)) {
            // What an action of the controller does, done here.
            ("ansible.builtin.copy", Some(Json::String(text)), Some(dest)) => {
                host.put(dest.trim_start_matches("W/"), text);
                continue;
            }
            _ if check => host.check(&module, args.clone()),
            _ => host.run(&module, args.clone()),
        };
        host.compare(&got, &result, &format!("{module} ({task})"), &args);
    }
    for (name, (mode, content)) in recording.files {
        let meta = std::fs::metadata(host.path(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(format!("{:04o}", meta.mode() & 0o7777), mode, "{name}");
        assert_eq!(host.get(&name), content, "{name}");
    }
    host.bye();
}

#[test]
fn a_copy_of_limits_is_kept_although_nothing_changes() {
    let mut host = Host::new();
    host.put("limits", "* soft nofile 10\n");
    let args = serde_json::json!({
        "domain": "*", "limit_type": "soft", "limit_item": "nofile", "value": 10, "dest": "W/limits", "backup": true
    });
    let result = host.run("community.general.pam_limits", args);
    assert_eq!(result["changed"], false, "{result}");
    let copy = result["backup_file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "* soft nofile 10\n");
    host.bye();
}
