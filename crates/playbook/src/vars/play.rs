//! What holds while one play runs: its hosts, prompts, files of variables and roles.

use std::collections::HashMap;
use std::sync::Arc;

use expressions::{Error, Value};
use parking_lot::{Mutex, RwLock};

use super::Variables;
use super::files::{self, extend};
use super::scope::Scope;
use crate::ir::{Play, Role, Vars};
use crate::search;

/// The state of a play, shared by all its scopes.
pub struct PlayVars {
    pub play: Arc<Play>,
    pub(super) state: RwLock<State>,
    /// By host: the content of `vars_files`.
    files: Mutex<HashMap<Arc<str>, Arc<Vars>>>,
    /// Of play hosts: made once for each change.
    pub(super) name: RwLock<Option<String>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) all: Arc<Vec<Arc<str>>>,
    pub(super) batch: Arc<Vec<Arc<str>>>,
    /// Hosts of the play that have not failed.
    pub(super) active: Arc<Vec<Arc<str>>>,
    pub(super) prompts: Arc<Vars>,
    /// Static roles first, then those that `include_role` made public.
    pub(super) roles: Arc<Vec<Arc<Role>>>,
}

impl PlayVars {
    pub fn new(play: Arc<Play>) -> Arc<Self> {
        let state = State { roles: Arc::new(play.static_roles.clone()), ..State::default() };
        Arc::new(Self { play, state: RwLock::new(state), files: Mutex::default(), name: RwLock::default() })
    }

    /// All hosts of the play (`ansible_play_hosts_all`); the batch and the active ones follow.
    pub fn set_hosts(&self, all: Vec<Arc<str>>) {
        let all = Arc::new(all);
        let mut state = self.state.write();
        state.batch.clone_from(&all);
        state.active.clone_from(&all);
        state.all = all;
    }
    /// Hosts of the current `serial` batch.
    pub fn set_batch(&self, batch: Vec<Arc<str>>) {
        self.state.write().batch = Arc::new(batch);
    }
    /// A host failed or is unreachable: it leaves `ansible_play_hosts` and `ansible_play_batch`.
    pub fn remove_host(&self, host: &str) {
        let mut state = self.state.write();
        let without =
            |hosts: &[Arc<str>]| Arc::new(hosts.iter().filter(|name| &***name != host).cloned().collect());
        state.active = without(&state.active);
        state.batch = without(&state.batch);
    }
    /// A host is back (`meta: clear_host_errors`).
    pub fn restore_hosts(&self, active: Vec<Arc<str>>, batch: Vec<Arc<str>>) {
        let mut state = self.state.write();
        state.active = Arc::new(active);
        state.batch = Arc::new(batch);
    }
    /// The play's name, once its template is rendered.
    pub fn set_name(&self, name: String) {
        *self.name.write() = Some(name);
    }
    /// Answers to `vars_prompt`.
    pub fn set_prompts(&self, vars: Vars) {
        self.state.write().prompts = Arc::new(vars);
    }
    /// A role that was included: later tasks see its name, and its variables if it is `public`.
    pub fn add_role(&self, role: Arc<Role>) {
        let mut state = self.state.write();
        // The same use of a role may be hidden at first and public later.
        if !state.roles.iter().any(|known| known.instance == role.instance && (known.public || !role.public))
        {
            let mut roles = (*state.roles).clone();
            roles.push(role);
            state.roles = Arc::new(roles);
        }
    }
    pub fn hosts(&self) -> Arc<Vec<Arc<str>>> {
        self.state.read().active.clone()
    }
    pub fn hosts_all(&self) -> Arc<Vec<Arc<str>>> {
        self.state.read().all.clone()
    }
    pub fn batch(&self) -> Arc<Vec<Arc<str>>> {
        self.state.read().batch.clone()
    }
    pub(super) fn roles(&self) -> Arc<Vec<Arc<Role>>> {
        self.state.read().roles.clone()
    }
    pub(super) fn prompts(&self) -> Arc<Vars> {
        self.state.read().prompts.clone()
    }

    /// `vars_files` as this host sees them: their names may speak of its facts.
    pub(super) fn files(
        &self,
        variables: &Arc<Variables>,
        scope: &Scope,
        host: &Arc<str>,
    ) -> Result<Arc<Vars>, Error> {
        if self.play.vars_files.is_empty() {
            return Ok(Arc::default());
        }
        if let Some(known) = self.files.lock().get(host) {
            return Ok(known.clone());
        }
        let (mut all, mut complete) = (Vars::new(), true);
        for entry in &self.play.vars_files {
            match self.file_names(entry, scope) {
                Ok(names) => {
                    let vars = self.first_file(variables, &names, entry)?;
                    extend(&mut all, &vars, variables.merges());
                }
                // The name speaks of something that is not known yet (facts): without the file until then.
                Err(error) if error.is_undefined() => complete = false,
                Err(error) => return Err(error),
            }
        }
        let all = Arc::new(all);
        if complete {
            self.files.lock().insert(host.clone(), all.clone());
        }
        Ok(all)
    }

    fn file_names(&self, entry: &Value, scope: &Scope) -> Result<Vec<String>, Error> {
        match entry {
            Value::List(list) => {
                // A list: the first that exists; names that are not known yet are passed over.
                let mut names = Vec::new();
                for item in list.raw_items() {
                    match scope.value(&item).and_then(Value::defined) {
                        Ok(name) => names.push(name.python_str()?),
                        Err(error) if error.is_undefined() => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(names)
            }
            other => Ok(vec![scope.value(other)?.defined()?.python_str()?]),
        }
    }

    fn first_file(&self, variables: &Variables, names: &[String], entry: &Value) -> Result<Vars, Error> {
        for name in names {
            if let Some(path) = search::vars_file(name, &self.play.dir) {
                return variables.files.file(&path, &variables.vault).map_err(to_error);
            }
        }
        let mut error = Error::new(format!("vars file {} was not found", names.join(", ")));
        if let Value::Str(text) = entry
            && let Some(origin) = text.origin()
        {
            error = error.at(origin);
        }
        Err(error)
    }
}

pub(super) fn to_error(problem: crate::diagnostic::Diagnostic) -> Error {
    let message = match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message,
    };
    Error { origin: problem.origin, ..Error::new(message) }
}

impl Variables {
    /// A file of variables (`include_vars`): values stay as written.
    pub fn read_vars_file(&self, path: &std::path::Path) -> Result<Vars, crate::diagnostic::Diagnostic> {
        self.files.file(path, &self.vault)
    }
    /// A mapping read by somebody else, as variables.
    pub fn vars_of(&self, node: &crate::yaml::Node) -> Result<Vars, crate::diagnostic::Diagnostic> {
        files::variables(node, &self.vault)
    }
}
