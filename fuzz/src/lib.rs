//! What is fuzzed: each function reads one input and must neither panic nor hang, whatever it is. A panic is what libFuzzer
//! and the test of the corpora (in `crates/playbook`) report; results are of no interest here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::{Context, Engine, Error, Options, Origin, Str, Value};
use playbook::inventory::{Inventory, LoadOptions};
use playbook::vault::Vault;

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

pub fn yaml(input: &[u8]) {
    let text = text(input);
    if let Ok((nodes, _)) = playbook::yaml::load_all_str(&text, Path::new("fuzz.yml")) {
        for node in nodes {
            let value = node.to_value(&Vault::new());
            let _ = value.python_repr();
        }
    }
}

/// A few variables, to have something to go wrong with.
struct Few;

impl Context for Few {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(match name {
            "x" => Some(Value::from("text".to_owned())),
            "n" => Some(Value::Int(7)),
            "items" => Some(Value::list(vec![Value::Int(1), Value::from("two".to_owned()), Value::None])),
            "d" => Some(Value::from_json(&serde_json::json!({"a": {"b": [1, 2, {"c": "deep"}]}, "k": "v"}))),
            _ => None,
        })
    }
    fn names(&self) -> Vec<String> {
        ["x", "n", "items", "d"].map(str::to_owned).to_vec()
    }
    fn lookup(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        Err(Error::new(format!("there is no lookup {name} here")))
    }
    fn template_source(&self, name: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok((name == "self").then(|| (PathBuf::from("self"), "{% include 'self' %}".to_owned())))
    }
}

fn trusted(text: String) -> Str {
    Str::trusted(text, Arc::new(Origin::new(Path::new("fuzz"), 1, 1)))
}

pub fn template(input: &[u8]) {
    let source = text(input);
    let engine = Engine::new();
    let _ = engine.render(&trusted(source.clone()), &Few).and_then(|value| value.resolved());
    let _ = engine.render_file(Path::new("fuzz.j2"), &source, &Options::default(), &Few);
    let _ = engine.outline_file(Path::new("fuzz.j2"), &source, &Options::default());
    let older = Engine::with_options(Options { lenient: true, text_templates: true, ..Options::default() });
    let _ = older.render(&trusted(source), &Few).and_then(|value| value.resolved());
}

pub fn expression(input: &[u8]) {
    let source = trusted(text(input));
    let engine = Engine::new();
    let _ = engine.evaluate(&source, &Few).and_then(|value| value.resolved());
    let _ = engine.outline_expression(&source);
}

pub fn inventory(input: &[u8]) {
    let vault = Vault::new();
    let dir = std::env::temp_dir().join(format!("theseus-fuzz-inventory-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&dir);
    for name in ["hosts", "hosts.yml", "hosts.toml"] {
        let path = dir.join(name);
        if std::fs::write(&path, input).is_err() {
            continue;
        }
        let read = Inventory::load(&[path.display().to_string()], &LoadOptions::new(&dir, &vault));
        if let Ok(inventory) = read {
            let names: Vec<String> = inventory.hosts.keys().take(5).cloned().collect();
            for name in &names {
                let _ = (inventory.vars_of(name), inventory.group_names(name));
            }
            let first = text(input).lines().next().unwrap_or_default().to_owned();
            let _ = inventory.selection(&["all".to_owned()], Some(&first), &dir);
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}

pub fn vault(input: &[u8]) {
    let mut vault = Vault::new();
    vault.add_password("default", "secret");
    let _ = vault.decrypt(&text(input));
}

pub fn keyvalue(input: &[u8]) {
    let text = text(input);
    let _ = playbook::keyvalue::parse(&text);
    let _ = playbook::keyvalue::parse_free_form(&text);
}
