//! The engine: templates and expressions in, values out. Compiled templates are kept by their text.

use std::hash::{BuildHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap, IndexSet};
use parking_lot::RwLock;

use crate::ast::{Expr, Kind, Template};
use crate::context::Context;
use crate::error::Error;
use crate::eval::{Env, Output, Run, Scope, globals, inside, only_expression};
use crate::lexer::SyntaxError;
use crate::origin::Origin;
use crate::value::{Str, Value};
use crate::{header, older, outline, parser};

/// How a template file is read: the options of the `template` module and its `#jinja2:` header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    pub block_start: String,
    pub block_end: String,
    pub variable_start: String,
    pub variable_end: String,
    pub comment_start: String,
    pub comment_end: String,
    /// What begins a line that is a statement, or a comment up to a line's end; empty: nothing does.
    pub line_statement: String,
    pub line_comment: String,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    pub newline_sequence: String,
    pub keep_trailing_newline: bool,
    /// 2.18's meaning: conditionals need not be boolean.
    pub lenient: bool,
    /// 2.18's meaning: strings of playbooks give text, and what reads as a list or a mapping becomes one.
    pub text_templates: bool,
    /// The `do` statement.
    pub extension_do: bool,
    /// `break` and `continue`.
    pub extension_loopcontrols: bool,
    /// The filters of collections are installed, as most people have them; false: only those of ansible-core.
    pub collections: bool,
}

impl Default for Options {
    /// What the `template` module starts from.
    fn default() -> Self {
        Self {
            block_start: "{%".to_owned(),
            block_end: "%}".to_owned(),
            variable_start: "{{".to_owned(),
            variable_end: "}}".to_owned(),
            comment_start: "{#".to_owned(),
            comment_end: "#}".to_owned(),
            line_statement: String::new(),
            line_comment: String::new(),
            trim_blocks: true,
            lstrip_blocks: false,
            newline_sequence: "\n".to_owned(),
            keep_trailing_newline: true,
            lenient: false,
            text_templates: false,
            extension_do: false,
            extension_loopcontrols: false,
            collections: true,
        }
    }
}

/// How many compiled templates one shelf of the cache keeps.
const KEPT: usize = 4096;
const SHELVES: usize = 16;

type Shelf<K, T> = RwLock<IndexMap<K, Arc<T>, RandomState>>;

/// Compiled things by their text, on several shelves so that threads seldom meet.
struct Cache<K, T> {
    shelves: [Shelf<K, T>; SHELVES],
    hasher: RandomState,
}

impl<K: Hash + Eq, T> Cache<K, T> {
    fn new() -> Self {
        Self { shelves: std::array::from_fn(|_| RwLock::default()), hasher: RandomState::default() }
    }

    fn shelf<Q: Hash + ?Sized>(&self, key: &Q) -> &Shelf<K, T> {
        let hash = self.hasher.hash_one(key);
        &self.shelves[usize::try_from(hash % SHELVES as u64).unwrap_or(0)]
    }

    fn find<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<T>> {
        self.shelf(key).read().get(key).cloned()
    }

    fn keep(&self, key: K, value: &Arc<T>) {
        let mut shelf = self.shelf(&key).write();
        if shelf.len() >= KEPT {
            shelf.clear();
        }
        shelf.insert(key, Arc::clone(value));
    }
}

/// A template file in the cache: its place, its text and how it is read.
#[derive(PartialEq, Eq)]
struct FileKey {
    path: Arc<Path>,
    source: Arc<str>,
    options: Options,
}

/// The same for looking it up, without copies. Options are compared, but seldom differ: they are no part of the hash.
struct FileLook<'a> {
    path: &'a Path,
    source: &'a str,
    options: &'a Options,
}

impl Hash for FileLook<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl Hash for FileKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl Equivalent<FileKey> for FileLook<'_> {
    fn equivalent(&self, key: &FileKey) -> bool {
        *self.source == *key.source && self.path == &*key.path && *self.options == key.options
    }
}

pub(crate) struct Expression {
    pub(crate) expr: Expr,
    mutates: bool,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    /// Alone in a template's braces.
    Braces,
    /// By itself, without braces.
    Expression,
    /// In a condition, where text in quotes may be a template.
    Condition,
}

/// One per run, shared by all threads.
pub struct Engine {
    options: Options,
    strings: Cache<Arc<str>, Template>,
    expressions: Cache<Arc<str>, Expression>,
    files: Cache<FileKey, Template>,
    /// Where expressions stand that belong to no template. They define no names, so all share it.
    bare: Env,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    pub fn new() -> Self {
        Self::with_options(Options::default())
    }

