//! Keywords that plays, roles, blocks and tasks share: which are allowed where, reading, inheritance.

use std::sync::Arc;

use expressions::Value;

use super::reader::{Entry, Reader, describe};
use crate::diagnostic::Diagnostic;
use crate::ir::{Keywords, Vars, VarsKind, VarsLayer};
use crate::yaml::{self, Kind};

/// Where a keyword may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Play,
    Role,
    Block,
    Task,
    Handler,
    Import,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Play => "Play",
            Self::Role => "RoleInclude",
            Self::Block => "Block",
            Self::Task => "Task",
            Self::Handler => "Handler",
            Self::Import => "PlaybookInclude",
        }
    }

    /// The keywords of this level that are not of all levels.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Play => PLAY,
            Self::Role => ROLE,
            Self::Block => BLOCK,
            Self::Task => TASK,
            Self::Handler => HANDLER,
            Self::Import => &["when"],
        }
    }

    pub(super) fn allows(self, name: &str) -> bool {
        COMMON.contains(&name)
            || self.own().contains(&name)
            || (self == Self::Handler && TASK.contains(&name))
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = if self == Self::Handler { TASK } else { &[] };
        self.own().iter().chain(more).chain(COMMON).copied()
    }
}

/// Of all levels.
const COMMON: &[&str] = &[
    "name",
    "any_errors_fatal",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "check_mode",
    "collections",
    "connection",
    "debugger",
    "diff",
    "environment",
    "ignore_errors",
    "ignore_unreachable",
    "module_defaults",
    "no_log",
    "port",
    "remote_user",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "vars",
];
const PLAY: &[&str] = &[
    "hosts",
    "gather_facts",
    "gather_subset",
    "gather_timeout",
    "fact_path",
    "vars_files",
    "vars_prompt",
    "roles",
    "handlers",
    "pre_tasks",
    "post_tasks",
    "tasks",
    "force_handlers",
    "max_fail_percentage",
    "serial",
    "strategy",
    "order",
    "user",
    "validate_argspec",
];
const ROLE: &[&str] = &["role", "when", "delegate_to", "delegate_facts"];
const BLOCK: &[&str] = &["block", "rescue", "always", "when", "delegate_to", "delegate_facts", "notify"];
const TASK: &[&str] = &[
    "action",
    "args",
    "async",
    "changed_when",
    "delay",
    "delegate_facts",
    "delegate_to",
    "failed_when",
    "local_action",
    "loop",
    "loop_control",
    "notify",
    "poll",
    "register",
    "retries",
    "until",
    "when",
];
const HANDLER: &[&str] = &["listen"];

