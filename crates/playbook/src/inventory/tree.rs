//! The YAML form (and TOML and JSON in its shape): groups with hosts, vars and children.

use std::sync::Arc;

use expressions::Value;

use super::{Inventory, address, range};
use crate::diagnostic::{Diagnostic, Result};
use crate::yaml::{Kind, Node};

/// Makes the values of variables.
pub(super) type Values<'a> = &'a dyn Fn(&Node) -> Value;

/// Adds a mapping of groups to the inventory.
pub(super) fn read(root: &Node, values: Values<'_>, inventory: &mut Inventory) -> Result<()> {
    let Some(groups) = root.as_map() else {
        return Err(root
            .error(format!("an inventory is a mapping of groups, and this is {}", root.describe()))
            .hint("begin with `all:`, and below it `hosts:`, `children:` and `vars:`"));
    };
    if let Some(plugin) = root.get("plugin").and_then(Node::as_str) {
        return Err(root.error(format!("the inventory plugin '{plugin}' is not supported")).hint(
            "`constructed` and `generator` are, and an executable inventory that prints JSON works (`ansible-inventory --list` output is of that form)",
        ));
    }
    for (name, body) in groups {
        group(name, body, values, inventory)?;
    }
    Ok(())
}

/// One group with all below it. Returns its name.
fn group(name: &Node, body: &Node, values: Values<'_>, inventory: &mut Inventory) -> Result<String> {
    let Some(group_name) = name.scalar_text() else {
        return Err(name.error(format!("the name of a group is text, and this is {}", name.describe())));
    };
    inventory.add_group(&group_name);
    let entries = match &body.kind {
        Kind::Null => &[],
        Kind::Map(entries) => &**entries,
        _ => {
            return Err(body
                .error(format!("the group '{group_name}' must be a mapping, and this is {}", body.describe()))
                .hint("a group has `hosts:`, `vars:` and `children:`, each a mapping"));
        }
    };
    for (key, value) in entries {
        let section = key.as_str().unwrap_or_default();
        if !matches!(section, "vars" | "children" | "hosts") {
            let name = key.scalar_text().unwrap_or_default();
            inventory.warnings.push(
                Diagnostic::warning(format!("'{name}' in the group '{group_name}' is ignored"))
                    .at(&key.origin)
                    .hint("a group has `hosts`, `vars` and `children`; subgroups belong below `children`"),
            );
            continue;
        }
        for (name, value) in members(section, value, &group_name)? {
            match section {
                "vars" => {
                    let name = name.scalar_text().unwrap_or_default();
                    inventory.set_group_var(&group_name, &name, values(&value));
                }
                "children" => {
                    let child = group(&name, &value, values, inventory)?;
                    inventory.add_child(&group_name, &child).map_err(|error| error.at(&name.origin))?;
                }
                _ => hosts(&name, &value, &group_name, values, inventory)?,
            }
        }
    }
    Ok(group_name)
}

/// The entries of `hosts:`, `children:` or `vars:`; a lone name stands for a mapping with it.
fn members(section: &str, value: &Node, group: &str) -> Result<Vec<(Node, Node)>> {
    match &value.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::Map(entries) => Ok(entries.to_vec()),
        Kind::Str { .. } if section != "vars" => {
            Ok(vec![(value.clone(), Node::new(Kind::Null, Arc::clone(&value.origin)))])
        }
        _ => Err(value
            .error(format!(
                "`{section}` of the group '{group}' must be a mapping, and this is {}",
                value.describe()
            ))
            .hint("write `name:` with a colon and without a dash, one a line")),
    }
}

fn hosts(name: &Node, body: &Node, group: &str, values: Values<'_>, inventory: &mut Inventory) -> Result<()> {
    let pattern = name
        .scalar_text()
        .ok_or_else(|| name.error(format!("the name of a host is text, and this is {}", name.describe())))?;
    let vars: Vec<(String, Value)> = match &body.kind {
        Kind::Null => Vec::new(),
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.scalar_text().unwrap_or_default(), values(value)))
            .collect(),
        _ => {
            return Err(body.error(format!(
                "the variables of the host '{pattern}' must be a mapping, and this is {}",
                body.describe()
            )));
        }
    };
    let (base, port) = address::split(&pattern);
    let names = match base.parse::<std::net::Ipv6Addr>() {
        Ok(_) => vec![base.to_owned()],
        Err(_) => range::expand(base).map_err(|wrong| name.error(wrong.message()))?,
    };
    for host in names {
        inventory.ensure_host(&host);
        inventory.join(&host, group);
        let Some(host) = inventory.hosts.get_mut(&host) else { continue };
        if let Some(port) = port {
            host.vars.insert("ansible_port".into(), Value::Int(i64::from(port)));
        }
        host.vars.extend(vars.iter().cloned());
    }
    Ok(())
}
