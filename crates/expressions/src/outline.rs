//! What can be said of a template without rendering it: which variables it surely needs, which it asks after,
//! and the filters and tests that nobody knows.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexSet;

use crate::ast::{Arguments, Expr, FilterCall, Kind, Macro, Node, Pos, Target};
use crate::engine::{Engine, Options};
use crate::error::Error;
use crate::eval::{globals, inside};
use crate::origin::Origin;
use crate::value::Str;

/// What a template or an expression is about.
#[derive(Debug, Default)]
pub struct Outline {
    /// Variables without which it cannot be rendered, whatever the values of others are.
    pub needed: Vec<(Arc<str>, Origin)>,
    /// Variables that it uses in any way.
    pub used: IndexSet<Arc<str>>,
    /// Variables that it asks for being defined, or has a default for.
    pub guarded: IndexSet<Arc<str>>,
    /// Filters that the engine does not have.
    pub filters: Vec<(Arc<str>, Origin)>,
    /// Tests that the engine does not have.
    pub tests: Vec<(Arc<str>, Origin)>,
}

impl Engine {
    /// Of a string of a playbook. Reads it, and says what is wrong with it.
    pub fn outline(&self, source: &Str) -> Result<Outline, Error> {
        if !source.is_template() {
            return Ok(Outline::default());
        }
        let template = self.string(source)?;
        Ok(outline(source.origin().map(|origin| &**origin), |walk| walk.body(&template.body)))
    }

    /// Of an expression without braces.
    pub fn outline_expression(&self, source: &Str) -> Result<Outline, Error> {
        let compiled = self.expression(source)?;
        Ok(outline(source.origin().map(|origin| &**origin), |walk| walk.expr(&compiled.expr)))
    }

    /// Of a template file. Honours the `#jinja2:` header.
    pub fn outline_file(&self, path: &Path, source: &str, options: &Options) -> Result<Outline, Error> {
        let start = Origin::new(Arc::from(path), 1, 1);
        let (options, body, lines) =
            crate::header::read(source, options).map_err(|error| error.at(&start))?;
        let template = self.file(path, body, &options).map_err(|mut error| {
            if let Some(origin) = error.origin.as_mut() {
                origin.line += lines;
            }
            error
        })?;
        let first = Origin::new(Arc::from(path), 1 + lines, 1);
        Ok(outline(Some(&first), |walk| walk.body(&template.body)))
    }
}

fn outline(origin: Option<&Origin>, walked: impl FnOnce(&mut Walk<'_>)) -> Outline {
    let fallback = Origin::new(Path::new("<string>"), 1, 1);
    let mut walk = Walk {
        found: Outline::default(),
        bound: Vec::new(),
        sure: true,
        guarding: false,
        origin: origin.unwrap_or(&fallback),
    };
    walked(&mut walk);
    let mut found = walk.found;
    found.needed.retain(|(name, _)| !globals::is_global(name) && !MACROS_OWN.contains(&&**name));
    found
}

/// What every macro has without a parameter of that name.
const MACROS_OWN: &[&str] = &["varargs", "kwargs", "caller"];

/// Free names, in order of first use.
pub(crate) fn names_of_body(body: &[Node]) -> IndexSet<Arc<str>> {
    outline(None, |walk| walk.body(body)).used
}

pub(crate) fn names_of_expr(expr: &Expr) -> IndexSet<Arc<str>> {
    outline(None, |walk| walk.expr(expr)).used
}

struct Walk<'a> {
    found: Outline,
    bound: Vec<Arc<str>>,
    /// What is met is evaluated in any case.
    sure: bool,
    /// What is met may be undefined.
    guarding: bool,
    origin: &'a Origin,
}

