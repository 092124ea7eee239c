//! Python's ways to format text: `%`, `str.format` and format specifications.

use num_bigint::{BigInt, Sign};

use crate::error::Error;
use crate::value::{Style, Value, as_missing, float_repr, is_number};

/// The widest field and the highest precision: more is a mistake, not a wish.
const WIDEST: usize = 1 << 16;

#[derive(Clone)]
struct Spec {
    fill: char,
    align: Option<char>,
    sign: char,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
    /// `0` in front of the width.
    zero: bool,
    /// A sign was asked for.
    signed: bool,
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Error> {
    let mut number: Option<usize> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        let next = number.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize);
        if next > WIDEST {
            return Err(Error::new("Too many decimal digits in format string"));
        }
        number = Some(next);
        chars.next();
    }
    Ok(number)
}

fn parse_spec(text: &str) -> Result<Spec, Error> {
    let mut spec = Spec {
        fill: ' ',
        align: None,
        sign: '-',
        alternate: false,
        width: 0,
        grouping: None,
        precision: None,
        kind: None,
        zero: false,
        signed: false,
    };
    let mut start = text.chars();
    let (first, second) = (start.next(), start.next());
    let is_align = |c: Option<char>| matches!(c, Some('<' | '>' | '=' | '^'));
    let mut chars = text.chars().peekable();
    if is_align(second) {
        spec.fill = first.unwrap_or(' ');
        spec.align = second;
        chars.nth(1);
    } else if is_align(first) {
        spec.align = first;
        chars.next();
    }
    if let Some(sign) = chars.next_if(|c| matches!(c, '+' | '-' | ' ')) {
        spec.sign = sign;
        spec.signed = true;
    }
    // `z` keeps zero from being negative; no float that a template meets needs it.
    chars.next_if_eq(&'z');
    spec.alternate = chars.next_if_eq(&'#').is_some();
    // `0` fills behind the sign; for text it only fills.
    if chars.next_if_eq(&'0').is_some() && spec.align.is_none() {
        spec.fill = '0';
        spec.zero = true;
    }
    spec.width = number(&mut chars)?.unwrap_or(0);
    spec.grouping = chars.next_if(|c| matches!(c, ',' | '_'));
    if chars.next_if_eq(&'.').is_some() {
        let precision = number(&mut chars)?;
        spec.precision = Some(precision.ok_or_else(|| Error::new("Format specifier missing precision"))?);
    }
    spec.kind = chars.next();
    if chars.next().is_some() {
        return Err(Error::new("Invalid format specifier"));
    }
    Ok(spec)
}

/// `format(value, spec)`
pub(crate) fn format_value(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return value.python_str();
    }
    if let Value::Object(object) = value
        && let Some(formatted) = object.call_method("strftime", &[Value::str(spec)], &[])
    {
        return formatted?.python_str();
    }
    let parsed = parse_spec(spec)?;
    match value {
        Value::Str(s) => format_string(s.as_str(), &parsed),
        Value::Float(f) => format_float(*f, &parsed),
        _ => match value.as_big() {
            Some(integer) => format_integer(&integer, &parsed),
            None => {
                let kind = value.type_name();
                Err(Error::new(format!("unsupported format string passed to {kind}.__format__")))
            }
        },
    }
}

fn pad(text: String, spec: &Spec, default: char) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    let fill = |count: usize| std::iter::repeat_n(spec.fill, count).collect::<String>();
    match spec.align.unwrap_or(if spec.zero && default == '>' { '=' } else { default }) {
        '<' => text + &fill(missing),
        '^' => fill(missing / 2) + &text + &fill(missing - missing / 2),
        '=' => {
            let head = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
            format!("{}{}{}", &text[..head], fill(missing), &text[head..])
        }
        _ => fill(missing) + &text,
    }
}

fn unknown(kind: char, name: &str) -> Error {
    Error::new(format!("Unknown format code '{kind}' for object of type '{name}'"))
}

fn format_string(text: &str, spec: &Spec) -> Result<String, Error> {
    if let Some(kind) = spec.kind.filter(|kind| *kind != 's') {
        return Err(unknown(kind, "str"));
    }
    if spec.signed || spec.grouping.is_some() || spec.align == Some('=') || spec.alternate {
        return Err(Error::new("Sign, '=', '#' and grouping not allowed in string format specifier"));
    }
    let text = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    Ok(pad(text, spec, '<'))
}

fn grouped(digits: &str, separator: char, every: usize) -> String {
    let (whole, rest) =
        digits.split_at(digits.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(digits.len()));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % every == 0 {
            out.push(separator);
        }
        out.push(digit);
    }
    out + rest
}

