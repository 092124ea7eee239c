//! Tasks of modules that Theseus does not have itself: found on the controller, run by what the host has.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use catalog::{Json, Map};
use expressions::{Context as _, Error, Value};
use playbook::vars::Scope;
use serde_json::json;

use super::{Action, content};
use crate::foreign::{Found, Packed, Source, Style};
use crate::results;
use crate::walker::prepare::Work;

/// Where Python is looked for on a host, in this order, if nobody says which.
const PYTHONS: &[&str] = &[
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
    "/usr/bin/python3",
    "python3",
    "/usr/libexec/platform-python",
];

/// What modules are told under `_ansible_…`, where their `AnsibleModule` knows the word.
const NEWER: &[&str] = &["ignore_unknown_opts", "target_log_info", "tracebacks_for"];

impl Action<'_> {
    /// A task that is a module's alone: the project's own, one of ours, one that is installed here, in this order.
    /// `own`: what the project has under the name.
    pub(crate) fn module(&self, own: Option<Found>) -> Result<Work, Error> {
        let foreign = &self.walker.run.foreign;
        let name = &*self.task.action;
        let found = match own {
            Some(found) => Some(found),
            None if agent::modules::find(&self.task.module).is_some() => None,
            None => match foreign.find(name, &self.task.keywords.collections) {
                Some(found) => Some(found),
                None => return Ok(Work::Done(self.unknown(&self.task.module))),
            },
        };
        match found {
            None => self.remote(&self.task.module, self.arguments()?, None),
            Some(Found::Action(plugin)) => self.plugin(&plugin),
            Some(Found::Module(source)) => self.foreign(name, &source),
        }
    }

    pub(super) fn foreign(&self, name: &str, source: &Source) -> Result<Work, Error> {
        let run = &self.walker.run;
        let packed = match run.foreign.packed(source) {
            Ok(packed) => packed,
            Err(problem) => {
                return Ok(Work::Done(results::failed(format!(
                    "the module {name} cannot be run: {problem}"
                ))));
            }
        };
        let delegated = self.delegate.filter(|host| **host != *self.walker.host);
        let other = delegated.map(|host| self.scope.of_host(Arc::from(host)));
        let scope = other.as_ref().unwrap_or(self.scope);
        let mut arguments = self.arguments()?;
        self.add_internal(name, &mut arguments);
        let mut args = Map::new();
        args.insert("name".to_owned(), name.into());
        args.insert("style".to_owned(), packed.style.word().into());
        args.insert("entry".to_owned(), packed.entry.clone().into());
        args.insert("arguments".to_owned(), Json::Object(arguments));
        let version = run.foreign.core().map_or("2.19.0", |core| core.version.as_str());
        args.insert("version".to_owned(), version.into());
        if is_controller(scope)
            && let Some(python) = run.foreign.core().and_then(|core| core.python.as_ref())
        {
            // As Ansible: on the controller itself, the Python that it runs with.
            args.insert("candidates".to_owned(), vec![python.display().to_string()].into());
        }
        let configured = &run.project.options().config.interpreter_python;
        interpreter(&packed, scope, configured, &mut args)?;
        self.put_payload(&packed, &mut args);
        run.note(said(name, &packed, &source.path));
        self.remote("foreign_module", args, None)
    }

    /// In the background nobody can be asked for contents.
    fn put_payload(&self, packed: &Packed, args: &mut Map) {
        let mut payload = Map::new();
        content::put(&mut payload, &packed.content);
        if self.task.async_seconds.is_some() && !payload.contains_key("_inline") {
            let text = base64::engine::general_purpose::STANDARD.encode(&packed.bytes);
            payload.insert("_inline".to_owned(), text.into());
        }
        // Not under `_content`: that would be asked for at every call, and the host keeps it for the run.
        if let Some(digest) = payload.shift_remove("_content") {
            args.insert("payload".to_owned(), digest);
        }
        if let Some(inline) = payload.shift_remove("_inline") {
            args.insert("payload_inline".to_owned(), inline);
        }
    }

    fn add_internal(&self, name: &str, arguments: &mut Map) {
        let core = self.walker.run.foreign.core();
        let parameters = core.map(|core| core.package.join("module_utils/common/parameters.py"));
        let known = parameters.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let short = name.rsplit('.').next().unwrap_or(name);
        let told = [
            ("check_mode", json!(self.traits.check)),
            ("no_log", json!(self.traits.no_log)),
            ("debug", json!(false)),
            ("diff", json!(self.traits.diff)),
            ("verbosity", json!(self.walker.run.settings.verbosity)),
            ("version", json!(core.map_or("2.19.0", |core| core.version.as_str()))),
            ("module_name", json!(if name.contains('.') { name } else { short })),
            ("syslog_facility", json!("LOG_USER")),
            ("selinux_special_fs", json!(["fuse", "nfs", "vboxsf", "ramfs", "9p", "vfat"])),
            ("socket", Json::Null),
            ("shell_executable", json!("/bin/sh")),
            ("keep_remote_files", json!(false)),
            ("remote_tmp", json!("~/.ansible/tmp")),
            ("ignore_unknown_opts", json!(false)),
            ("target_log_info", Json::Null),
            ("tracebacks_for", json!([])),
        ];
        for (key, value) in told {
            if !NEWER.contains(&key) || known.contains(&format!("'{key}'")) {
                arguments.insert(format!("_ansible_{key}"), value);
            }
        }
    }
}

