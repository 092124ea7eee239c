//! The `#jinja2:` line at the head of a template file.

use std::borrow::Cow;

use crate::engine::Options;
use crate::error::Error;

const MARK: &str = "#jinja2:";

/// The options that count, the text after the header, and how many lines the header took.
pub(crate) fn read<'a>(
    source: &'a str,
    options: &'a Options,
) -> Result<(Cow<'a, Options>, &'a str, u32), Error> {
    let Some(rest) = source.strip_prefix(MARK) else { return Ok((Cow::Borrowed(options), source, 0)) };
    let mut options = options.clone();
    let (line, body) = rest.split_once('\n').unwrap_or((rest, ""));
    for pair in line.trim_end_matches('\r').split(',') {
        let Some((key, value)) = pair.split_once(':') else {
            let pair = pair.trim();
            return Err(Error::syntax(format!(
                "Missing key-value separator `:` in the #jinja2 header: '{pair}'"
            )));
        };
        set(&mut options, key.trim(), value.trim())?;
    }
    Ok((Cow::Owned(options), body, 1))
}

fn set(options: &mut Options, key: &str, value: &str) -> Result<(), Error> {
    let slot = match key {
        "block_start_string" => &mut options.block_start,
        "block_end_string" => &mut options.block_end,
        "variable_start_string" => &mut options.variable_start,
        "variable_end_string" => &mut options.variable_end,
        "comment_start_string" => &mut options.comment_start,
        "comment_end_string" => &mut options.comment_end,
        "line_statement_prefix" => &mut options.line_statement,
        "line_comment_prefix" => &mut options.line_comment,
        "newline_sequence" => &mut options.newline_sequence,
        "trim_blocks" => return truth(key, value).map(|value| options.trim_blocks = value),
        "lstrip_blocks" => return truth(key, value).map(|value| options.lstrip_blocks = value),
        "keep_trailing_newline" => {
            return truth(key, value).map(|value| options.keep_trailing_newline = value);
        }
        other => return Err(Error::syntax(format!("Invalid override key '{other}' in the #jinja2 header"))),
    };
    *slot = unquoted(value)?.into_owned();
    if slot.is_empty() {
        return Err(Error::syntax(format!("the option '{key}' of the #jinja2 header is empty")));
    }
    Ok(())
}

fn unquoted(value: &str) -> Result<Cow<'_, str>, Error> {
    for quote in ['\'', '"'] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            let text =
                inner.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
            return Ok(Cow::Owned(text));
        }
    }
    Err(Error::syntax(format!("{value} in the #jinja2 header must be quoted")))
}

fn truth(key: &str, value: &str) -> Result<bool, Error> {
    match value {
        "True" | "true" => Ok(true),
        "False" | "false" => Ok(false),
        other => {
            Err(Error::syntax(format!("'{key}' in the #jinja2 header must be True or False, not {other}")))
        }
    }
}
