//! What one task on one host sees: names to values, resolved when they are used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use expressions::{Context, Error, ErrorKind, Resolve, Str, Value};
use parking_lot::Mutex;

use super::layers::Found;
use super::{PlayVars, Variables, wrap};
use crate::ir::{Task, Vars};

/// Templates inside templates; deeper is taken for a circle, before the stack ends.
const MAX_DEPTH: usize = 100;

/// The variables of one task on one host. Cheap to clone; make a new one when variables have changed.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
    _end: Arc<End>,
}

pub(super) struct Inner {
    pub(super) variables: Arc<Variables>,
    pub(super) play: Arc<PlayVars>,
    pub(super) task: Option<Arc<Task>>,
    pub(super) host: Option<Arc<str>>,
    /// Loop variables and what the run adds: final values, above everything.
    pub(super) extras: Vars,
    /// Seen from another host: nothing of the play and its tasks.
    pub(super) bare: bool,
    /// While names of `vars_files` are resolved, they themselves cannot be asked.
    pub(super) without_files: bool,
    this: Weak<Inner>,
    cache: Mutex<HashMap<Arc<str>, Option<Value>>>,
    /// Lazy containers keep this scope alive, and the cache keeps them: it is emptied when the last handle goes.
    closed: AtomicBool,
}

struct End(Weak<Inner>);

impl Drop for End {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.closed.store(true, Ordering::Release);
            let cache = std::mem::take(&mut *inner.cache.lock());
            drop(cache);
        }
    }
}

thread_local! {
    /// Templates that are being resolved on this thread: (scope, text), and the words for a message.
    static ACTIVE: RefCell<Vec<(usize, usize, Arc<str>)>> = const { RefCell::new(Vec::new()) };
}

/// One template in work; ends when dropped.
struct Active;

impl Active {
    fn enter(scope: usize, text: &Str) -> Result<Self, Error> {
        let place = Arc::as_ptr(text.text()).cast::<u8>() as usize;
        ACTIVE.with_borrow_mut(|stack| {
            let circle = stack.iter().position(|(s, t, _)| (*s, *t) == (scope, place));
            if circle.is_none() && stack.len() < MAX_DEPTH {
                stack.push((scope, place, text.text().clone()));
                return Ok(Self);
            }
            let chain: Vec<&str> = stack[circle.unwrap_or(stack.len().saturating_sub(5))..]
                .iter()
                .map(|(_, _, text)| &**text)
                .chain([text.as_str()])
                .collect();
            let message = format!("recursive loop detected in template: {}", chain.join(" -> "));
            let error = Error { kind: ErrorKind::Loop, ..Error::new(message) };
            Err(text.origin().map_or(error.clone(), |origin| error.at(origin)))
        })
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.with_borrow_mut(|stack| _ = stack.pop());
    }
}

impl Scope {
    /// What the settings say of `ansible_managed`, if no variable says it.
    pub fn managed_by_settings(&self) -> Result<Option<&str>, Error> {
        Ok(self
            .inner
            .find("ansible_managed")?
            .is_none()
            .then_some(self.inner.variables.config.ansible_managed.as_str()))
    }

    /// `extras`: loop variables and other values that the run gives, above everything else.
    pub fn new(
        variables: &Arc<Variables>,
        play: &Arc<PlayVars>,
        task: Option<&Arc<Task>>,
        host: Option<&Arc<str>>,
        extras: Vars,
    ) -> Self {
        Self::build(Parts {
            variables: variables.clone(),
            play: play.clone(),
            task: task.cloned(),
            host: host.cloned(),
            extras,
            bare: false,
            without_files: false,
        })
    }

