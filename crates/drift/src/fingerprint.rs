//! Which of many hosts are alike, which is the odd one, and by what one can tell.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

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

/// Groups of hosts, the largest first; of equals the one that is most like all hosts, then the one whose first host comes
/// first. The first one is what the others are compared with.
pub fn groups(mut hosts: BTreeMap<String, Prints>) -> Vec<Group> {
    let own = own_on_each(&hosts);
    if !own.is_empty() {
        hosts.values_mut().for_each(|prints| prints.retain(|name, _| !own.contains(name)));
    }
    let hosts = &hosts;
    let common = common(hosts);
    let mut by_print: HashMap<String, Group> = HashMap::new();
    for (host, prints) in hosts {
        let fingerprint = fingerprint(prints, &common);
        let group = by_print.entry(fingerprint.clone()).or_default();
        group.fingerprint = fingerprint;
        group.hosts.push(host.clone());
    }
    let mut all: Vec<Group> = by_print.into_values().collect();
    let likeness = likeness(hosts, &common);
    let like = |group: &Group| likeness.get(group.hosts[0].as_str()).copied().unwrap_or(0);
    all.sort_by_cached_key(|group| (Reverse((group.hosts.len(), like(group))), group.hosts.clone()));
    let Some(main) = all.first().and_then(|group| hosts.get(&group.hosts[0])) else { return all };
    for group in all.iter_mut().skip(1) {
        group.odd = true;
        if let Some(own) = hosts.get(&group.hosts[0]) {
            group.because = reasons(own, main);
        }
    }
    let rarity = rarity(hosts, &all);
    for group in all.iter_mut().skip(1) {
        group.because.sort_by_cached_key(|b| (weight(&b.name, &rarity, b.here.as_deref()), b.name.clone()));
        group.more = group.because.len().saturating_sub(TOLD);
        group.because.truncate(TOLD);
    }
    all
}

/// Files that are another one on every host are made so: they have its name or its address in them.
fn own_on_each(hosts: &BTreeMap<String, Prints>) -> HashSet<String> {
    let Some(first) = hosts.values().next().filter(|_| hosts.len() >= 3) else { return HashSet::new() };
    let is_own = |name: &String| {
        let values: HashSet<&String> = hosts.values().filter_map(|prints| prints.get(name)).collect();
        values.len() == hosts.len()
    };
    let second = hosts.values().nth(1);
    // Most names end here, without a look at all hosts.
    let differs = |name: &&String| second.is_some_and(|second| second.get(*name) != first.get(*name));
    first
        .keys()
        .filter(|name| name.starts_with('/'))
        .filter(differs)
        .filter(|name| is_own(name))
        .cloned()
        .collect()
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

/// How much a host has in the same way as others, over all names that tell hosts apart: where no two hosts are alike, the
/// odd one is still the one that few others are like.
fn likeness<'a>(hosts: &'a BTreeMap<String, Prints>, common: &Prints) -> HashMap<&'a str, usize> {
    let mut names: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for prints in hosts.values() {
        for (name, value) in prints.iter().filter(|(name, _)| !common.contains_key(*name)) {
            *names.entry(name).or_default().entry(value).or_default() += 1;
        }
    }
    let with = |prints: &Prints, name: &str, values: &HashMap<&str, usize>| match prints.get(name) {
        Some(value) => values[value.as_str()],
        None => hosts.len() - values.values().sum::<usize>(),
    };
    let of = |prints| names.iter().map(|(name, values)| with(prints, name, values)).sum();
    hosts.iter().map(|(host, prints)| (host.as_str(), of(prints))).collect()
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

/// How many hosts have a value, by name and value: of the names that tell hosts apart.
fn rarity(hosts: &BTreeMap<String, Prints>, groups: &[Group]) -> HashMap<(String, String), usize> {
    let names: HashSet<&str> = groups.iter().flat_map(|g| &g.because).map(|b| b.name.as_str()).collect();
    let mut all = HashMap::new();
    for prints in hosts.values() {
        for (name, value) in names.iter().filter_map(|name| Some((*name, prints.get(*name)?))) {
            *all.entry((name.to_owned(), value.clone())).or_insert(0) += 1;
        }
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
fn weight(name: &str, rarity: &HashMap<(String, String), usize>, here: Option<&str>) -> (u8, usize) {
    let rank = match name.split_once(':').map(|(kind, _)| kind) {
        Some("sysctl" | "package" | "module" | "mount") => 0,
        Some("service" | "listen" | "user" | "key" | "cron" | "group") => 1,
        _ if name.starts_with("/etc/") => 2,
        _ if name.starts_with("/usr/local/") || name.starts_with("/opt/") || name.starts_with("/srv/") => 3,
        _ => 4,
    };
    let known = here.and_then(|here| rarity.get(&(name.to_owned(), here.to_owned())));
    (rank, known.copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(all: &[(&str, &str)]) -> Prints {
        all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn where_no_two_are_alike_the_odd_one_is_what_few_are_like() {
        let host = |paths: &[&str], own: &str| -> Prints {
            let shared = paths.iter().map(|path| ((*path).to_owned(), "same".to_owned()));
            shared.chain([("/etc/group".to_owned(), own.to_owned())]).collect()
        };
        let all = ["/etc/ship.conf", "/opt/ship", "user:ship"];
        let hosts: BTreeMap<String, Prints> = [
            ("web1".to_owned(), host(&[], "a")),
            ("web2".to_owned(), host(&all, "b")),
            ("web3".to_owned(), host(&[&all[..], &["/etc/own"]].concat(), "b")),
        ]
        .into();
        let groups = groups(hosts);
        let names: Vec<(&str, usize)> =
            groups.iter().map(|g| (g.hosts[0].as_str(), g.because.len())).collect();
        assert_eq!(names, [("web2", 0), ("web3", 1), ("web1", 4)]);
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
        let groups = groups(hosts);
        assert_eq!(groups.len(), 2);
        assert!(!groups[0].odd && groups[1].odd);
        assert_eq!(groups[1].hosts, ["web20"]);
        let names: Vec<_> = groups[1].because.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["sysctl:vm.swappiness", "/etc/motd"]);
        assert_eq!(groups[1].because[0].there.as_deref(), Some("60"));
    }

    #[test]
    fn what_is_own_on_each_is_expected() {
        let host = |name: &str| prints(&[("/etc/motd", name), ("/usr/bin/x", "1")]);
        let hosts: BTreeMap<String, Prints> =
            ["a", "b", "c"].iter().map(|name| ((*name).to_owned(), host(name))).collect();
        assert_eq!(groups(hosts).len(), 1);
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
        let groups = groups(hosts);
        println!("{few} hosts of 20000 entries compared in {:.2} s", began.elapsed().as_secs_f64());
        assert_eq!(groups[1].hosts, ["h007"]);
        assert_eq!(groups[1].because[0].name, "/usr/share/some/where/file-00777");
        assert!(began.elapsed().as_secs() < 20);
    }
}
