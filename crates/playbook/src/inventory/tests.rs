//! Inventories against what `ansible-inventory` 2.19 printed for them (recorded beside each in
//! `tests/fixtures/inventory`), and the messages for broken ones.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::*;
use crate::diagnostic::Sources;
use crate::vault::Vault;

fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/inventory")).join(name)
}

fn load(folder_name: &str, source: &str) -> Inventory {
    let vault = Vault::new();
    Inventory::load(&[source.to_owned()], &LoadOptions::new(folder(folder_name), &vault)).unwrap()
}

fn read(text: &str, name: &str) -> Result<Inventory> {
    let file = std::env::temp_dir().join(format!("theseus-inventory-{}-{name}", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let vault = Vault::new();
    let options = LoadOptions::new("/", &vault);
    let result = Inventory::load(&[file.to_string_lossy().into_owned()], &options);
    std::fs::remove_file(&file).unwrap();
    result
}

const RECORDED: [(&str, &str); 8] = [
    ("quirks", "hosts"),
    ("yamls", "hosts.yml"),
    ("scripts", "inv.sh"),
    ("scriptold", "inv.sh"),
    ("dirs", "inv"),
    ("merge", "hosts"),
    ("tomls", "hosts.toml"),
    ("json", "hosts.json"),
];

#[test]
fn lists_what_ansible_lists() {
    for (name, source) in RECORDED {
        let inventory = load(name, source);
        let expected_text = std::fs::read_to_string(folder(name).join("list.json")).unwrap();
        let host_vars = |host: &str| inventory.vars_of(host);
        let group_vars = |group: &str| inventory.groups[group].vars.clone();
        let report = Report { inventory: &inventory, host_vars: &host_vars, group_vars: &group_vars };
        let found_text = report.list().unwrap();
        if found_text != expected_text {
            let found: Json = serde_json::from_str(&found_text).unwrap();
            let expected: Json = serde_json::from_str(&expected_text).unwrap();
            assert_eq!(found, expected, "{name}");
            let differing =
                found_text.lines().zip(expected_text.lines()).find(|(found, expected)| found != expected);
            panic!("{name}: the same JSON in another form: {differing:?}");
        }
        let expected = std::fs::read_to_string(folder(name).join("graph.txt")).unwrap();
        assert_eq!(report.graph("all", true).unwrap().unwrap(), expected, "{name}");
        assert!(report.graph("no-such-group", false).is_none());
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    let mut text = String::new();
    for (number, broken) in [
        "[a:children]\nb\n",
        "[a:vars]\nx=1\n",
        "h x\n",
        "[a:foo]\nx\n",
        "[a]\nh \"x\n",
        "[a b]\nh\n",
        "h[1:3\n",
        "[a]\n[a:vars]\nnoequals\n",
        "[a]\nh[01:003]\n",
        "[a]\nh[1:5:0]\n",
        "[a]\nh[1:99999999999]\n",
        "[a:children]\nb\n[b:children]\na\n",
        "[a:children]\na\n",
        "[a]\nh x={{ foo }}\n",
        "all:\n  hosts:\n    - a\n",
        "all:\n  hosts:\n    a: 5\n",
        "all: 3\nb:\n",
        "plugin: aws_ec2\nregions: []\n",
        "all:\n  children:\n    x:\n      children:\n        all:\n",
    ]
    .iter()
    .enumerate()
    {
        let error =
            read(broken, &format!("broken{number}")).err().unwrap_or_else(|| panic!("passed: {broken}"));
        let place = error.origin.as_ref().map(|origin| format!("{}:{}", origin.line, origin.column));
        let hint = error.hint.unwrap_or_default();
        text.push_str(&format!("{broken:?}\n  {} {}\n  {hint}\n", place.unwrap_or_default(), error.message));
    }
    insta::assert_snapshot!(text);
    assert!(read("#!/bin/sh\n", "program").err().unwrap().message.contains("not executable"));
}

#[test]
fn a_failing_source_in_a_lenient_run_is_a_warning() {
    let vault = Vault::new();
    let mut options = LoadOptions::new(folder("dirs"), &vault);
    options.lenient = true;
    let sources = ["nowhere".to_owned(), "inv/01-first".to_owned()];
    let inventory = Inventory::load(&sources, &options).unwrap();
    assert_eq!(inventory.warnings.len(), 1);
    assert!(inventory.warnings[0].render(&Sources::new()).starts_with("warning: the inventory source"));
    assert_eq!(inventory.hosts_of("web"), ["w1", "w2"]);
    options.lenient = false;
    assert!(Inventory::load(&sources, &options).is_err());
}

#[test]
fn hosts_on_the_command_line() {
    let vault = Vault::new();
    let options = LoadOptions::new("/nowhere", &vault);
    let inventory = Inventory::load(&["a, b:2222,c[1:2],[::1]:22,2001:db8::5,".into()], &options).unwrap();
    assert_eq!(inventory.hosts_of(ALL), ["a", "b", "c1", "c2", "::1", "2001:db8::5"]);
    assert_eq!(inventory.hosts["b"].vars["ansible_port"].as_i64(), Some(2222));
    assert!(inventory.sources.is_empty());
    assert!(Inventory::load(&["lonely".into()], &options).err().unwrap().hint.unwrap().contains("comma"));
}

#[test]
fn several_sources_add_up() {
    let vault = Vault::new();
    let options = LoadOptions::new(folder(""), &vault);
    let sources = ["merge/hosts".to_owned(), "yamls/hosts.yml".to_owned(), "extra,".to_owned()];
    let inventory = Inventory::load(&sources, &options).unwrap();
    assert_eq!(inventory.group_names("h1"), ["a_top", "b_mid", "c_low", "p_side", "y_side", "z_side"]);
    assert_eq!(inventory.group_names("extra"), ["ungrouped"]);
    let order: Vec<&str> = inventory.groups_of("h1").into_iter().map(|group| group.name.as_str()).collect();
    assert_eq!(order, ["all", "p_side", "a_top", "y_side", "z_side", "b_mid", "c_low"]);
    assert_eq!(inventory.sources.len(), 2);
}

#[test]
fn hosts_and_groups_at_run_time() {
    let mut inventory = load("merge", "hosts");
    let vars = Vars::from([("x".to_owned(), Value::Int(1))]);
    assert!(inventory.add_host("new", &["fresh".into(), "c_low".into()], vars.clone()));
    assert!(!inventory.add_host("new", &["fresh".into()], vars));
    assert_eq!(inventory.group_names("new"), ["a_top", "b_mid", "c_low", "fresh"]);
    assert_eq!(inventory.vars_of("new")["who"].as_str(), Some("c_low"));
    assert!(inventory.add_host("alone", &[], Vars::new()));
    assert_eq!(inventory.group_names("alone"), ["ungrouped"]);
    assert!(inventory.add_to_group("alone", "os_Debian", &["fresh".into()]).unwrap());
    assert!(!inventory.add_to_group("alone", "os_Debian", &["fresh".into()]).unwrap());
    assert_eq!(inventory.group_names("alone"), ["fresh", "os_Debian"]);
    assert_eq!(inventory.groups["os_Debian"].depth, 2);
    assert!(inventory.groups[UNGROUPED].hosts.is_empty());
    assert!(inventory.add_to_group("alone", "fresh", &["os_Debian".into()]).is_err());
    assert!(inventory.host_or_implicit("localhost").unwrap().implicit);
    assert!(inventory.host_or_implicit("elsewhere").is_none());
}

#[test]
fn secrets_stay_encrypted_when_the_inventory_is_shown() {
    let mut vault = Vault::new();
    vault.add_password("default", "pw");
    let secret = vault.encrypt(b"sesame", None, None).unwrap();
    let file = std::env::temp_dir().join(format!("theseus-inventory-{}-secret.yml", std::process::id()));
    let body = secret.replace('\n', "\n          ");
    std::fs::write(&file, format!("all:\n  hosts:\n    h:\n      p: !vault |\n          {body}\n")).unwrap();
    let mut options = LoadOptions::new("/", &vault);
    let source = [file.to_string_lossy().into_owned()];
    let inventory = Inventory::load(&source, &options).unwrap();
    assert_eq!(inventory.vars_of("h")["p"].as_str(), Some("sesame"));
    options.keep_encrypted = true;
    let inventory = Inventory::load(&source, &options).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (host_vars, group_vars) = (|host: &str| inventory.vars_of(host), |_: &str| Vars::new());
    let report = Report { inventory: &inventory, host_vars: &host_vars, group_vars: &group_vars };
    for shown in
        [report.list().unwrap(), report.host("h").unwrap(), report.graph("all", true).unwrap().unwrap()]
    {
        assert!(shown.contains("$ANSIBLE_VAULT") && !shown.contains("sesame"), "{shown}");
    }
}

/// A small generator, so that the same inputs are tried everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn mutated_inventories_never_panic() {
    let vault = Vault::new();
    let path: std::sync::Arc<Path> = std::sync::Arc::from(Path::new("hosts"));
    let texts = [("quirks", "hosts"), ("merge", "hosts"), ("yamls", "hosts.yml"), ("tomls", "hosts.toml")]
        .map(|(name, file)| std::fs::read(folder(name).join(file)).unwrap());
    let mut random = Random(11);
    for round in 0..6000 {
        let mut bytes = texts[round % texts.len()].clone();
        for _ in 0..=random.below(5) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = b"[]:=#'\"{}\n \\0aZ"[random.below(15)],
                1 => drop(bytes.drain(at..bytes.len().min(at + 7))),
                _ => bytes.insert(at, b"[]:=#'\"{}\n \\0aZ"[random.below(15)]),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut inventory = Inventory::default();
        if round % texts.len() < 2 {
            let _ = ini::read(&text, &path, &mut inventory);
        } else if let Ok(loaded) = crate::yaml::load_str(&text, "hosts".as_ref() as &Path)
            && let Some(node) = loaded.node
        {
            let _ = tree::read(&node, &|node| node.to_value(&vault), &mut inventory);
        }
        inventory.settle();
        let hosts = inventory.hosts_of(ALL);
        assert_eq!(hosts.len(), inventory.hosts.len());
    }
}
