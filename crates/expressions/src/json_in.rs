//! JSON as Python's `json` reads it: integers of any size, `NaN` and `Infinity`.

use num_bigint::BigInt;

use crate::error::Error;
use crate::value::{Dict, Value, deeper};

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// The one value of the text.
pub(crate) fn read(text: &str) -> Result<Value, Error> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value()?;
    reader.space();
    if reader.at < text.len() { Err(reader.wrong("extra data")) } else { Ok(value) }
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong(&self, what: &str) -> Error {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Error::new(format!("this is not JSON: {what} at line {line} column {column}"))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self) -> Result<Value, Error> {
        deeper()?;
        let words = [
            ("null", Value::None),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Value::from),
            _ => {
                for (word, value) in words {
                    if self.take(word) {
                        return Ok(value);
                    }
                }
                self.number()
            }
        }
    }

    fn object(&mut self) -> Result<Value, Error> {
        let new = Dict::new();
        self.at += 1;
        self.space();
        if self.take("}") {
            return Ok(Value::from(new));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in double quotes was expected"));
            }
            let key = self.string()?;
            self.space();
            if !self.take(":") {
                return Err(self.wrong("':' was expected"));
            }
            self.space();
            let value = self.value()?;
            new.insert(key, value);
            self.space();
            if self.take("}") {
                return Ok(Value::from(new));
            }
            if !self.take(",") {
                return Err(self.wrong("',' was expected"));
            }
        }
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.take("]") {
            return Ok(Value::list(items));
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            if self.take("]") {
                return Ok(Value::list(items));
            }
            if !self.take(",") {
                return Err(self.wrong("',' was expected"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Error> {
        let start = self.at;
        let mut escaped = false;
        let end = self.rest().bytes().skip(1).position(|byte| match byte {
            _ if escaped => {
                escaped = false;
                false
            }
            b'\\' => {
                escaped = true;
                false
            }
            byte => byte == b'"',
        });
        let Some(end) = end else { return Err(self.wrong("a string has no end")) };
        self.at += end + 2;
        serde_json::from_str(&self.text[start..self.at]).map_err(|error| {
            self.at = start;
            self.wrong(&format!("bad string ({error})"))
        })
    }

    fn number(&mut self) -> Result<Value, Error> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let rest = self.rest();
        let sign = usize::from(rest.starts_with('-'));
        let whole = match digits(&rest[sign..]) {
            0 => return Err(self.wrong("a value was expected")),
            _ if rest[sign..].starts_with('0') => 1,
            count => count,
        };
        let mut len = sign + whole;
        let mut float = false;
        if let Some(tail) = rest[len..].strip_prefix('.')
            && digits(tail) > 0
        {
            len += 1 + digits(tail);
            float = true;
        }
        if let Some(tail) = rest[len..].strip_prefix(['e', 'E']) {
            let sign = usize::from(tail.starts_with(['+', '-']));
            if digits(&tail[sign..]) > 0 {
                len += 1 + sign + digits(&tail[sign..]);
                float = true;
            }
        }
        let text = &rest[..len];
        let number = if float {
            text.parse().ok().map(Value::Float)
        } else {
            text.parse::<BigInt>().ok().map(Value::big)
        };
        match number {
            Some(number) => {
                self.at += len;
                Ok(number)
            }
            None => Err(self.wrong("a value was expected")),
        }
    }
}
