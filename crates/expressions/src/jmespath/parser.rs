//! Queries into trees: a parser that knows how strongly each sign binds.

use super::Node;
use super::lexer::{Token, tokens};
use crate::error::Error;
use crate::value::deeper;

/// A right side binds a projection only where it binds at least this strongly.
const PROJECTION: u8 = 10;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

pub(super) fn parse(query: &str) -> Result<Node, Error> {
    let mut parser = Parser { tokens: tokens(query)?, at: 0 };
    let node = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        other => Err(unexpected(other)),
    }
}

fn unexpected(token: &Token) -> Error {
    Error::new(format!("unexpected {token:?}"))
}

fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

fn power(token: &Token) -> u8 {
    match token {
        Token::Sign('|') => 1,
        Token::Or => 2,
        Token::And => 3,
        Token::Compare(_) => 5,
        Token::Flatten => 9,
        Token::Sign('*') => 20,
        Token::FilterStart => 21,
        Token::Sign('.') => 40,
        Token::Sign('!') => 45,
        Token::Sign('{') => 50,
        Token::Sign('[') => 55,
        Token::Sign('(') => 60,
        _ => 0,
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn is(&self, sign: char) -> bool {
        matches!(self.peek(), Token::Sign(c) if *c == sign)
    }

    fn expect(&mut self, sign: char) -> Result<(), Error> {
        match self.next() {
            Token::Sign(c) if c == sign => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn expression(&mut self, least: u8) -> Result<Node, Error> {
        deeper()?;
        let first = self.next();
        let mut left = self.prefix(first)?;
        while least < power(self.peek()) {
            let token = self.next();
            left = self.infix(token, left)?;
        }
        Ok(left)
    }

    fn prefix(&mut self, token: Token) -> Result<Node, Error> {
        Ok(match token {
            Token::Literal(value) => Node::Literal(value),
            Token::Name(name) => Node::Field(name),
            Token::Quoted(name) if self.is('(') => {
                return Err(Error::new(format!("quoted name \"{name}\" cannot be called")));
            }
            Token::Quoted(name) => Node::Field(name),
            Token::Sign('*') => {
                let right = if self.is(']') { Node::Current } else { self.projected(20)? };
                Node::ProjectValues(boxed(Node::Current), boxed(right))
            }
            Token::FilterStart => self.filter(Node::Current)?,
            Token::Sign('{') => self.dict()?,
            Token::Sign('(') => {
                let inner = self.expression(0)?;
                self.expect(')')?;
                inner
            }
            Token::Flatten => {
                let right = self.projected(9)?;
                Node::Project(boxed(Node::Flatten(boxed(Node::Current))), boxed(right))
            }
            Token::Sign('!') => Node::Not(boxed(self.expression(45)?)),
            Token::Sign('[') => self.prefix_bracket()?,
            Token::Sign('&') => Node::Reference(boxed(self.expression(60)?)),
            Token::Sign('@') => Node::Current,
            other => return Err(unexpected(&other)),
        })
    }

    /// `[0]`, `[1:2]`, `[*]` or a list of expressions at the start of an expression.
    fn prefix_bracket(&mut self) -> Result<Node, Error> {
        if matches!(self.peek(), Token::Number(_) | Token::Sign(':')) {
            let (index, is_slice) = self.index()?;
            return self.indexed(Node::Current, index, is_slice);
        }
        if self.is('*') && matches!(self.tokens.get(self.at + 1), Some(Token::Sign(']'))) {
            self.at += 2;
            let right = self.projected(20)?;
            return Ok(Node::Project(boxed(Node::Current), boxed(right)));
        }
        self.list()
    }

    fn infix(&mut self, token: Token, left: Node) -> Result<Node, Error> {
        Ok(match token {
            Token::Sign('.') if self.is('*') => {
                self.at += 1;
                let right = self.projected(20)?;
                Node::ProjectValues(boxed(left), boxed(right))
            }
            Token::Sign('.') => {
                let right = self.after_dot(40)?;
                Node::Chain(boxed(left), boxed(right))
            }
            Token::Sign('|') => Node::Pipe(boxed(left), boxed(self.expression(1)?)),
            Token::Or => Node::Or(boxed(left), boxed(self.expression(2)?)),
            Token::And => Node::And(boxed(left), boxed(self.expression(3)?)),
            Token::Compare(op) => Node::Compare(op, boxed(left), boxed(self.expression(5)?)),
            Token::FilterStart => self.filter(left)?,
            Token::Flatten => {
                let right = self.projected(9)?;
                Node::Project(boxed(Node::Flatten(boxed(left))), boxed(right))
            }
            Token::Sign('(') => {
                let Node::Field(name) = left else { return Err(Error::new("only functions can be called")) };
                Node::Call(name, self.arguments()?)
            }
            Token::Sign('[') => {
                if matches!(self.peek(), Token::Number(_) | Token::Sign(':')) {
                    let (index, is_slice) = self.index()?;
                    return self.indexed(left, index, is_slice);
                }
                self.expect('*')?;
                self.expect(']')?;
                let right = self.projected(20)?;
                Node::Project(boxed(left), boxed(right))
            }
            other => return Err(unexpected(&other)),
        })
    }

    /// The inside of `[0]` or `[1:2:3]`, with its closing bracket.
    fn index(&mut self) -> Result<(Node, bool), Error> {
        let mut parts = [None; 3];
        let mut place = 0;
        loop {
            match self.next() {
                Token::Number(number) if parts[place].is_none() => parts[place] = Some(number),
                Token::Sign(':') if place < 2 => place += 1,
                Token::Sign(']') => break,
                other => return Err(unexpected(&other)),
            }
        }
        match parts {
            [Some(index), None, None] if place == 0 => Ok((Node::Index(index), false)),
            parts => Ok((Node::Slice(parts), true)),
        }
    }

    fn indexed(&mut self, left: Node, index: Node, is_slice: bool) -> Result<Node, Error> {
        let found = Node::Chain(boxed(left), boxed(index));
        if !is_slice {
            return Ok(found);
        }
        let right = self.projected(20)?;
        Ok(Node::Project(boxed(found), boxed(right)))
    }

    fn filter(&mut self, left: Node) -> Result<Node, Error> {
        let condition = self.expression(0)?;
        self.expect(']')?;
        let right = if matches!(self.peek(), Token::Flatten) { Node::Current } else { self.projected(21)? };
        Ok(Node::Filter { left: boxed(left), condition: boxed(condition), right: boxed(right) })
    }

    /// What a projection does with each element.
    fn projected(&mut self, least: u8) -> Result<Node, Error> {
        match self.peek() {
            token if power(token) < PROJECTION => Ok(Node::Current),
            Token::Sign('[') | Token::FilterStart => self.expression(least),
            Token::Sign('.') => {
                self.at += 1;
                self.after_dot(least)
            }
            other => Err(unexpected(other)),
        }
    }

    fn after_dot(&mut self, least: u8) -> Result<Node, Error> {
        match self.peek() {
            Token::Name(_) | Token::Quoted(_) | Token::Sign('*') => self.expression(least),
            Token::Sign('[') => {
                self.at += 1;
                self.list()
            }
            Token::Sign('{') => {
                self.at += 1;
                self.dict()
            }
            other => Err(unexpected(other)),
        }
    }

    fn list(&mut self) -> Result<Node, Error> {
        let mut all = Vec::new();
        loop {
            all.push(self.expression(0)?);
            match self.next() {
                Token::Sign(']') => return Ok(Node::List(all)),
                Token::Sign(',') => {}
                other => return Err(unexpected(&other)),
            }
        }
    }

    fn dict(&mut self) -> Result<Node, Error> {
        let mut all = Vec::new();
        loop {
            let name = match self.next() {
                Token::Name(name) | Token::Quoted(name) => name,
                other => return Err(unexpected(&other)),
            };
            self.expect(':')?;
            all.push((name, self.expression(0)?));
            match self.next() {
                Token::Sign('}') => return Ok(Node::Dict(all)),
                Token::Sign(',') => {}
                other => return Err(unexpected(&other)),
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Node>, Error> {
        let mut all = Vec::new();
        if self.is(')') {
            self.at += 1;
            return Ok(all);
        }
        loop {
            all.push(self.expression(0)?);
            match self.next() {
                Token::Sign(')') => return Ok(all),
                Token::Sign(',') => {}
                other => return Err(unexpected(&other)),
            }
        }
    }
}
