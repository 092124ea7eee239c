//! Names that facts may not take: those that say how a host is reached.

/// Variables of connections and of privilege escalation: never facts.
const CONNECTION: &[&str] = &[
    "ansible_connection",
    "ansible_host",
    "ansible_ssh_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_ssh_user",
    "ansible_ssh_pass",
    "ansible_ssh_port",
    "ansible_private_key_file",
    "ansible_pipelining",
    "ansible_shell_type",
    "ansible_shell_executable",
    "ansible_module_compression",
    "ansible_timeout",
    "ansible_remote_tmp",
    "ansible_executable",
    "ansible_async_dir",
    "ansible_group_priority",
    "ansible_managed",
    "ansible_sudo_pass",
    "ansible_sudo",
    "ansible_su",
    "ansible_host_key_checking",
];
const PREFIXES: &[&str] = &[
    "ansible_become",
    "ansible_ssh_",
    "ansible_docker_",
    "ansible_winrm_",
    "ansible_paramiko_",
    "ansible_scp_",
    "ansible_sftp_",
    "ansible_control_path",
];

/// Says how a host is reached: known without its facts.
pub(super) fn is_connection(name: &str) -> bool {
    if name.starts_with("ansible_ssh_host_key") {
        return false;
    }
    CONNECTION.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (name.starts_with("ansible_") && name.ends_with("_interpreter"))
}

/// A host may not set this by a fact.
pub(super) fn is_reserved_fact(name: &str) -> bool {
    is_connection(name) || name == "ansible_facts" || super::magic::NAMES.contains(&name)
}
