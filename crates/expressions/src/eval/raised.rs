//! Whose mistake it was: Ansible names the plugin that failed, or says that rendering did.

use super::Run;
use crate::ast::{Expr, Kind};
use crate::error::{Error, ErrorKind};
use crate::{filters, tests};

const PREFIXES: [&str; 4] =
    ["Error rendering ", "The filter plugin ", "The test plugin ", "Conditional result "];

impl Error {
    /// Whether it says that rendering, a filter or a test raised it.
    pub fn names_who_raised_it(&self) -> bool {
        PREFIXES.iter().any(|prefix| self.message.starts_with(prefix))
    }
}

impl Run<'_> {
    /// An error in the words of the one who raised it. What has a place has come up further inside and has its words.
    pub(super) fn raised(&self, error: Error, expr: &Expr) -> Error {
        match &expr.kind {
            _ if !is_bare(&error) => error,
            Kind::Filter(_, call) if call.filter.is_some() => {
                failed("filter", filters::home(&call.name), error)
            }
            Kind::Test(_, call) if call.test.is_some() => failed("test", tests::home(&call.name), error),
            // Lookups and plugins of projects tell their own mistakes.
            Kind::Call(callee, _) if looks_up(callee) => error,
            Kind::Filter(..) | Kind::Test(..) => error,
            _ => self.rendering(error),
        }
    }

    /// An error that belongs to no plugin.
    pub(crate) fn rendering(&self, mut error: Error) -> Error {
        if is_bare(&error) {
            let what = if self.template { "template" } else { "expression" };
            error.message.insert_str(0, &format!("Error rendering {what}: "));
        }
        error
    }
}

fn is_bare(error: &Error) -> bool {
    error.kind == ErrorKind::Runtime && error.origin.is_none() && !error.names_who_raised_it()
}

fn failed(kind: &str, (collection, name): (&str, &str), mut error: Error) -> Error {
    error.message.insert_str(0, &format!("The {kind} plugin '{collection}.{name}' failed: "));
    error
}

fn looks_up(callee: &Expr) -> bool {
    matches!(&callee.kind, Kind::Name(name) if matches!(&**name, "lookup" | "query" | "q"))
}
