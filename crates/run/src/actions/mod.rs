//! What the controller does itself, or has to prepare before a host can do it: one file per action.

mod add_host;
mod assert;
mod content;
mod copy;
mod debug;
mod fail;
mod fetch;
mod foreign;
mod gather_facts;
mod group_by;
mod include_vars;
mod pause;
mod plugin;
mod reboot;
mod script;
mod set_fact;
mod set_stats;
mod synchronize;
mod template;
mod unarchive;
mod validate_argument_spec;
mod wait_for_connection;

use catalog::{Map, ModuleSpec};
use expressions::{Error, Value};
use playbook::ir::{Task, Vars};
use playbook::vars::Scope;
use std::sync::Arc;

use crate::walker::Walker;
use crate::walker::prepare::{Traits, Work};

pub(crate) use content::put as put_content;
pub(crate) use fetch::After;
pub(crate) use plugin::{Plugin, task_for};

/// One task on one host, ready to be evaluated.
pub(crate) struct Action<'a> {
    pub(crate) walker: &'a Walker,
    pub(crate) task: &'a Arc<Task>,
    pub(crate) scope: &'a Scope,
    pub(crate) traits: Traits,
    pub(crate) delegate: Option<&'a str>,
}

/// What an action leaves on the controller.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    SetFact { facts: Vec<(String, Value)>, cacheable: bool },
    IncludeVars(Vars),
    AddHost { name: String, groups: Vec<String>, vars: Vec<(String, Value)> },
    GroupBy { group: String, parents: Vec<String> },
    SetStats { data: Map, per_host: bool, aggregate: bool },
}

pub(crate) type Run = fn(&Action<'_>) -> Result<Work, Error>;

struct Entry {
    spec: &'static ModuleSpec,
    run: Run,
}

static ALL: &[Entry] = &[
    Entry { spec: &add_host::SPEC, run: add_host::run },
    Entry { spec: &assert::SPEC, run: assert::run },
    Entry { spec: &copy::SPEC, run: copy::run },
    Entry { spec: &debug::SPEC, run: debug::run },
    Entry { spec: &fail::SPEC, run: fail::run },
    Entry { spec: &fetch::SPEC, run: fetch::run },
    Entry { spec: &gather_facts::SPEC, run: gather_facts::run },
    Entry { spec: &group_by::SPEC, run: group_by::run },
    Entry { spec: &include_vars::SPEC, run: include_vars::run },
    Entry { spec: &pause::SPEC, run: pause::run },
    Entry { spec: &reboot::SPEC, run: reboot::run },
    Entry { spec: &script::SPEC, run: script::run },
    Entry { spec: &set_fact::SPEC, run: set_fact::run },
    Entry { spec: &set_stats::SPEC, run: set_stats::run },
    Entry { spec: &agent::modules::SYNCHRONIZE, run: synchronize::run },
    Entry { spec: &template::SPEC, run: template::run },
    Entry { spec: &agent::modules::UNARCHIVE, run: unarchive::run },
    Entry { spec: &validate_argument_spec::SPEC, run: validate_argument_spec::run },
    Entry { spec: &wait_for_connection::SPEC, run: wait_for_connection::run },
];

/// What the controller does for this module, if anything.
pub(crate) fn find(module: &str) -> Option<Run> {
    ALL.iter().find(|entry| entry.spec.name == module).map(|entry| entry.run)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|entry| entry.spec.name)
}

/// Every module there is, on the controller or on hosts: for reading playbooks.
pub struct Known;

impl playbook::load::Modules for Known {
    fn spec(&self, name: &str) -> Option<&'static ModuleSpec> {
        let own = ALL
            .iter()
            .find(|entry| entry.spec.name == name || full(entry.spec) == name)
            .map(|entry| entry.spec);
        own.or_else(|| agent::modules::find(name).map(|module| &module.spec))
    }

    fn is_action(&self, name: &str) -> bool {
        matches!(name, "meta" | "include_tasks" | "include_role" | "import_tasks" | "import_role")
    }

    fn has_action(&self, name: &str) -> bool {
        self.is_action(name) || find(name).is_some()
    }

    fn names(&self) -> Vec<&'static str> {
        let control = ["meta", "include_tasks", "include_role", "import_tasks", "import_role"];
        names().chain(agent::modules::all().map(|m| m.spec.name)).chain(control).collect()
    }
}

fn full(spec: &ModuleSpec) -> String {
    format!("{}.{}", spec.collection, spec.name)
}

/// Leaves something on the controller, so nothing before it may still fail.
pub(crate) fn has_effect(module: &str) -> bool {
    matches!(module, "set_fact" | "include_vars" | "add_host" | "group_by" | "set_stats")
}

/// A module that is not ours may do anything, and return anything.
pub(crate) fn is_foreign(module: &str) -> bool {
    find(module).is_none() && module != "meta" && agent::modules::find(module).is_none()
}

/// Returns facts under any name, so what follows waits for them.
pub(crate) fn leaves_variables(module: &str) -> bool {
    module == "getent" || (module.ends_with("_facts") && module != "gather_facts")
}

/// Done once for all hosts of the batch.
pub(crate) fn is_for_all(module: &str) -> bool {
    matches!(module, "pause" | "add_host")
}

/// People rely on all hosts being at such a task together.
pub(crate) fn tells_order(module: &str) -> bool {
    matches!(module, "pause" | "wait_for" | "wait_for_connection" | "reboot" | "add_host" | "group_by")
}

/// Whether it is mostly waited for: several names of one machine need not wait for each other.
pub(crate) fn takes_time(module: &str) -> bool {
    matches!(
        module,
        "command"
            | "shell"
            | "raw"
            | "script"
            | "expect"
            | "foreign_module"
            | "git"
            | "get_url"
            | "uri"
            | "wait_for"
    )
}

impl Action<'_> {
    /// One argument, resolved; `None` if absent, `omit` or null.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(self.given(name)?.filter(|value| !value.is_none()))
    }

    /// One argument, resolved; `None` if absent or `omit`.
    pub(crate) fn given(&self, name: &str) -> Result<Option<Value>, Error> {
        let from_template = match &self.task.args_template {
            Some(template) => {
                let value = self.scope.value(template)?.defined()?;
                match value.as_dict() {
                    Some(dict) => dict.get(name)?,
                    None if value.is_none() || value.is_omit() => None,
                    None => return Err(self.no_arguments(&value)),
                }
            }
            None => None,
        };
        let value = match self.task.args.get(name) {
            Some(value) => {
                let value = self.scope.value(value).and_then(|value| value.resolved());
                Some(value.map_err(|error| self.unresolved(name, error))?)
            }
            None => match from_template {
                None => self.default_of(name)?,
                found => found,
            },
        };
        Ok(value.filter(|v| !v.is_omit()))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        self.get(name)?.map(|v| v.python_str()).transpose()
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        self.get(name)?.map_or(Ok(default), |v| crate::walker::prepare::as_bool(&v))
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, Error> {
        let Some(value) = self.get(name)? else { return Ok(Vec::new()) };
        match value.as_list() {
            Some(list) => list.iter().map(Value::python_str).collect(),
            None => Ok(value
                .python_str()?
                .split(',')
                .map(|s| s.trim().to_owned())
                .filter(|s| !s.is_empty())
                .collect()),
        }
    }

    pub(crate) fn needed(&self, name: &str) -> Result<String, Error> {
        self.text(name)?
            .ok_or_else(|| Error::new(format!("`{}` needs the argument `{name}`", self.task.module)))
    }
}
