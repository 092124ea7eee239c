//! Patterns against what `ansible-core` 2.19 answered (recorded in `tests/fixtures/patterns.json`).

use std::path::Path;

use serde_json::Value as Json;

use super::*;
use crate::inventory::LoadOptions;
use crate::vault::Vault;

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn inventory() -> Inventory {
    let vault = Vault::new();
    Inventory::load(&["patterns.ini".into()], &LoadOptions::new(fixtures(), &vault)).unwrap()
}

#[test]
fn selects_what_ansible_selects() {
    let inventory = inventory();
    let text = std::fs::read_to_string(fixtures().join("patterns.json")).unwrap();
    let cases: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 60);
    let mut wrong = Vec::new();
    for case in &cases {
        let pattern = case["pattern"].as_str().unwrap();
        let limit = case["limit"].as_str();
        let mut expected: Option<Vec<String>> = serde_json::from_value(case["hosts"].clone()).unwrap();
        let mut found = inventory
            .selection(&[pattern.to_owned()], limit, fixtures())
            .ok()
            .map(|selection| selection.hosts);
        // The order of groups side by side below the first level is left to chance in Ansible.
        if case["ordered"] == false {
            expected.iter_mut().for_each(|hosts| hosts.sort());
            found.iter_mut().for_each(|hosts| hosts.sort());
        }
        if found != expected {
            wrong.push(format!("{pattern:?} {limit:?}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_what_matches_nothing() {
    let inventory = inventory();
    let select = |pattern: &str| inventory.selection(&[pattern.to_owned()], None, fixtures()).unwrap();
    assert_eq!(select("web[0],nosuch,n*pe").unmatched, ["nosuch", "n*pe"]);
    assert_eq!(select("web").unmatched, [""; 0]);
    assert!(inventory.select("~(", None).unwrap_err().message.contains("regular expression"));
    assert!(inventory.select("web", Some("@nowhere")).unwrap_err().message.contains("nowhere"));
    let list = ["web[0]".to_owned(), "db:!shared".to_owned()];
    assert_eq!(
        inventory.selection(&list, None, fixtures()).unwrap().hosts,
        ["web1.example.com", "db1", "db2"]
    );
}

#[test]
fn wildcards() {
    for (pattern, name, expected) in [
        ("a*c", "abbc", true),
        ("a*c", "abbd", false),
        ("*", "", true),
        ("?", "", false),
        ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false),
        ("[]]x", "]x", true),
        ("[ab", "[ab", true),
        ("**a*b*", "xxaxxbxx", true),
        ("a[", "a[", true),
        ("[a-]", "-", true),
        ("ab", "abc", false),
        ("*a", "aaab", false),
    ] {
        assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
    }
}
