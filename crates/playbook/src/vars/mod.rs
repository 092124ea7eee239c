//! Variables: where each comes from and which one wins. One [`Variables`] lives for a whole run and is shared by
//! all threads; a [`Scope`] is what one task on one host sees of it.

mod cache;
mod cleaning;
mod files;
mod groups;
mod host;
mod hostvars;
mod layers;
mod magic;
mod play;
mod scope;
mod wrap;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use expressions::{Engine, Error, PendingWhat, Value};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::diagnostic::Diagnostic;
use crate::inventory::Inventory;
use crate::ir::Vars;
use crate::settings::Settings;
use crate::vault::Vault;

pub use cache::FactCache;
use host::HostState;
pub use host::Mark;
pub use play::PlayVars;
pub use scope::Scope;
pub use wrap::combine;

/// What only a run can give: other hosts' progress, processes, the network, warnings.
pub trait Outside: Send + Sync {
    /// The variables of another host are about to be read. `Err(Pending)`: that host has to catch up first.
    fn other_host(&self, _from: &str, _host: &str) -> Result<(), Error> {
        Ok(())
    }
    /// Lookups that need processes or the network (`pipe`, `url`, `lines`, those of plugins). `None`: unknown.
    fn lookup(
        &self,
        _scope: &Scope,
        _name: &str,
        _args: &[Value],
        _kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Vec<Value>, Error>> {
        None
    }
    /// Whether this lookup wants to see what is undefined among its arguments.
    fn takes_undefined(&self, _lookup: &str) -> bool {
        false
    }
    /// The Python of an Ansible that is installed beside this.
    fn python(&self) -> Option<std::path::PathBuf> {
        None
    }
    /// Filters and tests that the engine does not know.
    fn filter(
        &self,
        _scope: &Scope,
        _name: &str,
        _value: &Value,
        _args: &[Value],
        _kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        None
    }
    fn test(
        &self,
        _scope: &Scope,
        _name: &str,
        _value: &Value,
        _args: &[Value],
        _kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<bool, Error>> {
        None
    }
    fn warn(&self, _message: String) {}
}

/// No run at all: static questions (`inventory`, `validate`).
pub struct Nowhere;

impl Outside for Nowhere {}

/// How the program was started, as far as variables tell of it.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    pub check_mode: bool,
    pub diff_mode: bool,
    pub verbosity: i64,
    pub run_tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub limit: Option<String>,
    pub forks: i64,
    pub inventory_sources: Vec<String>,
    pub inventory_dir: Option<PathBuf>,
    pub inventory_file: Option<PathBuf>,
    /// How hosts are reached that say nothing of it, and as whom.
    pub connection: Option<String>,
    pub remote_user: Option<String>,
    /// What `ansible_version` says.
    pub version: String,
}

/// What [`Variables`] are made from.
pub struct Sources {
    pub engine: Arc<Engine>,
    pub config: Arc<Settings>,
    pub vault: Arc<Vault>,
    pub inventory: Inventory,
    pub extra_vars: Arc<Vars>,
    pub options: RunOptions,
    pub outside: Arc<dyn Outside>,
}

/// All variables of a run.
pub struct Variables {
    pub(crate) engine: Arc<Engine>,
    pub(crate) config: Arc<Settings>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) options: RunOptions,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) extra: Arc<Vars>,
    inventory: RwLock<Inventory>,
    /// Counts changes of the inventory, so that what was derived from it is made anew.
    generation: AtomicU64,
    hosts: RwLock<HashMap<Arc<str>, Arc<HostState>>>,
    files: files::Files,
    bases: Mutex<HashMap<BaseKey, Arc<Vars>>>,
    groups: Mutex<Option<(u64, Value)>>,
}

/// Host, playbook's folder, generation of the inventory.
type BaseKey = (Arc<str>, Arc<Path>, u64);

impl Variables {
    pub fn new(sources: Sources) -> Arc<Self> {
        Arc::new(Self {
            engine: sources.engine,
            config: sources.config,
            vault: sources.vault,
            options: sources.options,
            outside: sources.outside,
            extra: sources.extra_vars,
            inventory: RwLock::new(sources.inventory),
            generation: AtomicU64::new(0),
            hosts: RwLock::default(),
            files: files::Files::default(),
            bases: Mutex::default(),
            groups: Mutex::default(),
        })
    }

