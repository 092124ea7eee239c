//! Values on their way to Python and back. What is undefined stays so: a plugin may not care.

use catalog::{Json, Map};
use expressions::{Error, Value};

/// The one key of what stands for something undefined; see `helper.py`.
const UNDEFINED: &str = "__theseus_undefined__";

pub(crate) fn packed(value: &Value) -> Result<Json, Error> {
    let all = |items: &[Value]| items.iter().map(packed).collect::<Result<Vec<_>, _>>().map(Json::Array);
    match value {
        Value::Undefined(missing) => {
            Ok(Json::Object(Map::from_iter([(UNDEFINED.to_owned(), missing.message.clone().into())])))
        }
        Value::List(list) => all(&list.items()?),
        Value::Tuple(items) => all(items),
        Value::Dict(dict) => {
            let mut entries = Map::new();
            for (key, value) in dict.items()? {
                entries.insert(key.python_str()?, packed(&value)?);
            }
            Ok(Json::Object(entries))
        }
        other => match other.to_json() {
            Err(error) if error.is_undefined() => packed(&Value::from_undefined_error(error)),
            known => known,
        },
    }
}

pub(crate) fn unpacked(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(unpacked).collect()),
        Json::Object(entries) => match entries.get(UNDEFINED).and_then(Json::as_str) {
            Some(message) if entries.len() == 1 => Value::undefined(message),
            _ => Value::dict(entries.iter().map(|(key, value)| (key.as_str(), unpacked(value)))),
        },
        other => Value::from_json(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_values_come_back_as_such() {
        let there = Value::list(vec![Value::undefined("'x' is undefined"), Value::Int(42), Value::str("y")]);
        let back = unpacked(&packed(&there).unwrap());
        let items = back.as_list().unwrap();
        assert!(matches!(&items[0], Value::Undefined(missing) if missing.message == "'x' is undefined"));
        assert_eq!(items[1].as_i64(), Some(42));
        assert_eq!(items[2].as_str(), Some("y"));
    }
}
