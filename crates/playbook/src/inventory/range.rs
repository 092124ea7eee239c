//! Ranges in host names: `www[01:20:2].example.com`, `db-[a:f]`.

/// More hosts than anybody lists; protects memory from a typing mistake.
const MOST: usize = 1_000_000;

/// Why a pattern stands for no names.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It has not the form of a range: on the command line it is a name as it stands.
    Form(String),
    /// What cannot be counted.
    Count(String),
}

impl Wrong {
    pub(super) fn message(self) -> String {
        let (Self::Form(message) | Self::Count(message)) = self;
        message
    }
}

/// All names that a pattern stands for.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, Wrong> {
    let Some(open) = pattern.find('[') else { return Ok(vec![pattern.to_owned()]) };
    let Some(length) = pattern[open..].find(']') else {
        return Err(Wrong::Form(format!("the range in '{pattern}' has no closing bracket")));
    };
    let (head, range, tail) =
        (&pattern[..open], &pattern[open + 1..open + length], &pattern[open + length + 1..]);
    let members = members(range)?;
    let tails = expand(tail)?;
    if members.len().saturating_mul(tails.len()) > MOST {
        return Err(Wrong::Count(format!("the range in '{pattern}' stands for more than {MOST} hosts")));
    }
    let join =
        |member: &String| tails.iter().map(move |tail| format!("{head}{member}{tail}")).collect::<Vec<_>>();
    Ok(members.iter().flat_map(join).collect())
}

fn members(range: &str) -> Result<Vec<String>, Wrong> {
    let parts: Vec<&str> = range.split(':').collect();
    let (start, end, step) = match parts.as_slice() {
        [start, end] => (*start, *end, "1"),
        [start, end, step] => (*start, *end, *step),
        _ => {
            return Err(Wrong::Form(format!(
                "the host range '[{range}]' must be [begin:end] or [begin:end:step]"
            )));
        }
    };
    let start = if start.is_empty() { "0" } else { start };
    if end.is_empty() {
        return Err(Wrong::Form(format!(
            "the host range '[{range}]' has no end: host range must specify end value"
        )));
    }
    let step: usize = step.parse().ok().filter(|step| *step > 0).ok_or_else(|| {
        Wrong::Count(format!("the step of the host range '[{range}]' must be a number above 0"))
    })?;
    if let (Some(first), Some(last)) = (letter(start), letter(end)) {
        if first > last {
            return Err(Wrong::Form(format!("the host range '[{range}]' begins after its end")));
        }
        return Ok((first..=last).step_by(step).filter_map(nth_letter).map(String::from).collect());
    }
    numbers(range, start, end, step)
}

fn numbers(range: &str, start: &str, end: &str, step: usize) -> Result<Vec<String>, Wrong> {
    let number = |text: &str| {
        text.parse::<usize>().map_err(|_| {
            Wrong::Count(format!("the host range '[{range}]' is neither of numbers nor of single letters"))
        })
    };
    let width = if start.len() > 1 && start.starts_with('0') { start.len() } else { 0 };
    if width > 0 && width != end.len() {
        return Err(Wrong::Form(format!(
            "the host range '[{range}]' has leading zeros: begin and end must be equally long"
        )));
    }
    let (first, last) = (number(start)?, number(end)?);
    if last.saturating_sub(first) / step >= MOST {
        return Err(Wrong::Count(format!("the host range '[{range}]' stands for more than {MOST} hosts")));
    }
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// Its place among `a…zA…Z`.
fn letter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a'),
        [letter @ b'A'..=b'Z'] => Some(letter - b'A' + 26),
        _ => None,
    }
}

fn nth_letter(place: u8) -> Option<char> {
    match place {
        0..=25 => Some(char::from(b'a' + place)),
        26..=51 => Some(char::from(b'A' + place - 26)),
        _ => None,
    }
}
