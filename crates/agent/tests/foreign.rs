//! Modules that are not ours, as the controller sends them: in every style, with and without what they need.

use catalog::Json;
use serde_json::json;

use crate::host::Host;

/// Run a module of this text.
#[track_caller]
fn run(host: &mut Host, style: &str, text: &str, interpreter: &str, arguments: Json, wanted: Json) -> Json {
    let digest = layer::Digest::of(text.as_bytes()).to_string();
    host.contents.insert(digest.clone(), text.as_bytes().to_vec());
    let mut args = json!({"name": "thing", "style": style, "arguments": arguments, "payload": digest});
    if interpreter.is_empty() {
        args["candidates"] = json!(["/no/python3", "no-such-python"]);
    } else {
        args["interpreter"] = interpreter.into();
    }
    host.expect("foreign_module", args, wanted)
}

#[test]
fn scripts_get_their_arguments_in_their_way() {
    let mut host = Host::new();
    let old = "#!/bin/sh\n. \"$1\"\necho \"$text\" > \"$dest\"\nprintf '{\"changed\": true, \"n\": %s}' $n\n";
    let arguments = json!({"text": "a b'c", "dest": "W/out", "n": 3});
    run(&mut host, "old", old, "/bin/sh", arguments, json!({"changed": true, "n": 3}));
    assert_eq!(host.get("out"), "a b'c\n");

    let want = "#!/bin/sh\necho words\necho '{\"changed\": false,' \"\\\"line\\\": $(wc -l < \"$1\")\" '}'\necho tail\n";
    let result = run(&mut host, "want_json", want, "/bin/sh -e", json!({"a": 1}), json!({"line": 0}));
    assert_eq!(result["warnings"], json!(["Module invocation had junk after the JSON data: tail"]));

    let failing = "#!/bin/sh\necho '{\"failed\": true, \"msg\": \"no\", \"rc\": 7}'\n";
    run(&mut host, "old", failing, "/bin/sh", json!({}), json!({"failed": true, "msg": "no", "rc": 7}));
    let silent = "#!/bin/sh\necho problem >&2; exit 5\n";
    let wanted = json!({"failed": true, "rc": 5, "module_stderr": "problem\n"});
    run(&mut host, "old", silent, "/bin/sh", json!({}), wanted);
    host.bye();
}

#[test]
fn a_host_without_python_is_told_both_ways_out() {
    let mut host = Host::new();
    let result = run(&mut host, "python", "never read", "", json!({}), json!({"failed": true}));
    let text = result["msg"].as_str().unwrap();
    for word in ["thing", "/no/python3, no-such-python", "install", "a module that Theseus has"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let result = run(&mut host, "python", "x", "/no/python3", json!({}), json!({"failed": true}));
    assert!(result["msg"].as_str().unwrap().contains("/no/python3"), "{result}");
    host.bye();
}

#[test]
fn what_a_foreign_module_writes_is_in_the_layer() {
    let mut host = Host::new();
    let text = "#!/bin/sh\n. \"$1\"\necho new > \"$dest\"\necho '{\"changed\": true}'\n";
    host.put("kept", "old\n");
    run(&mut host, "old", text, "/bin/sh", json!({"dest": "W/kept"}), json!({"changed": true}));
    assert_eq!(host.get("kept"), "new\n");
    let (generation, made) = host.bye();
    assert!(made && generation.is_some(), "a layer was made");
}
