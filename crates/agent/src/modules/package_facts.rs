//! `package_facts`: every installed package.

use std::collections::BTreeMap;

use catalog::{Arg, Args, Check, Json, Kind, Map, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::dpkg::Dpkg;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "package_facts",
        &[
            Arg::new("manager", Kind::List(&Kind::Str)).default("auto").choices(&[
                "apk",
                "apt",
                "auto",
                "dnf",
                "dnf5",
                "openbsd_pkg",
                "pacman",
                "pkg",
                "pkg5",
                "pkg_info",
                "pkgng",
                "portage",
                "rpm",
                "yum",
                "zypper",
            ]),
            Arg::str("strategy").default("first").choices(&["all", "first"]),
        ],
    )
    .check(Check::Query),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let asked = args.strings("manager");
    let auto = asked.iter().any(|m| m == "auto");
    let wanted = |names: &[&str]| auto || asked.iter().any(|m| names.contains(&m.as_str()));
    let mut found: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    let first = args.string("strategy") == "first";
    if wanted(&["apt"]) && std::path::Path::new(crate::packages::dpkg::STATUS).exists() {
        from_dpkg(task, &mut found);
    }
    let done = |found: &BTreeMap<String, Vec<Json>>| first && !found.is_empty();
    if !done(&found) && wanted(&["rpm", "yum", "dnf", "dnf5", "zypper"]) {
        from_rpm(task, &mut found)?;
    }
    if !done(&found) && wanted(&["apk"]) {
        from_apk(&mut found);
    }
    if !done(&found) && wanted(&["pacman"]) {
        from_pacman(task, &mut found)?;
    }
    if found.is_empty() {
        return Err(Failure::new(format!(
            "Could not detect a supported package manager from the following list: {asked:?}, or the required Python library is not installed. Check warnings for details."
        )));
    }
    let packages: Map = found.into_iter().map(|(name, list)| (name, Json::Array(list))).collect();
    Ok(Outcome::default().with("ansible_facts", json!({"packages": packages})))
}

fn from_dpkg(task: &mut Task<'_>, found: &mut BTreeMap<String, Vec<Json>>) {
    for package in Dpkg::now(task.cache).all().filter(|p| p.installed()) {
        let entry = json!({
            "name": package.name, "version": package.version, "arch": package.architecture,
            "category": package.section, "origin": "", "source": "apt",
        });
        found.entry(package.name.clone()).or_default().push(entry);
    }
}

fn from_rpm(task: &Task<'_>, found: &mut BTreeMap<String, Vec<Json>>) -> Result<(), Failure> {
    let format = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\n";
    let Some(output) = children::ask_if_there(task, &["rpm", "-qa", "--qf", format])? else { return Ok(()) };
    for line in output.stdout_text().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, epoch, version, release, arch] = fields[..] else { continue };
        let epoch = epoch.parse::<u64>().ok().filter(|e| *e > 0);
        let entry = json!({
            "name": name, "version": version, "release": release, "epoch": epoch,
            "arch": if arch == "(none)" { Json::Null } else { arch.into() }, "source": "rpm",
        });
        found.entry(name.to_owned()).or_default().push(entry);
    }
    Ok(())
}

fn from_apk(found: &mut BTreeMap<String, Vec<Json>>) {
    let Ok(text) = std::fs::read_to_string("/lib/apk/db/installed") else { return };
    for paragraph in text.split("\n\n") {
        let field = |key: &str| paragraph.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
        let (name, version) = (field("P:"), field("V:"));
        if name.is_empty() {
            continue;
        }
        let (version, release) = version.rsplit_once('-').unwrap_or((version, ""));
        let entry = json!({"name": name, "version": version, "release": release, "source": "apk"});
        found.entry(name.to_owned()).or_default().push(entry);
    }
}

fn from_pacman(task: &Task<'_>, found: &mut BTreeMap<String, Vec<Json>>) -> Result<(), Failure> {
    let Some(output) = children::ask_if_there(task, &["pacman", "-Q"])? else { return Ok(()) };
    for (name, version) in output.stdout_text().lines().filter_map(|line| line.split_once(' ')) {
        found
            .entry(name.to_owned())
            .or_default()
            .push(json!({"name": name, "version": version, "source": "pacman"}));
    }
    Ok(())
}
