//! Properties that are one argument and one value of the engine's.

use catalog::{Args, Json};
use serde_json::json;

use super::property::{Kind, Property};
use crate::docker::{bytes, texts};
use crate::module::Failure;

/// How an argument becomes the engine's value.
#[derive(Clone, Copy)]
enum As {
    Itself,
    /// A number with a unit.
    Bytes,
    /// Also `unlimited`.
    Swap,
    /// In billionths.
    Cpus,
    Texts,
}

/// The argument, how it is compared, how it is written, where it stands, and whether it can change while it lives.
type Row = (&'static str, Kind, As, &'static [&'static str], bool);

const ROWS: &[Row] = &[
    ("hostname", Kind::Value, As::Itself, &["Hostname"], false),
    ("domainname", Kind::Value, As::Itself, &["Domainname"], false),
    ("user", Kind::Value, As::Itself, &["User"], false),
    ("working_dir", Kind::Value, As::Itself, &["WorkingDir"], false),
    ("tty", Kind::Value, As::Itself, &["Tty"], false),
    ("interactive", Kind::Value, As::Itself, &["OpenStdin"], false),
    ("stop_signal", Kind::Value, As::Itself, &["StopSignal"], false),
    ("stop_timeout", Kind::Value, As::Itself, &["StopTimeout"], false),
    ("mac_address", Kind::Value, As::Itself, &["MacAddress"], false),
    ("auto_remove", Kind::Value, As::Itself, &["HostConfig", "AutoRemove"], false),
    ("cgroup_parent", Kind::Value, As::Itself, &["HostConfig", "CgroupParent"], false),
    ("cgroupns_mode", Kind::Value, As::Itself, &["HostConfig", "CgroupnsMode"], false),
    ("cpus", Kind::Value, As::Cpus, &["HostConfig", "NanoCpus"], false),
    ("init", Kind::Value, As::Itself, &["HostConfig", "Init"], false),
    ("ipc_mode", Kind::Value, As::Itself, &["HostConfig", "IpcMode"], false),
    ("oom_killer", Kind::Value, As::Itself, &["HostConfig", "OomKillDisable"], false),
    ("oom_score_adj", Kind::Value, As::Itself, &["HostConfig", "OomScoreAdj"], false),
    ("pid_mode", Kind::Value, As::Itself, &["HostConfig", "PidMode"], false),
    ("pids_limit", Kind::Value, As::Itself, &["HostConfig", "PidsLimit"], false),
    ("privileged", Kind::Value, As::Itself, &["HostConfig", "Privileged"], false),
    ("publish_all_ports", Kind::Value, As::Itself, &["HostConfig", "PublishAllPorts"], false),
    ("read_only", Kind::Value, As::Itself, &["HostConfig", "ReadonlyRootfs"], false),
    ("runtime", Kind::Value, As::Itself, &["HostConfig", "Runtime"], false),
    ("shm_size", Kind::Value, As::Bytes, &["HostConfig", "ShmSize"], false),
    ("userns_mode", Kind::Value, As::Itself, &["HostConfig", "UsernsMode"], false),
    ("uts", Kind::Value, As::Itself, &["HostConfig", "UTSMode"], false),
    ("volume_driver", Kind::Value, As::Itself, &["HostConfig", "VolumeDriver"], false),
    ("memory_swappiness", Kind::Value, As::Itself, &["HostConfig", "MemorySwappiness"], false),
    ("blkio_weight", Kind::Value, As::Itself, &["HostConfig", "BlkioWeight"], true),
    ("cpu_period", Kind::Value, As::Itself, &["HostConfig", "CpuPeriod"], true),
    ("cpu_quota", Kind::Value, As::Itself, &["HostConfig", "CpuQuota"], true),
    ("cpu_shares", Kind::Value, As::Itself, &["HostConfig", "CpuShares"], true),
    ("cpuset_cpus", Kind::Value, As::Itself, &["HostConfig", "CpusetCpus"], true),
    ("cpuset_mems", Kind::Value, As::Itself, &["HostConfig", "CpusetMems"], true),
    ("kernel_memory", Kind::Value, As::Bytes, &["HostConfig", "KernelMemory"], true),
    ("memory", Kind::Value, As::Bytes, &["HostConfig", "Memory"], true),
    ("memory_reservation", Kind::Value, As::Bytes, &["HostConfig", "MemoryReservation"], true),
    ("memory_swap", Kind::Value, As::Swap, &["HostConfig", "MemorySwap"], true),
    ("capabilities", Kind::Set, As::Itself, &["HostConfig", "CapAdd"], false),
    ("cap_drop", Kind::Set, As::Itself, &["HostConfig", "CapDrop"], false),
    ("device_cgroup_rules", Kind::List, As::Itself, &["HostConfig", "DeviceCgroupRules"], false),
    ("dns_opts", Kind::Set, As::Itself, &["HostConfig", "DnsOptions"], false),
    ("dns_servers", Kind::List, As::Itself, &["HostConfig", "Dns"], false),
    ("dns_search_domains", Kind::List, As::Itself, &["HostConfig", "DnsSearch"], false),
    ("groups", Kind::Set, As::Itself, &["HostConfig", "GroupAdd"], false),
    ("security_opts", Kind::Set, As::Itself, &["HostConfig", "SecurityOpt"], false),
    ("storage_opts", Kind::Map, As::Texts, &["HostConfig", "StorageOpt"], false),
    ("sysctls", Kind::Map, As::Texts, &["HostConfig", "Sysctls"], false),
    ("volumes_from", Kind::Set, As::Itself, &["HostConfig", "VolumesFrom"], false),
    ("log_driver", Kind::Value, As::Itself, &["HostConfig", "LogConfig", "Type"], false),
    ("log_options", Kind::Map, As::Texts, &["HostConfig", "LogConfig", "Config"], false),
];

/// Of every such argument that the task gives.
pub(super) fn properties(args: &Args, container: &Json) -> Result<Vec<Property>, Failure> {
    let mut all = Vec::new();
    for (option, kind, written, path, update) in ROWS {
        let Some(given) = args.get(option) else { continue };
        let wanted = value(*written, given, option)?;
        let is = at(container, path);
        all.push(Property {
            option,
            name: option,
            kind: *kind,
            make: vec![(path, wanted.clone())],
            is: known(option, &wanted, is),
            wanted,
            update: *update,
        });
    }
    Ok(all)
}

/// What a container says of itself stands under `Config`, apart from what is the host's.
fn at(container: &Json, path: &[&str]) -> Json {
    let root = if path[0] == "HostConfig" { container } else { &container["Config"] };
    path.iter().fold(root, |value, key| &value[*key]).clone()
}

/// Where the engine does not write down a value that means nothing.
fn known(option: &str, wanted: &Json, is: Json) -> Json {
    match (option, wanted) {
        ("init" | "oom_killer", Json::Bool(false)) if is.is_null() => json!(false),
        ("pids_limit", Json::Number(_)) if is.is_null() || is == json!(0) => {
            // Without a limit, in both of the engine's words.
            if wanted.as_i64().is_some_and(|n| n <= 0) { wanted.clone() } else { is }
        }
        ("capabilities" | "cap_drop", _) => bare_capabilities(&is, wanted),
        _ => is,
    }
}

/// Newer engines add `CAP_` to what they were told.
fn bare_capabilities(is: &Json, wanted: &Json) -> Json {
    let bare = |name: &str| name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned();
    let wanted = wanted.as_array().cloned().unwrap_or_default();
    let Some(list) = is.as_array() else { return is.clone() };
    let one = |name: &Json| {
        let own = bare(name.as_str().unwrap_or_default());
        wanted.iter().find(|w| bare(w.as_str().unwrap_or_default()) == own).unwrap_or(name).clone()
    };
    list.iter().map(one).collect()
}

fn value(written: As, given: &Json, option: &str) -> Result<Json, Failure> {
    let text = catalog::arguments::text(given);
    Ok(match written {
        As::Itself => given.clone(),
        As::Bytes => json!(bytes(&text, option)?),
        As::Swap if text == "unlimited" || text == "-1" => json!(-1),
        As::Swap => json!(bytes(&text, option)?),
        #[expect(clippy::cast_possible_truncation, reason = "processors are few")]
        As::Cpus => json!((given.as_f64().unwrap_or_default() * 1e9).round() as i64),
        As::Texts => Json::Object(texts(given.as_object())),
    })
}
