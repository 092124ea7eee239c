//! The settings that `ansible.cfg` and the environment may hold, those that something here reads: documented
//! name, where it is written, type, and what it is if nobody says (`{home}`: the setting `home`, `~/.ansible`).

use super::{Kind, Setting};

const fn s(
    name: &'static str,
    ini: &'static [(&'static str, &'static str)],
    env: &'static [&'static str],
    kind: Kind,
    default: Option<&'static str>,
) -> Setting {
    Setting { name, ini, env, kind, default }
}

#[rustfmt::skip]
pub(super) static SETTINGS: &[Setting] = &[
    s("ALLOW_BROKEN_CONDITIONALS", &[("defaults", "allow_broken_conditionals")], &["ANSIBLE_ALLOW_BROKEN_CONDITIONALS"], Kind::Flag, Some("false")),
    s("ANSIBLE_HOME", &[("defaults", "home")], &["ANSIBLE_HOME"], Kind::Path, Some("~/.ansible")),
    s("ANY_ERRORS_FATAL", &[("defaults", "any_errors_fatal")], &["ANSIBLE_ANY_ERRORS_FATAL"], Kind::Flag, Some("false")),
    s("BECOME_PASSWORD_FILE", &[("defaults", "become_password_file")], &["ANSIBLE_BECOME_PASSWORD_FILE"], Kind::Path, None),
    s("COLLECTIONS_PATHS", &[("defaults", "collections_paths"), ("defaults", "collections_path")], &["ANSIBLE_COLLECTIONS_PATHS", "ANSIBLE_COLLECTIONS_PATH"], Kind::PathSpec, Some("{home}/collections:/usr/share/ansible/collections")),
    s("CONNECTION_PASSWORD_FILE", &[("defaults", "connection_password_file")], &["ANSIBLE_CONNECTION_PASSWORD_FILE"], Kind::Path, None),
    s("DEFAULT_ASK_PASS", &[("defaults", "ask_pass")], &["ANSIBLE_ASK_PASS"], Kind::Flag, Some("false")),
    s("DEFAULT_ASK_VAULT_PASS", &[("defaults", "ask_vault_pass")], &["ANSIBLE_ASK_VAULT_PASS"], Kind::Flag, Some("false")),
    s("DEFAULT_BECOME", &[("privilege_escalation", "become")], &["ANSIBLE_BECOME"], Kind::Flag, Some("false")),
    s("DEFAULT_BECOME_ASK_PASS", &[("privilege_escalation", "become_ask_pass")], &["ANSIBLE_BECOME_ASK_PASS"], Kind::Flag, Some("false")),
    s("DEFAULT_BECOME_EXE", &[("privilege_escalation", "become_exe")], &["ANSIBLE_BECOME_EXE"], Kind::Text, None),
    s("DEFAULT_BECOME_FLAGS", &[("privilege_escalation", "become_flags")], &["ANSIBLE_BECOME_FLAGS"], Kind::Text, Some("")),
    s("DEFAULT_BECOME_METHOD", &[("privilege_escalation", "become_method")], &["ANSIBLE_BECOME_METHOD"], Kind::Text, Some("sudo")),
    s("DEFAULT_BECOME_USER", &[("privilege_escalation", "become_user")], &["ANSIBLE_BECOME_USER"], Kind::Text, Some("root")),
    s("DEFAULT_FORCE_HANDLERS", &[("defaults", "force_handlers")], &["ANSIBLE_FORCE_HANDLERS"], Kind::Flag, Some("false")),
    s("DEFAULT_FORKS", &[("defaults", "forks")], &["ANSIBLE_FORKS"], Kind::Int, Some("5")),
    s("DEFAULT_GATHERING", &[("defaults", "gathering")], &["ANSIBLE_GATHERING"], Kind::Text, Some("implicit")),
    s("DEFAULT_HASH_BEHAVIOUR", &[("defaults", "hash_behaviour")], &["ANSIBLE_HASH_BEHAVIOUR"], Kind::Text, Some("replace")),
    s("DEFAULT_HOST_LIST", &[("defaults", "inventory")], &["ANSIBLE_INVENTORY"], Kind::PathList, Some("/etc/ansible/hosts")),
    s("DEFAULT_JINJA2_EXTENSIONS", &[("defaults", "jinja2_extensions")], &["ANSIBLE_JINJA2_EXTENSIONS"], Kind::List, Some("")),
    s("DEFAULT_MANAGED_STR", &[("defaults", "ansible_managed")], &[], Kind::Text, Some("Ansible managed")),
    s("DEFAULT_PRIVATE_KEY_FILE", &[("defaults", "private_key_file")], &["ANSIBLE_PRIVATE_KEY_FILE"], Kind::Path, None),
    s("DEFAULT_REMOTE_PORT", &[("defaults", "remote_port")], &["ANSIBLE_REMOTE_PORT"], Kind::Int, None),
    s("DEFAULT_REMOTE_USER", &[("defaults", "remote_user")], &["ANSIBLE_REMOTE_USER"], Kind::Text, None),
    s("DEFAULT_ROLES_PATH", &[("defaults", "roles_path")], &["ANSIBLE_ROLES_PATH"], Kind::PathSpec, Some("{home}/roles:/usr/share/ansible/roles:/etc/ansible/roles")),
    s("DEFAULT_TRANSPORT", &[("defaults", "transport")], &["ANSIBLE_TRANSPORT"], Kind::Text, Some("ssh")),
    s("DEFAULT_VAULT_ENCRYPT_IDENTITY", &[("defaults", "vault_encrypt_identity")], &["ANSIBLE_VAULT_ENCRYPT_IDENTITY"], Kind::Text, None),
    s("DEFAULT_VAULT_IDENTITY_LIST", &[("defaults", "vault_identity_list")], &["ANSIBLE_VAULT_IDENTITY_LIST"], Kind::List, Some("")),
    s("DEFAULT_VAULT_ID_MATCH", &[("defaults", "vault_id_match")], &["ANSIBLE_VAULT_ID_MATCH"], Kind::Text, Some("false")),
    s("DEFAULT_VAULT_PASSWORD_FILE", &[("defaults", "vault_password_file")], &["ANSIBLE_VAULT_PASSWORD_FILE"], Kind::Path, None),
    s("DEFAULT_VERBOSITY", &[("defaults", "verbosity")], &["ANSIBLE_VERBOSITY"], Kind::Int, Some("0")),
    s("DIFF_ALWAYS", &[("diff", "always")], &["ANSIBLE_DIFF_ALWAYS"], Kind::Flag, Some("false")),
    s("DISPLAY_SKIPPED_HOSTS", &[("defaults", "display_skipped_hosts")], &["ANSIBLE_DISPLAY_SKIPPED_HOSTS"], Kind::Flag, Some("true")),
    s("HOST_KEY_CHECKING", &[("defaults", "host_key_checking")], &["ANSIBLE_HOST_KEY_CHECKING"], Kind::Flag, Some("true")),
    s("INJECT_FACTS_AS_VARS", &[("defaults", "inject_facts_as_vars")], &["ANSIBLE_INJECT_FACT_VARS"], Kind::Flag, Some("true")),
    s("INVENTORY_ANY_UNPARSED_IS_FAILED", &[("inventory", "any_unparsed_is_failed")], &["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"], Kind::Flag, Some("false")),
    s("INVENTORY_IGNORE_EXTS", &[("defaults", "inventory_ignore_extensions"), ("inventory", "ignore_extensions")], &["ANSIBLE_INVENTORY_IGNORE"], Kind::List, Some(".pyc,.pyo,.swp,.bak,~,.rpm,.md,.txt,.rst,.orig,.cfg,.retry")),
    s("INVENTORY_IGNORE_PATTERNS", &[("defaults", "inventory_ignore_patterns"), ("inventory", "ignore_patterns")], &["ANSIBLE_INVENTORY_IGNORE_REGEX"], Kind::List, Some("")),
    s("SSH_ARGS", &[("ssh_connection", "ssh_args")], &["ANSIBLE_SSH_ARGS"], Kind::Text, Some("-C -o ControlMaster=auto -o ControlPersist=60s")),
    s("SSH_COMMON_ARGS", &[("ssh_connection", "ssh_common_args")], &["ANSIBLE_SSH_COMMON_ARGS"], Kind::Text, Some("")),
    s("SSH_EXTRA_ARGS", &[("ssh_connection", "ssh_extra_args")], &["ANSIBLE_SSH_EXTRA_ARGS"], Kind::Text, Some("")),
    s("SSH_HOST_KEY_CHECKING", &[("defaults", "host_key_checking"), ("ssh_connection", "host_key_checking")], &["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"], Kind::Flag, Some("true")),
    s("SSH_RECONNECTION_RETRIES", &[("connection", "retries"), ("ssh_connection", "retries")], &["ANSIBLE_SSH_RETRIES"], Kind::Int, Some("0")),
    s("SSH_TIMEOUT", &[("defaults", "timeout"), ("ssh_connection", "timeout")], &["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"], Kind::Int, Some("10")),
    s("TAGS_RUN", &[("tags", "run")], &["ANSIBLE_RUN_TAGS"], Kind::List, Some("")),
    s("TAGS_SKIP", &[("tags", "skip")], &["ANSIBLE_SKIP_TAGS"], Kind::List, Some("")),
    s("VAULT_ENCRYPT_SALT", &[("defaults", "vault_encrypt_salt")], &["ANSIBLE_VAULT_ENCRYPT_SALT"], Kind::Text, None),
];
