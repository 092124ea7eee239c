//! Tests of values.

use super::*;

#[test]
fn floats_are_written_as_python_writes_them() {
    for (float, text) in [
        (1.0, "1.0"),
        (1e16, "1e+16"),
        (1e-5, "1e-05"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (123456.789, "123456.789"),
    ] {
        assert_eq!(float_repr(float), text);
    }
}

#[test]
fn keys_are_equal_across_the_kinds_of_numbers() {
    let dict = Dict::new();
    dict.insert(Value::Int(1), Value::str("int"));
    dict.insert(Value::Bool(true), Value::str("bool"));
    dict.insert(Value::Float(1.0), Value::str("float"));
    assert_eq!(dict.len(), 1);
    assert_eq!(dict.get_value(&Value::Int(1)).unwrap(), Some(Value::str("float")));
}

#[test]
fn very_deep_values_are_dropped_and_refused() {
    let mut list = Value::None;
    let mut tuple = Value::None;
    let mut dict = Value::None;
    for _ in 0..200_000 {
        list = Value::list(vec![list]);
        tuple = Value::tuple(vec![tuple]);
        dict = Value::dict([("k", dict)]);
    }
    for deep in [&list, &tuple, &dict] {
        assert!(deep.python_repr().is_err());
        assert!(deep.to_json().is_err());
        assert!(deep.resolved().is_err());
    }
}

struct Upper;

impl Resolve for Upper {
    fn resolve(&self, raw: &Value) -> Result<Value, Error> {
        let text = raw.python_str()?;
        if text.contains("bad") {
            Err(Error::undefined("'bad' is undefined"))
        } else {
            Ok(Value::from(text.to_uppercase()))
        }
    }
}

#[test]
fn lazy_elements_are_resolved_one_by_one() {
    let origin = Arc::new(Origin::new(std::path::Path::new("x"), 1, 1));
    let text = |text: &str| Value::Str(Str::trusted(text, Arc::clone(&origin)));
    let dict = Dict::lazy(
        [(Value::str("a"), text("{{ a }}")), (Value::str("b"), text("{{ bad }}"))],
        Arc::new(Upper),
    );
    let value = Value::from(dict);
    assert_eq!(value.get_attr("a").unwrap(), Value::str("{{ A }}"));
    assert!(value.get_attr("b").unwrap().is_undefined());
    assert!(value.resolved().unwrap_err().is_undefined());
}
