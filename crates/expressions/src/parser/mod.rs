//! Tokens to a tree.

mod expression;
mod statement;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::ast::{Block, Expr, Pos, Template};
use crate::engine::Options;
use crate::error::Error;
use crate::lexer::{self, Lexed, SyntaxError, Tok, Token};

pub(crate) struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    options: &'a Options,
    blocks: HashMap<Arc<str>, Arc<Block>>,
    mutates: bool,
    loops: usize,
}

/// Reads a template. `path`: of a file; without it the text is a string of a playbook.
pub(crate) fn template(source: &str, options: &Options, path: Option<Arc<Path>>) -> Lexed<Template> {
    let mut source = source;
    if path.is_some() || source.ends_with('\n') {
        source = source.strip_suffix('\n').map_or(source, |cut| cut.strip_suffix('\r').unwrap_or(cut));
    }
    let tokens = lexer::template(source, options, path.is_none())?;
    let mut parser = Parser::new(tokens, options);
    let body = parser.body(&[])?;
    Ok(Template { body, blocks: parser.blocks, path, mutates: parser.mutates })
}

/// Reads an expression without delimiters. Also says whether it changes containers.
pub(crate) fn expression(source: &str, options: &Options) -> Lexed<(Expr, bool)> {
    let tokens = lexer::expression(source, options)?;
    let mut parser = Parser::new(tokens, options);
    let expr = parser.tuple_or_expr(true)?;
    match parser.peek() {
        Tok::Eof => Ok((expr, parser.mutates)),
        other => {
            let message = format!("expected the end of the expression, got {}", describe(other));
            parser.fail(message)
        }
    }
}

impl<'a> Parser<'a> {
    fn new(tokens: Vec<Token<'a>>, options: &'a Options) -> Self {
        Self { tokens, at: 0, options, blocks: HashMap::new(), mutates: false, loops: 0 }
    }

    fn peek(&self) -> &Tok<'a> {
        self.tokens.get(self.at).map_or(&Tok::Eof, |token| &token.tok)
    }

    fn peek_second(&self) -> &Tok<'a> {
        self.tokens.get(self.at + 1).map_or(&Tok::Eof, |token| &token.tok)
    }

    fn pos(&self) -> Pos {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(Pos { line: 1, column: 1 }, |token| token.pos)
    }

    fn next(&mut self) -> Tok<'a> {
        let tok = self.peek().clone();
        self.at += 1;
        tok
    }

    fn fail<T>(&self, message: impl Into<String>) -> Lexed<T> {
        self.fail_at(message, self.pos())
    }

    #[expect(clippy::unused_self, reason = "reads like `fail` beside it")]
    fn fail_at<T>(&self, message: impl Into<String>, pos: Pos) -> Lexed<T> {
        Err(SyntaxError { error: Error::syntax(message), pos })
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Tok::Op(found) if *found == op)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Tok::Name(found) if *found == name)
    }

    fn skip_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.at += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    fn expect_op(&mut self, op: &str) -> Lexed<()> {
        if self.skip_op(op) {
            return Ok(());
        }
        self.fail(format!("expected token '{op}', got {}", describe(self.peek())))
    }

    fn expect_word(&mut self, word: &str) -> Lexed<()> {
        if self.skip_name(word) {
            return Ok(());
        }
        self.fail(format!("expected token '{word}', got {}", describe(self.peek())))
    }

    fn name(&mut self) -> Lexed<&'a str> {
        if let Tok::Name(name) = *self.peek() {
            self.at += 1;
            return Ok(name);
        }
        self.fail(format!("expected token 'name', got {}", describe(self.peek())))
    }

    fn deeper(&self) -> Lexed<()> {
        crate::value::deeper()
            .map_err(|_| SyntaxError { error: Error::syntax("nested too deeply"), pos: self.pos() })
    }
}

/// A token as messages name it.
fn describe(tok: &Tok<'_>) -> String {
    match tok {
        Tok::Data(_) => "text".to_owned(),
        Tok::BlockBegin => "'begin of statement block'".to_owned(),
        Tok::BlockEnd => "'end of statement block'".to_owned(),
        Tok::VarBegin => "'begin of print statement'".to_owned(),
        Tok::VarEnd => "'end of print statement'".to_owned(),
        Tok::Name(name) => format!("'{name}'"),
        Tok::Str(text) => format!("'{text}'"),
        Tok::Number(number) => format!("'{number:?}'"),
        Tok::Op(op) => format!("'{op}'"),
        Tok::Eof => "the end".to_owned(),
    }
}
