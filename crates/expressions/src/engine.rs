//! The engine: templates and expressions in, values out. Compiled templates are kept by their text.

use std::path::Path;

use crate::context::Context;
use crate::error::Error;
use crate::value::{Str, Value};

/// How a template file is read: the options of the `template` module and its `#jinja2:` header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    pub block_start: String,
    pub block_end: String,
    pub variable_start: String,
    pub variable_end: String,
    pub comment_start: String,
    pub comment_end: String,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    pub newline_sequence: String,
    pub keep_trailing_newline: bool,
    /// 2.18's meaning: conditionals need not be boolean.
    pub lenient: bool,
    /// The `do` statement.
    pub extension_do: bool,
    /// `break` and `continue`.
    pub extension_loopcontrols: bool,
}

impl Default for Options {
    /// What the `template` module starts from.
    fn default() -> Self {
        Self {
            block_start: "{%".to_owned(),
            block_end: "%}".to_owned(),
            variable_start: "{{".to_owned(),
            variable_end: "}}".to_owned(),
            comment_start: "{#".to_owned(),
            comment_end: "#}".to_owned(),
            trim_blocks: true,
            lstrip_blocks: false,
            newline_sequence: "\n".to_owned(),
            keep_trailing_newline: true,
            lenient: false,
            extension_do: false,
            extension_loopcontrols: false,
        }
    }
}

/// One per run, shared by all threads.
pub struct Engine {
    options: Options,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    pub fn new() -> Self {
        Self::with_options(Options::default())
    }
    /// `lenient` and the extensions count for strings of playbooks too.
    pub fn with_options(options: Options) -> Self {
        Self { options }
    }
    pub fn options(&self) -> &Options {
        &self.options
    }
    /// A string of a playbook: native result, typed. Not trusted or not a template: returned as it is.
    /// Result strings are untrusted unless nothing was rendered. Containers may still be lazy inside:
    /// [`Value::resolved`] forces them and drops what is `omit`.
    pub fn render(&self, _source: &Str, _context: &dyn Context) -> Result<Value, Error> {
        Err(Error::new("not yet"))
    }
    /// `when`, `changed_when`, …: an expression without braces, to a value (see [`Engine::condition`] for a bool).
    pub fn evaluate(&self, _source: &Str, _context: &dyn Context) -> Result<Value, Error> {
        Err(Error::new("not yet"))
    }
    /// A conditional in 2.19's meaning: the result must be a bool (lenient: any truth, with a warning);
    /// a list is an AND.
    pub fn condition(&self, _source: &Value, _context: &dyn Context) -> Result<bool, Error> {
        Err(Error::new("not yet"))
    }
    /// A template file (`template` module): text. Honours the `#jinja2:` header.
    pub fn render_file(
        &self,
        _path: &Path,
        _source: &str,
        _options: &Options,
        _context: &dyn Context,
    ) -> Result<String, Error> {
        Err(Error::new("not yet"))
    }
    /// Parses only.
    pub fn check(&self, _source: &Str) -> Result<(), Error> {
        Err(Error::new("not yet"))
    }
    pub fn check_expression(&self, _source: &Str) -> Result<(), Error> {
        Err(Error::new("not yet"))
    }
    /// Free variable names that a template mentions, without evaluating it. Unreadable templates mention nothing.
    pub fn mentions(&self, _source: &Str) -> Vec<String> {
        Vec::new()
    }
    pub fn mentions_expression(&self, _source: &Str) -> Vec<String> {
        Vec::new()
    }
}
