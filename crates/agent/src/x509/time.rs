//! Points in time as tasks give them (`+32w1d`, `20301231235959Z`) and as certificates have them.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::der::{self, Item};
use crate::module::Failure;

/// A point in time, to the second.
pub(crate) fn parse(text: &str, what: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    relative(text, now)
        .or_else(|| absolute(text))
        .ok_or_else(|| Failure::new(format!("The time spec \"{text}\" for {what} is invalid")))
}

/// `+1w2d3h4m5s` from now on, or before.
fn relative(text: &str, now: Timestamp) -> Option<Timestamp> {
    let forth = text.starts_with('+');
    let mut rest = text.strip_prefix(['+', '-'])?;
    let mut seconds: i64 = 0;
    for (unit, long) in [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds = seconds.checked_add(number.parse::<u32>().map(i64::from).ok()?.checked_mul(long)?)?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let by = SignedDuration::from_secs(if forth { seconds } else { -seconds });
    Timestamp::from_second(now.as_second()).ok()?.checked_add(by).ok()
}

/// `YYYYMMDDHHMM[SS]` with `Z` or an offset behind it.
fn absolute(text: &str) -> Option<Timestamp> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, zone) = text.split_at(end);
    let digits = match digits.len() {
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return None,
    };
    let offset = match zone {
        "Z" => Offset::UTC,
        _ => {
            let (sign, amount) = zone.split_at_checked(1)?;
            let amount: i32 = amount.parse().ok().filter(|_| amount.len() == 4)?;
            let seconds = amount / 100 * 3600 + amount % 100 * 60;
            Offset::from_seconds(match sign {
                "+" => seconds,
                "-" => -seconds,
                _ => return None,
            })
            .ok()?
        }
    };
    offset.to_timestamp(civil(&digits)?).ok()
}

/// Fourteen digits.
fn civil(digits: &str) -> Option<DateTime> {
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize| i8::try_from(part(from, from + 2)?).ok();
    DateTime::new(part(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).ok()
}

/// As results have them.
pub(crate) fn text(time: Timestamp) -> String {
    time.strftime("%Y%m%d%H%M%SZ").to_string()
}

pub(crate) fn der(time: Timestamp) -> Vec<u8> {
    let text = text(time);
    let short = ("19500101000000Z".."20500101000000Z").contains(&text.as_str());
    if short {
        der::value(der::UTC_TIME, &text.as_bytes()[2..])
    } else {
        der::value(der::TIME, text.as_bytes())
    }
}

pub(crate) fn read(item: Item<'_>) -> Option<Timestamp> {
    let text = item.text();
    match item.tag {
        der::UTC_TIME => absolute(&format!("{}{text}", if text.as_str() < "5" { "20" } else { "19" })),
        _ => absolute(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_or_not() {
        let now = absolute("20240101000000Z").unwrap();
        let at = |given: &str| parse(given, "x", now).map(text);
        assert_eq!(at("+1w1d1h1m1s").unwrap(), "20240109010101Z");
        assert_eq!(at("-1d").unwrap(), "20231231000000Z");
        assert_eq!(at("+0s").unwrap(), "20240101000000Z");
        assert_eq!(at("202401010203Z").unwrap(), "20240101020300Z");
        assert_eq!(at("20540101010203+0100").unwrap(), "20540101000203Z");
        for wrong in ["nonsense", "+1x", "2024", "20241301000000Z", "20240101000000", "+1d1w", "é"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn certificates_have_two_ways_to_write_them() {
        for given in ["20491231235959Z", "20500101000000Z", "19510101000000Z"] {
            let written = der(absolute(given).unwrap());
            assert_eq!(text(read(der::Reader::new(&written).next().unwrap()).unwrap()), given);
        }
    }
}
