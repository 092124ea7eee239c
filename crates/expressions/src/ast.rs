//! What the parser makes of a template.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::filters::Filter;
use crate::tests::Test;
use crate::value::{Operator, Value};

/// A place in the text of a template; both start at 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pos {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) pos: Pos,
}

pub(crate) enum Kind {
    Const(Value),
    Name(Arc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Plus(Box<Expr>),
    /// `a + b - c`, from left to right.
    Chain(Box<Expr>, Vec<(Operator, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Concat(Vec<Expr>),
    Attr(Box<Expr>, Arc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Arguments),
    Filter(Box<Expr>, FilterCall),
    Test(Box<Expr>, TestCall),
    /// `then if condition else otherwise`.
    If(Box<[Expr; 2]>, Option<Box<Expr>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(Arc<str>, Expr)>,
    /// `*list`
    pub(crate) spread: Option<Box<Expr>>,
    /// `**dict`
    pub(crate) spread_named: Option<Box<Expr>>,
}

pub(crate) struct FilterCall {
    pub(crate) name: Arc<str>,
    /// `None`: not one of the engine's; the context may know it.
    pub(crate) filter: Option<Filter>,
    pub(crate) args: Arguments,
    pub(crate) pos: Pos,
}

pub(crate) struct TestCall {
    pub(crate) name: Arc<str>,
    pub(crate) test: Option<Test>,
    pub(crate) args: Arguments,
    pub(crate) negated: bool,
}

pub(crate) enum Target {
    Name(Arc<str>),
    Tuple(Vec<Target>),
    /// `namespace.attribute`
    Attr(Arc<str>, Arc<str>),
}

pub(crate) type Body = Vec<Node>;

pub(crate) enum Node {
    Data(Arc<str>),
    Emit(Expr),
    If(Vec<(Expr, Body)>, Body),
    For(Arc<For>),
    Set(Target, Expr),
    SetBlock(Target, Vec<FilterCall>, Body),
    Macro(Arc<Macro>),
    /// `{% call(params) callee(..) %}body{% endcall %}`
    Call(Expr, Arc<Macro>),
    FilterBlock(Vec<FilterCall>, Body),
    Block(Arc<Block>),
    Extends(Expr),
    Include {
        what: Expr,
        ignore_missing: bool,
        with_context: bool,
    },
    Import {
        what: Expr,
        name: Arc<str>,
        with_context: bool,
    },
    FromImport {
        what: Expr,
        names: Vec<(Arc<str>, Arc<str>)>,
        with_context: bool,
    },
    With(Vec<(Target, Expr)>, Body),
    Do(Expr),
    Break,
    Continue,
}

pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) items: Expr,
    pub(crate) condition: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Body,
    pub(crate) otherwise: Body,
}

pub(crate) struct Macro {
    pub(crate) name: Arc<str>,
    pub(crate) params: Vec<(Arc<str>, Option<Expr>)>,
    pub(crate) body: Body,
    /// The body mentions `varargs`, `kwargs`, `caller`.
    pub(crate) takes_varargs: bool,
    pub(crate) takes_kwargs: bool,
    pub(crate) takes_caller: bool,
}

pub(crate) struct Block {
    pub(crate) name: Arc<str>,
    pub(crate) body: Body,
    pub(crate) scoped: bool,
    pub(crate) required: bool,
}

/// A whole template.
pub(crate) struct Template {
    pub(crate) body: Body,
    pub(crate) blocks: HashMap<Arc<str>, Arc<Block>>,
    /// The file it was read from; `None`: a string of a playbook.
    pub(crate) path: Option<Arc<Path>>,
    /// It calls methods that change containers (`append`, `update` …).
    pub(crate) mutates: bool,
}
