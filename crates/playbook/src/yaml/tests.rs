//! YAML: what scalars mean (recorded from PyYAML), structure, marks, and the messages for mistakes.

use std::fmt::Write;
use std::path::Path;

use super::*;
use crate::diagnostic::Sources;

fn load(text: &str) -> Node {
    load_str(text, Path::new("t.yml")).unwrap().node.unwrap()
}

/// A short form that shows kinds.
fn show(node: &Node) -> String {
    match &node.kind {
        Kind::Str { text, .. } => format!("{text:?}"),
        Kind::Seq(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            let entry = |(key, value): &(Node, Node)| format!("{}: {}", show(key), show(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Kind::Vault(_) => "VAULT".into(),
        Kind::Unsafe(inner) => format!("unsafe {}", show(inner)),
        Kind::Date(text) => format!("date {text}"),
        _ => node.scalar_text().unwrap(),
    }
}

#[test]
fn scalars_mean_what_they_mean_to_pyyaml() {
    let text = include_str!("../../tests/fixtures/scalars.json");
    let cases: Vec<(String, String, Option<String>)> = serde_json::from_str(text).unwrap();
    assert!(cases.len() > 1000);
    let mut wrong = Vec::new();
    for (scalar, kind, printed) in cases {
        let found = match load_str(&format!("- {scalar}\n"), Path::new("t.yml")) {
            Ok(loaded) => {
                let list = loaded.node.unwrap();
                let node = list.as_seq().unwrap()[0].clone();
                let kind = match &node.kind {
                    Kind::Null => "NoneType",
                    Kind::Bool(_) => "bool",
                    Kind::Int(_) | Kind::Big(_) => "int",
                    Kind::Float(_) => "float",
                    Kind::Date(text) if text.contains(':') => "datetime",
                    Kind::Date(_) => "date",
                    _ => "str",
                };
                (kind, node.scalar_text())
            }
            Err(_) => ("error", None),
        };
        if found != (kind.as_str(), printed.clone()) {
            wrong.push(format!("{scalar:?}: {found:?}, expected {kind} {printed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn structure() {
    for (yaml, expected) in [
        ("a: 1\nb: [x, 'y', \"z\"]\n", r#"{"a": 1, "b": ["x", "y", "z"]}"#),
        ("x: |\n  a\n  b", r#"{"x": "a\nb\n"}"#),
        ("x: >-\n  a\n  b", r#"{"x": "a b"}"#),
        ("yes: no\n2: 3\n~: x\n", r#"{True: False, 2: 3, None: "x"}"#),
        ("true: a\n1: b\n1.0: c\n", r#"{True: "c"}"#),
        ("'yes': 'no'", r#"{"yes": "no"}"#),
        ("a: &x {k: 1}\nb: *x\n", r#"{"a": {"k": 1}, "b": {"k": 1}}"#),
        ("m: {<<: [{a: 1, b: 2}, {b: 3, c: 4}], a: 9}", r#"{"m": {"b": 2, "c": 4, "a": 9}}"#),
        ("m: {a: 1, <<: {a: 2, b: 3}}", r#"{"m": {"a": 1, "b": 3}}"#),
        ("m: {'<<': 1}", r#"{"m": {"<<": 1}}"#),
        (
            "a: !!str 5\nb: !!int \"5\"\nc: !!float 3\nd: !!binary aGk=\ne: !!set {x, y}\n",
            r#"{"a": "5", "b": 5, "c": 3.0, "d": "hi", "e": ["x", "y"]}"#,
        ),
        (
            "a: !unsafe '{{ x }}'\nb: !unsafe [1, x]\nc: !unsafe 5\n",
            r#"{"a": unsafe "{{ x }}", "b": unsafe [1, "x"], "c": unsafe 5}"#,
        ),
        (
            "{\"a\": \"\\ud83d\\ude00\", \"b\": [1.5, null, true]}",
            "{\"a\": \"😀\", \"b\": [1.5, None, True]}",
        ),
        ("d: 2024-01-01", r#"{"d": date 2024-01-01}"#),
        ("---\n- a\n...\n", r#"["a"]"#),
        ("\u{feff}a: 1", r#"{"a": 1}"#),
        ("v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  30\n", r#"{"v": VAULT}"#),
    ] {
        assert_eq!(show(&load(yaml)), expected, "{yaml}");
    }
    assert!(load_str("# nothing\n", Path::new("t.yml")).unwrap().node.is_none());
    assert!(load("---\n").is_null());
    assert_eq!(load_all_str("a\n---\nb\n", Path::new("t.yml")).unwrap().0.len(), 2);
}

#[test]
fn places_are_those_of_the_first_character() {
    let root = load("a: 1\nlist:\n  - x: \"é\" \n    y: {z: *w}\n".replace("*w", "w").as_str());
    let list = root.get("list").unwrap();
    let item = &list.as_seq().unwrap()[0];
    let place = |node: &Node| (node.origin.line, node.origin.column);
    assert_eq!(place(&root), (1, 1));
    assert_eq!(place(list), (3, 3));
    assert_eq!(place(item.get("x").unwrap()), (3, 8));
    assert_eq!(place(item.get("y").unwrap().get("z").unwrap()), (4, 12));
}

/// The common mistakes, as people see them.
#[test]
fn mistakes_are_explained() {
    let mut text = String::new();
    for broken in [
        "- hosts: all\n  vars:\n    a: {{ b }}\n",
        "- debug:\n    msg: {{ a }} b\n",
        "- {{ a }}\n",
        "- hosts: all\n\ttasks: []\n",
        "a: b: c\n",
        "key: value: \"other\"\n",
        "a:\n  name:value\n  other: x\n",
        "a: \"unclosed\nb: 1\n",
        "a: 'it's'\n",
        "a: \"x\" y\n",
        "a: @home\n",
        "a: %x\n",
        "a: `x`\n",
        "a: [1, 2\nb: 3\n",
        "a:\n  - b\n c: d\n",
        "a: *nothing\n",
        "a: &x [*x]\n",
        "a: !foo 3\n",
        "a: !vault 5\n",
        "a: !vault\n  b: 1\n",
        "? [a]\n: b\n",
        "<<: 5\n",
        "a: 2024-13-45\n",
        "a: \"\\q\"\n",
        "a: \u{7}\n",
        "a\n---\nb\n",
        "a: !!int x\n",
        "- a\nb: c\n",
    ] {
        let error =
            load_str(broken, Path::new("site.yml")).err().unwrap_or_else(|| panic!("passed: {broken}"));
        let sources = Sources::new();
        sources.add("site.yml", broken);
        writeln!(text, "{}", error.render(&sources)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn duplicate_keys_are_warned_of_and_the_last_wins() {
    let loaded = load_str("a: 1\nb: 2\na: 3\nc: {<<: {x: 1}, x: 2}\n", Path::new("site.yml")).unwrap();
    assert_eq!(show(&loaded.node.unwrap()), r#"{"a": 3, "b": 2, "c": {"x": 2}}"#);
    let sources = Sources::new();
    sources.add("site.yml", "a: 1\nb: 2\na: 3\n");
    let shown: String = loaded.warnings.iter().map(|warning| warning.render(&sources)).collect();
    insta::assert_snapshot!(shown, @r"
    warning: the key 'a' is given twice; the last one counts
     --> site.yml:3:1
      |
    3 | a: 3
      | ^
    note: given here before
     --> site.yml:1:1
      |
    1 | a: 1
      | ^
    ");
}

#[test]
fn a_tag_before_a_comma_is_refused() {
    // The parser cannot read these.
    let error = load_str("a: [x, !unsafe, y]\n", Path::new("t.yml")).unwrap_err();
    assert_eq!(error.origin.unwrap().to_string(), "t.yml:1:8");
    assert!(error.hint.unwrap().contains("space"));
    assert_eq!(show(&load("a: 'x !y, z'\n")), r#"{"a": "x !y, z"}"#);
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        let many = vec![format!("*a{below}"); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{many}]").unwrap();
    }
    assert!(load_str(&bomb, Path::new("t.yml")).unwrap_err().message.contains("too large"));
    for open in ["[", "{a: ", "- ", "? "] {
        let deep = open.repeat(5000);
        assert!(load_str(&deep, Path::new("t.yml")).is_err(), "{open}");
    }
}

#[test]
fn values_carry_their_marks() {
    let mut vault = Vault::new();
    vault.add_password("default", "pw");
    let secret = vault.encrypt(b"{{ x }}", None, None).unwrap().replace('\n', "\n    ");
    let text =
        format!("a: '{{{{ x }}}}'\nb: !unsafe '{{{{ x }}}}'\ns: !vault |\n    {secret}\nn: [1, 2.5, null]\n");
    let node = load(&text);
    let value = node.to_value(&vault);
    let get = |name: &str| value.get_item(&expressions::Value::str(name)).unwrap();
    let str_of = |name: &str| match get(name) {
        expressions::Value::Str(text) => text,
        _ => panic!("{name} is not text"),
    };
    assert!(str_of("a").is_template());
    assert_eq!(str_of("a").origin().unwrap().to_string(), "t.yml:1:4");
    assert!(!str_of("b").is_trusted());
    assert_eq!(str_of("s").as_str(), "{{ x }}");
    assert!(!str_of("s").is_trusted(), "what was encrypted is no template");

    // Without the password: fine until it is used, and then the place is named.
    let value = node.to_value(&Vault::new());
    let secret = value.get_item(&expressions::Value::str("s")).unwrap();
    let error = reveal(&secret).unwrap().err().unwrap();
    assert!(error.message.contains("no vault password"));
    assert_eq!(error.origin.unwrap().line, 3);
    assert!(secret.truth().is_err());

    let lazy = node.to_lazy_value(&vault).get_item(&expressions::Value::str("s")).unwrap();
    assert_eq!(reveal(&lazy).unwrap().unwrap().as_str(), Some("{{ x }}"));
    assert!(reveal(&expressions::Value::str("x")).is_none());
}

#[test]
fn encrypted_files_are_decrypted() {
    let mut vault = Vault::new();
    vault.add_password("default", "swordfish");
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vault/v11.yml"));
    let node = load_file(file, &vault).unwrap().node.unwrap();
    assert_eq!(node.get("secret").unwrap().as_str(), Some("häßlich {{ x }}"));
    let error = load_file(file, &Vault::new()).unwrap_err();
    assert_eq!(error.origin.unwrap().file.as_ref(), file);
    assert!(load_file(Path::new("/nowhere.yml"), &vault).unwrap_err().message.contains("/nowhere.yml"));
}

#[test]
fn mutated_texts_never_panic() {
    let sample = "- hosts: all\n  vars: &v\n    a: \"x {{ b }}\" # c\n    <<: {k: [1, 2.5, 0x1f]}\n    t: |\n      line\n       more\n    u: !unsafe 'it''s'\n  tasks:\n    - name: é\n      copy: {dest: /x, mode: 0644}\n      when: *v\n    - ? a\n      : b\n";
    let alphabet = [
        "\t", "\n", " ", ":", "-", "{", "}", "[", "]", "'", "\"", "!", "&", "*", "|", ">", "%", "@", "é",
        "\\", "#", "?", ",", "\u{7}", "<<: ",
    ];
    let mut state = 7_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit
    };
    for _ in 0..8000 {
        let mut chars: Vec<String> = sample.chars().map(String::from).collect();
        for _ in 0..=below(4) {
            let at = below(chars.len());
            match below(3) {
                0 => chars[at] = alphabet[below(alphabet.len())].into(),
                1 => drop(chars.drain(at..chars.len().min(at + 5))),
                _ => chars.insert(at, alphabet[below(alphabet.len())].into()),
            }
        }
        let text = chars.concat();
        let sources = Sources::new();
        sources.add("t.yml", text.as_str());
        match load_str(&text, Path::new("t.yml")) {
            Ok(loaded) => drop(loaded.node.map(|node| node.to_value(&Vault::new()))),
            Err(error) => {
                let shown = error.render(&sources);
                assert!(error.origin.is_some() && shown.contains('^'), "{shown}\n{text}");
            }
        }
    }
}
