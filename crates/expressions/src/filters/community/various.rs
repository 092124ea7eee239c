//! Filters of `community.general` that stand for themselves.

use std::cmp::Ordering;

use super::csv;
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::filters::{Function, needed, text_of, text_or, truth_or};
use crate::jmespath;
use crate::stable;
use crate::tests::loose_order;
use crate::twister::Twister;
use crate::value::{Dict, Operator, Value, apply};
use unicode_normalization::UnicodeNormalization as _;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "json_query" => |_, value, args| {
            let [query] = args.bind("json_query", ["expr"])?;
            jmespath::search(&text_of(&needed(query, "json_query", "expr")?)?, value)
        },
        "counter" => counter,
        "dict" => |_, value, args| {
            let _: [_; 0] = args.bind("dict", [])?;
            let new = Value::from(Dict::new());
            let args = Args { positional: vec![value.clone()], named: Vec::new() };
            crate::methods::call(&new, "update", &args).unwrap_or(Ok(Value::None))?;
            Ok(new)
        },
        "dict_kv" => |_, value, args| {
            let [key] = args.bind("dict_kv", ["key"])?;
            let key = needed(key, "dict_kv", "key")?;
            key.check_hashable()?;
            Ok(Value::dict([(key, value.clone())]))
        },
        "from_csv" => csv::from_csv,
        "from_ini" => csv::from_ini,
        "to_ini" => csv::to_ini,
        "groupby_as_dict" => groupby_as_dict,
        "version_sort" => version_sort,
        "unicode_normalize" => unicode_normalize,
        "random_mac" => random_mac,
        "accumulate" => accumulate,
        "crc32" => crc32,
        _ => return None,
    })
}

fn counter(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    if !matches!(value, Value::List(_) | Value::Tuple(_) | Value::Str(_)) {
        return Err(Error::new(format!(
            "Argument for community.general.counter must be a sequence, it is a '{}'",
            value.type_name()
        )));
    }
    let counts = Dict::new();
    for item in value.elements()? {
        item.check_hashable()?;
        let old = counts.get_value(&item)?.and_then(|count| count.as_i64()).unwrap_or(0);
        counts.insert(item, Value::Int(old + 1));
    }
    Ok(Value::from(counts))
}

fn groupby_as_dict(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [attribute] = args.bind("groupby_as_dict", ["attribute"])?;
    let attribute = text_of(&needed(attribute, "groupby_as_dict", "attribute")?)?;
    let Value::List(list) = value else { return Err(Error::new("Input is not a sequence")) };
    let groups = Dict::new();
    for item in list.items()? {
        let Value::Dict(dict) = &item else { return Err(Error::new("Sequence element is not a mapping")) };
        let key = dict
            .get(&attribute)?
            .ok_or_else(|| Error::new(format!("Attribute not contained in element: {attribute}")))?;
        key.check_hashable()?;
        if groups.contains_value(&key) {
            return Err(Error::new(format!("Multiple sequence entries have attribute value {key:?}")));
        }
        groups.insert(key, item);
    }
    Ok(Value::from(groups))
}

fn version_sort(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [reverse] = args.bind("version_sort", ["reverse"])?;
    let reverse = truth_or(reverse, false)?;
    let mut keyed = Vec::new();
    for item in value.elements()? {
        keyed.push((text_of(&item)?, item));
    }
    let first = if reverse { Ordering::Greater } else { Ordering::Less };
    let sorted = stable::sort(keyed, &mut |(a, _), (b, _)| Ok::<_, Error>(loose_order(a, b)? == first))?;
    Ok(Value::list(sorted.into_iter().map(|(_, item)| item).collect()))
}

fn unicode_normalize(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [form] = args.bind("unicode_normalize", ["form"])?;
    let Value::Str(text) = value else {
        return Err(Error::new("Incorrect type for normalization, expected text"));
    };
    let text = text.as_str();
    Ok(Value::from(match text_or(form, "NFC")?.as_str() {
        "NFC" => text.nfc().collect::<String>(),
        "NFD" => text.nfd().collect(),
        "NFKC" => text.nfkc().collect(),
        "NFKD" => text.nfkd().collect(),
        other => return Err(Error::new(format!("{other} is not a valid form"))),
    }))
}

fn random_mac(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [seed] = args.bind("random_mac", ["seed"])?;
    let Value::Str(text) = value else {
        return Err(Error::new(format!(
            "Invalid value type ({}) for random_mac ({value:?})",
            value.type_name()
        )));
    };
    let given = text.as_str().to_lowercase();
    let parts: Vec<&str> = given.split(':').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || parts.len() > 5 {
        let count = parts.len();
        return Err(Error::new(format!(
            "Invalid value ({given}) for random_mac: {count} colon(:) separated items"
        )));
    }
    for part in &parts {
        let hexadecimal = part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        if !hexadecimal {
            return Err(Error::new(format!("Invalid value ({given}) for random_mac: {part} not hexa byte")));
        }
    }
    let mut random = Twister::new(seed.as_ref())?;
    let missing = 6 - parts.len();
    // A number of ten digits, of which the first are taken.
    const LEAST: u64 = 0x10_0000_0000;
    let digits = format!("{:x}", LEAST + random.below(0xf0_0000_0000));
    let mut out = parts.join(":");
    for place in 0..missing {
        out.push_str(&format!(":{}", &digits[2 * place..2 * place + 2]));
    }
    Ok(Value::from(out))
}

fn accumulate(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    if !matches!(value, Value::List(_) | Value::Tuple(_) | Value::Str(_)) {
        return Err(Error::new(format!(
            "Invalid value type ({}) for accumulate ({value:?})",
            value.type_name()
        )));
    }
    let mut all = Vec::new();
    for item in value.elements()? {
        let next = match all.last() {
            Some(last) => apply(Operator::Add, last, &item)?,
            None => item,
        };
        all.push(next);
    }
    Ok(Value::list(all))
}

fn crc32(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    let Value::Str(text) = value else {
        return Err(Error::new(format!("Invalid value type ({}) for crc32 ({value:?})", value.type_name())));
    };
    let crc = text.as_str().bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    Ok(Value::from(format!("{:x}", !crc)))
}
