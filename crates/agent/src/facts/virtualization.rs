//! What this machine runs in, and what it could run itself.

use std::collections::BTreeSet;

use catalog::{Json, Map};

use super::source::Source;

/// Makers of virtual machines that are KVM underneath.
const KVM_VENDORS: &[&str] = &[
    "QEMU",
    "Amazon EC2",
    "DigitalOcean",
    "Google",
    "Scaleway",
    "Nutanix",
    "KubeVirt",
    "oVirt Node",
    "Hetzner",
];

#[derive(Default)]
struct Findings {
    /// The first thing found is the answer; the rest is only listed.
    answer: Option<(String, &'static str)>,
    guests: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Findings {
    fn guest(&mut self, kind: &str) {
        self.guests.insert(kind.to_owned());
        self.answer.get_or_insert_with(|| (kind.to_owned(), "guest"));
    }
    fn container(&mut self, kind: &str) {
        self.guests.insert("container".into());
        self.guest(kind);
    }
    fn host(&mut self, kind: &str) {
        self.hosts.insert(kind.to_owned());
        self.answer.get_or_insert_with(|| (kind.to_owned(), "host"));
    }
}

pub fn collect(source: &Source) -> Map {
    let mut found = Findings::default();
    containers(source, &mut found);
    xen(source, &mut found);
    firmware(source, &mut found);
    processor(source, &mut found);
    modules(source, &mut found);
    let (kind, role) = found.answer.unwrap_or_else(|| ("NA".into(), "NA"));
    let mut facts = Map::new();
    facts.insert("virtualization_type".into(), kind.into());
    facts.insert("virtualization_role".into(), role.into());
    facts.insert("virtualization_tech_guest".into(), found.guests.into_iter().map(Json::from).collect());
    facts.insert("virtualization_tech_host".into(), found.hosts.into_iter().map(Json::from).collect());
    facts
}

fn containers(source: &Source, found: &mut Findings) {
    let groups = source.text("/proc/1/cgroup").unwrap_or_default();
    for line in groups.lines() {
        if line.contains("/docker/") || line.contains("/docker-") {
            found.container("docker");
        } else if line.contains("/lxc/") || line.contains("/machine.slice/machine-lxc") {
            found.container("lxc");
        } else if line.contains("/system.slice/containerd.service") {
            found.container("containerd");
        }
    }
    if source.exists("/.dockerenv") || source.exists("/.dockerinit") {
        found.container("docker");
    }
    let environment = source.text("/proc/1/environ").unwrap_or_default();
    for variable in environment.split('\0') {
        match variable.strip_prefix("container=") {
            Some("lxc") => found.container("lxc"),
            Some("podman") => found.container("podman"),
            Some(other) if !other.is_empty() => found.container("container"),
            _ => {}
        }
    }
    if source.exists("/proc/vz") && !source.exists("/proc/lve") {
        if source.exists("/proc/bc") { found.host("openvz") } else { found.container("openvz") }
    }
    if let Some(kind) = source.line("/run/systemd/container") {
        found.container(&kind);
    }
}

fn xen(source: &Source, found: &mut Findings) {
    if !source.exists("/proc/xen") {
        return;
    }
    let domain0 = source.text("/proc/xen/capabilities").is_some_and(|text| text.contains("control_d"));
    if domain0 { found.host("xen") } else { found.guest("xen") }
}

fn firmware(source: &Source, found: &mut Findings) {
    let read = |name: &str| source.line(&format!("/sys/devices/virtual/dmi/id/{name}")).unwrap_or_default();
    let (product, vendor, bios, family) =
        (read("product_name"), read("sys_vendor"), read("bios_vendor"), read("product_family"));
    let kind = match (product.as_str(), vendor.as_str(), bios.as_str()) {
        ("KVM" | "KVM Server" | "Bochs" | "AHV", ..) => "kvm",
        ("RHEV Hypervisor", ..) => "RHEV",
        (_, "oVirt", _) => "oVirt",
        (_, "Red Hat", _) if family == "RHV" => "RHV",
        ("VMware Virtual Platform" | "VMware7,1" | "VMware20,1", ..) => "VMware",
        ("OpenStack Compute" | "OpenStack Nova", ..) | (_, "OpenStack Foundation", _) => "openstack",
        (_, _, "Xen") => "xen",
        (_, _, "innotek GmbH") => "virtualbox",
        (_, _, "Amazon EC2" | "DigitalOcean" | "Hetzner") => "kvm",
        (_, "Microsoft Corporation", _) => "VirtualPC",
        (_, "Parallels Software International Inc.", _) => "parallels",
        (_, vendor, _) if KVM_VENDORS.contains(&vendor) => "kvm",
        _ => return,
    };
    found.guest(kind);
}

fn processor(source: &Source, found: &mut Findings) {
    for line in source.text("/proc/self/status").unwrap_or_default().lines() {
        if let Some(number) = line.strip_prefix("VxID:") {
            if number.trim() == "0" { found.host("linux_vserver") } else { found.guest("linux_vserver") }
        }
    }
    for line in source.text("/proc/cpuinfo").unwrap_or_default().lines() {
        if line.starts_with("model name") && line.contains("QEMU Virtual CPU") {
            found.guest("kvm");
        } else if line.starts_with("vendor_id") && line.contains("User Mode Linux") {
            found.guest("uml");
        } else if line.starts_with("vendor_id") && line.contains("PowerVM Lx86") {
            found.guest("powervm_lx86");
        } else if line.starts_with("machine") && line.contains("CHRP IBM pSeries (emulated by qemu)") {
            found.guest("kvm");
        }
    }
}

fn modules(source: &Source, found: &mut Findings) {
    let text = source.text("/proc/modules").unwrap_or_default();
    let loaded: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    if loaded.contains("kvm") || source.exists("/dev/kvm") {
        found.host("kvm");
    }
    if loaded.contains("vboxdrv") {
        found.host("virtualbox");
    }
    if loaded.contains("virtio") {
        found.guest("kvm");
    }
}
