//! What a playbook is once it is read: plays, blocks and tasks, each with its place, everything static
//! (imports, roles of a play, inheritance of keywords) already resolved, every template still unresolved.

use std::path::PathBuf;
use std::sync::Arc;

use expressions::{Origin, Value};
use indexmap::IndexMap;

/// Variables as written: values may be templates.
pub type Vars = IndexMap<Arc<str>, Value>;

/// One play.
#[derive(Clone, Debug)]
pub struct Play {
    pub origin: Arc<Origin>,
    pub name: Option<Value>,
    /// A pattern, or a list of them; may be a template over extra variables.
    pub hosts: Value,
    pub keywords: Arc<Keywords>,
    /// `None`: as the configuration's `gathering` says.
    pub gather_facts: Option<Value>,
    pub gather_subset: Option<Value>,
    pub gather_timeout: Option<Value>,
    pub fact_path: Option<Value>,
    pub strategy: Option<Value>,
    /// Empty: all hosts at once.
    pub serial: Vec<Value>,
    pub order: Option<Value>,
    pub max_fail_percentage: Option<Value>,
    pub force_handlers: Option<Value>,
    pub vars: Arc<Vars>,
    pub vars_files: Vec<Value>,
    pub vars_prompt: Vec<Prompt>,
    pub pre_tasks: Vec<Node>,
    /// The tasks of `roles:` in order, dependencies first, each a block of its role.
    pub roles: Vec<Node>,
    pub tasks: Vec<Node>,
    pub post_tasks: Vec<Node>,
    /// In definition order: of the roles, then of the play.
    pub handlers: Vec<Arc<Task>>,
    /// Every role that this play uses statically: their defaults and vars are seen by later tasks of the play.
    pub static_roles: Vec<Arc<Role>>,
    /// What `roles:` lists, as often as it lists it.
    pub listed_roles: Vec<Arc<str>>,
    /// The folder of the playbook file.
    pub dir: Arc<std::path::Path>,
}

#[derive(Clone, Debug)]
pub struct Prompt {
    pub name: String,
    pub prompt: Option<Value>,
    pub default: Option<Value>,
    pub private: bool,
    pub confirm: bool,
    pub encrypt: Option<String>,
    pub salt: Option<String>,
    pub salt_size: Option<i64>,
    pub unsafe_: bool,
}

/// A step: a task or a block of them.
#[derive(Clone, Debug)]
pub enum Node {
    Task(Arc<Task>),
    Block(Arc<Block>),
}

/// `block`, `rescue`, `always`. Its keywords are already merged into those of its children; roles' task lists
/// and static imports are blocks without `rescue` and `always`.
#[derive(Clone, Debug)]
pub struct Block {
    pub origin: Arc<Origin>,
    pub name: Option<Value>,
    pub body: Vec<Node>,
    pub rescue: Vec<Node>,
    pub always: Vec<Node>,
    /// Set on the outermost block of a role's tasks (for `meta: end_role`, role completion).
    pub role: Option<Arc<Role>>,
}

/// A task, with the effective keywords of everything around it.
#[derive(Clone, Debug)]
pub struct Task {
    pub origin: Arc<Origin>,
    pub name: Option<Value>,
    /// As written: `copy`, `ansible.builtin.copy`.
    pub action: Arc<str>,
    /// Resolved: for what Theseus knows the short name (`copy`); otherwise the full name as far as known.
    pub module: Arc<str>,
    /// Arguments with `args:` merged, k=v text split. Free text of `command`-like modules under `_raw_params`.
    pub args: Arc<Vars>,
    /// `args: "{{ … }}"` or `module: "{{ … }}"`: a template that yields the arguments. `args` comes on top.
    pub args_template: Option<Value>,
    /// Effective: own ones and inherited ones, merged by Ansible's rules.
    pub keywords: Arc<Keywords>,
    pub register: Option<Arc<str>>,
    pub loop_: Option<Loop>,
    pub until: Option<Vec<Value>>,
    pub retries: Option<Value>,
    pub delay: Option<Value>,
    pub changed_when: Option<Vec<Value>>,
    pub failed_when: Option<Vec<Value>>,
    pub async_seconds: Option<Value>,
    pub poll: Option<Value>,
    /// Handlers' names or topics; may be templates.
    pub notify: Vec<Value>,
    /// Of a handler.
    pub listen: Vec<Value>,
    pub role: Option<Arc<Role>>,
    /// `role : name` prefix shown in headers for tasks of roles is made by the output, not here.
    pub is_handler: bool,
    /// Present for include_tasks, include_role, and friends: what children inherit and how.
    pub include: Option<Arc<Include>>,
    /// Search places for files/templates/vars: folders, nearest first (role, including file's folder, playbook).
    pub search: Arc<Vec<PathBuf>>,
    /// The folder of the file in which the task was written.
    pub dir: Arc<std::path::Path>,
}

