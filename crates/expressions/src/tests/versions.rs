//! `version`: loose, strict, semantic and Python's versions.

use std::cmp::Ordering;

use super::Function;
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    matches!(name, "version" | "version_compare").then_some(version as Function)
}

fn version(_: &Run<'_>, value: &Value, args: Args) -> Result<bool, Error> {
    let [other, operator, strict, kind] =
        args.bind("version", ["version", "operator", "strict", "version_type"])?;
    let other = other.ok_or_else(|| Error::new("version needs a version to compare with"))?.python_str()?;
    let operator = operator.map_or(Ok("eq".to_owned()), |operator| operator.python_str())?;
    let own = value.python_str()?;
    if own.is_empty() {
        return Err(Error::new("Input version value cannot be empty"));
    }
    if other.is_empty() {
        return Err(Error::new("Version parameter to compare against cannot be empty"));
    }
    let strict = strict.filter(|strict| !strict.is_none()).map(|strict| strict.truth()).transpose()?;
    let kind = kind.filter(|kind| !kind.is_none()).map(|kind| kind.python_str()).transpose()?;
    if strict.is_some() && kind.is_some() {
        return Err(Error::new("Cannot specify both 'strict' and 'version_type'"));
    }
    let order = match kind.as_deref() {
        None if strict == Some(true) => compare_strict(&own, &other),
        None | Some("loose") => compare_loose(&own, &other),
        Some("strict") => compare_strict(&own, &other),
        Some("semver" | "semantic") => compare_semantic(&own, &other),
        Some("pep440") => compare_python(&own, &other),
        Some(other) => Err(Error::new(format!("Invalid version type ({other})"))),
    };
    let order = order.map_err(|error| Error::new(format!("Version comparison failed: {}", error.message)))?;
    Ok(match operator.as_str() {
        "==" | "=" | "eq" => order.is_eq(),
        "<" | "lt" => order.is_lt(),
        "<=" | "le" => order.is_le(),
        ">" | "gt" => order.is_gt(),
        ">=" | "ge" => order.is_ge(),
        "!=" | "<>" | "ne" => order.is_ne(),
        other => return Err(Error::new(format!("Invalid operator type ({other})"))),
    })
}

/// Numbers and words, in turn.
fn loose_parts(version: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let class = |c: char| {
        if c.is_ascii_digit() {
            1
        } else if c.is_ascii_lowercase() {
            2
        } else if c == '.' {
            3
        } else {
            4
        }
    };
    let mut last = 0;
    for c in version.chars() {
        match parts.last_mut().filter(|_| class(c) == last && last != 3) {
            Some(part) => part.push(c),
            None if class(c) != 3 => parts.push(c.to_string()),
            None => {}
        }
        last = class(c);
    }
    parts
}

