//! Statements.

use std::sync::Arc;

use super::{Env, Flow, Output, Run, Scope};
use crate::ast::{Expr, FilterCall, Node, Target};
use crate::error::Error;
use crate::value::Value;

impl Run<'_> {
    pub(super) fn body(&self, body: &[Node], env: &Env, out: &mut Output) -> Result<Flow, Error> {
        for node in body {
            match node {
                Node::Data(text) => out.data(text)?,
                Node::Emit(expr) => {
                    let value = self.eval(expr, env)?;
                    out.value(value).map_err(|error| self.located(error, env, expr.pos))?;
                }
                other => match self.statement(other, env, out)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&self, node: &Node, env: &Env, out: &mut Output) -> Result<Flow, Error> {
        match node {
            Node::Data(text) => out.data(text)?,
            Node::Emit(expr) => out.value(self.eval(expr, env)?)?,
            Node::If(branches, otherwise) => {
                for (condition, body) in branches {
                    let holds = self.eval(condition, env)?.truth();
                    if holds.map_err(|error| self.located(error, env, condition.pos))? {
                        return self.body(body, env, out);
                    }
                }
                return self.body(otherwise, env, out);
            }
            Node::For(node) => {
                crate::value::deeper()?;
                let items = self.eval(&node.items, env)?;
                self.for_loop(node, &items, 0, env, out)
                    .map_err(|error| self.located(error, env, node.items.pos))?;
            }
            Node::Set(target, expr) => {
                let value = self.eval(expr, env)?;
                self.assign(target, value, &env.scope, env)
                    .map_err(|error| self.located(error, env, expr.pos))?;
            }
            Node::SetBlock(target, filters, body) => {
                let value = self.filtered(self.capture(body, env)?, filters, env)?;
                self.assign(target, value, &env.scope, env)?;
            }
            Node::Macro(definition) => {
                let value = self.define(definition, env);
                env.scope.set(&definition.name, value);
            }
            Node::Call(call, definition) => {
                let caller = self.define(definition, env);
                let result = self.call_with_caller(call, caller, env);
                out.value(result.map_err(|error| self.located(error, env, call.pos))?)?;
            }
            Node::FilterBlock(filters, body) => {
                let value = self.filtered(self.capture(body, env)?, filters, env)?;
                out.value(value)?;
            }
            Node::With(bindings, body) => return self.with(bindings, body, env, out),
            Node::Do(expr) => {
                self.eval(expr, env)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Block(_)
            | Node::Extends(_)
            | Node::Include { .. }
            | Node::Import { .. }
            | Node::FromImport { .. } => self.template_statement(node, env, out)?,
        }
        Ok(Flow::Next)
    }

    fn with(
        &self,
        bindings: &[(Target, Expr)],
        body: &[Node],
        env: &Env,
        out: &mut Output,
    ) -> Result<Flow, Error> {
        let inner = Env { scope: Scope::child(&env.scope), ..env.clone() };
        for (target, expr) in bindings {
            let value = self.eval(expr, env)?;
            self.assign(target, value, &inner.scope, env)?;
        }
        self.body(body, &inner, out)
    }

    /// The value of a body in a scope of its own.
    pub(super) fn capture(&self, body: &[Node], env: &Env) -> Result<Value, Error> {
        let inner = Env { scope: Scope::child(&env.scope), ..env.clone() };
        let mut out = Output::default();
        self.body(body, &inner, &mut out)?;
        Ok(out.into_value())
    }

    fn filtered(&self, mut value: Value, filters: &[FilterCall], env: &Env) -> Result<Value, Error> {
        for call in filters {
            let args = self.args(&call.args, env)?;
            let filtered = self.filter_call(call, value, args);
            value = filtered.map_err(|error| self.located(error, env, call.pos))?;
        }
        Ok(value)
    }

    pub(super) fn assign(
        &self,
        target: &Target,
        value: Value,
        scope: &Arc<Scope>,
        env: &Env,
    ) -> Result<(), Error> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Tuple(targets) => {
                let items = value.iterate()?;
                let (wanted, given) = (targets.len(), items.len());
                if given > wanted {
                    return Err(Error::new(format!("too many values to unpack (expected {wanted})")));
                }
                if given < wanted {
                    return Err(Error::new(format!(
                        "not enough values to unpack (expected {wanted}, got {given})"
                    )));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope, env)?;
                }
            }
            Target::Attr(name, attribute) => {
                let owner = match env.scope.get(name) {
                    Some(owner) => owner,
                    None => self
                        .variable(name)?
                        .unwrap_or_else(|| Value::undefined(format!("'{name}' is undefined"))),
                };
                match owner.defined()? {
                    Value::Object(object) if object.type_name() == "Namespace" => {
                        object.set(attribute, value)?
                    }
                    _ => return Err(Error::new("cannot assign attribute on non-namespace object")),
                }
            }
        }
        Ok(())
    }
}
