//! `theseus rollback HOST [--to GEN]`: exact undo.

use catalog::{Json, Map};
use serde_json::json;

use crate::arguments::Rollback;
use crate::commands::effect::{self, Question};
use crate::report::{self, Output, Style};

pub(crate) fn rollback(asked: &Rollback, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let question = Question { pattern: &asked.host, means: &asked.means, command, looks: asked.check };
        let mut arguments =
            json!({"ask": "undo", "force": asked.force, "paths": asked.path, "check": asked.check});
        if let Some(to) = asked.to {
            arguments["generation"] = json!(to);
        }
        let answers = question.ask(base, arguments)?;
        let mut code = answers.code;
        for (host, answer) in &answers.by_host {
            if style.output == Output::Json {
                let mut line = json!({"event": "rollback", "host": host});
                if let (Some(line), answer) = (line.as_object_mut(), answer) {
                    line.extend(answer.clone());
                }
                report::json_line(line);
            } else {
                print!("{}", text(host, answer, asked.check, style));
            }
            if answer["refused"] == true {
                code = code.max(2);
            }
        }
        Ok(code)
    })
}

fn text(host: &str, answer: &Map, check: bool, style: Style) -> String {
    let list = |key: &str| -> Vec<String> {
        let all = answer.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
    };
    let mut out = String::new();
    let conflicts = list("conflicts");
    if answer["refused"] == true {
        out.push_str(&format!(
            "{host}: {}: somebody changed this since\n",
            style.paint.bold("nothing was put back")
        ));
        conflicts.iter().for_each(|conflict| out.push_str(&format!("    {conflict}\n")));
        out.push_str("  --force puts it back all the same (what is there now is kept in the store)\n");
        return out;
    }
    let (paths, to) = (list("paths"), &answer["to"]);
    let word = if check { "would be put back" } else { "put back" };
    if paths.is_empty() && list("services").is_empty() {
        out.push_str(&format!("{host}: nothing to put back: it is as generation {to} left it\n"));
    } else {
        let now = answer.get("generation").filter(|_| !check);
        let now = now.map(|now| format!("; this is generation {now}")).unwrap_or_default();
        out.push_str(&format!("{host}: {} paths {word} as generation {to} left them{now}\n", paths.len()));
    }
    for path in paths.iter().take(20) {
        out.push_str(&format!("    {path}\n"));
    }
    if paths.len() > 20 {
        out.push_str(&format!("    and {} more (theseus show {host})\n", paths.len() - 20));
    }
    for (key, title) in [
        ("services", "services"),
        ("kept", "changed by somebody since; kept in the store"),
        ("irreversible", "no undo takes this back"),
        ("problems", "could not be done"),
    ] {
        let all = list(key);
        if !all.is_empty() {
            out.push_str(&format!("  {title}:\n"));
            all.iter().for_each(|item| out.push_str(&format!("    {item}\n")));
        }
    }
    out
}
