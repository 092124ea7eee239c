//! Python's ways to format text: `%`, `str.format` and format specifications.
use crate::error::Error;
use crate::value::Value;
pub(crate) fn percent(_format: &str, _args: &Value) -> Result<String, Error> {
    Err(Error::new("not yet"))
}
