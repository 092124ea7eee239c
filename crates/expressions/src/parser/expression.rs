//! Expressions, by precedence.

use std::sync::Arc;

use super::{Parser, describe};
use crate::ast::{Arguments, Comparison, Expr, FilterCall, Kind, Pos, TestCall};
use crate::lexer::{Lexed, Tok};
use crate::value::{Operator, Value};
use crate::{filters, tests};

/// Method names that change their container.
const MUTATING: [&str; 11] = [
    "append",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "clear",
    "update",
    "setdefault",
    "sort",
    "reverse",
];
/// A chain of more attributes, calls and filters than this is no expression of a person.
const LONGEST_CHAIN: usize = 500;

fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

fn at(kind: Kind, pos: Pos) -> Expr {
    Expr { kind, pos }
}

impl Parser<'_> {
    /// `a, b, c` without parentheses, or one expression.
    pub(super) fn tuple_or_expr(&mut self, conditions: bool) -> Lexed<Expr> {
        let pos = self.pos();
        let first = self.expr_with(conditions)?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_op(",") {
            if matches!(self.peek(), Tok::VarEnd | Tok::BlockEnd | Tok::Eof | Tok::Op(")" | "="))
                || self.is_name("in")
            {
                break;
            }
            items.push(self.expr_with(conditions)?);
        }
        Ok(at(Kind::Tuple(items), pos))
    }

    fn expr_with(&mut self, conditions: bool) -> Lexed<Expr> {
        if conditions { self.expr() } else { self.or() }
    }

    pub(super) fn expr(&mut self) -> Lexed<Expr> {
        self.deeper()?;
        let mut then = self.or()?;
        while self.is_name("if") {
            let pos = self.pos();
            self.at += 1;
            let condition = self.or()?;
            let otherwise = if self.skip_name("else") { Some(boxed(self.expr()?)) } else { None };
            then = at(Kind::If(Box::new([condition, then]), otherwise), pos);
        }
        Ok(then)
    }

    pub(super) fn or(&mut self) -> Lexed<Expr> {
        let pos = self.pos();
        let first = self.and()?;
        if !self.is_name("or") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip_name("or") {
            all.push(self.and()?);
        }
        Ok(at(Kind::Or(all), pos))
    }

    fn and(&mut self) -> Lexed<Expr> {
        let pos = self.pos();
        let first = self.not()?;
        if !self.is_name("and") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip_name("and") {
            all.push(self.not()?);
        }
        Ok(at(Kind::And(all), pos))
    }

    fn not(&mut self) -> Lexed<Expr> {
        if self.is_name("not") {
            self.deeper()?;
            let pos = self.pos();
            self.at += 1;
            return Ok(at(Kind::Not(boxed(self.not()?)), pos));
        }
        self.compare()
    }

    fn compare(&mut self) -> Lexed<Expr> {
        let pos = self.pos();
        let first = self.sum()?;
        let mut links = Vec::new();
        loop {
            let (comparison, width) = match self.peek() {
                Tok::Op("==") => (Comparison::Eq, 1),
                Tok::Op("!=") => (Comparison::Ne, 1),
                Tok::Op("<") => (Comparison::Lt, 1),
                Tok::Op("<=") => (Comparison::Le, 1),
                Tok::Op(">") => (Comparison::Gt, 1),
                Tok::Op(">=") => (Comparison::Ge, 1),
                Tok::Name("in") => (Comparison::In, 1),
                Tok::Name("not") if matches!(self.peek_second(), Tok::Name("in")) => (Comparison::NotIn, 2),
                _ => break,
            };
            self.at += width;
            links.push((comparison, self.sum()?));
        }
        if links.is_empty() { Ok(first) } else { Ok(at(Kind::Compare(boxed(first), links), pos)) }
    }

    fn chain(
        &mut self,
        operator: fn(&Tok<'_>) -> Option<Operator>,
        operand: fn(&mut Self) -> Lexed<Expr>,
    ) -> Lexed<Expr> {
        let first = operand(self)?;
        let Some(mut next) = operator(self.peek()) else { return Ok(first) };
        let pos = self.pos();
        let mut links = Vec::new();
        loop {
            self.at += 1;
            links.push((next, operand(self)?));
            match operator(self.peek()) {
                Some(another) => next = another,
                None => return Ok(at(Kind::Chain(boxed(first), links), pos)),
            }
        }
    }

    fn sum(&mut self) -> Lexed<Expr> {
        let operator = |tok: &Tok<'_>| match tok {
            Tok::Op("+") => Some(Operator::Add),
            Tok::Op("-") => Some(Operator::Sub),
            _ => None,
        };
        self.chain(operator, Self::concat)
    }

    fn concat(&mut self) -> Lexed<Expr> {
        let pos = self.pos();
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip_op("~") {
            all.push(self.product()?);
        }
        Ok(at(Kind::Concat(all), pos))
    }

    fn product(&mut self) -> Lexed<Expr> {
        let operator = |tok: &Tok<'_>| match tok {
            Tok::Op("*") => Some(Operator::Mul),
            Tok::Op("/") => Some(Operator::Div),
            Tok::Op("//") => Some(Operator::FloorDiv),
            Tok::Op("%") => Some(Operator::Mod),
            _ => None,
        };
        self.chain(operator, Self::power)
    }

    fn unary(&mut self, filters: bool) -> Lexed<Expr> {
        let pos = self.pos();
        let inner = match self.peek() {
            Tok::Op("-") => {
                self.at += 1;
                self.deeper()?;
                at(Kind::Negate(boxed(self.unary(false)?)), pos)
            }
            Tok::Op("+") => {
                self.at += 1;
                self.deeper()?;
                at(Kind::Plus(boxed(self.unary(false)?)), pos)
            }
            _ => self.primary()?,
        };
        let inner = self.postfix(inner)?;
        if filters { self.filters_and_tests(inner) } else { Ok(inner) }
    }

    /// Jinja's power binds weaker than a sign: `-2 ** 2` is 4.
    fn power(&mut self) -> Lexed<Expr> {
        let operator = |tok: &Tok<'_>| matches!(tok, Tok::Op("**")).then_some(Operator::Pow);
        self.chain(operator, |parser| parser.unary(true))
    }

    fn primary(&mut self) -> Lexed<Expr> {
        let pos = self.pos();
        match self.peek() {
            Tok::Name(name) => {
                let kind = match *name {
                    "true" | "True" => Kind::Const(Value::Bool(true)),
                    "false" | "False" => Kind::Const(Value::Bool(false)),
                    "none" | "None" => Kind::Const(Value::None),
                    name => Kind::Name(Arc::from(name)),
                };
                self.at += 1;
                Ok(at(kind, pos))
            }
            Tok::Str(text) => {
                let first = text.clone();
                self.at += 1;
                if !matches!(self.peek(), Tok::Str(_)) {
                    return Ok(at(Kind::Const(Value::str(&*first)), pos));
                }
                let mut joined = first.into_owned();
                while let Tok::Str(text) = self.peek() {
                    joined.push_str(text);
                    self.at += 1;
                }
                Ok(at(Kind::Const(Value::str(joined)), pos))
            }
            Tok::Number(number) => {
                let number = number.clone();
                self.at += 1;
                Ok(at(Kind::Const(number), pos))
            }
            Tok::Op("(") => {
                self.at += 1;
                if self.skip_op(")") {
                    return Ok(at(Kind::Tuple(Vec::new()), pos));
                }
                let inner = self.tuple_or_expr(true)?;
                self.expect_op(")")?;
                Ok(inner)
            }
            Tok::Op("[") => self.list(pos),
            Tok::Op("{") => self.dict(pos),
            other => {
                let message = format!("expected an expression, got {}", describe(other));
                self.fail(message)
            }
        }
    }

    fn list(&mut self, pos: Pos) -> Lexed<Expr> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.skip_op("]") {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.skip_op("]") {
                    break;
                }
            }
            items.push(self.expr()?);
        }
        Ok(at(Kind::List(items), pos))
    }

    fn dict(&mut self, pos: Pos) -> Lexed<Expr> {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.skip_op("}") {
            if !entries.is_empty() {
                self.expect_op(",")?;
                if self.skip_op("}") {
                    break;
                }
            }
            let key = self.expr()?;
            self.expect_op(":")?;
            entries.push((key, self.expr()?));
        }
        Ok(at(Kind::Dict(entries), pos))
    }

    /// `.name`, `[item]`, `(call)` after a primary.
    fn postfix(&mut self, mut expr: Expr) -> Lexed<Expr> {
        for _ in 0..LONGEST_CHAIN {
            let pos = self.pos();
            expr = match self.peek() {
                Tok::Op(".") => {
                    self.at += 1;
                    self.after_dot(expr, pos)?
                }
                Tok::Op("[") => {
                    self.at += 1;
                    self.subscript(expr, pos)?
                }
                Tok::Op("(") => {
                    let args = self.arguments()?;
                    at(Kind::Call(boxed(expr), args), pos)
                }
                _ => return Ok(expr),
            };
        }
        self.fail("too long a chain of attributes and calls")
    }

    fn after_dot(&mut self, expr: Expr, pos: Pos) -> Lexed<Expr> {
        match self.next() {
            Tok::Name(name) => {
                self.mutates |= MUTATING.contains(&name);
                Ok(at(Kind::Attr(boxed(expr), Arc::from(name)), pos))
            }
            Tok::Number(number @ Value::Int(_)) => {
                Ok(at(Kind::Item(boxed(expr), boxed(at(Kind::Const(number), pos))), pos))
            }
            other => self.fail_at(format!("expected name or number, got {}", describe(&other)), pos),
        }
    }

    fn subscript(&mut self, expr: Expr, pos: Pos) -> Lexed<Expr> {
        let first = self.subscribed(pos)?;
        if !self.is_op(",") {
            self.expect_op("]")?;
            return Ok(match first {
                Subscript::Item(key) => {
                    if let Kind::Const(Value::Str(name)) = &key.kind {
                        self.mutates |= MUTATING.contains(&name.as_str());
                    }
                    at(Kind::Item(boxed(expr), boxed(key)), pos)
                }
                Subscript::Slice(parts) => at(Kind::Slice(boxed(expr), parts), pos),
            });
        }
        let mut keys = Vec::new();
        let mut next = first;
        loop {
            match next {
                Subscript::Item(key) => keys.push(key),
                Subscript::Slice(_) => return self.fail("a slice cannot be part of a tuple of keys"),
            }
            if !self.skip_op(",") {
                break;
            }
            next = self.subscribed(pos)?;
        }
        self.expect_op("]")?;
        Ok(at(Kind::Item(boxed(expr), boxed(at(Kind::Tuple(keys), pos))), pos))
    }

    fn subscribed(&mut self, pos: Pos) -> Lexed<Subscript> {
        let mut parts = [None, None, None];
        let mut place = 0;
        loop {
            if self.skip_op(":") {
                place += 1;
                if place > 2 {
                    return self.fail_at("too many parts in a slice", pos);
                }
            } else if self.is_op("]") || self.is_op(",") {
                break;
            } else if parts[place].is_some() {
                return self.fail(format!("expected token ']', got {}", describe(self.peek())));
            } else {
                parts[place] = Some(self.expr()?);
            }
        }
        if place > 0 {
            return Ok(Subscript::Slice(Box::new(parts)));
        }
        match parts {
            [Some(key), ..] => Ok(Subscript::Item(key)),
            _ => self.fail("expected an expression, got ']'"),
        }
    }

    /// `(a, b=1, *c, **d)`
    pub(super) fn arguments(&mut self) -> Lexed<Arguments> {
        self.expect_op("(")?;
        let mut args = Arguments::default();
        let mut first = true;
        while !self.skip_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            first = false;
            self.argument(&mut args)?;
        }
        Ok(args)
    }

    fn argument(&mut self, args: &mut Arguments) -> Lexed<()> {
        if self.skip_op("*") {
            if args.spread.is_some() || args.spread_named.is_some() {
                return self.fail("invalid syntax for function call expression");
            }
            args.spread = Some(boxed(self.expr()?));
        } else if self.skip_op("**") {
            if args.spread_named.is_some() {
                return self.fail("invalid syntax for function call expression");
            }
            args.spread_named = Some(boxed(self.expr()?));
        } else if let (Tok::Name(name), Tok::Op("=")) = (self.peek(), self.peek_second()) {
            let name = Arc::from(*name);
            self.at += 2;
            if args.spread_named.is_some() {
                return self.fail("invalid syntax for function call expression");
            }
            args.named.push((name, self.expr()?));
        } else {
            if args.spread.is_some() || args.spread_named.is_some() || !args.named.is_empty() {
                return self.fail("invalid syntax for function call expression");
            }
            args.positional.push(self.expr()?);
        }
        Ok(())
    }

    fn filters_and_tests(&mut self, mut expr: Expr) -> Lexed<Expr> {
        for _ in 0..LONGEST_CHAIN {
            let pos = self.pos();
            expr = match self.peek() {
                Tok::Op("|") => {
                    self.at += 1;
                    let call = self.filter()?;
                    at(Kind::Filter(boxed(expr), call), pos)
                }
                Tok::Name("is") => {
                    self.at += 1;
                    self.test(expr, pos)?
                }
                // `(a | f)(x)` and `a | f.b` do not exist; a call after a filter belongs to its result.
                Tok::Op("(") => {
                    let args = self.arguments()?;
                    at(Kind::Call(boxed(expr), args), pos)
                }
                _ => return Ok(expr),
            };
        }
        self.fail("too long a chain of filters")
    }

    fn dotted(&mut self) -> Lexed<String> {
        let mut name = self.name()?.to_owned();
        while self.skip_op(".") {
            name.push('.');
            name.push_str(self.name()?);
        }
        Ok(name)
    }

    /// A filter's name and arguments, after `|`.
    pub(super) fn filter(&mut self) -> Lexed<FilterCall> {
        let pos = self.pos();
        let name = self.dotted()?;
        let args = if self.is_op("(") { self.arguments()? } else { Arguments::default() };
        Ok(FilterCall { filter: filters::find(&name), name: Arc::from(name), args, pos })
    }

    fn test(&mut self, expr: Expr, pos: Pos) -> Lexed<Expr> {
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let args = if self.is_op("(") {
            self.arguments()?
        } else if self.starts_test_argument() {
            if self.is_name("is") {
                return self.fail("you cannot chain multiple tests with 'is'");
            }
            let first = self.primary()?;
            Arguments { positional: vec![self.postfix(first)?], ..Arguments::default() }
        } else {
            Arguments::default()
        };
        let call = TestCall { test: tests::find(&name), name: Arc::from(name), args, negated };
        Ok(at(Kind::Test(boxed(expr), call), pos))
    }

    /// `is divisibleby 3`: one argument without parentheses.
    fn starts_test_argument(&self) -> bool {
        match self.peek() {
            Tok::Name(name) => !matches!(*name, "else" | "or" | "and"),
            Tok::Str(_) | Tok::Number(_) | Tok::Op("[" | "{") => true,
            _ => false,
        }
    }
}

enum Subscript {
    Item(Expr),
    Slice(Box<[Option<Expr>; 3]>),
}
