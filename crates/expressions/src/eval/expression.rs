//! Expressions to values.

use std::sync::Arc;

use super::{Env, Run};
use crate::ast::{Comparison, Expr, Kind};
use crate::error::Error;
use crate::value::{self, Dict, Style, Value, as_missing, lifted};

impl Run<'_> {
    pub(crate) fn eval(&self, expr: &Expr, env: &Env) -> Result<Value, Error> {
        match &expr.kind {
            Kind::Const(value) => self.constant(value),
            Kind::Name(name) => {
                self.name(name, env, expr).map_err(|error| self.found_at(error, env, expr.pos))
            }
            _ => {
                value::deeper()?;
                self.eval_inner(expr, env)
                    .map_err(|error| self.found_at(self.raised(error, expr), env, expr.pos))
            }
        }
    }

    fn eval_inner(&self, expr: &Expr, env: &Env) -> Result<Value, Error> {
        match &expr.kind {
            Kind::Const(value) => self.constant(value),
            Kind::Name(name) => self.name(name, env, expr),
            Kind::List(items) => Ok(Value::list(self.all(items, env)?)),
            Kind::Tuple(items) => Ok(Value::tuple(self.all(items, env)?)),
            Kind::Dict(entries) => self.dict(entries, env),
            Kind::Not(inner) => Ok(Value::Bool(!self.eval(inner, env)?.truth()?)),
            Kind::Negate(inner) => value::negate(&self.eval(inner, env)?),
            Kind::Plus(inner) => value::plus(&self.eval(inner, env)?),
            Kind::Chain(first, links) => {
                let mut result = self.eval(first, env)?;
                for (operator, operand) in links {
                    result = value::apply(*operator, &result, &self.eval(operand, env)?)?;
                }
                Ok(result)
            }
            Kind::And(all) => self.until(all, env, false),
            Kind::Or(all) => self.until(all, env, true),
            Kind::Compare(first, links) => self.compare(first, links, env),
            Kind::Concat(parts) => self.concat(parts, env),
            Kind::Attr(inner, name) => {
                let inner = self.eval(inner, env)?;
                inner.get_attr(name).map(|found| self.marked(found, &inner, expr, env))
            }
            Kind::Item(inner, key) => {
                let inner = self.eval(inner, env)?;
                let key = self.eval(key, env)?;
                inner.get_item(&key).map(|found| self.marked(found, &inner, expr, env))
            }
            Kind::Slice(inner, parts) => {
                let inner = self.eval(inner, env)?;
                let part = |part: &Option<Expr>| match part {
                    Some(part) => self.eval(part, env),
                    None => Ok(Value::None),
                };
                inner.slice(&part(&parts[0])?, &part(&parts[1])?, &part(&parts[2])?)
            }
            Kind::Call(callee, args) => self.call_expr(callee, args, env),
            Kind::Filter(inner, call) => {
                let value = match self.eval(inner, env) {
                    Err(error) if error.is_pending().is_none() => self.encrypted(inner, call).ok_or(error)?,
                    other => other?,
                };
                let args = self.args(&call.args, env)?;
                self.filter_call(call, value, args).map(|found| self.marked(found, &Value::None, expr, env))
            }
            Kind::Test(inner, call) => {
                let value = self.eval(inner, env)?;
                let args = self.args(&call.args, env)?;
                Ok(match self.test_call(call, &value, args)? {
                    Value::Bool(result) => Value::Bool(result != call.negated),
                    undefined if call.negated => Value::Bool(!undefined.truth()?),
                    undefined => undefined,
                })
            }
            Kind::If(parts, otherwise) => {
                let [condition, then] = &**parts;
                if self.eval(condition, env)?.truth()? {
                    return self.eval(then, env);
                }
                match otherwise {
                    Some(otherwise) => self.eval(otherwise, env),
                    None => Ok(Value::soft_undefined()),
                }
            }
        }
    }

    /// Notes where an undefined value came up, unless it has come from elsewhere.
    fn marked(&self, found: Value, from: &Value, expr: &Expr, env: &Env) -> Value {
        match found {
            Value::Undefined(missing)
                if missing.origin.is_none() && !missing.soft && !from.is_undefined() =>
            {
                let mut missing = Arc::unwrap_or_clone(missing);
                missing.origin = self.place(&env.template, expr.pos);
                Value::Undefined(Arc::new(missing))
            }
            other => other,
        }
    }

    fn name(&self, name: &Arc<str>, env: &Env, expr: &Expr) -> Result<Value, Error> {
        if let Some(found) = env.scope.get(name) {
            return Ok(found);
        }
        if env.scope.sees_context
            && let Some(found) = self.variable(name)?
        {
            return Ok(self.marked(found, &Value::None, expr, env));
        }
        if let Some(global) = super::globals::find(name) {
            return Ok(global);
        }
        if &**name == "self" {
            return Ok(super::template::itself(env));
        }
        Ok(self.marked(Value::undefined(format!("'{name}' is undefined")), &Value::None, expr, env))
    }

    /// A variable of the context. A template that changes containers works on copies of its own.
    pub(super) fn variable(&self, name: &Arc<str>) -> Result<Option<Value>, Error> {
        if let Some(copies) = &self.copies
            && let Some(copy) = copies.lock().get(name)
        {
            return Ok(Some(copy.clone()));
        }
        let found = match self.context.variable(name) {
            Ok(None) => return Ok(None),
            Ok(Some(found)) => found,
            Err(error) => lifted(Err(error))?,
        };
        let Some(copies) = &self.copies else { return Ok(Some(found)) };
        let copy = found.deep_copy()?;
        copies.lock().insert(Arc::clone(name), copy.clone());
        Ok(Some(copy))
    }

    fn all(&self, items: &[Expr], env: &Env) -> Result<Vec<Value>, Error> {
        items.iter().map(|item| self.eval(item, env)).collect()
    }

    fn dict(&self, entries: &[(Expr, Expr)], env: &Env) -> Result<Value, Error> {
        let dict = Dict::new();
        for (key, value) in entries {
            let key = self.eval(key, env)?;
            key.check_hashable()?;
            dict.insert(key, self.eval(value, env)?);
        }
        Ok(Value::from(dict))
    }

    /// `and`, `or`: the first value whose truth is `wanted`, or the last.
    fn until(&self, all: &[Expr], env: &Env, wanted: bool) -> Result<Value, Error> {
        let mut last = Value::None;
        for (index, expr) in all.iter().enumerate() {
            last = self.eval(expr, env)?;
            if index + 1 < all.len() && last.truth()? == wanted {
                break;
            }
        }
        Ok(last)
    }

    fn compare(&self, first: &Expr, links: &[(Comparison, Expr)], env: &Env) -> Result<Value, Error> {
        let mut left = self.eval(first, env)?;
        for (comparison, operand) in links {
            let right = self.eval(operand, env)?;
            if !compare_values(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn concat(&self, parts: &[Expr], env: &Env) -> Result<Value, Error> {
        let mut text = String::new();
        for part in parts {
            let value = self.eval(part, env)?;
            if let Some(missing) = as_missing(&value) {
                return Err(missing.error());
            }
            value.write_str(&mut text, Style::Python)?;
        }
        Ok(Value::str(text))
    }
}

pub(crate) fn compare_values(comparison: Comparison, left: &Value, right: &Value) -> Result<bool, Error> {
    let ordered = |op: &str, accepts: fn(std::cmp::Ordering) -> bool| {
        Ok(left.python_cmp(right, op)?.is_some_and(accepts))
    };
    match comparison {
        Comparison::Eq => left.python_eq(right),
        Comparison::Ne => Ok(!left.python_eq(right)?),
        Comparison::Lt => ordered("<", std::cmp::Ordering::is_lt),
        Comparison::Le => ordered("<=", std::cmp::Ordering::is_le),
        Comparison::Gt => ordered(">", std::cmp::Ordering::is_gt),
        Comparison::Ge => ordered(">=", std::cmp::Ordering::is_ge),
        Comparison::In => right.contains(left),
        Comparison::NotIn => Ok(!right.contains(left)?),
    }
}
