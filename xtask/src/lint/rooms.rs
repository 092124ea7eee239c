//! Rooms depend only downwards: on those that come before them in the root's `[workspace.dependencies]`.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

pub(super) fn check() -> Result<Vec<String>> {
    let text = fs::read_to_string(shell::root().join("Cargo.toml"))?;
    let order = order(&text)?;
    Ok(complaints(&order, &shell::metadata()?))
}

/// Package names of the rooms, lowest first.
fn order(manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = toml::from_str(manifest)?;
    let listed = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let listed = listed.and_then(toml::Value::as_table).context("no [workspace.dependencies]")?;
    let rooms = listed.iter().filter(|(_, about)| about.get("path").is_some());
    Ok(rooms
        .map(|(name, about)| about.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned())
        .collect())
}

fn complaints(order: &[String], metadata: &Value) -> Vec<String> {
    let place = |name: &str| order.iter().position(|room| room == name);
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        // These stand above all rooms.
        if ["xtask", "theseus"].contains(&name) {
            continue;
        }
        let Some(own) = place(name) else {
            found.push(format!("{name} is not listed in [workspace.dependencies]"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let upwards = place(on).is_some_and(|at| at >= own);
            if upwards || on == "theseus" || on == "xtask" {
                found.push(format!("{name} must not depend on {on}, which lies above it"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{complaints, order};
    use serde_json::json;

    #[test]
    fn an_upward_edge_is_named() {
        let manifest = "[workspace.dependencies]\nlow = { package = \"x-low\", path = \"low\" }\nserde = \"1\"\nhigh = { path = \"high\" }\n";
        let order = order(manifest).unwrap();
        assert_eq!(order, ["x-low", "high"]);
        let metadata = json!({"packages": [
            {"name": "x-low", "dependencies": [{"name": "high"}, {"name": "serde"}]},
            {"name": "high", "dependencies": [{"name": "x-low"}]},
            {"name": "theseus", "dependencies": [{"name": "high"}]},
        ]});
        assert_eq!(complaints(&order, &metadata), ["x-low must not depend on high, which lies above it"]);
    }
}
