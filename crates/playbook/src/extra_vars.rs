//! `-e`: variables from the command line, which win over all others.

use std::path::Path;
use std::sync::Arc;

use expressions::{Origin, Str, Value};

use crate::diagnostic::{Diagnostic, Result, Sources};
use crate::inventory::Vars;
use crate::keyvalue;
use crate::vault::Vault;
use crate::yaml::{self, Kind, Loaded};

/// All `-e` options in order; of equal names the last counts. Files are relative to `base`.
/// `sources` learns the texts, so that mistakes in them can be shown.
pub fn parse(
    options: &[String],
    base: &Path,
    vault: &Vault,
    sources: &Sources,
) -> Result<(Vars, Vec<Diagnostic>)> {
    let mut vars = Vars::new();
    let mut warnings = Vec::new();
    for (index, option) in options.iter().enumerate() {
        let name = match options.len() {
            1 => "<extra vars>".to_owned(),
            _ => format!("<extra vars {}>", index + 1),
        };
        sources.add(&name, option.as_str());
        one(option, Path::new(&name), base, vault, &mut vars, &mut warnings)?;
    }
    Ok((vars, warnings))
}

fn one(
    option: &str,
    name: &Path,
    base: &Path,
    vault: &Vault,
    vars: &mut Vars,
    warnings: &mut Vec<Diagnostic>,
) -> Result<()> {
    let start = Arc::new(Origin::new(name, 1, 1));
    if let Some(file) = option.strip_prefix('@') {
        return mapping(yaml::load_file(&base.join(file), vault)?, option, &start, vault, vars, warnings);
    }
    if option.starts_with(['/', '.']) {
        return Err(Diagnostic::new(format!("-e {option}: this is the name of a file, not a variable"))
            .hint(format!("variables from a file need an @ before its name: -e @{option}")));
    }
    if option.trim_start().starts_with(['{', '[']) || option.trim_start().starts_with("---") {
        return mapping(yaml::load_str(option, name)?, option, &start, vault, vars, warnings);
    }
    let parsed = keyvalue::parse(option).map_err(|error| error.at(&start))?;
    if let Some(raw) = parsed.raw.filter(|raw| !raw.trim().is_empty()) {
        // `-e 'key: value'` is YAML.
        if let Ok(Loaded { node: Some(node), warnings: found }) = yaml::load_str(option, name)
            && matches!(node.kind, Kind::Map(_))
        {
            return mapping(
                Loaded { node: Some(node), warnings: found },
                option,
                &start,
                vault,
                vars,
                warnings,
            );
        }
        return Err(Diagnostic::new(format!("-e '{option}': '{}' is not a variable", raw.trim()))
            .at(&start)
            .hint(
                "write name=value (with quotes around a value with blanks), JSON or YAML in braces, or @file",
            ));
    }
    for (key, value) in parsed.pairs {
        vars.insert(key, Value::Str(Str::trusted(value, Arc::clone(&start))));
    }
    Ok(())
}

fn mapping(
    loaded: Loaded,
    option: &str,
    start: &Arc<Origin>,
    vault: &Vault,
    vars: &mut Vars,
    warnings: &mut Vec<Diagnostic>,
) -> Result<()> {
    warnings.extend(loaded.warnings);
    let Some(node) = loaded.node.filter(|node| !node.is_null()) else { return Ok(()) };
    let Some(entries) = node.as_map() else {
        return Err(Diagnostic::new(format!(
            "-e {option}: variables are a mapping, and this is {}",
            node.describe()
        ))
        .at(&node.origin)
        .at(start));
    };
    for (key, value) in entries {
        let name = key.as_str().ok_or_else(|| {
            key.error(format!("the name of a variable is text, and this is {}", key.describe()))
        })?;
        vars.insert(name.to_owned(), value.to_value(vault));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
