//! What inventory and the files beside it say of a host, by group and by host, in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::Value;

use super::Variables;
use super::files::extend;
use crate::diagnostic::Result;
use crate::inventory::ALL;
use crate::ir::Vars;

impl Variables {
    /// Lowest first: inventory's groups, group_vars/all, group_vars/*, the host in the inventory, host_vars/*;
    /// files beside the inventory before those beside the playbook.
    pub(super) fn host_base(&self, host: &Arc<str>, playbook_dir: &Path) -> Result<Vars> {
        let merge = self.merges();
        let inventory = self.inventory();
        let groups = inventory.groups_of(host);
        let beside_inventory: Vec<PathBuf> =
            inventory.sources.iter().filter_map(|source| folder(source)).collect();
        let beside_playbook = vec![playbook_dir.to_owned()];
        let mut vars = Vars::new();
        for group in &groups {
            let own =
                group.vars.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
            extend(&mut vars, &own, merge);
        }
        for wanted_all in [true, false] {
            for places in [&beside_inventory, &beside_playbook] {
                for group in groups.iter().filter(|group| (group.name == ALL) == wanted_all) {
                    self.add_files(&mut vars, places, "group_vars", &group.name)?;
                }
            }
        }
        if let Some(known) = inventory.hosts.get(&**host) {
            let own =
                known.vars.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
            extend(&mut vars, &own, merge);
        }
        for places in [&beside_inventory, &beside_playbook] {
            self.add_files(&mut vars, places, "host_vars", host)?;
        }
        Ok(vars)
    }

    fn add_files(&self, vars: &mut Vars, places: &[PathBuf], folder: &str, name: &str) -> Result<()> {
        for place in places {
            let found = self.files.of(place.join(folder), name, &self.vault, self.merges())?;
            extend(vars, &found, self.merges());
        }
        Ok(())
    }

    /// `groups`: every group with all its hosts.
    pub(super) fn groups_value(&self) -> Value {
        let generation = self.generation();
        if let Some((known, value)) = &*self.groups.lock()
            && *known == generation
        {
            return value.clone();
        }
        let inventory = self.inventory();
        let entries = inventory.groups.keys().map(|name| {
            let hosts = inventory.hosts_of(name).into_iter();
            let hosts = hosts.filter(|host| inventory.hosts.get(host).is_none_or(|host| !host.implicit));
            (Value::str(name.as_str()), Value::list(hosts.map(Value::from).collect()))
        });
        let value = Value::dict(entries.collect::<Vec<_>>());
        drop(inventory);
        *self.groups.lock() = Some((generation, value.clone()));
        value
    }

    /// `group_names`: without `all`.
    pub(super) fn group_names(&self, host: &str) -> Vec<String> {
        self.inventory().group_names(host)
    }
}

/// The folder that `group_vars` stands in for a source of the inventory.
fn folder(source: &Path) -> Option<PathBuf> {
    let source = std::path::absolute(source).ok()?;
    if source.is_dir() { Some(source) } else { source.parent().map(Path::to_owned) }
}