impl Keywords {
    /// These keywords as they hold inside `outer` ones: nearest wins, some add up.
    #[must_use]
    pub fn within(mut self, outer: &Self) -> Self {
        let mut omits = false;
        macro_rules! nearest {
            ($($field:ident)*) => { $(match &self.$field {
                None => self.$field.clone_from(&outer.$field),
                Some(own) => omits |= may_be_omitted(own),
            })* };
        }
        nearest!(become_ become_user become_method become_flags become_exe connection remote_user port check_mode
            diff no_log run_once throttle timeout ignore_errors ignore_unreachable any_errors_fatal delegate_to
            delegate_facts debugger);
        self.outer = if omits { Some(Arc::new(outer.clone())) } else { outer.outer.clone() };
        macro_rules! outer_first {
            ($($field:ident)*) => { $(if !outer.$field.is_empty() {
                let own = std::mem::replace(&mut self.$field, outer.$field.clone());
                self.$field.extend(own);
            })* };
        }
        outer_first!(environment module_defaults when vars);
        for tag in &outer.tags {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
        for collection in &outer.collections {
            if !self.collections.contains(collection) {
                self.collections.push(collection.clone());
            }
        }
        self
    }
}

impl Reader<'_> {
    /// The shared keywords among the entries (others are left to the caller). Does not inherit.
    pub(super) fn keywords(&mut self, entries: &[Entry<'_>], kind: VarsKind) -> Keywords {
        let mut keywords = Keywords::default();
        for entry in entries {
            self.keyword(&mut keywords, entry, kind);
        }
        keywords
    }

    fn keyword(&mut self, keywords: &mut Keywords, entry: &Entry<'_>, kind: VarsKind) {
        let node = entry.value;
        match entry.name.as_str() {
            "become" => keywords.become_ = self.boolean(entry),
            "become_user" => keywords.become_user = self.plain(entry),
            "become_method" => keywords.become_method = self.plain(entry),
            "become_flags" => keywords.become_flags = self.plain(entry),
            "become_exe" => keywords.become_exe = self.plain(entry),
            "connection" => keywords.connection = self.plain(entry),
            "remote_user" => keywords.remote_user = self.plain(entry),
            "port" => keywords.port = self.integer(entry),
            "check_mode" => keywords.check_mode = self.boolean(entry),
            "diff" => keywords.diff = self.boolean(entry),
            "no_log" => keywords.no_log = self.boolean(entry),
            "run_once" => keywords.run_once = self.boolean(entry),
            "throttle" => keywords.throttle = self.integer(entry),
            "timeout" => keywords.timeout = self.integer(entry),
            "ignore_errors" => keywords.ignore_errors = self.boolean(entry),
            "ignore_unreachable" => keywords.ignore_unreachable = self.boolean(entry),
            "any_errors_fatal" => keywords.any_errors_fatal = self.boolean(entry),
            "delegate_to" => keywords.delegate_to = self.plain(entry),
            "delegate_facts" => keywords.delegate_facts = self.boolean(entry),
            "debugger" => keywords.debugger = self.plain(entry),
            "collections" => keywords.collections = self.names(node, "`collections`"),
            "environment" => keywords.environment = self.layers(node, "environment"),
            "module_defaults" => keywords.module_defaults = self.layers(node, "module_defaults"),
            "when" => keywords.when = self.conditions(node, "when"),
            "tags" => keywords.tags = self.tags(node),
            // Plays and roles keep theirs apart.
            "vars" if kind != VarsKind::RoleParams => {
                let vars = self.vars(node, "`vars`");
                if !vars.is_empty() {
                    keywords.vars.push(VarsLayer { kind, vars: Arc::new(vars) });
                }
            }
            _ => {}
        }
    }

    /// A value that is text, a number or a template.
    pub(super) fn plain(&mut self, entry: &Entry<'_>) -> Option<Value> {
        if matches!(entry.value.kind, Kind::Seq(_) | Kind::Map(_)) {
            let problem = format!("`{}` must be text, not {}", entry.name, describe(entry.value));
            self.error(problem, &entry.value.origin);
            return None;
        }
        self.optional(entry.value)
    }

    /// A name that is only shown: a template in it that cannot be read harms nobody.
    pub(super) fn shown(&mut self, entry: &Entry<'_>) -> Option<Value> {
        let before = self.errors.len();
        let value = self.plain(entry)?;
        self.only_warn(before);
        Some(value)
    }

    pub(super) fn boolean(&mut self, entry: &Entry<'_>) -> Option<Value> {
        let value = self.optional(entry.value)?;
        let fine = match &value {
            Value::Bool(_) => true,
            Value::Int(number) => matches!(number, 0 | 1),
            Value::Str(text) if text.is_template() => true,
            Value::Str(text) => catalog::arguments::truth(text.as_str()).is_some(),
            _ => false,
        };
        if fine {
            return Some(value);
        }
        if self.may_fail && !matches!(value, Value::List(_) | Value::Dict(_)) {
            return Some(value);
        }
        self.wrong_type(entry, &value, "true or false");
        None
    }

    pub(super) fn integer(&mut self, entry: &Entry<'_>) -> Option<Value> {
        let value = self.optional(entry.value)?;
        let fine = match &value {
            Value::Int(_) => true,
            Value::Str(text) => text.is_template() || text.as_str().trim().parse::<i64>().is_ok(),
            _ => false,
        };
        if fine {
            return Some(value);
        }
        self.wrong_type(entry, &value, "a whole number");
        None
    }

    pub(super) fn number(&mut self, entry: &Entry<'_>) -> Option<Value> {
        let value = self.optional(entry.value)?;
        let fine = match &value {
            Value::Int(_) | Value::Float(_) => true,
            Value::Str(text) => {
                text.is_template() || text.as_str().trim().trim_end_matches('%').parse::<f64>().is_ok()
            }
            _ => false,
        };
        if fine {
            return Some(value);
        }
        self.wrong_type(entry, &value, "a number");
        None
    }

    fn wrong_type(&mut self, entry: &Entry<'_>, value: &Value, wanted: &str) {
        let shown = value.python_repr().unwrap_or_default();
        self.errors.push(
            Diagnostic::new(format!("`{}` has an invalid value ({shown}): it must be {wanted}", entry.name))
                .at(&entry.value.origin),
        );
    }

    /// Names in a list, or in a string with commas.
    pub(super) fn names(&mut self, node: &yaml::Node, what: &str) -> Vec<String> {
        match &node.kind {
            Kind::Null => Vec::new(),
            Kind::Seq(items) => items.iter().filter_map(|item| self.text(item, what)).collect(),
            _ => {
                let text = self.text(node, what).unwrap_or_default();
                text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
            }
        }
    }

    /// Tags: one text with commas between them, or a list, in which a comma is a letter like any other. Templates stay as
    /// they are.
    pub(super) fn tags(&mut self, node: &yaml::Node) -> Vec<Arc<str>> {
        let mut tags: Vec<Arc<str>> = Vec::new();
        let items = match &node.kind {
            Kind::Null => &[],
            Kind::Seq(items) => &**items,
            Kind::Map(_) => {
                self.error("`tags` must be a list or text, not a mapping", &node.origin);
                &[]
            }
            _ => std::slice::from_ref(node),
        };
        for item in items {
            let value = self.value(item);
            let Ok(text) = value.python_str() else { continue };
            let whole = matches!(node.kind, Kind::Seq(_)) || text.contains("{{");
            let parts: Vec<&str> = if whole { vec![&text] } else { text.split(',').collect() };
            for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
                if !tags.iter().any(|known| &**known == part) {
                    tags.push(part.into());
                }
            }
        }
        tags
    }

