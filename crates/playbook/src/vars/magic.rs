//! Variables that nobody sets: hosts, groups, folders, the run itself.

use std::sync::Arc;

use expressions::{Error, Value, omit};

use super::hostvars::{HostVars, View};
use super::scope::Inner;

/// Names that always exist and that nobody can set.
pub(super) const NAMES: &[&str] = &[
    "ansible_check_mode",
    "ansible_collection_name",
    "ansible_delegated_vars",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_parent_role_names",
    "ansible_parent_role_paths",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_name",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_search_path",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "environment",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "omit",
    "play_hosts",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
    "vars",
];

impl Inner {
    /// `None`: not one of them, or it has no value here.
    pub(super) fn magic(&self, name: &str) -> Option<Result<Value, Error>> {
        if !NAMES.contains(&name) {
            return match name {
                "ansible_managed" => self.managed(),
                "ansible_connection" | "ansible_host" | "ansible_ssh_host" | "ansible_user" => {
                    self.reached(name)
                }
                "ansible_python_interpreter" => self.own_python(),
                _ => None,
            };
        }
        if name == "ansible_delegated_vars" {
            return self.delegated();
        }
        if name == "ansible_facts" {
            return self.host.as_ref().map(|host| self.variables.host(host).namespace());
        }
        self.of_run(name)
            .or_else(|| self.of_inventory(name))
            .or_else(|| self.of_the_play(name))
            .or_else(|| self.of_role(name))
            .map(Ok)
    }

    /// The variables of the host that does the task instead of its own, by that host's name.
    fn delegated(&self) -> Option<Result<Value, Error>> {
        let delegate = self.task.as_ref().filter(|_| !self.bare)?.keywords.delegate_to.as_ref()?;
        let named = self.resolve_deep(delegate).and_then(|name| {
            if name.is_omit() {
                return Ok(Value::undefined("'ansible_delegated_vars' is undefined"));
            }
            let name = name.python_str()?;
            let scope = self.for_host(Arc::from(name.as_str()));
            Ok(Value::dict([(Value::from(name), Value::object(View { scope, what: "dict" }))]))
        });
        Some(named)
    }

    /// Has a default, and may be set as a variable.
    fn managed(&self) -> Option<Result<Value, Error>> {
        match self.find("ansible_managed") {
            Ok(Some(_)) => None,
            Ok(None) => Some(Ok(Value::str(self.variables.config.ansible_managed.as_str()))),
            Err(error) => Some(Err(error)),
        }
    }

