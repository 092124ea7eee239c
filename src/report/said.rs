//! What is said, where perhaps nobody listens any more: a reader that has gone (`| head -1`) or a full disk neither stops
//! a run half-way nor ends in a panic.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// The first thing that could not be written for another reason than that its reader had enough.
static LOST: OnceLock<String> = OnceLock::new();

pub(crate) fn out(text: Arguments<'_>) {
    note(io::stdout().write_fmt(text));
}

pub(crate) fn err(text: Arguments<'_>) {
    // Nowhere is left where this could be said.
    let _ = io::stderr().write_fmt(text);
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.to_string());
    }
}

/// What the command ends with: whoever keeps its output in a file shall not take half of it for the whole. `changes`: the
/// code says what became of hosts, and keeps saying so.
pub(crate) fn ended(code: u8, changes: bool) -> u8 {
    note(io::stdout().flush());
    let Some(why) = LOST.get() else { return code };
    err(format_args!("error: the output could not be written whole: {why}\n"));
    if code == 0 && !changes { 1 } else { code }
}

/// As the macros of the same names, which panic where nobody reads.
macro_rules! print {
    ($($text:tt)*) => { $crate::report::said::out(format_args!($($text)*)) };
}
macro_rules! println {
    () => { $crate::report::said::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::report::said::out(format_args!("{}\n", format_args!($($text)*))) };
}
macro_rules! eprint {
    ($($text:tt)*) => { $crate::report::said::err(format_args!($($text)*)) };
}
macro_rules! eprintln {
    () => { $crate::report::said::err(format_args!("\n")) };
    ($($text:tt)*) => { $crate::report::said::err(format_args!("{}\n", format_args!($($text)*))) };
}
