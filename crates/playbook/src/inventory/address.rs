//! `host`, `host:port`, `[address]:port`.

/// The name and the port, if the text is an address with one; everything else is a name as it stands.
pub(super) fn split(text: &str) -> (&str, Option<u16>) {
    let Some((host, port)) = text.rsplit_once(':') else { return (unbracket(text).unwrap_or(text), None) };
    let number = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
    match (number, unbracket(host)) {
        (Some(port), Some(address)) => (address, Some(port)),
        (Some(port), None) if is_name(host) => (host, Some(port)),
        _ => (unbracket(text).unwrap_or(text), None),
    }
}

/// `[fe80::1]` without its brackets. A range has brackets too, but is no IPv6 address.
fn unbracket(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (address, _zone) = inner.split_once('%').unwrap_or((inner, ""));
    address.parse::<std::net::Ipv6Addr>().is_ok().then_some(inner)
}

/// A host name, perhaps with ranges.
fn is_name(text: &str) -> bool {
    let mut inside = false;
    let fine = text.chars().all(|c| match c {
        '[' => !std::mem::replace(&mut inside, true),
        ']' => std::mem::replace(&mut inside, false),
        c => inside || c.is_alphanumeric() || matches!(c, '.' | '-' | '_'),
    });
    fine && !inside && !text.is_empty()
}

/// Would a pattern be read as one address (so that its colons do not separate patterns)?
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok() || split(text).1.is_some() || unbracket(text).is_some()
}
