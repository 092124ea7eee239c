//! What a module said: one JSON object somewhere in its output.

use catalog::{Json, Map};
use serde_json::json;

use crate::command::Output;
use crate::module::{Failure, Outcome, Task};

pub(super) fn read(
    name: &str,
    output: &Output,
    task: &mut Task<'_>,
    discovered: Option<&str>,
) -> Result<Outcome, Failure> {
    let text = output.stdout_text();
    let Some((mut values, rest)) = object(&text) else {
        let failure = Failure::new("Module result deserialization failed: No start of json char found")
            .with("rc", output.rc)
            .with("module_stdout", text)
            .with("module_stderr", output.stderr_text());
        return Err(match discovered {
            Some(python) => failure.with("ansible_facts", json!({"discovered_interpreter_python": python})),
            None => failure,
        });
    };
    if !rest.trim().is_empty() {
        task.warn(format!("Module invocation had junk after the JSON data: {}", rest.trim()));
    }
    take_words(&mut values, task);
    values.values_mut().for_each(without_internal);
    if let Some(python) = discovered
        && let Json::Object(facts) = values.entry("ansible_facts").or_insert_with(|| json!({}))
    {
        facts.insert("discovered_interpreter_python".to_owned(), python.into());
    }
    let changed = values.shift_remove("changed").is_some_and(|value| truth(&value));
    let failed = match values.shift_remove("failed") {
        Some(value) => truth(&value),
        None => values.get("rc").is_some_and(|rc| *rc != json!(0) && *rc != json!("0")),
    };
    if !failed {
        return Ok(Outcome { changed, values, diff: Vec::new() });
    }
    let message = values.shift_remove("msg").or_else(|| values.get("exception").map(message_of)).map(|msg| match msg {
        Json::String(text) => text,
        other => other.to_string(),
    });
    let message = message.unwrap_or_else(|| format!("the module {name} failed without saying why"));
    Err(Failure { message, values, changed })
}

/// The first line that begins an object, and what follows that object.
fn object(text: &str) -> Option<(Map, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at + (line.len() - line.trim_start().len());
        if text[start..].starts_with('{') {
            let mut reader = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Map>();
            if let Some(Ok(map)) = reader.next() {
                return Some((map, &text[start + reader.byte_offset()..]));
            }
        }
        at += line.len();
    }
    None
}

/// What modules are told for themselves is no part of what they tell, however deep.
fn without_internal(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.retain(|name, _| !name.starts_with("_ansible_"));
            map.values_mut().for_each(without_internal);
        }
        Json::Array(all) => all.iter_mut().for_each(without_internal),
        _ => {}
    }
}

/// Warnings and deprecations as they are shown, from the forms that module code of different versions gives them.
fn take_words(values: &mut Map, task: &mut Task<'_>) {
    if let Some(Json::Array(all)) = values.shift_remove("warnings") {
        for warning in all {
            let text = match &warning {
                Json::String(text) => text.clone(),
                other => match message_of(other) {
                    Json::String(text) => text,
                    _ => continue,
                },
            };
            task.warn(text);
        }
    }
    if let Some(Json::Array(all)) = values.get_mut("deprecations") {
        all.iter_mut().for_each(plain_deprecation);
    }
    if let Some(problem @ Json::Object(_)) = values.get("exception") {
        let text = message_of(problem);
        values.entry("msg").or_insert(text);
        values.shift_remove("exception");
    }
}

/// `{"event": {"msg": …}}`, the form of ansible-core 2.19.
fn message_of(value: &Json) -> Json {
    match value {
        Json::Object(map) => map.get("event").map_or_else(
            || map.get("msg").cloned().unwrap_or(Json::Null),
            |event| event.get("msg").cloned().unwrap_or(Json::Null),
        ),
        other => other.clone(),
    }
}

fn plain_deprecation(value: &mut Json) {
    let Json::Object(map) = value else { return };
    if !map.contains_key("__ansible_type") {
        return;
    }
    let mut plain = Map::new();
    plain.insert("msg".to_owned(), message_of(&Json::Object(map.clone())));
    for key in ["version", "date"] {
        if let Some(word) = map.get(key).filter(|word| !word.is_null()) {
            plain.insert(key.to_owned(), word.clone());
        }
    }
    if let Some(Json::Object(who)) = map.get("deprecator") {
        let mut who = who.clone();
        who.shift_remove("__ansible_type");
        if let Some(name) = who.get("resolved_name") {
            plain.insert("collection_name".to_owned(), name.clone());
        }
        plain.insert("deprecator".to_owned(), Json::Object(who));
    }
    *value = Json::Object(plain);
}

fn truth(value: &Json) -> bool {
    match value {
        Json::Bool(b) => *b,
        Json::String(text) => catalog::arguments::truth(text).unwrap_or(!text.is_empty()),
        Json::Number(number) => number.as_f64() != Some(0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_around_the_result_is_told_apart() {
        let (map, rest) = object("hello\n{not json}\n  {\"a\": {\"b\": 1}}\ntail\n").expect("an object");
        assert_eq!(Json::Object(map), json!({"a": {"b": 1}}));
        assert_eq!(rest.trim(), "tail");
        assert!(object("nothing\n").is_none());
    }

    #[test]
    fn deprecations_lose_their_tags() {
        let mut one = json!({"event": {"msg": "old", "__ansible_type": "Event"}, "version": "9.9",
            "deprecator": {"resolved_name": "a.b", "type": null, "__ansible_type": "PluginInfo"},
            "__ansible_type": "DeprecationSummary"});
        plain_deprecation(&mut one);
        assert_eq!(
            one,
            json!({"msg": "old", "version": "9.9", "collection_name": "a.b", "deprecator": {"resolved_name": "a.b", "type": null}})
        );
    }
}
