//! Keys of dicts that are kept, removed or renamed.

use crate::error::Error;
use crate::eval::Args;
use crate::filters::{Function, needed, text_of, text_or};
use crate::regex::{self, Anchor, Flags};
use crate::value::{Dict, Value, deeper};

/// `community.general`: lists of dicts, their own keys only.
pub(super) fn flat(name: &str) -> Option<Function> {
    Some(match name {
        "keep_keys" => |_, value, args| each(value, &Wanted::read(args, false)?, Action::Keep),
        "remove_keys" => |_, value, args| each(value, &Wanted::read(args, false)?, Action::Remove),
        "replace_keys" => |_, value, args| each(value, &Wanted::read(args, true)?, Action::Rename),
        _ => return None,
    })
}

/// `ansible.utils`: any data, keys on every level.
pub(super) fn deep(name: &str) -> Option<Function> {
    Some(match name {
        "keep_keys" => |_, value, args| {
            let wanted = Wanted::read(args, false)?;
            container(value)?;
            Ok(kept(value, &wanted)?.unwrap_or_else(|| match value {
                Value::List(_) => Value::list(Vec::new()),
                _ => Value::from(Dict::new()),
            }))
        },
        "remove_keys" => |_, value, args| {
            container(value)?;
            removed(value, &Wanted::read(args, false)?)
        },
        "replace_keys" => |_, value, args| {
            container(value)?;
            renamed(value, &Wanted::read(args, true)?)
        },
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Keep,
    Remove,
    Rename,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Equal,
    Starts,
    Ends,
    Regex,
}

struct Wanted {
    how: How,
    /// What a key has to be, and its new name.
    targets: Vec<(String, String)>,
}

impl Wanted {
    fn read(args: Args, rename: bool) -> Result<Self, Error> {
        let [target, how] = args.bind("keep_keys", ["target", "matching_parameter"])?;
        let how = match text_or(how, "equal")?.as_str() {
            "equal" | "equality" => How::Equal,
            "starts_with" => How::Starts,
            "ends_with" => How::Ends,
            "regex" => How::Regex,
            other => return Err(Error::new(format!("Unknown matching_parameter: {other}"))),
        };
        let target = needed(target, "keep_keys", "target")?;
        let mut targets = Vec::new();
        match &target {
            Value::Str(text) if !rename => targets.push((text.as_str().to_owned(), String::new())),
            Value::List(_) | Value::Tuple(_) => {
                for item in target.elements()? {
                    targets.push(one(&item, rename)?);
                }
            }
            other => {
                let kind = other.type_name();
                return Err(Error::new(format!("The target must be a list, not '{kind}'")));
            }
        }
        if targets.is_empty() {
            return Err(Error::new("The target must not be empty"));
        }
        Ok(Self { how, targets })
    }

    fn find(&self, key: &Value) -> Result<Option<&str>, Error> {
        let Value::Str(key) = key else { return Ok(None) };
        let key = key.as_str();
        for (target, new) in &self.targets {
            let matches = match self.how {
                How::Equal => key == target,
                How::Starts => key.starts_with(target.as_str()),
                How::Ends => key.ends_with(target.as_str()),
                How::Regex => {
                    regex::is_match(&*regex::compile(target, Flags::default(), Anchor::Start)?, key)?
                }
            };
            if matches {
                return Ok(Some(new));
            }
        }
        Ok(None)
    }
}

fn one(item: &Value, rename: bool) -> Result<(String, String), Error> {
    match item {
        Value::Dict(pair) if rename => {
            let part = |name: &str| match pair.get(name)? {
                Some(part) => text_of(&part),
                None => Err(Error::new("each target needs the attributes 'before' and 'after'")),
            };
            Ok((part("before")?, part("after")?))
        }
        Value::Str(text) if !rename => Ok((text.as_str().to_owned(), String::new())),
        other => Err(Error::new(format!("a target cannot be of type '{}'", other.type_name()))),
    }
}

fn each(value: &Value, wanted: &Wanted, action: Action) -> Result<Value, Error> {
    if action != Action::Rename && wanted.how == How::Regex && wanted.targets.len() > 1 {
        return Err(Error::new("Single item is required in the target list for regex"));
    }
    let Value::List(list) = value else { return Err(Error::new("The filter needs a list of dictionaries")) };
    let mut all = Vec::new();
    for item in list.items()? {
        let Value::Dict(dict) = &item else {
            return Err(Error::new("The elements of the list must be dictionaries"));
        };
        let new = Dict::new();
        for (key, value) in dict.items()? {
            if key.as_str().is_none() {
                return Err(Error::new("The keys of the dictionaries must be strings"));
            }
            match (action, wanted.find(&key)?) {
                (Action::Keep, Some(_)) | (Action::Remove | Action::Rename, None) => new.insert(key, value),
                (Action::Rename, Some(name)) => new.insert(name, value),
                _ => None,
            };
        }
        all.push(Value::from(new));
    }
    Ok(Value::list(all))
}

fn container(value: &Value) -> Result<(), Error> {
    match value {
        Value::Dict(_) | Value::List(_) => Ok(()),
        other => {
            Err(Error::new(format!("The data must be a dictionary or a list, not '{}'", other.type_name())))
        }
    }
}

/// `None`: nothing of it is kept.
fn kept(value: &Value, wanted: &Wanted) -> Result<Option<Value>, Error> {
    deeper()?;
    match value {
        Value::Dict(dict) => {
            let new = Dict::new();
            for (key, value) in dict.items()? {
                if wanted.find(&key)?.is_some() {
                    new.insert(key, value);
                } else if let Some(inner) = kept(&value, wanted)? {
                    new.insert(key, inner);
                }
            }
            Ok((!new.is_empty()).then(|| Value::from(new)))
        }
        Value::List(list) => {
            let mut items = Vec::new();
            for item in list.items()? {
                items.extend(kept(&item, wanted)?);
            }
            Ok((!items.is_empty()).then(|| Value::list(items)))
        }
        _ => Ok(None),
    }
}

fn removed(value: &Value, wanted: &Wanted) -> Result<Value, Error> {
    deeper()?;
    match value {
        Value::Dict(dict) => {
            let new = Dict::new();
            for (key, value) in dict.items()? {
                if wanted.find(&key)?.is_none() {
                    new.insert(key, removed(&value, wanted)?);
                }
            }
            Ok(Value::from(new))
        }
        Value::List(list) => {
            let mut items = Vec::new();
            for item in list.items()? {
                let was_empty = matches!(&item, Value::Dict(dict) if dict.is_empty());
                let new = removed(&item, wanted)?;
                if was_empty || !matches!(&new, Value::Dict(dict) if dict.is_empty()) {
                    items.push(new);
                }
            }
            Ok(Value::list(items))
        }
        other => Ok(other.clone()),
    }
}

fn renamed(value: &Value, wanted: &Wanted) -> Result<Value, Error> {
    deeper()?;
    match value {
        Value::Dict(dict) => {
            let new = Dict::new();
            let mut renames = Vec::new();
            for (key, value) in dict.items()? {
                let value = renamed(&value, wanted)?;
                match wanted.find(&key)? {
                    Some(name) => renames.push((Value::str(name), value)),
                    None => {
                        new.insert(key, value);
                    }
                }
            }
            for (key, value) in renames {
                new.insert(key, value);
            }
            Ok(Value::from(new))
        }
        Value::List(list) => {
            Ok(Value::list(list.items()?.iter().map(|item| renamed(item, wanted)).collect::<Result<_, _>>()?))
        }
        other => Ok(other.clone()),
    }
}
