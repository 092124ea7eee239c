//! Hard-link groups: which names are one inode, and by which of them it is found again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Act, Step, Target};
use crate::differ::{differences, look_beside};
use crate::error::Result;
use crate::exact;
use crate::place::Place;
use crate::record::Inode;
use crate::state::{self, PathState, inode};
use crate::store::Store;

/// Hard-link groups stay groups, and what was none gets inodes of its own.
pub(super) fn lead(steps: &mut [Step<'_>], store: &Store) -> Result<HashMap<(u64, u64), PathBuf>> {
    let leaders = leaders(steps, store)?;
    let taken: HashSet<(u64, u64)> = leaders.values().filter_map(|leader| inode(leader)).collect();
    let targets: HashSet<&Path> = steps.iter().map(|s| s.target.path.as_path()).collect();
    let mut owned: HashSet<(u64, u64)> = HashSet::new();
    let claimed = claimed(steps);
    let mut fill = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let (Some(want), Some(ident)) = (&step.target.want, step.stays()) else { continue };
        let good = match want.group {
            Some(group) => leaders.get(&group).and_then(|leader| inode(leader)) == Some(ident.inode()),
            None => {
                let others = step.target.peers.iter().filter(|p| !targets.contains(p.as_path()));
                let stranger = ident.links > 1 && others.filter_map(|p| inode(p)).any(|i| i == ident.inode());
                // It had an inode of its own; where its content is known, it gets one again.
                let shared = ident.links > 1 && want.digest().is_some();
                !shared
                    && !stranger
                    && !step.has_inode_of_another(&claimed)
                    && !taken.contains(&ident.inode())
                    && owned.insert(ident.inode())
            }
        };
        if !good {
            fill.push(i);
        }
    }
    for i in fill {
        // Only a file has a content to be filled with.
        let file = steps[i].target.want.as_ref().is_some_and(PathState::is_file);
        steps[i].act = if file { Act::Fill } else { Act::Exchange };
    }
    Ok(leaders)
}

