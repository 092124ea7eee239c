//! A living server and an image: what is different, the server brought to the image's state, an image made of the server.

mod apply;
mod compare;
mod root;

pub(crate) use apply::apply;
pub(crate) use compare::{Side, diff, side};
pub(crate) use root::base;

use catalog::{Json, Map};

use crate::commands::effect::Question;
use crate::setup::{Base, Problem};

/// What a task that changes nothing answers on the one host.
fn ask(question: &Question<'_>, base: &mut Base, task: Json) -> Result<Map, Problem> {
    let answers = question.ask_task(base, task, false)?;
    if answers.recap.hosts.len() > 1 {
        return Err(Problem::Other(format!("`{}` is more than one host", question.pattern)));
    }
    let answer = answers.by_host.into_values().next();
    answer.ok_or_else(|| Problem::Other(format!("{} did not answer", question.pattern)))
}
