//! `hostvars` and `vars`: mappings that are made of variables, each looked up when it is asked for.

use std::any::Any;
use std::sync::Arc;

use expressions::{Context, Error, Object, Value};

use super::magic::NAMES;
use super::scope::Scope;

/// One entry of `hostvars`.
const HOST: &str = "HostVarsVars";

/// `hostvars`: every host of the inventory.
pub(super) struct HostVars {
    pub(super) scope: Scope,
}

impl HostVars {
    fn host(&self, name: &str) -> Result<Option<Value>, Error> {
        let variables = self.scope.variables();
        let known = variables.inventory().hosts.contains_key(name)
            || name == "localhost"
            || self.scope.host().is_some_and(|host| &**host == name);
        if !known {
            return Ok(None);
        }
        let from = self.scope.host().map_or("", |host| host);
        if from != name {
            variables.outside.other_host(from, name)?;
        }
        Ok(Some(Value::object(View { scope: self.scope.of_host(name.into()), what: HOST })))
    }
}

impl Object for HostVars {
    fn type_name(&self) -> &str {
        "HostVars"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        name.as_str().map_or(Ok(None), |name| self.host(name))
    }
    fn call_method(
        &self,
        name: &str,
        args: &[Value],
        _: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        mapping_method(self, name, args)
    }
    fn keys(&self) -> Option<Vec<Value>> {
        Some(self.scope.variables().inventory().hosts.keys().map(|name| Value::str(name.as_str())).collect())
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(!self.scope.variables().inventory().hosts.is_empty())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// All variables of a scope as a mapping: one entry of `hostvars`, or `vars`.
pub(super) struct View {
    pub(super) scope: Scope,
    pub(super) what: &'static str,
}

impl Object for View {
    fn type_name(&self) -> &str {
        self.what
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        name.as_str().map_or(Ok(None), |name| self.scope.variable(name))
    }
    fn call_method(
        &self,
        name: &str,
        args: &[Value],
        _: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        mapping_method(self, name, args)
    }
    fn keys(&self) -> Option<Vec<Value>> {
        // What contains this mapping is not shown in it: whoever walks through all would never end.
        let within = |name: &str| match name {
            "vars" | "omit" => true,
            "hostvars" | "environment" => self.what == HOST,
            _ => false,
        };
        let empty = |name: &str| NAMES.contains(&name) && matches!(self.scope.variable(name), Ok(None));
        let names = self.scope.names().into_iter().filter(|name| !within(name) && !empty(name));
        Some(names.map(Value::from).collect())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What Python's mappings can do.
fn mapping_method(object: &dyn Object, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let keys = || object.keys().unwrap_or_default();
    let value = |key: &Value| object.get(key).map(|value| value.unwrap_or(Value::None));
    Some(match name {
        "get" => {
            let key = args.first()?;
            object.get(key).map(|found| match found {
                Some(value) => value,
                None => args.get(1).cloned().unwrap_or(Value::None),
            })
        }
        "keys" => Ok(Value::list(keys())),
        "values" => keys().iter().map(value).collect::<Result<Vec<_>, _>>().map(Value::list),
        "items" => {
            let pairs = keys().into_iter().map(|key| Ok(Value::tuple(vec![key.clone(), value(&key)?])));
            pairs.collect::<Result<Vec<_>, Error>>().map(Value::list)
        }
        _ => return None,
    })
}
