//! The outside world of an expression: variables, lookups, template files.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::value::Value;

/// Named arguments of a call.
pub type Named = [(Arc<str>, Value)];

pub trait Context: Send + Sync {
    /// The variable, already resolved (templates inside strings rendered, containers lazy). `Ok(None)`: undefined.
    /// An `Undefined` error from inside the variable's own template makes the variable undefined with that message.
    fn variable(&self, name: &str) -> Result<Option<Value>, Error>;
    /// Names of all variables (for `vars`, `varnames` lookups).
    fn names(&self) -> Vec<String>;
    /// `lookup('name', ...)`: the list of results (the engine applies `wantlist`, `errors` and joining; those two
    /// are not in `kwargs`).
    fn lookup(&self, name: &str, args: &[Value], kwargs: &Named) -> Result<Vec<Value>, Error>;
    /// Whether this lookup wants to see what is undefined among its arguments; otherwise it is not even called.
    fn takes_undefined(&self, _lookup: &str) -> bool {
        false
    }
    /// A variable that is encrypted, as it is: a filter may have its password where nobody else does.
    fn encrypted(&self, _name: &str) -> Option<Value> {
        None
    }
    /// Text of a template file for include/import/extends, with its resolved path.
    fn template_source(&self, name: &str) -> Result<Option<(PathBuf, String)>, Error>;
    /// Filters that need the outside (`fileglob`, `vault`, `unvault`); asked only for names that the engine does
    /// not know. `None`: not known here.
    fn filter(
        &self,
        _name: &str,
        _value: &Value,
        _args: &[Value],
        _kwargs: &Named,
    ) -> Option<Result<Value, Error>> {
        None
    }
    /// Tests that need the outside; as [`Context::filter`].
    fn test(
        &self,
        _name: &str,
        _value: &Value,
        _args: &[Value],
        _kwargs: &Named,
    ) -> Option<Result<bool, Error>> {
        None
    }
    /// `from_yaml`: the first document of the text.
    fn parse_yaml(&self, _text: &str) -> Result<Value, Error> {
        Err(Error::new("YAML cannot be read here"))
    }
    /// `from_yaml_all`: every document of the text.
    fn parse_yaml_all(&self, _text: &str) -> Result<Vec<Value>, Error> {
        Err(Error::new("YAML cannot be read here"))
    }
    /// Environment variables, for `expandvars` and `expanduser`.
    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
    /// Where warnings go.
    fn warn(&self, _message: String) {}
}