fn said(name: &str, packed: &Packed, path: &Path) -> String {
    let by = match (packed.style, packed.shebang.as_deref()) {
        (Style::Python, _) => "the host's Python".to_owned(),
        (Style::Binary, _) | (_, None) => "itself".to_owned(),
        (_, Some(line)) if line.contains("python") => "the host's Python".to_owned(),
        (_, Some(line)) => line.to_owned(),
    };
    format!("{name} is not a module that Theseus has: it runs as {} by {by}", path.display())
}

/// Which program runs it on the host.
fn interpreter(packed: &Packed, scope: &Scope, configured: &str, args: &mut Map) -> Result<(), Error> {
    let line = match (packed.style, &packed.shebang) {
        (Style::Python, _) => "/usr/bin/python3",
        (Style::Binary, _) | (_, None) => return Ok(()),
        (_, Some(line)) => line,
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let by_env = words.first().is_some_and(|word| word.ends_with("/env"));
    let program = words.get(usize::from(by_env)).copied().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let python = packed.style == Style::Python || program.starts_with("python");
    let family = if python { "python" } else { program };
    if let Some(given) =
        text(scope, &format!("ansible_{family}_interpreter"))?.filter(|text| !(python && is_auto(text)))
    {
        args.insert("interpreter".to_owned(), given.into());
    } else if python {
        discovery(scope, configured, args)?;
    } else {
        args.insert("interpreter".to_owned(), line.into());
    }
    Ok(())
}

fn discovery(scope: &Scope, configured: &str, args: &mut Map) -> Result<(), Error> {
    if !is_auto(configured) && !args.contains_key("candidates") {
        args.insert("interpreter".to_owned(), configured.into());
        return Ok(());
    }
    let facts = scope.variable("ansible_facts")?.and_then(|facts| facts.as_dict());
    if let Some(known) = facts.and_then(|facts| facts.get("discovered_interpreter_python").ok().flatten()) {
        args.insert("interpreter".to_owned(), known.python_str()?.into());
        return Ok(());
    }
    if args.contains_key("candidates") {
        return Ok(());
    }
    let own = scope.variable("ansible_interpreter_python_fallback")?.and_then(|list| list.as_list());
    let candidates: Vec<String> = match own {
        Some(list) => list.iter().map(Value::python_str).collect::<Result<_, _>>()?,
        None => PYTHONS.iter().map(|name| (*name).to_owned()).collect(),
    };
    args.insert("candidates".to_owned(), candidates.into());
    Ok(())
}

/// `localhost` that nobody wrote into an inventory.
fn is_controller(scope: &Scope) -> bool {
    let Some(host) = scope.host() else { return false };
    crate::connections::is_local(host)
        && scope.variables().inventory().host(host).is_none_or(|host| host.implicit)
}

fn is_auto(text: &str) -> bool {
    matches!(text, "auto" | "auto_silent" | "auto_legacy" | "auto_legacy_silent" | "")
}

fn text(scope: &Scope, name: &str) -> Result<Option<String>, Error> {
    match scope.variable(name)? {
        None | Some(Value::None | Value::Undefined(_)) => Ok(None),
        Some(value) => value.python_str().map(Some),
    }
}
