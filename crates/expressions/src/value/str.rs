//! Text with its marks.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::Origin;

/// Text and its marks.
#[derive(Clone)]
pub struct Str {
    text: Arc<str>,
    /// `Some`: a person wrote this here, it may be read as a template. `None`: it is data, never a template.
    /// A third state would make every value larger, so data that is finished has a place that no file has.
    trusted: Option<Arc<Origin>>,
}

/// The line of the mark of text that is finished: no file has it.
const FINISHED: u32 = u32::MAX;

static FINISHED_MARK: LazyLock<Arc<Origin>> =
    LazyLock::new(|| Arc::new(Origin::new(Path::new(""), FINISHED, 0)));

impl Str {
    /// Data that stays text where 2.18's meaning holds, whatever it reads as (see [`crate::older`]).
    pub(crate) fn finished(text: Arc<str>) -> Self {
        Self { text, trusted: Some(Arc::clone(&FINISHED_MARK)) }
    }
    pub(crate) fn is_finished(&self) -> bool {
        self.trusted.as_ref().is_some_and(|mark| mark.line == FINISHED)
    }
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
        self.trusted.as_ref().filter(|mark| mark.line != FINISHED)
    }
    pub fn is_trusted(&self) -> bool {
        self.origin().is_some()
    }
    /// May be a template, and looks like one.
    pub fn is_template(&self) -> bool {
        self.is_trusted() && looks_like_template(&self.text)
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
