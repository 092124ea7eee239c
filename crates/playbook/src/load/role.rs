//! Roles: where they are used, what they depend on, what they bring.

use std::path::Path;
use std::sync::Arc;

use expressions::{Origin, Value};

use super::context::Around;
use super::keywords::Level;
use super::reader::{Entry, Reader};
use super::role_files::{self, Place};
use super::{Loaded, RoleFrom};
use crate::diagnostic::Diagnostic;
use crate::ir::{Block, Keywords, Node, ParentRole, Role, Task, Vars, VarsKind};
use crate::requirements;
use crate::search::normal;
use crate::yaml::{self, Kind};

/// Roles inside roles; deeper is a circle.
const MAX_DEPTH: usize = 60;

/// A role as it is used at one place.
pub(super) struct Usage {
    pub(super) name: String,
    pub(super) origin: Arc<Origin>,
    pub(super) from: RoleFrom,
    pub(super) entry_vars: Arc<Vars>,
    pub(super) params: Arc<Vars>,
    /// `None`: as the role's `meta` says.
    pub(super) allow_duplicates: Option<bool>,
    /// `when` and `tags` of the entry: with other ones it is another use of the role.
    pub(super) own: String,
    pub(super) public: bool,
    pub(super) validate: bool,
    /// `include_role`.
    pub(super) dynamic: bool,
    /// In `dependencies:`, not included or imported by a task.
    pub(super) dependency: bool,
}

/// What the use of a role brings.
#[derive(Default)]
pub(super) struct Used {
    pub(super) nodes: Vec<Node>,
    pub(super) handlers: Vec<Arc<Task>>,
    /// Dependencies first, the role last.
    pub(super) roles: Vec<Arc<Role>>,
    /// Names, as a play lists them.
    pub(super) listed: Vec<Arc<str>>,
}

impl Used {
    pub(super) fn into_loaded(self) -> Loaded {
        let role = self.roles.last().cloned();
        Loaded { nodes: self.nodes, handlers: self.handlers, role, roles: self.roles, ..Loaded::default() }
    }
}

/// `meta/main.yml`.
#[derive(Default)]
struct Meta {
    dependencies: Option<yaml::Node>,
    allow_duplicates: bool,
    specs: Option<yaml::Node>,
    collections: Vec<String>,
}

