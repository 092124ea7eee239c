//! `gather_facts`: what the play does before its first task.

use catalog::{Arg, Check, ModuleSpec};
use expressions::{Context as _, Error, Value};

use super::Action;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("gather_facts", ARGS).check(Check::Query).open();

const ARGS: &[Arg] = &[Arg::bool("parallel")];

/// The modules of which ours is one.
const OURS: [&str; 3] = ["smart", "setup", ""];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    if by_others(action)? {
        // Which modules, side by side or not, and how their facts are merged: that is Ansible's own action.
        return action.plugin("ansible.legacy.gather_facts");
    }
    let mut args = action.arguments()?;
    args.shift_remove("parallel");
    action.remote("setup", args, None)
}

/// Whether facts come from other modules than `setup`: those that the play or the configuration names, or those of
/// a device in a network.
fn by_others(action: &Action<'_>) -> Result<bool, Error> {
    let short = |name: &str| playbook::load::short_name(name.trim()).to_owned();
    let named = match action.scope.variable("ansible_facts_modules")? {
        Some(Value::Str(text)) => text.as_str().split(',').map(short).collect(),
        Some(value) => match value.resolved()?.as_list() {
            Some(list) => {
                list.iter().map(|name| Ok(short(&name.python_str()?))).collect::<Result<_, Error>>()?
            }
            None => Vec::new(),
        },
        None => action.walker.run.settings.facts_modules.iter().map(|name| short(name)).collect::<Vec<_>>(),
    };
    let device = || action.scope.variable("ansible_network_os").map(|os| os.is_some_and(|os| !os.is_none()));
    Ok(named.iter().any(|name| !OURS.contains(&name.as_str())) || device()?)
}
