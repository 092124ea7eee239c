//! A command line as it may be recorded: without the values of extra variables, which may be secrets.

/// The arguments as one line that a shell would understand; values of `-e` are replaced by `…`, files (`@file`)
/// and names stay.
#[must_use]
pub fn safe_command<S: AsRef<str>>(arguments: &[S]) -> String {
    let mut words = Vec::new();
    let mut value_follows = false;
    for argument in arguments.iter().map(AsRef::as_ref) {
        let long = argument.strip_prefix("--extra-vars=").map(|value| ("--extra-vars=", value));
        let short = argument.strip_prefix("-e").filter(|value| !value.is_empty()).map(|value| ("-e", value));
        let word = if value_follows {
            hidden(argument)
        } else if let Some((option, value)) = long.or(short) {
            format!("{option}{}", hidden(value))
        } else {
            argument.to_owned()
        };
        value_follows = !value_follows && takes_variables(argument);
        words.push(quoted(&word));
    }
    words.join(" ")
}

/// `-e`, `--extra-vars`, the abbreviations that argument parsers take, and `-e` at the end of joined flags (`-Ce`).
fn takes_variables(argument: &str) -> bool {
    let abbreviated = argument.len() > 3 && "--extra-vars".starts_with(argument);
    let flags = argument.strip_prefix('-').filter(|flags| !flags.starts_with('-'));
    abbreviated
        || flags.is_some_and(|flags| flags.ends_with('e') && flags.chars().all(|c| "eCDbkKv".contains(c)))
}

fn hidden(value: &str) -> String {
    let structured = value.trim_start().starts_with(['{', '[']);
    if value.starts_with('@') {
        return value.to_owned();
    }
    let Some((name, _)) = value.split_once('=').filter(|_| !structured) else { return "…".to_owned() };
    format!("{}=…", name.trim())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+…".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::safe_command;

    #[test]
    fn values_of_extra_variables_are_not_recorded() {
        let given = [
            "theseus",
            "apply",
            "-e",
            "password=s3cr3t other=s3cr3t",
            "-e",
            "@vars.yml",
            "--extra-vars",
            "{\"p\": \"s3cr3t\"}",
            "-ep=s3cr3t",
            "--extra-vars=p=s3cr3t",
            "--extra",
            "p=s3cr3t",
            "-Ce",
            "p=s3cr3t",
            "my site.yml",
        ];
        let recorded = safe_command(&given);
        assert!(!recorded.contains("s3cr3t"), "{recorded}");
        assert_eq!(
            recorded,
            "theseus apply -e password=… -e @vars.yml --extra-vars … -ep=… --extra-vars=p=… --extra p=… -Ce p=… 'my site.yml'"
        );
    }
}
