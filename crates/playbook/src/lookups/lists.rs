//! Lookups that arrange lists and dicts.

use expressions::{Error, Value};

use super::{Call, elements};

/// Flattens one level.
pub(super) fn items(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for term in call.terms {
        all.extend(elements(term)?);
    }
    Ok(all)
}

pub(super) fn dict(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for term in call.terms {
        // A list of dicts is the dicts.
        for item in elements(term)? {
            let pairs = match &item {
                Value::Dict(dict) => dict.items()?,
                Value::Object(object) if object.keys().is_some() => {
                    let keys = object.keys().unwrap_or_default();
                    keys.into_iter().map(|key| Ok((key.clone(), item.get_item(&key)?))).collect::<Result<
                        Vec<_>,
                        Error,
                    >>(
                    )?
                }
                other => {
                    return Err(Error::new(format!(
                        "the 'dict' lookup plugin expects a dictionary, got '{}' of type {}",
                        other.python_str().unwrap_or_default(),
                        other.type_name()
                    )));
                }
            };
            all.extend(pairs.into_iter().map(|(key, value)| Value::dict([("key", key), ("value", value)])));
        }
    }
    Ok(all)
}

pub(super) fn indexed_items(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let all = items(call)?;
    Ok(all
        .into_iter()
        .enumerate()
        .map(|(index, item)| Value::tuple(vec![Value::from(index), item]))
        .collect())
}

/// All combinations, the last list runs fastest; each is a flat list.
pub(super) fn nested(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    if call.terms.is_empty() {
        return Err(Error::new("with_nested requires at least one element in the nested list"));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for term in call.terms {
        let choices = elements(term)?;
        if rows.len().saturating_mul(choices.len()) > MANY {
            return Err(Error::new("with_nested makes too many combinations"));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                choices.iter().map(move |choice| row.iter().cloned().chain([choice.clone()]).collect())
            })
            .collect();
    }
    rows.into_iter()
        .map(|row| {
            let mut flat = Vec::new();
            for item in row {
                flat.extend(elements(&item)?);
            }
            Ok(Value::list(flat))
        })
        .collect()
}

/// Nobody means more.
const MANY: usize = 10_000_000;

/// Element by element; shorter lists are filled with none.
pub(super) fn together(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    if call.terms.is_empty() {
        return Err(Error::new("with_together requires at least one element in each list"));
    }
    let columns = call.terms.iter().map(elements).collect::<Result<Vec<_>, _>>()?;
    let length = columns.iter().map(Vec::len).max().unwrap_or(0);
    let row = |index: usize| {
        let cells: Vec<Value> =
            columns.iter().map(|column| column.get(index).cloned().unwrap_or(Value::None)).collect();
        // A cell that is a list is spread.
        let mut flat = Vec::new();
        for cell in cells {
            flat.extend(elements(&cell)?);
        }
        Ok(Value::list(flat))
    };
    (0..length).map(row).collect()
}

pub(super) fn flattened(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    fn flatten(value: &Value, depth: usize, into: &mut Vec<Value>) -> Result<(), Error> {
        match value {
            Value::List(_) | Value::Tuple(_) if depth < 100 => {
                for item in elements(value)? {
                    flatten(&item, depth + 1, into)?;
                }
            }
            Value::None => {}
            other => into.push(other.clone()),
        }
        Ok(())
    }
    let mut all = Vec::new();
    for term in call.terms {
        flatten(term, 0, &mut all)?;
    }
    Ok(all)
}

