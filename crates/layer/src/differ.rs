//! In what two states of a path differ, in words.

use std::fs::File;

use crate::digest::{Digest, Hasher};
use crate::error::{At, Result};
use crate::place::Place;
use crate::state::{self, Ident, Kind, PathState};
use crate::store::Store;

/// Content, type, mode, owner, attributes, link target: what somebody did on purpose. Not times, and not a content
/// that one of both does not know.
pub fn differences(a: Option<&PathState>, b: Option<&PathState>) -> Vec<&'static str> {
    let (a, b) = match (a, b) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec!["removed since"],
        (None, Some(_)) => return vec!["made since"],
        (Some(a), Some(b)) => (a, b),
    };
    if std::mem::discriminant(&a.kind) != std::mem::discriminant(&b.kind) {
        return vec!["type"];
    }
    let mut all = Vec::new();
    match (&a.kind, &b.kind) {
        (Kind::File { digest: Some(x), .. }, Kind::File { digest: Some(y), .. }) if x != y => {
            all.push("content")
        }
        (Kind::Symlink { target: x }, Kind::Symlink { target: y }) if x != y => all.push("link target"),
        (
            Kind::Char { device: x } | Kind::Block { device: x },
            Kind::Char { device: y } | Kind::Block { device: y },
        ) if x != y => {
            all.push("device");
        }
        _ => {}
    }
    let locks = |s: &PathState| s.flags.unwrap_or(0) & state::lock_flags().bits();
    let rest = [
        (a.mode != b.mode && !a.is_symlink(), "mode"),
        (a.uid != b.uid, "owner"),
        (a.gid != b.gid, "group"),
        (a.xattrs != b.xattrs, "extended attributes"),
        (locks(a) != locks(b), "flags"),
    ];
    all.extend(rest.into_iter().filter(|(differs, _)| *differs).map(|(_, word)| word));
    all
}

/// What is at a path now, to be compared with that state: its content is read only if the other one's is known.
pub(crate) fn look_beside(
    place: &Place,
    other: Option<&PathState>,
    store: &Store,
) -> Result<Option<(PathState, Ident)>> {
    let Some((mut now, ident)) = state::look_closely(place)? else { return Ok(None) };
    if let Some(other) = other.filter(|o| o.is_file() && now.is_file()) {
        now.secret = other.secret;
        now.set_digest(match other.digest() {
            None => None,
            // Another length: another content. No digest is needed to see that.
            Some(_) if other.size() != now.size() => Some(Digest([0; 32])),
            Some(_) => Some(digest_of(place, other.secret, store)?),
        });
    }
    Ok(Some((now, ident)))
}

pub(crate) fn digest_of(place: &Place, secret: bool, store: &Store) -> Result<Digest> {
    let mut hasher = if secret { store.key()?.hasher() } else { Hasher::new() };
    let mut file: File = state::open_file(place)?;
    let read = crate::content::each_block(&mut file, |block| {
        hasher.update(block);
        Ok(())
    });
    read.at("read", place.path())?;
    Ok(Digest::finish(&hasher))
}
