//! Running a template.

mod call;
mod expression;
pub(crate) mod globals;
mod looping;
mod output;
mod raised;
mod scope;
mod statement;
mod template;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::ast::{Block, Pos, Template};
use crate::context::Context;
use crate::engine::{Engine, Options};
use crate::error::Error;
use crate::origin::Origin;
use crate::value::{Str, Value};

pub(crate) use call::Args;
pub(crate) use expression::compare_values;
pub(crate) use output::Output;
pub(crate) use scope::Scope;

/// What one render needs everywhere.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) context: &'a dyn Context,
    pub(crate) options: &'a Options,
    /// Where the text of the outermost template stands (strings of playbooks).
    origin: Option<&'a Origin>,
    /// Scopes that macros refer to.
    kept: Mutex<Vec<Arc<Scope>>>,
    kept_units: Mutex<Vec<Arc<Unit>>>,
    /// Own copies of the variables that the template may change.
    copies: Option<Mutex<HashMap<Arc<str>, Value>>>,
    /// Text in quotes may be a template (in conditions).
    embedded: bool,
    /// It is a template, and no expression without braces.
    template: bool,
}

/// The template that is running, its blocks and its top scope.
pub(crate) struct Unit {
    root: Arc<Scope>,
    blocks: RwLock<HashMap<Arc<str>, Lineage>>,
}

/// The definitions of one block, the youngest first, each with the template that it stands in.
type Lineage = Vec<(Arc<Template>, Arc<Block>)>;

/// Where in the running template we are.
#[derive(Clone)]
pub(crate) struct Env {
    pub(crate) scope: Arc<Scope>,
    pub(crate) template: Arc<Template>,
    pub(crate) unit: Arc<Unit>,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        context: &'a dyn Context,
        options: &'a Options,
        origin: Option<&'a Origin>,
        mutates: bool,
    ) -> Self {
        let copies = mutates.then(Mutex::default);
        Self {
            engine,
            context,
            options,
            origin,
            kept: Mutex::default(),
            kept_units: Mutex::default(),
            copies,
            embedded: false,
            template: true,
        }
    }

    /// For a condition: `when: name == "{{ other }}"` means what `when: name == other` means.
    pub(crate) fn with_embedded(mut self) -> Self {
        self.embedded = true;
        self
    }

    /// For an expression without braces.
    pub(crate) fn of_expression(mut self) -> Self {
        self.template = false;
        self
    }

    pub(crate) fn constant(&self, value: &Value) -> Result<Value, Error> {
        if self.embedded { self.opened(value) } else { Ok(value.clone()) }
    }

    /// A constant in which a template may stand that counts.
    pub(crate) fn opened(&self, value: &Value) -> Result<Value, Error> {
        let (Value::Str(text), Some(origin)) = (value, self.origin) else { return Ok(value.clone()) };
        let text = Str::trusted(text.as_str(), Arc::new(origin.clone()));
        if !text.is_template() {
            return Ok(value.clone());
        }
        self.context.warn(format!(
            "Jinja constant strings should not contain embedded templates: write the expression itself for {}",
            text.as_str()
        ));
        self.engine.render_open(&text, self.context)
    }

    /// The place in a file that a position in a template is.
    pub(crate) fn place(&self, template: &Template, pos: Pos) -> Option<Origin> {
        match &template.path {
            Some(path) => Some(Origin::new(Arc::clone(path), pos.line, pos.column)),
            None => self.origin.map(|origin| inside(origin, pos)),
        }
    }

    /// An error that has come up here, in Ansible's words.
    fn located(&self, error: Error, env: &Env, pos: Pos) -> Error {
        self.found_at(self.rendering(error), env, pos)
    }

    fn found_at(&self, error: Error, env: &Env, pos: Pos) -> Error {
        if error.origin.is_some() {
            return error;
        }
        match self.place(&env.template, pos) {
            Some(origin) => error.at(&origin),
            None => error,
        }
    }
}

/// What stands in the braces, if there is nothing else.
pub(crate) fn only_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("}}") && !inner.contains("{{") && !inner.starts_with(['-', '+'])).then_some(inner.trim())
}

/// A position inside a string that begins at this place.
pub(crate) fn inside(origin: &Origin, pos: Pos) -> Origin {
    let column =
        if pos.line <= 1 { origin.column.saturating_add(pos.column.saturating_sub(1)) } else { pos.column };
    Origin::new(Arc::clone(&origin.file), origin.line.saturating_add(pos.line.saturating_sub(1)), column)
}

impl Env {
    /// For an expression that belongs to no template.
    pub(crate) fn bare() -> Self {
        let template = Template { body: Vec::new(), blocks: HashMap::new(), path: None, mutates: false };
        let root = Scope::root(true);
        let unit = Arc::new(Unit { root: Arc::clone(&root), blocks: RwLock::default() });
        Self { scope: root, template: Arc::new(template), unit }
    }
}

impl Drop for Run<'_> {
    /// Macros and modules may refer to the scope that they stand in.
    fn drop(&mut self) {
        for scope in self.kept.get_mut().drain(..) {
            scope.clear();
        }
    }
}
