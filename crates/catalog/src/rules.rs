//! The rules between a module's arguments.

use serde_json::Value as Json;

use crate::Map;
use crate::arguments::{ArgumentError, text};
use crate::spec::{Arg, ModuleSpec};

/// What a task gives, and what is in force once defaults are filled in.
///
/// Rules on presence look at what was given, those on values at what is in force.
struct Task<'a> {
    known: &'a [&'a Arg],
    given: &'a Map,
    args: &'a Map,
    /// Which values are not known yet.
    unknown: &'a dyn Fn(&Json) -> bool,
}

impl Task<'_> {
    fn value(&self, name: &str) -> Option<&Json> {
        self.args.get(name).filter(|value| !value.is_null())
    }

    fn is_given(&self, name: &str) -> bool {
        let is = |key: &str| self.known.iter().any(|arg| arg.name == name && arg.is_called(key));
        self.value(name).is_some() && self.given.iter().any(|(key, v)| !v.is_null() && is(key))
    }

    /// What is not known yet may turn out to be left out.
    fn is_certain(&self, name: &str) -> bool {
        self.is_given(name) && self.value(name).is_some_and(|value| !(self.unknown)(value))
    }

    fn exclude_each_other(&self, set: &[&str]) -> bool {
        set.iter().filter(|name| self.is_certain(name)).count() > 1
    }

    /// A default is as good as an argument here.
    fn lacks_all(&self, set: &[&str]) -> bool {
        !set.iter().any(|name| self.value(name).is_some())
    }

    fn has_value(&self, name: &str, value: &str) -> bool {
        self.value(name).is_some_and(|is| !(self.unknown)(is) && text(is) == value)
    }
}

pub(crate) fn check(
    spec: &ModuleSpec,
    given: &Map,
    args: &Map,
    unknown: &dyn Fn(&Json) -> bool,
    errors: &mut Vec<ArgumentError>,
) {
    let known: Vec<&Arg> = spec.all_args().collect();
    let task = Task { known: &known, given, args, unknown };
    let mut problems = presence(spec, &task);
    problems.extend(values(spec, &task));
    let rule = |problem| ArgumentError::Rule { module: spec.name.to_owned(), problem };
    errors.extend(problems.into_iter().map(rule));
}

fn presence(spec: &ModuleSpec, task: &Task<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for set in spec.mutually_exclusive.iter().filter(|set| task.exclude_each_other(set)) {
        problems.push(format!("parameters are mutually exclusive: {}", set.join("|")));
    }
    for set in spec.required_together {
        let present = set.iter().filter(|name| task.is_given(name)).count();
        if set.iter().any(|name| task.is_certain(name)) && present < set.len() {
            problems.push(format!("parameters are required together: {}", set.join(", ")));
        }
    }
    for set in spec.required_one_of.iter().filter(|set| task.lacks_all(set)) {
        problems.push(format!("one of the following is required: {}", set.join(", ")));
    }
    for (name, needed) in spec.required_by.iter().filter(|(name, _)| task.is_certain(name)) {
        let missing: Vec<&str> = needed.iter().filter(|one| task.value(one).is_none()).copied().collect();
        if !missing.is_empty() {
            problems.push(format!("missing parameter(s) required by '{name}': {}", missing.join(", ")));
        }
    }
    problems
}

fn values(spec: &ModuleSpec, task: &Task<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, value, needed, any) in spec.required_if {
        if !task.has_value(name, value) {
            continue;
        }
        let missing: Vec<&str> = needed.iter().filter(|one| task.value(one).is_none()).copied().collect();
        let which = if *any { "any" } else { "all" };
        if if *any { missing.len() == needed.len() } else { !missing.is_empty() } {
            let missing = missing.join(", ");
            problems.push(format!("{name} is {value} but {which} of the following are missing: {missing}"));
        }
    }
    for (name, value, needed, said) in spec.asked {
        if (name.is_empty() || task.has_value(name, value)) && task.lacks_all(needed) {
            problems.push((*said).to_owned());
        }
    }
    problems
}

/// The rules between the keys of a dictionary that is an argument.
pub(crate) fn nested(
    arg: &Arg,
    given: &Map,
    args: &Map,
    unknown: &dyn Fn(&Json) -> bool,
    errors: &mut Vec<ArgumentError>,
) {
    let known: Vec<&Arg> = arg.options.iter().collect();
    let task = Task { known: &known, given, args, unknown };
    let mut rule = |problem: String| {
        let problem = format!("{problem} found in {}", arg.name);
        errors.push(ArgumentError::Rule { module: arg.name.to_owned(), problem });
    };
    for set in arg.exclusive.iter().filter(|set| task.exclude_each_other(set)) {
        rule(format!("parameters are mutually exclusive: {}", set.join("|")));
    }
    for set in arg.one_of.iter().filter(|set| task.lacks_all(set)) {
        rule(format!("one of the following is required: {}", set.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::spec::{Arg, Kind, ModuleSpec};

    const INNER: &[Arg] = &[Arg::str("value"), Arg::list("values")];
    const ARGS: &[Arg] = &[
        Arg::str("a").aliases(&["alpha"]),
        Arg::str("b"),
        Arg::str("state").default("on"),
        Arg::list("inner")
            .of(&Kind::Dict)
            .options(INNER)
            .exclusive(&[&["value", "values"]])
            .one_of(&[&["value", "values"]]),
    ];
    const SPEC: ModuleSpec = ModuleSpec::builtin("thing", ARGS)
        .mutually_exclusive(&[&["a", "b"]])
        .required_by(&[("b", &["state"]), ("inner", &["a", "b"])])
        .asked(&[("state", "off", &["a"], "off needs an a")]);
    const OTHER: ModuleSpec = ModuleSpec::builtin("other", &[Arg::str("name").required()]).like(&[&SPEC]);

    #[track_caller]
    fn refused(spec: &ModuleSpec, given: serde_json::Value, wanted: &[&str]) {
        let later = |value: &serde_json::Value| value == "later";
        let errors =
            spec.read(given.as_object().unwrap(), &later).map(|_| Vec::new()).unwrap_or_else(|errors| errors);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            said.len() == wanted.len() && said.iter().zip(wanted).all(|(is, part)| is.contains(part)),
            "{said:?}"
        );
    }

    #[test]
    fn arguments_need_and_exclude_each_other() {
        refused(&SPEC, json!({"alpha": "1", "b": "2"}), &["mutually exclusive: a|b"]);
        refused(&SPEC, json!({"alpha": "later", "b": "2"}), &[]);
        refused(&SPEC, json!({"b": "1"}), &[]);
        refused(&SPEC, json!({"inner": [{"value": "1"}]}), &["required by 'inner': a, b"]);
        refused(&SPEC, json!({"inner": "later"}), &[]);
        refused(&SPEC, json!({"state": "off"}), &["off needs an a"]);
        refused(&SPEC, json!({"state": "off", "a": "later"}), &[]);
    }

    #[test]
    fn keys_of_dictionaries_have_rules_too() {
        let of = |inner: serde_json::Value| json!({"a": "1", "b": null, "inner": [inner]});
        let both = json!({"value": "1", "values": ["2"]});
        refused(&SPEC, of(both), &["mutually exclusive: value|values found in inner"]);
        refused(&SPEC, of(json!({})), &["one of the following is required: value, values found in inner"]);
    }

    #[test]
    fn a_module_may_take_what_others_take() {
        refused(&OTHER, json!({"name": "x", "alpha": "1"}), &[]);
        refused(&OTHER, json!({"name": "x", "stat": "1"}), &["no argument `stat`; did you mean `state`?"]);
    }
}
