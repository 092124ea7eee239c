//! A disk may have another device number after the machine was started anew: records are read with the number that it
//! has now.

use std::collections::HashMap;

use crate::error::Result;
use crate::place::Place;
use crate::restore::Target;
use crate::state;
use crate::store::Store;

/// What is there under the same path, with the same inode number and made at the same moment, is the same file: so
/// the recorded device is that one.
pub(crate) fn renumber(targets: &mut [Target], store: &Store) -> Result<()> {
    let mut now: HashMap<u64, u64> = HashMap::new();
    for target in targets.iter() {
        let Some(then) = target.inode.filter(|inode| (inode.2, inode.3) != (0, 0)) else { continue };
        let Some((device, number)) = state::inode(&target.path) else { continue };
        if number != then.1 || device == then.0 || now.contains_key(&then.0) {
            continue;
        }
        let Some(place) = Place::recorded(&target.path)? else { continue };
        if state::look_closely(&place)?
            .is_some_and(|(_, ident)| (ident.id().2, ident.id().3) == (then.2, then.3))
        {
            now.insert(then.0, device);
        }
    }
    if now.is_empty() {
        return Ok(());
    }
    for target in targets {
        let group = target.want.as_mut().and_then(|want| want.group.as_mut()).map(|group| &mut group.0);
        let inode = target.inode.as_mut().map(|inode| &mut inode.0);
        for device in group.into_iter().chain(inode) {
            *device = now.get(device).copied().unwrap_or(*device);
        }
    }
    store.renumber_holds(&now)
}
