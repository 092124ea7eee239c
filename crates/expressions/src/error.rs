//! What can go wrong in an expression.

use std::fmt;

use crate::Origin;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Syntax,
    /// Something undefined was used.
    Undefined,
    Runtime,
    /// Not an error of the person: a value that is still on its way. See [`PendingWhat`].
    Pending(PendingWhat),
    /// Variables that refer to each other in a circle.
    Loop,
}

/// What has to happen before the expression can be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingWhat {
    /// This call to the host has to end.
    Call(u64),
    /// The facts of the host have to arrive.
    Facts,
    /// Another host has to come to the same task.
    Host(String),
}

#[derive(Clone, Debug)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    pub origin: Option<Origin>,
}

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Runtime, message: message.into(), origin: None }
    }
    pub fn syntax(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Syntax, ..Self::new(message) }
    }
    pub fn undefined(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Undefined, ..Self::new(message) }
    }
    pub fn pending(what: PendingWhat) -> Self {
        Self { kind: ErrorKind::Pending(what), ..Self::new("a value is still on its way") }
    }
    pub fn is_undefined(&self) -> bool {
        self.kind == ErrorKind::Undefined
    }
    pub fn is_pending(&self) -> Option<&PendingWhat> {
        match &self.kind {
            ErrorKind::Pending(what) => Some(what),
            _ => None,
        }
    }
    /// Says where, unless a closer place is known already.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
