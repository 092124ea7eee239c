//! Tests of the controller's files, of addresses and of vaulted text.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Function, argument};
use crate::error::Error;
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "exists" => |_, value, _| path(value, Path::exists),
        "directory" | "is_dir" => |_, value, _| path(value, Path::is_dir),
        "file" | "is_file" => |_, value, _| path(value, Path::is_file),
        "link" | "is_link" => |_, value, _| named(value, Path::is_symlink),
        "link_exists" => |_, value, _| path(value, |path| path.symlink_metadata().is_ok()),
        "mount" | "is_mount" => |_, value, _| named(value, is_mount),
        "abs" | "is_abs" => |_, value, _| named(value, Path::is_absolute),
        "same_file" | "is_same_file" => |_, value, args| {
            let other = argument(&args, "same_file")?.python_str()?;
            let id = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino()));
            let wrong = |error: std::io::Error| Error::new(format!("same_file: {error}"));
            let own = id(Path::new(&value.python_str()?)).map_err(wrong)?;
            Ok(own == id(Path::new(&other)).map_err(wrong)?)
        },
        "vault_encrypted" => |run, value, args| {
            // Whether a value was written encrypted only its owner knows.
            run.context.test("vault_encrypted", value, &args.positional, &args.named).unwrap_or(Ok(false))
        },
        "vaulted_file" => |_, value, _| {
            let name = value.python_str()?;
            let content = std::fs::read(&name).map_err(|error| Error::new(format!("{name}: {error}")))?;
            Ok(content.starts_with(b"$ANSIBLE_VAULT;"))
        },
        "uri" => |_, value, args| uri(value, schemes(&args)?.as_deref(), false),
        "url" => |_, value, args| uri(value, schemes(&args)?.as_deref(), true),
        "urn" => |_, value, _| uri(value, Some(&["urn".to_owned()]), false),
        _ => return None,
    })
}

/// As `path`, where Python takes no open file.
fn named(value: &Value, test: impl Fn(&Path) -> bool) -> Result<bool, Error> {
    match value {
        Value::Str(_) => path(value, test),
        other => Err(Error::new(format!("a path must be a string, not '{}'", other.type_name()))),
    }
}

fn path(value: &Value, test: impl Fn(&Path) -> bool) -> Result<bool, Error> {
    match value {
        Value::Str(name) => Ok(test(Path::new(name.as_str()))),
        // Python takes a number as an open file.
        Value::Int(_) | Value::Bool(_) => Ok(false),
        other => Err(Error::new(format!("a path must be a string, not '{}'", other.type_name()))),
    }
}

fn is_mount(path: &Path) -> bool {
    let (Ok(own), Ok(parent)) = (path.symlink_metadata(), path.join("..").metadata()) else { return false };
    !own.is_symlink() && (own.dev() != parent.dev() || own.ino() == parent.ino())
}

fn schemes(args: &crate::eval::Args) -> Result<Option<Vec<String>>, Error> {
    let [schemes] = args.bind("uri", ["schemes"])?;
    match schemes {
        None | Some(Value::None) => Ok(None),
        Some(schemes) => {
            Ok(Some(schemes.elements()?.iter().map(Value::python_str).collect::<Result<_, _>>()?))
        }
    }
}

/// Any text is an address of some kind, unless its scheme must be one of these.
fn uri(value: &Value, schemes: Option<&[String]>, network: bool) -> Result<bool, Error> {
    let Value::Str(text) = value else { return Ok(false) };
    let text = text.as_str();
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let scheme = scheme.to_lowercase();
    let known = schemes.is_none_or(|schemes| schemes.contains(&scheme));
    let host = rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    Ok(known && (!network || host || scheme == "file"))
}
