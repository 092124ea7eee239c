//! `comment`: text as a comment of some language.

use super::{text_of, text_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::Value;

/// Beginning, decoration, end of each style.
fn style(name: &str) -> Option<[&'static str; 3]> {
    Some(match name {
        "plain" => ["", "# ", ""],
        "erlang" => ["", "% ", ""],
        "c" => ["", "// ", ""],
        "cblock" => ["/*", " * ", " */"],
        "xml" => ["<!--", " - ", "-->"],
        _ => return None,
    })
}

pub(super) fn comment(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let names = [
        "style",
        "newline",
        "beginning",
        "prefix",
        "prefix_count",
        "decoration",
        "postfix",
        "postfix_count",
        "end",
    ];
    let mut args = args;
    if let Some(first) = args.positional.first().cloned() {
        args.positional.remove(0);
        args.named.push((std::sync::Arc::from("style"), first));
    }
    let [name, newline, beginning, prefix, prefix_count, decoration, postfix, postfix_count, end] =
        args.bind("comment", names)?;
    let name = text_or(name, "plain")?;
    let Some([begin, mark, close]) = style(&name) else {
        return Err(Error::new(format!("Invalid style '{name}'.")));
    };
    let newline = text_or(newline, "\n")?;
    let (beginning, end) = (text_or(beginning, begin)?, text_or(end, close)?);
    let decoration = text_or(decoration, mark)?;
    let bare = decoration.trim_end().to_owned();
    let (prefix, postfix) = (text_or(prefix, &bare)?, text_or(postfix, &bare)?);
    let prefix_count = super::size_or(prefix_count, 1)?;
    let postfix_count = super::size_or(postfix_count, 1)?;
    let line = |text: &str| if text.is_empty() { String::new() } else { format!("{text}{newline}") };
    let mut out = line(&beginning);
    out.push_str(&line(&prefix).repeat(prefix_count));
    let text = text_of(value)?;
    let lines: Vec<&str> = text.split(newline.as_str()).collect();
    let body: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let line = format!("{decoration}{line}");
            // An empty line does not keep the blank of its decoration, the last one does.
            if index + 1 < lines.len() { line.trim_end_matches(' ').to_owned() } else { line }
        })
        .collect();
    out.push_str(&body.join(&newline));
    for _ in 0..postfix_count {
        out.push_str(&newline);
        out.push_str(&postfix);
    }
    if !end.is_empty() {
        out.push_str(&newline);
        out.push_str(&end);
    }
    Ok(Value::from(out))
}
