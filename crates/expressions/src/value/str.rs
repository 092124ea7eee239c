//! Text with its marks.

use std::fmt;
use std::sync::Arc;

use crate::Origin;

/// Text and its marks.
#[derive(Clone)]
pub struct Str {
    text: Arc<str>,
    /// `Some`: a person wrote this here, it may be read as a template. `None`: it is data, never a template.
    trusted: Option<Arc<Origin>>,
}

impl Str {
    /// Data: never a template.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), trusted: None }
    }
    /// Written by a person at this place.
    pub fn trusted(text: impl Into<Arc<str>>, origin: Arc<Origin>) -> Self {
        Self { text: text.into(), trusted: Some(origin) }
    }
    pub fn as_str(&self) -> &str {
        &self.text
    }
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.trusted.as_ref()
    }
    pub fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }
    /// May be a template, and looks like one.
    pub fn is_template(&self) -> bool {
        self.trusted.is_some() && looks_like_template(&self.text)
    }
}

fn looks_like_template(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}
