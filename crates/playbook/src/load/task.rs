//! One task: its action, arguments and keywords.

use std::sync::Arc;

use expressions::{Origin, Str, Value};

use super::action::{Action, Arguments, Known, short_name};
use super::context::Around;
use super::keywords::Level;
use super::reader::{Entry, Reader, describe};
use super::{UnknownModule, as_list, role_files};
use crate::diagnostic::Diagnostic;
use crate::ir::{Include, IncludeKind, Keywords, Task, Vars, VarsKind};
use crate::yaml::{self, Kind};

/// Arguments as they are read.
#[derive(Default)]
pub(super) struct Given {
    pub(super) args: Vars,
    pub(super) template: Option<Value>,
    /// Where each argument is written.
    pub(super) places: Vec<(Arc<str>, Arc<Origin>)>,
    /// Free text for a module that takes none.
    pub(super) stray: Option<String>,
}

impl Given {
    fn insert(&mut self, name: &str, value: Value, origin: &Arc<Origin>) {
        let name: Arc<str> = name.into();
        self.places.push((name.clone(), origin.clone()));
        self.args.insert(name, value);
    }
    pub(super) fn place(&self, name: &str) -> Option<&Arc<Origin>> {
        self.places.iter().rev().find(|(known, _)| &**known == name).map(|(_, origin)| origin)
    }
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.args.get(name).filter(|value| !value.is_none()).and_then(|value| value.python_str().ok())
    }
}

/// A task whose action and arguments are read, before it is decided what it becomes.
pub(super) struct Draft<'n> {
    pub(super) node: &'n yaml::Node,
    pub(super) entries: Vec<Entry<'n>>,
    pub(super) action: Action<'n>,
    pub(super) known: Option<Known>,
    pub(super) given: Given,
}

impl Draft<'_> {
    pub(super) fn module(&self) -> &str {
        self.known.as_ref().map_or_else(|| short_name(&self.action.name), |known| &known.module)
    }
    pub(super) fn entry(&self, name: &str) -> Option<&Entry<'_>> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

