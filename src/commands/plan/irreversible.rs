//! What no undo takes back, as far as a task's module and its arguments tell before it runs. What programs do beyond
//! files is seen only when they run: the layer says it then.

use catalog::Map;

/// In the words in which the layer would say it.
pub(crate) fn of(module: &str, arguments: Option<&Map>) -> Option<String> {
    let text = |key: &str| arguments.and_then(|args| args.get(key)?.as_str()).unwrap_or_default();
    let said = match module {
        "command" | "shell" | "script" | "raw" | "expect" | "make" => {
            "a program: its changes of files can be undone, not what it does to databases, mounts, or over the network"
                .to_owned()
        }
        "reboot" => "a reboot".to_owned(),
        "mount" if !matches!(text("state"), "present" | "absent_from_fstab") => {
            format!("mounts of the running host ({})", text("path"))
        }
        "sysctl" => format!("the setting {} of the running kernel", text("name")),
        "modprobe" => format!("the module {} of the running kernel", text("name")),
        "seboolean" => format!("the SELinux boolean {} of the running kernel", text("name")),
        "iptables" | "ufw" | "firewalld" => "the rules of the running firewall".to_owned(),
        "hostname" => "the name of the running host".to_owned(),
        "uri" if !matches!(text("method"), "" | "GET" | "HEAD" | "OPTIONS") => {
            format!("a {} request to {}", text("method"), text("url"))
        }
        name if name.starts_with("postgresql_") || name.starts_with("mysql_") => "what is in a database".to_owned(),
        _ => return None,
    };
    Some(said)
}
