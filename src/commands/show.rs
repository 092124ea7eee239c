//! `theseus show HOST GEN`: what one generation changed, path by path, and which task did it.

use catalog::{Json, Map};
use serde_json::json;

use crate::arguments::Show;
use crate::commands::effect::{self, Change, Question, is_secret, path_of};
use crate::report::{self, Output, Style};

pub(crate) fn show(asked: &Show, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let question = Question { pattern: &asked.host, means: &asked.means, command, looks: true };
        let generation = match asked.generation {
            Some(generation) => generation,
            None => match question.ask_one(base, json!({"ask": "generations"}))? {
                Ok(answer) => answer["head"].as_u64().unwrap_or_default(),
                Err(code) => return Ok(code),
            },
        };
        let answer = match question.ask_one(base, json!({"ask": "show", "generation": generation}))? {
            Ok(answer) => answer,
            Err(code) => return Ok(code),
        };
        print(&asked.host, &answer, asked.names, style);
        Ok(0)
    })
}

fn print(host: &str, answer: &Map, names: bool, style: Style) {
    let (layer, contents) = (&answer["layer"], &answer["contents"]);
    if style.output == Output::Json {
        let mut line = json!({"event": "generation", "host": host});
        for key in
            ["generation", "parent", "run", "sealed", "failed", "interrupted", "opaque", "services", "undoes"]
        {
            if let Some(value) = layer.get(key) {
                line[key] = value.clone();
            }
        }
        report::json_line(line);
    } else {
        print!("{}", head(host, layer, style));
    }
    let steps = layer["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut last = None;
    for step in steps {
        let cause = &layer["causes"][step["cause"].as_u64().unwrap_or(0) as usize];
        let path = path_of(&step["path"]);
        let change = Change {
            host,
            path: &path,
            before: &step["before"],
            after: &step["after"],
            cause: Some(words(cause)),
            secret: cause["no_log"] == true || is_secret(&step["before"]) || is_secret(&step["after"]),
        };
        if style.output == Output::Json {
            report::json_line(change.json());
            continue;
        }
        if last != Some(&step["cause"]) {
            last = Some(&step["cause"]);
            println!("\n{}", style.paint.bold(&words(cause)));
        }
        print!("{}", change.text(style, contents, names));
    }
    if style.output != Output::Json {
        print!("{}", rest(layer, style));
    }
}

fn head(host: &str, layer: &Json, style: Style) -> String {
    let run = &layer["run"];
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "{} {host}@{}  {}\n  {}\n  {}  in {}\n",
        style.paint.bold("generation"),
        layer["generation"],
        text(&layer["sealed"]),
        text(&run["command"]),
        text(&run["person"]),
        text(&run["project"]),
    );
    if layer["failed"] == true {
        out.push_str("  the run failed; this is what it had done until then\n");
    }
    if let Some(undone) = layer["undoes"].as_array().filter(|undone| !undone.is_empty()) {
        let all: Vec<String> = undone.iter().map(Json::to_string).collect();
        out.push_str(&format!("  puts back what generation {} had changed\n", all.join(", ")));
    }
    out
}

/// Services and what no undo takes back.
fn rest(layer: &Json, style: Style) -> String {
    let mut out = String::new();
    let services = layer["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !services.is_empty() {
        out.push_str(&format!("\n{}\n", style.paint.bold("services")));
    }
    for service in services {
        let word = match (service["before"] == true, service["after"] == true) {
            (true, true) => "restarted",
            (true, false) => "stopped",
            _ => "started",
        };
        out.push_str(&format!("{word:<9} {}\n", service["unit"].as_str().unwrap_or_default()));
    }
    let opaque = layer["opaque"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !opaque.is_empty() {
        out.push_str(&format!("\n{}\n", style.paint.bold("not watched: no undo takes it back")));
    }
    for what in opaque {
        out.push_str(&format!("    {}\n", what["what"].as_str().unwrap_or_default()));
    }
    out
}

/// `Configure nginx [item]  (roles/web/tasks/main.yml:12)`
pub(crate) fn words(cause: &Json) -> String {
    let text = |key: &str| cause[key].as_str().unwrap_or_default();
    let mut out = text("task").to_owned();
    if !text("role").is_empty() && !out.starts_with(text("role")) {
        out = format!("{} : {out}", text("role"));
    }
    if !text("item").is_empty() {
        out.push_str(&format!(" ({})", text("item")));
    }
    if !text("place").is_empty() {
        out.push_str(&format!("  {}", text("place")));
    }
    if out.is_empty() { "(no task)".to_owned() } else { out }
}
