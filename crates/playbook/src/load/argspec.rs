//! The implicit first task of a role with `meta/argument_specs.yml`: check what the role is given.

use std::sync::Arc;

use expressions::Value;

use super::context::Around;
use super::reader::{Reader, key_text};
use super::role::Usage;
use crate::ir::{Keywords, Role, Task, Vars};
use crate::yaml::{self, Kind};

impl Reader<'_> {
    /// `None`: the entry point has no specification.
    pub(super) fn validation(
        &mut self,
        specs: &yaml::Node,
        usage: &Usage,
        role: &Arc<Role>,
        around: &Around,
    ) -> Option<Arc<Task>> {
        let entry = usage.from.tasks.as_deref().unwrap_or("main");
        let entry = entry.rsplit_once('.').map_or(entry, |(stem, _)| stem);
        let Kind::Map(points) = &specs.kind else { return None };
        let (_, spec) = points.iter().find(|(key, _)| key_text(key) == entry)?;
        let value = self.raw_value(spec);
        let mut title = format!("Validating arguments against arg spec '{entry}'");
        let spec_dict = value.as_dict();
        let of_spec = |name: &str| spec_dict.as_ref().and_then(|dict| dict.get(name).ok().flatten());
        if let Some(short) = of_spec("short_description").and_then(|value| value.python_str().ok()) {
            title = format!("{title} - {short}");
        }
        let options = of_spec("options").unwrap_or_else(|| Value::dict(Vec::<(Value, Value)>::new()));
        let about = [
            ("type", Value::str("role")),
            ("name", Value::str(role.name.clone())),
            ("argument_spec_name", Value::str(entry)),
            ("path", Value::str(role.path.display().to_string())),
        ];
        let given = usage.params.iter().map(|(name, value)| (Value::str(name.clone()), value.clone()));
        let args: Vars = [
            ("argument_spec", options),
            // The rest is looked up as variables when the task runs.
            ("provided_arguments", Value::dict(given.collect::<Vec<_>>())),
            ("validate_args_context", Value::dict(about)),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
        let keywords =
            Keywords { tags: vec!["always".into()], ..Keywords::default() }.within(&around.keywords);
        Some(Arc::new(Task {
            origin: spec.origin.clone(),
            name: Some(Value::str(title)),
            action: "ansible.builtin.validate_argument_spec".into(),
            module: "validate_argument_spec".into(),
            args: Arc::new(args),
            args_template: None,
            keywords: Arc::new(keywords),
            register: None,
            loop_: None,
            until: None,
            retries: None,
            delay: None,
            changed_when: None,
            failed_when: None,
            async_seconds: None,
            poll: None,
            notify: Vec::new(),
            listen: Vec::new(),
            role: around.role.clone(),
            is_handler: false,
            include: None,
            search: around.search.clone(),
            dir: around.dir.clone(),
        }))
    }
}