    fn build(parts: Parts) -> Self {
        let inner = Arc::new_cyclic(|this| Inner {
            variables: parts.variables,
            play: parts.play,
            task: parts.task,
            host: parts.host,
            extras: parts.extras,
            bare: parts.bare,
            without_files: parts.without_files,
            this: this.clone(),
            cache: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let end = Arc::new(End(Arc::downgrade(&inner)));
        Self { inner, _end: end }
    }

    /// The same with more values on top.
    #[must_use]
    pub fn with(&self, extras: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        let mut all = self.inner.extras.clone();
        all.extend(extras);
        Self::build(Parts { extras: all, ..self.inner.parts() })
    }

    pub fn variables(&self) -> &Arc<Variables> {
        &self.inner.variables
    }
    pub fn play(&self) -> &Arc<PlayVars> {
        &self.inner.play
    }
    pub fn task(&self) -> Option<&Arc<Task>> {
        self.inner.task.as_ref()
    }
    pub fn host(&self) -> Option<&Arc<str>> {
        self.inner.host.as_ref()
    }

    /// Another host, as `hostvars` shows it.
    pub fn of_host(&self, host: Arc<str>) -> Self {
        self.inner.for_host(host)
    }

    /// Any value of the project, resolved; containers stay lazy (see [`Value::resolved`]).
    pub fn value(&self, raw: &Value) -> Result<Value, Error> {
        self.inner.resolve_deep(raw)
    }
    /// Resolved to the last element, without what is `omit`.
    pub fn resolved(&self, raw: &Value) -> Result<Value, Error> {
        self.value(raw)?.resolved()
    }
    /// Text of a value.
    pub fn text(&self, raw: &Value) -> Result<String, Error> {
        self.value(raw)?.defined()?.python_str()
    }
    /// A list of conditions, all of which must hold.
    pub fn holds(&self, conditions: &[Value]) -> Result<bool, Error> {
        for condition in conditions {
            if !self.inner.variables.engine.condition(condition, self)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
    /// Where files are looked for: role, its parents, the task's folder, the playbook's.
    pub fn search_path(&self) -> Vec<PathBuf> {
        self.inner.search_path()
    }
}

struct Parts {
    variables: Arc<Variables>,
    play: Arc<PlayVars>,
    task: Option<Arc<Task>>,
    host: Option<Arc<str>>,
    extras: Vars,
    bare: bool,
    without_files: bool,
}

impl Inner {
    fn parts(&self) -> Parts {
        Parts {
            variables: self.variables.clone(),
            play: self.play.clone(),
            task: self.task.clone(),
            host: self.host.clone(),
            extras: self.extras.clone(),
            bare: self.bare,
            without_files: self.without_files,
        }
    }
    pub(super) fn for_files(&self) -> Scope {
        Scope::build(Parts { without_files: true, ..self.parts() })
    }
    pub(super) fn for_host(&self, host: Arc<str>) -> Scope {
        let extras = Vars::new();
        Scope::build(Parts { host: Some(host), task: None, extras, bare: true, ..self.parts() })
    }
    /// A handle for callbacks (lookups) that take a scope.
    pub(super) fn handle(&self) -> Option<Scope> {
        // Without the power to close: the real handle lives longer than this one.
        self.this.upgrade().map(|inner| Scope { inner, _end: Arc::new(End(Weak::new())) })
    }
    pub(super) fn search_path(&self) -> Vec<PathBuf> {
        match &self.task {
            Some(task) => (*task.search).clone(),
            None => vec![self.play.play.dir.to_path_buf()],
        }
    }

    fn resolver(&self) -> Option<Arc<dyn Resolve>> {
        self.this.upgrade().map(|inner| inner as Arc<dyn Resolve>)
    }

    /// Which scope this is, for finding circles. Another host's is made anew whenever it is asked.
    fn identity(&self) -> usize {
        match &self.host {
            Some(host) if self.bare => {
                host.bytes().fold(0, |all: usize, byte| all.wrapping_mul(31).wrapping_add(byte.into()))
            }
            _ => std::ptr::from_ref(self) as usize,
        }
    }

    pub(super) fn resolve_deep(&self, raw: &Value) -> Result<Value, Error> {
        match raw {
            Value::Str(text) if text.is_template() => {
                let _active = Active::enter(self.identity(), text)?;
                let result = self.variables.engine.render(text, self);
                result.map_err(|error| match text.origin() {
                    Some(origin) => error.at(origin),
                    None => error,
                })
            }
            Value::List(_) | Value::Dict(_) => match self.resolver() {
                Some(resolver) => Ok(wrap::lazy(raw, &resolver)),
                None => Ok(raw.clone()),
            },
            other => wrap::opened(other),
        }
    }

    /// What is undefined inside a variable makes the variable undefined.
    fn settle(result: Result<Value, Error>) -> Result<Value, Error> {
        match result {
            Err(error) if error.is_undefined() => Ok(Value::from_undefined_error(error)),
            other => other,
        }
    }

    pub(super) fn lookup_variable(&self, name: &str) -> Result<Option<Value>, Error> {
        if let Some(value) = self.extras.get(name) {
            return Self::settle(self.resolve_deep(value)).map(Some);
        }
        if let Some(value) = self.magic(name) {
            return value.map(Some);
        }
        match self.find(name)? {
            None => Ok(None),
            Some(Found::Final(value)) => match (&value, self.resolver()) {
                (Value::List(_) | Value::Dict(_), Some(resolver)) => Ok(Some(wrap::lazy(&value, &resolver))),
                _ => Ok(Some(value)),
            },
            Some(Found::Raw(raw)) => Self::settle(self.resolve_deep(&raw)).map(Some),
        }
    }
}

impl Resolve for Inner {
    fn resolve(&self, raw: &Value) -> Result<Value, Error> {
        Self::settle(self.resolve_deep(raw))
    }
}

impl Inner {
    /// Whether it comes out of a vault, opened or not.
    fn is_vaulted(&self, value: &Value) -> bool {
        match value {
            Value::Str(text) => self.variables.vault.gave(text.as_str()),
            Value::Object(object) => object.as_any().is::<crate::yaml::VaultText>(),
            _ => false,
        }
    }
}

impl Context for Inner {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        if let Some(known) = self.cache.lock().get(name) {
            return Ok(known.clone());
        }
        let value = self.lookup_variable(name)?;
        if !self.closed.load(Ordering::Acquire) {
            self.cache.lock().insert(name.into(), value.clone());
        }
        Ok(value)
    }
    fn names(&self) -> Vec<String> {
        self.all_names().iter().map(ToString::to_string).collect()
    }
    fn lookup(&self, name: &str, args: &[Value], kwargs: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        let Some(scope) = self.handle() else { return Err(Error::new("the run has ended")) };
        crate::lookups::run(&scope, name, args, kwargs)
    }
    fn encrypted(&self, name: &str) -> Option<Value> {
        match self.find(name).ok()?? {
            Found::Raw(value) => value.as_object::<crate::yaml::VaultText>().is_some().then_some(value),
            Found::Final(_) => None,
        }
    }
    fn takes_undefined(&self, lookup: &str) -> bool {
        self.variables.outside.takes_undefined(lookup)
    }
    fn template_source(&self, name: &str) -> Result<Option<(PathBuf, String)>, Error> {
        let mut search = self.search_path();
        if let Some(Value::Str(current)) = self.extras.get("template_fullpath")
            && let Some(dir) = std::path::Path::new(current.as_str()).parent()
        {
            search.insert(0, dir.to_owned());
        }
        let Some(path) = crate::search::find(name, "templates", &search).filter(|path| path.is_file()) else {
            return Ok(None);
        };
        let text = crate::yaml::read_text(&path, &self.variables.vault).map_err(super::play::to_error)?;
        Ok(Some((path, text)))
    }
    fn filter(
        &self,
        name: &str,
        value: &Value,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        let scope = self.handle()?;
        crate::lookups::filter(&scope, name, value, args, kwargs)
            .or_else(|| self.variables.outside.filter(&scope, name, value, args, kwargs))
    }
    fn test(
        &self,
        name: &str,
        value: &Value,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<bool, Error>> {
        let tag = args.first().and_then(Value::as_str);
        match (name.rsplit('.').next(), tag) {
            (Some("vault_encrypted"), None) | (Some("tagged_with"), Some("VaultedValue")) => {
                return Some(Ok(self.is_vaulted(value)));
            }
            (Some("tagged_with"), Some("TrustedAsTemplate")) => {
                return Some(Ok(matches!(value, Value::Str(text) if text.origin().is_some())));
            }
            _ => {}
        }
        let scope = self.handle()?;
        self.variables.outside.test(&scope, name, value, args, kwargs)
    }
    fn parse_yaml(&self, text: &str) -> Result<Value, Error> {
        let loaded = crate::yaml::load_str(text, PathBuf::from("<text>")).map_err(super::play::to_error)?;
        Ok(loaded.node.map_or(Value::None, |node| untrusted(&node.to_value(&self.variables.vault))))
    }
    fn parse_yaml_all(&self, text: &str) -> Result<Vec<Value>, Error> {
        let (nodes, _) =
            crate::yaml::load_all_str(text, PathBuf::from("<text>")).map_err(super::play::to_error)?;
        Ok(nodes.iter().map(|node| untrusted(&node.to_value(&self.variables.vault))).collect())
    }
    fn warn(&self, message: String) {
        self.variables.outside.warn(message);
    }
}

impl Context for Scope {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        self.inner.variable(name)
    }
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }
    fn lookup(&self, name: &str, args: &[Value], kwargs: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        self.inner.lookup(name, args, kwargs)
    }
    fn encrypted(&self, name: &str) -> Option<Value> {
        self.inner.encrypted(name)
    }
    fn takes_undefined(&self, lookup: &str) -> bool {
        self.inner.takes_undefined(lookup)
    }
    fn template_source(&self, name: &str) -> Result<Option<(PathBuf, String)>, Error> {
        self.inner.template_source(name)
    }
    fn filter(
        &self,
        name: &str,
        value: &Value,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        self.inner.filter(name, value, args, kwargs)
    }
    fn test(
        &self,
        name: &str,
        value: &Value,
        args: &[Value],
        kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<bool, Error>> {
        self.inner.test(name, value, args, kwargs)
    }
    fn parse_yaml(&self, text: &str) -> Result<Value, Error> {
        self.inner.parse_yaml(text)
    }
    fn parse_yaml_all(&self, text: &str) -> Result<Vec<Value>, Error> {
        self.inner.parse_yaml_all(text)
    }
    fn warn(&self, message: String) {
        self.inner.warn(message);
    }
}

/// Data: no string in it is a template.
pub(crate) fn untrusted(value: &Value) -> Value {
    match value {
        Value::Str(text) if text.is_trusted() => Value::str(text.text().clone()),
        Value::List(list) => Value::list(list.raw_items().iter().map(untrusted).collect()),
        Value::Dict(dict) => {
            let entries = dict.raw_items();
            Value::dict(
                entries.iter().map(|(key, value)| (untrusted(key), untrusted(value))).collect::<Vec<_>>(),
            )
        }
        other => other.clone(),
    }
}
