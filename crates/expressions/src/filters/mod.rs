//! Filters: Jinja's and Ansible's own.

mod addresses;
mod collections;
mod comment;
mod community;
mod crypto;
mod data;
mod dicts;
mod mapping;
mod misc;
mod numbers;
mod paths;
mod regexes;
mod sequences;
mod strings;
mod text;
mod urls;

use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::Value;

pub(crate) use addresses::testing as addresses_testing;
pub(crate) use misc::to_bool;

pub(crate) type Function = fn(&Run<'_>, &Value, Args) -> Result<Value, Error>;

#[derive(Clone, Copy)]
pub(crate) struct Filter {
    pub(crate) function: Function,
    /// Something undefined is given to the filter, instead of around it.
    pub(crate) takes_undefined: bool,
    /// It takes no arguments.
    pub(crate) bare: bool,
    /// It takes text, and makes no text of other values.
    pub(crate) text_only: bool,
    /// It belongs to a collection that has to be installed.
    pub(crate) collection: bool,
}

const TEXT_ONLY: [&str; 4] = ["indent", "wordwrap", "comment", "urldecode"];

const BARE: [&str; 20] = [
    "first",
    "last",
    "length",
    "count",
    "list",
    "upper",
    "lower",
    "capitalize",
    "title",
    "string",
    "safe",
    "escape",
    "e",
    "forceescape",
    "striptags",
    "wordcount",
    "pprint",
    "reverse",
    "abs",
    "type_debug",
];

/// The name without the collection of the built-in ones.
pub(crate) fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or(name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

pub(crate) fn find(name: &str) -> Option<Filter> {
    if let Some(function) = of_collection(name) {
        return Some(Filter {
            function,
            takes_undefined: false,
            bare: false,
            text_only: false,
            collection: true,
        });
    }
    let name = short_name(name);
    let takes_undefined = matches!(name, "default" | "d" | "mandatory" | "type_debug");
    let shelves: [fn(&str) -> Option<Function>; 13] = [
        misc::find,
        sequences::find,
        mapping::find,
        text::find,
        strings::find,
        numbers::find,
        dicts::find,
        collections::find,
        data::find,
        regexes::find,
        paths::find,
        urls::find,
        crypto::find,
    ];
    // Before there were collections their filters had no other names.
    let old =
        || addresses::find(name).or_else(|| community::general(name)).or_else(|| community::utils(name));
    let core = shelves.iter().find_map(|shelf| shelf(name));
    Some(Filter {
        collection: core.is_none(),
        function: core.or_else(old)?,
        takes_undefined,
        bare: BARE.contains(&name),
        text_only: TEXT_ONLY.contains(&name),
    })
}

/// Filters with the name of their collection.
fn of_collection(name: &str) -> Option<Function> {
    let (collection, name) = name.rsplit_once('.')?;
    match collection {
        "community.general" => community::general(name),
        "ansible.utils" => addresses::find(name).or_else(|| community::utils(name)),
        "ansible.netcommon" => addresses::find(name),
        _ => None,
    }
}

/// The collection that a filter of the engine's belongs to, and the filter's name in it.
pub(crate) fn home(name: &str) -> (&str, &str) {
    let short = short_name(name);
    if let Some(full) = short.rsplit_once('.') {
        return full;
    }
    let collection = match find(short) {
        Some(filter) if !filter.collection => "ansible.builtin",
        _ if community::general(short).is_some() => "community.general",
        _ => "ansible.utils",
    };
    (collection, short)
}

/// The text of a value, as filters of text take it.
pub(crate) fn text_of(value: &Value) -> Result<String, Error> {
    match value {
        Value::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        other => other.python_str(),
    }
}

fn text_or(value: Option<Value>, default: &str) -> Result<String, Error> {
    match value {
        None | Some(Value::None) => Ok(default.to_owned()),
        Some(value) => text_of(&value),
    }
}

fn truth_or(value: Option<Value>, default: bool) -> Result<bool, Error> {
    value.map_or(Ok(default), |value| value.truth())
}

fn int_or(value: Option<Value>, default: i64) -> Result<i64, Error> {
    value.map_or(Ok(default), |value| crate::methods::integer(&value))
}

/// A size that people may ask for, neither negative nor absurd.
fn size_or(value: Option<Value>, default: usize) -> Result<usize, Error> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(default) };
    let size = usize::try_from(crate::methods::integer(&value)?).unwrap_or(0);
    if size > 1 << 24 { Err(Error::new("the number is too large")) } else { Ok(size) }
}

fn needed(value: Option<Value>, filter: &str, name: &str) -> Result<Value, Error> {
    value.ok_or_else(|| Error::new(format!("{filter} needs the argument '{name}'")))
}