    pub fn inventory(&self) -> RwLockReadGuard<'_, Inventory> {
        self.inventory.read()
    }

    /// `add_host`, `group_by`, `meta: refresh_inventory`.
    pub fn change_inventory<T>(&self, change: impl FnOnce(&mut Inventory) -> T) -> T {
        let result = change(&mut self.inventory.write());
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.bases.lock().clear();
        result
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
    pub fn options(&self) -> &RunOptions {
        &self.options
    }
    pub fn extra_vars(&self) -> &Arc<Vars> {
        &self.extra
    }

    /// Read every file of group_vars/ and host_vars/ that the hosts of the inventory may need: mistakes in them
    /// are found before a host is touched.
    pub fn preload(&self, playbook_dirs: &[Arc<Path>]) -> Vec<Diagnostic> {
        let names: Vec<Arc<str>> =
            self.inventory.read().hosts.keys().map(|name| name.as_str().into()).collect();
        let mut problems: Vec<Diagnostic> = Vec::new();
        for dir in playbook_dirs {
            for host in &names {
                if let Err(problem) = self.base(host, dir)
                    && !problems.contains(&problem)
                {
                    problems.push(problem);
                }
            }
        }
        problems
    }

    /// Warnings of the files read so far.
    pub fn take_warnings(&self) -> Vec<Diagnostic> {
        self.files.take_warnings()
    }

    // What tasks leave behind, by host.

    /// Facts of a module's `ansible_facts`, under the names that the module gave them.
    pub fn set_facts(&self, host: &str, facts: impl IntoIterator<Item = (Arc<str>, Value)>) {
        self.host(host).set_facts(facts);
        self.keep_facts(host);
    }
    /// `set_fact`: final values. `cacheable`: also kept as facts.
    pub fn set_fact(&self, host: &str, name: impl Into<Arc<str>>, value: Value, cacheable: bool) {
        let name = name.into();
        let state = self.host(host);
        if cacheable {
            state.set_facts([(name.clone(), value.clone())]);
        }
        state.set(name, value);
        if cacheable {
            self.keep_facts(host);
        }
    }
    /// `register`.
    pub fn register(&self, host: &str, name: impl Into<Arc<str>>, value: Value) {
        self.host(host).set(name.into(), value);
    }
    /// What `set_fact` or `register` left under this name.
    pub fn known(&self, host: &str, name: &str) -> Option<Value> {
        self.host(host).result(name).ok().flatten()
    }
    /// `include_vars`: values may be templates.
    pub fn include_vars(&self, host: &str, vars: impl IntoIterator<Item = (Arc<str>, Value)>) {
        let merge = self.merges();
        self.host(host).include(vars, merge);
    }
    /// The register's value comes with the answer to this call.
    pub fn set_pending(&self, host: &str, name: impl Into<Arc<str>>, call: u64) {
        self.host(host).set_pending(name.into(), call);
    }
    /// Facts are on their way: whoever needs them has to wait. `names`: also these, which do not begin with `ansible_`.
    pub fn set_facts_pending(&self, host: &str, what: PendingWhat, names: &[&str]) {
        self.host(host).set_facts_pending(what, names);
    }
    pub fn facts_arrived(&self, host: &str, by: Option<u64>) {
        self.host(host).facts_arrived(by);
    }
    /// A call is on its way that may change what lookups on the controller see; `None`: no longer.
    pub fn set_local_call(&self, host: &str, call: Option<u64>) {
        self.host(host).set_local(call);
    }
    pub fn local_call(&self, host: &str) -> Option<u64> {
        self.host(host).local()
    }
    /// `meta: clear_facts`.
    pub fn clear_facts(&self, host: &str) {
        self.host(host).clear_facts();
        if let Some(cache) = &self.config.fact_cache {
            cache.remove(host);
        }
    }
    /// `--flush-cache`: nothing is known any more of the hosts of the inventory.
    pub fn flush_cache(&self) {
        if let Some(cache) = &self.config.fact_cache {
            self.inventory().hosts.keys().for_each(|host| cache.remove(host));
        }
    }
    fn keep_facts(&self, host: &str) {
        if let Some(cache) = &self.config.fact_cache
            && let Err(problem) = cache.write(host, &self.facts(host))
        {
            self.outside.warn(problem);
        }
    }
    /// All facts as modules gave them.
    pub fn facts(&self, host: &str) -> Vars {
        self.host(host).facts()
    }
    /// From now on, changes of this host's variables can be taken back.
    pub fn mark(&self, host: &str) -> Mark {
        self.host(host).mark()
    }
    /// Takes back everything since the mark.
    pub fn rollback(&self, host: &str, mark: Mark) {
        self.host(host).rollback(mark);
    }
    /// What happened since the mark stays.
    pub fn release(&self, host: &str, mark: Mark) {
        self.host(host).release(mark);
    }

    pub(crate) fn host(&self, name: &str) -> Arc<HostState> {
        if let Some(state) = self.hosts.read().get(name) {
            return state.clone();
        }
        let kept = self.config.fact_cache.as_ref().map(|cache| cache.read(name)).unwrap_or_default();
        self.hosts.write().entry(name.into()).or_insert_with(|| Arc::new(HostState::knowing(kept))).clone()
    }

    /// Are dicts of the same name merged over the levels?
    pub(crate) fn merges(&self) -> bool {
        self.config.hash_behaviour_merge
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What inventory, group_vars and host_vars say of a host, the highest of each name.
    pub(crate) fn base(&self, host: &Arc<str>, playbook_dir: &Arc<Path>) -> Result<Arc<Vars>, Diagnostic> {
        let key = (host.clone(), playbook_dir.clone(), self.generation());
        if let Some(known) = self.bases.lock().get(&key) {
            return Ok(known.clone());
        }
        let vars = Arc::new(self.host_base(host, playbook_dir)?);
        self.bases.lock().insert(key, vars.clone());
        Ok(vars)
    }
}

#[cfg(test)]
mod tests;
