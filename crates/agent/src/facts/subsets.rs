//! Which collectors a `gather_subset` selects.

use std::collections::BTreeSet;

/// `(collector, in the minimal set, the names of facts that also select it, collectors it brings along)`.
type Row = (&'static str, bool, &'static [&'static str], &'static [&'static str]);

const COLLECTORS: &[Row] = &[
    ("apparmor", true, &[], &[]),
    ("caps", true, &["system_capabilities", "system_capabilities_enforced"], &[]),
    ("chroot", false, &["is_chroot"], &[]),
    ("cmdline", true, &[], &[]),
    ("date_time", true, &[], &[]),
    (
        "distribution",
        true,
        &["distribution_major_version", "distribution_release", "distribution_version", "os_family"],
        &[],
    ),
    ("dns", true, &[], &[]),
    ("env", true, &[], &[]),
    ("facter", false, &[], &[]),
    ("fibre_channel_wwn", false, &[], &[]),
    ("fips", true, &[], &[]),
    (
        "hardware",
        false,
        &["devices", "mounts", "processor", "processor_cores", "processor_count"],
        &["platform"],
    ),
    ("iscsi", false, &[], &[]),
    ("loadavg", false, &[], &[]),
    ("local", true, &[], &[]),
    ("lsb", true, &[], &[]),
    (
        "network",
        false,
        &["all_ipv4_addresses", "all_ipv6_addresses", "default_ipv4", "default_ipv6", "interfaces"],
        &["platform", "distribution"],
    ),
    ("nvme", false, &[], &[]),
    ("ohai", false, &[], &[]),
    ("pkg_mgr", true, &[], &["distribution"]),
    (
        "platform",
        true,
        &["architecture", "kernel", "kernel_version", "machine", "machine_id", "python_version", "system"],
        &[],
    ),
    ("python", true, &[], &[]),
    ("selinux", true, &[], &[]),
    ("service_mgr", true, &[], &["distribution", "platform"]),
    (
        "ssh_pub_keys",
        true,
        &[
            "ssh_host_key_dsa_public",
            "ssh_host_key_ecdsa_public",
            "ssh_host_key_ed25519_public",
            "ssh_host_key_rsa_public",
            "ssh_host_pub_keys",
        ],
        &[],
    ),
    ("systemd", true, &[], &[]),
    (
        "user",
        true,
        &[
            "effective_group_ids",
            "effective_user_id",
            "real_user_id",
            "user_dir",
            "user_gecos",
            "user_gid",
            "user_id",
            "user_shell",
            "user_uid",
        ],
        &[],
    ),
    (
        "virtual",
        false,
        &[
            "virtualization_role",
            "virtualization_tech_guest",
            "virtualization_tech_host",
            "virtualization_type",
        ],
        &[],
    ),
];

/// The collectors to run, in the order of the table; or what is wrong with the request.
///
/// What is named outright wins over an exclusion; an exclusion only takes from `all` and `min`; the minimal set
/// is there unless `!min` says otherwise.
pub fn select(requested: &[String]) -> Result<BTreeSet<&'static str>, String> {
    let valid: BTreeSet<&str> = COLLECTORS
        .iter()
        .flat_map(|(name, _, ids, _)| std::iter::once(*name).chain(ids.iter().copied()))
        .collect();
    let minimal: BTreeSet<&str> = COLLECTORS.iter().filter(|row| row.1).map(|row| row.0).collect();
    let (mut wanted, mut excluded, mut named) = (minimal.clone(), BTreeSet::new(), BTreeSet::new());
    for subset in requested.iter().map(|s| s.trim()) {
        match subset {
            "all" => wanted.extend(&valid),
            "min" => wanted.extend(&minimal),
            "!min" => excluded.extend(&minimal),
            "!all" => excluded.extend(valid.difference(&minimal)),
            _ => {
                let name = subset.strip_prefix('!').unwrap_or(subset);
                let Some(known) = valid.get(name) else { return Err(bad_subset(name, &valid)) };
                if subset.starts_with('!') {
                    excluded.insert(*known);
                    excluded.extend(COLLECTORS.iter().filter(|row| row.0 == *known).flat_map(|row| row.2));
                } else {
                    named.insert(*known);
                    wanted.insert(*known);
                }
            }
        }
    }
    wanted.retain(|id| named.contains(id) || !excluded.contains(id));
    Ok(with_requirements(&wanted))
}

fn with_requirements(ids: &BTreeSet<&str>) -> BTreeSet<&'static str> {
    let mut chosen = BTreeSet::new();
    for (name, _, facts, needs) in COLLECTORS {
        if ids.contains(name) || facts.iter().any(|fact| ids.contains(fact)) {
            chosen.insert(*name);
            chosen.extend(*needs);
        }
    }
    chosen
}

fn bad_subset(name: &str, valid: &BTreeSet<&str>) -> String {
    let mut allowed: BTreeSet<&str> = valid.clone();
    allowed.insert("all");
    let allowed: Vec<&str> = allowed.into_iter().collect();
    format!("Bad subset '{name}' given to Ansible. gather_subset options allowed: {}", allowed.join(", "))
}
