//! JMESPath, the language of `json_query`.

mod functions;
mod lexer;
mod parser;
mod search;

use crate::error::Error;
use crate::value::Value;

/// A compiled query.
enum Node {
    Current,
    Field(String),
    Index(i64),
    Slice([Option<i64>; 3]),
    Literal(Value),
    /// The right side is asked of what the left side gives.
    Chain(Box<Node>, Box<Node>),
    /// As `Chain`, and ends a projection.
    Pipe(Box<Node>, Box<Node>),
    /// The right side is asked of every element of the left side.
    Project(Box<Node>, Box<Node>),
    /// The right side is asked of every value of the dict on the left side.
    ProjectValues(Box<Node>, Box<Node>),
    Filter {
        left: Box<Node>,
        condition: Box<Node>,
        right: Box<Node>,
    },
    Flatten(Box<Node>),
    List(Vec<Node>),
    Dict(Vec<(String, Node)>),
    Compare(Comparator, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Call(String, Vec<Node>),
    /// `&expression`
    Reference(Box<Node>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What the query finds in the data.
pub(crate) fn search(query: &str, data: &Value) -> Result<Value, Error> {
    let node = parser::parse(query)
        .map_err(|error| Error::new(format!("the query '{query}' cannot be read: {error}")))?;
    node.search(data)
}