    /// `lenient` and the extensions count for strings of playbooks too.
    pub fn with_options(options: Options) -> Self {
        Self {
            options,
            strings: Cache::new(),
            expressions: Cache::new(),
            files: Cache::new(),
            bare: Env::bare(),
        }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A string of a playbook: native result, typed. Not trusted or not a template: returned as it is.
    /// Result strings are untrusted unless nothing was rendered. Containers may still be lazy inside and keep
    /// `omit`: [`Value::resolved`] forces them and drops what is omitted.
    pub fn render(&self, source: &Str, context: &dyn Context) -> Result<Value, Error> {
        if !source.is_template() {
            return Ok(Value::Str(source.clone()));
        }
        let origin = source.origin().map(|origin| &**origin);
        let template = self.string(source)?;
        let run = Run::new(self, context, &self.options, origin, template.mutates);
        let result = run.render(&template).map_err(|error| placed(run.rendering(error), origin))?;
        let result = match result {
            Value::Str(text) => match lost_newlines(source.as_str(), text.as_str(), "\n") {
                lost if lost.is_empty() => Value::Str(text),
                lost => Value::from(format!("{}{lost}", text.as_str())),
            },
            other => other,
        };
        if !self.options.text_templates {
            return Ok(result);
        }
        Ok(older(result, older::is_variable(&template.body), source, context))
    }

    /// As [`Engine::render`]; but what is undefined inside of what an expression gives stays there, for who does not mind.
    pub fn render_open(&self, source: &Str, context: &dyn Context) -> Result<Value, Error> {
        match (only_expression(source.as_str()), source.origin()) {
            (Some(inner), Some(origin)) if source.is_template() => {
                let inner = Str::trusted(inner, Arc::clone(origin));
                let value = self.evaluate_raw(&inner, context, Reading::Braces)?;
                if !self.options.text_templates {
                    return Ok(value);
                }
                let variable = matches!(self.expression(&inner)?.expr.kind, Kind::Name(_));
                Ok(older(value, variable, source, context))
            }
            _ => self.render(source, context),
        }
    }

    /// `when`, `changed_when`, …: an expression without braces, to a value (see [`Engine::condition`] for a bool).
    pub fn evaluate(&self, source: &Str, context: &dyn Context) -> Result<Value, Error> {
        self.evaluate_raw(source, context, Reading::Expression)?
            .finalize()
            .map_err(|error| placed(error, source.origin().map(|o| &**o)))
    }

    /// As [`Engine::evaluate`]; but what is undefined inside of the value stays there.
    pub fn evaluate_open(&self, source: &Str, context: &dyn Context) -> Result<Value, Error> {
        self.evaluate_raw(source, context, Reading::Expression)
    }

    pub(crate) fn evaluate_raw(
        &self,
        source: &Str,
        context: &dyn Context,
        reading: Reading,
    ) -> Result<Value, Error> {
        let origin = source.origin().map(|origin| &**origin);
        let compiled = self.expression(source)?;
        let run = Run::new(self, context, &self.options, origin, compiled.mutates);
        let run = match reading {
            Reading::Braces => run,
            Reading::Expression => run.of_expression(),
            Reading::Condition => run.of_expression().with_embedded(),
        };
        let result = run.eval(&compiled.expr, &self.bare);
        result.map_err(|error| placed(error, origin))
    }

    /// A conditional in 2.19's meaning: the result must be a bool (lenient: any truth, with a warning);
    /// a list is an AND.
    pub fn condition(&self, source: &Value, context: &dyn Context) -> Result<bool, Error> {
        match source {
            Value::Bool(result) => Ok(*result),
            Value::List(_) | Value::Tuple(_) => {
                for part in source.iterate()? {
                    crate::value::deeper()?;
                    if !self.condition(&part, context)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Value::Str(text) => self.condition_text(text, context),
            other => self.as_condition(other, &other.python_repr()?, None, context),
        }
    }

    fn condition_text(&self, text: &Str, context: &dyn Context) -> Result<bool, Error> {
        let origin = text.origin().map(|origin| &**origin);
        let trimmed = text.as_str().trim();
        if trimmed.is_empty() {
            return self.as_condition(&Value::Str(text.clone()), "an empty conditional", origin, context);
        }
        let result = if trimmed.starts_with("{{") || trimmed.starts_with("{%") {
            context.warn(format!("conditionals should not be wrapped in template delimiters: {trimmed}"));
            self.render(text, context)?
        } else {
            self.evaluate_raw(text, context, Reading::Condition)?
        };
        if let Value::Undefined(missing) = &result {
            return Err(placed(missing.error(), origin));
        }
        self.as_condition(&result, trimmed, origin, context)
    }

    fn as_condition(
        &self,
        result: &Value,
        what: &str,
        origin: Option<&Origin>,
        context: &dyn Context,
    ) -> Result<bool, Error> {
        if let Value::Bool(result) = result {
            return Ok(*result);
        }
        let kind = result.type_name();
        let truth = match result {
            // An empty string or nothing was no condition at all.
            Value::None => self.options.lenient,
            Value::Str(text) if text.as_str().is_empty() => self.options.lenient,
            other => other.truth()?,
        };
        if self.options.lenient {
            let place = origin.map(|origin| format!("{origin}: ")).unwrap_or_default();
            context.warn(format!(
                "{place}the conditional '{what}' gives a value of type '{kind}', taken as {truth}"
            ));
            return Ok(truth);
        }
        let hint = match result {
            Value::Str(_) => "compare it, or write `| bool`",
            Value::Int(_) | Value::Float(_) | Value::Big(_) => "compare it with a number, or write `| bool`",
            Value::List(_) | Value::Tuple(_) | Value::Dict(_) => "write `| length > 0`",
            _ => "compare it, for example with `is not none`",
        };
        let truth = if truth { "True" } else { "False" };
        let message = format!(
            "Conditional result ({truth}) was derived from value of type '{kind}'. Conditionals must have a boolean result: in '{what}' {hint}"
        );
        Err(placed(Error::new(message), origin))
    }

    /// A template file (`template` module): text. Honours the `#jinja2:` header.
    pub fn render_file(
        &self,
        path: &Path,
        source: &str,
        options: &Options,
        context: &dyn Context,
    ) -> Result<String, Error> {
        match self.read_file(path, source, options, context, true)? {
            Value::Str(text) => Ok(text.as_str().to_owned()),
            other => other.python_str(),
        }
    }

    /// The same as the lookup `template` gives it: a file that is one expression has that expression's value.
    pub fn file_value(
        &self,
        path: &Path,
        source: &str,
        options: &Options,
        context: &dyn Context,
    ) -> Result<Value, Error> {
        self.read_file(path, source, options, context, false)
    }

    fn read_file(
        &self,
        path: &Path,
        source: &str,
        options: &Options,
        context: &dyn Context,
        as_text: bool,
    ) -> Result<Value, Error> {
        let start = Origin::new(Arc::from(path), 1, 1);
        let (options, body, lines) = header::read(source, options).map_err(|error| error.at(&start))?;
        let shift = |mut error: Error| {
            // The header is a line of the file, too.
            if let Some(origin) = error.origin.as_mut().filter(|origin| *origin.file == *path) {
                origin.line += lines;
            }
            error
        };
        let template = self.file(path, body, &options).map_err(shift)?;
        if template.body.is_empty() {
            // Comments only: nothing at all, not even a line's end.
            return Ok(Value::str(""));
        }
        let run = Run::new(self, context, &options, None, template.mutates);
        let told = |error| shift(run.rendering(error).at(&start));
        let mut text = if as_text {
            run.render_text(&template, body.len()).map_err(told)?
        } else {
            match run.render(&template).map_err(told)? {
                Value::Str(text) => text.as_str().to_owned(),
                value => return Ok(value),
            }
        };
        if options.keep_trailing_newline {
            text.push_str(&lost_newlines(body, &text, &options.newline_sequence));
        }
        Ok(Value::from(text))
    }

    /// Parses only.
    pub fn check(&self, source: &Str) -> Result<(), Error> {
        if source.is_template() { self.string(source).map(|_| ()) } else { Ok(()) }
    }

    pub fn check_expression(&self, source: &Str) -> Result<(), Error> {
        self.expression(source).map(|_| ())
    }

    /// Free variable names that a template mentions, without evaluating it. Unreadable templates mention nothing.
    pub fn mentions(&self, source: &Str) -> Vec<String> {
        if !source.is_template() {
            return Vec::new();
        }
        let template = self.string(source);
        mentioned(template.map(|template| outline::names_of_body(&template.body)).unwrap_or_default())
    }

    pub fn mentions_expression(&self, source: &Str) -> Vec<String> {
        let compiled = self.expression(source);
        mentioned(compiled.map(|compiled| outline::names_of_expr(&compiled.expr)).unwrap_or_default())
    }

    pub(crate) fn string(&self, source: &Str) -> Result<Arc<Template>, Error> {
        let text = source.as_str();
        if let Some(found) = self.strings.find(text) {
            return Ok(found);
        }
        let parsed = parser::template(text, &self.options, None);
        let compiled =
            Arc::new(parsed.map_err(|error| syntax(error, source.origin().map(|origin| &**origin)))?);
        self.strings.keep(Arc::clone(source.text()), &compiled);
        Ok(compiled)
    }

    pub(crate) fn expression(&self, source: &Str) -> Result<Arc<Expression>, Error> {
        let text = source.as_str();
        if let Some(found) = self.expressions.find(text) {
            return Ok(found);
        }
        let parsed = parser::expression(text, &self.options);
        let (expr, mutates) =
            parsed.map_err(|error| syntax(error, source.origin().map(|origin| &**origin)))?;
        let compiled = Arc::new(Expression { expr, mutates });
        self.expressions.keep(Arc::clone(source.text()), &compiled);
        Ok(compiled)
    }

    pub(crate) fn file(&self, path: &Path, source: &str, options: &Options) -> Result<Arc<Template>, Error> {
        if let Some(found) = self.files.find(&FileLook { path, source, options }) {
            return Ok(found);
        }
        let path: Arc<Path> = Arc::from(path);
        let key = FileKey { path: Arc::clone(&path), source: Arc::from(source), options: options.clone() };
        let parsed = parser::template(source, options, Some(Arc::clone(&path)));
        let compiled =
            parsed.map_err(|SyntaxError { error, pos }| error.at(&Origin::new(path, pos.line, pos.column)));
        let compiled = Arc::new(compiled?);
        self.files.keep(key, &compiled);
        Ok(compiled)
    }
}

impl Run<'_> {
    fn render(&self, template: &Arc<Template>) -> Result<Value, Error> {
        let mut out = Output::default();
        let root = Scope::root(true);
        let unit = self.template(template, Arc::clone(&root), &mut out);
        let result = unit.and_then(|_| match out.into_value() {
            // An `if` without `else`.
            Value::Undefined(missing) if missing.soft && self.options.text_templates => Ok(Value::None),
            value => value.finalize(),
        });
        root.clear();
        result
    }

    /// `expected`: about how long the text will be.
    fn render_text(&self, template: &Arc<Template>, expected: usize) -> Result<String, Error> {
        let mut out = Output::text(expected);
        let root = Scope::root(true);
        let unit = self.template(template, Arc::clone(&root), &mut out);
        let result = unit.and_then(|_| out.finish_text());
        root.clear();
        result
    }
}

/// The newlines at the end of the source that are missing at the end of the result: a template keeps as many
/// as were written. Also where lines end otherwise: of `\r\n` then only the last one counts, as in Ansible.
fn lost_newlines(source: &str, result: &str, newline: &str) -> String {
    let count = |text: &str| text.len() - text.trim_end_matches('\n').len();
    newline.repeat(count(source).saturating_sub(count(result)))
}

/// 2.18's value of a template, with a warning where 2.19 gives something else.
fn older(value: Value, variable: bool, source: &Str, context: &dyn Context) -> Value {
    let (value, becomes) = older::meaning(value, variable);
    if let (Some(kind), Some(origin)) = (becomes, source.origin()) {
        let line = source.as_str().trim().lines().next().unwrap_or_default();
        context.warn(format!(
            "{origin}: this template gives {kind} as in ansible-core 2.18, and something else since 2.19: {line}"
        ));
    }
    value
}

fn placed(error: Error, origin: Option<&Origin>) -> Error {
    match origin {
        Some(origin) => error.at(origin),
        None => error,
    }
}

fn syntax(found: SyntaxError, origin: Option<&Origin>) -> Error {
    let SyntaxError { error, pos } = found;
    match origin {
        Some(origin) => error.at(&inside(origin, pos)),
        None => error.at(&Origin::new(Path::new("<string>"), pos.line, pos.column)),
    }
}

fn mentioned(names: IndexSet<Arc<str>>) -> Vec<String> {
    names.iter().filter(|name| !globals::is_global(name)).map(ToString::to_string).collect()
}
