//! How people and programs see a run: one file per output format.

#[macro_use]
pub(crate) mod said;

mod ansible;
mod blamed;
mod json;
mod junit;
mod minimal;
mod plain;
mod pretty;
mod python_json;
mod timing;
mod warned;
mod words;

use std::io::IsTerminal;

use clap::ValueEnum;
use run::event::Sink;

pub(crate) use json::print_line as json_line;
pub(crate) use junit::Junit;
pub(crate) use minimal::Minimal;
pub(crate) use python_json::indented as json_indented;
pub(crate) use timing::{Timing, Ways};
pub(crate) use words::{Paint, reason};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A live view on a terminal, then a compact result.
    Pretty,
    /// A line for what changed and what failed.
    Plain,
    /// One JSON object a line.
    Json,
    /// As `ansible-playbook` prints.
    Ansible,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    pub(crate) fn paint(self) -> Paint {
        let wanted = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal(),
        };
        Paint { on: wanted }
    }
}

/// What the options say about showing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) output: Output,
    pub(crate) paint: Paint,
    pub(crate) verbosity: u8,
    pub(crate) display_skipped: bool,
    /// What `set_stats` left is shown at the end.
    pub(crate) custom_stats: bool,
}

pub(crate) fn sink(style: Style) -> Box<dyn Sink> {
    match style.output {
        Output::Pretty => Box::new(pretty::Pretty::new(style)),
        Output::Plain => Box::new(plain::Plain::new(style)),
        Output::Json => Box::new(json::Json),
        Output::Ansible => Box::new(ansible::Ansible::new(style)),
    }
}

/// Pretty on a terminal, plain otherwise.
pub(crate) fn default_output() -> Output {
    if std::io::stdout().is_terminal() { Output::Pretty } else { Output::Plain }
}
