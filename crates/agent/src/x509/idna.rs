//! Names of hosts that are not ASCII, as certificates have them (`xn--…`).

/// `*.müller.example`, each label by itself.
pub(crate) fn domain(name: &str) -> String {
    let label = |label: &str| match label.is_ascii() {
        true => label.to_owned(),
        false => format!("xn--{}", punycode(&label.to_lowercase())),
    };
    name.split('.').map(label).collect::<Vec<_>>().join(".")
}

/// The part behind the last `@`.
pub(crate) fn email(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((who, host)) => format!("{who}@{}", domain(host)),
        None => address.to_owned(),
    }
}

/// The host of a URI; what else is not ASCII is written by its bytes.
pub(crate) fn uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority
        .rsplit_once('@')
        .map_or((String::new(), authority), |(user, host)| (format!("{user}@"), host));
    format!("{scheme}://{user}{}{path}", domain(host))
}

/// RFC 3492.
fn punycode(label: &str) -> String {
    const BASE: u32 = 36;
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = output.len() as u32;
    if basic > 0 {
        output.push('-');
    }
    let letters: Vec<u32> = label.chars().map(u32::from).collect();
    let (mut next, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while (handled as usize) < letters.len() {
        let Some(least) = letters.iter().copied().filter(|letter| *letter >= next).min() else { break };
        delta = delta.saturating_add((least - next).saturating_mul(handled + 1));
        next = least;
        for letter in &letters {
            if *letter < next {
                delta += 1;
            }
            if *letter != next {
                continue;
            }
            let (mut left, mut at) = (delta, BASE);
            loop {
                let threshold = at.saturating_sub(bias).clamp(1, 26);
                if left < threshold {
                    break;
                }
                output.push(digit(threshold + (left - threshold) % (BASE - threshold)));
                left = (left - threshold) / (BASE - threshold);
                at += BASE;
            }
            output.push(digit(left));
            bias = adapted(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta += 1;
        next += 1;
    }
    output
}

fn adapted(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

fn digit(value: u32) -> char {
    char::from_digit(value, 36)
        .map_or('a', |_| char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_ascii() {
        assert_eq!(domain("*.Müller.example"), "*.xn--mller-kva.example");
        assert_eq!(domain("例え.jp"), "xn--r8jz45g.jp");
        assert_eq!(domain("bücher-straße"), "xn--bcher-strae-46a18a");
        assert_eq!(domain("Plain.Example"), "Plain.Example");
        assert_eq!(email("a@münchen.de"), "a@xn--mnchen-3ya.de");
        assert_eq!(uri("https://u@münchen.de/x"), "https://u@xn--mnchen-3ya.de/x");
    }
}
