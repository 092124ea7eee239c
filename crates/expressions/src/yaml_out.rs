//! YAML as PyYAML (on libyaml) writes it: its choice of styles, quotes, indents and line breaks.

use crate::error::Error;
use crate::json_out::sort_entries;
use crate::value::{Value, as_missing, deeper, float_repr};

pub(crate) struct Options {
    pub(crate) indent: usize,
    pub(crate) width: usize,
    /// `None`: collections of nothing but scalars are written in one line.
    pub(crate) flow: Option<bool>,
    pub(crate) sort_keys: bool,
    pub(crate) unicode: bool,
    pub(crate) explicit_start: bool,
    pub(crate) explicit_end: bool,
    pub(crate) default_style: Option<char>,
}

pub(crate) fn write(value: &Value, options: &Options) -> Result<String, Error> {
    let mut emitter = Emitter {
        options,
        out: String::new(),
        column: 0,
        whitespace: true,
        indention: true,
        flow_level: 0,
        simple_key: false,
    };
    if options.explicit_start {
        emitter.indicator("---", true, false, false);
    }
    emitter.node(value, None, false)?;
    if emitter.column > 0 {
        emitter.line();
    }
    if options.explicit_end {
        emitter.out.push_str("...\n");
    }
    Ok(emitter.out)
}

struct Emitter<'a> {
    options: &'a Options,
    out: String,
    column: usize,
    whitespace: bool,
    indention: bool,
    flow_level: usize,
    simple_key: bool,
}

/// Like libyaml's: no indent yet is different from none.
type Indent = Option<usize>;

