//! Variables: the names that anything defines, and those that something needs and nothing defines.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use expressions::{Origin, Outline, Value};

use super::tasks::yaml_files;
use super::{Finding, Given, Level, Surveyor};
use crate::diagnostic::Diagnostic;
use crate::ir::{Play, Role, Task, Vars};
use crate::yaml::Node;

/// Names that are there without being defined.
const MAGIC: &[&str] = &[
    "item",
    "omit",
    "groups",
    "group_names",
    "hostvars",
    "inventory_hostname",
    "inventory_hostname_short",
    "inventory_dir",
    "inventory_file",
    "playbook_dir",
    "role_name",
    "role_path",
    "role_names",
    "play_hosts",
    "environment",
    "vars",
    "environ",
    "true",
    "false",
    "none",
    "self",
    "loop",
    "caller",
    "varargs",
    "kwargs",
    "packages",
    "services",
    "discovered_interpreter_python",
    "template_host",
    "template_path",
    "template_uid",
    "template_run_date",
    "template_fullpath",
    "template_destpath",
    "template_mtime",
    "undef",
    "play_name",
    "dependent_role_names",
    "parent_role_names",
    "parent_role_paths",
    "validate_only",
    "facter",
    "ohai",
    "promise",
];

pub(super) struct Names {
    defined: HashSet<String>,
    guarded: HashSet<Arc<str>>,
    /// By name: where it is first needed.
    needed: HashMap<Arc<str>, Origin>,
    has_hosts: bool,
    /// Something defines names that only a run knows.
    open: bool,
}

impl Names {
    pub(super) fn new(given: &Given) -> Self {
        Self {
            defined: given.names.clone(),
            guarded: HashSet::new(),
            needed: HashMap::new(),
            has_hosts: given.has_hosts,
            open: false,
        }
    }

    pub(super) fn open_for(&mut self, open: bool) {
        self.open |= open;
    }

    fn define(&mut self, vars: &Vars) {
        self.defined.extend(vars.keys().map(ToString::to_string));
    }

    pub(super) fn of_play(&mut self, play: &Play) {
        self.define(&play.vars);
        self.defined.extend(play.vars_prompt.iter().map(|prompt| prompt.name.clone()));
        play.static_roles.iter().for_each(|role| self.of_role(role));
    }

    pub(super) fn of_role(&mut self, role: &Role) {
        [&role.defaults, &role.vars, &role.params, &role.entry_vars]
            .into_iter()
            .for_each(|vars| self.define(vars));
    }

    pub(super) fn of_task(&mut self, task: &Task) {
        task.keywords.vars.iter().for_each(|layer| self.define(&layer.vars));
        if let Some(name) = &task.register {
            self.open |= name.contains("{{");
            self.defined.insert(name.to_string());
        }
        if let Some(looped) = &task.loop_ {
            self.defined.insert(looped.loop_var.to_string());
            self.defined.extend(looped.index_var.iter().map(ToString::to_string));
        }
        match &*task.module {
            "set_fact" | "add_host" => {
                self.open |= task.args_template.is_some() || task.args.keys().any(|name| name.contains("{{"));
                self.define(&task.args);
            }
            "include_vars" => {
                self.defined.extend(super::tasks::static_text(task.args.get("name")));
            }
            // What such modules find is known under names of their own.
            module if module.ends_with("_facts") && module != "gather_facts" => {
                self.open |= module.contains('.')
            }
            "getent" => self.open = true,
            _ => {}
        }
        if let Some(Value::Dict(data)) = task.args.get("data").filter(|_| &*task.module == "set_stats") {
            self.defined.extend(data.raw_items().iter().filter_map(|(key, _)| key.python_str().ok()));
        }
    }

    /// The keys of a file of variables.
    pub(super) fn of_file(&mut self, node: &Node) {
        for (key, _) in node.as_map().unwrap_or_default() {
            self.defined.extend(key.scalar_text());
        }
    }

    pub(super) fn use_of(&mut self, outline: &Outline, certain: bool) {
        self.guarded.extend(outline.guarded.iter().cloned());
        if !certain {
            return;
        }
        for (name, origin) in &outline.needed {
            self.needed.entry(name.clone()).or_insert_with(|| origin.clone());
        }
    }

    /// What is needed in every run, and defined nowhere.
    pub(super) fn findings(&self) -> Vec<Finding> {
        if self.open {
            return Vec::new();
        }
        let unknown = self.needed.iter().filter(|(name, _)| {
            !self.defined.contains(&***name)
                && !self.guarded.contains(*name)
                && !name.starts_with("ansible_")
                && !MAGIC.contains(&&***name)
        });
        unknown.map(|(name, origin)| self.finding(name, origin)).collect()
    }

    fn finding(&self, name: &str, origin: &Origin) -> Finding {
        let near = catalog::arguments::nearest(name, self.defined.iter().map(String::as_str))
            .filter(|near| near.len() > 4 && near.len().abs_diff(name.len()) <= 2);
        let problem = Diagnostic::new(format!("the variable `{name}` is defined nowhere in the project"))
            .at(origin)
            .rule("undefined-variable");
        match near {
            Some(near) => {
                let level = if self.has_hosts { Level::Error } else { Level::Warning };
                Finding { level, diagnostic: problem.hint(format!("did you mean `{near}`?")) }
            }
            None => {
                let hint =
                    format!("give it with `-e {name}=…`, or in the inventory; without it the task fails");
                Finding { level: Level::Warning, diagnostic: problem.hint(hint) }
            }
        }
    }
}

impl Surveyor {
    /// Names of the variable files that belong to a playbook's folder or to a role.
    pub(super) fn scan_names(&mut self, dir: &Path) {
        for part in ["group_vars", "host_vars", "vars", "defaults"] {
            for file in variable_files(&dir.join(part)) {
                let known = self.project.has_read(&file);
                // Nobody may ever use it: what is wrong with it is doubtful.
                self.vars_file(&file, Some(Level::Warning));
                if !known && !self.project.has_read(&file) {
                    self.names.open_for(true);
                }
            }
        }
    }
}

/// YAML files, and those of `group_vars` without extension.
fn variable_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = yaml_files(dir);
    if dir.ends_with("group_vars") || dir.ends_with("host_vars") {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        let plain = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files.extend(plain.filter(|path| path.is_file() && path.extension().is_none()));
    }
    files
}
