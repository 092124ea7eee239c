//! Variables of hosts and groups, the files of `group_vars` and `host_vars` included.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use expressions::Value;
use playbook::inventory::{ALL, Inventory, Vars};
use playbook::yaml::{self, Kind};
use playbook::{Diagnostic, search, vars};

use crate::setup::{Base, Problem};

pub(super) struct Files<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) base: &'a Base,
    /// Stands for the playbook's folder.
    pub(super) dir: &'a Path,
}

impl Files<'_> {
    pub(super) fn every_host(&self, own: bool) -> Result<HashMap<String, Vars>, Problem> {
        self.inventory.hosts.keys().map(|host| Ok((host.clone(), self.host(host, own)?))).collect()
    }

    pub(super) fn every_group(&self) -> Result<HashMap<String, Vars>, Problem> {
        self.inventory.groups.keys().map(|group| Ok((group.clone(), self.group(group)?))).collect()
    }

    /// What a host sees; `own`: without what its groups say.
    pub(super) fn host(&self, name: &str, own: bool) -> Result<Vars, Problem> {
        let mut all = Vars::new();
        if !own {
            let groups = self.inventory.groups_of(name);
            groups.iter().for_each(|group| self.add(&mut all, &group.vars));
            for of_all in [true, false] {
                for place in self.places() {
                    for group in groups.iter().filter(|group| (group.name == ALL) == of_all) {
                        self.add_files(&mut all, &place, "group_vars", &group.name)?;
                    }
                }
            }
        }
        if let Some(host) = self.inventory.host(name) {
            self.add(&mut all, &host.vars);
        }
        for place in self.places() {
            self.add_files(&mut all, &place, "host_vars", name)?;
        }
        if !own {
            let extra = self.base.extra_vars.iter().map(|(name, value)| (name.to_string(), value.clone()));
            self.add(&mut all, &extra.collect());
        }
        Ok(all)
    }

    pub(super) fn group(&self, name: &str) -> Result<Vars, Problem> {
        let mut all = self.inventory.groups.get(name).map(|group| group.vars.clone()).unwrap_or_default();
        for place in self.places() {
            self.add_files(&mut all, &place, "group_vars", name)?;
        }
        Ok(all)
    }

    /// Beside the inventory, then beside the playbook.
    fn places(&self) -> Vec<PathBuf> {
        let folder = |source: &PathBuf| {
            let source = std::path::absolute(source).ok()?;
            if source.is_dir() { Some(source) } else { source.parent().map(Path::to_owned) }
        };
        self.inventory.sources.iter().filter_map(folder).chain([self.dir.to_owned()]).collect()
    }

    fn add_files(&self, all: &mut Vars, place: &Path, kind: &str, name: &str) -> Result<(), Problem> {
        for file in search::vars_of(&place.join(kind), name) {
            let loaded = yaml::load_file(&file, &self.base.vault)?;
            let Some(node) = loaded.node else { continue };
            let Kind::Map(entries) = &node.kind else {
                return Err(Diagnostic::new("a file of variables must contain a mapping (`name: value`)")
                    .at(&node.origin)
                    .into());
            };
            let vars = entries.iter().map(|(key, value)| {
                let name = key.to_value(&self.base.vault).python_str().unwrap_or_default();
                (name, value.to_lazy_value(&self.base.vault))
            });
            self.add(all, &vars.collect());
        }
        Ok(())
    }

    fn add(&self, all: &mut Vars, more: &Vars) {
        let merge = self.base.config.text("DEFAULT_HASH_BEHAVIOUR") == Some("merge");
        for (name, value) in more {
            let value: Value = match all.get(name) {
                Some(old) if merge => vars::combine(old, value),
                _ => value.clone(),
            };
            all.insert(name.clone(), value);
        }
    }
}
