//! Reading a project: playbook files into plays, with everything static (imports, roles, inheritance of
//! keywords) resolved. As many mistakes as possible are found in one pass, each with its place.

mod action;
mod argspec;
mod arguments;
mod block;
mod context;
mod control;
mod keywords;
mod partly;
mod play;
mod reader;
mod role;
mod role_files;
mod task;
mod text;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::{Engine, Origin, Value};
use parking_lot::Mutex;

use crate::diagnostic::Diagnostic;
use crate::ir::{Node, Play, Role, Task, Vars, VarsKind, VarsLayer};
use crate::plugins::Plugins;
use crate::settings::Settings;
use crate::vault::Vault;

pub use action::{full_names, is_real, short_name};
use context::Around;
use reader::Reader;

/// Which modules exist: told by the caller, because this room knows none.
pub trait Modules: Send + Sync {
    /// By short name, or by full name for those of collections.
    fn spec(&self, name: &str) -> Option<&'static catalog::ModuleSpec>;
    /// Something that the controller does itself and for which there is no specification.
    fn is_action(&self, name: &str) -> bool;
    /// Whether the controller has a part in it: then a module of that name in `library/` is not what runs.
    fn has_action(&self, name: &str) -> bool {
        self.is_action(name)
    }
    /// All short names, to suggest the one that was meant.
    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// What reading needs to know.
#[derive(Clone)]
pub struct LoadOptions {
    pub config: Arc<Settings>,
    pub vault: Arc<Vault>,
    pub engine: Arc<Engine>,
    pub extra_vars: Arc<Vars>,
    pub modules: Arc<dyn Modules>,
}

/// A module that Theseus does not know; a collection or the project may supply it.
#[derive(Clone, Debug)]
pub struct UnknownModule {
    pub name: Arc<str>,
    pub origin: Arc<Origin>,
    /// The known module with the nearest name.
    pub suggestion: Option<String>,
}

/// How what is said of a file that is not there begins.
pub const NO_SUCH_FILE: &str = "Could not find or access";

/// A project that was read without mistakes.
pub struct Project {
    pub plays: Vec<Arc<Play>>,
    pub unknown_modules: Vec<UnknownModule>,
    pub warnings: Vec<Diagnostic>,
    shared: Shared,
}

/// What was read at run time for one dynamic include.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub nodes: Vec<Node>,
    /// Handlers that come with a role.
    pub handlers: Vec<Arc<Task>>,
    pub role: Option<Arc<Role>>,
    /// The role and its dependencies; those that are `public` are seen by later tasks of the play.
    pub roles: Vec<Arc<Role>>,
    pub unknown_modules: Vec<UnknownModule>,
    pub warnings: Vec<Diagnostic>,
}

/// `include_tasks`, when it is reached.
#[derive(Clone, Debug)]
pub struct TasksRequest {
    /// The task that includes.
    pub task: Arc<Task>,
    pub play: Arc<Play>,
    /// Variables that hold in the included tasks: the loop's item, for instance.
    pub vars: Vars,
}

/// `include_role`, when it is reached.
#[derive(Clone, Debug)]
pub struct RoleRequest {
    pub task: Arc<Task>,
    pub play: Arc<Play>,
    pub name: String,
    pub from: RoleFrom,
    pub allow_duplicates: Option<bool>,
    /// `None`: as the configuration says of roles that are included.
    pub public: Option<bool>,
    /// Check arguments against `meta/argument_specs.yml`.
    pub validate: bool,
    pub vars: Vars,
}

/// Which files of a role are used instead of `main`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleFrom {
    pub tasks: Option<String>,
    pub vars: Option<String>,
    pub defaults: Option<String>,
    pub handlers: Option<String>,
}

/// What all reading of one run shares.
pub(crate) struct Shared {
    pub(crate) options: LoadOptions,
    pub(crate) plugins: Arc<Plugins>,
    instances: Mutex<HashMap<String, u64>>,
    /// Files that were read once: a role that is used by ten plays is parsed once.
    files: Mutex<HashMap<PathBuf, Option<Arc<crate::yaml::Node>>>>,
    /// For surveys: mistakes are put here, and reading goes on with what could be read.
    collected: Option<Mutex<Vec<Diagnostic>>>,
}

impl Shared {
    fn new(options: LoadOptions) -> Self {
        let plugins = Arc::new(Plugins::new(&options.config));
        Self { options, plugins, instances: Mutex::default(), files: Mutex::default(), collected: None }
    }

    /// The same number for the same use of a role.
    fn instance(&self, key: String) -> u64 {
        let mut known = self.instances.lock();
        let next = known.len() as u64;
        *known.entry(key).or_insert(next)
    }
}

impl Project {
    /// Read playbooks. All mistakes that can be found are returned together.
    pub fn open(playbooks: &[PathBuf], options: LoadOptions) -> Result<Self, Vec<Diagnostic>> {
        let mut project = Self::of(Vec::new(), options);
        project.read(playbooks)?;
        Ok(project)
    }

