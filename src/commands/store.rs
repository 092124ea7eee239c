//! `theseus store HOST`: what a host keeps for undoing.

use catalog::{Json, Map};
use playbook::definition::{Keep, keep_of};
use serde_json::json;

use crate::arguments::Store;
use crate::commands::effect::{self, Question, size};
use crate::report::{self, Output, Style};
use crate::setup::{Base, Problem};

pub(crate) fn store(asked: &Store, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let arguments = arguments(asked, base)?;
        let looks = arguments["ask"] == "store";
        let question = Question { pattern: &asked.host, means: &asked.means, command, looks };
        let answers = question.ask(base, arguments)?;
        let mut code = answers.code;
        for (host, answer) in &answers.by_host {
            if style.output == Output::Json {
                let mut line = json!({"event": "store", "host": host});
                if let Some(line) = line.as_object_mut() {
                    line.extend(answer.clone());
                }
                report::json_line(line);
            } else {
                print!("{}", text(host, answer));
            }
            if answer.get("damaged").and_then(Json::as_array).is_some_and(|damaged| !damaged.is_empty()) {
                code = code.max(2);
            }
        }
        Ok(code)
    })
}

fn arguments(asked: &Store, base: &Base) -> Result<Json, Problem> {
    if let Some(generation) = asked.pin.or(asked.unpin) {
        let ask = if asked.pin.is_some() { "pin" } else { "unpin" };
        return Ok(json!({"ask": ask, "generation": generation}));
    }
    let Some(policy) = &asked.prune else { return Ok(json!({"ask": "store", "check": asked.check})) };
    let keep =
        if policy.is_empty() { base.definition.keep } else { keep_of(policy).map_err(Problem::Options)? };
    if keep == Keep::default() {
        let hint = "say how much to keep: --prune '20 generations, 30 days, 5 GiB', or history: {keep: …} in theseus.yml";
        return Err(Problem::Options(hint.to_owned()));
    }
    let mut arguments = json!({"ask": "prune"});
    for (name, value) in [("keep", keep.generations), ("days", keep.days), ("bytes", keep.bytes)] {
        if let Some(value) = value {
            arguments[name] = json!(value);
        }
    }
    Ok(arguments)
}

fn text(host: &str, answer: &Map) -> String {
    let number = |key: &str| answer.get(key).and_then(Json::as_u64);
    let mut out = format!("{host}:");
    if let Some(removed) = number("removed") {
        out.push_str(&format!(
            " {removed} generations removed, {} freed;",
            size(number("freed").unwrap_or(0))
        ));
    }
    out.push_str(&format!(
        " {} generations, {} objects, {}\n",
        number("generations").unwrap_or(0),
        number("objects").unwrap_or(0),
        size(number("bytes").unwrap_or(0)),
    ));
    if let Some(pinned) = answer.get("pinned").and_then(Json::as_array).filter(|pinned| !pinned.is_empty()) {
        let all: Vec<String> = pinned.iter().map(Json::to_string).collect();
        out.push_str(&format!("    pinned: {}\n", all.join(", ")));
    }
    if let Some(damaged) = answer.get("damaged").and_then(Json::as_array) {
        match damaged.as_slice() {
            [] => out.push_str("    every object is what its digest says\n"),
            some => some.iter().for_each(|one| {
                out.push_str(&format!("    damaged: {}\n", one.as_str().unwrap_or_default()));
            }),
        }
    }
    out
}
