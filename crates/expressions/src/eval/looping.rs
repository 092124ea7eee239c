//! `for` and its `loop`.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::{Args, Env, Flow, Output, Run, Scope, Unit};
use crate::ast::{For, Template};
use crate::error::Error;
use crate::value::{Object, Value};

static LOOP: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("loop"));

/// The variable `loop`.
pub(crate) struct Loop {
    items: Vec<Value>,
    index: AtomicUsize,
    depth: usize,
    changed: Mutex<Option<Vec<Value>>>,
    /// What `loop(children)` runs again.
    recursion: Option<Recursion>,
}

struct Recursion {
    node: Arc<For>,
    scope: Weak<Scope>,
    template: Arc<Template>,
    unit: Weak<Unit>,
}

impl Run<'_> {
    pub(super) fn for_loop(
        &self,
        node: &Arc<For>,
        items: &Value,
        depth: usize,
        env: &Env,
        out: &mut Output,
    ) -> Result<(), Error> {
        let mut items = items.iterate()?;
        if let Some(condition) = &node.condition {
            let mut chosen = Vec::with_capacity(items.len());
            for item in items {
                let inner = Env { scope: Scope::child(&env.scope), ..env.clone() };
                self.assign(&node.target, item.clone(), &inner.scope, &inner)?;
                if self.eval(condition, &inner)?.truth()? {
                    chosen.push(item);
                }
            }
            items = chosen;
        }
        if items.is_empty() {
            let inner = Env { scope: Scope::child(&env.scope), ..env.clone() };
            return self.body(&node.otherwise, &inner, out).map(|_| ());
        }
        let recursion = node.recursive.then(|| Recursion {
            node: Arc::clone(node),
            scope: Arc::downgrade(&env.scope),
            template: Arc::clone(&env.template),
            unit: Arc::downgrade(&env.unit),
        });
        let count = items.len();
        let state =
            Arc::new(Loop { items, index: AtomicUsize::new(0), depth, changed: Mutex::new(None), recursion });
        self.rounds(node, &state, count, env, out)
    }

    fn rounds(
        &self,
        node: &For,
        state: &Arc<Loop>,
        count: usize,
        env: &Env,
        out: &mut Output,
    ) -> Result<(), Error> {
        let mut inner = Env { scope: Scope::child(&env.scope), ..env.clone() };
        for index in 0..count {
            state.index.store(index, Ordering::Relaxed);
            if index > 0 {
                // The scope of a round is used again, unless a macro has kept it.
                if Arc::strong_count(&inner.scope) == 1 {
                    inner.scope.clear();
                } else {
                    inner.scope = Scope::child(&env.scope);
                }
            }
            inner.scope.set(&LOOP, Value::Object(Arc::clone(state) as Arc<dyn Object>));
            self.assign(&node.target, state.items[index].clone(), &inner.scope, &inner)?;
            if self.body(&node.body, &inner, out)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// `loop(children)`
    pub(super) fn recurse(&self, called: &Loop, args: &Args) -> Result<Value, Error> {
        crate::value::deeper()?;
        let Some(recursion) = &called.recursion else {
            return Err(Error::new("The loop must have the 'recursive' marker to be called recursively."));
        };
        let (Some(scope), Some(unit), Some(items)) =
            (recursion.scope.upgrade(), recursion.unit.upgrade(), args.first())
        else {
            return Err(Error::new("loop() takes the items of the next level"));
        };
        let env = Env { scope, template: Arc::clone(&recursion.template), unit };
        let mut out = Output::default();
        self.for_loop(&recursion.node, items, called.depth + 1, &env, &mut out)?;
        Ok(out.into_value())
    }
}

impl Object for Loop {
    fn type_name(&self) -> &str {
        "LoopContext"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let index = self.index.load(Ordering::Relaxed);
        let count = self.items.len();
        Ok(Some(match name.as_str() {
            Some("index") => Value::from(index + 1),
            Some("index0") => Value::from(index),
            Some("revindex") => Value::from(count - index),
            Some("revindex0") => Value::from(count - index - 1),
            Some("first") => Value::Bool(index == 0),
            Some("last") => Value::Bool(index + 1 == count),
            Some("length") => Value::from(count),
            Some("depth") => Value::from(self.depth + 1),
            Some("depth0") => Value::from(self.depth),
            Some("previtem") => match index.checked_sub(1) {
                Some(previous) => self.items[previous].clone(),
                None => Value::undefined("there is no previous item"),
            },
            Some("nextitem") => self
                .items
                .get(index + 1)
                .cloned()
                .unwrap_or_else(|| Value::undefined("there is no next item")),
            _ => return Ok(None),
        }))
    }
    fn call_method(
        &self,
        name: &str,
        args: &[Value],
        _: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        match name {
            "cycle" if args.is_empty() => Some(Err(Error::new("no items for cycling given"))),
            "cycle" => Some(Ok(args[self.index.load(Ordering::Relaxed) % args.len()].clone())),
            "changed" => {
                let mut last = self.changed.lock();
                let changed = last.as_deref() != Some(args);
                *last = Some(args.to_vec());
                Some(Ok(Value::Bool(changed)))
            }
            _ => None,
        }
    }
    fn is_callable(&self) -> bool {
        self.recursion.is_some()
    }
    fn render(&self) -> Result<String, Error> {
        let index = self.index.load(Ordering::Relaxed) + 1;
        Ok(format!("<LoopContext {index}/{}>", self.items.len()))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
