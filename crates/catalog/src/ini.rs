//! Values of ini files that stand for others, by the rules of Python's configparser.

/// `%%` is a percent sign, `%(name)s` the value that `value` knows under that name (in lower case).
pub fn interpolate(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    within(text, value, 0)
}

/// Deeper is a circle.
const DEEPEST: usize = 10;

fn within(text: &str, value: &dyn Fn(&str) -> Option<String>, depth: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(")s")) {
            let found = value(&name.to_lowercase()).filter(|_| depth < DEEPEST);
            let found = found.ok_or_else(|| format!("'{name}' in '{text}' has no value"))?;
            out.push_str(&within(&found, value, depth + 1)?);
            rest = after;
        } else {
            return Err(format!("'%' must be followed by '%' or '(', found in '{text}'"));
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::interpolate;

    #[test]
    fn percent_signs_stand_for_other_values() {
        let value = |name: &str| match name {
            "home" => Some("/Users".to_owned()),
            "deep" => Some("%(HOME)s/deep".to_owned()),
            "circle" => Some("%(circle)s".to_owned()),
            _ => None,
        };
        assert_eq!(interpolate("%(deep)s 100%%", &value), Ok("/Users/deep 100%".to_owned()));
        for wrong in ["50% of", "%(nobody)s", "%(circle)s", "%"] {
            assert!(interpolate(wrong, &value).is_err(), "{wrong}");
        }
    }
}
