//! Warnings that come with results, on the standard error: each once.

use std::collections::HashSet;

use anstyle::AnsiColor;
use catalog::Json;
use run::event::Ended;

use super::words::Paint;

#[derive(Default)]
pub(crate) struct Warned(HashSet<String>);

impl Warned {
    /// Of a loop, each item brings its own.
    pub(crate) fn of(&mut self, ended: &Ended, paint: Paint) {
        if ended.looped && ended.item.is_none() {
            return;
        }
        let Some(Json::Array(warnings)) = ended.result.get("warnings") else { return };
        for text in warnings.iter().filter_map(Json::as_str) {
            let text = text.replace("\r\n", "\n");
            if self.0.insert(text.clone()) {
                eprintln!("{}", paint.color(AnsiColor::Magenta, &format!("[WARNING]: {text}")));
            }
        }
    }
}
