//! `-e` in its forms.

use super::*;

fn parsed(options: &[&str]) -> Result<Vars> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vault"));
    let mut vault = Vault::new();
    vault.add_password("default", "swordfish");
    parse(&options, base, &vault, &Sources::new()).map(|(vars, _)| vars)
}

fn shown(options: &[&str]) -> String {
    let vars = parsed(options).unwrap();
    let shown = |(name, value): (&String, &Value)| format!("{name}={}", value.python_repr().unwrap());
    vars.iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[test]
fn forms() {
    for (options, expected) in [
        (&["a=1 b='x y'"][..], "a='1' b='x y'"),
        (&["a=yes", "a=2"], "a='2'"),
        (&["{\"a\": 1, \"b\": [true, null]}"], "a=1 b=[True, None]"),
        (&["{a: 1, b: yes}"], "a=1 b=True"),
        (&["a: 5"], "a=5"),
        (&["@v11.yml", "a=9"], "a='9' secret='häßlich {{ x }}'"),
        (&["x={{ y }}"], "x='{{ y }}'"),
        (&[""], ""),
        (&["{}"], ""),
        (&["a=b=c"], "a='b=c'"),
    ] {
        assert_eq!(shown(options), expected, "{options:?}");
    }
    assert!(matches!(&parsed(&["x={{ y }}"]).unwrap()["x"], Value::Str(text) if text.is_template()));
}

#[test]
fn mistakes() {
    for (option, words) in [
        ("/etc/vars.yml", "the name of a file"),
        ("./vars.yml", "the name of a file"),
        ("@missing.yml", "cannot be read"),
        ("lonely", "is not a variable"),
        ("[1, 2]", "variables are a mapping"),
        ("{a: 1", "YAML parsing failed"),
        ("a='x", "not closed"),
        ("{1: 2}", "the name of a variable is text"),
        ("a=1 b", "'b' is not a variable"),
    ] {
        let error = parsed(&[option]).err().unwrap();
        assert!(error.message.contains(words), "{option}: {error}");
    }
}
