//! Playbook files: plays and imports of other playbooks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::{Origin, Value};

use super::as_list;
use super::context::Around;
use super::keywords::Level;
use super::reader::{Entry, Reader, describe};
use super::role::Used;
use crate::diagnostic::Diagnostic;
use crate::ir::{Keywords, Node, Play, Prompt, Role, Task, Vars, VarsKind};
use crate::requirements;
use crate::yaml::{self, Kind};

/// What the plays of an imported playbook get from the import.
#[derive(Clone, Default)]
pub(super) struct Import {
    vars: Vars,
    when: Vec<Value>,
    tags: Vec<Arc<str>>,
    /// Playbooks that led here.
    files: Vec<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn playbook(&mut self, path: &Path, import: &Import) -> Vec<Arc<Play>> {
        let before = self.errors.len();
        let Some(content) = self.file(path, None) else {
            if self.errors.len() == before {
                self.error("the playbook is empty", &Origin::new(path, 1, 1));
            }
            return Vec::new();
        };
        let Kind::Seq(items) = &content.kind else {
            let message = format!("a playbook must be a list of plays, not {}", describe(&content));
            self.error_hint(message, &content.origin, "begin each play with `- hosts: …`");
            return Vec::new();
        };
        if items.is_empty() {
            self.error("A playbook must contain at least one play", &content.origin);
        }
        let mut here = import.clone();
        here.files.push(path.to_owned());
        let dir: Arc<Path> = path.parent().unwrap_or(Path::new("/")).into();
        let mut plays = Vec::new();
        for item in items.iter() {
            let Some(entries) = self.entries(item, "a play") else { continue };
            if let Some(position) = entries.iter().position(|entry| Self::is_import_playbook(entry)) {
                plays.extend(self.import_playbook(&entries, position, &dir, &here));
            } else {
                plays.extend(self.play(item, &entries, &dir, &here).map(Arc::new));
            }
        }
        plays
    }

