//! The few settings of `ansible.cfg` that reading and variables depend on.

use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Where roles are looked for, besides `roles/` beside the playbook.
    pub roles_path: Vec<PathBuf>,
    /// Folders that hold `ansible_collections`.
    pub collections_path: Vec<PathBuf>,
    /// Modules of one's own, besides `library/` beside playbooks and in roles.
    pub library: Vec<PathBuf>,
    pub module_utils: Vec<PathBuf>,
    pub action_plugins: Vec<PathBuf>,
    pub filter_plugins: Vec<PathBuf>,
    pub test_plugins: Vec<PathBuf>,
    pub lookup_plugins: Vec<PathBuf>,
    /// Which Python runs modules on hosts: a path, or `auto` and its like.
    pub interpreter_python: String,
    /// `hash_behaviour = merge`: dicts of one name are merged over all levels.
    pub hash_behaviour_merge: bool,
    /// Facts are also variables of their own (`ansible_distribution`).
    pub inject_facts_as_vars: bool,
    /// Whether variables of roles are seen by nobody else, if somebody said so.
    pub private_role_vars: Option<bool>,
    /// What `ansible_managed` says by default.
    pub ansible_managed: String,
    pub becoming: Becoming,
    /// Where facts are kept from run to run.
    pub fact_cache: Option<crate::vars::FactCache>,
    /// The configuration's file, if there is one.
    pub file: Option<PathBuf>,
}

/// How another user is become, as far as somebody said.
#[derive(Clone, Debug, Default)]
pub struct Becoming {
    pub user: Option<String>,
    pub exe: Option<String>,
    pub flags: Option<String>,
}

fn filled(config: &crate::config::Config, name: &str) -> Option<String> {
    config.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Default for Settings {
    fn default() -> Self {
        let home = |rest: &str| crate::search::expand_home(rest);
        Self {
            roles_path: vec![
                home("~/.ansible/roles"),
                "/usr/share/ansible/roles".into(),
                "/etc/ansible/roles".into(),
            ],
            collections_path: vec![home("~/.ansible/collections"), "/usr/share/ansible/collections".into()],
            library: Vec::new(),
            module_utils: Vec::new(),
            action_plugins: Vec::new(),
            filter_plugins: Vec::new(),
            test_plugins: Vec::new(),
            lookup_plugins: Vec::new(),
            interpreter_python: "auto".to_owned(),
            hash_behaviour_merge: false,
            inject_facts_as_vars: true,
            private_role_vars: None,
            ansible_managed: "Ansible managed".to_owned(),
            becoming: Becoming::default(),
            fact_cache: None,
            file: None,
        }
    }
}

impl From<&crate::config::Config> for Settings {
    fn from(config: &crate::config::Config) -> Self {
        Self {
            roles_path: config.paths("DEFAULT_ROLES_PATH").to_vec(),
            collections_path: config.paths("COLLECTIONS_PATHS").to_vec(),
            library: config.paths("DEFAULT_MODULE_PATH").to_vec(),
            module_utils: config.paths("DEFAULT_MODULE_UTILS_PATH").to_vec(),
            action_plugins: config.paths("DEFAULT_ACTION_PLUGIN_PATH").to_vec(),
            filter_plugins: config.paths("DEFAULT_FILTER_PLUGIN_PATH").to_vec(),
            test_plugins: config.paths("DEFAULT_TEST_PLUGIN_PATH").to_vec(),
            lookup_plugins: config.paths("DEFAULT_LOOKUP_PLUGIN_PATH").to_vec(),
            interpreter_python: config.text("INTERPRETER_PYTHON").unwrap_or("auto").to_owned(),
            hash_behaviour_merge: config.text("DEFAULT_HASH_BEHAVIOUR") == Some("merge"),
            inject_facts_as_vars: config.flag("INJECT_FACTS_AS_VARS"),
            private_role_vars: config
                .is_set("DEFAULT_PRIVATE_ROLE_VARS")
                .then(|| config.flag("DEFAULT_PRIVATE_ROLE_VARS")),
            ansible_managed: config.text("DEFAULT_MANAGED_STR").unwrap_or("Ansible managed").to_owned(),
            becoming: Becoming {
                user: filled(config, "DEFAULT_BECOME_USER"),
                exe: filled(config, "DEFAULT_BECOME_EXE"),
                flags: filled(config, "DEFAULT_BECOME_FLAGS"),
            },
            fact_cache: crate::vars::FactCache::new(config).unwrap_or_default(),
            file: config.file.clone(),
        }
    }
}
