//! From a task and an item to what has to be done: everything that is evaluated before anything is sent.
//! Nothing here waits and nothing changes, so it can be tried again when a value was still on its way.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use catalog::protocol::{Call, Cause};
use catalog::{Json, Map};
use expressions::{Error, Value};
use link::Blobs as _;
use playbook::ir::{Keywords, Loop, Task, Vars};
use playbook::vars::Scope;

use super::Walker;
use crate::actions::{self, Action, After, Effect, Plugin};
use crate::connections::Way;
use crate::foreign::Found;
use crate::results;

/// One turn of a loop, or the only turn of a task without one.
#[derive(Clone, Debug)]
pub(crate) struct ItemOf {
    pub(crate) value: Option<Value>,
    /// The loop's variables: the item, its index, `ansible_loop`.
    pub(crate) vars: Arc<Vars>,
    pub(crate) loop_var: Arc<str>,
    pub(crate) index_var: Option<(Arc<str>, usize)>,
    pub(crate) label: Option<Value>,
}

impl ItemOf {
    pub(crate) fn none() -> Self {
        Self { value: None, vars: Arc::default(), loop_var: Arc::from("item"), index_var: None, label: None }
    }

    pub(crate) fn all(loop_: Option<&Loop>, items: Vec<Value>) -> Vec<Self> {
        let Some(control) = loop_ else { return Vec::new() };
        let whole = items.clone();
        items.into_iter().enumerate().map(|(number, item)| Self::one(control, &whole, number, item)).collect()
    }

    fn one(control: &Loop, all: &[Value], number: usize, item: Value) -> Self {
        let mut vars = Vars::new();
        vars.insert(control.loop_var.clone(), item.clone());
        vars.insert(Arc::from("ansible_loop_var"), Value::str(control.loop_var.clone()));
        if let Some(index) = &control.index_var {
            vars.insert(index.clone(), Value::Int(number as i64));
            vars.insert(Arc::from("ansible_index_var"), Value::str(index.clone()));
        }
        if control.extended {
            vars.insert(Arc::from("ansible_loop"), extended(all, number, control.extended_allitems));
        }
        Self {
            value: Some(item),
            vars: Arc::new(vars),
            loop_var: control.loop_var.clone(),
            index_var: control.index_var.clone().map(|name| (name, number)),
            label: control.label.clone(),
        }
    }
}

fn extended(all: &[Value], number: usize, with_all: bool) -> Value {
    let (length, index) = (all.len() as i64, number as i64);
    let mut entries = vec![
        ("index", Value::Int(index + 1)),
        ("index0", Value::Int(index)),
        ("first", Value::Bool(number == 0)),
        ("last", Value::Bool(number + 1 == all.len())),
        ("length", Value::Int(length)),
        ("revindex", Value::Int(length - index)),
        ("revindex0", Value::Int(length - index - 1)),
    ];
    if with_all {
        entries.push(("allitems", Value::list(all.to_vec())));
    }
    if let Some(next) = all.get(number + 1) {
        entries.push(("nextitem", next.clone()));
    }
    if number > 0 {
        entries.push(("previtem", all[number - 1].clone()));
    }
    Value::dict(entries)
}

/// Keywords of the task as they are for this item.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    pub(crate) ignore_errors: bool,
    pub(crate) ignore_unreachable: bool,
    pub(crate) no_log: bool,
    pub(crate) check: bool,
    pub(crate) diff: bool,
    pub(crate) delegate_facts: bool,
}

pub(crate) struct Prepared {
    pub(crate) traits: Traits,
    pub(crate) delegate: Option<String>,
    /// Whom it notifies, where names are templates.
    pub(crate) notify: Vec<String>,
    pub(crate) work: Work,
}

impl Prepared {
    fn done(traits: Traits, result: Map) -> Self {
        Self { traits, delegate: None, notify: Vec::new(), work: Work::Done(result) }
    }
}

