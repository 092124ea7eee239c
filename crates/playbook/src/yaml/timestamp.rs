//! Dates: recognised as PyYAML does, printed as Python prints `date` and `datetime`.

/// `None`: not a date. `Err`: shaped like one, but impossible.
pub(super) fn parse(text: &str) -> Result<Option<String>, String> {
    let Some(shape) = Shape::read(text) else { return Ok(None) };
    let impossible = || format!("`{text}` is written like a date, but there is no such day or time");
    let days = days_in(shape.year, shape.month).ok_or_else(impossible)?;
    if !(1..=days).contains(&shape.day) || shape.year == 0 {
        return Err(impossible());
    }
    let date = format!("{:04}-{:02}-{:02}", shape.year, shape.month, shape.day);
    let Some(time) = shape.time else { return Ok(Some(date)) };
    if time.hour > 23
        || time.minute > 59
        || time.second > 59
        || time.offset.is_some_and(|offset| offset.abs() >= 1440)
    {
        return Err(impossible());
    }
    let mut printed = format!("{date} {:02}:{:02}:{:02}", time.hour, time.minute, time.second);
    if time.micros > 0 {
        printed.push_str(&format!(".{:06}", time.micros));
    }
    if let Some(offset) = time.offset {
        let sign = if offset < 0 { '-' } else { '+' };
        printed.push_str(&format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60));
    }
    Ok(Some(printed))
}

fn days_in(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

struct Shape {
    year: u32,
    month: u32,
    day: u32,
    time: Option<Time>,
}

struct Time {
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
    /// Minutes east of UTC.
    offset: Option<i32>,
}

impl Shape {
    fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        let year = digits(&mut rest, 4, 4)?;
        eat(&mut rest, '-')?;
        let before = rest.len();
        let month = digits(&mut rest, 1, 2)?;
        eat(&mut rest, '-')?;
        let day = digits(&mut rest, 1, 2)?;
        let full_width = before - rest.len() == 5;
        if rest.is_empty() {
            // A date alone is only one with two digits each.
            return full_width.then_some(Self { year, month, day, time: None });
        }
        Some(Self { year, month, day, time: Some(Time::read(rest)?) })
    }
}

impl Time {
    fn read(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix(['T', 't']).unwrap_or_else(|| text.trim_start_matches([' ', '\t']));
        if rest.len() == text.len() {
            return None;
        }
        let hour = digits(&mut rest, 1, 2)?;
        eat(&mut rest, ':')?;
        let minute = digits(&mut rest, 2, 2)?;
        eat(&mut rest, ':')?;
        let second = digits(&mut rest, 2, 2)?;
        let mut micros = 0;
        if eat(&mut rest, '.').is_some() {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let six: String = rest[..length].chars().chain("000000".chars()).take(6).collect();
            micros = six.parse().ok()?;
            rest = &rest[length..];
        }
        let offset = offset(rest.trim_start_matches([' ', '\t']))?;
        Some(Self { hour, minute, second, micros, offset })
    }
}

/// The time zone: `None`: malformed, `Some(None)`: none given.
fn offset(text: &str) -> Option<Option<i32>> {
    if text.is_empty() {
        return Some(None);
    }
    if text == "Z" {
        return Some(Some(0));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut rest = text.strip_prefix(['+', '-'])?;
    let hours = digits(&mut rest, 1, 2)?;
    let minutes = match eat(&mut rest, ':') {
        Some(()) => digits(&mut rest, 2, 2)?,
        None => 0,
    };
    let total = i32::try_from(hours * 60 + minutes).ok()?;
    rest.is_empty().then_some(Some(sign * total))
}

fn digits(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, tail) = rest.split_at(length);
    *rest = tail;
    (length >= least).then(|| number.parse().ok())?
}

fn eat(rest: &mut &str, expected: char) -> Option<()> {
    *rest = rest.strip_prefix(expected)?;
    Some(())
}
