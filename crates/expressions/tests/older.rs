//! Templates with the results that the real templater of ansible-core 2.18 gave for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;

use expressions::{Context, Dict, Engine, Error, List, Options, Origin, Resolve, Str, Value};
use serde_json::Value as Json;

/// What stays as it is in 2.19: a tuple is a list, a range is no value.
const DIFFER: [&str; 2] = ["{{ (1, 2) }}", "{{ range(3) }}"];

#[derive(Clone)]
struct Project(Arc<Shared>);

struct Shared {
    variables: Vec<(String, Value)>,
    engine: Engine,
    warnings: Mutex<Vec<String>>,
}

impl Resolve for Project {
    fn resolve(&self, raw: &Value) -> Result<Value, Error> {
        let again: Arc<dyn Resolve> = Arc::new(self.clone());
        match raw {
            Value::Str(text) => self.0.engine.render(text, self),
            Value::List(list) => Ok(Value::from(Arc::new(List::lazy(list.raw_items(), again)))),
            Value::Dict(dict) => Ok(Value::from(Arc::new(Dict::lazy(dict.raw_items(), again)))),
            other => Ok(other.clone()),
        }
    }
}

impl Context for Project {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        let found = self.0.variables.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| self.resolve(value)).transpose()
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn lookup(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        Err(Error::syntax(format!("no lookup {name}")))
    }
    fn template_source(&self, _: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok(None)
    }
    fn warn(&self, message: String) {
        self.0.warnings.lock().expect("warnings").push(message);
    }
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::new(Path::new("vars.yml"), 7, 9))
}

/// As it stands in a project: every text in it may be a template.
fn written(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::Str(Str::trusted(text.as_str(), origin())),
        Json::Array(items) => Value::list(items.iter().map(written).collect()),
        Json::Object(entries) => Value::dict(
            entries.iter().map(|(key, value)| (Value::str(key.as_str()), written(value))).collect::<Vec<_>>(),
        ),
        other => Value::from_json(other),
    }
}

fn project(variables: &Json) -> Project {
    let options = Options { lenient: true, text_templates: true, ..Options::default() };
    let variables = variables.as_object().into_iter().flatten();
    Project(Arc::new(Shared {
        variables: variables.map(|(name, value)| (name.clone(), written(value))).collect(),
        engine: Engine::with_options(options),
        warnings: Mutex::default(),
    }))
}

fn render(project: &Project, template: &str) -> Result<Json, Error> {
    project.0.engine.render(&Str::trusted(template, origin()), project)?.to_json()
}

#[test]
fn templates_mean_what_they_meant_before_2_19() {
    let recording: Json = serde_json::from_str(include_str!("older.json")).expect("the recording");
    let project = project(&recording["vars"]);
    let mut wrong = Vec::new();
    for case in recording["cases"].as_array().expect("cases") {
        let template = case["t"].as_str().expect("a template");
        let got = render(&project, template);
        let same = match &got {
            Ok(got) => case.get("r") == Some(got),
            Err(_) => case.get("fails").is_some(),
        };
        if same == DIFFER.contains(&template) {
            let got = got.map_or_else(|error| format!("an error: {error}"), |json| json.to_string());
            let wanted = case.get("r").map_or_else(|| "an error".to_owned(), Json::to_string);
            wrong.push(format!("{template}\n   wanted {wanted}\n   got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_warning_names_the_place() {
    let project = project(&serde_json::json!({"n": 5}));
    assert_eq!(render(&project, "[{{ n }}, 2]").expect("a list"), serde_json::json!([5, 2]));
    assert_eq!(render(&project, "{{ n + 1 }}").expect("text"), serde_json::json!("6"));
    assert_eq!(render(&project, "{{ [n] }}").expect("a list"), serde_json::json!([5]));
    assert_eq!(
        *project.0.warnings.lock().expect("warnings"),
        [
            "vars.yml:7:9: this template gives a list as in ansible-core 2.18, and something else since 2.19: [{{ n }}, 2]"
        ]
    );
}