/// The inodes that the targets had.
fn claimed(steps: &[Step<'_>]) -> HashSet<Inode> {
    let known = steps.iter().filter_map(|step| step.target.inode);
    known.filter(|inode| (inode.2, inode.3) != (0, 0)).collect()
}

/// A name of each group that is on its inode, or can be taken for it.
fn leaders(steps: &[Step<'_>], store: &Store) -> Result<HashMap<(u64, u64), PathBuf>> {
    let targets: HashSet<&Path> = steps.iter().map(|s| s.target.path.as_path()).collect();
    let mut groups: BTreeMap<(u64, u64), Vec<&Step<'_>>> = BTreeMap::new();
    for step in steps {
        if let Some(group) = step.target.want.as_ref().and_then(|want| want.group) {
            groups.entry(group).or_default().push(step);
        }
    }
    let claimed = claimed(steps);
    let mut leaders = HashMap::new();
    let mut here: HashMap<(u64, u64), u32> = HashMap::new();
    for (_, ident) in steps.iter().filter_map(|step| step.now.as_ref()) {
        *here.entry(ident.inode()).or_default() += 1;
    }
    let mut taken: HashSet<(u64, u64)> = groups.keys().copied().collect();
    for (group, names) in groups {
        let still = names.iter().find(|step| step.stays().is_some_and(|ident| ident.inode() == group));
        let leader = match still {
            Some(step) => Some(step.target.path.clone()),
            None => peer_of(&names, &targets, store, group)?,
        };
        let leader = match leader {
            None => hold_what_goes(&names, steps, store, group)?,
            known => known,
        };
        let leader = match leader {
            None if names.iter().any(|step| !matches!(step.act, Act::Nothing | Act::Dress)) => {
                elsewhere(&names, &targets, store)?
            }
            known => known,
        };
        // None is on it any more: one that shares its inode with nobody else will do.
        let leader = leader.or_else(|| {
            let own = names.iter().filter(|step| !step.has_inode_of_another(&claimed));
            let mut stay = own.filter_map(|step| Some((step, step.stays()?)));
            let (step, _) = stay.find(|(_, ident)| {
                here.get(&ident.inode()).is_some_and(|names| *names >= ident.links)
                    && taken.insert(ident.inode())
            })?;
            Some(step.target.path.clone())
        });
        leaders.extend(leader.map(|leader| (group, leader)));
    }
    Ok(leaders)
}

/// It is still there, but under a name that goes: we hold it until it has its own name again.
fn hold_what_goes(
    names: &[&Step<'_>],
    steps: &[Step<'_>],
    store: &Store,
    group: (u64, u64),
) -> Result<Option<PathBuf>> {
    let Some(target) =
        names.iter().map(|step| step.target).find(|t| t.inode.is_some_and(|i| i.number() == group))
    else {
        return Ok(None);
    };
    let is_it = |step: &&Step<'_>| {
        step.stays().is_none() && step.now.as_ref().is_some_and(|(_, ident)| Some(ident.id()) == target.inode)
    };
    let Some(step) = steps.iter().find(is_it) else { return Ok(None) };
    let Some(place) = Place::recorded(&step.target.path)? else { return Ok(None) };
    let there = look_beside(&place, target.want.as_ref(), store)?;
    if !differences(there.as_ref().map(|(there, _)| there), target.want.as_ref()).is_empty() {
        return Ok(None);
    }
    store.hold(&place, group)?;
    let held = store.held(group);
    Ok((inode(&held) == Some(group)).then_some(held))
}

/// A name that nobody knew, and that could not be held either: looked for on its file system, from near to far.
fn elsewhere(names: &[&Step<'_>], targets: &HashSet<&Path>, store: &Store) -> Result<Option<PathBuf>> {
    let Some(target) = names.iter().map(|step| step.target).find(|target| target.inode.is_some()) else {
        return Ok(None);
    };
    let Some(inode) = target.inode.filter(|inode| (inode.2, inode.3) != (0, 0)) else { return Ok(None) };
    // An immutable file gets no link from us.
    if store.can_hold(inode.0) && target.want.as_ref().is_none_or(|want| !exact::is_locked(want)) {
        return Ok(None);
    }
    let mut done: Option<&Path> = None;
    for dir in target.path.ancestors().skip(1) {
        match crate::state::inode(dir) {
            None => continue,
            Some((device, _)) if device != inode.0 => break,
            Some(_) => {}
        }
        for path in crate::tree::names_of(dir, inode.number(), done) {
            let same = match Place::find(&path)? {
                Some(place) => state::look_closely(&place)?.is_some_and(|(_, ident)| ident.id() == inode),
                None => false,
            };
            if same && !targets.contains(path.as_path()) {
                return Ok(Some(path));
            }
        }
        done = Some(dir);
    }
    Ok(None)
}

/// A name that is no target, but was of the group, and is as it was.
fn peer_of(
    names: &[&Step<'_>],
    targets: &HashSet<&Path>,
    store: &Store,
    group: (u64, u64),
) -> Result<Option<PathBuf>> {
    let held = store.held(group);
    let Some(want) = names.iter().find_map(|step| step.target.want.as_ref()) else { return Ok(None) };
    let peers = names.iter().flat_map(|step| &step.target.peers).map(PathBuf::as_path);
    let mut others: Vec<&Path> =
        peers.chain([held.as_path()]).filter(|peer| !targets.contains(peer)).collect();
    others.sort_by_key(|peer| inode(peer) != Some(group));
    for peer in others {
        let Some(place) = Place::find(peer)? else { continue };
        let there = look_beside(&place, Some(want), store)?;
        if there.is_some_and(|(there, _)| differences(Some(&there), Some(want)).is_empty()) {
            return Ok(Some(peer.to_owned()));
        }
    }
    Ok(None)
}

/// The names of one inode had one state: the one that was seen first, before a change through another name.
pub(crate) fn agree(targets: &mut [Target]) {
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_unstable_by_key(|i| targets[*i].order);
    join_by_peers(targets, &order);
    join_by_inode(targets, &order);
    let mut groups: HashMap<(u64, u64), PathState> = HashMap::new();
    let mut contents: HashMap<(u64, u64), (usize, PathState)> = HashMap::new();
    for target in order.iter().map(|i| &targets[*i]) {
        let Some((group, want)) = target.want.as_ref().and_then(|want| Some((want.group?, want))) else {
            continue;
        };
        groups.entry(group).or_insert_with(|| want.clone());
        if let Some(kept) = target.kept
            && contents.get(&group).is_none_or(|(first, _)| kept < *first)
        {
            contents.insert(group, (kept, want.clone()));
        }
    }
    for (group, first) in &mut groups {
        // Whoever changes a content keeps it before: the one that was kept first is the one that was there.
        if let Some((_, kept)) = contents.get(group).filter(|(_, kept)| kept.size() == first.size()) {
            first.set_digest(kept.digest());
            first.secret = kept.secret;
        }
    }
    for want in targets.iter_mut().filter_map(|t| t.want.as_mut()) {
        if let Some(first) = want.group.and_then(|group| groups.get(&group)) {
            want.clone_from(first);
        }
    }
}

/// A path has one inode until it is changed first. So those that had the same one then, had it in the beginning.
fn join_by_inode(targets: &mut [Target], order: &[usize]) {
    let mut names: HashMap<Inode, Vec<usize>> = HashMap::new();
    for i in order {
        let target = &targets[*i];
        if let Some(inode) = target.inode.filter(|_| target.want.as_ref().is_some_and(|want| !want.is_dir()))
        {
            names.entry(inode).or_default().push(*i);
        }
    }
    for (inode, mut names) in names {
        // One that had no other name when it was changed first: whoever has its inode later has got it since.
        let shared = |i: &usize| targets[*i].want.as_ref().is_some_and(|want| want.group.is_some());
        let alone = names.iter().take_while(|i| !shared(i)).count();
        names.drain(..alone.min(names.len().saturating_sub(1)));
        let group = names.iter().find_map(|i| targets[*i].want.as_ref()?.group);
        if names.len() > 1 || group.is_some() {
            for i in names {
                if let Some(want) = targets[i].want.as_mut() {
                    want.group = Some(group.unwrap_or(inode.number()));
                }
            }
        }
    }
}

/// A name that was changed later was of the group as well, whatever inode a recovery gave it meanwhile.
fn join_by_peers(targets: &mut [Target], order: &[usize]) {
    let places: HashMap<PathBuf, usize> =
        targets.iter().enumerate().map(|(i, target)| (target.path.clone(), i)).collect();
    // The peers of one that had no other name then are of a later time, even if it turns out to belong to a group.
    let own: Vec<bool> =
        targets.iter().map(|t| t.want.as_ref().is_some_and(|want| want.group.is_some())).collect();
    for i in order.iter().filter(|i| own[**i]) {
        let Some(group) = targets[*i].want.as_ref().and_then(|want| want.group) else { continue };
        let first = targets[*i].order;
        for peer in targets[*i].peers.clone() {
            let Some(other) = places.get(&peer).map(|other| &mut targets[*other]) else { continue };
            let later = other.order > first;
            let want = other.want.as_mut().filter(|want| later && !want.is_dir());
            if let Some(want) = want {
                want.group = Some(group);
            }
        }
    }
}
