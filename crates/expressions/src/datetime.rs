//! Dates, times and the spans between them, as Python's `datetime` has them.

use std::any::Any;
use std::cmp::Ordering;
use std::sync::Arc;

use jiff::civil;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::error::Error;
use crate::value::{Object, Value};

/// A `datetime`; `offset`: seconds east of Greenwich, if it knows its zone.
pub(crate) struct DateTime {
    pub(crate) at: civil::DateTime,
    pub(crate) offset: Option<i32>,
}

/// A `timedelta`, in microseconds.
pub(crate) struct Span(i128);

/// The present, here or in Greenwich.
pub(crate) fn now(utc: bool) -> DateTime {
    let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
    let at = Timestamp::now().to_zoned(zone).datetime();
    let micros = at.subsec_nanosecond() / 1000 * 1000;
    DateTime { at: at.with().subsec_nanosecond(micros).build().unwrap_or(at), offset: None }
}

/// A moment by its seconds since 1970.
pub(crate) fn from_seconds(seconds: f64, utc: bool) -> Result<DateTime, Error> {
    let whole = seconds.floor();
    let nanos = ((seconds - whole) * 1e9) as i32;
    let stamp = Timestamp::new(whole as i64, nanos).map_err(|_| Error::new("the time is out of range"))?;
    let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
    Ok(DateTime { at: stamp.to_zoned(zone).datetime(), offset: None })
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl DateTime {
    fn weekday(&self) -> i8 {
        self.at.weekday().to_monday_zero_offset()
    }

    fn micros(&self) -> i128 {
        let utc = self.at.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_microsecond());
        i128::from(utc) - i128::from(self.offset.unwrap_or(0)) * 1_000_000
    }

    fn moved_to(&self, micros: i128) -> Result<Value, Error> {
        let local = micros + i128::from(self.offset.unwrap_or(0)) * 1_000_000;
        let stamp = i64::try_from(local).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let stamp = stamp.ok_or_else(|| Error::new("date value out of range"))?;
        Ok(Value::object(DateTime { at: stamp.to_zoned(TimeZone::UTC).datetime(), offset: self.offset }))
    }

    fn offset_text(&self, colon: &str) -> String {
        self.offset.map_or_else(String::new, |offset| {
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.abs() / 60;
            format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
        })
    }

    fn iso(&self, separator: char) -> String {
        let at = self.at;
        let micros = at.subsec_nanosecond() / 1000;
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        format!(
            "{}{separator}{}{fraction}{}",
            self.strftime("%Y-%m-%d"),
            self.strftime("%H:%M:%S"),
            self.offset_text(":")
        )
    }

    fn epoch(&self) -> f64 {
        if self.offset.is_some() {
            return self.micros() as f64 / 1e6;
        }
        self.at
            .to_zoned(TimeZone::system())
            .map_or(0.0, |zoned| zoned.timestamp().as_microsecond() as f64 / 1e6)
    }

    /// Python's `strftime` in the C locale.
    pub(crate) fn strftime(&self, format: &str) -> String {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('-') => match chars.next() {
                    Some(code) => {
                        let padded = self.directive(code);
                        let short = padded.trim_start_matches(['0', ' ']);
                        out.push_str(if short.is_empty() { "0" } else { short });
                    }
                    None => out.push_str("%-"),
                },
                Some(code) => out.push_str(&self.directive(code)),
                None => out.push('%'),
            }
        }
        out
    }

    fn directive(&self, code: char) -> String {
        let at = self.at;
        let hour12 = (at.hour() + 11) % 12 + 1;
        let weekday = i32::from(self.weekday());
        let day_of_year = i32::from(at.day_of_year());
        let month = &MONTHS[usize::try_from(at.month() - 1).unwrap_or(0)];
        let day = &DAYS[usize::try_from(weekday).unwrap_or(0)];
        let iso = at.date().iso_week_date();
        match code {
            'Y' => at.year().to_string(),
            'G' => iso.year().to_string(),
            'C' => format!("{:02}", at.year() / 100),
            'y' => format!("{:02}", at.year().rem_euclid(100)),
            'm' => format!("{:02}", at.month()),
            'd' => format!("{:02}", at.day()),
            'e' => format!("{:2}", at.day()),
            'H' => format!("{:02}", at.hour()),
            'I' => format!("{hour12:02}"),
            'k' => format!("{:2}", at.hour()),
            'l' => format!("{hour12:2}"),
            'M' => format!("{:02}", at.minute()),
            'S' => format!("{:02}", at.second()),
            'f' => format!("{:06}", at.subsec_nanosecond() / 1000),
            'j' => format!("{day_of_year:03}"),
            'p' => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            'a' => day[..3].to_owned(),
            'A' => (*day).to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'B' => (*month).to_owned(),
            'w' => ((weekday + 1) % 7).to_string(),
            'u' => (weekday + 1).to_string(),
            'U' => format!("{:02}", (day_of_year + 6 - (weekday + 1) % 7) / 7),
            'W' => format!("{:02}", (day_of_year + 6 - weekday) / 7),
            'V' => format!("{:02}", iso.week()),
            's' => format!("{}", self.epoch().floor() as i64),
            'z' => self.offset_text(""),
            'Z' => if self.offset == Some(0) { "UTC" } else { "" }.to_owned(),
            'F' => self.strftime("%Y-%m-%d"),
            'T' => self.strftime("%H:%M:%S"),
            'X' => self.strftime("%H:%M:%S"),
            'D' | 'x' => self.strftime("%m/%d/%y"),
            'R' => self.strftime("%H:%M"),
            'r' => self.strftime("%I:%M:%S %p"),
            'c' => self.strftime("%a %b %e %H:%M:%S %Y"),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            other => format!("%{other}"),
        }
    }
}