    fn import_playbook(
        &mut self,
        entries: &[Entry<'_>],
        at: usize,
        dir: &Arc<Path>,
        outer: &Import,
    ) -> Vec<Arc<Play>> {
        let mut import = outer.clone();
        for entry in entries {
            match entry.name.as_str() {
                "vars" => import.vars.extend(self.vars(entry.value, "`vars`")),
                "when" => import.when.extend(self.conditions(entry.value, "when")),
                "tags" => import.tags.extend(self.tags(entry.value)),
                name if Level::Import.allows(name) || Self::is_import_playbook(entry) => {}
                _ => self.unknown_keyword(entry, Level::Import),
            }
        }
        let target = entries[at].value;
        let around = Around::root(Arc::default(), dir, Arc::new(import.vars.clone()));
        let Some(name) = self.static_text(target, &around, "the name of the playbook") else {
            return Vec::new();
        };
        let path = crate::search::normal(&dir.join(&name));
        if !path.is_file() {
            let found = self.collection_playbook(&name, dir);
            let Some(found) = found else {
                self.playbook_not_found(&name, &path, dir, &target.origin);
                return Vec::new();
            };
            return self.playbook(&found, &import);
        }
        if import.files.contains(&path) {
            self.error(format!("{} imports itself", path.display()), &target.origin);
            return Vec::new();
        }
        self.playbook(&path, &import)
    }

    fn play(
        &mut self,
        node: &yaml::Node,
        entries: &[Entry<'_>],
        dir: &Arc<Path>,
        import: &Import,
    ) -> Option<Play> {
        for entry in entries.iter().filter(|entry| !Level::Play.allows(&entry.name)) {
            self.unknown_play_key(entry);
        }
        let Some(hosts) = entries.iter().find(|entry| entry.name == "hosts") else {
            self.error("the field 'hosts' is required but was not set", &node.origin);
            return None;
        };
        self.shared.plugins.enter(dir);
        let hosts = self.hosts(hosts);
        let mut keywords = self.keywords(entries, VarsKind::RoleParams);
        // The old word for it, of plays only: in a task it is the module, in a role a parameter.
        if let Some(user) = entries.iter().find(|entry| entry.name == "user") {
            if keywords.remote_user.is_some() {
                self.error("both 'user' and 'remote_user' are set for this play.", &user.key.origin);
            }
            keywords.remote_user = self.plain(user);
        }
        keywords.when = import.when.clone();
        for tag in &import.tags {
            if !keywords.tags.contains(tag) {
                keywords.tags.push(tag.clone());
            }
        }
        let own = entries.iter().find(|entry| entry.name == "vars");
        let mut vars = own.map(|own| self.vars(own.value, "`vars`")).unwrap_or_default();
        // The importer knows better than the imported.
        vars.extend(import.vars.clone());
        let keywords = Arc::new(keywords);
        let mut play = empty_play(node, hosts, keywords, Arc::new(vars), dir);
        self.play_keywords(entries, &mut play);
        self.sections(entries, &mut play);
        Some(play)
    }

    fn hosts(&mut self, entry: &Entry<'_>) -> Value {
        let value = self.value(entry.value);
        let empty = match &value {
            Value::None => true,
            Value::Str(text) => text.as_str().is_empty(),
            Value::List(list) => {
                if list.raw_items().iter().any(|item| !matches!(item, Value::Str(_) | Value::Int(_))) {
                    self.error("hosts list contains an invalid host value", &entry.value.origin);
                }
                list.is_empty()
            }
            Value::Dict(_) => {
                self.error("hosts list must be a sequence or text, not a mapping", &entry.value.origin);
                false
            }
            _ => false,
        };
        if empty {
            self.error(
                "Hosts list cannot be empty. Please check your playbook: give a pattern, for instance `all`",
                &entry.value.origin,
            );
        }
        value
    }

    fn unknown_play_key(&mut self, entry: &Entry<'_>) {
        if self.known(&entry.name).is_some() {
            let hint = "tasks are listed below `tasks:`";
            return self.error_hint(
                format!("'{}' is not a valid attribute for a Play", entry.name),
                &entry.key.origin,
                hint,
            );
        }
        self.unknown_keyword(entry, Level::Play);
    }

    fn play_keywords(&mut self, entries: &[Entry<'_>], play: &mut Play) {
        for entry in entries {
            match entry.name.as_str() {
                "name" => play.name = self.plain(entry),
                "gather_facts" => play.gather_facts = self.boolean(entry),
                "gather_subset" => play.gather_subset = self.optional(entry.value),
                "gather_timeout" => play.gather_timeout = self.integer(entry),
                "fact_path" => play.fact_path = self.plain(entry),
                "strategy" => play.strategy = self.plain(entry),
                "serial" => play.serial = self.serial(entry),
                "order" => play.order = self.order(entry),
                "max_fail_percentage" => play.max_fail_percentage = self.number(entry),
                "force_handlers" => play.force_handlers = self.boolean(entry),
                "vars_files" => play.vars_files = as_list(self.value(entry.value)),
                "vars_prompt" => play.vars_prompt = self.prompts(entry),
                _ => {}
            }
        }
    }

    fn serial(&mut self, entry: &Entry<'_>) -> Vec<Value> {
        let values = as_list(self.value(entry.value));
        for value in &values {
            let fine = match value {
                Value::Int(_) => true,
                Value::Str(text) => {
                    text.is_template() || text.as_str().trim().trim_end_matches('%').parse::<f64>().is_ok()
                }
                _ => false,
            };
            if !fine {
                self.error("`serial` must be a number, a percentage or a list of them", &entry.value.origin);
            }
        }
        values
    }

    fn order(&mut self, entry: &Entry<'_>) -> Option<Value> {
        const ORDERS: &[&str] = &["inventory", "sorted", "reverse_sorted", "reverse_inventory", "shuffle"];
        let value = self.plain(entry)?;
        if let Value::Str(text) = &value
            && !text.is_template()
            && !ORDERS.contains(&text.as_str())
        {
            self.error_hint(
                format!("invalid order specified for inventory hosts: {}", text.as_str()),
                &entry.value.origin,
                format!("one of {}", ORDERS.join(", ")),
            );
        }
        Some(value)
    }

    fn prompts(&mut self, entry: &Entry<'_>) -> Vec<Prompt> {
        let mut prompts = Vec::new();
        for item in self.elements(entry.value, "`vars_prompt`") {
            let Some(parts) = self.entries(item, "a prompt") else { continue };
            let mut prompt = Prompt {
                name: String::new(),
                prompt: None,
                default: None,
                private: true,
                confirm: false,
                encrypt: None,
                salt: None,
                salt_size: None,
                unsafe_: false,
            };
            for part in &parts {
                match part.name.as_str() {
                    "name" => prompt.name = self.text(part.value, "the name").unwrap_or_default(),
                    "prompt" => prompt.prompt = self.optional(part.value),
                    "default" => prompt.default = self.optional(part.value),
                    "private" => prompt.private = self.flag(part, true),
                    "confirm" => prompt.confirm = self.flag(part, false),
                    "encrypt" => prompt.encrypt = self.text(part.value, "`encrypt`"),
                    "salt" => prompt.salt = self.text(part.value, "`salt`"),
                    "salt_size" => prompt.salt_size = self.integer(part).and_then(|value| value.as_i64()),
                    "unsafe" => prompt.unsafe_ = self.flag(part, false),
                    name => self.error(
                        format!("Invalid vars_prompt data structure, found unsupported key '{name}'"),
                        &part.key.origin,
                    ),
                }
            }
            if prompt.name.is_empty() {
                self.error("Invalid vars_prompt data structure, missing 'name' key", &item.origin);
                continue;
            }
            prompts.push(prompt);
        }
        prompts
    }

    fn sections(&mut self, entries: &[Entry<'_>], play: &mut Play) {
        let static_vars = self.static_play_vars(play);
        let around = Around::root(play.keywords.clone(), &play.dir, static_vars);
        self.imported.clear();
        let mut handlers: Vec<Arc<Task>> = Vec::new();
        let section = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.value);
        if let Some(node) = section("roles") {
            let used = self.play_roles(node, &around);
            add_roles(&mut play.static_roles, &mut handlers, &used.roles, used.handlers);
            play.roles = used.nodes;
            play.listed_roles = used.listed;
        }
        for (name, target) in [
            ("pre_tasks", &mut play.pre_tasks),
            ("tasks", &mut play.tasks),
            ("post_tasks", &mut play.post_tasks),
        ] {
            if let Some(node) = section(name) {
                *target = self.list_of_tasks(name, node, &around);
            }
        }
        if let Some(node) = section("handlers") {
            handlers.extend(self.handler_list(node, &around));
        }
        // After the play's own, in the order in which they are read.
        for (more, roles) in std::mem::take(&mut self.imported) {
            add_roles(&mut play.static_roles, &mut handlers, &roles, more);
        }
        play.handlers = handlers;
    }

    fn list_of_tasks(&mut self, name: &str, node: &yaml::Node, around: &Around) -> Vec<Node> {
        if !matches!(node.kind, Kind::Seq(_) | Kind::Null) {
            let shown = node.scalar_text().unwrap_or_else(|| describe(node).to_owned());
            let problem = format!(
                "A malformed block was encountered while loading {name}: {shown} should be a list or None"
            );
            self.error_hint(problem, &node.origin, "begin each task with `- `");
            return Vec::new();
        }
        self.task_list(node, around)
    }

    fn play_roles(&mut self, node: &yaml::Node, around: &Around) -> Used {
        let mut all = Used::default();
        if !matches!(node.kind, Kind::Seq(_) | Kind::Null) {
            let hint = "begin each role with `- `";
            self.error_hint("A malformed role declaration was encountered.", &node.origin, hint);
            return all;
        }
        for item in self.elements(node, "`roles`") {
            if let Some(used) = self.role_entry(item, around) {
                // What it depends on comes before it.
                all.listed.extend(used.roles.last().map(|role| role.name.clone()));
                all.nodes.extend(used.nodes);
                all.handlers.extend(used.handlers);
                all.roles.extend(used.roles);
            }
        }
        all
    }

    /// Variables of the play for names that are needed while reading: also those of plain `vars_files`.
    fn static_play_vars(&mut self, play: &Play) -> Arc<Vars> {
        let mut vars = (*play.vars).clone();
        for file in &play.vars_files {
            let Value::Str(name) = file else { continue };
            if name.is_template() {
                continue;
            }
            let found = crate::search::vars_file(name.as_str(), &play.dir);
            if let Some(path) = found
                && let Some(content) = self.file(&path, name.origin().map(|origin| &**origin))
            {
                vars.extend(self.vars(&content, "a file of variables"));
            }
        }
        Arc::new(vars)
    }
}

fn add_roles(
    roles: &mut Vec<Arc<Role>>,
    handlers: &mut Vec<Arc<Task>>,
    more: &[Arc<Role>],
    more_handlers: Vec<Arc<Task>>,
) {
    for role in more {
        if !roles.iter().any(|known| known.instance == role.instance) {
            roles.push(role.clone());
        }
    }
    // A role that is used twice brings its handlers twice: those with the variables of its last use are found.
    handlers.extend(more_handlers);
}

fn empty_play(
    node: &yaml::Node,
    hosts: Value,
    keywords: Arc<Keywords>,
    vars: Arc<Vars>,
    dir: &Arc<Path>,
) -> Play {
    Play {
        origin: node.origin.clone(),
        name: None,
        hosts,
        keywords,
        gather_facts: None,
        gather_subset: None,
        gather_timeout: None,
        fact_path: None,
        strategy: None,
        serial: Vec::new(),
        order: None,
        max_fail_percentage: None,
        force_handlers: None,
        vars,
        vars_files: Vec::new(),
        vars_prompt: Vec::new(),
        pre_tasks: Vec::new(),
        roles: Vec::new(),
        tasks: Vec::new(),
        post_tasks: Vec::new(),
        handlers: Vec::new(),
        static_roles: Vec::new(),
        listed_roles: Vec::new(),
        dir: dir.clone(),
    }
}

impl Reader<'_> {
    /// `namespace.collection.playbook`.
    fn playbook_not_found(&mut self, name: &str, path: &Path, dir: &Path, origin: &Origin) {
        let parts: Vec<&str> = name.split('.').collect();
        let problem = match parts.as_slice() {
            [namespace, collection, _, ..] if !name.contains('/') && !name.ends_with("ml") => {
                let collection = format!("{namespace}.{collection}");
                let advice = requirements::advice(requirements::Kind::Collection, &collection, dir);
                Diagnostic::new(format!(
                    "the playbook `{name}` of the collection `{collection}` was not found"
                ))
                .hint(advice)
            }
            _ => Diagnostic::new(format!("the playbook {} could not be found", path.display())),
        };
        self.errors.push(problem.at(origin).rule("missing-file"));
    }

    fn collection_playbook(&self, name: &str, dir: &Path) -> Option<PathBuf> {
        let mut parts = name.splitn(3, '.');
        let (namespace, collection, playbook) = (parts.next()?, parts.next()?, parts.next()?);
        let base = super::role_files::collection(
            &self.shared.options.config,
            dir,
            &format!("{namespace}.{collection}"),
        )?;
        let places = ["yml", "yaml"].map(|ext| base.join("playbooks").join(format!("{playbook}.{ext}")));
        let plain = base.join("playbooks").join(playbook);
        places.into_iter().chain([plain]).find(|path| path.is_file())
    }
}
