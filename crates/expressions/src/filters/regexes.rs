//! Filters with regular expressions.

use super::{Function, needed, size_or, text_of, text_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::regex::{self, Anchor, Flags};
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "regex_replace" => replace,
        "regex_search" => search,
        "regex_findall" => findall,
        _ => return None,
    })
}

fn flags(ignore_case: Option<Value>, multiline: Option<Value>) -> Result<Flags, Error> {
    Ok(Flags { ignore_case: truth_or(ignore_case, false)?, multiline: truth_or(multiline, false)? })
}

fn replace(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let names = ["pattern", "replacement", "ignorecase", "multiline", "count", "mandatory_count"];
    let [pattern, replacement, case, multiline, count, mandatory] = args.bind("regex_replace", names)?;
    let (pattern, replacement) = (text_or(pattern, "")?, text_or(replacement, "")?);
    let regex = regex::compile(&pattern, flags(case, multiline)?, Anchor::Anywhere)?;
    let most = match size_or(count, 0)? {
        0 => usize::MAX,
        some => some,
    };
    let (text, made) = regex::replace(&regex, &text_of(value)?, &replacement, most)?;
    let wanted = size_or(mandatory, 0)?;
    if wanted > 0 && made != wanted {
        return Err(Error::new(format!(
            "'{pattern}' should match {wanted} times, but matches {made} times in '{}'.",
            text_of(value)?
        )));
    }
    Ok(Value::from(text))
}

const SEARCH_ARGUMENTS: &str = "regex_search takes the pattern, then groups to give back ('\\1', '\\g<name>'), and the named arguments \
     'ignorecase' and 'multiline'";

fn search(_: &Run<'_>, value: &Value, mut args: Args) -> Result<Value, Error> {
    let flags = flags(args.take("ignorecase"), args.take("multiline"))?;
    if args.positional.is_empty() {
        let named = args.take("regex");
        args.positional.extend(named);
    }
    let mut given = args.positional.into_iter();
    let pattern = text_of(&needed(given.next(), "regex_search", "regex")?)?;
    let mut groups = Vec::new();
    for group in given {
        let group = text_of(&group)?;
        let name = group.strip_prefix("\\g<").and_then(|rest| rest.strip_suffix('>'));
        let number = group.strip_prefix('\\').filter(|rest| rest.parse::<usize>().is_ok());
        match name.or(number) {
            Some(name) => groups.push(name.to_owned()),
            None => return Err(Error::new(format!("Unknown argument '{group}': {SEARCH_ARGUMENTS}"))),
        }
    }
    let regex = regex::compile(&pattern, flags, Anchor::Anywhere)?;
    let text = text_of(value)?;
    let Some(captures) = regex::captures(&regex, &text)? else { return Ok(Value::None) };
    if groups.is_empty() {
        return Ok(captures.get(0).map_or(Value::None, |whole| Value::str(whole.as_str())));
    }
    let mut found = Vec::new();
    for name in groups {
        let part = match name.parse::<usize>() {
            Ok(number) if number < captures.len() => captures.get(number),
            Ok(_) => return Err(Error::new("no such group")),
            Err(_) => captures.name(&name),
        };
        found.push(part.map_or(Value::None, |part| Value::str(part.as_str())));
    }
    Ok(Value::list(found))
}

fn findall(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [pattern, multiline, case] = args.bind("regex_findall", ["regex", "multiline", "ignorecase"])?;
    let pattern = text_of(&needed(pattern, "regex_findall", "regex")?)?;
    let regex = regex::compile(&pattern, flags(case, multiline)?, Anchor::Anywhere)?;
    let text = text_of(value)?;
    let mut found = Vec::new();
    for captures in regex::all(&regex, &text, usize::MAX)? {
        let part = |index: usize| Value::str(captures.get(index).map_or("", |part| part.as_str()));
        found.push(match captures.len() {
            1 => part(0),
            2 => part(1),
            count => Value::tuple((1..count).map(part).collect()),
        });
    }
    Ok(Value::list(found))
}

pub(super) fn escape(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [kind] = args.bind("regex_escape", ["re_type"])?;
    let special: &str = match text_or(kind, "python")?.as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c",
        "posix_basic" => "].[*^$\\",
        other => {
            return Err(Error::new(format!(
                "Regex type ({other}) is not known: there are python and posix_basic"
            )));
        }
    };
    let mut out = String::new();
    for c in text_of(value)?.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::from(out))
}
