//! The names that a template uses without defining them.

use std::sync::Arc;

use indexmap::IndexSet;

use crate::ast::{Arguments, Expr, FilterCall, Kind, Macro, Node, Target};

/// What names were met, and which of them are bound where we are.
struct Walk {
    free: IndexSet<Arc<str>>,
    bound: Vec<Arc<str>>,
}

/// Free names of a body, in order of first use.
pub(crate) fn of_body(body: &[Node]) -> Vec<String> {
    let mut walk = Walk { free: IndexSet::new(), bound: Vec::new() };
    walk.body(body);
    walk.free.iter().map(ToString::to_string).collect()
}

pub(crate) fn of_expr(expr: &Expr) -> Vec<String> {
    let mut walk = Walk { free: IndexSet::new(), bound: Vec::new() };
    walk.expr(expr);
    walk.free.iter().map(ToString::to_string).collect()
}

/// Does this body use the name?
pub(crate) fn in_body(body: &[Node], name: &str) -> bool {
    let mut walk = Walk { free: IndexSet::new(), bound: Vec::new() };
    walk.body(body);
    walk.free.contains(name)
}

impl Walk {
    fn name(&mut self, name: &Arc<str>) {
        if !self.bound.contains(name) {
            self.free.insert(Arc::clone(name));
        }
    }

    /// Runs with names bound that are free again afterwards.
    fn scoped(&mut self, inner: impl FnOnce(&mut Self)) {
        let depth = self.bound.len();
        inner(self);
        self.bound.truncate(depth);
    }

    fn bind(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.bound.push(Arc::clone(name)),
            Target::Tuple(all) => all.iter().for_each(|target| self.bind(target)),
            Target::Attr(name, _) => self.name(name),
        }
    }

    fn body(&mut self, body: &[Node]) {
        body.iter().for_each(|node| self.node(node));
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Data(_) | Node::Break | Node::Continue => {}
            Node::Emit(expr) | Node::Do(expr) | Node::Extends(expr) | Node::Include { what: expr, .. } => {
                self.expr(expr);
            }
            Node::If(branches, otherwise) => {
                for (condition, body) in branches {
                    self.expr(condition);
                    self.body(body);
                }
                self.body(otherwise);
            }
            Node::For(node) => {
                self.expr(&node.items);
                self.scoped(|walk| {
                    walk.bind(&node.target);
                    walk.bound.push(Arc::from("loop"));
                    node.condition.iter().for_each(|condition| walk.expr(condition));
                    walk.body(&node.body);
                });
                self.scoped(|walk| walk.body(&node.otherwise));
            }
            Node::Set(target, expr) => {
                self.expr(expr);
                self.bind(target);
            }
            Node::SetBlock(target, filters, body) => {
                self.filters(filters);
                self.scoped(|walk| walk.body(body));
                self.bind(target);
            }
            Node::FilterBlock(filters, body) => {
                self.filters(filters);
                self.scoped(|walk| walk.body(body));
            }
            Node::Macro(definition) => {
                self.bound.push(Arc::clone(&definition.name));
                self.definition(definition);
            }
            Node::Call(call, definition) => {
                self.expr(call);
                self.definition(definition);
            }
            Node::Block(block) => self.scoped(|walk| walk.body(&block.body)),
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
                self.scoped(|walk| {
                    bindings.iter().for_each(|(target, _)| walk.bind(target));
                    walk.body(body);
                });
            }
        }
    }

    fn definition(&mut self, definition: &Macro) {
        self.scoped(|walk| {
            for (name, default) in &definition.params {
                default.iter().for_each(|default| walk.expr(default));
                walk.bound.push(Arc::clone(name));
            }
            walk.body(&definition.body);
        });
    }

    fn filters(&mut self, filters: &[FilterCall]) {
        filters.iter().for_each(|filter| self.args(&filter.args));
    }

    fn args(&mut self, args: &Arguments) {
        args.positional.iter().for_each(|expr| self.expr(expr));
        args.named.iter().for_each(|(_, expr)| self.expr(expr));
        args.spread.iter().chain(&args.spread_named).for_each(|expr| self.expr(expr));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Const(_) => {}
            Kind::Name(name) => self.name(name),
            Kind::List(all) | Kind::Tuple(all) | Kind::And(all) | Kind::Or(all) | Kind::Concat(all) => {
                all.iter().for_each(|expr| self.expr(expr));
            }
            Kind::Dict(entries) => entries.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            Kind::Not(inner) | Kind::Negate(inner) | Kind::Plus(inner) | Kind::Attr(inner, _) => {
                self.expr(inner)
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
                self.args(args);
            }
            Kind::Filter(value, call) => {
                self.expr(value);
                self.args(&call.args);
            }
            Kind::Test(value, call) => {
                self.expr(value);
                self.args(&call.args);
            }
            Kind::If(parts, otherwise) => {
                parts.iter().for_each(|expr| self.expr(expr));
                otherwise.iter().for_each(|expr| self.expr(expr));
            }
        }
    }
}
