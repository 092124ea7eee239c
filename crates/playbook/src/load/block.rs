//! Lists of tasks: blocks, static imports, handlers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Around;
use super::keywords::{Level, own_vars};
use super::reader::{Entry, Reader};
use super::role::Usage;
use super::task::{Draft, ROLE_ARGS};
use super::{NO_SUCH_FILE, RoleFrom, as_list};
use crate::ir::{Block, Keywords, Node, Task, VarsKind};
use crate::search::role_places;
use crate::yaml::{self, Kind};

/// Imports inside imports; deeper is a circle that goes through templates.
const MAX_IMPORTS: usize = 100;

impl Reader<'_> {
    /// `tasks:` and the content of task files.
    pub(super) fn task_list(&mut self, node: &yaml::Node, around: &Around) -> Vec<Node> {
        let mut nodes = Vec::new();
        for item in self.elements(node, "a list of tasks") {
            if matches!(item.kind, Kind::Null) {
                continue;
            }
            self.step(item, around, &mut nodes);
        }
        nodes
    }

    fn step(&mut self, node: &yaml::Node, around: &Around, nodes: &mut Vec<Node>) {
        let Kind::Map(map) = &node.kind else {
            let hint = "a task is a mapping with a module: `- ansible.builtin.command: …`";
            return self.error_hint("a task or a block must be a mapping", &node.origin, hint);
        };
        let is_block = map
            .iter()
            .any(|(key, _)| matches!(super::reader::key_text(key).as_str(), "block" | "rescue" | "always"));
        if is_block {
            return nodes.extend(self.block(node, around).map(|block| Node::Block(Arc::new(block))));
        }
        let level = if around.handlers { Level::Handler } else { Level::Task };
        let Some(draft) = self.draft(node, level) else { return };
        match draft.module() {
            "import_tasks" => nodes.extend(self.import_tasks(&draft, around)),
            "import_role" => nodes.extend(self.import_role(&draft, around)),
            "import_playbook" => {
                self.error_hint(
                    "`import_playbook` cannot be used in a list of tasks",
                    &node.origin,
                    "it stands beside plays",
                );
            }
            _ => nodes.extend(self.task(draft, around).map(Node::Task)),
        }
    }

    fn block(&mut self, node: &yaml::Node, around: &Around) -> Option<Block> {
        let entries = self.entries(node, "a block")?;
        if around.handlers && around.in_block {
            self.error("using a block as a handler is not supported", &node.origin);
            return None;
        }
        for entry in entries.iter().filter(|entry| !Level::Block.allows(&entry.name)) {
            self.unknown_keyword(entry, Level::Block);
        }
        let mut inner = around.clone();
        inner.in_block = true;
        inner.keywords = Arc::new(self.keywords(&entries, VarsKind::Block).within(&around.keywords));
        let mut block = Block {
            origin: node.origin.clone(),
            name: None,
            body: Vec::new(),
            rescue: Vec::new(),
            always: Vec::new(),
            role: None,
        };
        if let Some(notify) = entries.iter().find(|entry| entry.name == "notify") {
            inner.notify = as_list(self.value(notify.value));
        }
        let mut has_body = false;
        for entry in &entries {
            match entry.name.as_str() {
                "name" => block.name = self.plain(entry),
                "block" => {
                    has_body = true;
                    let mut body = inner.clone();
                    body.rescued |= entries.iter().any(|entry| entry.name == "rescue");
                    block.body = self.task_list(entry.value, &body);
                }
                "rescue" => block.rescue = self.task_list(entry.value, &inner),
                "always" => block.always = self.task_list(entry.value, &inner),
                _ => {}
            }
        }
        if !has_body {
            let section =
                if entries.iter().any(|entry| entry.name == "rescue") { "rescue" } else { "always" };
            self.error(format!("'{section}' keyword cannot be used without 'block'"), &node.origin);
        }
        Some(block)
    }

    /// `handlers:` and the content of handler files.
    pub(super) fn handler_list(&mut self, node: &yaml::Node, around: &Around) -> Vec<Arc<Task>> {
        let mut inner = around.clone();
        inner.handlers = true;
        inner.in_block = false;
        let nodes = self.task_list(node, &inner);
        let mut handlers = Vec::new();
        flatten(&nodes, &mut handlers);
        handlers
    }

    /// Keywords of an import, for its children; complains about what imports cannot do.
    fn import_keywords(&mut self, draft: &Draft<'_>, around: &Around) -> Arc<Keywords> {
        for entry in &draft.entries {
            if entry.name == "loop" || entry.name.starts_with("with_") {
                let dynamic = draft.module().replace("import", "include");
                let message = format!("you cannot use loops on '{}' statements", draft.action.name);
                self.error_hint(message, &entry.key.origin, format!("use `{dynamic}` instead"));
            }
        }
        Arc::new(self.keywords(&draft.entries, VarsKind::Task).within(&around.keywords))
    }

    fn import_tasks(&mut self, draft: &Draft<'_>, around: &Around) -> Vec<Node> {
        let mut inner = around.clone();
        inner.keywords = self.import_keywords(draft, around);
        self.check_names(draft, &["file", "_raw_params"]);
        let Some(name) = self.import_name(draft, &inner, &["file", "_raw_params"], "the name of the file")
        else {
            return Vec::new();
        };
        let origin =
            draft.given.place("file").or(draft.given.place("_raw_params")).unwrap_or(&draft.node.origin);
        let candidates = import_places(&name, around);
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
            self.error_hint(
                format!("{NO_SUCH_FILE} '{name}' on the Ansible Controller"),
                origin,
                format!("looked for {}", looked.join(", ")),
            );
            return Vec::new();
        };
        if around.files.contains(path) || around.files.len() > MAX_IMPORTS {
            let hint = "use `include_tasks` with a condition if the repetition is meant";
            self.error_hint(format!("{} imports itself", path.display()), origin, hint);
            return Vec::new();
        }
        inner.enter_file(path);
        let Some(content) = self.file(path, Some(origin)) else { return Vec::new() };
        self.task_list(&content, &inner)
    }

    fn import_role(&mut self, draft: &Draft<'_>, around: &Around) -> Vec<Node> {
        let mut inner = around.clone();
        inner.keywords = self.import_keywords(draft, around);
        self.check_names(draft, ROLE_ARGS);
        let Some(name) =
            self.import_name(draft, &inner, &["name", "role", "_raw_params"], "the name of the role")
        else {
            return Vec::new();
        };
        let mut told = |key: &str| {
            let value = draft.given.args.get(key)?;
            match value {
                expressions::Value::Str(text) if text.is_template() => {
                    let origin = draft.given.place(key).unwrap_or(&draft.node.origin);
                    self.static_value(value, origin, &inner, key)
                }
                _ => draft.given.text(key),
            }
        };
        let mut flag = |key: &str| told(key).and_then(|text| catalog::arguments::truth(&text));
        let allow_duplicates = flag("allow_duplicates").or(Some(true));
        let (public, validate) = (flag("public"), flag("rolespec_validate").unwrap_or(true));
        let from = RoleFrom {
            tasks: told("tasks_from"),
            vars: told("vars_from"),
            defaults: told("defaults_from"),
            handlers: told("handlers_from"),
        };
        let own = own_import_vars(&inner, around);
        let usage = Usage {
            name,
            origin: draft.node.origin.clone(),
            from,
            entry_vars: own,
            params: Arc::default(),
            allow_duplicates,
            own: String::new(),
            public: public.unwrap_or(self.shared.options.config.private_role_vars != Some(true)),
            validate,
            dynamic: false,
            dependency: false,
        };
        let Some(used) = self.role(&usage, &inner) else { return Vec::new() };
        self.imported.push((used.handlers, used.roles));
        used.nodes
    }

    /// The name that an import gives, rendered.
    fn import_name(
        &mut self,
        draft: &Draft<'_>,
        around: &Around,
        keys: &[&str],
        what: &str,
    ) -> Option<String> {
        let Some(key) = keys.iter().find(|key| draft.given.args.contains_key(**key)) else {
            if draft.given.template.is_none() {
                self.error(format!("`{}` needs {what}", draft.action.name), &draft.action.key.origin);
                return None;
            }
            let template = draft.given.template.clone()?;
            return self.static_value(&template, &draft.node.origin, around, what);
        };
        let value = draft.given.args.get(*key)?.clone();
        let origin = draft.given.place(key).unwrap_or(&draft.node.origin).clone();
        self.static_value(&value, &origin, around, what)
    }

    /// Arguments of a playbook's import, which has no action of a task.
    pub(super) fn is_import_playbook(entry: &Entry<'_>) -> bool {
        super::action::short_name(&entry.name) == "import_playbook"
    }
}

/// The variables that the import itself gives.
fn own_import_vars(inner: &Around, around: &Around) -> Arc<crate::ir::Vars> {
    if inner.keywords.vars.len() > around.keywords.vars.len() {
        own_vars(&inner.keywords)
    } else {
        Arc::default()
    }
}

/// Where an imported file of tasks may be.
fn import_places(name: &str, around: &Around) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut add = |path: PathBuf| {
        let path = crate::search::normal(&path);
        if !places.contains(&path) {
            places.push(path);
        }
    };
    if Path::new(name).is_absolute() {
        return vec![PathBuf::from(name)];
    }
    if let Some(role) = &around.role {
        role_places(&role.path, around.handlers).into_iter().for_each(|folder| add(folder.join(name)));
    }
    add(around.dir.join(name));
    if around.role.is_none() {
        add(around.dir.join("tasks").join(name));
    }
    add(around.playbook_dir.join(name));
    places
}

fn flatten(nodes: &[Node], handlers: &mut Vec<Arc<Task>>) {
    for node in nodes {
        match node {
            Node::Task(task) => handlers.push(task.clone()),
            Node::Block(block) => flatten(&block.body, handlers),
        }
    }
}
