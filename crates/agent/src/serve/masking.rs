//! Values of secret arguments never come back in a result.

use catalog::{Args, Json, Map};

use crate::module::Module;

const WHOLE: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";
const PART: &str = "********";

/// The values of `no_log` arguments, longest first.
pub(super) fn secrets(module: &Module, args: &Args) -> Vec<String> {
    let mut all = Vec::new();
    for arg in module.spec.all_args().filter(|arg| arg.no_log) {
        if let Some(value) = args.get(arg.name) {
            strings(value, &mut all);
        }
    }
    all.retain(|s| !s.is_empty());
    all.sort_by_key(|s| std::cmp::Reverse(s.len()));
    all
}

fn strings(value: &Json, all: &mut Vec<String>) {
    match value {
        Json::String(s) => all.push(s.clone()),
        Json::Number(n) => all.push(n.to_string()),
        Json::Array(list) => list.iter().for_each(|v| strings(v, all)),
        Json::Object(map) => map.values().for_each(|v| strings(v, all)),
        Json::Null | Json::Bool(_) => {}
    }
}

pub(super) fn mask(result: &mut Map, secrets: &[String]) {
    if !secrets.is_empty() {
        result.values_mut().for_each(|value| mask_value(value, secrets));
    }
}

fn mask_value(value: &mut Json, secrets: &[String]) {
    match value {
        Json::String(text) => {
            if secrets.contains(text) {
                WHOLE.clone_into(text);
            } else {
                for secret in secrets.iter().filter(|s| text.contains(s.as_str())).collect::<Vec<_>>() {
                    *text = text.replace(secret.as_str(), PART);
                }
            }
        }
        Json::Array(list) => list.iter_mut().for_each(|v| mask_value(v, secrets)),
        Json::Object(map) => map.values_mut().for_each(|v| mask_value(v, secrets)),
        Json::Number(n) => {
            if secrets.contains(&n.to_string()) {
                *value = Json::String(WHOLE.to_owned());
            }
        }
        Json::Null | Json::Bool(_) => {}
    }
}
