//! Keys, requests for certificates and certificates, beside what `community.crypto` returned for the same tasks one after
//! the other and the files that it made (`recorded/crypto.json`).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use catalog::Json;
use serde::Deserialize;
use serde_json::json;

use crate::host::Host;

#[derive(Deserialize)]
struct Recording {
    tasks: Vec<Recorded>,
    /// Mode and content of files in the end; no content: it holds what is random.
    files: BTreeMap<String, (String, Option<String>)>,
}

#[derive(Deserialize)]
struct Recorded {
    task: String,
    module: String,
    args: Json,
    #[serde(default)]
    check: bool,
    wanted: BTreeMap<String, Json>,
}

fn openssl(args: &[&str]) -> Option<String> {
    let output = Command::new("openssl").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn has_openssl(test: &str) -> bool {
    let there = openssl(&["version"]).is_some_and(|version| version.starts_with("OpenSSL 3"));
    if !there {
        println!("SKIPPED {test}: there is no OpenSSL 3");
    }
    there
}

/// What the result says of this, in the form in which it is recorded.
fn told(result: &Json, key: &str) -> Json {
    match key {
        "failed" => json!(result["failed"] == true),
        "fingerprint" => json!(!result["fingerprint"].is_null()),
        "backup_file" => json!(result["backup_file"].is_string()),
        "knows" => {
            let mut keys: Vec<&String> = result["diff"]["before"].as_object().unwrap().keys().collect();
            keys.sort();
            keys.truncate(3);
            json!(keys)
        }
        _ => result[key].clone(),
    }
}

#[test]
fn keys_and_certificates_are_made_as_recorded() {
    if !has_openssl("keys_and_certificates_are_made_as_recorded") {
        return;
    }
    let recording: Recording = serde_json::from_str(include_str!("recorded/crypto.json")).unwrap();
    // A passphrase of the recording is hidden wherever it stands in a result, in paths, too.
    let mut host = std::iter::repeat_with(Host::new).find(|host| !host.path("").contains('x')).unwrap();
    ["k", "c", "x"].iter().for_each(|dir| std::fs::create_dir(host.path(dir)).unwrap());
    let mut wrong = Vec::new();
    for Recorded { task, module, args, check, wanted } in recording.tasks {
        if let (Some(content), Some(dest)) = (args["content"].as_str(), args["dest"].as_str()) {
            host.put(dest.trim_start_matches("W/"), content);
            continue;
        }
        let result = if check { host.check(&module, args) } else { host.run(&module, args) };
        for (key, value) in wanted {
            let value: Json = serde_json::from_str(&value.to_string().replace("W/", &host.path(""))).unwrap();
            let same = match key.as_str() {
                // Others know more of a certificate than what must be the same each time.
                "after" => {
                    let is = &result["diff"]["after"];
                    let differs = |(key, value): &(&String, &Json)| is[key.as_str()] != **value;
                    let others: Vec<_> = value.as_object().unwrap().iter().filter(differs).collect();
                    if !others.is_empty() {
                        wrong.push(format!("{task}: diff {others:?} of {is}"));
                    }
                    continue;
                }
                _ => told(&result, &key),
            };
            if same != value {
                wrong.push(format!("{task}: {key} is {same}, not {value}: {}", result["msg"]));
            }
        }
    }
    for (name, (mode, content)) in recording.files {
        let meta = std::fs::metadata(host.path(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        if format!("{:04o}", meta.mode() & 0o7777) != mode {
            wrong.push(format!("{name}: mode {:o}", meta.mode()));
        }
        // A signature by RSA or Ed25519 is the same each time: so is every byte.
        if content.is_some_and(|content| content != host.get(&name)) {
            wrong.push(format!("{name}: another content"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    host.bye();
}

#[test]
fn a_chain_of_certificates_is_verified_by_openssl() {
    if !has_openssl("a_chain_of_certificates_is_verified_by_openssl") {
        return;
    }
    let mut host = Host::new();
    for (name, kind) in [("ca", "Ed448"), ("own", "ECC")] {
        let args =
            json!({"path": format!("W/{name}.key"), "type": kind, "curve": "secp384r1", "passphrase": "a b"});
        assert_eq!(host.run("openssl_privatekey", args)["changed"], true);
    }
    let csr = |name: &str| {
        json!({"path": format!("W/{name}.csr"), "common_name": format!("{name}.example.org"),
            "privatekey_path": format!("W/{name}.key"), "privatekey_passphrase": "a b"})
    };
    let mut ca = csr("ca");
    ca["basic_constraints"] = json!(["CA:TRUE"]);
    ca["basic_constraints_critical"] = json!(true);
    ca["key_usage"] = json!(["keyCertSign"]);
    host.run("openssl_csr", ca);
    host.run("openssl_csr", csr("own"));
    let made = host.run(
        "x509_certificate",
        json!({"path": "W/ca.crt", "provider": "selfsigned", "csr_path": "W/ca.csr",
        "privatekey_path": "W/ca.key", "privatekey_passphrase": "a b"}),
    );
    assert_eq!(made["changed"], true, "{made}");
    let own = json!({"path": "W/own.crt", "provider": "ownca", "csr_path": "W/own.csr", "ownca_path": "W/ca.crt",
        "ownca_privatekey_path": "W/ca.key", "ownca_privatekey_passphrase": "a b", "ownca_not_after": "+1d"});
    assert_eq!(host.run("x509_certificate", own.clone())["changed"], true);
    assert_eq!(host.run("x509_certificate", own)["changed"], false);
    let said = openssl(&["verify", "-x509_strict", "-CAfile", &host.path("ca.crt"), &host.path("own.crt")]);
    assert!(said.is_some_and(|said| said.trim().ends_with(": OK")));
    let key = std::fs::read_to_string(host.path("own.key")).unwrap();
    assert!(key.contains("ENCRYPTED"), "{key}");
    host.bye();
}

#[test]
fn a_host_without_openssl_is_told_so() {
    let mut host = Host::new();
    let mut call = host.call("openssl_privatekey", json!({"path": "W/key"}));
    call.environment.insert("PATH".to_owned(), "/nowhere".to_owned());
    let result = host.run_call(call);
    assert_eq!(
        result["msg"],
        "this module needs the program `openssl` on the host, and there is none: install openssl",
        "{result}"
    );
    assert!(!std::path::Path::new(&host.path("key")).exists());
    host.bye();
}
