//! Calls: functions, methods, macros, filters and tests, and their arguments.

use std::any::Any;
use std::sync::{Arc, Weak};

use super::template::BlockRef;
use super::{Env, Flow, Output, Run, Scope, globals, looping};
use crate::ast::{Arguments, Expr, FilterCall, Kind, Macro, TestCall};
use crate::error::Error;
use crate::value::{Dict, Object, Value, as_missing, lifted};
use crate::{filters, methods, older, tests};

/// The arguments of one call.
#[derive(Default, Clone)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Value>,
    pub(crate) named: Vec<(Arc<str>, Value)>,
}

impl Args {
    /// The arguments in the order of these parameters; what was not given is `None`.
    pub(crate) fn bind<const N: usize>(
        &self,
        function: &str,
        params: [&str; N],
    ) -> Result<[Option<Value>; N], Error> {
        let mut bound = [const { None }; N];
        if self.positional.len() > N {
            let given = self.positional.len();
            return Err(Error::new(format!("{function}() takes at most {N} arguments ({given} given)")));
        }
        for (slot, value) in bound.iter_mut().zip(&self.positional) {
            *slot = Some(value.clone());
        }
        for (name, value) in &self.named {
            let Some(index) = params.iter().position(|param| *param == &**name) else {
                return Err(Error::new(format!("{function}() got an unexpected keyword argument '{name}'")));
            };
            if bound[index].is_some() {
                return Err(Error::new(format!("{function}() got multiple values for argument '{name}'")));
            }
            bound[index] = Some(value.clone());
        }
        Ok(bound)
    }

    /// Takes a named argument out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.named.iter().position(|(own, _)| **own == *name)?;
        Some(self.named.remove(index).1)
    }

    /// The first argument that is undefined.
    pub(crate) fn undefined(&self) -> Option<&Value> {
        self.positional
            .iter()
            .chain(self.named.iter().map(|(_, value)| value))
            .find(|value| as_missing(value).is_some())
    }

    pub(crate) fn first(&self) -> Option<&Value> {
        self.positional.first()
    }
}

/// A macro that a template has defined. It lives as long as the render does.
pub(crate) struct MacroValue {
    definition: Arc<Macro>,
    scope: Weak<Scope>,
    env: WeakEnv,
}

/// The surroundings of a definition without keeping its scope alive.
struct WeakEnv {
    template: Arc<crate::ast::Template>,
    unit: Weak<super::Unit>,
}

