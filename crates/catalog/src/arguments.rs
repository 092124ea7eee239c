//! Reading arguments by their specification, with Ansible's conversions.

use serde_json::Value as Json;
use thiserror::Error;

use crate::Map;
use crate::rules;
use crate::spec::{Arg, Kind, ModuleSpec};

/// What is wrong with a task's arguments. Each says which argument and what was expected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ArgumentError {
    #[error("`{module}` has no argument `{name}`{}", did_you_mean(suggestion))]
    Unknown { module: String, name: String, suggestion: Option<String> },
    #[error("`{module}` needs the argument `{name}`")]
    Missing { module: String, name: String },
    #[error("argument `{name}` of `{module}`: {problem}")]
    Wrong { module: String, name: String, problem: String },
    #[error("`{module}`: {problem}")]
    Rule { module: String, problem: String },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl ArgumentError {
    /// The argument that the message is about, to point at its place in the playbook.
    pub fn argument(&self) -> Option<&str> {
        match self {
            Self::Unknown { name, .. } | Self::Missing { name, .. } | Self::Wrong { name, .. } => Some(name),
            Self::Rule { .. } => None,
        }
    }

    /// As the `msg` of a task that failed by it: in the words that playbooks look for there.
    pub fn in_result(&self) -> String {
        match self {
            Self::Missing { name, .. } => format!("missing required arguments: {name}"),
            Self::Rule { problem, .. } => problem.clone(),
            Self::Unknown { module, name, suggestion } => {
                format!("Unsupported parameters for ({module}) module: {name}{}", did_you_mean(suggestion))
            }
            Self::Wrong { name, problem, .. } => match problem.strip_prefix("value must be ") {
                Some(choices) => format!("value of {name} must be {choices}"),
                None => self.to_string(),
            },
        }
    }
}

/// Arguments after conversion: canonical names, defaults filled in, absent ones absent.
#[derive(Clone, Debug, Default)]
pub struct Args(pub Map);

impl Args {
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Json::as_str)
    }
    pub fn string(&self, name: &str) -> String {
        self.str(name).unwrap_or_default().to_owned()
    }
    pub fn bool(&self, name: &str) -> bool {
        self.get(name).and_then(Json::as_bool).unwrap_or(false)
    }
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Json::as_i64)
    }
    pub fn float(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Json::as_f64)
    }
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    pub fn list(&self, name: &str) -> Option<&[Json]> {
        self.get(name).and_then(Json::as_array).map(Vec::as_slice)
    }
    /// A list of strings; empty when absent.
    pub fn strings(&self, name: &str) -> Vec<String> {
        self.list(name).unwrap_or_default().iter().map(text).collect()
    }
    pub fn dict(&self, name: &str) -> Option<&Map> {
        self.get(name).and_then(Json::as_object)
    }
}

impl ModuleSpec {
    /// Convert and check what a task gives. All mistakes are reported, not only the first.
    ///
    /// `unknown`: tells which values are not known yet (templates, before the run): they are accepted by any
    /// kind and left out of the rules that look at values.
    pub fn read(&self, given: &Map, unknown: &dyn Fn(&Json) -> bool) -> Result<Args, Vec<ArgumentError>> {
        let mut errors = Vec::new();
        let mut args = Map::new();
        let known: Vec<&Arg> = self.all_args().collect();
        let others = match self.like {
            [] if self.open => Others::Any,
            [] => Others::These(Vec::new()),
            like => Others::These(like.iter().flat_map(|spec| spec.all_args()).collect()),
        };
        read_into(self.name, &known, given, &others, unknown, &mut args, &mut errors);
        rules::check(self, given, &args, unknown, &mut errors);
        if errors.is_empty() { Ok(Args(args)) } else { Err(errors) }
    }
}

/// What is accepted besides the arguments that are known.
enum Others<'a> {
    Any,
    These(Vec<&'a Arg>),
}

impl Others<'_> {
    fn have(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(args) => args.iter().any(|arg| arg.is_called(name)),
        }
    }

    fn args(&self) -> &[&Arg] {
        match self {
            Self::Any => &[],
            Self::These(args) => args,
        }
    }
}

