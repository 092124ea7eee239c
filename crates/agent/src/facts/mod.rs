//! What is true of a host: read from /proc, /sys, /etc and netlink in a few milliseconds.
//!
//! Names and forms are those of Ansible's `setup`. Child processes run only for facts that somebody wrote as a
//! program, for a name that no file knows, and for systemd's version where systemd runs.

pub mod devices;
pub mod distribution;
pub mod hardware;
pub mod local;
pub mod mounts;
pub mod netlink;
pub mod network;
pub mod platform;
pub mod settings;
pub mod source;
pub mod subsets;
#[cfg(test)]
mod tests;
pub mod virtualization;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use catalog::Map;
use distribution::Distribution;
use source::Source;

use crate::patterns::matches;

/// What a child process said.
pub struct Said {
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program with its arguments; `None` when it could not be started or took too long.
pub type Children<'a> = &'a dyn Fn(&[&str]) -> Option<Said>;

/// What is asked for.
pub struct Request<'a> {
    pub subset: &'a [String],
    pub filter: &'a [String],
    pub fact_path: &'a Path,
    pub timeout: Duration,
    pub environment: &'a BTreeMap<String, String>,
}

/// The facts, named `ansible_…`, and warnings; or what is wrong with the request.
pub fn gather(
    root: &Path,
    request: &Request<'_>,
    children: Children<'_>,
) -> Result<(Map, Vec<String>), String> {
    let source = Source::new(root);
    let mut warnings = Vec::new();
    let mut facts = Map::new();
    for collector in subsets::select(request.subset)? {
        let found = match collector {
            "local" => {
                let (found, problems) = local::collect(request.fact_path, children);
                warnings.extend(problems);
                found
            }
            _ => collect(collector, &source, request, children),
        };
        facts.extend(found);
    }
    facts.insert("gather_subset".into(), request.subset.into());
    facts.insert("module_setup".into(), true.into());
    let named = facts.into_iter().map(|(name, value)| (full_name(&name), value));
    Ok((named.filter(|(name, _)| wanted(name, request.filter)).collect(), warnings))
}

fn collect(collector: &str, source: &Source, request: &Request<'_>, children: Children<'_>) -> Map {
    let single = |key: &str, value: catalog::Json| Map::from_iter([(key.to_owned(), value)]);
    match collector {
        "apparmor" => settings::apparmor(source),
        "caps" => settings::capabilities(source),
        "chroot" => settings::chroot(source),
        "cmdline" => settings::command_line(source),
        "date_time" => platform::date_time(),
        "distribution" => Distribution::detect(source).facts(),
        "dns" => settings::dns(source),
        "env" => platform::environment(request.environment),
        "fips" => settings::fips(source),
        "hardware" => {
            let mut facts = hardware::collect(source);
            facts.insert("mounts".into(), mounts::collect(source, request.timeout));
            facts.insert("lvm".into(), "N/A".into());
            facts.extend(devices::collect(source));
            facts
        }
        "iscsi" | "nvme" | "fibre_channel_wwn" => settings::storage_names(source, collector),
        "loadavg" => settings::load_average(source),
        "lsb" => settings::lsb(source),
        "network" => network::collect(source),
        "pkg_mgr" => {
            single("pkg_mgr", settings::package_manager(source, &Distribution::detect(source)).into())
        }
        "platform" => platform::collect(source, children),
        "python" => platform::python_facts(source, children),
        "selinux" => settings::selinux(source),
        "service_mgr" => single("service_mgr", settings::service_manager(source).into()),
        "ssh_pub_keys" => settings::host_keys(source),
        "systemd" => settings::systemd(source, children),
        "user" => platform::user(source),
        "virtual" => virtualization::collect(source),
        // `facter` and `ohai` are other people's programs.
        _ => Map::new(),
    }
}

fn full_name(name: &str) -> String {
    match name {
        "gather_subset" | "module_setup" => name.to_owned(),
        _ => format!("ansible_{}", name.replace('-', "_")),
    }
}

/// A filter may leave out `ansible_`.
fn wanted(name: &str, filter: &[String]) -> bool {
    let patterns = || filter.iter().filter(|p| !p.is_empty());
    patterns().next().is_none()
        || patterns()
            .any(|p| matches(p, name) || name.strip_prefix("ansible_").is_some_and(|short| matches(p, short)))
}