impl Object for MacroValue {
    fn type_name(&self) -> &str {
        "Macro"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let names = || self.definition.params.iter().map(|(name, _)| Value::str(Arc::clone(name))).collect();
        Ok(match name.as_str() {
            Some("name") => Some(Value::str(Arc::clone(&self.definition.name))),
            Some("arguments") => Some(Value::tuple(names())),
            Some("catch_kwargs") => Some(Value::Bool(self.definition.takes_kwargs)),
            Some("catch_varargs") => Some(Value::Bool(self.definition.takes_varargs)),
            Some("caller") => Some(Value::Bool(self.definition.takes_caller)),
            _ => None,
        })
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn render(&self) -> Result<String, Error> {
        Ok(format!("<Macro '{}'>", self.definition.name))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Run<'_> {
    pub(crate) fn args(&self, args: &Arguments, env: &Env) -> Result<Args, Error> {
        let mut all = Args::default();
        for expr in &args.positional {
            all.positional.push(self.eval(expr, env)?);
        }
        for (name, expr) in &args.named {
            all.named.push((Arc::clone(name), self.eval(expr, env)?));
        }
        if let Some(spread) = &args.spread {
            all.positional.extend(self.eval(spread, env)?.iterate()?);
        }
        if let Some(spread) = &args.spread_named {
            let value = self.eval(spread, env)?.defined()?;
            let Value::Dict(dict) = value else {
                return Err(Error::new(format!(
                    "argument after ** must be a mapping, not {}",
                    value.type_name()
                )));
            };
            for (key, value) in dict.items()? {
                all.named.push((Arc::from(key.python_str()?), value));
            }
        }
        Ok(all)
    }

    pub(super) fn call_expr(&self, callee: &Expr, args: &Arguments, env: &Env) -> Result<Value, Error> {
        if let Kind::Attr(owner, name) = &callee.kind {
            let owner = self.eval(owner, env)?;
            let args = self.args(args, env)?;
            return self.call_method(&owner, name, args, env);
        }
        let callee = self.eval(callee, env)?;
        let function = callee.as_object::<globals::Function>();
        let args = match function.filter(|function| function.looks_up()) {
            Some(_) => self.args_of_lookup(args, env)?,
            None => self.args(args, env)?,
        };
        self.call_value(&callee, args, env)
    }

    /// Constants among the arguments of a lookup may hold templates.
    fn args_of_lookup(&self, args: &Arguments, env: &Env) -> Result<Args, Error> {
        let mut all = self.args(args, env)?;
        // The first is its name.
        for (expr, value) in args.positional.iter().zip(&mut all.positional).skip(1) {
            if let Kind::Const(constant) = &expr.kind {
                *value = self.opened(constant).or_else(undefined)?;
            }
        }
        for ((_, expr), (_, value)) in args.named.iter().zip(&mut all.named) {
            if let Kind::Const(constant) = &expr.kind {
                *value = self.opened(constant).or_else(undefined)?;
            }
        }
        Ok(all)
    }

    fn call_method(&self, owner: &Value, name: &str, args: Args, env: &Env) -> Result<Value, Error> {
        if owner.is_undefined() {
            return Ok(owner.clone());
        }
        if let Some(undefined) = args.undefined()
            && !matches!(owner, Value::Object(_))
        {
            return Ok(undefined.clone());
        }
        if let Some(result) = methods::call(owner, name, &args) {
            return lifted(result);
        }
        let callee = owner.get_attr(name)?;
        self.call_value(&callee, args, env)
    }

    pub(crate) fn call_value(&self, callee: &Value, args: Args, env: &Env) -> Result<Value, Error> {
        let object = match callee {
            Value::Undefined(missing) if missing.soft => return Err(missing.error()),
            Value::Undefined(_) => return Ok(callee.clone()),
            Value::Object(object) => object,
            other => return Err(Error::new(format!("'{}' object is not callable", other.type_name()))),
        };
        let any = object.as_any();
        if let Some(called) = any.downcast_ref::<MacroValue>() {
            return self.call_macro(called, args, None);
        }
        if let Some(called) = any.downcast_ref::<BlockRef>() {
            return self.call_block(called, env);
        }
        if let Some(undefined) = args.undefined()
            && !self.takes_undefined(any, &args)
        {
            return Ok(undefined.clone());
        }
        if let Some(called) = any.downcast_ref::<looping::Loop>() {
            return self.recurse(called, &args);
        }
        if let Some(called) = any.downcast_ref::<globals::Function>() {
            return lifted(globals::call(self, called, args));
        }
        lifted(object.call(&args.positional, &args.named))
    }

    /// Whether it is a lookup that wants to see what is undefined.
    fn takes_undefined(&self, callee: &dyn Any, args: &Args) -> bool {
        callee.downcast_ref::<globals::Function>().is_some_and(globals::Function::looks_up)
            && args.first().and_then(Value::as_str).is_some_and(|name| self.context.takes_undefined(name))
    }

    /// Defines a macro in the scope that we are in.
    pub(super) fn define(&self, definition: &Arc<Macro>, env: &Env) -> Value {
        self.kept.lock().push(Arc::clone(&env.scope));
        let surroundings = WeakEnv { template: Arc::clone(&env.template), unit: Arc::downgrade(&env.unit) };
        let scope = Arc::downgrade(&env.scope);
        Value::object(MacroValue { definition: Arc::clone(definition), scope, env: surroundings })
    }

    /// `{% call %}`: the macro gets the body as `caller`.
    pub(super) fn call_with_caller(&self, call: &Expr, caller: Value, env: &Env) -> Result<Value, Error> {
        let Kind::Call(callee, args) = &call.kind else { return Err(Error::new("expected call")) };
        let callee = self.eval(callee, env)?;
        let mut args = self.args(args, env)?;
        match callee.as_object::<MacroValue>() {
            Some(called) => self.call_macro(called, args, Some(caller)),
            None => {
                args.named.push((Arc::from("caller"), caller));
                self.call_value(&callee, args, env)
            }
        }
    }

    fn call_macro(&self, called: &MacroValue, mut args: Args, caller: Option<Value>) -> Result<Value, Error> {
        crate::value::deeper()?;
        let definition = &called.definition;
        let gone = || Error::new(format!("macro '{}' is used after its template has ended", definition.name));
        let parent = called.scope.upgrade().ok_or_else(gone)?;
        let scope = Scope::child(&parent);
        let unit = called.env.unit.upgrade().ok_or_else(gone)?;
        let env = Env { scope: Arc::clone(&scope), template: Arc::clone(&called.env.template), unit };
        self.bind_params(definition, &mut args, &env)?;
        if definition.takes_caller {
            let given = caller.or_else(|| args.take("caller"));
            scope.set(&Arc::from("caller"), given.unwrap_or_else(|| Value::undefined("No caller defined")));
        } else if caller.is_some() {
            let name = &definition.name;
            return Err(Error::new(format!(
                "macro '{name}' was invoked with two values for the special caller argument. This is most likely a bug."
            )));
        }
        finish_arguments(definition, args, &scope)?;
        let mut output = Output::default();
        match self.body(&definition.body, &env, &mut output)? {
            Flow::Next | Flow::Break | Flow::Continue => Ok(output.into_value()),
        }
    }

    fn bind_params(&self, definition: &Macro, args: &mut Args, env: &Env) -> Result<(), Error> {
        let mut positional = std::mem::take(&mut args.positional).into_iter();
        for (name, default) in &definition.params {
            let value = match (positional.next(), args.take(name)) {
                (Some(_), Some(_)) => {
                    let function = &definition.name;
                    return Err(Error::new(format!(
                        "macro '{function}' got two values for its argument '{name}'"
                    )));
                }
                (Some(value), None) | (None, Some(value)) => value,
                (None, None) => match default {
                    Some(default) => self.eval(default, env)?,
                    None => Value::undefined(format!("parameter '{name}' was not provided")),
                },
            };
            env.scope.set(name, value);
        }
        args.positional = positional.collect();
        Ok(())
    }

    /// A filter of a template: something undefined goes through most of them as it is.
    pub(crate) fn filter_call(&self, call: &FilterCall, value: Value, args: Args) -> Result<Value, Error> {
        match &call.filter {
            Some(filter) if self.options.collections || !filter.collection => {
                let result = self.apply_filter(*filter, value, args);
                if self.options.text_templates && older::finishes(&call.name) {
                    return result.map(older::finished);
                }
                result
            }
            _ => self.foreign_filter(&call.name, &value, &args),
        }
    }

    /// What cannot be decrypted here may be by who has another password.
    pub(super) fn encrypted(&self, value: &Expr, call: &FilterCall) -> Option<Value> {
        match &value.kind {
            Kind::Name(name) if filters::short_name(&call.name) == "unvault" => self.context.encrypted(name),
            _ => None,
        }
    }

    pub(crate) fn apply_filter(
        &self,
        filter: filters::Filter,
        value: Value,
        args: Args,
    ) -> Result<Value, Error> {
        if !filter.takes_undefined {
            if as_missing(&value).is_some() {
                return Ok(value);
            }
            if let Some(undefined) = args.undefined() {
                return Ok(undefined.clone());
            }
        }
        if filter.bare && !(args.positional.is_empty() && args.named.is_empty()) {
            return Err(Error::new("this filter takes no arguments"));
        }
        if filter.text_only && !matches!(value, Value::Str(_)) {
            let kind = value.type_name();
            return Err(Error::new(format!("this filter takes text, not a value of type '{kind}'")));
        }
        lifted((filter.function)(self, &value, args))
    }

    fn foreign_filter(&self, name: &str, value: &Value, args: &Args) -> Result<Value, Error> {
        let short = filters::short_name(name);
        match self.context.filter(short, value, &args.positional, &args.named) {
            Some(result) => lifted(result),
            None => Err(Error::syntax(format!("No filter named '{name}'."))),
        }
    }

    /// A filter by name (`map('upper')`).
    pub(crate) fn filter_by_name(&self, name: &str, value: Value, args: Args) -> Result<Value, Error> {
        match filters::find(name) {
            Some(filter) if self.options.collections || !filter.collection => {
                self.apply_filter(filter, value, args)
            }
            _ => self.foreign_filter(name, &value, &args),
        }
    }

    pub(crate) fn test_call(&self, call: &TestCall, value: &Value, args: Args) -> Result<Value, Error> {
        match &call.test {
            Some(test) => self.apply_test(*test, value, args),
            None => self.foreign_test(&call.name, value, &args),
        }
    }

    pub(crate) fn apply_test(&self, test: tests::Test, value: &Value, args: Args) -> Result<Value, Error> {
        if !test.takes_undefined {
            if as_missing(value).is_some() {
                return Ok(value.clone());
            }
            if let Some(undefined) = args.undefined() {
                return Ok(undefined.clone());
            }
        }
        lifted((test.function)(self, value, args).map(Value::Bool))
    }

    fn foreign_test(&self, name: &str, value: &Value, args: &Args) -> Result<Value, Error> {
        let short = filters::short_name(name);
        match self.context.test(short, value, &args.positional, &args.named) {
            Some(result) => lifted(result.map(Value::Bool)),
            None => Err(Error::syntax(format!("No test named '{name}'."))),
        }
    }

    /// A test by name (`select('odd')`).
    pub(crate) fn test_by_name(&self, name: &str, value: &Value, args: Args) -> Result<bool, Error> {
        let result = match tests::find(name) {
            Some(test) => self.apply_test(test, value, args)?,
            None => self.foreign_test(name, value, &args)?,
        };
        result.truth()
    }
}

/// An error about something undefined, as a value.
fn undefined(error: Error) -> Result<Value, Error> {
    if error.is_undefined() { Ok(Value::from_undefined_error(error)) } else { Err(error) }
}

/// What is left of the arguments goes to `varargs` and `kwargs`, or is an error.
fn finish_arguments(definition: &Macro, args: Args, scope: &Scope) -> Result<(), Error> {
    let name = &definition.name;
    if definition.takes_varargs {
        scope.set(&Arc::from("varargs"), Value::tuple(args.positional));
    } else if !args.positional.is_empty() {
        let count = definition.params.len();
        return Err(Error::new(format!("macro '{name}' takes not more than {count} argument(s)")));
    }
    if definition.takes_kwargs {
        let kwargs = Dict::new();
        for (name, value) in args.named {
            kwargs.insert(Value::str(name), value);
        }
        scope.set(&Arc::from("kwargs"), Value::from(kwargs));
    } else if let Some((argument, _)) = args.named.first() {
        return Err(Error::new(format!("macro '{name}' takes no keyword argument '{argument}'")));
    }
    Ok(())
}