impl Reader<'_> {
    fn usage(&self, name: String, origin: &Arc<Origin>, around: &Around) -> Usage {
        let shown = self.shared.options.config.private_role_vars != Some(true);
        Usage {
            name,
            origin: origin.clone(),
            from: RoleFrom::default(),
            entry_vars: Arc::default(),
            params: Arc::default(),
            allow_duplicates: None,
            own: String::new(),
            // What a hidden role depends on is hidden, too.
            public: around.role.as_ref().map_or(shown, |role| role.public),
            validate: true,
            dynamic: false,
            dependency: around.role.is_some(),
        }
    }

    /// An element of `roles:` or of `dependencies:`.
    pub(super) fn role_entry(&mut self, node: &yaml::Node, around: &Around) -> Option<Used> {
        let Kind::Map(_) = &node.kind else {
            if matches!(node.kind, Kind::Seq(_) | Kind::Null) {
                self.error("a role must be a name or a mapping with the key `role`", &node.origin);
                return None;
            }
            let name = self.static_text(node, around, "the name of the role")?;
            if name.contains(',') && !name.contains("://") {
                self.error(format!("Invalid old style role requirement: {name}"), &node.origin);
                return None;
            }
            return self.role(&self.usage(name, &node.origin, around), around);
        };
        let entries = self.entries(node, "a role")?;
        let named = entries
            .iter()
            .find(|entry| entry.name == "role")
            .or(entries.iter().find(|entry| entry.name == "name"));
        let Some(named) = named else {
            self.error("role definitions must contain a role name", &node.origin);
            return None;
        };
        let mut inner = around.clone();
        let own = self.keywords(&entries, VarsKind::RoleParams);
        let plain = own.when.is_empty() && own.tags.is_empty();
        let key = if plain { String::new() } else { format!("{:?}|{:?}", own.when, own.tags) };
        inner.keywords = Arc::new(own.within(&around.keywords));
        let (params, vars) = self.role_params(&entries);
        inner.play_vars = Arc::new(merged(&around.play_vars, [&*vars, &*params]));
        let name = self.static_text(named.value, &inner, "the name of the role")?;
        inner.play_vars = around.play_vars.clone();
        let mut usage = self.usage(name, &node.origin, around);
        usage.own = key;
        usage.params = params;
        usage.entry_vars = vars;
        self.role(&usage, &inner)
    }

    /// What is no keyword is a parameter.
    fn role_params(&mut self, entries: &[Entry<'_>]) -> (Arc<Vars>, Arc<Vars>) {
        let (mut params, mut vars) = (Vars::new(), Vars::new());
        for entry in entries {
            if entry.name == "vars" {
                vars = self.vars(entry.value, "`vars`");
            } else if !Level::Role.allows(&entry.name) && entry.name != "allow_duplicates" {
                let value = self.value(entry.value);
                params.insert(entry.name.as_str().into(), value);
            }
        }
        (Arc::new(params), Arc::new(vars))
    }

    /// Load a role and everything that it depends on.
    pub(super) fn role(&mut self, usage: &Usage, around: &Around) -> Option<Used> {
        let depth = around.role.as_ref().map_or(0, |role| role.chain.len() + 1);
        let found = role_files::find(&self.shared.options.config, &usage.name, around);
        let place = match found {
            Ok(place) => place,
            Err(places) => {
                let collection = usage.name.splitn(3, '.').count() == 3 && !usage.name.contains('/');
                let advice = if collection {
                    let name: Vec<&str> = usage.name.splitn(3, '.').take(2).collect();
                    requirements::advice(
                        requirements::Kind::Collection,
                        &name.join("."),
                        &around.playbook_dir,
                    )
                } else {
                    requirements::advice(requirements::Kind::Role, &usage.name, &around.playbook_dir)
                };
                let hint = format!("looked in {}; {advice}", places.join(", "));
                let problem = Diagnostic::new(format!("the role '{}' was not found", usage.name));
                self.errors.push(problem.at(&usage.origin).rule("missing-role").hint(hint));
                return None;
            }
        };
        let circle = !usage.dynamic
            && around.role.as_ref().is_some_and(|role| {
                *role.path == *place.path || role.chain.iter().any(|parent| *parent.path == *place.path)
            })
            && usage.from.tasks.is_none();
        if circle || depth > MAX_DEPTH {
            self.error(
                format!(
                    "a recursion loop was detected with the roles specified: '{}' depends on itself",
                    usage.name
                ),
                &usage.origin,
            );
            return None;
        }
        self.shared.plugins.enter(&place.path);
        let meta = self.meta(&place.path);
        let role = self.role_data(usage, &place, &meta, around);
        self.role_content(usage, role, &meta, around)
    }

    fn meta(&mut self, path: &Path) -> Meta {
        let mut meta = Meta::default();
        if let Some(node) = self.role_file(path, "meta", None)
            && let Some(entries) = self.entries(&node, "meta/main.yml")
        {
            for entry in entries {
                match entry.name.as_str() {
                    "dependencies" => meta.dependencies = Some(entry.value.clone()),
                    "allow_duplicates" => meta.allow_duplicates = self.flag(&entry, false),
                    "argument_specs" => meta.specs = Some(entry.value.clone()),
                    "collections" => meta.collections = self.names(entry.value, "`collections`"),
                    _ => {}
                }
            }
        }
        if let Some(node) = self.role_file(path, "meta", Some("argument_specs"))
            && let Some(entries) = self.entries(&node, "meta/argument_specs.yml")
        {
            meta.specs = entries
                .into_iter()
                .find(|entry| entry.name == "argument_specs")
                .map(|entry| entry.value.clone());
        }
        meta
    }

    /// Complains about a file that lies outside of its role.
    fn leads_out(&mut self, path: &Path, part: &str, name: Option<&str>, origin: &Origin) -> bool {
        let Some(name) = name else { return false };
        let folder = normal(&path.join(part));
        let inside = normal(&folder.join(name)).starts_with(&folder);
        if !inside {
            let folder = folder.display();
            self.error(
                format!(
                    "the file {name} cannot be used, as it is not inside the expected role path {folder}"
                ),
                origin,
            );
        }
        !inside
    }

    /// The single file (or the first of a folder) of a part of a role.
    fn role_file(&mut self, path: &Path, part: &str, name: Option<&str>) -> Option<Arc<yaml::Node>> {
        let file = role_files::files(&path.join(part), name.unwrap_or("main"), false).into_iter().next()?;
        self.file(&file, None)
    }

    /// `defaults` or `vars`: all files of it, merged.
    fn role_vars(&mut self, path: &Path, part: &str, name: Option<&str>, origin: &Origin) -> Arc<Vars> {
        if self.leads_out(path, part, name, origin) {
            return Arc::default();
        }
        let files = role_files::files(&path.join(part), name.unwrap_or("main"), true);
        if let Some(name) = name
            && files.is_empty()
        {
            self.error(format!("could not find specified file in role: {part}/{name}"), origin);
        }
        let mut vars = Vars::new();
        for file in files {
            let Some(node) = self.file(&file, None) else { continue };
            if matches!(node.kind, Kind::Null) {
                continue;
            }
            if !matches!(node.kind, Kind::Map(_)) {
                let message = format!(
                    "the {} file of a role must contain a mapping of variables",
                    role_files::shown(path, &file)
                );
                self.error(message, &node.origin);
                continue;
            }
            vars.extend(self.vars(&node, "a role's variables"));
        }
        Arc::new(vars)
    }

    fn role_data(&mut self, usage: &Usage, place: &Place, meta: &Meta, around: &Around) -> Role {
        let path: Arc<Path> = place.path.as_path().into();
        let defaults = self.role_vars(&path, "defaults", usage.from.defaults.as_deref(), &usage.origin);
        let vars = self.role_vars(&path, "vars", usage.from.vars.as_deref(), &usage.origin);
        let mut chain: Vec<ParentRole> = Vec::new();
        if let Some(parent) = &around.role {
            chain.extend(parent.chain.iter().cloned());
            chain.push(parent.as_parent());
        }
        let mut parents = around.role.as_ref().map(|role| role.parents.clone()).unwrap_or_default();
        if !usage.dependency {
            parents.extend(around.role.as_ref().map(|role| role.name.clone()));
        }
        let key = format!(
            "{}|{:?}|{:?}|{:?}|{}",
            path.display(),
            usage.from,
            shown_vars(&usage.params),
            shown_vars(&usage.entry_vars),
            usage.own
        );
        let instance = format!("{key}|{}", usage.dynamic);
        Role {
            name: place.name.as_str().into(),
            path,
            defaults,
            vars,
            params: usage.params.clone(),
            entry_vars: usage.entry_vars.clone(),
            collection: place.collection.as_deref().map(Arc::from),
            parents,
            chain: Arc::new(chain),
            dependencies: Vec::new(),
            allow_duplicates: usage.allow_duplicates.unwrap_or(meta.allow_duplicates),
            public: usage.public,
            instance: self.shared.instance(instance),
            work: self.shared.instance(key),
        }
    }

    /// Dependencies, tasks and handlers.
    fn role_content(&mut self, usage: &Usage, mut role: Role, meta: &Meta, around: &Around) -> Option<Used> {
        let mut used = Used::default();
        let mut inner = around.clone();
        inner.handlers = false;
        // A role looks in its own collection and in those that it names, not in those of the play.
        let own = role.collection.iter().map(|own| own.to_string());
        let collections: Vec<String> = own.chain(meta.collections.iter().cloned()).collect();
        if collections != inner.keywords.collections {
            inner.keywords = Arc::new(Keywords { collections, ..(*inner.keywords).clone() });
        }
        inner.files.clear();
        inner.enter_role(Arc::new(role.clone()));
        if let Some(dependencies) = &meta.dependencies {
            for node in self.elements(dependencies, "`dependencies`") {
                let Some(dependency) = self.role_entry(node, &inner) else { continue };
                role.dependencies.extend(dependency.roles.last().cloned());
                used.nodes.extend(dependency.nodes);
                used.handlers.extend(dependency.handlers);
                used.roles.extend(dependency.roles);
            }
        }
        let role = Arc::new(role);
        inner.enter_role(role.clone());
        let body = self.role_tasks(usage, &role, meta, &inner)?;
        used.handlers.extend(self.role_handlers(usage, &role, &inner));
        used.nodes.push(Node::Block(Arc::new(Block {
            origin: usage.origin.clone(),
            name: None,
            body,
            rescue: Vec::new(),
            always: Vec::new(),
            role: Some(role.clone()),
        })));
        used.roles.push(role);
        Some(used)
    }

    fn role_tasks(
        &mut self,
        usage: &Usage,
        role: &Arc<Role>,
        meta: &Meta,
        around: &Around,
    ) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        if usage.validate
            && let Some(specs) = &meta.specs
        {
            nodes.extend(self.validation(specs, usage, role, around).map(Node::Task));
        }
        let name = usage.from.tasks.as_deref();
        if self.leads_out(&role.path, "tasks", name, &usage.origin) {
            return None;
        }
        let file =
            role_files::files(&role.path.join("tasks"), name.unwrap_or("main"), false).into_iter().next();
        let Some(file) = file else {
            if let Some(name) = name {
                let message = format!("could not find specified file in role: tasks/{name}");
                self.error(message, &usage.origin);
                return None;
            }
            return Some(nodes);
        };
        if let Some(content) = self.file(&file, Some(&usage.origin)) {
            let mut inner = around.clone();
            inner.enter_file(&file);
            if !matches!(content.kind, Kind::Seq(_)) {
                let message = format!(
                    "the {} file of a role must contain a list of tasks",
                    role_files::shown(&role.path, &file)
                );
                self.error(message, &content.origin);
                return Some(nodes);
            }
            nodes.extend(self.task_list(&content, &inner));
        }
        Some(nodes)
    }

    fn role_handlers(&mut self, usage: &Usage, role: &Arc<Role>, around: &Around) -> Vec<Arc<Task>> {
        let name = usage.from.handlers.as_deref();
        if self.leads_out(&role.path, "handlers", name, &usage.origin) {
            return Vec::new();
        }
        let file =
            role_files::files(&role.path.join("handlers"), name.unwrap_or("main"), false).into_iter().next();
        let Some(file) = file else {
            if let Some(name) = name {
                self.error(format!("could not find specified file in role: handlers/{name}"), &usage.origin);
            }
            return Vec::new();
        };
        let Some(content) = self.file(&file, Some(&usage.origin)) else { return Vec::new() };
        let mut inner = around.clone();
        inner.enter_file(&file);
        self.handler_list(&content, &inner)
    }
}

fn merged<'v>(base: &Vars, more: impl IntoIterator<Item = &'v Vars>) -> Vars {
    let mut all = base.clone();
    for vars in more {
        all.extend(vars.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    all
}

fn shown_vars(vars: &Vars) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> =
        vars.iter().map(|(name, value)| (name.to_string(), shown_value(value))).collect();
    shown.sort();
    shown
}

/// Two values look the same exactly if they are written the same.
fn shown_value(value: &Value) -> String {
    value.python_repr().unwrap_or_else(|error| error.message)
}
