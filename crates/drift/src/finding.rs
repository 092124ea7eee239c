//! One difference, and what is known of it.

use std::path::PathBuf;

use jiff::Timestamp;
use layer::PathState;
use serde::{Deserialize, Serialize};

/// What differs, from what, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// A path; else an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `package:nginx`, `service:ship.service`, `listen:tcp 0.0.0.0:80`, `user:ann`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// `added`, `changed`, `removed`
    pub kind: String,
    /// In what: `content`, `mode`, `owner`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<String>,
    /// A layer of ours left it otherwise.
    pub declared: bool,
    /// The task that left it, or what it was compared with.
    pub cause: String,
    /// By what it is explained; `None`: by nobody, and that is an alarm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<String>,
    /// The kind of explanation: `layer`, `package`, `place`, `accepted`, `dpkg`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// It was so at the first look already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_before: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// When, as far as the host knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// Of a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<PathState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PathState>,
    /// The path as bytes, where it is no text; seconds since 1970 of the change.
    #[serde(skip)]
    pub at: Option<i64>,
    #[serde(skip)]
    pub real_path: PathBuf,
}

/// What the host has to say about who it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// `likely` or `unknown`
    pub confidence: String,
    pub text: String,
}

impl Finding {
    /// Nobody explains it.
    pub fn alarms(&self) -> bool {
        self.explained.is_none()
    }

    pub fn name(&self) -> &str {
        self.path.as_deref().or(self.object.as_deref()).unwrap_or_default()
    }

    #[must_use]
    pub fn explain(mut self, class: &str, text: impl Into<String>) -> Self {
        self.explained = Some(text.into());
        class.clone_into(&mut self.class);
        self
    }
}

/// `added`, `changed` or `removed`.
pub(crate) fn kind<T>(before: Option<&T>, after: Option<&T>) -> String {
    match (before, after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    }
    .to_owned()
}

/// RFC 3339, UTC, to the second.
pub fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