pub(crate) fn compare_loose(a: &str, b: &str) -> Result<Ordering, Error> {
    let (a, b) = (loose_parts(a), loose_parts(b));
    for (a, b) in a.iter().zip(&b) {
        let numbers = (a.parse::<u128>(), b.parse::<u128>());
        let order = match numbers {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Err(_), Err(_)) => a.cmp(b),
            (Ok(_), Err(_)) => {
                return Err(Error::new("'<' not supported between instances of 'int' and 'str'"));
            }
            (Err(_), Ok(_)) => {
                return Err(Error::new("'<' not supported between instances of 'str' and 'int'"));
            }
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(a.len().cmp(&b.len()))
}

type StrictVersion = ([u64; 3], Option<(char, u64)>);

/// `1.2`, `1.2.3`, with `a1` or `b1` behind it.
fn strict_parts(version: &str) -> Result<StrictVersion, Error> {
    let wrong = || Error::new(format!("invalid version number '{version}'"));
    let (numbers, pre) = match version.find(['a', 'b']) {
        Some(at) => {
            let letter = version[at..].chars().next().ok_or_else(wrong)?;
            (&version[..at], Some((letter, version[at + 1..].parse().map_err(|_| wrong())?)))
        }
        None => (version, None),
    };
    let parts = numbers.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>().map_err(|_| wrong())?;
    match parts.as_slice() {
        [major, minor] => Ok(([*major, *minor, 0], pre)),
        [major, minor, patch] => Ok(([*major, *minor, *patch], pre)),
        _ => Err(wrong()),
    }
}

fn compare_strict(a: &str, b: &str) -> Result<Ordering, Error> {
    let ((a, a_pre), (b, b_pre)) = (strict_parts(a)?, strict_parts(b)?);
    Ok(a.cmp(&b).then_with(|| released_last(a_pre.as_ref(), b_pre.as_ref())))
}

/// What has nothing behind its number comes after what has.
fn released_last<T: Ord>(a: Option<&T>, b: Option<&T>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(b),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

fn semantic_parts(version: &str) -> Result<(Vec<u64>, Option<Vec<Identifier>>), Error> {
    let wrong = || Error::new(format!("invalid semantic version '{version}'"));
    let plain = version.split('+').next().unwrap_or("");
    let (numbers, pre) = plain.split_once('-').map_or((plain, None), |(numbers, pre)| (numbers, Some(pre)));
    let numeric = |part: &str| {
        let fits = !part.is_empty() && (part == "0" || !part.starts_with('0'));
        fits.then(|| part.parse::<u64>().ok()).flatten()
    };
    let numbers = numbers.split('.').map(numeric).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    if numbers.len() != 3 {
        return Err(wrong());
    }
    let word = |part: &str| match part.parse() {
        Ok(number) => Identifier::Number(number),
        Err(_) => Identifier::Word(part.to_owned()),
    };
    if pre.is_some_and(|pre| pre.split('.').any(str::is_empty)) {
        return Err(wrong());
    }
    Ok((numbers, pre.map(|pre| pre.split('.').map(word).collect())))
}

fn compare_semantic(a: &str, b: &str) -> Result<Ordering, Error> {
    let ((a, a_pre), (b, b_pre)) = (semantic_parts(a)?, semantic_parts(b)?);
    Ok(a.cmp(&b).then_with(|| released_last(a_pre.as_ref(), b_pre.as_ref())))
}

/// Epoch, release, then what orders development, pre-, final and post-releases.
type PythonVersion = (u64, Vec<u64>, (i8, u64), (bool, u64), (bool, u64), Vec<Identifier>);

fn python_parts(version: &str) -> Result<PythonVersion, Error> {
    let wrong = || Error::new(format!("Invalid version: '{version}'"));
    let lower = version.trim().to_lowercase();
    let text = lower.strip_prefix('v').unwrap_or(&lower);
    let (text, local) = text.split_once('+').map_or((text, ""), |(text, local)| (text, local));
    let (epoch, text) = text.split_once('!').map_or(Ok((0, text)), |(epoch, text)| {
        epoch.parse().map(|epoch| (epoch, text)).map_err(|_| wrong())
    })?;
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, mut rest) = text.split_at(end);
    let numbers = numbers.strip_suffix('.').unwrap_or(numbers);
    let mut release =
        numbers.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>().map_err(|_| wrong())?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let (mut pre, mut post, mut development) = (None, None, None);
    while !rest.is_empty() {
        rest = rest.trim_start_matches(['.', '-', '_']);
        let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(word);
        let tail = tail.trim_start_matches(['.', '-', '_']);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let number = tail[..digits].parse().unwrap_or(0);
        match name {
            "a" | "alpha" => pre = Some((0, number)),
            "b" | "beta" => pre = Some((1, number)),
            "c" | "rc" | "pre" | "preview" => pre = Some((2, number)),
            "" | "post" | "rev" | "r" if digits > 0 || !name.is_empty() => post = Some(number),
            "dev" => development = Some(number),
            _ => return Err(wrong()),
        }
        rest = &tail[digits..];
    }
    let stage = match (pre, post, development) {
        (None, None, Some(_)) => (-1, 0),
        (None, ..) => (3, 0),
        (Some(pre), ..) => pre,
    };
    let word =
        |part: &str| part.parse().map_or_else(|_| Identifier::Word(part.to_owned()), Identifier::Number);
    let local = local.split(['.', '-', '_']).filter(|part| !part.is_empty()).map(word).collect();
    let development = development.map_or((true, 0), |number| (false, number));
    Ok((epoch, release, stage, (post.is_some(), post.unwrap_or(0)), development, local))
}

fn compare_python(a: &str, b: &str) -> Result<Ordering, Error> {
    Ok(python_parts(a)?.cmp(&python_parts(b)?))
}
