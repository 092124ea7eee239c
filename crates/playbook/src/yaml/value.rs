//! From nodes to the values that expressions work with.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use expressions::{Error, Object, Origin, Str, Value};

use super::{Kind, Node};
use crate::vault::Vault;

impl Node {
    /// The value. Strings are trusted (may be templates) and know their place, unless they are `!unsafe`.
    ///
    /// Encrypted texts are decrypted now; they are data, never templates. One that cannot be decrypted becomes a
    /// [`VaultText`]: an error when it is used, naming the place, and none when it is not.
    pub fn to_value(&self, vault: &Vault) -> Value {
        Conversion { vault, lazy: false }.value(self, true)
    }

    /// As [`Self::to_value`], but every encrypted text stays a [`VaultText`] until somebody calls [`reveal`].
    /// Each decryption costs milliseconds; files full of secrets are read so.
    pub fn to_lazy_value(&self, vault: &Vault) -> Value {
        Conversion { vault, lazy: true }.value(self, true)
    }
}

struct Conversion<'a> {
    vault: &'a Vault,
    lazy: bool,
}

impl Conversion<'_> {
    fn value(&self, node: &Node, trusted: bool) -> Value {
        match &node.kind {
            Kind::Null => Value::None,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Int(*value),
            Kind::Big(value) => Value::Big(Arc::clone(value)),
            Kind::Float(value) => Value::Float(*value),
            Kind::Str { text, .. } if !trusted => Value::Str(Str::new(Arc::clone(text))),
            Kind::Date(text) => Value::yaml_timestamp(text)
                .unwrap_or_else(|| Value::Str(Str::trusted(Arc::clone(text), Arc::clone(&node.origin)))),
            Kind::Str { text, .. } => Value::Str(Str::trusted(Arc::clone(text), Arc::clone(&node.origin))),
            Kind::Seq(items) => Value::list(items.iter().map(|item| self.value(item, trusted)).collect()),
            Kind::Map(entries) => Value::dict(
                entries.iter().map(|(key, value)| (self.value(key, trusted), self.value(value, trusted))),
            ),
            Kind::Vault(text) => self.secret(text, &node.origin),
            Kind::Unsafe(inner) => self.value(inner, false),
        }
    }

    fn secret(&self, text: &Arc<str>, origin: &Arc<Origin>) -> Value {
        let secret = VaultText {
            text: Arc::clone(text),
            origin: Arc::clone(origin),
            vault: self.vault.clone(),
            plain: OnceLock::new(),
        };
        if !self.lazy
            && let Ok(plain) = secret.reveal()
        {
            return Value::Str(plain);
        }
        Value::Object(Arc::new(secret))
    }
}

/// An encrypted text that is decrypted when it is used.
pub struct VaultText {
    text: Arc<str>,
    origin: Arc<Origin>,
    vault: Vault,
    plain: OnceLock<Result<Str, Error>>,
}

impl VaultText {
    /// Encrypted text that comes from somewhere else than a file.
    pub fn of(text: String, vault: Vault) -> Value {
        let origin = Arc::new(Origin::new(std::path::Path::new("<text>"), 1, 1));
        Value::Object(Arc::new(Self { text: text.into(), origin, vault, plain: OnceLock::new() }))
    }

    /// The plain text, or why it cannot be had.
    pub fn reveal(&self) -> Result<Str, Error> {
        self.plain
            .get_or_init(|| match self.vault.decrypt_text(&self.text) {
                Ok(plain) => Ok(Str::new(plain)),
                Err(error) => Err(Error::new(error.message).at(&self.origin)),
            })
            .clone()
    }
    /// The encrypted text, as it is written.
    pub fn encrypted(&self) -> &str {
        &self.text
    }
}

/// The plain text if this value is an encrypted one; `None`: it is something else.
pub fn reveal(value: &Value) -> Option<Result<Value, Error>> {
    let Value::Object(object) = value else { return None };
    let secret = object.as_any().downcast_ref::<VaultText>()?;
    Some(secret.reveal().map(Value::Str))
}

impl Object for VaultText {
    fn type_name(&self) -> &'static str {
        "str"
    }
    fn get(&self, _name: &Value) -> Result<Option<Value>, Error> {
        self.reveal().map(|_| None)
    }
    fn render(&self) -> Result<String, Error> {
        self.reveal().map(|plain| plain.as_str().to_owned())
    }
    fn truth(&self) -> Result<bool, Error> {
        self.reveal().map(|plain| !plain.as_str().is_empty())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