    /// `environment` and `module_defaults`: a mapping, a template, or a list of such.
    fn layers(&mut self, node: &yaml::Node, what: &str) -> Vec<Value> {
        let items = match &node.kind {
            Kind::Null => &[],
            Kind::Seq(items) => &**items,
            _ => std::slice::from_ref(node),
        };
        let mut layers = Vec::new();
        for item in items {
            let value = self.value(item);
            match &value {
                Value::Dict(_) => layers.push(value),
                Value::Str(text) if text.is_template() => layers.push(value),
                Value::None => {}
                _ => self.error(format!("`{what}` must be a mapping, not {}", describe(item)), &item.origin),
            }
        }
        layers
    }

    /// `when` and its like: a condition or a list of them.
    pub(super) fn conditions(&mut self, node: &yaml::Node, what: &str) -> Vec<Value> {
        if matches!(node.kind, Kind::Map(_)) {
            let hint = "quote the condition if it contains `: ` or begins with `{`";
            self.error_hint(
                format!("`{what}` must be a condition or a list of them, not a mapping"),
                &node.origin,
                hint,
            );
            return Vec::new();
        }
        let value = self.raw_value(node);
        let conditions: Vec<Value> =
            super::as_list(value).into_iter().filter(|value| !matches!(value, Value::None)).collect();
        self.check_conditions(&conditions);
        conditions
    }

    /// Complains about keywords that do not exist at this level.
    pub(super) fn unknown_keyword(&mut self, entry: &Entry<'_>, level: Level) {
        let message = format!("'{}' is not a valid attribute for a {}", entry.name, level.word());
        let mut problem = Diagnostic::new(message).at(&entry.key.origin);
        if let Some(nearest) = catalog::arguments::nearest(&entry.name, level.names()) {
            problem = problem.hint(format!("did you mean `{nearest}`?"));
        } else if entry.name == "include" {
            problem = problem.hint("use `include_tasks` or `import_tasks`");
        }
        self.errors.push(problem);
    }
}

fn may_be_omitted(value: &Value) -> bool {
    matches!(value, Value::Str(text) if text.is_template() && text.as_str().contains("omit"))
}

/// The last layer of variables, when a keyword set has some of its own.
pub(super) fn own_vars(keywords: &Keywords) -> Arc<Vars> {
    keywords.vars.last().map(|layer| layer.vars.clone()).unwrap_or_default()
}