fn signed(negative: bool, sign: char, digits: &str) -> String {
    match (negative, sign) {
        (true, _) => format!("-{digits}"),
        (false, '+') => format!("+{digits}"),
        (false, ' ') => format!(" {digits}"),
        _ => digits.to_owned(),
    }
}

fn radix_digits(integer: &BigInt, kind: char, alternate: bool) -> String {
    let magnitude = integer.magnitude();
    let (prefix, digits) = match kind {
        'x' => ("0x", magnitude.to_str_radix(16)),
        'X' => ("0X", magnitude.to_str_radix(16).to_uppercase()),
        'o' => ("0o", magnitude.to_str_radix(8)),
        'b' => ("0b", magnitude.to_str_radix(2)),
        _ => ("", magnitude.to_string()),
    };
    if alternate { format!("{prefix}{digits}") } else { digits }
}

fn format_integer(integer: &BigInt, spec: &Spec) -> Result<String, Error> {
    let kind = spec.kind.unwrap_or('d');
    if spec.precision.is_some() && !matches!(kind, 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') {
        return Err(Error::new("Precision not allowed in integer format specifier"));
    }
    let digits = match kind {
        'd' | 'n' | 'x' | 'X' | 'o' | 'b' => radix_digits(integer, kind, spec.alternate),
        'c' => {
            let code = u32::try_from(integer).ok().and_then(char::from_u32);
            let c = code.ok_or_else(|| Error::new("%c arg not in range(0x110000)"))?;
            return Ok(pad(c.to_string(), spec, '<'));
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' => {
            return format_float(integer.to_string().parse().unwrap_or(f64::INFINITY), spec);
        }
        other => return Err(unknown(other, "int")),
    };
    let digits = match spec.grouping {
        Some(separator) => grouped(&digits, separator, if kind == 'd' { 3 } else { 4 }),
        None => digits,
    };
    Ok(pad(signed(integer.sign() == Sign::Minus, spec.sign, &digits), spec, '>'))
}

fn format_float(float: f64, spec: &Spec) -> Result<String, Error> {
    let magnitude = float.abs();
    let digits = match spec.kind {
        None if spec.precision.is_none() => float_repr(magnitude),
        None => {
            let text = general(magnitude, spec.precision.unwrap_or(6), false, false);
            if text.contains(['.', 'e', 'n', 'i']) { text } else { text + ".0" }
        }
        Some(kind) => float_digits(magnitude, kind, spec.precision.unwrap_or(6), spec.alternate)
            .ok_or_else(|| unknown(kind, "float"))?,
    };
    let digits = match spec.grouping {
        Some(separator) => grouped(&digits, separator, 3),
        None => digits,
    };
    Ok(pad(signed(float.is_sign_negative() && !float.is_nan(), spec.sign, &digits), spec, '>'))
}

fn float_digits(float: f64, kind: char, precision: usize, alternate: bool) -> Option<String> {
    let upper = kind.is_ascii_uppercase();
    let text = match kind.to_ascii_lowercase() {
        _ if float.is_nan() => "nan".to_owned(),
        _ if float.is_infinite() => "inf".to_owned(),
        'f' => format!("{float:.precision$}"),
        'e' => exponent(float, precision),
        'g' | 'n' => general(float, precision, alternate, true),
        '%' => format!("{:.precision$}%", float * 100.0),
        _ => return None,
    };
    Some(if upper { text.to_uppercase() } else { text })
}