impl Reader<'_> {
    /// What the task does; complaints are made.
    pub(super) fn draft<'n>(&mut self, node: &'n yaml::Node, level: Level) -> Option<Draft<'n>> {
        let entries = self.entries(node, "a task")?;
        let action = self.action(&entries, node, level)?;
        let known = self.known(&action.name);
        let mut given = Given::default();
        if let Some(args) = entries.iter().find(|entry| entry.name == "args") {
            self.extra_args(args.value, &mut given);
        }
        self.own_args(&action, known.as_ref(), &mut given);
        self.internal_names(&action, &given);
        Some(Draft { node, entries, action, known, given })
    }

    /// What the controller and its modules tell each other.
    fn internal_names(&mut self, action: &Action<'_>, given: &Given) {
        for name in given.args.keys().filter(|name| name.starts_with("_ansible_")) {
            let problem = format!(
                "`{name}` cannot be an argument of '{}': The prefix '_ansible_' is reserved for internal use only.",
                action.name
            );
            self.error(problem, given.place(name).unwrap_or(&action.key.origin));
        }
    }

    fn extra_args(&mut self, node: &yaml::Node, given: &mut Given) {
        match &node.kind {
            Kind::Null => {}
            Kind::Map(_) => self.args_map(node, given),
            Kind::Str { .. } => {
                let value = self.value(node);
                match &value {
                    Value::Str(text) if text.is_template() => given.template = Some(value),
                    _ => self.error("`args` must be a mapping", &node.origin),
                }
            }
            _ => self.error(format!("`args` must be a mapping, not {}", describe(node)), &node.origin),
        }
    }

    fn args_map(&mut self, node: &yaml::Node, given: &mut Given) {
        for entry in self.entries(node, "the arguments").unwrap_or_default() {
            let value = self.value(entry.value);
            given.insert(&entry.name, value, &entry.key.origin);
        }
    }

    fn own_args(&mut self, action: &Action<'_>, known: Option<&Known>, given: &mut Given) {
        match &action.arguments {
            Arguments::Text(text) => {
                self.check_templates(&Value::Str(text.clone()));
                self.text_args(text, action, known, given);
            }
            Arguments::Node(node) => match &node.kind {
                Kind::Null => {}
                Kind::Map(_) => {
                    self.args_map(node, given);
                    if action.spelled {
                        given.args.shift_remove("module");
                        self.args_below(given);
                    }
                }
                Kind::Seq(_) => {
                    let hint = "arguments are `name: value` pairs";
                    self.error_hint(
                        format!("unexpected arguments of `{}`: a list", action.name),
                        &node.origin,
                        hint,
                    );
                }
                _ => match self.value(node) {
                    Value::Str(text) => self.text_args(&text, action, known, given),
                    value => {
                        let text = Str::trusted(value.python_str().unwrap_or_default(), node.origin.clone());
                        self.text_args(&text, action, known, given);
                    }
                },
            },
        }
    }

    /// `action: {module: x, args: …}`: the arguments once more, on top of those beside them.
    fn args_below(&mut self, given: &mut Given) {
        match given.args.shift_remove("args") {
            Some(Value::Dict(dict)) => {
                for (key, value) in dict.raw_items() {
                    given.args.insert(Arc::from(key.python_str().unwrap_or_default()), value);
                }
            }
            Some(template @ Value::Str(_)) => given.template = Some(template),
            _ => {}
        }
    }

    /// `a=1 b=2`, or free text.
    fn text_args(&mut self, text: &Str, action: &Action<'_>, known: Option<&Known>, given: &mut Given) {
        let origin = text.origin().cloned().unwrap_or_else(|| action.key.origin.clone());
        let free = self.takes_free_text(known, &action.name);
        let spec = known.and_then(|known| known.spec);
        if !free && is_one_expression(text) {
            given.template = Some(Value::Str(text.clone()));
            return;
        }
        let command = matches!(
            short_name(&action.name).trim_start_matches("ansible.windows."),
            "command" | "shell" | "script" | "raw" | "win_command" | "win_shell"
        );
        let split = if command { crate::keyvalue::parse_free_form } else { crate::keyvalue::parse };
        let parsed = match split(text.as_str()) {
            Ok(parsed) => parsed,
            Err(error) => return self.errors.push(error.at(&origin)),
        };
        let trusted = |text: String| Value::Str(Str::trusted(text, origin.clone()));
        for (name, value) in parsed.pairs {
            given.insert(&name, trusted(value), &origin);
        }
        let Some(raw) = parsed.raw.filter(|raw| !raw.is_empty()) else { return };
        if free {
            let name = spec.and_then(|spec| spec.free_form).unwrap_or("_raw_params");
            given.insert(name, trusted(raw), &origin);
        } else {
            given.stray = known.is_some().then(|| raw.clone());
            given.insert("_raw_params", trusted(raw), &origin);
        }
    }

    /// A task that is kept as one (not a static import).
    pub(super) fn task(&mut self, draft: Draft<'_>, around: &Around) -> Option<Arc<Task>> {
        let include = include_kind(draft.module());
        let kind = if include.is_some() { VarsKind::IncludeParams } else { VarsKind::Task };
        self.may_fail = around.rescued || ignores_errors(&draft);
        let mut own = self.keywords(&draft.entries, kind);
        self.may_fail = false;
        if draft.action.local {
            own.delegate_to = Some(Value::str("localhost"));
        }
        let keywords = Arc::new(own.within(&around.keywords));
        self.note_unknown(&draft, around, &keywords);
        if include.is_none() {
            self.check_arguments(&draft, &keywords, around.rescued);
        }
        let (apply, notify) = include.and_then(|_| self.apply(&draft)).unzip();
        let mut task = self.base_task(&draft, keywords, around);
        self.results(&draft, &mut task, around);
        task.include = include.map(|kind| {
            let notify = notify.unwrap_or_default();
            Arc::new(Include { kind, inherited: around.keywords.clone(), apply, notify, depth: around.depth })
        });
        if include.is_some() {
            task.args = Arc::new(without(&task.args, "apply"));
            self.check_include(&draft, &task);
        }
        Some(Arc::new(task))
    }

    fn base_task(&mut self, draft: &Draft<'_>, keywords: Arc<Keywords>, around: &Around) -> Task {
        let name = draft.entry("name").and_then(|entry| self.shown(entry));
        Task {
            origin: draft.node.origin.clone(),
            name,
            action: draft.action.name.as_str().into(),
            module: draft.module().into(),
            args: Arc::new(draft.given.args.clone()),
            args_template: draft.given.template.clone(),
            keywords,
            register: None,
            loop_: self.loop_of(&draft.entries),
            until: None,
            retries: None,
            delay: None,
            changed_when: None,
            failed_when: None,
            async_seconds: None,
            poll: None,
            notify: around.notify.clone(),
            listen: Vec::new(),
            role: around.role.clone(),
            is_handler: around.handlers,
            include: None,
            search: around.search.clone(),
            dir: around.dir.clone(),
        }
    }

    fn results(&mut self, draft: &Draft<'_>, task: &mut Task, around: &Around) {
        for entry in &draft.entries {
            match entry.name.as_str() {
                "register" => task.register = self.variable_name(entry),
                "until" => {
                    task.until = Some(self.conditions(entry.value, "until")).filter(|all| !all.is_empty())
                }
                "changed_when" => task.changed_when = self.verdict(entry),
                "failed_when" => task.failed_when = self.verdict(entry),
                "retries" => task.retries = self.integer(entry),
                "delay" => task.delay = self.number(entry),
                "async" => task.async_seconds = self.integer(entry),
                "poll" => task.poll = self.integer(entry),
                "notify" => task.notify = as_list(self.value(entry.value)),
                "listen" if around.handlers => task.listen = as_list(self.value(entry.value)),
                _ => {}
            }
        }
    }

    fn verdict(&mut self, entry: &Entry<'_>) -> Option<Vec<Value>> {
        Some(self.conditions(entry.value, &entry.name)).filter(|all| !all.is_empty())
    }

    /// `apply:` of an include: keywords for what is included.
    fn apply(&mut self, draft: &Draft<'_>) -> Option<(Arc<Keywords>, Vec<Value>)> {
        let Arguments::Node(node) = &draft.action.arguments else { return None };
        let Kind::Map(map) = &node.kind else { return None };
        let (_, apply) = map.iter().find(|(key, _)| super::reader::key_text(key) == "apply")?;
        let entries = self.entries(apply, "`apply`")?;
        for entry in entries.iter().filter(|entry| !Level::Block.allows(&entry.name)) {
            self.unknown_keyword(entry, Level::Block);
        }
        let notify = entries.iter().find(|entry| entry.name == "notify");
        let notify = notify.map(|entry| as_list(self.value(entry.value))).unwrap_or_default();
        Some((Arc::new(self.keywords(&entries, VarsKind::Block)), notify))
    }

    fn check_include(&mut self, draft: &Draft<'_>, task: &Task) {
        let (known, needed): (&[&str], _) = match task.include.as_ref().map(|include| include.kind) {
            Some(IncludeKind::Tasks) => (&["file", "_raw_params", "apply"], &["file", "_raw_params"][..]),
            Some(IncludeKind::Role) => (ROLE_ARGS, &["name", "role", "_raw_params"][..]),
            _ => return,
        };
        self.check_names(draft, known);
        for (name, value) in draft.given.args.iter().filter(|(name, _)| name.ends_with("_from")) {
            if matches!(value, Value::List(_) | Value::Dict(_)) {
                let problem =
                    format!("Expected a string for {name} but got <class '{}'> instead", value.type_name());
                self.error(problem, draft.given.place(name).unwrap_or(&draft.action.key.origin));
            }
        }
        if task.args_template.is_none() && !needed.iter().any(|name| draft.given.args.contains_key(*name)) {
            if needed.contains(&"file") {
                self.error(format!("No file specified for {}", task.action), &draft.node.origin);
            } else {
                self.error(format!("`{}` needs the name of a role", task.action), &draft.action.key.origin);
            }
        }
    }

    /// Arguments of imports and includes.
    pub(super) fn check_names(&mut self, draft: &Draft<'_>, known: &[&str]) {
        for name in draft.given.args.keys().filter(|name| !known.contains(&&***name)) {
            let mut problem = Diagnostic::new(format!("Invalid options for {}: {name}", draft.action.name))
                .at(draft.given.place(name).unwrap_or(&draft.action.key.origin));
            if let Some(nearest) = catalog::arguments::nearest(name, known.iter().copied()) {
                problem = problem.hint(format!("did you mean `{nearest}`?"));
            } else if matches!(&**name, "tags" | "when" | "become") {
                problem =
                    problem.hint(format!("`{name}` is a keyword: write it beside the module, not below it"));
            }
            self.errors.push(problem);
        }
    }

    fn note_unknown(&mut self, draft: &Draft<'_>, around: &Around, keywords: &Keywords) {
        let name = draft.action.name.as_str();
        if draft.known.is_some() || name.contains("{{") {
            return;
        }
        let config = &self.shared.options.config;
        let has_it = |within: &String| role_files::has_module(config, &around.playbook_dir, within, name);
        if !name.contains('.') && keywords.collections.iter().any(has_it) {
            return;
        }
        let names = self.shared.options.modules.names();
        let suggestion = catalog::arguments::nearest(&draft.action.name, names.into_iter())
            .or_else(|| catalog::arguments::nearest(&draft.action.name, Level::Task.names()));
        self.unknown.push(UnknownModule {
            name: draft.action.name.as_str().into(),
            origin: draft.action.key.origin.clone(),
            suggestion,
        });
    }
}

/// Arguments of `include_role` and `import_role`.
pub(super) const ROLE_ARGS: &[&str] = &[
    "name",
    "role",
    "_raw_params",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "allow_duplicates",
    "public",
    "apply",
    "rolespec_validate",
];

fn ignores_errors(draft: &Draft<'_>) -> bool {
    let entry = draft.entry("ignore_errors");
    entry.is_some_and(|entry| matches!(entry.value.kind, Kind::Bool(true)))
}

fn include_kind(module: &str) -> Option<IncludeKind> {
    match module {
        "include_tasks" => Some(IncludeKind::Tasks),
        "include_role" => Some(IncludeKind::Role),
        _ => None,
    }
}

fn without(args: &Vars, name: &str) -> Vars {
    args.iter().filter(|(key, _)| &***key != name).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Exactly one `{{ … }}` and nothing else.
fn is_one_expression(text: &Str) -> bool {
    let trimmed = text.as_str().trim();
    text.is_template()
        && trimmed
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"))
            .is_some_and(|rest| !rest.contains("{{"))
}
