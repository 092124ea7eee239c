//! The walk over tasks and blocks, into everything that they include.

use std::path::PathBuf;
use std::sync::Arc;

use expressions::Value;

use super::handlers::Handlers;
use super::{Here, Level, Surveyor};
use crate::diagnostic::Diagnostic;
use crate::ir::{IncludeKind, Node, Role, Task};
use crate::load::{Loaded, RoleFrom, RoleRequest, TasksRequest};

/// Includes inside includes.
const DEPTH: u32 = 40;

impl Surveyor {
    pub(super) fn nodes(&mut self, nodes: &[Node], here: &Here<'_>, handlers: &mut Handlers) {
        for node in nodes {
            match node {
                Node::Task(task) => self.task(task, here, handlers),
                Node::Block(block) => {
                    let rescued = Here { certain: false, ..here.clone() };
                    let body = if block.rescue.is_empty() { here } else { &rescued };
                    self.nodes(&block.body, body, handlers);
                    self.nodes(&block.rescue, &rescued, handlers);
                    self.nodes(&block.always, &rescued, handlers);
                }
            }
        }
    }

    fn task(&mut self, task: &Arc<Task>, here: &Here<'_>, handlers: &mut Handlers) {
        handlers.notify(task, !here.alone);
        if task.is_handler {
            handlers.define(task);
        }
        self.names.of_task(task);
        let certain = Self::is_certain(task, here);
        if self.tasks.insert(task.origin.to_string()) {
            self.local |= runs_here(task);
            self.texts(task, certain && !here.alone);
            self.task_files(task, certain);
            self.notes(task);
        }
        match task.include.as_ref().map(|include| include.kind) {
            Some(IncludeKind::Tasks) => self.included_tasks(task, here, handlers),
            Some(IncludeKind::Role) => self.included_role(task, here, handlers),
            _ => {}
        }
    }

    /// `include_tasks` with a name that is known.
    fn included_tasks(&mut self, task: &Arc<Task>, here: &Here<'_>, handlers: &mut Handlers) {
        let Some(name) = static_text(task.args.get("file").or_else(|| task.args.get("_raw_params"))) else {
            return;
        };
        let Some(path) = self.project.find_tasks(&name, task, here.play) else {
            let text = format!("the file `{name}` that is included was not found");
            return self.missing_file(text, task, here.certain);
        };
        let role = task.role.as_ref().map(|role| role.path.clone());
        if here.depth > DEPTH || !self.loaded.insert((path.clone(), role)) {
            return;
        }
        let inner = Here { certain: false, depth: here.depth + 1, ..here.clone() };
        let request = TasksRequest { task: task.clone(), play: here.play.clone(), vars: Default::default() };
        if task.is_handler {
            if let Ok(found) = self.project.load_handlers(&path, &request) {
                self.take(Loaded::default(), None);
                let nodes: Vec<Node> = found.into_iter().map(Node::Task).collect();
                self.nodes(&nodes, &inner, handlers);
            }
            return;
        }
        if let Ok(loaded) = self.project.load_tasks(&path, &request) {
            let nodes = loaded.nodes.clone();
            self.take(loaded, None);
            self.nodes(&nodes, &inner, handlers);
        }
    }

    /// `include_role` with a name that is known.
    fn included_role(&mut self, task: &Arc<Task>, here: &Here<'_>, handlers: &mut Handlers) {
        let given = ["name", "role", "_raw_params"].iter().find_map(|key| task.args.get(*key));
        let (Some(name), true) = (static_text(given), here.depth <= DEPTH) else { return };
        let from = |key: &str| task.args.get(key);
        let mut parts = Vec::new();
        for key in ["tasks_from", "vars_from", "defaults_from", "handlers_from"] {
            match from(key) {
                None => parts.push(None),
                Some(value) => match static_text(Some(value)) {
                    Some(text) => parts.push(Some(text)),
                    // A part that is only known when it runs: the rest of the role is read as it is.
                    None => parts.push(None),
                },
            }
        }
        let [tasks, vars, defaults, role_handlers] =
            <[Option<String>; 4]>::try_from(parts).unwrap_or_default();
        let request = RoleRequest {
            task: task.clone(),
            play: here.play.clone(),
            name,
            from: RoleFrom { tasks, vars, defaults, handlers: role_handlers },
            allow_duplicates: None,
            public: Some(true),
            validate: true,
            vars: Default::default(),
        };
        let Ok(loaded) = self.project.load_role(&request) else { return };
        // Under a condition it may be a role that only some have.
        let conditional = !task.keywords.when.is_empty() || !here.certain;
        let (nodes, defined, roles) = (loaded.nodes.clone(), loaded.handlers.clone(), loaded.roles.clone());
        self.take(loaded, None);
        handlers.define_all(&defined);
        let inner = Here { certain: false, depth: here.depth + 1, ..here.clone() };
        let new: Vec<Arc<Role>> =
            roles.iter().filter(|role| !self.roles.contains_key(&*role.path)).cloned().collect();
        for role in &roles {
            self.role(role, &inner);
        }
        let key = (PathBuf::from(format!("{:?} {:?}", request.name, request.from)), None);
        if self.loaded.insert(key) || !conditional {
            self.nodes(&nodes, &inner, handlers);
        }
        for role in new {
            self.leftovers(&role, &inner, handlers);
        }
    }

    /// Files of a role that nothing includes by a name that is known before a run: they may still be used.
    pub(super) fn leftovers(&mut self, role: &Arc<Role>, here: &Here<'_>, handlers: &mut Handlers) {
        for part in ["tasks", "handlers"] {
            for file in yaml_files(&role.path.join(part)) {
                let key = (file.clone(), Some(role.path.clone()));
                if self.project.has_read(&file) || !self.loaded.insert(key) {
                    continue;
                }
                let loaded = self.project.read_leftover(&file, role, here.play, part == "handlers");
                let nodes = loaded.nodes.clone();
                self.take(loaded, Some(Level::Warning));
                let found = self.found.len();
                let inner = Here { certain: false, alone: true, depth: here.depth + 1, play: here.play };
                self.nodes(&nodes, &inner, handlers);
                // No run is known to come here.
                for finding in &mut self.found[found..] {
                    finding.level = finding.level.max(Level::Warning);
                }
            }
        }
        self.leftover_templates(role);
    }

    pub(super) fn missing_file(&mut self, text: String, task: &Task, certain: bool) {
        let certain = certain && task.keywords.when.is_empty() && task.loop_.is_none() && !self.local;
        let problem = Diagnostic::new(text).at(&task.origin).rule("missing-file");
        if certain {
            return self.push(Level::Error, problem);
        }
        self.push(
            Level::Warning,
            problem.hint("the task fails if it is reached and the file is not there by then"),
        );
    }
}

/// Text that needs no rendering.
pub(super) fn static_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Str(text) if !text.is_template() => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn runs_here(task: &Task) -> bool {
    let at = |value: &Option<Value>| value.as_ref().and_then(|value| value.as_str().map(str::to_owned));
    at(&task.keywords.delegate_to).is_some_and(|host| host == "localhost" || host == "127.0.0.1")
        || at(&task.keywords.connection).is_some_and(|connection| connection == "local")
        || &*task.module == "fetch"
}

/// All YAML files below a folder, in order.
pub(super) fn yaml_files(dir: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            files.extend(yaml_files(&path));
        } else if matches!(path.extension().and_then(|e| e.to_str()), Some("yml" | "yaml")) {
            files.push(path);
        }
    }
    files
}
