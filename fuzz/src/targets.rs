//! What is fed: each target reads one input and must neither panic nor hang, whatever it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::{Context, Engine, Error, Options, Origin, Str, Value};
use playbook::inventory::{Inventory, LoadOptions};
use playbook::vault::Vault;
use playbook::{keyvalue, yaml};

pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
    /// Words of the language, for mutations.
    pub(crate) words: &'static [&'static str],
}

pub(crate) static ALL: &[Target] = &[
    Target { name: "yaml", run: read_yaml, words: YAML },
    Target { name: "template", run: template, words: JINJA },
    Target { name: "expression", run: expression, words: JINJA },
    Target { name: "inventory", run: inventory, words: INVENTORY },
    Target { name: "vault", run: vault, words: VAULT },
    Target { name: "keyvalue", run: pairs, words: PAIRS },
];

const YAML: &[&str] = &[
    "- ",
    ": ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!!str ",
    "!vault |",
    "!unsafe ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "<<: ",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\r\n",
    "null",
    "~",
    "0x1F",
    "1:30",
    "2024-01-01",
    ".inf",
];
const JINJA: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{#",
    "#}",
    "if ",
    "else",
    "endif",
    "for x in ",
    "endfor",
    "set x = ",
    "macro m()",
    "endmacro",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|",
    ".",
    ",",
    "~",
    "+",
    "-",
    "*",
    "**",
    "//",
    "%",
    "not ",
    " and ",
    " or ",
    " is ",
    " in ",
    "x",
    "items",
    "'",
    "\"",
    "1",
    "range(9)",
    "|join(',')",
    "|list",
    "|map('upper')",
    "|default(1)",
    "|to_json",
    "|regex_replace('a','b')",
    "|format(1)",
    "|ipaddr",
    "lookup('x')",
    "m()",
    "loop.index",
    "{%- ",
    " -%}",
    "raw",
    "endraw",
];
const INVENTORY: &[&str] = &[
    "[",
    "]",
    ":vars]",
    ":children]",
    "a=1",
    "b='x y'",
    "[1:3]",
    "[a:c]",
    "[01:10:2]",
    "host",
    "\n",
    "#",
    ";",
    "=",
    "\"",
    "all:\n",
    "  hosts:\n",
    "  children:\n",
    "  vars:\n",
    "{",
    "}",
    "plugin: constructed\n",
    "plugin: generator\n",
    "::1",
    ":22",
    "layers:\n",
    "keyed_groups:\n",
    "compose:\n",
    "!",
    "&",
    "~",
    "*",
    ",",
];
const VAULT: &[&str] = &["$ANSIBLE_VAULT", ";1.1", ";1.2", ";AES256", ";id", "\n", "3", "6", "0a", "ff", " "];
const PAIRS: &[&str] =
    &["a=", "=", "'", "\"", " ", "\\", "\\\"", "{{ ", " }}", "{% ", " %}", "creates=/x", "\n", "\t", ","];

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

fn read_yaml(input: &[u8]) {
    let text = text(input);
    if let Ok((nodes, _)) = yaml::load_all_str(&text, Path::new("fuzz.yml")) {
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

fn template(input: &[u8]) {
    let source = text(input);
    let engine = Engine::new();
    let _ = engine.render(&trusted(source.clone()), &Few).and_then(|value| value.resolved());
    let _ = engine.render_file(Path::new("fuzz.j2"), &source, &Options::default(), &Few);
    let _ = engine.outline_file(Path::new("fuzz.j2"), &source, &Options::default());
}

fn expression(input: &[u8]) {
    let source = trusted(text(input));
    let engine = Engine::new();
    let _ = engine.evaluate(&source, &Few).and_then(|value| value.resolved());
    let _ = engine.outline_expression(&source);
}

fn inventory(input: &[u8]) {
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

fn vault(input: &[u8]) {
    let mut vault = Vault::new();
    vault.add_password("default", "secret");
    let _ = vault.decrypt(&text(input));
}

fn pairs(input: &[u8]) {
    let text = text(input);
    let _ = keyvalue::parse(&text);
    let _ = keyvalue::parse_free_form(&text);
}