impl Object for DateTime {
    fn type_name(&self) -> &str {
        "datetime"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let at = self.at;
        Ok(Some(match name.as_str() {
            Some("year") => Value::from(i64::from(at.year())),
            Some("month") => Value::from(i64::from(at.month())),
            Some("day") => Value::from(i64::from(at.day())),
            Some("hour") => Value::from(i64::from(at.hour())),
            Some("minute") => Value::from(i64::from(at.minute())),
            Some("second") => Value::from(i64::from(at.second())),
            Some("microsecond") => Value::from(i64::from(at.subsec_nanosecond() / 1000)),
            _ => return Ok(None),
        }))
    }
    fn call_method(
        &self,
        name: &str,
        args: &[Value],
        named: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        Some(match name {
            "strftime" => match args.first().and_then(Value::as_str) {
                Some(format) => Ok(Value::from(self.strftime(format))),
                None => Err(Error::new("strftime() takes a format string")),
            },
            "isoformat" => Ok(Value::from(self.iso('T'))),
            "timestamp" => Ok(Value::Float(self.epoch())),
            "weekday" => Ok(Value::from(i64::from(self.weekday()))),
            "isoweekday" => Ok(Value::from(i64::from(self.weekday()) + 1)),
            "toordinal" => Ok(Value::from(
                i64::try_from(self.micros().div_euclid(86_400_000_000)).unwrap_or(0) + 719_163,
            )),
            "date" => Ok(Value::object(Date(self.at.date()))),
            "time" => Ok(Value::from(self.strftime("%H:%M:%S"))),
            "ctime" => Ok(Value::from(self.strftime("%a %b %e %H:%M:%S %Y"))),
            "isocalendar" => Ok(isocalendar(self.at.date())),
            "timetuple" => {
                let at = self.at;
                let parts = [at.month(), at.day(), at.hour(), at.minute(), at.second(), self.weekday()];
                let mut all = vec![i64::from(at.year())];
                all.extend(parts.map(i64::from));
                all.extend([i64::from(at.day_of_year()), -1]);
                Ok(Value::tuple(all.into_iter().map(Value::Int).collect()))
            }
            "replace" => self.replaced(named),
            _ => return None,
        })
    }
    fn render(&self) -> Result<String, Error> {
        Ok(self.iso(' '))
    }
    fn repr(&self) -> Result<String, Error> {
        let at = self.at;
        let mut parts = vec![
            i32::from(at.year()),
            at.month().into(),
            at.day().into(),
            at.hour().into(),
            at.minute().into(),
        ];
        let micros = at.subsec_nanosecond() / 1000;
        if at.second() != 0 || micros != 0 {
            parts.push(at.second().into());
        }
        if micros != 0 {
            parts.push(micros);
        }
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        Ok(format!("datetime.datetime({})", parts.join(", ")))
    }
    fn is_data(&self) -> bool {
        true
    }
    fn json(&self) -> Option<serde_json::Value> {
        Some(self.iso('T').into())
    }
    fn compare(&self, other: &Value) -> Option<Ordering> {
        other.as_object::<DateTime>().map(|other| self.micros().cmp(&other.micros()))
    }
    fn arithmetic(&self, op: char, other: &Value, _: bool) -> Option<Result<Value, Error>> {
        if let Some(span) = other.as_object::<Span>() {
            let micros = if op == '-' { self.micros() - span.0 } else { self.micros() + span.0 };
            return Some(self.moved_to(micros));
        }
        let other = other.as_object::<DateTime>().filter(|_| op == '-')?;
        Some(Ok(Value::object(Span(self.micros() - other.micros()))))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn isocalendar(date: civil::Date) -> Value {
    let iso = date.iso_week_date();
    let parts =
        [i64::from(iso.year()), i64::from(iso.week()), i64::from(iso.weekday().to_monday_one_offset())];
    Value::tuple(parts.into_iter().map(Value::Int).collect())
}

impl DateTime {
    fn replaced(&self, named: &[(Arc<str>, Value)]) -> Result<Value, Error> {
        let mut with = self.at.with();
        for (name, value) in named {
            let number = crate::methods::integer(value)?;
            let wrong = |_| Error::new(format!("{name} is out of range"));
            let small = i8::try_from(number).map_err(wrong);
            with = match &**name {
                "year" => with.year(i16::try_from(number).map_err(wrong)?),
                "month" => with.month(small?),
                "day" => with.day(small?),
                "hour" => with.hour(small?),
                "minute" => with.minute(small?),
                "second" => with.second(small?),
                other => {
                    return Err(Error::new(format!(
                        "replace() got an unexpected keyword argument '{other}'"
                    )));
                }
            };
        }
        let at = with.build().map_err(|_| Error::new("day is out of range for month"))?;
        Ok(Value::object(DateTime { at, offset: self.offset }))
    }
}

/// A `date`.
struct Date(civil::Date);

impl Date {
    fn at_midnight(&self) -> DateTime {
        DateTime { at: self.0.to_datetime(civil::Time::midnight()), offset: None }
    }
}

impl Object for Date {
    fn type_name(&self) -> &str {
        "date"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        match name.as_str() {
            Some("year" | "month" | "day") => self.at_midnight().get(name),
            _ => Ok(None),
        }
    }
    fn call_method(
        &self,
        name: &str,
        args: &[Value],
        named: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        match name {
            "isoformat" => Some(self.render().map(Value::from)),
            "strftime" | "ctime" | "isocalendar" | "timetuple" | "weekday" | "isoweekday" | "toordinal" => {
                self.at_midnight().call_method(name, args, named)
            }
            _ => None,
        }
    }
    fn render(&self) -> Result<String, Error> {
        Ok(self.at_midnight().strftime("%Y-%m-%d"))
    }
    fn repr(&self) -> Result<String, Error> {
        Ok(format!("datetime.date({}, {}, {})", self.0.year(), self.0.month(), self.0.day()))
    }
    fn is_data(&self) -> bool {
        true
    }
    fn json(&self) -> Option<serde_json::Value> {
        self.render().ok().map(Into::into)
    }
    fn compare(&self, other: &Value) -> Option<Ordering> {
        other.as_object::<Date>().map(|other| self.0.cmp(&other.0))
    }
    fn arithmetic(&self, op: char, other: &Value, _: bool) -> Option<Result<Value, Error>> {
        let micros = self.at_midnight().micros();
        if let Some(span) = other.as_object::<Span>() {
            let moved = if op == '-' { micros - span.0 } else { micros + span.0 };
            return Some(self.at_midnight().moved_to(moved).map(|moved| {
                moved.as_object::<DateTime>().map_or(Value::None, |at| Value::object(Date(at.at.date())))
            }));
        }
        let other = other.as_object::<Date>().filter(|_| op == '-')?;
        Some(Ok(Value::object(Span(micros - other.at_midnight().micros()))))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What a plain scalar of YAML 1.1 like `2024-02-29` or `2024-02-29 10:00:00` means: a date or a time.
pub(crate) fn yaml_timestamp(text: &str) -> Option<Value> {
    let bytes = text.as_bytes();
    let digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
    if !(0..4).all(digit) || bytes.get(4) != Some(&b'-') {
        return None;
    }
    if bytes.len() == 10 {
        return strptime(text, "%Y-%m-%d").ok().map(|date| Value::object(Date(date.at.date())));
    }
    let at = text.find(['T', 't', ' '])?;
    let (day, rest) = text.split_at(at);
    let clock = rest[1..].trim_start();
    let end = clock.find(['Z', '+', '-', ' ']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(end);
    let format = if clock.contains('.') { "%Y-%m-%d %H:%M:%S.%f" } else { "%Y-%m-%d %H:%M:%S" };
    let mut found = strptime(&format!("{day} {clock}"), format).ok()?;
    let zone = zone.trim();
    if !zone.is_empty() {
        let hours_only = zone.len() == 3 || zone.len() == 2;
        let full = if hours_only && zone != "Z" { format!("{zone}:00") } else { zone.to_owned() };
        let (offset, rest) = self::zone(&full)?;
        if !rest.is_empty() {
            return None;
        }
        found.offset = offset;
    }
    Some(Value::object(found))
}

const DAY: i128 = 86_400_000_000;

impl Object for Span {
    fn type_name(&self) -> &str {
        "timedelta"
    }
    fn get(&self, name: &Value) -> Result<Option<Value>, Error> {
        let rest = self.0.rem_euclid(DAY);
        let number = match name.as_str() {
            Some("days") => self.0.div_euclid(DAY),
            Some("seconds") => rest / 1_000_000,
            Some("microseconds") => rest % 1_000_000,
            _ => return Ok(None),
        };
        Ok(Some(Value::Int(i64::try_from(number).unwrap_or(i64::MAX))))
    }
    fn call_method(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Option<Result<Value, Error>> {
        (name == "total_seconds").then_some(Ok(Value::Float(self.0 as f64 / 1e6)))
    }
    fn render(&self) -> Result<String, Error> {
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let mut out = String::new();
        if days != 0 {
            out = format!("{days} day{}, ", if days.abs() == 1 { "" } else { "s" });
        }
        out += &format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if micros != 0 {
            out += &format!(".{micros:06}");
        }
        Ok(out)
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(self.0 != 0)
    }
    fn compare(&self, other: &Value) -> Option<Ordering> {
        other.as_object::<Span>().map(|other| self.0.cmp(&other.0))
    }
    fn arithmetic(&self, op: char, other: &Value, _: bool) -> Option<Result<Value, Error>> {
        if op == '+' && other.as_object::<DateTime>().is_some() {
            return other.as_object::<DateTime>().map(|date| date.moved_to(date.micros() + self.0));
        }
        let other = other.as_object::<Span>()?;
        Some(Ok(Value::object(Span(if op == '-' { self.0 - other.0 } else { self.0 + other.0 }))))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The numbers that a format has found in a text.
struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    pm: Option<bool>,
    offset: Option<i32>,
    day_of_year: Option<i64>,
    epoch: Option<i64>,
}

/// Python's `strptime`.
pub(crate) fn strptime(text: &str, format: &str) -> Result<DateTime, Error> {
    let wrong = || Error::new(format!("time data '{text}' does not match format '{format}'"));
    let mut parts = Parts {
        year: 1900,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        pm: None,
        offset: None,
        day_of_year: None,
        epoch: None,
    };
    let rest = scan(text, format, &mut parts).ok_or_else(wrong)?;
    if !rest.is_empty() {
        return Err(Error::new(format!("unconverted data remains: {rest}")));
    }
    if let Some(epoch) = parts.epoch {
        return from_seconds(epoch as f64, false);
    }
    let hour = match parts.pm {
        Some(pm) => parts.hour % 12 + if pm { 12 } else { 0 },
        None => parts.hour,
    };
    let at = civil::DateTime::new(
        parts.year,
        parts.month,
        parts.day,
        hour,
        parts.minute,
        parts.second.min(59),
        parts.nanos,
    )
    .map_err(|_| wrong())?;
    let at = match parts.day_of_year {
        Some(day) => at.checked_add(SignedDuration::from_hours((day - 1) * 24)).map_err(|_| wrong())?,
        None => at,
    };
    Ok(DateTime { at, offset: parts.offset })
}

fn scan<'t>(text: &'t str, format: &str, parts: &mut Parts) -> Option<&'t str> {
    let mut rest = text;
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if c != '%' {
            rest = rest.strip_prefix(c)?;
            continue;
        }
        rest = directive(rest, chars.next()?, parts)?;
    }
    Some(rest)
}

fn number<T: TryFrom<i64>>(text: &str, most: usize) -> Option<(T, &str)> {
    let len = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let value = text[..len].parse::<i64>().ok()?;
    Some((T::try_from(value).ok()?, &text[len..]))
}

fn named<'t>(text: &'t str, names: &[&str]) -> Option<(i8, &'t str)> {
    for full in [true, false] {
        for (index, name) in names.iter().enumerate() {
            let name = if full { name } else { &name[..3] };
            if text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                return Some((i8::try_from(index).ok()?, &text[name.len()..]));
            }
        }
    }
    None
}

fn directive<'t>(text: &'t str, code: char, parts: &mut Parts) -> Option<&'t str> {
    let rest;
    match code {
        'Y' => (parts.year, rest) = number(text, 4).filter(|(_, rest)| text.len() - rest.len() == 4)?,
        'y' => {
            let (short, tail): (i16, _) = number(text, 2)?;
            parts.year = if short < 69 { 2000 + short } else { 1900 + short };
            rest = tail;
        }
        'm' => (parts.month, rest) = number(text, 2)?,
        'd' | 'e' => (parts.day, rest) = number(text.trim_start(), 2)?,
        'H' | 'I' => (parts.hour, rest) = number(text, 2)?,
        'M' => (parts.minute, rest) = number(text, 2)?,
        'S' => (parts.second, rest) = number(text, 2)?,
        'j' => {
            let (day, tail) = number(text, 3)?;
            parts.day_of_year = Some(day);
            rest = tail;
        }
        's' => {
            let (epoch, tail) = number(text, 18)?;
            parts.epoch = Some(epoch);
            rest = tail;
        }
        'f' => {
            let (fraction, tail): (i32, _) = number(text, 6)?;
            let digits = u32::try_from(text.len() - tail.len()).ok()?;
            parts.nanos = fraction * 10_i32.pow(9 - digits);
            rest = tail;
        }
        'b' | 'B' | 'h' => {
            let (month, tail) = named(text, &MONTHS)?;
            parts.month = month + 1;
            rest = tail;
        }
        'a' | 'A' => (_, rest) = named(text, &DAYS)?,
        'p' => {
            parts.pm = Some(text.get(..2)?.eq_ignore_ascii_case("pm"));
            rest = &text[2..];
        }
        'z' => (parts.offset, rest) = zone(text)?,
        'Z' => {
            let len = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
            rest = &text[len..];
        }
        'T' => return scan(text, "%H:%M:%S", parts),
        'F' => return scan(text, "%Y-%m-%d", parts),
        'D' | 'x' => return scan(text, "%m/%d/%y", parts),
        'X' => return scan(text, "%H:%M:%S", parts),
        'c' => return scan(text, "%a %b %d %H:%M:%S %Y", parts),
        '%' => rest = text.strip_prefix('%')?,
        _ => return None,
    }
    Some(rest)
}

fn zone(text: &str) -> Option<(Option<i32>, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((Some(0), rest));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, rest): (i32, _) = number(text.strip_prefix(['+', '-'])?, 2)?;
    let (minutes, rest): (i32, _) = number(rest.strip_prefix(':').unwrap_or(rest), 2)?;
    Some((Some(sign * (hours * 3600 + minutes * 60)), rest))
}
