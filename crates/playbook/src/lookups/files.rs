//! Lookups that read files of the project: `file`, `unvault`, `template`.

use std::path::PathBuf;
use std::sync::Arc;

use expressions::{Engine, Error, Value};

use super::Call;
use crate::ir::Vars;
use crate::vars::Scope;
use crate::yaml::VaultText;
use crate::{search, yaml};

fn find(call: &Call<'_>, name: &str, kind: &str) -> Result<PathBuf, Error> {
    let found = search::find(name, kind, &call.scope.search_path()).filter(|path| path.is_file());
    found.ok_or_else(|| {
        let places = search::places(name, kind, &call.scope.search_path());
        let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        Error::new(format!("could not locate file in lookup: {name} (looked for {})", places.join(", ")))
    })
}

fn text(call: &Call<'_>, path: &std::path::Path) -> Result<String, Error> {
    let vault = &call.scope.variables().vault;
    yaml::read_text(path, vault).map_err(|error| Error { origin: error.origin, ..Error::new(error.message) })
}

pub(super) fn file(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let (lstrip, rstrip) = (call.flag("lstrip", false)?, call.flag("rstrip", true)?);
    let mut all = Vec::new();
    for name in call.texts()? {
        let content = text(call, &find(call, &name, "files")?)?;
        let content = if lstrip { content.trim_start() } else { &content };
        let content = if rstrip { content.trim_end() } else { content };
        all.push(Value::from(content));
    }
    Ok(all)
}

pub(super) fn unvault(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    call.texts()?.iter().map(|name| text(call, &find(call, name, "files")?).map(Value::from)).collect()
}

/// Renders template files with the variables of the task.
pub(super) fn template(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut options = expressions::Options::default();
    for (name, target) in [
        ("variable_start_string", &mut options.variable_start),
        ("variable_end_string", &mut options.variable_end),
        ("comment_start_string", &mut options.comment_start),
        ("comment_end_string", &mut options.comment_end),
        ("block_start_string", &mut options.block_start),
        ("block_end_string", &mut options.block_end),
    ] {
        if let Some(text) = call.text(name)? {
            *target = text;
        }
    }
    options.trim_blocks = call.flag("trim_blocks", true)?;
    options.lstrip_blocks = call.flag("lstrip_blocks", false)?;
    let mut extras = Vars::new();
    if let Some(Value::Dict(vars)) = call.option("template_vars") {
        for (name, value) in vars.items()? {
            extras.insert(name.python_str()?.into(), value);
        }
    }
    let mut all = Vec::new();
    for name in call.texts()? {
        let path = find(call, &name, "templates")?;
        let source = text(call, &path)?;
        let mut own = extras.clone();
        own.extend(template_vars(&path, &name));
        let scope = call.scope.with(own);
        let engine: &Engine = scope.variables().engine();
        let value = engine.file_value(&path, &source, &options, &scope)?;
        // A template without anything to render gives nothing, which is not the same as empty text.
        let nothing = value.as_str() == Some("")
            && !source.contains(&options.variable_start)
            && !source.contains(&options.block_start);
        all.push(if nothing { Value::None } else { value });
    }
    Ok(all)
}

/// The variables that a template sees of itself (`template_path`, `template_host`, …).
/// `given`: how it was asked for.
fn template_vars(path: &std::path::Path, given: &str) -> Vars {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    [
        ("template_path", Value::from(given)),
        ("template_fullpath", Value::from(full)),
        ("template_host", Value::from(host_name())),
        ("template_destpath", Value::None),
    ]
    .into_iter()
    .map(|(name, value)| (Arc::from(name), value))
    .collect()
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn secret(args: &[Value], kwargs: &[(Arc<str>, Value)], place: usize, name: &str) -> Option<Value> {
    args.get(place)
        .cloned()
        .or_else(|| kwargs.iter().find(|(known, _)| &**known == name).map(|(_, value)| value.clone()))
}

/// A vault that knows the given password only.
fn vault_of(secret: Option<Value>, label: &str) -> Result<crate::vault::Vault, Error> {
    let secret = secret.ok_or_else(|| Error::new("secret passed is required to be a string, got nothing"))?;
    let mut vault = crate::vault::Vault::new();
    vault.add_password(label, secret.defined()?.python_str()?.into_bytes());
    Ok(vault)
}

/// `data | vault(secret, salt, vault_id, wrap_object)`.
pub(super) fn vault_filter(
    scope: &Scope,
    value: &Value,
    args: &[Value],
    kwargs: &[(Arc<str>, Value)],
) -> Result<Value, Error> {
    let label =
        secret(args, kwargs, 2, "vault_id").map_or(Ok("filter_default".to_owned()), |id| id.python_str())?;
    let salt = secret(args, kwargs, 1, "salt")
        .filter(|salt| !salt.is_none())
        .map(|salt| salt.python_str())
        .transpose()?;
    let vault = vault_of(secret(args, kwargs, 0, "secret"), &label)?;
    let plain = value.clone().defined()?.python_str()?;
    let text =
        vault.encrypt(plain.as_bytes(), Some(label.as_str()), salt.as_ref().map(|salt| salt.as_bytes()));
    let text = text.map_err(|error| Error::new(error.message))?;
    let wrapped = secret(args, kwargs, 3, "wrap_object").map_or(Ok(false), |value| value.truth())?;
    Ok(if wrapped { VaultText::of(text, (*scope.variables().vault).clone()) } else { Value::from(text) })
}

/// `text | unvault(secret)`.
pub(super) fn unvault_filter(
    _: &Scope,
    value: &Value,
    args: &[Value],
    kwargs: &[(Arc<str>, Value)],
) -> Result<Value, Error> {
    // As it is written: nobody here may have its password.
    let text = match value.as_object::<VaultText>() {
        Some(encrypted) => encrypted.encrypted().to_owned(),
        None => value.clone().defined()?.python_str()?,
    };
    if !crate::vault::is_encrypted(&text) {
        return Ok(Value::from(text));
    }
    let vault = vault_of(secret(args, kwargs, 0, "secret"), "default")?;
    vault.decrypt_text(&text).map(Value::from).map_err(|error| Error::new(error.message))
}