/// Each dict with each element of one of its lists.
pub(super) fn subelements(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let wrong = |message: &str| Error::new(format!("subelements lookup expects {message}"));
    let [list, path, rest @ ..] = call.terms else { return Err(wrong("a list of two or three items")) };
    let flags = rest.first();
    let mut skip_missing = call.flag("skip_missing", false)?;
    if let Some(Value::Dict(flags)) = flags {
        if let Some(flag) = flags.get("skip_missing")? {
            skip_missing =
                flag.as_bool().or_else(|| catalog::arguments::truth(flag.as_str()?)).unwrap_or(false);
        }
    } else if flags.is_some() {
        return Err(wrong("a dict of flags as third item"));
    }
    let path = path.as_str().ok_or_else(|| wrong("a key as second item"))?.to_owned();
    let owners = match list {
        Value::Dict(dict) => dict.items()?.into_iter().map(|(_, value)| value).collect(),
        Value::List(_) | Value::Tuple(_) => elements(list)?,
        _ => return Err(wrong("a list or dict as first item")),
    };
    let mut all = Vec::new();
    for owner in owners {
        let Value::Dict(dict) = &owner else {
            return Err(wrong(&format!("dicts, got {}", owner.type_name())));
        };
        if dict.get("skipped")?.is_some_and(|skipped| skipped.as_bool() == Some(true)) {
            continue;
        }
        let Some(found) = descend(&owner, &path, skip_missing)? else { continue };
        let Value::List(_) = found else {
            if skip_missing {
                continue;
            }
            return Err(Error::new(format!(
                "the key {path} should point to a list, got {}",
                found.type_name()
            )));
        };
        let keys: Vec<&str> = path.split('.').collect();
        let owner = without(&owner, &keys);
        let pair = |element| Value::tuple(vec![owner.clone(), element]);
        all.extend(elements(&found)?.into_iter().map(pair));
    }
    Ok(all)
}

/// The dict without the list that is iterated.
fn without(owner: &Value, keys: &[&str]) -> Value {
    let (Value::Dict(dict), [key, deeper @ ..]) = (owner, keys) else { return owner.clone() };
    let entries = dict.raw_items().into_iter().filter_map(|(name, value)| {
        let mine = name.as_str() == Some(*key);
        match (mine, deeper.is_empty()) {
            (true, true) => None,
            (true, false) => Some((name, without(&value, deeper))),
            _ => Some((name, value)),
        }
    });
    Value::dict(entries.collect::<Vec<_>>())
}

fn descend(owner: &Value, path: &str, skip_missing: bool) -> Result<Option<Value>, Error> {
    let mut at = owner.clone();
    for key in path.split('.') {
        let next = match &at {
            Value::Dict(dict) => dict.get(key)?,
            _ => None,
        };
        match next {
            Some(value) => at = value,
            None if skip_missing => return Ok(None),
            None => return Err(Error::new(format!("could not find '{key}' key in iterated item"))),
        }
    }
    Ok(Some(at))
}

struct Sequence {
    start: i64,
    end: Option<i64>,
    count: Option<i64>,
    stride: Option<i64>,
    format: String,
}

/// `start=1 end=5 stride=2 format=%02x`, `5`, `2-10/2`, `4:host%02d`.
pub(super) fn sequence(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    let terms = call.texts()?;
    let none = [String::new()];
    for term in if terms.is_empty() && !call.options.is_empty() { &none[..] } else { &terms[..] } {
        let mut sequence =
            Sequence { start: 1, end: None, count: None, stride: None, format: "%d".to_owned() };
        for (name, value) in call.options {
            sequence.set(name, &value.python_str()?)?;
        }
        if !sequence.short_form(term)? {
            let parsed = crate::keyvalue::parse(term).map_err(|error| Error::new(error.message))?;
            for (name, value) in parsed.pairs {
                sequence.set(&name, &value)?;
            }
            if let Some(raw) = parsed.raw.filter(|raw| !raw.is_empty()) {
                return Err(Error::new(format!(
                    "the sequence '{raw}' has an invalid value; expected [start-]end[/stride][:format] in whole numbers"
                )));
            }
        }
        sequence.run(&mut all)?;
    }
    Ok(all)
}

