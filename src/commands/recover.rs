//! `theseus recover HOST`: after a crash, to a generation. Every contact does the same by itself; this is the one that
//! does nothing else.

use serde_json::json;

use crate::arguments::Recover;
use crate::commands::effect::{self, Question};
use crate::report::{self, Output, Style};

pub(crate) fn recover(asked: &Recover, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let question = Question { pattern: &asked.host, means: &asked.means, command, looks: false };
        // What had to be done is said as a warning when the host is reached.
        let answers = question.ask(base, json!({"ask": "generations"}))?;
        for (host, answer) in &answers.by_host {
            if style.output == Output::Json {
                report::json_line(json!({"event": "recover", "host": host, "generation": answer["head"]}));
            } else if answer["head"] == 0 {
                println!("{host}: was never changed");
            } else {
                println!("{host}: at generation {}, nothing is unfinished", answer["head"]);
            }
        }
        Ok(answers.code)
    })
}