fn read_into(
    module: &str,
    known: &[&Arg],
    given: &Map,
    others: &Others<'_>,
    unknown: &dyn Fn(&Json) -> bool,
    args: &mut Map,
    errors: &mut Vec<ArgumentError>,
) {
    for (name, value) in given {
        let Some(arg) = known.iter().find(|arg| arg.is_called(name)) else {
            if others.have(name) {
                args.insert(name.clone(), value.clone());
            } else if !name.starts_with('_') {
                let suggestion = nearest(
                    name,
                    known
                        .iter()
                        .chain(others.args())
                        .flat_map(|a| std::iter::once(a.name).chain(a.aliases.iter().copied())),
                );
                errors.push(ArgumentError::Unknown {
                    module: module.to_owned(),
                    name: name.clone(),
                    suggestion,
                });
            }
            continue;
        };
        if value.is_null() || unknown(value) {
            if !value.is_null() {
                args.insert(arg.name.to_owned(), value.clone());
            }
            continue;
        }
        match convert(arg, value, unknown) {
            Ok(value) => _ = args.insert(arg.name.to_owned(), value),
            Err(problem) => {
                errors.push(ArgumentError::Wrong { module: module.to_owned(), name: name.clone(), problem });
            }
        }
    }
    for arg in known {
        if args.contains_key(arg.name) {
            continue;
        }
        if let Some(default) = arg.default {
            if let Ok(value) = convert(arg, &Json::String(default.to_owned()), unknown) {
                args.insert(arg.name.to_owned(), value);
            }
        } else if arg.required && !errors.iter().any(|e| e.argument() == Some(arg.name)) {
            errors.push(ArgumentError::Missing { module: module.to_owned(), name: arg.name.to_owned() });
        }
    }
}

fn convert(arg: &Arg, value: &Json, unknown: &dyn Fn(&Json) -> bool) -> Result<Json, String> {
    let converted = convert_kind(arg.kind, value, unknown)?;
    if !arg.choices.is_empty() {
        let elements = match &converted {
            Json::Array(list) => list.clone(),
            other => vec![other.clone()],
        };
        if let Some(meant) = spelt_boolean(arg.choices, &converted) {
            return Ok(meant);
        }
        for element in elements.iter().filter(|e| !unknown(e)) {
            check_choice(arg.choices, element)?;
        }
    }
    if !arg.options.is_empty() {
        return read_options(arg, converted, unknown);
    }
    Ok(converted)
}

fn read_options(arg: &Arg, value: Json, unknown: &dyn Fn(&Json) -> bool) -> Result<Json, String> {
    let known: Vec<&Arg> = arg.options.iter().collect();
    let one = |map: &Map| -> Result<Json, String> {
        let (mut args, mut errors) = (Map::new(), Vec::new());
        read_into(arg.name, &known, map, &Others::These(Vec::new()), unknown, &mut args, &mut errors);
        rules::nested(arg, map, &args, unknown, &mut errors);
        errors.first().map_or(Ok(Json::Object(args)), |e| Err(e.to_string()))
    };
    match value {
        Json::Object(map) => one(&map),
        Json::Array(list) => list
            .iter()
            .map(|v| v.as_object().map_or(Ok(v.clone()), one))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        other => Ok(other),
    }
}

/// `upgrade: true` where the choices are `dist`, `full`, `yes` …: the only one that spells the same truth is meant.
fn spelt_boolean(choices: &[&str], value: &Json) -> Option<Json> {
    let truth_of = match value.as_str()? {
        "True" => true,
        "False" => false,
        _ => return None,
    };
    let mut same = choices.iter().filter(|choice| truth(choice) == Some(truth_of));
    let only = same.next().filter(|_| same.next().is_none())?;
    Some(Json::String((*only).to_owned()))
}

fn check_choice(choices: &[&str], value: &Json) -> Result<(), String> {
    let given = text(value);
    // YAML reads `yes` as a boolean; where the choices spell one, both spellings are the same choice.
    let same =
        |choice: &&&str| **choice == given || matches!(value, Json::Bool(b) if truth(choice) == Some(*b));
    if choices.iter().any(|c| same(&c)) {
        return Ok(());
    }
    let near = nearest(&given, choices.iter().copied())
        .map(|s| format!("; did you mean `{s}`?"))
        .unwrap_or_default();
    let told: Vec<&str> = choices.iter().filter(|c| !c.contains(char::is_control)).copied().collect();
    Err(format!("value must be one of: {}, got: {given}{near}", told.join(", ")))
}