/// A dynamic include: resolved when it is reached.
#[derive(Clone, Debug)]
pub struct Include {
    pub kind: IncludeKind,
    /// What surrounds the include (without its own `when`, `tags`, `loop`, …): children inherit this.
    pub inherited: Arc<Keywords>,
    /// `apply:` keywords, for children.
    pub apply: Option<Arc<Keywords>>,
    /// Handlers that every child notifies, by `apply: {notify: …}`.
    pub notify: Vec<Value>,
    /// Handlers that tasks inside may notify are those of the play; include depth, to stop endless recursion.
    pub depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeKind {
    Tasks,
    Role,
    /// `import_role`/`import_tasks` whose name could not be resolved while reading is an error, never this.
    Vars,
}

/// `loop:` or `with_x:`.
#[derive(Clone, Debug)]
pub struct Loop {
    /// `None`: `loop:`. `Some("dict")`: `with_dict:`.
    pub with: Option<Arc<str>>,
    pub items: Value,
    pub loop_var: Arc<str>,
    pub index_var: Option<Arc<str>>,
    pub label: Option<Value>,
    pub pause: Option<Value>,
    pub extended: bool,
    pub extended_allitems: bool,
    pub break_when: Vec<Value>,
}

/// Keywords that plays, roles, blocks and tasks share, merged: nearest wins, except those said to add up.
#[derive(Clone, Debug, Default)]
pub struct Keywords {
    pub become_: Option<Value>,
    pub become_user: Option<Value>,
    pub become_method: Option<Value>,
    pub become_flags: Option<Value>,
    pub become_exe: Option<Value>,
    pub connection: Option<Value>,
    pub remote_user: Option<Value>,
    pub port: Option<Value>,
    pub check_mode: Option<Value>,
    pub diff: Option<Value>,
    pub no_log: Option<Value>,
    pub run_once: Option<Value>,
    pub throttle: Option<Value>,
    pub timeout: Option<Value>,
    pub ignore_errors: Option<Value>,
    pub ignore_unreachable: Option<Value>,
    pub any_errors_fatal: Option<Value>,
    pub delegate_to: Option<Value>,
    pub delegate_facts: Option<Value>,
    pub debugger: Option<Value>,
    pub collections: Vec<String>,
    /// Add up, outermost first; later ones win.
    pub environment: Vec<Value>,
    /// Add up, outermost first; later ones win.
    pub module_defaults: Vec<Value>,
    /// Add up: all must hold, outermost first.
    pub when: Vec<Value>,
    /// Add up.
    pub tags: Vec<Arc<str>>,
    /// Variables of blocks and of the task itself, outermost first (play vars are not in here). Those of roles'
    /// entries and of includes (params) are marked, because their precedence is higher.
    pub vars: Vec<VarsLayer>,
    /// The keywords around these, kept where one of these may turn out to be `omit`: then the outer one holds.
    pub outer: Option<Arc<Self>>,
}

impl Keywords {
    /// One keyword, read by `value`: what is omitted is as if it were not written here.
    pub fn resolved<E>(
        &self,
        keyword: fn(&Self) -> &Option<Value>,
        value: impl Fn(&Value) -> Result<Value, E>,
    ) -> Result<Option<Value>, E> {
        let mut at = self;
        while let Some(source) = keyword(at) {
            let value = value(source)?;
            if !value.is_omit() {
                return Ok(Some(value));
            }
            let Some(outer) = at.outer.as_deref() else { break };
            at = outer;
        }
        Ok(None)
    }
}

#[derive(Clone, Debug)]
pub struct VarsLayer {
    pub kind: VarsKind,
    pub vars: Arc<Vars>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarsKind {
    /// `vars:` of a block.
    Block,
    /// `vars:` of the task.
    Task,
    /// Parameters of a role (`roles: - {role: x, a: 1}`), higher than include_vars and set_fact.
    RoleParams,
    /// `vars:` of an include_tasks/include_role: higher still.
    IncludeParams,
}

/// A role as it is used at one place.
#[derive(Clone, Debug)]
pub struct Role {
    /// As people say it: `nginx`, `my.collection.nginx`.
    pub name: Arc<str>,
    pub path: Arc<std::path::Path>,
    pub defaults: Arc<Vars>,
    pub vars: Arc<Vars>,
    /// Parameters given where the role is used.
    pub params: Arc<Vars>,
    /// `vars:` given where the role is used: above its own `vars`, not seen by other roles.
    pub entry_vars: Arc<Vars>,
    /// The collection that the role came from.
    pub collection: Option<Arc<str>>,
    /// The roles that pulled this one in, outermost first, as far as variables and paths need them.
    pub chain: Arc<Vec<ParentRole>>,
    /// Roles that this one depends on.
    pub dependencies: Vec<Arc<Role>>,
    /// Roles whose tasks include or import this one, outermost first.
    pub parents: Vec<Arc<str>>,
    pub allow_duplicates: bool,
    /// Whether later tasks of the play see its defaults and vars.
    pub public: bool,
    /// Identity of this use (same role, same params: same number), for "run once per play".
    pub instance: u64,
    /// The same for all uses that would do the same, included or imported.
    pub work: u64,
}

/// What a role sees of a role that depends on it or includes it.
#[derive(Clone, Debug)]
pub struct ParentRole {
    pub name: Arc<str>,
    pub path: Arc<std::path::Path>,
    pub defaults: Arc<Vars>,
    pub vars: Arc<Vars>,
    pub entry_vars: Arc<Vars>,
    pub params: Arc<Vars>,
}

impl Role {
    /// This role, as its dependencies and the roles that it includes see it.
    pub fn as_parent(&self) -> ParentRole {
        ParentRole {
            name: self.name.clone(),
            path: self.path.clone(),
            defaults: self.defaults.clone(),
            vars: self.vars.clone(),
            entry_vars: self.entry_vars.clone(),
            params: self.params.clone(),
        }
    }

    /// Everything that it depends on, deepest first, each once.
    pub fn all_dependencies(&self) -> Vec<Arc<Role>> {
        let mut all: Vec<Arc<Role>> = Vec::new();
        for role in &self.dependencies {
            for deeper in role.all_dependencies().into_iter().chain([role.clone()]) {
                if !all.iter().any(|known| known.instance == deeper.instance) {
                    all.push(deeper);
                }
            }
        }
        all
    }
}
