//! Lookups that look at variables, hosts and settings.

use expressions::{Context, Error, Value};

use super::Call;

pub(super) fn vars(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let default = call.options.iter().find(|(name, _)| &**name == "default").map(|(_, value)| value);
    let mut all = Vec::new();
    for term in call.terms {
        let Some(name) = term.as_str() else {
            return Err(Error::new(format!("Variable name must be 'str' not '{}'", term.type_name())));
        };
        let found = call.scope.variable(name)?.filter(|value| !value.is_undefined());
        match (found, default) {
            (Some(value), _) => all.push(value),
            (None, Some(default)) => all.push(default.clone()),
            (None, None) => return Err(Error::undefined(format!("No variable named '{name}' was found"))),
        }
    }
    Ok(all)
}

/// Names of variables that a regular expression finds.
pub(super) fn varnames(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let names = call.scope.names();
    let mut all = Vec::new();
    for term in call.terms {
        let Some(pattern) = term.as_str() else {
            return Err(Error::new(format!(
                "invalid setting identifier, '{}' is not a string",
                term.python_repr()?
            )));
        };
        let regex = fancy_regex::Regex::new(pattern).map_err(|error| {
            Error::new(format!("unable to use '{pattern}' as a search parameter: {error}"))
        })?;
        all.extend(names.iter().filter(|name| regex.is_match(name).unwrap_or(false)).map(Value::from));
    }
    Ok(all)
}

pub(super) fn env(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let default = call.options.iter().find(|(name, _)| &**name == "default").map(|(_, value)| value);
    call.texts()?
        .iter()
        .map(|term| {
            let name = term.split_whitespace().next().unwrap_or_default();
            match (std::env::var(name), default) {
                (Ok(value), _) => Ok(Value::from(value)),
                (Err(_), Some(default)) => default.clone().defined(),
                (Err(_), None) => Ok(Value::from("")),
            }
        })
        .collect()
}

/// Hosts that a pattern means.
pub(super) fn inventory_hostnames(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let patterns = super::lists::flattened(call)?;
    let patterns = patterns.iter().map(Value::python_str).collect::<Result<Vec<_>, _>>()?.join(",");
    let inventory = call.scope.variables().inventory();
    let hosts = inventory.select(&patterns, None).map_err(|error| Error::new(error.message))?;
    Ok(hosts.into_iter().map(Value::from).collect())
}

/// Settings of `ansible.cfg` and the environment.
pub(super) fn config(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    let becomes = call.text("plugin_type")?.is_some_and(|kind| kind == "become");
    let plugin = call.text("plugin_name")?.filter(|_| becomes);
    for name in call.texts()? {
        let found = match &plugin {
            Some(plugin) => become_setting(call, plugin, &name),
            None => setting(call, &name.to_uppercase()),
        };
        match found {
            Some(value) => all.push(value),
            None if call.text("on_missing")?.is_some_and(|how| how != "error") => {}
            None => return Err(Error::new(format!("unable to find setting {name}"))),
        }
    }
    Ok(all)
}

/// How users are changed, by the method's name.
fn become_setting(call: &Call<'_>, method: &str, name: &str) -> Option<Value> {
    let method = method.rsplit('.').next().unwrap_or(method);
    if !matches!(method, "sudo" | "su" | "doas" | "runas") {
        return None;
    }
    let written = &call.scope.variables().config.becoming;
    let (own, usual) = match name {
        "become_user" => (&written.user, "root"),
        "become_exe" => (&written.exe, method),
        "become_flags" => (&written.flags, if method == "sudo" { "-H -S -n" } else { "" }),
        _ => return None,
    };
    Some(Value::from(own.as_deref().unwrap_or(usual)))
}

fn setting(call: &Call<'_>, name: &str) -> Option<Value> {
    let config = &call.scope.variables().config;
    let paths = |paths: &[std::path::PathBuf]| {
        Value::from(paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
    };
    Some(match name {
        "DEFAULT_ROLES_PATH" => paths(&config.roles_path),
        "COLLECTIONS_PATHS" | "COLLECTIONS_PATH" => paths(&config.collections_path),
        "DEFAULT_FORKS" => Value::Int(call.scope.variables().options.forks),
        "DEFAULT_HASH_BEHAVIOUR" => {
            Value::from(if config.hash_behaviour_merge { "merge" } else { "replace" })
        }
        "INJECT_FACTS_AS_VARS" => Value::Bool(config.inject_facts_as_vars),
        "DEFAULT_PRIVATE_ROLE_VARS" => Value::Bool(config.private_role_vars == Some(true)),
        "DEFAULT_MANAGED_STR" => Value::from(config.ansible_managed.as_str()),
        "CONFIG_FILE" => {
            config.file.as_ref().map_or(Value::None, |path| Value::from(path.display().to_string()))
        }
        _ => return None,
    })
}