fn convert_kind(kind: Kind, value: &Json, unknown: &dyn Fn(&Json) -> bool) -> Result<Json, String> {
    let refused = |wanted: &str| Err(format!("expected {wanted}, got {}", describe(value)));
    match kind {
        Kind::Raw => Ok(value.clone()),
        Kind::Str | Kind::Path => Ok(Json::String(text(value))),
        Kind::Json => match value {
            Json::String(_) => Ok(value.clone()),
            other => Ok(Json::String(other.to_string())),
        },
        Kind::Bool => boolean(value).map(Json::Bool).map_or_else(|| refused("a boolean (true or false)"), Ok),
        Kind::Int => integer(value).map(Json::from).map_or_else(|| refused("an integer"), Ok),
        Kind::Float => float(value).map(Json::from).map_or_else(|| refused("a number"), Ok),
        Kind::Bytes => bytes(&text(value)).map(Json::from).map_or_else(|| refused("a size such as 10M"), Ok),
        Kind::Dict => match value {
            Json::Object(_) => Ok(value.clone()),
            Json::String(s) => dict_from_text(s).map_or_else(|| refused("a dictionary"), Ok),
            _ => refused("a dictionary"),
        },
        Kind::List(element) => {
            let items: Vec<Json> = match value {
                Json::Array(list) => list.clone(),
                Json::String(s) if s.is_empty() => Vec::new(),
                Json::String(s) => s.split(',').map(|part| Json::String(part.trim().to_owned())).collect(),
                Json::Number(_) | Json::Bool(_) => vec![Json::String(text(value))],
                Json::Object(_) if *element == Kind::Dict => vec![value.clone()],
                _ => return refused("a list"),
            };
            items
                .iter()
                .map(
                    |item| {
                        if unknown(item) { Ok(item.clone()) } else { convert_kind(*element, item, unknown) }
                    },
                )
                .collect::<Result<_, _>>()
                .map(Json::Array)
        }
    }
}

fn dict_from_text(text: &str) -> Option<Json> {
    if let Ok(value @ Json::Object(_)) = serde_json::from_str(text) {
        return Some(value);
    }
    let pairs: Option<Map> = text
        .split(',')
        .map(|pair| {
            pair.split_once('=').map(|(k, v)| (k.trim().to_owned(), Json::String(v.trim().to_owned())))
        })
        .collect();
    pairs.map(Json::Object)
}

fn boolean(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(b) => Some(*b),
        Json::Number(n) => match n.as_f64()? {
            1.0 => Some(true),
            0.0 => Some(false),
            _ => None,
        },
        Json::String(s) => truth(s),
        _ => None,
    }
}

/// The spellings of true and false that module arguments know.
pub fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().trim() {
        "yes" | "y" | "true" | "t" | "on" | "1" | "1.0" => Some(true),
        "no" | "n" | "false" | "f" | "off" | "0" | "0.0" => Some(false),
        _ => None,
    }
}

fn integer(value: &Json) -> Option<i64> {
    match value {
        Json::Number(n) => n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0).map(|f| f as i64)),
        Json::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

fn float(value: &Json) -> Option<f64> {
    match value {
        Json::Number(n) => n.as_f64(),
        Json::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let power = match text[split..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" => 1,
        "M" | "MB" => 2,
        "G" | "GB" => 3,
        "T" | "TB" => 4,
        _ => return None,
    };
    Some((number * 1024f64.powi(power)) as u64)
}

/// A value as text, as Python's `str` would write it.
pub fn text(value: &Json) -> String {
    match value {
        Json::String(s) => s.clone(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        Json::Array(_) | Json::Object(_) | Json::Number(_) => value.to_string(),
    }
}

fn describe(value: &Json) -> String {
    match value {
        Json::String(s) => format!("the string `{s}`"),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "a dictionary".to_owned(),
        other => format!("`{}`", text(other)),
    }
}

/// The known word that was probably meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let length = word.chars().count();
    let limit = (length / 3).max(1);
    known
        .map(|k| (distance(word, k), k))
        .filter(|(d, _)| *d <= limit && *d < length)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k.to_owned())
}

/// Edits (insert, remove, replace, swap neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
