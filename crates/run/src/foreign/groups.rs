//! Groups of modules (`module_defaults: {group/community.docker.docker: …}`): those that Theseus has itself, and those that
//! the `meta/runtime.yml` of an installed collection names.

use std::collections::HashSet;

use super::Foreign;
use super::find::{runtime, split};

/// Groups whose members are all modules of a collection that Theseus has.
const OWN: &[(&str, &str)] = &[
    ("community.docker.docker", "community.docker"),
    ("community.mysql.all", "community.mysql"),
    ("community.postgresql.all", "community.postgresql"),
];

/// A group may take in others; not for ever.
const DEEP: usize = 8;

/// The full name of a group: `docker` and its like are older than collections.
pub(super) fn full_name(group: &str) -> String {
    match group {
        "docker" => "community.docker.docker".to_owned(),
        _ if group.contains('.') => group.to_owned(),
        _ => format!("ansible.builtin.{group}"),
    }
}

/// Full names of all modules of a group.
pub(super) fn members(all: &Foreign, group: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut ahead = vec![(full_name(group), 0)];
    while let Some((group, depth)) = ahead.pop() {
        if let Some((_, collection)) = OWN.iter().find(|(own, _)| *own == group) {
            let own = agent::modules::all().filter(|module| module.spec.collection == *collection);
            found.extend(own.map(|module| format!("{collection}.{}", module.spec.name)));
        }
        let Some((collection, short)) = split(&group) else { continue };
        let Some(text) = runtime(all, &collection) else { continue };
        let (modules, groups) = listed(&text, &short);
        let full = |name: String| if name.contains('.') { name } else { format!("{collection}.{name}") };
        found.extend(modules.into_iter().map(full));
        if depth < DEEP {
            ahead.extend(groups.into_iter().map(|group| (full(group), depth + 1)));
        }
    }
    found
}

/// What `action_groups: GROUP:` lists: modules, and groups that it takes in. Read by its indentation, because some of these
/// files are long.
fn listed(text: &str, group: &str) -> (Vec<String>, Vec<String>) {
    let (mut modules, mut groups) = (Vec::new(), Vec::new());
    let (mut section, mut inside) = (false, false);
    let (mut depth_of_groups, mut depth_of_items) = (None, None);
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let (depth, words) = (line.len() - line.trim_start().len(), line.trim());
        let word = |text: &str| text.trim().trim_matches(|c| c == '"' || c == '\'').to_owned();
        match (words.strip_prefix("- "), words.strip_suffix(':')) {
            (None, _) if depth == 0 => (section, inside) = (words == "action_groups:", false),
            _ if !section => {}
            (None, Some(key)) if *depth_of_groups.get_or_insert(depth) == depth => {
                inside = word(key) == group
            }
            (Some(item), None) if inside => {
                let own = *depth_of_items.get_or_insert(depth) == depth;
                if own { modules.push(word(item)) } else { groups.push(word(item)) }
            }
            // What is said of the group stands on the same depth as its members.
            (Some(_), Some(_)) if inside => _ = depth_of_items.get_or_insert(depth),
            _ => {}
        }
    }
    (modules, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_by_their_indentation() {
        let text = "---\nrequires_ansible: '>=2.15'\naction_groups:\n  # words\n  one:\n    - metadata:\n        extend_group:\n          \
                    - a.b.other\n    - thing\n    - 'c.d.e'\n  two:\n  - more\nplugin_routing:\n  modules:\n    one:\n      - no\n";
        let texts = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(listed(text, "one"), (texts(&["thing", "c.d.e"]), texts(&["a.b.other"])));
        assert_eq!(listed(text, "two"), (texts(&["more"]), Vec::new()));
        assert_eq!(listed(text, "none"), (Vec::new(), Vec::new()));
    }
}
