//! Templates in what is read: static rendering of names (imports), and syntax checks of all others.

use std::path::PathBuf;
use std::sync::Arc;

use expressions::{Context, Engine, Error, Value};

use super::context::Around;
use super::reader::Reader;
use crate::diagnostic::Diagnostic;
use crate::ir::Vars;
use crate::yaml;

/// The variables that are known without a host: extra variables, those of the import, the role and the play.
pub(super) struct Static<'a> {
    pub(super) engine: &'a Engine,
    /// Highest first.
    pub(super) layers: Vec<Arc<Vars>>,
    pub(super) playbook_dir: PathBuf,
    pub(super) role_path: Option<PathBuf>,
}

impl Context for Static<'_> {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        match (name, &self.role_path) {
            ("playbook_dir", _) => return Ok(Some(Value::from(self.playbook_dir.display().to_string()))),
            ("role_path", Some(path)) => return Ok(Some(Value::from(path.display().to_string()))),
            _ => {}
        }
        let Some(raw) = self.layers.iter().find_map(|layer| layer.get(name)) else { return Ok(None) };
        self.resolve(raw).map(Some)
    }
    fn names(&self) -> Vec<String> {
        self.layers.iter().flat_map(|layer| layer.keys()).map(ToString::to_string).collect()
    }
    fn lookup(&self, name: &str, args: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        if name == "env" {
            return args.iter().map(|arg| Ok(crate::lookups::environment(&arg.python_str()?))).collect();
        }
        Err(Error::new(format!("the lookup '{name}' cannot be used where only static names are possible")))
    }
    fn template_source(&self, _: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok(None)
    }
}

impl Static<'_> {
    /// Strings are rendered; containers are resolved at once, static names are small.
    fn resolve(&self, raw: &Value) -> Result<Value, Error> {
        match raw {
            Value::Str(text) if text.is_template() => self.engine.render(text, self),
            Value::List(list) => {
                let items =
                    list.raw_items().iter().map(|v| self.resolve(v)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::list(items))
            }
            Value::Dict(dict) => {
                let entries = dict.raw_items();
                let entries = entries.into_iter().map(|(k, v)| Ok((k, self.resolve(&v)?)));
                Ok(Value::dict(entries.collect::<Result<Vec<(Value, Value)>, Error>>()?))
            }
            other => Ok(other.clone()),
        }
    }
}

impl Reader<'_> {
    /// A name that has to be known while reading. Reports what goes wrong.
    pub(super) fn static_text(&mut self, node: &yaml::Node, around: &Around, what: &str) -> Option<String> {
        let value = self.raw_value(node);
        self.static_value(&value, &node.origin, around, what)
    }

    pub(super) fn static_value(
        &mut self,
        value: &Value,
        origin: &expressions::Origin,
        around: &Around,
        what: &str,
    ) -> Option<String> {
        let Value::Str(text) = value else {
            if matches!(value, Value::List(_) | Value::Dict(_) | Value::None) {
                self.error(format!("{what} must be text"), origin);
                return None;
            }
            return value.python_str().ok();
        };
        if !text.is_template() {
            return Some(text.as_str().to_owned());
        }
        let context = self.static_context(around);
        let rendered =
            self.shared.options.engine.render(text, &context).and_then(|value| value.defined()?.python_str());
        drop(context);
        match rendered {
            Ok(text) => Some(text),
            Err(error) => {
                let mut problem = Diagnostic::from(error).at(origin);
                if problem.hint.is_none() {
                    problem = problem.hint(format!(
                        "{what} is needed before any host is known: only extra variables, variables of the play and of the role can be used in it"
                    ));
                }
                self.errors.push(problem);
                None
            }
        }
    }

    pub(super) fn static_context(&self, around: &Around) -> Static<'_> {
        let options = &self.shared.options;
        let mut layers = vec![options.extra_vars.clone()];
        layers.extend(around.keywords.vars.iter().rev().map(|layer| layer.vars.clone()));
        if let Some(role) = &around.role {
            layers.extend([role.params.clone(), role.entry_vars.clone(), role.vars.clone()]);
        }
        layers.push(around.play_vars.clone());
        if let Some(role) = &around.role {
            layers.push(role.defaults.clone());
        }
        Static {
            engine: &options.engine,
            layers,
            playbook_dir: around.playbook_dir.to_path_buf(),
            role_path: around.role.as_ref().map(|role| role.path.to_path_buf()),
        }
    }

    /// Syntax of every template inside a value.
    pub(super) fn check_templates(&mut self, value: &Value) {
        match value {
            Value::Str(text) if text.is_template() => {
                if let Err(error) = self.shared.options.engine.check(text) {
                    self.template_error(error, text.origin().map(|origin| &**origin));
                }
            }
            Value::List(list) => list.raw_items().iter().for_each(|item| self.check_templates(item)),
            Value::Dict(dict) => {
                for (key, item) in dict.raw_items() {
                    self.check_templates(&key);
                    self.check_templates(&item);
                }
            }
            _ => {}
        }
    }

    /// As [`Self::check_templates`], for variables: nobody may ever use them, so that it is a warning.
    pub(super) fn doubt_templates(&mut self, value: &Value) {
        let before = self.errors.len();
        self.check_templates(value);
        self.only_warn(before);
    }

    /// What was found since there were this many errors is none that keeps the play from being run.
    pub(super) fn only_warn(&mut self, before: usize) {
        let doubtful = self.errors.split_off(before);
        self.warnings.extend(doubtful.into_iter().map(|problem| Diagnostic { warning: true, ..problem }));
    }

    /// Syntax of conditions: expressions without braces (with braces still accepted, as Ansible does).
    pub(super) fn check_conditions(&mut self, conditions: &[Value]) {
        for condition in conditions {
            let Value::Str(text) = condition else { continue };
            if !text.is_trusted() || text.as_str().trim().is_empty() {
                continue;
            }
            let engine = &self.shared.options.engine;
            let result = if text.is_template() { engine.check(text) } else { engine.check_expression(text) };
            if let Err(error) = result {
                self.template_error(error, text.origin().map(|origin| &**origin));
            }
        }
    }

    fn template_error(&mut self, error: Error, origin: Option<&expressions::Origin>) {
        let mut problem = Diagnostic::from(error).rule("template");
        if let Some(origin) = origin {
            problem = problem.at(origin);
        }
        if !self.errors.contains(&problem) {
            self.errors.push(problem);
        }
    }
}
