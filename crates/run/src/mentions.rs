//! Which tasks speak of other hosts: there the order between hosts can be told.

use std::collections::HashMap;

use expressions::{Engine, Value};
use parking_lot::Mutex;
use playbook::ir::Task;

/// Names through which a task can see how far others are, or which host it is.
const TELLING: &[&str] =
    &["hostvars", "ansible_play_hosts", "ansible_play_batch", "ansible_play_hosts_all", "play_hosts"];
/// In a condition these make one host do what another waits for.
const IN_CONDITIONS: &[&str] =
    &["inventory_hostname", "groups", "group_names", "ansible_hostname", "ansible_fqdn", "ansible_host"];

/// Arguments that are expressions without braces: of `assert` and `debug`.
const EXPRESSIONS: &[&str] = &["that", "var"];

#[derive(Default)]
pub(crate) struct Mentions {
    /// By the task's address: tasks live as long as the run.
    known: Mutex<HashMap<usize, bool>>,
}

impl Mentions {
    pub(crate) fn other_hosts(&self, engine: &Engine, task: &Task) -> bool {
        let key = std::ptr::from_ref(task) as usize;
        if let Some(known) = self.known.lock().get(&key) {
            return *known;
        }
        let found = mentions(engine, task);
        // Tasks of dynamic includes may be freed and their address used again.
        if task.include.is_none() {
            self.known.lock().insert(key, found);
        }
        found
    }
}

fn mentions(engine: &Engine, task: &Task) -> bool {
    let conditions = task
        .keywords
        .when
        .iter()
        .chain(task.changed_when.iter().flatten())
        .chain(task.failed_when.iter().flatten())
        .chain(task.until.iter().flatten());
    for condition in conditions {
        if names(engine, condition, true)
            .iter()
            .any(|n| TELLING.contains(&n.as_str()) || IN_CONDITIONS.contains(&n.as_str()))
        {
            return true;
        }
    }
    let loops = task.loop_.iter().map(|l| &l.items);
    let vars = task.keywords.vars.iter().flat_map(|layer| layer.vars.values());
    let tells = |value: &Value, expression: bool| {
        names(engine, value, expression).iter().any(|n| TELLING.contains(&n.as_str()))
    };
    task.args.iter().any(|(name, value)| tells(value, EXPRESSIONS.contains(&name.as_ref())))
        || loops.chain(vars).any(|value| tells(value, false))
}

/// The variables that a value's templates mention.
fn names(engine: &Engine, value: &Value, expression: bool) -> Vec<String> {
    match value {
        Value::Str(text) if expression && !text.is_template() => engine.mentions_expression(text),
        Value::Str(text) if text.is_template() => engine.mentions(text),
        Value::List(list) => {
            list.raw_items().iter().flat_map(|item| names(engine, item, expression)).collect()
        }
        Value::Dict(dict) => {
            dict.raw_items().iter().flat_map(|(_, item)| names(engine, item, false)).collect()
        }
        _ => Vec::new(),
    }
}
