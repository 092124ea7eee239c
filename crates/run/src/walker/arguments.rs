//! The arguments of a task: its own, with every template resolved, above what `module_defaults` say.

use catalog::{Json, Map};
use expressions::{Context as _, Error, Value};

use super::prepare::json;
use crate::actions::{self, Action};
use crate::foreign::Foreign;

impl Action<'_> {
    /// The task's arguments, every template resolved, `module_defaults` below them.
    pub(crate) fn arguments(&self) -> Result<Map, Error> {
        let mut args = self.defaults()?;
        if let Some(template) = &self.task.args_template {
            self.merge(&self.scope.value(template)?, &mut args)?;
        }
        for (name, value) in self.task.args.iter() {
            let resolved = self.scope.value(value).and_then(|value| match value.is_omit() {
                true => Ok(None),
                false => json(&value).map(Some),
            });
            match resolved.map_err(|error| self.unresolved(name, error))? {
                None => args.shift_remove(&**name),
                Some(value) => args.insert(name.to_string(), value),
            };
        }
        Ok(args)
    }

    /// An argument that has no value.
    pub(crate) fn unresolved(&self, name: &str, mut error: Error) -> Error {
        if error.is_pending().is_none() {
            let action = match playbook::load::Modules::spec(&actions::Known, &self.task.module) {
                Some(spec) => format!("{}.{}", spec.collection, spec.name),
                None => self.task.action.to_string(),
            };
            error.message = format!(
                "Finalization of task args for '{action}' failed: Error while resolving value for '{name}': {}",
                error.message
            );
        }
        error
    }

    fn merge(&self, value: &Value, args: &mut Map) -> Result<(), Error> {
        let value = value.resolved()?;
        let Some(dict) = value.as_dict() else {
            return Err(self.no_arguments(&value));
        };
        for (name, value) in dict.items()? {
            args.insert(name.python_str()?, json(&value)?);
        }
        Ok(())
    }

    /// A template below a module that gives something else than arguments.
    pub(crate) fn no_arguments(&self, value: &Value) -> Error {
        Error::new(format!(
            "Finalization of task args for '{}' failed: Task args must resolve to a 'dict' not '{}'.",
            self.task.action,
            value.type_name()
        ))
    }

    /// What `module_defaults` say of one argument.
    pub(crate) fn default_of(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(self.defaults()?.get(name).map(Value::from_json))
    }

    /// All `module_defaults`, for who applies them to modules of its own choice.
    pub(crate) fn layers_of_defaults(&self) -> Result<Vec<Json>, Error> {
        self.task.keywords.module_defaults.iter().map(|layer| json(&self.scope.value(layer)?)).collect()
    }

    /// What `module_defaults` say: of its groups first, then of the module itself.
    fn defaults(&self) -> Result<Map, Error> {
        let mut args = Map::new();
        let all = self.all_defaults()?;
        for (name, defaults) in &all {
            let group = name.strip_prefix("group/");
            let collections = &self.task.keywords.collections;
            if group.is_some_and(|group| {
                self.walker.run.foreign.is_in_group(group, &self.task.action, collections)
            }) {
                self.merge(defaults, &mut args)?;
            }
        }
        let full = if all.is_empty() { None } else { self.full_name() };
        for wanted in self.stand_ins()?.iter().map(String::as_str).chain([&*self.task.module]) {
            for (name, defaults) in &all {
                let same = *name == *self.task.action || full.as_ref() == Some(name);
                if name == wanted || (same && wanted == &*self.task.module) {
                    self.merge(defaults, &mut args)?;
                }
            }
        }
        Ok(args)
    }

    /// Of one that is not ours and found by the keyword `collections`.
    fn full_name(&self) -> Option<String> {
        let foreign = &self.walker.run.foreign;
        if !crate::actions::is_foreign(&self.task.module) || foreign.own(&self.task.action).is_some() {
            return None;
        }
        foreign.full_name(&self.task.action, &self.task.keywords.collections)
    }

    /// By short names; what stands further inside goes instead of what stands outside.
    fn all_defaults(&self) -> Result<Vec<(String, Value)>, Error> {
        let mut all: Vec<(String, Value)> = Vec::new();
        let own = self.walker.run.foreign.own(&self.task.action).is_some();
        for layer in &self.task.keywords.module_defaults {
            let layer = self.scope.value(layer)?;
            let Some(dict) = layer.as_dict() else { continue };
            for (name, defaults) in dict.items()? {
                let name = name.python_str()?;
                if own && name.starts_with("ansible.builtin.") {
                    // The project's own of that name is another one.
                    continue;
                }
                let name = match name.strip_prefix("group/") {
                    Some(group) => format!("group/{}", Foreign::group_name(group)),
                    None => playbook::load::short_name(&name).to_owned(),
                };
                all.retain(|(known, _)| *known != name);
                all.push((name, defaults));
            }
        }
        Ok(all)
    }

    /// The modules that do the work of this one on this host, as far as its facts tell.
    fn stand_ins(&self) -> Result<Vec<String>, Error> {
        let (fact, usual) = match &*self.task.module {
            "service" => ("service_mgr", &["systemd", "systemd_service"][..]),
            "package" => ("pkg_mgr", &[][..]),
            "gather_facts" => return Ok(vec!["setup".to_owned()]),
            _ => return Ok(Vec::new()),
        };
        let facts = self.scope.variable("ansible_facts")?.and_then(|facts| facts.as_dict());
        let known = facts.and_then(|facts| facts.get(fact).ok().flatten());
        let Some(manager) = known.map(|manager| manager.python_str()).transpose()? else {
            return Ok(usual.iter().map(|name| (*name).to_owned()).collect());
        };
        let more = (manager == "systemd").then(|| "systemd_service".to_owned());
        Ok(std::iter::once(manager).chain(more).collect())
    }
}