impl Walk<'_> {
    fn place(&self, pos: Pos) -> Origin {
        inside(self.origin, pos)
    }

    fn name(&mut self, name: &Arc<str>, pos: Pos) {
        if self.bound.contains(name) {
            return;
        }
        self.found.used.insert(Arc::clone(name));
        if self.guarding {
            self.found.guarded.insert(Arc::clone(name));
        } else if self.sure {
            let place = self.place(pos);
            self.found.needed.push((Arc::clone(name), place));
        }
    }

    /// What is perhaps not evaluated, with names bound that are free again afterwards.
    fn perhaps(&mut self, inner: impl FnOnce(&mut Self)) {
        let (depth, sure) = (self.bound.len(), std::mem::replace(&mut self.sure, false));
        inner(self);
        self.bound.truncate(depth);
        self.sure = sure;
    }

    fn guarded(&mut self, inner: &Expr) {
        let guarding = std::mem::replace(&mut self.guarding, true);
        self.expr(inner);
        self.guarding = guarding;
    }

    fn bind(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.bound.push(Arc::clone(name)),
            Target::Tuple(all) => all.iter().for_each(|target| self.bind(target)),
            // A namespace, which is not a new name.
            Target::Attr(name, _) if self.bound.contains(name) => {}
            Target::Attr(name, _) => _ = self.found.used.insert(Arc::clone(name)),
        }
    }

    fn body(&mut self, body: &[Node]) {
        body.iter().for_each(|node| self.node(node));
    }

    fn node(&mut self, node: &Node) {
        match node {
            // What follows may never be reached, or come from elsewhere.
            Node::Break | Node::Continue => self.sure = false,
            Node::Extends(expr) | Node::Include { what: expr, .. } => {
                self.expr(expr);
                self.sure = false;
            }
            Node::Data(_) => {}
            Node::Emit(expr) | Node::Do(expr) => self.expr(expr),
            Node::If(branches, otherwise) => self.branches(branches, otherwise),
            Node::For(node) => {
                self.expr(&node.items);
                self.perhaps(|walk| {
                    walk.bind(&node.target);
                    walk.bound.push(Arc::from("loop"));
                    node.condition.iter().for_each(|condition| walk.expr(condition));
                    walk.body(&node.body);
                });
                self.perhaps(|walk| walk.body(&node.otherwise));
            }
            Node::Set(target, expr) => {
                self.expr(expr);
                self.bind(target);
            }
            Node::SetBlock(target, filters, body) => {
                self.filters(filters);
                self.perhaps(|walk| walk.body(body));
                self.bind(target);
            }
            Node::FilterBlock(filters, body) => {
                self.filters(filters);
                self.perhaps(|walk| walk.body(body));
            }
            Node::Macro(definition) => {
                self.bound.push(Arc::clone(&definition.name));
                self.definition(definition);
            }
            Node::Call(call, definition) => {
                self.expr(call);
                self.definition(definition);
            }
            Node::Block(block) => self.perhaps(|walk| walk.body(&block.body)),
            Node::Import { what, name, .. } => {
                self.expr(what);
                self.bound.push(Arc::clone(name));
            }
            Node::FromImport { what, names, .. } => {
                self.expr(what);
                self.bound.extend(names.iter().map(|(_, alias)| Arc::clone(alias)));
            }
            Node::With(bindings, body) => {
                bindings.iter().for_each(|(_, expr)| self.expr(expr));
                self.perhaps(|walk| {
                    bindings.iter().for_each(|(target, _)| walk.bind(target));
                    walk.body(body);
                });
            }
        }
    }

    fn branches(&mut self, branches: &[(Expr, Vec<Node>)], otherwise: &[Node]) {
        // What a branch sets is known after it: a branch is no scope. Only the first condition is evaluated in any case.
        let sure = self.sure;
        for (condition, body) in branches {
            self.expr(condition);
            self.sure = false;
            self.body(body);
        }
        self.body(otherwise);
        self.sure = sure;
    }

    fn definition(&mut self, definition: &Macro) {
        self.perhaps(|walk| {
            for (name, default) in &definition.params {
                default.iter().for_each(|default| walk.expr(default));
                walk.bound.push(Arc::clone(name));
            }
            walk.body(&definition.body);
        });
    }

    fn filters(&mut self, filters: &[FilterCall]) {
        for filter in filters {
            self.known_filter(filter);
            self.perhaps(|walk| walk.args(&filter.args));
        }
    }

    fn known_filter(&mut self, call: &FilterCall) {
        if call.filter.is_none() {
            let place = self.place(call.pos);
            self.found.filters.push((Arc::clone(&call.name), place));
        }
    }

    fn args(&mut self, args: &Arguments) {
        args.positional.iter().for_each(|expr| self.expr(expr));
        args.named.iter().for_each(|(_, expr)| self.expr(expr));
        args.spread.iter().chain(&args.spread_named).for_each(|expr| self.expr(expr));
    }

    fn expr(&mut self, expr: &Expr) {
        if crate::value::deeper().is_err() {
            return;
        }
        match &expr.kind {
            Kind::Const(_) => {}
            Kind::Name(name) => self.name(name, expr.pos),
            Kind::List(all) | Kind::Tuple(all) | Kind::Concat(all) => {
                all.iter().for_each(|expr| self.expr(expr));
            }
            Kind::And(all) | Kind::Or(all) => {
                for (index, expr) in all.iter().enumerate() {
                    if index == 0 { self.expr(expr) } else { self.perhaps(|walk| walk.expr(expr)) }
                }
            }
            Kind::Dict(entries) => entries.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            Kind::Not(inner) | Kind::Negate(inner) | Kind::Plus(inner) | Kind::Attr(inner, _) => {
                self.expr(inner);
            }
            Kind::Chain(first, links) => {
                self.expr(first);
                links.iter().for_each(|(_, expr)| self.expr(expr));
            }
            Kind::Compare(first, links) => {
                self.expr(first);
                links.iter().for_each(|(_, expr)| self.expr(expr));
            }
            Kind::Item(value, key) => {
                self.expr(value);
                self.expr(key);
            }
            Kind::Slice(value, parts) => {
                self.expr(value);
                parts.iter().flatten().for_each(|expr| self.expr(expr));
            }
            Kind::Call(callee, args) => {
                self.expr(callee);
                self.perhaps(|walk| walk.args(args));
            }
            Kind::Filter(value, call) => self.filter(value, call),
            Kind::Test(value, call) => self.test(value, call, expr.pos),
            Kind::If(parts, otherwise) => {
                let [condition, then] = &**parts;
                self.expr(condition);
                self.perhaps(|walk| {
                    walk.expr(then);
                    otherwise.iter().for_each(|expr| walk.expr(expr));
                });
            }
        }
    }

    fn filter(&mut self, value: &Expr, call: &FilterCall) {
        self.known_filter(call);
        if matches!(crate::filters::short_name(&call.name), "default" | "d" | "type_debug" | "mandatory") {
            self.guarded(value);
        } else {
            self.expr(value);
        }
        self.perhaps(|walk| walk.args(&call.args));
    }

    fn test(&mut self, value: &Expr, call: &crate::ast::TestCall, pos: Pos) {
        if call.test.is_none() {
            let place = self.place(pos);
            self.found.tests.push((Arc::clone(&call.name), place));
        }
        if matches!(&*call.name, "defined" | "undefined") {
            self.guarded(value);
        } else {
            self.expr(value);
        }
        self.perhaps(|walk| walk.args(&call.args));
    }
}
