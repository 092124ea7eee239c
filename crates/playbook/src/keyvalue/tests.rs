//! Splitting against what `ansible-core` 2.19 answered (recorded in `tests/fixtures/keyvalue.json`: everyday
//! arguments, then several hundred random ones).

use serde_json::{Value as Json, json};

use super::*;

fn as_json(result: Result<KeyValues>) -> Json {
    let Ok(parsed) = result else { return Json::Null };
    let mut object: serde_json::Map<String, Json> =
        parsed.pairs.into_iter().map(|(key, value)| (key, Json::String(value))).collect();
    if let Some(raw) = parsed.raw {
        object.insert("_raw_params".into(), json!(raw));
    }
    Json::Object(object)
}

#[test]
fn splits_as_ansible_does() {
    let text = include_str!("../../tests/fixtures/keyvalue.json");
    let cases: Vec<Json> = serde_json::from_str(text).unwrap();
    assert!(cases.len() > 400);
    let mut wrong = Vec::new();
    for case in &cases {
        let input = case["in"].as_str().unwrap();
        let words = split(input).map_or(Json::Null, |words| json!(words));
        for (name, found) in
            [("split", words), ("kv", as_json(parse(input))), ("raw", as_json(parse_free_form(input)))]
        {
            if found != case[name] {
                wrong.push(format!("{name} {input:?}: {found}, expected {}", case[name]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn splits_like_a_shell() {
    for (text, comments, expected) in [
        ("a b  c", false, Ok(vec!["a", "b", "c"])),
        ("a 'b c' \"d \\\" e\"", false, Ok(vec!["a", "b c", "d \" e"])),
        ("a\\ b 'c'\"d\"e", false, Ok(vec!["a b", "cde"])),
        ("'' \"\"", false, Ok(vec!["", ""])),
        ("a #b c", true, Ok(vec!["a"])),
        ("a#b c", true, Ok(vec!["a"])),
        ("a '#b' \"#c\"", true, Ok(vec!["a", "#b", "#c"])),
        ("a #b", false, Ok(vec!["a", "#b"])),
        ("\"a\\nb\"", false, Ok(vec!["a\\nb"])),
        ("", false, Ok(vec![])),
        ("'a", false, Err("a quote is not closed")),
        ("a\\", false, Err("a backslash at the end escapes nothing")),
    ] {
        let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(shell_split(text, comments), expected, "{text}");
    }
}
