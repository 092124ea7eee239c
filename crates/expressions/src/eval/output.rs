//! What a template has put out so far: one value keeps its type, several become text.

use std::sync::Arc;

use crate::error::Error;
use crate::value::{Missing, Style, Value};

#[derive(Default)]
pub(crate) struct Output {
    /// The only value so far.
    single: Option<Value>,
    text: String,
    several: bool,
    /// The first undefined value: it makes the whole undefined.
    missing: Option<Arc<Missing>>,
}

impl Output {
    /// For what becomes text whatever it is.
    pub(crate) fn text(capacity: usize) -> Self {
        Self { text: String::with_capacity(capacity), several: true, ..Self::default() }
    }

    pub(crate) fn data(&mut self, text: &Arc<str>) -> Result<(), Error> {
        if self.several {
            self.text.push_str(text);
            return Ok(());
        }
        // The value before it is written only now, which may fail.
        self.value(Value::str(Arc::clone(text)))
    }

    pub(crate) fn value(&mut self, value: Value) -> Result<(), Error> {
        match value {
            Value::None => return Ok(()),
            Value::Undefined(missing) if !missing.soft => {
                self.missing.get_or_insert(missing);
                return Ok(());
            }
            _ => {}
        }
        if self.several {
            return self.write(&value);
        }
        match self.single.take() {
            None => self.single = Some(value),
            Some(first) => {
                self.several = true;
                self.write(&first)?;
                self.write(&value)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, value: &Value) -> Result<(), Error> {
        if value.is_omit() {
            return Ok(());
        }
        if let Value::Bytes(bytes) = value {
            self.text.push_str(&String::from_utf8_lossy(bytes));
            return Ok(());
        }
        match value.write_str(&mut self.text, Style::Final) {
            Err(error) if error.is_undefined() => {
                if let Value::Undefined(missing) = Value::from_undefined_error(error) {
                    self.missing.get_or_insert(missing);
                }
                Ok(())
            }
            other => other,
        }
    }

    /// The value of a template or a captured body: undefined if something in it was.
    pub(crate) fn into_value(self) -> Value {
        if let Some(missing) = self.missing {
            return Value::Undefined(missing);
        }
        if self.several { Value::str(self.text) } else { self.single.unwrap_or(Value::None) }
    }

    /// The result of a template file.
    pub(crate) fn finish_text(mut self) -> Result<String, Error> {
        if let Some(missing) = self.missing {
            return Err(missing.error());
        }
        if let Some(single) = self.single.take() {
            self.write(&single)?;
        }
        match self.missing {
            Some(missing) => Err(missing.error()),
            None => Ok(self.text),
        }
    }
}
