//! `theseus bisect HOST --check COMMAND`: which generation broke it.

use catalog::Json;
use serde_json::json;

use crate::arguments::Bisect;
use crate::commands::effect::{self, Question};
use crate::report::{self, Output, Style};

pub(crate) fn bisect(asked: &Bisect, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let question = Question { pattern: &asked.host, means: &asked.means, command, looks: true };
        let mut arguments = json!({"ask": "bisect", "check": asked.check});
        if let Some(good) = asked.good {
            arguments["good"] = json!(good);
        }
        let answers = question.ask_of("drift", base, arguments, false)?;
        for (host, answer) in &answers.by_host {
            if style.output == Output::Json {
                let mut line = json!({"event": "bisect", "host": host});
                for key in ["bad", "good", "tasks", "run", "tried"] {
                    line[key] = answer.get(key).cloned().unwrap_or_default();
                }
                report::json_line(line);
                continue;
            }
            for tried in answer.get("tried").and_then(Json::as_array).into_iter().flatten() {
                let word = if tried["well"] == true { "well" } else { "broken" };
                println!("  generation {:<5} {word}", tried["generation"]);
            }
            let tasks: Vec<&str> = answer
                .get("tasks")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .collect();
            let found = format!("generation {} broke it", answer.get("bad").cloned().unwrap_or_default());
            println!("{host}: {}: {}", style.paint.bold(&found), tasks.join(", "));
            println!("  by {}", answer.get("run").and_then(Json::as_str).unwrap_or_default());
            println!(
                "  theseus show {host} {} has what it changed",
                answer.get("bad").cloned().unwrap_or_default()
            );
        }
        Ok(answers.code)
    })
}