impl Sequence {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let number = || {
            integer(value).ok_or_else(|| {
                Error::new(format!(
                    "Config '{name}' for 'sequence' lookup plugin from 'Direct' has an invalid value: \
                 Invalid value provided for 'integer': '{value}'"
                ))
            })
        };
        match name {
            "start" => self.start = number()?,
            "end" => self.end = Some(number()?),
            "count" => self.count = Some(number()?),
            "stride" => self.stride = Some(number()?),
            "format" => value.clone_into(&mut self.format),
            _ => return Err(Error::new(format!("unrecognized arguments to with_sequence: {name}"))),
        }
        Ok(())
    }

    /// `[start-]end[/stride][:format]`.
    fn short_form(&mut self, term: &str) -> Result<bool, Error> {
        let (range, format) =
            term.split_once(':').map_or((term, None), |(range, format)| (range, Some(format)));
        let (range, stride) =
            range.split_once('/').map_or((range, None), |(range, stride)| (range, Some(stride)));
        let (start, end) = range.split_once('-').map_or((None, range), |(start, end)| (Some(start), end));
        let Some(end) = integer(end) else { return Ok(false) };
        if let Some(start) = start {
            let Some(start) = integer(start) else { return Ok(false) };
            self.start = start;
        }
        if let Some(stride) = stride {
            let Some(stride) = integer(stride) else { return Ok(false) };
            self.stride = Some(stride);
        }
        self.end = Some(end);
        if let Some(format) = format {
            format.clone_into(&mut self.format);
        }
        Ok(true)
    }

    fn run(&self, all: &mut Vec<Value>) -> Result<(), Error> {
        let mut stride = self.stride.unwrap_or(1);
        let end = match (self.count, self.end) {
            (None, None) => return Err(Error::new("must specify count or end in with_sequence")),
            (Some(_), Some(_)) => {
                return Err(Error::new("can't specify both count and end in with_sequence"));
            }
            (Some(0), None) => return Ok(()),
            // Counting down goes on too far, as it does with Ansible.
            (Some(count), None) => self.start.saturating_add(count.saturating_mul(stride)).saturating_sub(1),
            (None, Some(end)) => end,
        };
        if stride == 0 {
            return Ok(());
        }
        if self.stride.is_none() && end < self.start {
            stride = 1;
        }
        if stride > 0 && end < self.start {
            return Err(Error::new("to count backwards make stride negative"));
        }
        if stride < 0 && end > self.start {
            return Err(Error::new("to count forward don't make stride negative"));
        }
        let mut at = self.start;
        while if stride > 0 { at <= end } else { at >= end } {
            if all.len() > MANY {
                return Err(Error::new("with_sequence makes too many items"));
            }
            all.push(Value::from(format_number(&self.format, at)?));
            let Some(next) = at.checked_add(stride) else { break };
            at = next;
        }
        Ok(())
    }
}

/// Decimal, `0x…` or octal with a leading `0`.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok();
    }
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return i64::from_str_radix(text.trim_start_matches('0'), 8)
            .ok()
            .or_else(|| text.bytes().all(|byte| byte == b'0').then_some(0));
    }
    text.parse().ok()
}

/// Exactly one `%…d`, `x`, `X`, `o`, with flags and width.
fn format_number(format: &str, number: i64) -> Result<String, Error> {
    if format.matches('%').count() != 1 {
        return Err(Error::new(format!("bad formatting string: {format}")));
    }
    let problem = || Error::new(format!("problem formatting {number} with '{format}'"));
    let (before, rest) = format.split_once('%').ok_or_else(problem)?;
    let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(problem)?;
    let (spec, rest) = rest.split_at(end);
    let kind = rest.chars().next().ok_or_else(problem)?;
    let after = &rest[1..];
    let left = spec.contains('-');
    let flags = spec.trim_start_matches(['-', '+', ' ', '#', '0']);
    let zero = !left && spec[..spec.len() - flags.len()].contains('0');
    let width: usize = if flags.is_empty() {
        0
    } else {
        flags.split('.').next().and_then(|width| width.parse().ok()).ok_or_else(problem)?
    };
    let sharp = spec.contains('#');
    let digits = match kind {
        'd' | 'i' | 'u' | 's' => number.unsigned_abs().to_string(),
        'x' => format!("{}{:x}", if sharp { "0x" } else { "" }, number.unsigned_abs()),
        'X' => format!("{}{:X}", if sharp { "0X" } else { "" }, number.unsigned_abs()),
        'o' => format!("{}{:o}", if sharp { "0o" } else { "" }, number.unsigned_abs()),
        _ => return Err(problem()),
    };
    let sign = if number < 0 {
        "-"
    } else if spec.contains('+') {
        "+"
    } else {
        ""
    };
    let used = sign.len() + digits.len();
    let fill = width.min(1000).saturating_sub(used);
    Ok(match (zero, left) {
        (true, _) => format!("{before}{sign}{}{digits}{after}", "0".repeat(fill)),
        (_, true) => format!("{before}{sign}{digits}{}{after}", " ".repeat(fill)),
        _ => format!("{before}{}{sign}{digits}{after}", " ".repeat(fill)),
    })
}