pub(crate) enum Work {
    /// Done by the controller (or skipped, or failed): the result.
    Done(Map),
    /// Done, and this is to be left behind.
    Effect(Map, Effect),
    /// The controller does it, and it takes time.
    Later(Pin<Box<dyn Future<Output = Map> + Send>>),
    Remote(Box<Remote>),
    /// An action plugin in Python does it.
    Plugin(Box<Plugin>),
}

/// A call for a host.
pub(crate) struct Remote {
    pub(crate) way: Way,
    pub(crate) call: Call,
    /// What the controller does with the result.
    pub(crate) after: Option<After>,
}

impl Walker {
    /// The variables that this task sees on this host.
    pub(crate) fn scope(&self, task: &Arc<Task>, of: &ItemOf) -> Scope {
        self.run.scope(&self.play, task, &self.host, (*of.vars).clone())
    }

    pub(crate) fn template(&self, task: &Arc<Task>, value: &Value, of: &ItemOf) -> Result<Value, Error> {
        self.scope(task, of).resolved(value)
    }

    /// The loop's control, its names resolved where they are templates.
    pub(crate) fn loop_control(&self, task: &Arc<Task>) -> Option<Loop> {
        let mut control = task.loop_.clone()?;
        let named = |name: &Arc<str>| {
            let source = Value::Str(expressions::Str::trusted(name.clone(), task.origin.clone()));
            self.template(task, &source, &ItemOf::none()).ok().and_then(|v| v.python_str().ok())
        };
        for name in [Some(&mut control.loop_var), control.index_var.as_mut()].into_iter().flatten() {
            if name.contains("{{")
                && let Some(resolved) = named(name)
            {
                *name = resolved.into();
            }
        }
        Some(control)
    }

    pub(crate) fn keyword_bool(&self, task: &Arc<Task>, value: &Value, of: &ItemOf) -> Result<bool, Error> {
        as_bool(&self.template(task, value, of)?)
    }

    pub(crate) fn loop_items(&self, task: &Arc<Task>) -> Result<Vec<Value>, Error> {
        let Some(control) = &task.loop_ else { return Ok(Vec::new()) };
        playbook::loops::items(&self.scope(task, &ItemOf::none()), control)
    }

    /// `Some`: the task is skipped, with this result.
    pub(crate) fn condition_of(&self, task: &Arc<Task>, of: &ItemOf) -> Result<Option<Map>, Error> {
        let scope = self.scope(task, of);
        for condition in &task.keywords.when {
            if !self.run.engine.condition(condition, &scope)? {
                return Ok(Some(results::condition_false(condition.to_json().unwrap_or(Json::Null))));
            }
        }
        Ok(None)
    }

    pub(crate) fn prepare(&self, task: &Arc<Task>, of: &ItemOf) -> Result<Prepared, Error> {
        let scope = self.scope(task, of);
        match self.condition_of(task, of) {
            Ok(None) => {}
            Ok(Some(skip)) => {
                // What must not be seen is not seen of an item that is skipped either.
                let no_log =
                    flag(task, &scope, "no_log", |k| &k.no_log, self.run.settings.no_log).unwrap_or(true);
                let traits = Traits { no_log, ..Traits::default() };
                return Ok(Prepared::done(traits, skip));
            }
            Err(error) if error.is_pending().is_some() => return Err(error),
            Err(error) => {
                // `ignore_errors` and `no_log` hold for a condition that cannot be evaluated, too.
                let traits = self.traits(task, &scope).unwrap_or_default();
                let mut result = results::failed_by(&error);
                // Who raised it stands before everything else.
                let what =
                    if error.names_who_raised_it() { "" } else { "Error while evaluating conditional: " };
                result.insert("msg".to_owned(), format!("Task failed: {what}{}", error.message).into());
                return Ok(Prepared::done(traits, result));
            }
        }
        let traits = match self.traits(task, &scope) {
            Ok(traits) => traits,
            Err(error) if error.is_pending().is_some() => return Err(error),
            Err(error) => {
                let traits = self.traits_of_failure(task, &scope);
                return Ok(Prepared::done(traits, results::failed_by(&error)));
            }
        };
        let work = whom_it_notifies(task, &scope)
            .and_then(|notify| self.work(task, &scope, traits).map(|work| (notify, work)));
        match work {
            Ok((notify, (delegate, work))) => Ok(Prepared { traits, delegate, notify, work }),
            Err(error) if error.is_pending().is_some() => Err(error),
            Err(error) => Ok(Prepared::done(traits, results::failed_by(&error))),
        }
    }

