//! JSON, YAML and encodings.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Function, size_or, text_of, text_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::methods::string::{decoded, encoded};
use crate::value::Value;
use crate::{json_in, json_out, yaml_out};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "to_json" => |_, value, args| to_json(value, args, None, false),
        "to_nice_json" => |_, value, args| to_json(value, args, Some(4), true),
        "tojson" => |_, value, args| {
            let [indent] = args.bind("tojson", ["indent"])?;
            let indent = indent
                .filter(|indent| !indent.is_none())
                .map(|indent| size_or(Some(indent), 0))
                .transpose()?;
            if let Value::Dict(dict) = value {
                let keys = dict.keys();
                let texts = keys.iter().filter(|key| key.as_str().is_some()).count();
                if texts != 0 && texts != keys.len() {
                    return Err(Error::new("'<' not supported between instances of 'str' and 'int'"));
                }
            }
            let style = json_out::Style { indent, sort_keys: true, ..json_out::Style::default() };
            let text = json_out::write(value, &style)?;
            Ok(Value::from(
                text.replace('<', "\\u003c")
                    .replace('>', "\\u003e")
                    .replace('&', "\\u0026")
                    .replace('\'', "\\u0027"),
            ))
        },
        "from_json" => from_json,
        "to_yaml" => |_, value, args| to_yaml(value, args, 2, None),
        "to_nice_yaml" => |_, value, args| to_yaml(value, args, 4, Some(false)),
        "from_yaml" => |run, value, _| match value {
            Value::Str(text) => run.context.parse_yaml(text.as_str()),
            other => Ok(other.clone()),
        },
        "from_yaml_all" => |run, value, _| match value {
            Value::Str(text) => run.context.parse_yaml_all(text.as_str()).map(Value::list),
            other => Ok(other.clone()),
        },
        "b64encode" => b64encode,
        "b64decode" => b64decode,
        _ => return None,
    })
}

fn optional(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !value.is_none())
}

fn to_json(value: &Value, mut args: Args, indent: Option<usize>, sort: bool) -> Result<Value, Error> {
    let indent = match optional(args.take("indent").or_else(|| args.positional.first().cloned())) {
        Some(given) => Some(size_or(Some(given), 0)?),
        None => indent,
    };
    const KNOWN: [&str; 9] = [
        "sort_keys",
        "ensure_ascii",
        "separators",
        "skipkeys",
        "check_circular",
        "allow_nan",
        "default",
        "cls",
        "vault_to_text",
    ];
    if let Some((name, _)) = args.named.iter().find(|(name, _)| !KNOWN.contains(&&**name)) {
        return Err(Error::new(format!("to_json got an unexpected keyword argument '{name}'")));
    }
    let sort_keys = truth_or(args.take("sort_keys"), sort)?;
    let ascii = truth_or(args.take("ensure_ascii"), true)?;
    let mut style = json_out::Style { indent, sort_keys, ascii, ..json_out::Style::default() };
    if let Some(separators) = optional(args.take("separators")) {
        let parts = separators.iterate()?;
        let [item, key] = parts.as_slice() else { return Err(Error::new("separators must be a pair")) };
        (style.item, style.key) = (text_of(item)?, text_of(key)?);
    }
    json_out::write(value, &style).map(Value::from)
}

fn from_json(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    let text = match value {
        Value::Str(text) => text.as_str().to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => {
            let kind = other.type_name();
            return Err(Error::new(format!("the JSON object must be str, bytes or bytearray, not {kind}")));
        }
    };
    json_in::read(&text)
}

fn to_yaml(value: &Value, mut args: Args, indent: usize, flow: Option<bool>) -> Result<Value, Error> {
    let flow = match args.take("default_flow_style") {
        Some(Value::None) => None,
        Some(given) => Some(given.truth()?),
        None => flow,
    };
    let indent = size_or(optional(args.take("indent").or_else(|| args.positional.first().cloned())), indent)?;
    if args.take("allow_unicode").is_some() {
        // Ansible says it itself, and says it twice then.
        return Err(Error::new("to_yaml got multiple values for keyword argument 'allow_unicode'"));
    }
    let width = size_or(optional(args.take("width")), 80)?;
    let indent = if (2..10).contains(&indent) { indent } else { 2 };
    let options = yaml_out::Options {
        indent,
        width: if width <= indent * 2 { 80 } else { width },
        flow,
        sort_keys: truth_or(args.take("sort_keys"), true)?,
        unicode: true,
        explicit_start: truth_or(args.take("explicit_start"), false)?,
        explicit_end: truth_or(args.take("explicit_end"), false)?,
        default_style: optional(args.take("default_style")).and_then(|style| style.as_str()?.chars().next()),
    };
    yaml_out::write(value, &options).map(Value::from)
}

fn b64encode(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [encoding, urlsafe] = args.bind("b64encode", ["encoding", "urlsafe"])?;
    let bytes = match value {
        Value::Bytes(bytes) => bytes.to_vec(),
        other => {
            let text = text_of(other)?;
            match text_or(encoding, "utf-8")?.to_lowercase().as_str() {
                "utf-8" | "utf8" => catalog::bytes::unescape(&text),
                name => encoded(&text, name)?,
            }
        }
    };
    let engine = if truth_or(urlsafe, false)? {
        base64::engine::general_purpose::URL_SAFE
    } else {
        base64::engine::general_purpose::STANDARD
    };
    Ok(Value::from(engine.encode(bytes)))
}

fn b64decode(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [encoding, urlsafe] = args.bind("b64decode", ["encoding", "urlsafe"])?;
    let alphabet = if truth_or(urlsafe, false)? { alphabet::URL_SAFE } else { alphabet::STANDARD };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text: String = text_of(value)?.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = GeneralPurpose::new(&alphabet, config)
        .decode(text)
        .map_err(|error| Error::new(format!("this is not base64: {error}")))?;
    let encoding = text_or(encoding, "utf-8")?;
    // What is no text stays as it is: it may be the content of a file.
    if matches!(encoding.to_lowercase().as_str(), "utf-8" | "utf8") {
        return Ok(Value::from(catalog::bytes::escape(&bytes)));
    }
    decoded(&bytes, &encoding).map(Value::from)
}
