//! Action plugins in Python: what one is asked to do. The conversation with it is the walker's.

use std::sync::Arc;

use catalog::{Json, Map};
use expressions::{Error, Value};
use link::Connection;
use playbook::ir::{Keywords, Task, Vars};
use serde_json::json;

use super::Action;
use crate::foreign::Found;
use crate::walker::prepare::{Traits, Work};

/// A request to an action plugin.
pub(crate) struct Plugin {
    pub(crate) request: Map,
    pub(crate) traits: Traits,
    pub(crate) delegate: Option<String>,
}

impl Action<'_> {
    /// `name`: as Python knows the plugin.
    pub(crate) fn plugin(&self, name: &str) -> Result<Work, Error> {
        let way = self.walker.run.way(self.walker, self.task, self.scope, self.delegate)?;
        let connection = if matches!(way.target.connection, Connection::Local) { "local" } else { "ssh" };
        let user = match &way.target.connection {
            Connection::Ssh(ssh) => ssh.user.clone(),
            _ => None,
        };
        let request = json!({
            "do": "action",
            "action": name,
            "name": self.walker.plain_name(self.task),
            "args": self.arguments()?,
            "check_mode": self.traits.check,
            "diff": self.traits.diff,
            "no_log": self.traits.no_log,
            "delegate_to": self.delegate,
            "module_defaults": self.layers_of_defaults()?,
            "collections": self.task.keywords.collections,
            "search": &*self.task.search,
            "base": &self.scope.play().play.dir,
            "connection": connection,
            "user": user,
            "become_user": way.escalate.as_ref().map(|escalate| escalate.user.as_str()),
        });
        let Json::Object(request) = request else { return Err(Error::new("a request is an object")) };
        let delegate = self.delegate.map(str::to_owned);
        Ok(Work::Plugin(Box::new(Plugin { request, traits: self.traits, delegate })))
    }

    /// A module that an action plugin wants done: never an action plugin again.
    pub(crate) fn module_alone(&self) -> Result<Work, Error> {
        let foreign = &self.walker.run.foreign;
        let name = &*self.task.action;
        let found = foreign.own_module(name);
        if found.is_none() && super::find(&self.task.module).is_none() {
            let ours = agent::modules::find(&self.task.module).is_some();
            let found = if ours { None } else { foreign.find_module(name, &self.task.keywords.collections) };
            return self.found(found);
        }
        match (found, super::find(&self.task.module)) {
            (None, Some(run)) => run(self),
            (found, _) => self.found(found),
        }
    }

    fn found(&self, found: Option<Found>) -> Result<Work, Error> {
        match found {
            Some(Found::Module(source)) => self.foreign(&self.task.action, &source),
            _ => self.remote(&self.task.module, self.arguments()?, None),
        }
    }
}

/// The task of a module that the action plugin of another task wants done.
pub(crate) fn task_for(task: &Task, name: &str, mut args: Map) -> Task {
    let mut module = playbook::load::short_name(name).to_owned();
    // What Ansible's own actions tell the modules that belong to them.
    if args.shift_remove("_uses_shell").is_some_and(|shell| shell == true) && module == "command" {
        "shell".clone_into(&mut module);
    }
    if args.shift_remove("_original_basename").is_some() && module == "copy" {
        args.insert("remote_src".to_owned(), true.into());
    }
    if module == "command" || module == "shell" {
        for unused in ["expand_argument_vars", "strip_empty_ends"] {
            if args.get(unused).is_some_and(Json::is_null) {
                args.shift_remove(unused);
            }
        }
    }
    let args: Vars =
        args.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::from_json(value))).collect();
    let keywords = Keywords { module_defaults: Vec::new(), ..(*task.keywords).clone() };
    Task {
        action: name.into(),
        module: module.into(),
        args: Arc::new(args),
        args_template: None,
        keywords: Arc::new(keywords),
        async_seconds: None,
        poll: None,
        ..task.clone()
    }
}
