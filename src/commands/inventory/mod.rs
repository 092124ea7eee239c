//! `theseus inventory`, and the program under the name `ansible-inventory`: hosts, groups and their variables.

mod dump;
mod files;

use std::collections::BTreeMap;
use std::path::Path;

use playbook::inventory::{Inventory as Hosts, LOCALHOST, Report};
use playbook::{Diagnostic, inventory as inventories};
use serde_json::{Value as Json, json};

use crate::arguments::{self, Inventory};
use crate::report::{self, Output, Style};
use crate::setup::{Base, Problem};
use crate::terminal;
use files::Files;

pub(crate) fn inventory(asked: &Inventory, style: Style) -> u8 {
    let json = style.output == Output::Json;
    let mut base = match Base::new(&asked.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    let shown = text(asked, &mut base).and_then(|text| give(&text, asked.output_file.as_deref()));
    for warning in &base.warnings {
        terminal::show_one(warning, &base.sources, json);
    }
    match shown {
        Ok(()) => 0,
        Err(problem) => terminal::show(&problem, &base.sources, json),
    }
}

fn give(text: &str, to: Option<&Path>) -> Result<(), Problem> {
    let Some(to) = to else {
        print!("{text}");
        return Ok(());
    };
    std::fs::write(to, text)
        .map_err(|error| Problem::Other(format!("{} cannot be written: {error}", to.display())))
}

fn text(asked: &Inventory, base: &mut Base) -> Result<String, Problem> {
    let chosen = [asked.list, asked.graph, asked.host.is_some()].iter().filter(|yes| **yes).count();
    if chosen != 1 {
        let what = if chosen == 0 {
            "say what to show: --list, --host NAME or --graph"
        } else {
            "only one of --list, --host and --graph"
        };
        return Err(Problem::Options(what.to_owned()));
    }
    let dir = crate::commands::adhoc::folder(asked.playbook_dir.as_deref(), base)?;
    let inventory = base.inventory(&asked.hosts)?;
    let inventory = match &asked.hosts.limit {
        Some(limit) => limited(inventory, limit, &dir)?,
        None => inventory,
    };
    let files = Files { inventory: &inventory, base, dir: &dir };
    if let Some(host) = &asked.host {
        return one(host, &files, asked.yaml);
    }
    if asked.graph {
        return graph(&asked.group, asked.vars, &files);
    }
    let whole = |error: expressions::Error| Problem::from(Diagnostic::from(error));
    if asked.yaml {
        return dump::yaml(&dump::tree(&files, asked.export)?).map_err(whole);
    }
    list(&files, asked.export)
}

/// A host's name, and what the inventory says of it in words.
type Labelled = (String, BTreeMap<String, String>);

/// The hosts of a pattern.
pub(crate) fn labels(sources: &[String], pattern: &str) -> Result<Vec<Labelled>, Problem> {
    let mut base = Base::new(&arguments::Given::default())?;
    let hosts = arguments::Hosts { inventory: sources.to_vec(), limit: None };
    let inventory = base.inventory(&hosts)?;
    let dir = base.cwd.clone();
    let chosen = inventory.selection(&[pattern.to_owned()], None, &dir)?.hosts;
    let files = Files { inventory: &inventory, base: &base, dir: &dir };
    let in_words = |name: &String| {
        let vars = files.host(name, false)?;
        let words = vars.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Ok((name.clone(), words.collect()))
    };
    chosen.iter().map(in_words).collect()
}

/// Only the hosts of a pattern; groups stay.
fn limited(mut inventory: Hosts, limit: &str, dir: &Path) -> Result<Hosts, Problem> {
    let chosen = inventory.selection(&["all".to_owned()], Some(limit), dir)?.hosts;
    inventory.hosts.retain(|name, _| chosen.contains(name));
    for group in inventory.groups.values_mut() {
        group.hosts.retain(|name| chosen.contains(name));
    }
    Ok(inventory)
}

fn one(host: &str, files: &Files<'_>, yaml: bool) -> Result<String, Problem> {
    if files.inventory.host_or_implicit(host).is_none() {
        return Err(Problem::Options(format!("there is no host `{host}` in the inventory")));
    }
    let mut vars = files.host(host, false)?;
    if files.inventory.host(host).is_none() && LOCALHOST.contains(&host) {
        vars.entry("ansible_connection".to_owned()).or_insert_with(|| "local".into());
    }
    let whole = |error: expressions::Error| Problem::from(Diagnostic::from(error));
    if yaml {
        return dump::yaml(&dump::mapping(&vars)?).map_err(whole);
    }
    Ok(report::json_indented(&Json::Object(dump::marked(&vars, false)?)) + "\n")
}

fn list(files: &Files<'_>, export: bool) -> Result<String, Problem> {
    let hosts = files.every_host(export)?;
    let report = Report {
        inventory: files.inventory,
        host_vars: &|host| hosts.get(host).cloned().unwrap_or_default(),
        group_vars: &|_| inventories::Vars::new(),
    };
    let whole = |error: expressions::Error| Problem::from(Diagnostic::from(error));
    let text = report.list().map_err(whole)?;
    if !export {
        return Ok(text);
    }
    let mut shown: Json = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    for name in files.inventory.groups.keys() {
        let vars = dump::marked(&files.group(name)?, true)?;
        if !vars.is_empty() {
            let group =
                shown.as_object_mut().map(|groups| groups.entry(name.clone()).or_insert_with(|| json!({})));
            if let Some(Json::Object(group)) = group {
                group.insert("vars".to_owned(), Json::Object(vars));
            }
        }
    }
    Ok(report::json_indented(&shown) + "\n")
}

fn graph(group: &str, with_vars: bool, files: &Files<'_>) -> Result<String, Problem> {
    let (hosts, groups) =
        if with_vars { (files.every_host(false)?, files.every_group()?) } else { Default::default() };
    let report = Report {
        inventory: files.inventory,
        host_vars: &|host| hosts.get(host).cloned().unwrap_or_default(),
        group_vars: &|group| groups.get(group).cloned().unwrap_or_default(),
    };
    match report.graph(group, with_vars) {
        Some(text) => text.map_err(|error| Diagnostic::from(error).into()),
        None => Err(Problem::Options(format!("there is no group `{group}` in the inventory"))),
    }
}
