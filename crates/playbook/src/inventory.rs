//! The hosts and groups that people manage: from INI, YAML, TOML, JSON, programs, folders and lists on the command line.

mod address;
mod ini;
mod load;
mod plugins;
mod range;
mod report;
mod script;
mod tree;

use indexmap::{IndexMap, IndexSet};

use expressions::Value;

use crate::diagnostic::{Diagnostic, Result};
pub(crate) use address::is_address;
pub use load::LoadOptions;
pub use report::Report;

/// Variables, in the order in which they were written.
pub type Vars = IndexMap<String, Value>;

pub const ALL: &str = "all";
pub const UNGROUPED: &str = "ungrouped";
/// The names that mean the controller itself.
pub const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[derive(Clone, Default)]
pub struct Group {
    pub name: String,
    /// Direct members.
    pub hosts: IndexSet<String>,
    pub children: IndexSet<String>,
    pub parents: IndexSet<String>,
    pub vars: Vars,
    /// `ansible_group_priority`: among groups of one depth, higher wins.
    pub priority: i64,
    /// Longest way down from `all`.
    pub depth: usize,
}

#[derive(Clone, Default)]
pub struct Host {
    pub name: String,
    /// Groups that list it directly.
    pub groups: IndexSet<String>,
    /// Set on the host itself, group variables are not among them.
    pub vars: Vars,
    /// Nobody wrote it: the controller, which is there without being listed.
    pub implicit: bool,
}

#[derive(Clone)]
pub struct Inventory {
    pub groups: IndexMap<String, Group>,
    pub hosts: IndexMap<String, Host>,
    /// Files and folders that were read, in order: `group_vars` and `host_vars` are beside them.
    pub sources: Vec<std::path::PathBuf>,
    pub warnings: Vec<Diagnostic>,
}

impl Default for Inventory {
    fn default() -> Self {
        let mut inventory = Self {
            groups: IndexMap::new(),
            hosts: IndexMap::new(),
            sources: Vec::new(),
            warnings: Vec::new(),
        };
        inventory.add_group(ALL);
        inventory.add_group(UNGROUPED);
        inventory.settle();
        inventory
    }
}

impl Inventory {
    /// Reads all `-i` sources, in order; later ones add to and override earlier ones.
    pub fn load(sources: &[String], options: &LoadOptions<'_>) -> Result<Self> {
        load::load(sources, options)
    }

    /// A host that is listed.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// The host, or the implicit `localhost` if the name means the controller.
    pub fn host_or_implicit(&self, name: &str) -> Option<Host> {
        if let Some(host) = self.hosts.get(name) {
            return Some(host.clone());
        }
        let local = LOCALHOST.contains(&name);
        local.then(|| Host { name: name.to_owned(), implicit: true, ..Host::default() })
    }

    /// The groups whose variables the host sees, in the order in which they are merged: `all` first, then by
    /// depth, priority and name; later ones win. Unknown hosts are in `all` only.
    pub fn groups_of(&self, host: &str) -> Vec<&Group> {
        let mut names: IndexSet<&str> = IndexSet::new();
        let direct = self.hosts.get(host).into_iter().flat_map(|host| host.groups.iter().map(String::as_str));
        let mut waiting: Vec<&str> = direct.collect();
        waiting.push(ALL);
        while let Some(name) = waiting.pop() {
            let Some(group) = self.groups.get(name).filter(|_| names.insert(name)) else { continue };
            waiting.extend(group.parents.iter().map(String::as_str));
        }
        let mut groups: Vec<&Group> = names.iter().filter_map(|name| self.groups.get(*name)).collect();
        groups.sort_by(|a, b| (a.depth, a.priority, &a.name).cmp(&(b.depth, b.priority, &b.name)));
        groups
    }

    /// The magic variable `group_names`: sorted, without `all`.
    pub fn group_names(&self, host: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .groups_of(host)
            .into_iter()
            .map(|group| group.name.clone())
            .filter(|name| name != ALL)
            .collect();
        names.sort();
        names
    }