fn exponent(float: f64, precision: usize) -> String {
    let text = format!("{float:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%g`: the shorter of fixed and exponent, without trailing zeros.
fn general(float: f64, precision: usize, alternate: bool, typed: bool) -> String {
    let precision = precision.max(1);
    let scientific = exponent(float, precision - 1);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    // Without a type code Python keeps one digit behind the point, so its limit is one lower.
    let fixed =
        exponent >= -4 && exponent < if typed { limit } else { limit.max(2) - 1 + i32::from(limit == 1) };
    let strip = |text: &str| {
        if alternate || !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if fixed {
        let digits = usize::try_from(limit - 1 - exponent).unwrap_or(0);
        return strip(&format!("{float:.digits$}"));
    }
    let (digits, tail) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
    format!("{}e{tail}", strip(digits))
}

/// `format % args`
pub(crate) fn percent(format: &str, args: &Value) -> Result<String, Error> {
    let items: Vec<Value> = match args {
        Value::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut next = items.into_iter();
    let mut used_mapping = false;
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let key = conversion_key(&mut chars)?;
        let mut spec = Spec {
            fill: ' ',
            align: None,
            sign: '-',
            alternate: false,
            width: 0,
            grouping: None,
            precision: None,
            kind: None,
            zero: false,
            signed: false,
        };
        percent_flags(&mut chars, &mut spec);
        let mut argument = || next.next().ok_or_else(|| Error::new("not enough arguments for format string"));
        spec.width = match chars.next_if_eq(&'*') {
            Some(_) => starred(&argument()?, &mut spec)?,
            None => number(&mut chars)?.unwrap_or(0),
        };
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(match chars.next_if_eq(&'*') {
                Some(_) => starred(&argument()?, &mut spec.clone())?,
                None => number(&mut chars)?.unwrap_or(0),
            });
        }
        while chars.next_if(|c| matches!(c, 'h' | 'l' | 'L')).is_some() {}
        let Some(kind) = chars.next() else { return Err(Error::new("incomplete format")) };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match key {
            Some(key) => {
                used_mapping = true;
                mapped(args, &key)?
            }
            None => argument()?,
        };
        out.push_str(&percent_one(&value, kind, &mut spec)?);
    }
    let leftover = next.next().is_some();
    if leftover && !used_mapping && !matches!(args, Value::Dict(_) | Value::List(_)) {
        return Err(Error::new("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn conversion_key(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<String>, Error> {
    if chars.next_if_eq(&'(').is_none() {
        return Ok(None);
    }
    let mut key = String::new();
    loop {
        match chars.next() {
            Some(')') => return Ok(Some(key)),
            Some(c) => key.push(c),
            None => return Err(Error::new("incomplete format key")),
        }
    }
}

fn percent_flags(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, spec: &mut Spec) {
    while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | ' ' | '#' | '0')) {
        match flag {
            '-' => spec.align = Some('<'),
            '+' => spec.sign = '+',
            ' ' if spec.sign != '+' => spec.sign = ' ',
            '#' => spec.alternate = true,
            '0' => spec.fill = '0',
            _ => {}
        }
    }
    if spec.align == Some('<') {
        spec.fill = ' ';
    }
}

fn starred(value: &Value, spec: &mut Spec) -> Result<usize, Error> {
    let width = value.as_i64().ok_or_else(|| Error::new("* wants int"))?;
    if width < 0 {
        spec.align = Some('<');
        spec.fill = ' ';
    }
    let width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if width > WIDEST { Err(Error::new("width too big")) } else { Ok(width) }
}

fn mapped(args: &Value, key: &str) -> Result<Value, Error> {
    let Value::Dict(dict) = args else { return Err(Error::new("format requires a mapping")) };
    dict.get(key)?.ok_or_else(|| Error::new(format!("'{key}'")))
}

fn percent_one(value: &Value, kind: char, spec: &mut Spec) -> Result<String, Error> {
    if let Some(missing) = as_missing(value) {
        return Err(missing.error());
    }
    let name = value.type_name();
    let zero = spec.fill == '0';
    spec.align = spec.align.or(Some(if zero { '=' } else { '>' }));
    match kind {
        's' | 'r' | 'a' => {
            spec.fill = ' ';
            if spec.align == Some('=') {
                spec.align = Some('>');
            }
            let mut text = String::new();
            if kind == 's' {
                value.write_str(&mut text, Style::Python)?
            } else {
                value.write_repr(&mut text, Style::Python)?
            }
            spec.kind = None;
            format_string(&text, spec)
        }
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let real = matches!(kind, 'd' | 'i' | 'u');
            let integer = match value {
                Value::Float(f) if real => crate::value::float_to_big(f.trunc()),
                other => other.as_big(),
            };
            let wanted = if real { "a real number" } else { "an integer" };
            let integer = integer
                .ok_or_else(|| Error::new(format!("%{kind} format: {wanted} is required, not {name}")))?;
            let kind = if real { 'd' } else { kind };
            let mut digits = radix_digits(&integer, kind, spec.alternate);
            if let Some(precision) = spec.precision {
                digits = format!("{digits:0>precision$}");
            }
            Ok(pad(signed(integer.sign() == Sign::Minus, spec.sign, &digits), spec, '>'))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let float = value.as_f64().filter(|_| is_number(value));
            let float = float.ok_or_else(|| Error::new(format!("must be real number, not {name}")))?;
            spec.kind = Some(kind);
            format_float(float, spec)
        }
        'c' => {
            spec.fill = ' ';
            let text = match value {
                Value::Str(s) if s.as_str().chars().count() == 1 => s.as_str().to_owned(),
                Value::Int(_) | Value::Bool(_) => {
                    let c = value.as_i64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
                    c.ok_or_else(|| Error::new("%c arg not in range(0x110000)"))?.to_string()
                }
                _ => return Err(Error::new("%c requires int or char")),
            };
            Ok(pad(text, spec, '>'))
        }
        other => Err(Error::new(format!("unsupported format character '{other}' (0x{:x})", other as u32))),
    }
}

/// `format.format(*args, **named)`
pub(crate) fn str_format(
    format: &str,
    args: &[Value],
    named: &dyn Fn(&str) -> Result<Option<Value>, Error>,
) -> Result<String, Error> {
    let mut automatic = 0;
    format_fields(format, args, named, &mut automatic, 0)
}

fn format_fields(
    format: &str,
    args: &[Value],
    named: &dyn Fn(&str) -> Result<Option<Value>, Error>,
    automatic: &mut usize,
    depth: usize,
) -> Result<String, Error> {
    if depth > 2 {
        return Err(Error::new("Max string recursion exceeded"));
    }
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            out.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        if tail.starts_with('}') {
            return Err(Error::new("Single '}' encountered in format string"));
        }
        let end = field_end(tail)?;
        let field = &tail[1..end];
        rest = &tail[end + 1..];
        let (head, spec) = split_field(field);
        let (name, conversion) = match head.rsplit_once('!') {
            Some((name, conversion)) => (name, Some(conversion)),
            None => (head, None),
        };
        let value = field_value(name, args, named, automatic)?;
        let spec = format_fields(spec, args, named, automatic, depth + 1)?;
        let text = match conversion {
            None => format_value(&value, &spec)?,
            Some("s") => format_value(&Value::from(value.python_str()?), &spec)?,
            Some("r" | "a") => format_value(&Value::from(value.python_repr()?), &spec)?,
            Some(other) => return Err(Error::new(format!("Unknown conversion specifier '{other}'"))),
        };
        out.push_str(&text);
    }
    out.push_str(rest);
    Ok(out)
}

fn field_end(text: &str) -> Result<usize, Error> {
    let mut depth = 0;
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(index);
        }
    }
    Err(Error::new("Single '{' encountered in format string"))
}

