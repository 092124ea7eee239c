//! `group_by`: groups made from what is known of hosts.

use catalog::{Arg, Check, ModuleSpec};
use expressions::Error;

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("group_by", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[Arg::str("key").required(), Arg::list("parents").default("all")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let group = action.needed("key")?.replace(' ', "-");
    let mut parents: Vec<String> = action.strings("parents")?.iter().map(|p| p.replace(' ', "-")).collect();
    if parents.is_empty() {
        parents.push("all".to_owned());
    }
    let mut result = results::ok(true);
    result.insert("add_group".to_owned(), group.clone().into());
    result.insert("parent_groups".to_owned(), parents.clone().into());
    Ok(Work::Effect(result, Effect::GroupBy { group, parents }))
}