    pub(crate) fn traits(&self, task: &Arc<Task>, scope: &Scope) -> Result<Traits, Error> {
        let settings = &self.run.settings;
        Ok(Traits {
            ignore_errors: flag(task, scope, "ignore_errors", |k| &k.ignore_errors, false)?,
            ignore_unreachable: flag(task, scope, "ignore_unreachable", |k| &k.ignore_unreachable, false)?,
            no_log: flag(task, scope, "no_log", |k| &k.no_log, settings.no_log)?,
            check: flag(task, scope, "check_mode", |k| &k.check_mode, settings.check)?,
            diff: flag(task, scope, "diff", |k| &k.diff, settings.diff)?,
            delegate_facts: flag(task, scope, "delegate_facts", |k| &k.delegate_facts, false)?,
        })
    }

    /// What holds for a task one of whose keywords has no value: a secret stays one.
    fn traits_of_failure(&self, task: &Arc<Task>, scope: &Scope) -> Traits {
        Traits {
            ignore_errors: flag(task, scope, "ignore_errors", |k| &k.ignore_errors, false).unwrap_or(false),
            no_log: flag(task, scope, "no_log", |k| &k.no_log, self.run.settings.no_log).unwrap_or(true),
            ..Traits::default()
        }
    }

    fn work(&self, task: &Arc<Task>, scope: &Scope, traits: Traits) -> Result<(Option<String>, Work), Error> {
        let delegate = task.keywords.resolved(|k| &k.delegate_to, |value| scope.value(value))?;
        let delegate = delegate.map(|value| value.python_str()).transpose()?;
        let named = self.named_module(task, scope)?;
        let task = named.as_ref().unwrap_or(task);
        let action = Action { walker: self, task, scope, traits, delegate: delegate.as_deref() };
        let own = self.run.foreign.own(&task.action);
        if let Some(Found::Action(plugin)) = &own {
            let work = action.plugin(plugin)?;
            return Ok((delegate, work));
        }
        if let Some(wrong) = action.stray_text() {
            return Ok((delegate, Work::Done(wrong)));
        }
        let work = match actions::find(&task.module) {
            Some(run) => run(&action)?,
            None => action.module(own)?,
        };
        Ok((delegate, work))
    }

    /// `action: "{{ name }}"`: the task with the module that the template names.
    fn named_module(&self, task: &Arc<Task>, scope: &Scope) -> Result<Option<Arc<Task>>, Error> {
        if !task.action.contains("{{") {
            return Ok(None);
        }
        let source = expressions::Str::trusted(task.action.clone(), task.origin.clone());
        let name = scope.value(&Value::Str(source))?.python_str()?;
        let known = playbook::load::full_names(name.trim())
            .into_iter()
            .find(|name| actions::find(name).is_some() || agent::modules::find(name).is_some());
        let module = known.unwrap_or_else(|| playbook::load::short_name(name.trim()).to_owned());
        let action = Arc::from(name.trim());
        Ok(Some(Arc::new(Task { action, module: module.into(), ..(**task).clone() })))
    }
}

