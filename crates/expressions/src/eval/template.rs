//! Templates that use other templates: extends, blocks, include, import.

use std::any::Any;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Env, Output, Run, Scope, Unit};
use crate::ast::{Expr, Node, Template};
use crate::error::Error;
use crate::value::{Object, Value};

/// A longer line of `extends` is a circle.
const MOST_GENERATIONS: usize = 100;

/// `super` and `self.name`: a block, and how far up in the line of its definitions.
pub(crate) struct BlockRef {
    name: Arc<str>,
    level: usize,
}

impl Object for BlockRef {
    fn type_name(&self) -> &str {
        "BlockReference"
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `self`
struct Itself {
    names: Vec<Arc<str>>,
}

impl Object for Itself {
    fn type_name(&self) -> &str {
        "TemplateReference"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let found = self.names.iter().find(|own| name.as_str() == Some(own));
        Ok(found.map(|name| Value::object(BlockRef { name: Arc::clone(name), level: 0 })))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub(super) fn itself(env: &Env) -> Value {
    let names = env.unit.blocks.read().keys().cloned().collect();
    Value::object(Itself { names })
}

/// What `import` gives: the names that a template has defined.
struct Module {
    path: String,
    /// What it says, which is what it is as text.
    body: Value,
    scope: Arc<Scope>,
    /// Macros refer to it weakly.
    unit: Arc<Unit>,
}

impl Object for Module {
    fn type_name(&self) -> &str {
        "TemplateModule"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        Ok(name.as_str().filter(|name| !name.starts_with('_')).and_then(|name| self.scope.own(name)))
    }
    fn render(&self) -> Result<String, Error> {
        self.body.clone().defined()?.python_str()
    }
    fn as_data(&self) -> Option<Value> {
        Some(self.body.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Run<'_> {
    /// Runs a whole template, with whatever it extends.
    pub(crate) fn template(
        &self,
        template: &Arc<Template>,
        root: Arc<Scope>,
        out: &mut Output,
    ) -> Result<Arc<Unit>, Error> {
        crate::value::deeper()?;
        let unit = Arc::new(Unit { root: Arc::clone(&root), blocks: RwLock::default() });
        let mut current = Arc::clone(template);
        let mut generations = 0;
        loop {
            add_blocks(&unit, &current);
            let env =
                Env { scope: Arc::clone(&root), template: Arc::clone(&current), unit: Arc::clone(&unit) };
            let Some(parent) = self.own_body(&current, &env, out)? else { return Ok(unit) };
            generations += 1;
            if generations > MOST_GENERATIONS {
                return Err(Error::new("templates extend each other in a circle"));
            }
            current = parent;
        }
    }

    /// Runs a template's own text up to `extends`; gives the parent, if there is one.
    fn own_body(
        &self,
        template: &Template,
        env: &Env,
        out: &mut Output,
    ) -> Result<Option<Arc<Template>>, Error> {
        let mut parent = None;
        let mut silent = Output::default();
        for node in &template.body {
            match node {
                Node::Extends(what) => {
                    if parent.is_some() {
                        return Err(Error::new("extended multiple times"));
                    }
                    parent = Some(self.required_template(what, env)?);
                }
                // After `extends` only definitions count.
                Node::Data(_) | Node::Emit(_) | Node::Block(_) if parent.is_some() => {}
                other => {
                    let out = if parent.is_some() { &mut silent } else { &mut *out };
                    self.body(std::slice::from_ref(other), env, out)?;
                }
            }
        }
        Ok(parent)
    }

    pub(super) fn template_statement(&self, node: &Node, env: &Env, out: &mut Output) -> Result<(), Error> {
        match node {
            Node::Block(block) => {
                let scope = if block.scoped { &env.scope } else { &env.unit.root };
                self.run_block(&block.name, 0, scope, env, out)
            }
            Node::Extends(what) => {
                // Inside an `if`: the parent is put out here, with the blocks known so far.
                let parent = self.required_template(what, env)?;
                add_blocks(&env.unit, &parent);
                let inner = Env { template: Arc::clone(&parent), ..env.clone() };
                self.body(&parent.body, &inner, out).map(|_| ())
            }
            Node::Include { what, ignore_missing, with_context } => {
                self.include(what, *ignore_missing, *with_context, env, out)
            }
            Node::Import { what, name, with_context } => {
                let module = self.import(what, *with_context, env)?;
                self.kept.lock().push(Arc::clone(&env.scope));
                env.scope.set(name, Value::object(module));
                Ok(())
            }
            Node::FromImport { what, names, with_context } => {
                let module = self.import(what, *with_context, env)?;
                for (name, alias) in names {
                    let value = module.scope.own(name).unwrap_or_else(|| {
                        let path = &module.path;
                        Value::undefined(format!(
                            "the template '{path}' does not export the requested name '{name}'"
                        ))
                    });
                    env.scope.set(alias, value);
                }
                self.kept.lock().push(Arc::clone(&module.scope));
                self.kept_units.lock().push(Arc::clone(&module.unit));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn run_block(
        &self,
        name: &Arc<str>,
        level: usize,
        scope: &Arc<Scope>,
        env: &Env,
        out: &mut Output,
    ) -> Result<(), Error> {
        crate::value::deeper()?;
        let Some((template, block)) =
            env.unit.blocks.read().get(name).and_then(|line| line.get(level).cloned())
        else {
            return Err(Error::undefined(format!("there is no parent block called '{name}'.")));
        };
        if block.required {
            return Err(Error::new(format!("Required block '{name}' not found")));
        }
        let scope = Scope::child(scope);
        scope.set(&Arc::from("super"), Value::object(BlockRef { name: Arc::clone(name), level: level + 1 }));
        let inner = Env { scope, template, unit: Arc::clone(&env.unit) };
        self.body(&block.body, &inner, out).map(|_| ())
    }

    pub(super) fn call_block(&self, called: &BlockRef, env: &Env) -> Result<Value, Error> {
        let mut out = Output::default();
        self.run_block(&called.name, called.level, &env.unit.root, env, &mut out)?;
        Ok(out.into_value())
    }

    fn include(
        &self,
        what: &Expr,
        ignore_missing: bool,
        with_context: bool,
        env: &Env,
        out: &mut Output,
    ) -> Result<(), Error> {
        let Some(template) = self.find_template(what, env)? else {
            return if ignore_missing { Ok(()) } else { Err(self.missing_template(what, env)) };
        };
        let root = if with_context { Scope::child(&env.scope) } else { Scope::root(false) };
        let mut inner = Output::default();
        let unit = self.template(&template, root, &mut inner)?;
        self.kept_units.lock().push(unit);
        out.value(inner.into_value())
    }

    fn import(&self, what: &Expr, with_context: bool, env: &Env) -> Result<Module, Error> {
        let template = self.required_template(what, env)?;
        let scope = if with_context { Scope::child(&env.scope) } else { Scope::root(false) };
        let mut out = Output::text(0);
        let unit = self.template(&template, Arc::clone(&scope), &mut out)?;
        let path = template.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        Ok(Module { path, body: out.into_value(), scope, unit })
    }

    fn required_template(&self, what: &Expr, env: &Env) -> Result<Arc<Template>, Error> {
        self.find_template(what, env)?.ok_or_else(|| self.missing_template(what, env))
    }

    fn missing_template(&self, what: &Expr, env: &Env) -> Error {
        let name = self.eval(what, env).and_then(|value| value.python_str()).unwrap_or_default();
        self.found_at(Error::new(format!("the template '{name}' was not found")), env, what.pos)
    }

    /// The first of the named templates that exists.
    fn find_template(&self, what: &Expr, env: &Env) -> Result<Option<Arc<Template>>, Error> {
        let value = self.eval(what, env)?.defined()?;
        let names = match value {
            Value::Str(_) => vec![value],
            other => other.iterate()?,
        };
        for name in names {
            let Value::Str(name) = name.defined()? else {
                return Err(Error::new("the name of a template must be a string"));
            };
            if let Some((path, source)) = self.context.template_source(name.as_str())? {
                return self.engine.file(&path, &source, self.options).map(Some);
            }
        }
        Ok(None)
    }
}

fn add_blocks(unit: &Unit, template: &Arc<Template>) {
    let mut blocks = unit.blocks.write();
    for (name, block) in &template.blocks {
        blocks.entry(Arc::clone(name)).or_default().push((Arc::clone(template), Arc::clone(block)));
    }
}
