//! The items of `loop` and of every `with_*`.

use expressions::{Error, Value};

use crate::ir::Loop;
use crate::lookups;
use crate::vars::Scope;

/// What the loop goes over. `with_x` is the lookup `x` over its terms.
pub fn items(scope: &Scope, of: &Loop) -> Result<Vec<Value>, Error> {
    match &of.with {
        None => plain(scope, &of.items),
        Some(name) => with(scope, name, &of.items),
    }
}

fn plain(scope: &Scope, items: &Value) -> Result<Vec<Value>, Error> {
    let value = scope.resolved(items)?;
    match &value {
        Value::List(list) => list.items(),
        Value::Tuple(items) => Ok(items.to_vec()),
        Value::Undefined(missing) => Err(missing.error()),
        other => Err(Error::new(format!(
            "The `loop` value must resolve to a 'list', not '{}'.",
            other.type_name()
        ))),
    }
}

fn with(scope: &Scope, name: &str, items: &Value) -> Result<Vec<Value>, Error> {
    let short = lookups::short_name(name);
    // Terms that are not defined are passed over: the next one may exist.
    let found = if short == "first_found" {
        let options = [(lookups::FOR_LOOP.into(), Value::Bool(true))];
        lookups::run(scope, name, &lenient_terms(scope, items)?, &options)?
    } else {
        lookups::run(scope, name, &terms(scope, items)?, &[])?
    };
    found.into_iter().filter(|item| !item.is_omit()).map(|item| item.defined()?.resolved()).collect()
}

/// A list is its terms, anything else is one term.
fn terms(scope: &Scope, items: &Value) -> Result<Vec<Value>, Error> {
    let value = scope.resolved(items)?.defined()?;
    Ok(match &value {
        Value::List(list) => list.items()?,
        Value::Tuple(items) => items.to_vec(),
        _ => vec![value],
    })
}

fn lenient_terms(scope: &Scope, items: &Value) -> Result<Vec<Value>, Error> {
    let given = match items {
        Value::List(list) => list.raw_items(),
        Value::Str(text) if text.is_template() => {
            let value = scope.variables().engine().render_open(text, scope)?.defined()?;
            value.as_list().unwrap_or_else(|| vec![value])
        }
        _ => return terms(scope, items),
    };
    let mut all = Vec::new();
    for item in given {
        match scope.value(&item) {
            Ok(value) if value.is_undefined() || value.is_omit() => {}
            Ok(value) => all.push(value),
            Err(error) if error.is_undefined() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