/// Read before the task is done, as all its keywords are, and for each item of a loop.
fn whom_it_notifies(task: &Task, scope: &Scope) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for value in task.notify.iter().filter(|value| !is_name(value)) {
        let value = scope.resolved(value).and_then(Value::defined).map_err(|mut error| {
            error.message = format!("Error processing keyword 'notify': {}", error.message);
            error
        })?;
        let list = value.as_list().unwrap_or_else(|| vec![value]);
        names.extend(list.iter().filter_map(|name| name.as_str().map(str::to_owned)));
    }
    Ok(names)
}

/// Not a template.
pub(crate) fn is_name(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.contains("{{") && !text.contains("{%"))
}

/// Says of all files that they may be written in place.
const UNSAFE_WRITES: &str = "ANSIBLE_UNSAFE_WRITES";

impl Action<'_> {
    /// Free text for a module that takes none.
    fn stray_text(&self) -> Option<Map> {
        self.task.args.get("_raw_params")?;
        let spec = playbook::load::Modules::spec(&actions::Known, &self.task.module)?;
        if spec.free_form.is_some() {
            return None;
        }
        let name = &self.task.action;
        Some(results::failed(format!("Task failed: Action '{name}' does not support raw params.")))
    }

    /// A call of a module on the host (or where it is delegated to).
    pub(crate) fn remote(&self, module: &str, args: Map, after: Option<After>) -> Result<Work, Error> {
        let way = self.walker.run.way(self.walker, self.task, self.scope, self.delegate)?;
        self.remote_by(way, module, args, after)
    }

    /// The same on a host of the action's choice.
    pub(crate) fn remote_by(
        &self,
        way: Way,
        module: &str,
        args: Map,
        after: Option<After>,
    ) -> Result<Work, Error> {
        let Some(native) = agent::modules::find(module) else {
            return Ok(Work::Done(self.unknown(module)));
        };
        let environment = self.environment()?;
        let mut args = args;
        if native.spec.arg("unsafe_writes").is_some() && !args.contains_key("unsafe_writes") {
            // Ansible's modules look for this in their environment.
            let local = matches!(way.target.connection, link::Connection::Local);
            let ours = || std::env::var(UNSAFE_WRITES).ok().filter(|_| local);
            if let Some(text) = environment.get(UNSAFE_WRITES).cloned().or_else(ours) {
                args.insert("unsafe_writes".to_owned(), text.into());
            }
        }
        let args = match native.spec.read(&args, &|_| false) {
            Ok(_) => args,
            Err(errors) => {
                let text: Vec<String> = errors.iter().map(catalog::ArgumentError::in_result).collect();
                return Ok(Work::Done(results::failed(text.join("; "))));
            }
        };
        if self.traits.check && native.spec.check == catalog::Check::Skip {
            let mut skip = results::skipped("remote module does not support check mode");
            skip.insert(
                "msg".to_owned(),
                format!("remote module ({module}) does not support check mode").into(),
            );
            return Ok(Work::Done(skip));
        }
        let secret = self.holds_a_secret(&args);
        let call = Call {
            module: native.spec.name.to_owned(),
            args,
            secret,
            check: self.traits.check,
            diff: self.traits.diff,
            environment,
            invocation: self.walker.run.settings.verbosity > 2,
            brief: self.task.register.is_none() && self.walker.run.settings.verbosity == 0,
            no_log: self.traits.no_log,
            timeout_seconds: self.timeout()?,
            async_seconds: if self.traits.check { 0 } else { self.number(&self.task.async_seconds)? },
            async_id: String::new(),
            cause: self.cause(),
            ..Call::default()
        };
        Ok(Work::Remote(Box::new(Remote { way, call, after })))
    }

    /// Whether something out of a vault is among the arguments or in the content that goes with them.
    fn holds_a_secret(&self, args: &Map) -> bool {
        let vault = &self.walker.run.vault;
        let content =
            || args.get("_content").and_then(Json::as_str).and_then(|d| self.walker.run.blobs.get(d));
        !vault.is_empty()
            && (serde_json::to_vec(args).is_ok_and(|text| vault.turns_up_in(&text))
                || content().is_some_and(|content| vault.turns_up_in(&content)))
    }

    pub(crate) fn unknown(&self, module: &str) -> Map {
        let known = agent::modules::all().map(|m| m.spec.name).chain(actions::names());
        let near = catalog::arguments::nearest(module, known)
            .map(|n| format!("; did you mean `{n}`?"))
            .unwrap_or_default();
        let mut result = results::failed(format!(
            "couldn't resolve module/action '{}': it is not one that Theseus has, and none of that name was found here \
             (the project's `library`, installed collections, an installed ansible-core){near}",
            self.task.action
        ));
        result.insert(results::UNKNOWN_MODULE.to_owned(), true.into());
        result
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut all = BTreeMap::new();
        for layer in &self.task.keywords.environment {
            let layer = self.scope.value(layer)?.resolved()?;
            let maps = match layer.as_list() {
                Some(list) => list,
                None => vec![layer],
            };
            for map in maps {
                let Some(dict) = map.as_dict() else { continue };
                for (name, value) in dict.items()? {
                    all.insert(name.python_str()?, value.python_str()?);
                }
            }
        }
        Ok(all)
    }

    fn timeout(&self) -> Result<u64, Error> {
        let Some(value) = &self.task.keywords.timeout else { return Ok(0) };
        let value = self.scope.value(value)?;
        match value.as_i64().or_else(|| value.as_str().and_then(|s| s.trim().parse().ok())) {
            Some(number @ 0..=100_000_000) => Ok(number.unsigned_abs()),
            Some(number) => {
                Err(Error::new(format!("Timeout {number} is invalid, it must be between 0 and 100000000.")))
            }
            None => self.number(&self.task.keywords.timeout),
        }
    }

    fn number(&self, value: &Option<Value>) -> Result<u64, Error> {
        let Some(value) = value else { return Ok(0) };
        let value = self.scope.value(value)?;
        if value.is_omit() {
            return Ok(0);
        }
        let number = value.as_i64().or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()));
        number.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| {
            Error::new(format!(
                "expected a number of seconds, got {}",
                value.python_repr().unwrap_or_default()
            ))
        })
    }

    pub(crate) fn cause(&self) -> Cause {
        Cause {
            play: self.walker.play.name.to_string(),
            role: self.task.role.as_ref().map(|r| r.name.to_string()).unwrap_or_default(),
            task: self.walker.plain_name(self.task),
            place: format!("{}:{}", self.task.origin.file.display(), self.task.origin.line),
            item: String::new(),
        }
    }
}