    /// How a task's host is reached, where no variable says it. Other hosts do not see it.
    fn reached(&self, name: &str) -> Option<Result<Value, Error>> {
        let host = self.host.as_ref().filter(|_| !self.bare)?;
        let task = self.task.as_ref()?;
        match self.find(name) {
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
        // Set under its other name.
        let other = match name {
            "ansible_host" => "ansible_ssh_host",
            "ansible_ssh_host" => "ansible_host",
            "ansible_user" => "ansible_ssh_user",
            _ => "",
        };
        match self.find(other) {
            Ok(Some(_)) => return self.lookup_variable(other).transpose(),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
        let options = &self.variables.options;
        let keywords = &task.keywords;
        let (keyword, option) = match name {
            "ansible_connection" => (&keywords.connection, options.connection.as_deref()),
            "ansible_user" => (&keywords.remote_user, options.remote_user.as_deref()),
            _ => return Some(Ok(Value::str(host.clone()))),
        };
        if let Some(keyword) = keyword {
            return Some(self.resolve_deep(keyword));
        }
        if name == "ansible_connection" && self.variables.inventory().host(host).is_none_or(|h| h.implicit) {
            return Some(Ok(Value::str("local")));
        }
        option.map(|text| Ok(Value::str(text)))
    }

    /// A `localhost` that nobody wrote into an inventory has the installed Ansible's Python, unless a variable says
    /// otherwise.
    fn own_python(&self) -> Option<Result<Value, Error>> {
        let host = self.host.as_ref()?;
        let implicit = self.variables.inventory().host(host).is_none_or(|host| host.implicit);
        if !implicit || !matches!(self.find("ansible_python_interpreter"), Ok(None)) {
            return None;
        }
        self.variables.outside.python().map(|python| Ok(Value::from(python.display().to_string())))
    }

    fn of_run(&self, name: &str) -> Option<Value> {
        let options = &self.variables.options;
        let strings = |list: &[String]| Value::from(list.to_vec());
        Some(match name {
            "omit" => omit(),
            "ansible_check_mode" => Value::Bool(options.check_mode),
            "ansible_diff_mode" => Value::Bool(options.diff_mode),
            "ansible_verbosity" => Value::Int(options.verbosity),
            "ansible_forks" => Value::Int(options.forks),
            "ansible_run_tags" if options.run_tags.is_empty() => strings(&["all".to_owned()]),
            "ansible_run_tags" => strings(&options.run_tags),
            "ansible_skip_tags" => strings(&options.skip_tags),
            "ansible_limit" => Value::str(options.limit.as_deref()?),
            "ansible_inventory_sources" => strings(&options.inventory_sources),
            "ansible_config_file" => self
                .variables
                .config
                .file
                .as_ref()
                .map_or(Value::None, |path| Value::from(path.display().to_string())),
            "ansible_playbook_python" => match self.variables.outside.python() {
                Some(python) => Value::from(python.display().to_string()),
                None => Value::str("/usr/bin/python3"),
            },
            "ansible_version" => version(&options.version),
            _ => return None,
        })
    }

    fn of_inventory(&self, name: &str) -> Option<Value> {
        let options = &self.variables.options;
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map_or(Value::None, |path| Value::from(path.display().to_string()))
        };
        Some(match name {
            "groups" => self.variables.groups_value(),
            "hostvars" => Value::object(HostVars { scope: self.handle()? }),
            "vars" => Value::object(View { scope: self.handle()?, what: "dict" }),
            "inventory_dir" if self.host.is_some() => path(&options.inventory_dir),
            "inventory_file" if self.host.is_some() => path(&options.inventory_file),
            "inventory_hostname" => Value::str(self.host.clone()?),
            "inventory_hostname_short" => {
                Value::str(self.host.as_deref()?.split('.').next().unwrap_or_default())
            }
            "group_names" => Value::from(self.variables.group_names(self.host.as_deref()?)),
            _ => return None,
        })
    }

    fn of_the_play(&self, name: &str) -> Option<Value> {
        if name == "playbook_dir" {
            return Some(Value::from(self.play.play.dir.display().to_string()));
        }
        if self.bare {
            return None;
        }
        let hosts = |hosts: Arc<Vec<Arc<str>>>| {
            Value::list(hosts.iter().map(|host| Value::str(host.clone())).collect())
        };
        Some(match name {
            "ansible_play_hosts_all" => hosts(self.play.hosts_all()),
            "ansible_play_hosts" => hosts(self.play.hosts()),
            "ansible_play_batch" | "play_hosts" => hosts(self.play.batch()),
            "ansible_play_name" => Value::from(self.play_name()),
            "ansible_search_path" => {
                let paths = self.search_path();
                Value::from(paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
            }
            "environment" => Value::list(
                self.task.as_ref().map(|task| task.keywords.environment.clone()).unwrap_or_default(),
            ),
            "ansible_play_role_names" | "role_names" => Value::from(self.role_names(false)),
            "ansible_role_names" => Value::from(self.role_names(true)),
            "ansible_dependent_role_names" => {
                // Also those that the play names itself.
                let roles = self.play.roles();
                let mut names: Vec<String> = Vec::new();
                for role in roles.iter().flat_map(|role| role.dependencies.iter()) {
                    if !names.iter().any(|known| *known == *role.name) {
                        names.push(role.name.to_string());
                    }
                }
                Value::from(names)
            }
            _ => return None,
        })
    }

    fn of_role(&self, name: &str) -> Option<Value> {
        let role = self.task.as_ref().filter(|_| !self.bare)?.role.as_ref()?;
        Some(match name {
            "role_name" => Value::str(role.name.rsplit('.').next().unwrap_or(&role.name)),
            "ansible_role_name" => Value::str(role.name.clone()),
            "role_path" => Value::from(role.path.display().to_string()),
            "ansible_collection_name" => Value::str(role.collection.clone()?),
            // Nearest first.
            "ansible_parent_role_names" if !role.parents.is_empty() => {
                Value::list(role.parents.iter().rev().map(|name| Value::str(name.clone())).collect())
            }
            "ansible_parent_role_paths" if !role.parents.is_empty() => {
                let parents = role.chain.iter().rev().filter(|parent| role.parents.contains(&parent.name));
                Value::list(parents.map(|parent| Value::from(parent.path.display().to_string())).collect())
            }
            _ => return None,
        })
    }

    fn play_name(&self) -> String {
        if let Some(name) = &*self.play.name.read() {
            return name.clone();
        }
        let play = &self.play.play;
        let name = play.name.as_ref().or(Some(&play.hosts)).and_then(|name| match name {
            expressions::Value::List(list) => Some(
                list.raw_items()
                    .iter()
                    .filter_map(|item| item.python_str().ok())
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            other => other.python_str().ok(),
        });
        name.unwrap_or_default()
    }

    /// Roles of the play; `all`: with those they depend on.
    fn role_names(&self, all: bool) -> Vec<String> {
        let roles = self.play.roles();
        let dependencies: Vec<u64> =
            roles.iter().flat_map(|role| role.dependencies.iter().map(|role| role.instance)).collect();
        let listed: &[_] = if all { &[] } else { &self.play.play.listed_roles };
        let mut names: Vec<String> = listed.iter().map(|name| name.to_string()).collect();
        for role in roles.iter().filter(|role| all || !dependencies.contains(&role.instance)) {
            if !names.iter().any(|known| *known == *role.name) {
                names.push(role.name.to_string());
            }
        }
        names
    }
}

/// `ansible_version`: `full`, `major`, `minor`, `revision`, `string`.
fn version(full: &str) -> Value {
    let parts: Vec<i64> = full.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    let part = |index: usize| Value::Int(parts.get(index).copied().unwrap_or(0));
    Value::dict([
        ("string", Value::str(full)),
        ("full", Value::str(full)),
        ("major", part(0)),
        ("minor", part(1)),
        ("revision", part(2)),
    ])
}
