//! Global functions: `range`, `lookup`, `namespace` …

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use super::{Args, Run};
use crate::datetime;
use crate::error::Error;
use crate::methods::{dict, integer, text};
use crate::value::{self, Dict, Object, Value};

/// A loop over more numbers than this is a mistake.
const LONGEST_RANGE: i128 = 20_000_000;

/// A function that templates call by name.
pub(crate) struct Function(&'static str);

impl Function {
    pub(super) fn looks_up(&self) -> bool {
        matches!(self.0, "lookup" | "query" | "q")
    }
}

impl Object for Function {
    fn type_name(&self) -> &str {
        match self.0 {
            "range" | "dict" | "cycler" | "joiner" | "namespace" => "type",
            _ => "function",
        }
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn render(&self) -> Result<String, Error> {
        Ok(format!("<function {}>", self.0))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

const FUNCTIONS: [&str; 11] =
    ["range", "dict", "lookup", "query", "q", "now", "undef", "namespace", "cycler", "joiner", "lipsum"];

static GLOBALS: LazyLock<HashMap<&'static str, Value>> = LazyLock::new(|| {
    let functions = FUNCTIONS.iter().map(|name| (*name, Value::object(Function(name))));
    functions.chain([("omit", value::omit())]).collect()
});

pub(super) fn find(name: &str) -> Option<Value> {
    GLOBALS.get(name).cloned()
}

/// Is this one of the engine's own names, not a variable?
pub(crate) fn is_global(name: &str) -> bool {
    GLOBALS.contains_key(name)
}

pub(super) fn call(run: &Run<'_>, function: &Function, args: Args) -> Result<Value, Error> {
    match function.0 {
        "range" => range(&args),
        "dict" => {
            let new = Value::from(Dict::new());
            crate::methods::call(&new, "update", &args).unwrap_or(Ok(Value::None))?;
            Ok(new)
        }
        "lookup" => lookup(run, args, false),
        "query" | "q" => lookup(run, args, true),
        "now" => now(&args),
        "undef" => {
            let [hint] = args.bind("undef", ["hint"])?;
            let hint = hint.filter(|hint| !hint.is_none()).map(|hint| hint.python_str()).transpose()?;
            Ok(Value::undefined(
                hint.unwrap_or_else(|| "Mandatory variable has not been overridden".to_owned()),
            ))
        }
        "namespace" => namespace(&args),
        "cycler" if args.positional.is_empty() => Err(Error::new("at least one item has to be provided")),
        "cycler" => Ok(Value::object(Cycler { items: args.positional, at: AtomicUsize::new(0) })),
        "joiner" => {
            let [separator] = args.bind("joiner", ["sep"])?;
            let separator = separator.unwrap_or_else(|| Value::str(", "));
            Ok(Value::object(Joiner { separator, used: AtomicBool::new(false) }))
        }
        _ => lipsum(&args),
    }
}

/// `range(..)`: a value of its own, not a list.
struct Range {
    start: i64,
    stop: i64,
    step: i64,
}

impl Range {
    fn count(&self) -> i128 {
        let (start, stop, step) = (i128::from(self.start), i128::from(self.stop), i128::from(self.step));
        let distance = if step > 0 { stop - start } else { start - stop };
        if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 }
    }
    fn at(&self, index: i128) -> Value {
        let number = i128::from(self.start) + index * i128::from(self.step);
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl Object for Range {
    fn type_name(&self) -> &str {
        "range"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let count = self.count();
        Ok(match name.as_str() {
            Some("start") => Some(Value::Int(self.start)),
            Some("stop") => Some(Value::Int(self.stop)),
            Some("step") => Some(Value::Int(self.step)),
            Some(_) => None,
            None => name.as_i64().and_then(|index| {
                let index = i128::from(index) + if index < 0 { count } else { 0 };
                (0..count).contains(&index).then(|| self.at(index))
            }),
        })
    }
    fn iterate(&self) -> Option<Result<Vec<Value>, Error>> {
        let count = self.count();
        if count > LONGEST_RANGE {
            return Some(Err(Error::new("the range is too large")));
        }
        Some(Ok((0..count).map(|index| self.at(index)).collect()))
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(self.count() > 0)
    }
    fn render(&self) -> Result<String, Error> {
        let step = if self.step == 1 { String::new() } else { format!(", {}", self.step) };
        Ok(format!("range({}, {}{step})", self.start, self.stop))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn range(args: &Args) -> Result<Value, Error> {
    let numbers = args.positional.iter().map(integer).collect::<Result<Vec<_>, _>>()?;
    let (start, stop, step) = match numbers.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        _ => return Err(Error::new("range expected 1 to 3 arguments")),
    };
    if step == 0 {
        return Err(Error::new("range() arg 3 must not be zero"));
    }
    Ok(Value::object(Range { start, stop, step }))
}

/// `lookup` and `query`: the engine's part of them.
fn lookup(run: &Run<'_>, mut args: Args, query: bool) -> Result<Value, Error> {
    let want_list = match args.take("wantlist") {
        Some(value) => value.truth()?,
        None => query,
    };
    let errors = args.take("errors").map(|value| value.python_str()).transpose()?;
    if args.positional.is_empty() {
        return Err(Error::new("lookup() needs the name of a lookup"));
    }
    let name = args.positional.remove(0);
    let name = text(&name)?;
    let short =
        name.strip_prefix("ansible.builtin.").or(name.strip_prefix("ansible.legacy.")).unwrap_or(name);
    let results = match run.context.lookup(short, &args.positional, &args.named) {
        Ok(results) => results,
        Err(error)
            if error.is_pending().is_some()
                || error.is_undefined()
                || error.kind == crate::ErrorKind::Syntax =>
        {
            return Err(error);
        }
        Err(error) => match errors.as_deref() {
            Some(mode @ ("warn" | "ignore")) => {
                if mode == "warn" {
                    run.context.warn(format!("the lookup '{name}' failed: {error}"));
                }
                return Ok(if want_list { Value::list(Vec::new()) } else { Value::None });
            }
            _ => return Err(error),
        },
    };
    if want_list {
        return Ok(Value::list(results));
    }
    Ok(match <[Value; 1]>::try_from(results) {
        Ok([only]) => only,
        Err(none) if none.is_empty() => Value::list(none),
        Err(several) if several.iter().all(|item| matches!(item, Value::Str(_))) => {
            let texts: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            Value::from(texts.join(","))
        }
        Err(several) => Value::list(several),
    })
}

fn now(args: &Args) -> Result<Value, Error> {
    let [utc, format] = args.bind("now", ["utc", "fmt"])?;
    let now = datetime::now(utc.map_or(Ok(false), |utc| utc.truth())?);
    Ok(match format {
        None | Some(Value::None) => Value::object(now),
        Some(format) => Value::from(now.strftime(text(&format)?)),
    })
}

/// `namespace(..)`: attributes that inner scopes may set.
struct Namespace(Dict);

impl Object for Namespace {
    fn type_name(&self) -> &str {
        "Namespace"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        self.0.get_value(name)
    }
    fn set(&self, name: &str, value: Value) -> Result<(), Error> {
        self.0.insert(name, value);
        Ok(())
    }
    fn render(&self) -> Result<String, Error> {
        Ok(format!("<Namespace {}>", dict::copy(&self.0).python_repr()?))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn namespace(args: &Args) -> Result<Value, Error> {
    let entries = Arc::new(Dict::new());
    crate::methods::call(&Value::from(Arc::clone(&entries)), "update", args).unwrap_or(Ok(Value::None))?;
    let items = entries.raw_items();
    Ok(Value::object(Namespace(items.into_iter().collect())))
}

/// `cycler('odd', 'even')`
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Object for Cycler {
    fn type_name(&self) -> &str {
        "Cycler"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let current = || self.items[self.at.load(Ordering::Relaxed) % self.items.len()].clone();
        Ok((name.as_str() == Some("current")).then(current))
    }
    fn call_method(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Option<Result<Value, Error>> {
        match name {
            "next" => {
                let at = self.at.fetch_add(1, Ordering::Relaxed);
                Some(Ok(self.items[at % self.items.len()].clone()))
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Some(Ok(Value::None))
            }
            _ => None,
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `joiner(', ')`: nothing the first time, then the separator.
struct Joiner {
    separator: Value,
    used: AtomicBool,
}

impl Object for Joiner {
    fn type_name(&self) -> &str {
        "Joiner"
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn call(&self, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Value, Error> {
        let used = self.used.swap(true, Ordering::Relaxed);
        Ok(if used { self.separator.clone() } else { Value::str("") })
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Filler text.
fn lipsum(args: &Args) -> Result<Value, Error> {
    let [count, html, _, _] = args.bind("lipsum", ["n", "html", "min", "max"])?;
    let count = usize::try_from(count.as_ref().map_or(Ok(5), integer)?).unwrap_or(0).min(1000);
    let html = html.map_or(Ok(true), |html| html.truth())?;
    let text = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.";
    let paragraph = if html { format!("<p>{text}</p>") } else { text.to_owned() };
    Ok(Value::from(vec![paragraph; count].join(if html { "\n" } else { "\n\n" })))
}
