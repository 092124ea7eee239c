//! `map`, `select` and their kin.

use std::any::Any;

use super::sequences::{attribute, attribute_or};
use super::{Function, needed, text_of};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::{Object, Value, as_missing};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "map" => map,
        "select" => |run, value, args| choose(run, value, args, true, false),
        "reject" => |run, value, args| choose(run, value, args, false, false),
        "selectattr" => |run, value, args| choose(run, value, args, true, true),
        "rejectattr" => |run, value, args| choose(run, value, args, false, true),
        _ => return None,
    })
}

/// One group of `groupby`: a pair whose parts have names.
pub(super) struct Group {
    pub(super) grouper: Value,
    pub(super) list: Value,
}

impl Object for Group {
    fn type_name(&self) -> &str {
        "GroupTuple"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let named = name.as_str();
        Ok(if named == Some("grouper") || name.as_i64() == Some(0) {
            Some(self.grouper.clone())
        } else if named == Some("list") || matches!(name.as_i64(), Some(1 | -1)) {
            Some(self.list.clone())
        } else {
            None
        })
    }
    fn iterate(&self) -> Option<Result<Vec<Value>, Error>> {
        Some(Ok(vec![self.grouper.clone(), self.list.clone()]))
    }
    fn render(&self) -> Result<String, Error> {
        Value::tuple(vec![self.grouper.clone(), self.list.clone()]).python_repr()
    }
    fn as_data(&self) -> Option<Value> {
        Some(Value::list(vec![self.grouper.clone(), self.list.clone()]))
    }
    fn is_data(&self) -> bool {
        true
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn map(run: &Run<'_>, value: &Value, mut args: Args) -> Result<Value, Error> {
    if !value.truth()? {
        return Ok(Value::list(Vec::new()));
    }
    let items = value.iterate()?;
    if args.positional.is_empty() && args.named.iter().any(|(name, _)| &**name == "attribute") {
        let [path, default] = args.bind("map", ["attribute", "default"])?;
        let found = items.iter().map(|item| attribute_or(item, path.as_ref(), default.as_ref()));
        return Ok(Value::list(found.collect::<Result<_, Error>>()?));
    }
    if args.positional.is_empty() {
        return Err(Error::new("map requires a filter argument"));
    }
    let name = text_of(&args.positional.remove(0))?;
    let filter = crate::filters::find(&name);
    let mapped = items.into_iter().map(|item| match filter {
        Some(filter) => run.apply_filter(filter, item, args.clone()),
        None => run.filter_by_name(&name, item, args.clone()),
    });
    Ok(Value::list(mapped.collect::<Result<_, Error>>()?))
}

fn choose(
    run: &Run<'_>,
    value: &Value,
    mut args: Args,
    wanted: bool,
    by_attribute: bool,
) -> Result<Value, Error> {
    let path = if by_attribute {
        let first = if args.positional.is_empty() { None } else { Some(args.positional.remove(0)) };
        Some(needed(first, "selectattr", "attribute")?)
    } else {
        None
    };
    let test = if args.positional.is_empty() { None } else { Some(text_of(&args.positional.remove(0))?) };
    let mut kept = Vec::new();
    let items = if value.truth()? { value.iterate()? } else { Vec::new() };
    for item in items {
        let subject = attribute(&item, path.as_ref())?;
        let holds = match &test {
            Some(test) => run.test_by_name(test, &subject, args.clone())?,
            None => match as_missing(&subject) {
                Some(missing) => return Err(missing.error()),
                None => subject.truth()?,
            },
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}