    fn read(&mut self, playbooks: &[PathBuf]) -> Result<(), Vec<Diagnostic>> {
        let mut reader = Reader::new(&self.shared);
        let mut plays = Vec::new();
        for path in playbooks {
            let file = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            if !file.is_file() {
                reader
                    .errors
                    .push(Diagnostic::new(format!("the playbook: {} could not be found", path.display())));
                continue;
            }
            plays.extend(reader.playbook(&file, &play::Import::default()));
        }
        let loaded = reader.finish(Loaded::default())?;
        self.plays.extend(plays);
        self.unknown_modules.extend(loaded.unknown_modules);
        self.warnings.extend(loaded.warnings);
        Ok(())
    }

    /// A project of plays made in memory (`ansible -m`): only run-time loading is needed.
    pub fn of(plays: Vec<Arc<Play>>, options: LoadOptions) -> Self {
        let shared = Shared::new(options);
        plays.iter().for_each(|play| shared.plugins.enter(&play.dir));
        Self { plays, unknown_modules: Vec::new(), warnings: Vec::new(), shared }
    }

    /// The project's own modules and plugins, as far as it was read.
    pub fn plugins(&self) -> &Arc<Plugins> {
        &self.shared.plugins
    }

    pub fn options(&self) -> &LoadOptions {
        &self.shared.options
    }

    /// One task as data (`{name: …, debug: {msg: …}}`) for ad-hoc commands: the text is YAML.
    pub fn task(&self, text: &str, name: &Path, play: &Arc<Play>) -> Result<Loaded, Vec<Diagnostic>> {
        match crate::yaml::load_str(text, name) {
            Ok(loaded) => loaded.node.map_or_else(|| Ok(Loaded::default()), |node| self.tasks(&node, play)),
            Err(error) => Err(vec![error]),
        }
    }

    /// A list of tasks that stands elsewhere than in a playbook.
    pub fn tasks(&self, list: &crate::yaml::Node, play: &Arc<Play>) -> Result<Loaded, Vec<Diagnostic>> {
        let mut reader = Reader::new(&self.shared);
        let nodes = reader.task_list(list, &Around::of_play(play));
        reader.finish(Loaded { nodes, ..Loaded::default() })
    }

    /// The file that `include_tasks` means.
    pub fn find_tasks(&self, name: &str, task: &Task, play: &Play) -> Option<PathBuf> {
        crate::search::included_tasks(name, task, &play.dir)
    }

    /// The tasks of a file, for `include_tasks`.
    pub fn load_tasks(&self, path: &Path, request: &TasksRequest) -> Result<Loaded, Vec<Diagnostic>> {
        let mut reader = Reader::new(&self.shared);
        let mut around = Around::of_include(&request.task, &request.play, &request.vars);
        around.enter_file(path);
        let nodes = match reader.file(path, None) {
            Some(node) => reader.task_list(&node, &around),
            None => Vec::new(),
        };
        reader.finish(Loaded { nodes, ..Loaded::default() })
    }

    /// Handlers of a file, for a handler that is `include_tasks`.
    pub fn load_handlers(
        &self,
        path: &Path,
        request: &TasksRequest,
    ) -> Result<Vec<Arc<Task>>, Vec<Diagnostic>> {
        let mut reader = Reader::new(&self.shared);
        let mut around = Around::of_include(&request.task, &request.play, &request.vars);
        around.enter_file(path);
        around.handlers = true;
        let node = reader.file(path, None);
        let handlers = node.map(|node| reader.handler_list(&node, &around)).unwrap_or_default();
        reader.finish(Loaded { handlers, ..Loaded::default() }).map(|loaded| loaded.handlers)
    }

    /// A role, for `include_role`.
    pub fn load_role(&self, request: &RoleRequest) -> Result<Loaded, Vec<Diagnostic>> {
        let mut reader = Reader::new(&self.shared);
        let around = Around::of_include(&request.task, &request.play, &request.vars);
        let entry_vars =
            request.task.keywords.vars.iter().rev().find(|layer| layer.kind == VarsKind::IncludeParams);
        let usage = role::Usage {
            name: request.name.clone(),
            origin: request.task.origin.clone(),
            from: request.from.clone(),
            entry_vars: entry_vars.map(|layer| layer.vars.clone()).unwrap_or_default(),
            params: Arc::default(),
            allow_duplicates: Some(request.allow_duplicates.unwrap_or(true)),
            own: String::new(),
            public: request.public.unwrap_or(self.shared.options.config.private_role_vars == Some(false)),
            validate: request.validate,
            dynamic: true,
            dependency: false,
        };
        let used = reader.role(&usage, &around);
        let loaded = used.map(role::Used::into_loaded).unwrap_or_default();
        reader.finish(loaded)
    }
}

/// Adds a layer of include parameters, if there are any.
fn push_params(layers: &mut Vec<VarsLayer>, vars: &Vars) {
    if !vars.is_empty() {
        layers.push(VarsLayer { kind: VarsKind::IncludeParams, vars: Arc::new(vars.clone()) });
    }
}

/// The folder of a collection (`namespace.name`), if it is installed.
pub fn collection_folder(config: &Settings, playbook_dir: &Path, name: &str) -> Option<PathBuf> {
    role_files::collection(config, playbook_dir, name)
}

/// A list is what it holds; anything else is a list of one.
fn as_list(value: Value) -> Vec<Value> {
    match &value {
        Value::List(list) => list.raw_items(),
        Value::None => Vec::new(),
        _ => vec![value],
    }
}

#[cfg(test)]
pub(crate) mod folder;
#[cfg(test)]
mod tests;
