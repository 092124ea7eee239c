//! Modules that are not ours, as the controller sends them: in every style, with and without what they need.

use base64::Engine as _;
use catalog::Json;
use serde_json::json;

use crate::host::Host;

fn call(style: &str, text: &str, interpreter: &str, arguments: Json) -> Json {
    let payload = base64::engine::general_purpose::STANDARD.encode(text);
    let mut args = json!({
        "name": "thing", "style": style, "arguments": arguments, "payload": "none", "payload_inline": payload,
    });
    if !interpreter.is_empty() {
        args["interpreter"] = interpreter.into();
    }
    args
}

#[test]
fn scripts_get_their_arguments_in_their_way() {
    let mut host = Host::new();
    let old = "#!/bin/sh\n. \"$1\"\necho \"$text\" > \"$dest\"\nprintf '{\"changed\": true, \"n\": %s}' $n\n";
    let args = call("old", old, "/bin/sh", json!({"text": "a b'c", "dest": host.path("out"), "n": 3}));
    host.expect("foreign_module", args, json!({"changed": true, "n": 3}));
    assert_eq!(host.get("out"), "a b'c\n");

    let want = "#!/bin/sh\necho words\necho '{\"changed\": false,' \"\\\"line\\\": $(wc -l < \"$1\")\" '}'\necho tail\n";
    let result = host.expect(
        "foreign_module",
        call("want_json", want, "/bin/sh -e", json!({"a": 1})),
        json!({"line": 0}),
    );
    assert_eq!(result["warnings"], json!(["Module invocation had junk after the JSON data: tail"]));

    let failing = "#!/bin/sh\necho '{\"failed\": true, \"msg\": \"no\", \"rc\": 7}'\n";
    host.expect(
        "foreign_module",
        call("old", failing, "/bin/sh", json!({})),
        json!({"failed": true, "msg": "no", "rc": 7}),
    );
    let silent = "#!/bin/sh\necho problem >&2; exit 5\n";
    let wanted = json!({"failed": true, "rc": 5, "module_stderr": "problem\n"});
    host.expect("foreign_module", call("old", silent, "/bin/sh", json!({})), wanted);
    host.bye();
}

#[test]
fn a_host_without_python_is_told_both_ways_out() {
    let mut host = Host::new();
    let mut args = call("python", "never read", "", json!({}));
    args["candidates"] = json!(["/no/python3", "no-such-python"]);
    let result = host.expect("foreign_module", args, json!({"failed": true}));
    let text = result["msg"].as_str().unwrap();
    for word in ["thing", "/no/python3, no-such-python", "install", "a module that Theseus has"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let result = host.run("foreign_module", call("python", "x", "/no/python3", json!({})));
    assert!(result["msg"].as_str().unwrap().contains("/no/python3"), "{result}");
    host.bye();
}

#[test]
fn what_a_foreign_module_writes_is_in_the_layer() {
    let mut host = Host::new();
    let text = "#!/bin/sh\n. \"$1\"\necho new > \"$dest\"\necho '{\"changed\": true}'\n";
    host.put("kept", "old\n");
    host.expect(
        "foreign_module",
        call("old", text, "/bin/sh", json!({"dest": host.path("kept")})),
        json!({"changed": true}),
    );
    assert_eq!(host.get("kept"), "new\n");
    let (generation, made) = host.bye();
    assert!(made && generation.is_some(), "a layer was made");
}
