//! Which of many hosts are alike, which is the odd one, and by what one can tell.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// What tells hosts apart: names (paths, objects) and a short digest or value of each.
pub type Prints = BTreeMap<String, String>;

/// Hosts that are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub fingerprint: String,
    pub hosts: Vec<String>,
    /// Not the largest group.
    pub odd: bool,
    /// By what it differs from the largest group, most telling first.
    pub because: Vec<Because>,
    /// So many more.
    pub more: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    pub name: String,
    pub here: Option<String>,
    pub there: Option<String>,
}

/// How many reasons are named.
const TOLD: usize = 8;

/// Groups of hosts, the largest first; of equals the one whose first host comes first.
pub fn groups(hosts: &BTreeMap<String, Prints>) -> Vec<Group> {
    let common = common(hosts);
    let mut by_print: HashMap<String, Group> = HashMap::new();
    for (host, prints) in hosts {
        let fingerprint = fingerprint(prints, &common);
        let group = by_print.entry(fingerprint.clone()).or_default();
        group.fingerprint = fingerprint;
        group.hosts.push(host.clone());
    }
    let mut all: Vec<Group> = by_print.into_values().collect();
    all.sort_by(|a, b| b.hosts.len().cmp(&a.hosts.len()).then_with(|| a.hosts.cmp(&b.hosts)));
    let Some(main) = all.first().and_then(|group| hosts.get(&group.hosts[0])) else { return all };
    let rarity = rarity(hosts);
    for group in all.iter_mut().skip(1) {
        group.odd = true;
        if let Some(own) = hosts.get(&group.hosts[0]) {
            let mut because = reasons(own, main);
            because.sort_by_cached_key(|b| (weight(&b.name, &rarity, b.here.as_ref()), b.name.clone()));
            group.more = because.len().saturating_sub(TOLD);
            because.truncate(TOLD);
            group.because = because;
        }
    }
    all
}

/// What every host has in the same way needs no digest of its own.
fn common(hosts: &BTreeMap<String, Prints>) -> Prints {
    let mut all = hosts.values();
    let mut common = all.next().cloned().unwrap_or_default();
    for prints in all {
        common.retain(|name, value| prints.get(name) == Some(value));
    }
    common
}

fn fingerprint(prints: &Prints, common: &Prints) -> String {
    let mut hasher = layer::Hasher::new();
    for (name, value) in prints.iter().filter(|(name, _)| !common.contains_key(*name)) {
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(value.as_bytes());
        hasher.update(&[0]);
    }
    layer::Digest::finish(&hasher).to_string()[..16].to_owned()
}

/// How many hosts have a value, by name and value.
fn rarity(hosts: &BTreeMap<String, Prints>) -> HashMap<(&str, &str), usize> {
    let mut all = HashMap::new();
    for (name, value) in hosts.values().flatten() {
        *all.entry((name.as_str(), value.as_str())).or_insert(0) += 1;
    }
    all
}

/// Everything in which one differs from the other.
pub fn reasons(own: &Prints, main: &Prints) -> Vec<Because> {
    let mut all = Vec::new();
    for (name, here) in own {
        let there = main.get(name);
        if there != Some(here) {
            all.push(Because { name: name.clone(), here: Some(here.clone()), there: there.cloned() });
        }
    }
    let gone = main.iter().filter(|(name, _)| !own.contains_key(*name));
    all.extend(gone.map(|(name, there)| Because {
        name: name.clone(),
        here: None,
        there: Some(there.clone()),
    }));
    all
}

/// Smaller is more telling: settings and packages before the files that come with them; rare before common.
fn weight(name: &str, rarity: &HashMap<(&str, &str), usize>, here: Option<&String>) -> (u8, usize) {
    let rank = match name.split_once(':').map(|(kind, _)| kind) {
        Some("sysctl" | "package" | "module" | "mount") => 0,
        Some("service" | "listen" | "user" | "key" | "cron" | "group") => 1,
        _ if name.starts_with("/etc/") => 2,
        _ if name.starts_with("/usr/local/") || name.starts_with("/opt/") || name.starts_with("/srv/") => 3,
        _ => 4,
    };
    (rank, here.and_then(|here| rarity.get(&(name, here.as_str())).copied()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(all: &[(&str, &str)]) -> Prints {
        all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn the_odd_one_is_named_with_its_reason() {
        let mut hosts: BTreeMap<String, Prints> = (1..=19)
            .map(|i| {
                (
                    format!("web{i:02}"),
                    prints(&[("/etc/motd", "aa"), ("sysctl:vm.swappiness", "60"), ("/usr/bin/x", "1")]),
                )
            })
            .collect();
        hosts.insert(
            "web20".to_owned(),
            prints(&[("/etc/motd", "bb"), ("sysctl:vm.swappiness", "10"), ("/usr/bin/x", "1")]),
        );
        let groups = groups(&hosts);
        assert_eq!(groups.len(), 2);
        assert!(!groups[0].odd && groups[1].odd);
        assert_eq!(groups[1].hosts, ["web20"]);
        let names: Vec<_> = groups[1].because.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["sysctl:vm.swappiness", "/etc/motd"]);
        assert_eq!(groups[1].because[0].there.as_deref(), Some("60"));
    }

    /// 500 hosts with 20,000 entries each.
    #[test]
    fn many_hosts_are_compared_in_seconds() {
        let names: Vec<String> = (0..20_000).map(|i| format!("/usr/share/some/where/file-{i:05}")).collect();
        let few = if cfg!(debug_assertions) { 25 } else { 500 };
        let host = |odd: bool| -> Prints {
            names
                .iter()
                .enumerate()
                .map(|(i, n)| (n.clone(), if odd && i == 777 { "odd".into() } else { format!("{i:x}") }))
                .collect()
        };
        let hosts: BTreeMap<String, Prints> = (0..few).map(|i| (format!("h{i:03}"), host(i == 7))).collect();
        let began = std::time::Instant::now();
        let groups = groups(&hosts);
        println!("{few} hosts of 20000 entries compared in {:.2} s", began.elapsed().as_secs_f64());
        assert_eq!(groups[1].hosts, ["h007"]);
        assert_eq!(groups[1].because[0].name, "/usr/share/some/where/file-00777");
        assert!(began.elapsed().as_secs() < 20);
    }
}