    /// All hosts of a group, those of its children included: the group's own first, then level by level.
    pub fn hosts_of(&self, group: &str) -> Vec<String> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        for name in self.descendants(group) {
            let members = self.groups.get(name).into_iter().flat_map(|group| &group.hosts);
            hosts.extend(members.map(String::as_str));
        }
        hosts.into_iter().map(str::to_owned).collect()
    }

    /// The group and all below it, level by level.
    fn descendants<'a>(&'a self, group: &'a str) -> IndexSet<&'a str> {
        let mut found = IndexSet::from([group]);
        let mut at = 0;
        while let Some(name) = found.get_index(at).copied() {
            let children = self.groups.get(name).into_iter().flat_map(|group| &group.children);
            found.extend(children.map(String::as_str));
            at += 1;
        }
        found
    }

    /// The variables that the inventory gives a host: those of its groups in merge order, then its own.
    /// Equal names replace each other (`hash_behaviour: replace`).
    pub fn vars_of(&self, host: &str) -> Vars {
        let mut vars = Vars::new();
        for group in self.groups_of(host) {
            vars.extend(group.vars.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        if let Some(host) = self.hosts.get(host) {
            vars.extend(host.vars.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        vars
    }

    /// Makes the group if it is new. Returns whether it was.
    pub fn add_group(&mut self, name: &str) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.to_owned(), Group { name: name.to_owned(), priority: 1, ..Group::default() });
        true
    }

    /// The module `add_host`: the host, in these groups (made if new), with these variables.
    /// Returns whether anything is new. Variables never count: setting them again changes nothing.
    pub fn add_host(&mut self, name: &str, groups: &[String], vars: Vars) -> bool {
        let mut changed = self.ensure_host(name);
        for group in groups {
            changed |= self.add_group(group);
            changed |= self.join(name, group);
        }
        if let Some(host) = self.hosts.get_mut(name) {
            host.vars.extend(vars);
        }
        self.settle();
        changed
    }

    /// The module `group_by`: puts a host into a group (made if new) below these parents.
    pub fn add_to_group(&mut self, host: &str, group: &str, parents: &[String]) -> Result<bool> {
        let mut changed = self.add_group(group);
        for parent in parents.iter().filter(|parent| *parent != ALL) {
            changed |= self.add_group(parent);
            changed |= self.add_child(parent, group)?;
        }
        self.ensure_host(host);
        changed |= self.join(host, group);
        self.settle();
        Ok(changed)
    }

    fn ensure_host(&mut self, name: &str) -> bool {
        if self.hosts.contains_key(name) {
            return false;
        }
        self.hosts.insert(name.to_owned(), Host { name: name.to_owned(), ..Host::default() });
        true
    }

    fn join(&mut self, host: &str, group: &str) -> bool {
        if let Some(host) = self.hosts.get_mut(host) {
            host.groups.insert(group.to_owned());
        }
        self.groups.get_mut(group).is_some_and(|group| group.hosts.insert(host.to_owned()))
    }

    fn add_child(&mut self, parent: &str, child: &str) -> Result<bool> {
        if parent == child {
            return Err(Diagnostic::new(format!("the group '{child}' cannot be a child of itself")));
        }
        if self.descendants(child).contains(parent) {
            return Err(Diagnostic::new(format!(
                "the group '{child}' cannot be a child of '{parent}': '{parent}' is below it already"
            )));
        }
        if let Some(group) = self.groups.get_mut(child) {
            group.parents.insert(parent.to_owned());
        }
        Ok(self.groups.get_mut(parent).is_some_and(|group| group.children.insert(child.to_owned())))
    }

    fn set_group_var(&mut self, group: &str, name: &str, value: Value) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if name == "ansible_group_priority" {
            group.priority = priority(&value).unwrap_or(group.priority);
        } else {
            group.vars.insert(name.to_owned(), value);
        }
    }

    /// Restores what always holds: every group is below `all`, every host in `ungrouped` exactly if it is in no
    /// other group, depths are right.
    fn settle(&mut self) {
        let orphans: Vec<String> = self
            .groups
            .values()
            .filter(|group| group.name != ALL && group.parents.is_empty())
            .map(|group| group.name.clone())
            .collect();
        for name in orphans {
            self.groups[ALL].children.insert(name.clone());
            self.groups[&name].parents.insert(ALL.to_owned());
        }
        self.groups[ALL].hosts.clear();
        for host in self.hosts.values_mut().filter(|host| !host.implicit) {
            host.groups.shift_remove(ALL);
            if host.groups.iter().any(|group| group != UNGROUPED) {
                host.groups.shift_remove(UNGROUPED);
                self.groups[UNGROUPED].hosts.shift_remove(&host.name);
            } else {
                host.groups.insert(UNGROUPED.to_owned());
                self.groups[UNGROUPED].hosts.insert(host.name.clone());
            }
        }
        self.measure_depths();
    }

    fn measure_depths(&mut self) {
        // There are no circles (`add_child` refuses them), so this ends after as many rounds as there are levels.
        let mut level: IndexSet<String> = IndexSet::from([ALL.to_owned()]);
        for depth in 0..=self.groups.len() {
            let mut next = IndexSet::new();
            for name in &level {
                self.groups[name].depth = depth;
                next.extend(self.groups[name].children.iter().cloned());
            }
            if next.is_empty() {
                return;
            }
            level = next;
        }
    }
}

fn priority(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Str(text) => text.as_str().trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
