//! A role's arguments against `meta/argument_specs.yml`.

use expressions::{Dict, Error, Value};

/// Every problem, in words; empty: all is well.
pub(crate) fn check(
    spec: &Dict,
    find: &dyn Fn(&str) -> Result<Option<Value>, Error>,
) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    for (name, option) in spec.items()? {
        let name = name.python_str()?;
        let Some(option) = option.as_dict() else { continue };
        let given = find(&name)?.filter(|v| !v.is_omit() && !v.is_undefined());
        check_one(&name, &option, given, &mut problems)?;
    }
    Ok(problems)
}

fn check_one(
    name: &str,
    option: &Dict,
    given: Option<Value>,
    problems: &mut Vec<String>,
) -> Result<(), Error> {
    let flag = |key: &str| -> Result<bool, Error> { option.get(key)?.map_or(Ok(false), |v| v.truth()) };
    let Some(value) = given else {
        if flag("required")? {
            problems.push(format!("missing required arguments: {name}"));
        }
        return Ok(());
    };
    if value.is_none() && !flag("required")? {
        return Ok(());
    }
    let kind = option.get("type")?.map_or_else(|| Ok("str".to_owned()), |v| v.python_str())?;
    if !fits(&kind, &value)? {
        problems.push(format!(
            "argument '{name}' is of type {} and we were unable to convert to {kind}",
            value.type_name()
        ));
        return Ok(());
    }
    check_choices(name, option, &value, problems)?;
    if kind == "list" {
        check_elements(name, option, &value, problems)?;
    }
    if kind == "dict"
        && let (Some(inner), Some(dict)) = (option.get("options")?.and_then(|o| o.as_dict()), value.as_dict())
    {
        nested(name, &inner, &dict, problems)?;
    }
    Ok(())
}

fn nested(name: &str, spec: &Dict, dict: &Dict, problems: &mut Vec<String>) -> Result<(), Error> {
    for problem in check(spec, &|key| dict.get(key))? {
        problems.push(format!("{problem} found in {name}"));
    }
    for key in dict.keys() {
        let key = key.python_str()?;
        if !spec.contains(&key) {
            problems.push(format!("{name}.{key}. Supported parameters include: {}", known(spec)));
        }
    }
    Ok(())
}

fn known(spec: &Dict) -> String {
    let mut names: Vec<String> = spec.keys().iter().filter_map(|k| k.python_str().ok()).collect();
    names.sort();
    names.join(", ")
}

fn check_choices(name: &str, option: &Dict, value: &Value, problems: &mut Vec<String>) -> Result<(), Error> {
    let Some(choices) = option.get("choices")?.and_then(|c| c.as_list()) else { return Ok(()) };
    for one in value.as_list().unwrap_or_else(|| vec![value.clone()]) {
        let mut allowed = false;
        for choice in &choices {
            allowed |= choice.python_eq(&one)? || choice.python_str()? == one.python_str()?;
        }
        if !allowed {
            let words: Result<Vec<String>, Error> = choices.iter().map(Value::python_str).collect();
            problems.push(format!(
                "value of {name} must be one of: {}, got: {}",
                words?.join(", "),
                one.python_str()?
            ));
        }
    }
    Ok(())
}

fn check_elements(name: &str, option: &Dict, value: &Value, problems: &mut Vec<String>) -> Result<(), Error> {
    let Some(kind) = option.get("elements")?.map(|v| v.python_str()).transpose()? else { return Ok(()) };
    let inner = option.get("options")?.and_then(|o| o.as_dict());
    for element in value.as_list().unwrap_or_default() {
        if !fits(&kind, &element)? {
            problems.push(format!(
                "Elements value for option '{name}' is of type {} and we were unable to convert to {kind}",
                element.type_name()
            ));
        } else if let (Some(inner), Some(dict)) = (&inner, element.as_dict()) {
            nested(name, inner, &dict, problems)?;
        }
    }
    Ok(())
}

/// Whether a value is of a kind, or can be made so.
fn fits(kind: &str, value: &Value) -> Result<bool, Error> {
    let text = value.as_str();
    Ok(match kind {
        "str" | "path" | "raw" | "json" | "jsonarg" => kind == "raw" || !matches!(value, Value::Undefined(_)),
        "bool" => {
            matches!(value, Value::Bool(_))
                || text.is_some_and(|t| catalog::arguments::truth(t).is_some())
                || matches!(value.as_i64(), Some(0 | 1))
        }
        "int" => {
            value.as_i64().is_some()
                || text.is_some_and(|t| t.trim().parse::<i64>().is_ok())
                || value.as_f64().is_some_and(|f| f.fract() == 0.0)
        }
        "float" => value.as_f64().is_some() || text.is_some_and(|t| t.trim().parse::<f64>().is_ok()),
        "list" => value.as_list().is_some() || text.is_some() || value.as_i64().is_some(),
        "dict" => {
            value.as_dict().is_some()
                || text.is_some_and(|t| t.contains('=') || t.trim_start().starts_with('{'))
        }
        _ => true,
    })
}
