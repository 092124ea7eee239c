//! Statements: `{% … %}`.

use std::sync::Arc;

use super::{Parser, describe};
use crate::ast::{Block, Body, Expr, FilterCall, For, Kind, Macro, Node, Target};
use crate::lexer::{Lexed, Tok};
use crate::outline;

impl Parser<'_> {
    /// Nodes up to one of these tags (its name is not yet read) or the end of the text.
    pub(super) fn body(&mut self, ends: &[&'static str]) -> Lexed<Body> {
        self.deeper()?;
        let mut nodes = Vec::new();
        let start = self.pos();
        loop {
            match self.next() {
                Tok::Eof if ends.is_empty() => return Ok(nodes),
                Tok::Eof => {
                    let wanted = ends.join("' or '");
                    return self.fail_at(
                        format!(
                            "unexpected end of template: '{wanted}' is missing for the block that begins here"
                        ),
                        start,
                    );
                }
                Tok::Data(text) => nodes.push(Node::Data(text.into())),
                Tok::VarBegin => {
                    let expr = self.tuple_or_expr(true)?;
                    if !matches!(self.peek(), Tok::VarEnd) {
                        return self.fail(format!(
                            "expected token 'end of print statement', got {}",
                            describe(self.peek())
                        ));
                    }
                    self.at += 1;
                    nodes.push(Node::Emit(expr));
                }
                Tok::BlockBegin => {
                    if matches!(self.peek(), Tok::Name(name) if ends.contains(name)) {
                        return Ok(nodes);
                    }
                    self.statement(&mut nodes, ends)?;
                }
                other => return self.fail(format!("unexpected {}", describe(&other))),
            }
        }
    }

    /// The end of a tag that a body follows: it may have a colon, as in Python.
    fn head_end(&mut self) -> Lexed<()> {
        self.skip_op(":");
        self.block_end()
    }

    fn block_end(&mut self) -> Lexed<()> {
        if matches!(self.peek(), Tok::BlockEnd) {
            self.at += 1;
            return Ok(());
        }
        self.fail(format!("expected token 'end of statement block', got {}", describe(self.peek())))
    }

    fn statement(&mut self, nodes: &mut Body, ends: &[&'static str]) -> Lexed<()> {
        let pos = self.pos();
        let node = match self.name()? {
            "if" => self.if_statement()?,
            "for" => self.for_statement()?,
            "set" => self.set_statement()?,
            "macro" => self.macro_statement()?,
            "call" => self.call_statement()?,
            "filter" => self.filter_statement()?,
            "block" => self.block_statement()?,
            "with" => self.with_statement()?,
            "extends" => Node::Extends(self.expr()?),
            "include" => self.include_statement()?,
            "import" => self.import_statement()?,
            "from" => self.names_statement()?,
            "autoescape" => {
                self.expr()?;
                self.head_end()?;
                let body = self.body(&["endautoescape"])?;
                self.at += 1;
                Node::With(Vec::new(), body)
            }
            "print" => Node::Emit(self.tuple_or_expr(true)?),
            "do" if self.options.extension_do => Node::Do(self.tuple_or_expr(true)?),
            "break" if self.options.extension_loopcontrols && self.loops > 0 => Node::Break,
            "continue" if self.options.extension_loopcontrols && self.loops > 0 => Node::Continue,
            other => {
                let mut message = format!("encountered unknown tag '{other}'");
                if !ends.is_empty() {
                    message += &format!("; expected '{}' to close the innermost block", ends.join("' or '"));
                }
                return self.fail_at(message, pos);
            }
        };
        self.block_end()?;
        nodes.push(node);
        Ok(())
    }

    fn if_statement(&mut self) -> Lexed<Node> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple_or_expr(true)?;
            self.head_end()?;
            let body = self.body(&["elif", "else", "endif"])?;
            branches.push((condition, body));
            match self.name()? {
                "elif" => {}
                "else" => {
                    self.head_end()?;
                    let otherwise = self.body(&["endif"])?;
                    self.at += 1;
                    return Ok(Node::If(branches, otherwise));
                }
                _ => return Ok(Node::If(branches, Vec::new())),
            }
        }
    }

    fn for_statement(&mut self) -> Lexed<Node> {
        let target = self.target()?;
        self.expect_word("in")?;
        let items = self.tuple_or_expr(false)?;
        let condition = if self.skip_name("if") { Some(self.expr()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.head_end()?;
        self.loops += 1;
        let body = self.body(&["else", "endfor"])?;
        self.loops -= 1;
        let otherwise = if self.skip_name("else") {
            self.head_end()?;
            self.body(&["endfor"])?
        } else {
            Vec::new()
        };
        self.expect_word("endfor")?;
        Ok(Node::For(Arc::new(For { target, items, condition, recursive, body, otherwise })))
    }

    /// `a`, `a, (b, c)`, `namespace.attribute`
    fn target(&mut self) -> Lexed<Target> {
        let first = self.single_target()?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip_op(",") {
            if self.is_op("=") || self.is_name("in") || self.is_op(")") {
                break;
            }
            all.push(self.single_target()?);
        }
        Ok(Target::Tuple(all))
    }

    fn single_target(&mut self) -> Lexed<Target> {
        self.deeper()?;
        if self.skip_op("(") {
            let inner = self.target()?;
            self.expect_op(")")?;
            return Ok(match inner {
                Target::Tuple(_) => inner,
                other => other,
            });
        }
        let name = self.name()?;
        if matches!(name, "true" | "false" | "none" | "True" | "False" | "None") {
            return self.fail(format!("cannot assign to '{name}'"));
        }
        let name = Arc::from(name);
        if self.skip_op(".") {
            return Ok(Target::Attr(name, Arc::from(self.name()?)));
        }
        Ok(Target::Name(name))
    }

    fn set_statement(&mut self) -> Lexed<Node> {
        let target = self.target()?;
        if self.skip_op("=") {
            return Ok(Node::Set(target, self.tuple_or_expr(true)?));
        }
        let filters = self.filter_list()?;
        self.head_end()?;
        let body = self.body(&["endset"])?;
        self.at += 1;
        Ok(Node::SetBlock(target, filters, body))
    }

    fn filter_list(&mut self) -> Lexed<Vec<FilterCall>> {
        let mut filters = Vec::new();
        while self.skip_op("|") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }

    fn params(&mut self) -> Lexed<Vec<(Arc<str>, Option<Expr>)>> {
        let mut params: Vec<(Arc<str>, Option<Expr>)> = Vec::new();
        self.expect_op("(")?;
        while !self.skip_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            let name = Arc::from(self.name()?);
            let default = if self.skip_op("=") { Some(self.expr()?) } else { None };
            if default.is_none() && params.last().is_some_and(|(_, default)| default.is_some()) {
                return self.fail("non-default argument follows default argument");
            }
            params.push((name, default));
        }
        Ok(params)
    }

    fn finish_macro(
        &mut self,
        name: &str,
        params: Vec<(Arc<str>, Option<Expr>)>,
        end: &'static str,
    ) -> Lexed<Arc<Macro>> {
        self.head_end()?;
        let loops = std::mem::take(&mut self.loops);
        let body = self.body(&[end])?;
        self.loops = loops;
        self.at += 1;
        let used = outline::names_of_body(&body);
        let [takes_varargs, takes_kwargs, takes_caller] = ["varargs", "kwargs", "caller"]
            .map(|special| used.contains(special) || params.iter().any(|(name, _)| **name == *special));
        Ok(Arc::new(Macro { name: Arc::from(name), params, body, takes_varargs, takes_kwargs, takes_caller }))
    }

    fn macro_statement(&mut self) -> Lexed<Node> {
        let name = self.name()?;
        let params = self.params()?;
        Ok(Node::Macro(self.finish_macro(name, params, "endmacro")?))
    }

    fn call_statement(&mut self) -> Lexed<Node> {
        let params = if self.is_op("(") { self.params()? } else { Vec::new() };
        let call = self.expr()?;
        if !matches!(call.kind, Kind::Call(..)) {
            return self.fail("expected call");
        }
        Ok(Node::Call(call, self.finish_macro("caller", params, "endcall")?))
    }

    fn filter_statement(&mut self) -> Lexed<Node> {
        let mut filters = vec![self.filter()?];
        filters.extend(self.filter_list()?);
        self.head_end()?;
        let body = self.body(&["endfilter"])?;
        self.at += 1;
        Ok(Node::FilterBlock(filters, body))
    }

    fn block_statement(&mut self) -> Lexed<Node> {
        let name: Arc<str> = Arc::from(self.name()?);
        let (mut scoped, mut required) = (false, false);
        loop {
            if self.skip_name("scoped") {
                scoped = true;
            } else if self.skip_name("required") {
                required = true;
            } else {
                break;
            }
        }
        self.head_end()?;
        let body = self.body(&["endblock"])?;
        self.at += 1;
        self.skip_name(&name);
        let block = Arc::new(Block { name: Arc::clone(&name), body, scoped, required });
        if self.blocks.insert(Arc::clone(&name), Arc::clone(&block)).is_some() {
            return self.fail(format!("block '{name}' defined twice"));
        }
        Ok(Node::Block(block))
    }

    fn with_statement(&mut self) -> Lexed<Node> {
        let mut bindings = Vec::new();
        while !matches!(self.peek(), Tok::BlockEnd) {
            if !bindings.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.single_target()?;
            self.expect_op("=")?;
            bindings.push((target, self.expr()?));
        }
        self.head_end()?;
        let body = self.body(&["endwith"])?;
        self.at += 1;
        Ok(Node::With(bindings, body))
    }

    /// `with context` or `without context`, if it stands here.
    fn context_words(&mut self, default: bool) -> bool {
        if !matches!(self.peek_second(), Tok::Name("context")) {
            return default;
        }
        let with = self.is_name("with");
        if with || self.is_name("without") {
            self.at += 2;
            return with;
        }
        default
    }

    fn include_statement(&mut self) -> Lexed<Node> {
        let what = self.expr()?;
        let ignore_missing = self.is_name("ignore") && matches!(self.peek_second(), Tok::Name("missing"));
        self.at += if ignore_missing { 2 } else { 0 };
        let with_context = self.context_words(true);
        Ok(Node::Include { what, ignore_missing, with_context })
    }

    fn import_statement(&mut self) -> Lexed<Node> {
        let what = self.expr()?;
        self.expect_word("as")?;
        let name = Arc::from(self.name()?);
        let with_context = self.context_words(false);
        Ok(Node::Import { what, name, with_context })
    }

    fn names_statement(&mut self) -> Lexed<Node> {
        let what = self.expr()?;
        self.expect_word("import")?;
        let mut names = Vec::new();
        while matches!(self.peek(), Tok::Name(_)) {
            if !names.is_empty() && matches!(self.peek_second(), Tok::Name("context")) {
                break;
            }
            let name: Arc<str> = Arc::from(self.name()?);
            if name.starts_with('_') {
                return self.fail("names starting with an underline can not be imported");
            }
            let alias = if self.skip_name("as") { Arc::from(self.name()?) } else { Arc::clone(&name) };
            names.push((name, alias));
            if !self.skip_op(",") {
                break;
            }
        }
        if names.is_empty() {
            return self.fail(format!("expected token 'name', got {}", describe(self.peek())));
        }
        let with_context = self.context_words(false);
        Ok(Node::FromImport { what, names, with_context })
    }
}
