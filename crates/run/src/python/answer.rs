//! Filters, tests and lookups in Python, called from expressions.

use std::sync::Arc;

use catalog::{Json, Map};
use expressions::{Context as _, Error, Value};
use playbook::vars::Scope;
use serde_json::json;

use super::{Answer, packed, unpacked};
use crate::foreign::Foreign;

/// A call out of an expression.
pub(crate) struct Called<'a> {
    /// `filter`, `test` or `lookup`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    pub(crate) value: Option<&'a Value>,
    pub(crate) args: &'a [Value],
    pub(crate) named: &'a [(Arc<str>, Value)],
}

impl Foreign {
    /// `None`: there is no such plugin.
    pub(crate) fn call(&self, scope: &Scope, called: &Called<'_>) -> Option<Result<Value, Error>> {
        self.plugin(called.kind, called.name)?;
        let request = match request(scope, called) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let mut later = None;
        let answer = self.ask(request, &mut |question| {
            variables(scope, question).unwrap_or_else(|error| {
                later = Some(error);
                json!({"later": true})
            })
        });
        let what = format!("The {} plugin '{}'", called.kind, called.name);
        match answer {
            Answer::Done(result) => Some(Ok(unpacked(&result))),
            Answer::Unknown => None,
            Answer::Later => Some(Err(later.unwrap_or_else(|| Error::new(format!("{what} gave no answer"))))),
            Answer::Failed(failure) if failure.undefined => Some(Err(Error::undefined(failure.text))),
            Answer::Failed(failure) => Some(Err(Error::new(format!("{what} failed: {}", failure.text)))),
        }
    }
}

fn request(scope: &Scope, called: &Called<'_>) -> Result<Map, Error> {
    let mut named = Map::new();
    for (name, value) in called.named {
        named.insert(name.to_string(), packed(value)?);
    }
    let args = called.args.iter().map(packed).collect::<Result<Vec<_>, _>>()?;
    let mut request = Map::new();
    request.insert("do".to_owned(), called.kind.into());
    request.insert("name".to_owned(), called.name.into());
    request.insert("args".to_owned(), args.into());
    request.insert("named".to_owned(), named.into());
    request.insert("search".to_owned(), json!(scope.search_path()));
    request.insert("base".to_owned(), json!(&scope.play().play.dir));
    if let Some(value) = called.value {
        request.insert("value".to_owned(), packed(value)?);
    }
    Ok(request)
}

/// Questions about variables. `Err`: it is not known yet.
pub(crate) fn variables(scope: &Scope, question: &Json) -> Result<Json, Error> {
    match question["ask"].as_str() {
        Some("names") => Ok(json!({"names": names(scope)})),
        Some("variable") => {
            let name = question["name"].as_str().unwrap_or_default();
            let value = scope.variable(name).and_then(|value| value.map(|value| packed(&value)).transpose());
            match value {
                Ok(Some(value)) => Ok(json!({"value": value})),
                Ok(None) => Ok(json!({})),
                Err(error) if error.is_pending().is_some() => Err(error),
                Err(error) => packed(&Value::undefined(error.message)).map(|value| json!({"value": value})),
            }
        }
        Some("warn") => {
            scope.warn(question["text"].as_str().unwrap_or_default().to_owned());
            Ok(json!({}))
        }
        _ => Ok(json!({})),
    }
}

/// Of all variables but those that hold all others: these are there for who asks for them by name.
fn names(scope: &Scope) -> Vec<String> {
    scope.names().into_iter().filter(|name| !matches!(name.as_str(), "vars" | "hostvars")).collect()
}