impl Emitter<'_> {
    fn deeper(&self, indent: Indent, flow: bool) -> Indent {
        match indent {
            None => Some(if flow { self.options.indent } else { 0 }),
            Some(indent) => Some(indent + self.options.indent),
        }
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn indent(&mut self, indent: Indent) {
        let indent = indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line();
        }
        while self.column < indent {
            self.put(" ");
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_space: bool, is_space: bool, is_indention: bool) {
        if need_space && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
    }

    /// Is this collection written in one line, with brackets?
    fn in_flow(&self, value: &Value) -> Result<bool, Error> {
        if self.flow_level > 0 || !value.truth()? {
            return Ok(true);
        }
        if let Some(flow) = self.options.flow {
            return Ok(flow);
        }
        let scalar = |value: &Value| !matches!(value, Value::List(_) | Value::Tuple(_) | Value::Dict(_));
        Ok(match value {
            Value::Dict(dict) => dict.items()?.iter().all(|(key, value)| scalar(key) && scalar(value)),
            other => other.iterate()?.iter().all(scalar),
        })
    }

    fn node(&mut self, value: &Value, indent: Indent, in_mapping: bool) -> Result<(), Error> {
        deeper()?;
        if let Some(missing) = as_missing(value) {
            return Err(missing.error());
        }
        match value {
            Value::Dict(dict) => {
                let mut entries = dict.items()?;
                if self.options.sort_keys {
                    sort_entries(&mut entries);
                }
                if self.in_flow(value)? {
                    self.flow_mapping(&entries, indent)
                } else {
                    self.block_mapping(&entries, indent)
                }
            }
            Value::List(_) | Value::Tuple(_) => {
                let items = value.iterate()?;
                if self.in_flow(value)? {
                    self.flow_sequence(&items, indent)
                } else {
                    self.block_sequence(&items, indent, in_mapping)
                }
            }
            _ => self.scalar(value, indent),
        }
    }

    fn block_sequence(&mut self, items: &[Value], indent: Indent, in_mapping: bool) -> Result<(), Error> {
        let indent = if in_mapping && !self.indention { indent } else { self.deeper(indent, false) };
        for item in items {
            self.indent(indent);
            self.indicator("-", true, false, true);
            self.node(item, indent, false)?;
        }
        Ok(())
    }

    fn block_mapping(&mut self, entries: &[(Value, Value)], indent: Indent) -> Result<(), Error> {
        let indent = self.deeper(indent, false);
        for (key, value) in entries {
            self.indent(indent);
            self.key(key, indent)?;
            self.node(value, indent, true)?;
        }
        Ok(())
    }

    fn key(&mut self, key: &Value, indent: Indent) -> Result<(), Error> {
        if is_simple_key(key) {
            self.simple_key = true;
            self.node(key, indent, true)?;
            self.simple_key = false;
            self.indicator(":", false, false, false);
            return Ok(());
        }
        self.indicator("?", true, false, true);
        self.node(key, indent, true)?;
        self.indent(indent);
        self.indicator(":", true, false, true);
        Ok(())
    }

    fn flow_sequence(&mut self, items: &[Value], indent: Indent) -> Result<(), Error> {
        self.indicator("[", true, true, false);
        self.flow_level += 1;
        let inner = self.deeper(indent, true);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.options.width {
                self.indent(inner);
            }
            self.node(item, inner, false)?;
        }
        self.flow_level -= 1;
        self.indicator("]", false, false, false);
        Ok(())
    }

    fn flow_mapping(&mut self, entries: &[(Value, Value)], indent: Indent) -> Result<(), Error> {
        self.indicator("{", true, true, false);
        self.flow_level += 1;
        let inner = self.deeper(indent, true);
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.options.width {
                self.indent(inner);
            }
            self.key(key, inner)?;
            self.node(value, inner, true)?;
        }
        self.flow_level -= 1;
        self.indicator("}", false, false, false);
        Ok(())
    }

    fn scalar(&mut self, value: &Value, indent: Indent) -> Result<(), Error> {
        let indent = self.deeper(indent, true);
        let (text, is_string) = match value {
            Value::Str(s) => (s.as_str().to_owned(), true),
            Value::Bytes(b) => (String::from_utf8_lossy(b).into_owned(), true),
            Value::None => ("null".to_owned(), false),
            Value::Bool(b) => (b.to_string(), false),
            Value::Float(f) => (yaml_float(*f), false),
            Value::Object(o) if o.json().is_none() => {
                let kind = o.type_name();
                return Err(Error::new(format!("cannot represent an object of type '{kind}'")));
            }
            other => (other.python_str()?, false),
        };
        let breaks = !self.simple_key;
        match self.style(&text, is_string) {
            Quotes::None => self.plain(&text, indent, breaks),
            Quotes::Single => self.single(&text, indent, breaks),
            Quotes::Double => self.double(&text, indent, breaks),
        }
        Ok(())
    }

    fn style(&self, text: &str, is_string: bool) -> Quotes {
        let found = analyze(text, self.options.unicode);
        match self.options.default_style {
            Some('"') => return Quotes::Double,
            Some('\'') if found.single_allowed && !(self.simple_key && found.multiline) => {
                return Quotes::Single;
            }
            _ => {}
        }
        let plain = if self.flow_level > 0 { found.flow_plain } else { found.block_plain }
            && !(text.is_empty() && (self.flow_level > 0 || self.simple_key))
            && (!is_string || resolves_to_string(text));
        if plain {
            Quotes::None
        } else if found.single_allowed && !(self.simple_key && found.multiline) {
            Quotes::Single
        } else {
            Quotes::Double
        }
    }

    fn plain(&mut self, text: &str, indent: Indent, breaks: bool) {
        if !self.whitespace && (!text.is_empty() || self.flow_level > 0) {
            self.put(" ");
        }
        let mut spaces = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' && breaks && !spaces && self.column > self.options.width && chars.peek() != Some(&' ')
            {
                self.indent(indent);
            } else {
                self.put(c.encode_utf8(&mut [0; 4]));
                if c != ' ' {
                    self.indention = false;
                }
            }
            spaces = c == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, indent: Indent, allow_breaks: bool) {
        self.indicator("'", true, false, false);
        let (mut spaces, mut breaks, mut first) = (false, false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                let inside = !first && chars.peek().is_some_and(|next| *next != ' ');
                if allow_breaks && !spaces && self.column > self.options.width && inside {
                    self.indent(indent);
                } else {
                    self.put(" ");
                }
                spaces = true;
            } else if c == '\n' {
                if !breaks {
                    self.line();
                }
                self.line();
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if c == '\'' {
                    self.put("'");
                }
                self.put(c.encode_utf8(&mut [0; 4]));
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
            first = false;
        }
        if breaks {
            self.indent(indent);
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str, indent: Indent, allow_breaks: bool) {
        self.indicator("\"", true, false, false);
        let (mut spaces, mut first) = (false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                if allow_breaks
                    && !spaces
                    && self.column > self.options.width
                    && !first
                    && chars.peek().is_some()
                {
                    self.indent(indent);
                    if chars.peek() == Some(&' ') {
                        self.put("\\");
                    }
                } else {
                    self.put(" ");
                }
                spaces = true;
            } else {
                let escaped =
                    if matches!(c, '"' | '\\') || !is_printable(c, self.options.unicode) || c == '\n' {
                        escape(c)
                    } else {
                        c.to_string()
                    };
                self.put(&escaped);
                spaces = false;
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }
}

enum Quotes {
    None,
    Single,
    Double,
}

fn escape(c: char) -> String {
    match c {
        '\0' => "\\0".to_owned(),
        '\x07' => "\\a".to_owned(),
        '\x08' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\x0b' => "\\v".to_owned(),
        '\x0c' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\x1b' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        c if (c as u32) < 0x100 => format!("\\x{:02X}", c as u32),
        c if (c as u32) < 0x10000 => format!("\\u{:04X}", c as u32),
        c => format!("\\U{:08X}", c as u32),
    }
}

fn is_printable(c: char, unicode: bool) -> bool {
    match c as u32 {
        0x0a | 0x20..=0x7e => true,
        0xfeff => false,
        0x85 | 0xa0.. => unicode,
        _ => false,
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_simple_key(key: &Value) -> bool {
    match key {
        Value::Str(s) => s.as_str().len() <= 128 && !s.as_str().chars().any(is_break),
        Value::List(_) | Value::Tuple(_) | Value::Dict(_) => false,
        _ => true,
    }
}

#[expect(clippy::struct_excessive_bools, reason = "four independent permissions")]
struct Analysis {
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single_allowed: bool,
}

/// Which styles a text allows.
fn analyze(text: &str, unicode: bool) -> Analysis {
    if text.is_empty() {
        return Analysis { multiline: false, flow_plain: false, block_plain: true, single_allowed: true };
    }
    let document = text.starts_with("---") || text.starts_with("...");
    let (mut block, mut flow) = (document, document);
    let (mut special, mut multiline, mut space_break, mut break_space) = (false, false, false, false);
    let mut previous: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let blank = |c: char| c == ' ' || c == '\t' || is_break(c);
        let space_after = chars.peek().is_none_or(|next| blank(*next));
        let space_before = previous.is_none_or(blank);
        match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`'
                if previous.is_none() =>
            {
                (flow, block) = (true, true);
            }
            '?' | ':' => {
                flow = true;
                block |= space_after && (previous.is_none() || c == ':');
            }
            ',' | '[' | ']' | '{' | '}' => flow = true,
            '-' if previous.is_none() && space_after => (flow, block) = (true, true),
            '#' if space_before => (flow, block) = (true, true),
            _ => {}
        }
        if !is_printable(c, unicode) || (!c.is_ascii() && !unicode) {
            special = true;
        }
        if is_break(c) {
            multiline = true;
            space_break |= previous == Some(' ');
        }
        if c == ' ' {
            break_space |= previous.is_some_and(is_break);
        }
        previous = Some(c);
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
    let edges = edge(text.chars().next()) || edge(text.chars().next_back());
    let never_single = space_break || special || break_space;
    let never_plain = edges || never_single || multiline;
    Analysis {
        multiline,
        flow_plain: !never_plain && !flow,
        block_plain: !never_plain && !block,
        single_allowed: !never_single,
    }
}

fn yaml_float(float: f64) -> String {
    if float.is_nan() {
        return ".nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = float_repr(float);
    if text.contains('e') && !text.contains('.') { text.replacen('e', ".0e", 1) } else { text }
}

/// Would a reader of YAML 1.1 take this plain text as a string?
fn resolves_to_string(text: &str) -> bool {
    const WORDS: [&str; 25] = [
        "yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "FALSE", "on", "On",
        "ON", "off", "Off", "OFF", "~", "null", "Null", "NULL", "", "<<", "=",
    ];
    !(WORDS.contains(&text) || is_yaml_number(text) || is_timestamp(text))
}

fn is_yaml_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(body, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let all = |text: &str, test: fn(u8) -> bool| !text.is_empty() && text.bytes().all(test);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if let Some(rest) = body.strip_prefix("0b") {
        return all(rest, |b| matches!(b, b'0' | b'1' | b'_'));
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return all(rest, |b| b.is_ascii_hexdigit() || b == b'_');
    }
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let starts_digit = body.starts_with(|c: char| c.is_ascii_digit());
    if starts_digit && digits(body) {
        return !body.starts_with('0') || body == "0" || all(body, |b| matches!(b, b'0'..=b'7' | b'_'));
    }
    if body.contains(':') {
        return is_sexagesimal(body);
    }
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let Some((whole, fraction)) = mantissa.split_once('.') else { return false };
    let exponent_fits = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['+', '-']).is_some_and(|digits| all(digits, |b| b.is_ascii_digit()))
    });
    let whole_fits =
        if whole.is_empty() { fraction.starts_with(|c: char| c.is_ascii_digit()) } else { digits(whole) };
    whole_fits && digits(fraction) && exponent_fits
}

fn is_sexagesimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or("");
    let integer = !text.contains('.');
    let head = first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && first.starts_with(|c: char| c.is_ascii_digit() && (!integer || c != '0'));
    let sixty = |part: &str| part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n < 60);
    head && parts.all(sixty) && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    if !(0..4).all(digit) || bytes.get(4) != Some(&b'-') {
        return false;
    }
    if bytes.len() == 10 {
        return digit(5) && digit(6) && bytes[7] == b'-' && digit(8) && digit(9);
    }
    let Some((date, time)) = text.split_once(['T', 't', ' ', '\t']) else { return false };
    let mut parts = date.split('-').skip(1);
    let short = |part: Option<&str>| part.is_some_and(|part| part.len() <= 2 && part.parse::<u8>().is_ok());
    short(parts.next()) && short(parts.next()) && parts.next().is_none() && is_time(time.trim_start())
}

fn is_time(text: &str) -> bool {
    let clock = text.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(text.len());
    let (clock, zone) = text.split_at(clock);
    let mut parts = clock.split('.').next().unwrap_or("").split(':');
    let number = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.len() <= 2);
    let fits = number(parts.next()) && number(parts.next()) && number(parts.next()) && parts.next().is_none();
    let zone = zone.trim_start();
    fits && (zone.is_empty() || zone == "Z" || zone.starts_with(['+', '-']))
}