fn flag(
    task: &Task,
    scope: &Scope,
    name: &str,
    keyword: fn(&Keywords) -> &Option<Value>,
    default: bool,
) -> Result<bool, Error> {
    let value = task.keywords.resolved(keyword, |value| scope.value(value))?;
    value.map_or(Ok(default), |value| as_bool(&value)).map_err(|mut error| {
        if !error.is_undefined() && error.is_pending().is_none() {
            error.message = format!("Error processing keyword '{name}': {}", error.message);
        }
        error
    })
}

/// A resolved value as JSON; a value that is still undefined says so.
pub(crate) fn json(value: &Value) -> Result<Json, Error> {
    value.resolved()?.to_json()
}

pub(crate) fn as_bool(value: &Value) -> Result<bool, Error> {
    let wrong = || {
        Error::new(format!(
            "The value {} could not be converted to 'bool'.",
            value.python_repr().unwrap_or_default()
        ))
    };
    match value {
        Value::Bool(b) => Ok(*b),
        Value::Str(s) => catalog::arguments::truth(s.as_str()).ok_or_else(wrong),
        Value::Int(n) => Ok(*n != 0),
        Value::None => Ok(false),
        Value::Undefined(missing) => Err(missing.error()),
        _ => Err(wrong()),
    }
}