/// Name and specification of a field: the first colon that is not inside brackets.
fn split_field(field: &str) -> (&str, &str) {
    let mut brackets = 0;
    for (index, c) in field.char_indices() {
        match c {
            '[' => brackets += 1,
            ']' => brackets -= 1,
            ':' if brackets <= 0 => return (&field[..index], &field[index + 1..]),
            _ => {}
        }
    }
    (field, "")
}

fn field_value(
    name: &str,
    args: &[Value],
    named: &dyn Fn(&str) -> Result<Option<Value>, Error>,
    automatic: &mut usize,
) -> Result<Value, Error> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(end);
    let positional = |index: usize| {
        args.get(index).cloned().ok_or_else(|| {
            Error::new(format!("Replacement index {index} out of range for positional args tuple"))
        })
    };
    let mut value = if first.is_empty() {
        *automatic += 1;
        positional(*automatic - 1)?
    } else if let Ok(index) = first.parse::<usize>() {
        if *automatic > 0 {
            return Err(Error::new(
                "cannot switch from automatic field numbering to manual field specification",
            ));
        }
        positional(index)?
    } else {
        named(first)?.ok_or_else(|| Error::new(format!("'{first}'")))?
    };
    while !path.is_empty() {
        if let Some(tail) = path.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let attribute = &tail[..end];
            let kind = value.type_name().to_owned();
            value = match &value {
                Value::Object(object) => object.get(&Value::str(attribute))?,
                other => crate::methods::number_attribute(other, attribute),
            }
            .ok_or_else(|| Error::new(format!("'{kind}' object has no attribute '{attribute}'")))?;
            path = &tail[end..];
        } else if let Some(tail) = path.strip_prefix('[') {
            let end = tail.find(']').ok_or_else(|| Error::new("Missing ']' in format string"))?;
            let key = &tail[..end];
            let key = key.parse::<i64>().map_or_else(|_| Value::str(key), Value::Int);
            value = value.item(&key)?.ok_or_else(|| Error::new(format!("{key:?}")))?;
            path = &tail[end + 1..];
        } else {
            return Err(Error::new("Only '.' or '[' may follow ']' in format field specifier"));
        }
    }
    value.defined()
}
