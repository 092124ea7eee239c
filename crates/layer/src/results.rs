//! What a run leaves behind is kept as well, where it is small and no package could give it back: a change that
//! somebody makes by hand later can be taken back then.

use std::path::Path;

use crate::error::Result;
use crate::place::Place;
use crate::recorder::Recorder;
use crate::state::{self, PathState};
use crate::store::Store;

/// Larger contents are not kept.
const SMALL: u64 = 256 << 10;
/// All contents of one run together.
const ALL: u64 = 32 << 20;
/// What packages and package managers write can be had again, or is nobody's to put back.
const GIVEN_BACK: &[&str] =
    &["/usr", "/lib", "/bin", "/sbin", "/boot", "/var/lib", "/var/cache", "/var/log", "/tmp", "/var/tmp"];

impl Recorder {
    /// A content that cannot be kept is no reason to fail: drift then says that it cannot be put back.
    pub(crate) fn keep_results(&mut self) {
        let Some(store) = self.open.as_ref().map(|open| open.store.clone()) else { return };
        let mut total = 0;
        for path in self.latest.keys() {
            let step = &self.steps[self.latest[path]];
            let Some(after) = step.after.as_ref().filter(|after| after.is_file()) else { continue };
            let ours = !GIVEN_BACK.iter().any(|top| path.starts_with(top)) || path.starts_with("/usr/local");
            let Some(digest) = after.digest().filter(|_| ours && after.size() <= SMALL) else { continue };
            if total + after.size() > ALL || store.has(digest) {
                continue;
            }
            total += after.size();
            if keep_content(&store, path, after.secret).is_ok_and(|kept| kept == Some(digest))
                && !after.secret
            {
                let object = store.path(digest);
                self.dirty.file(&object);
                self.dirty.object(&object);
            }
        }
    }
}

fn keep_content(store: &Store, path: &Path, secret: bool) -> Result<Option<crate::Digest>> {
    let Some(place) = Place::find(path)? else { return Ok(None) };
    if !state::look(&place)?.is_some_and(|state| state.is_file()) {
        return Ok(None);
    }
    let mut file = state::open_file(&place)?;
    if secret { store.keep_secret(&mut file).map(Some) } else { store.put(&mut file).map(Some) }
}

/// Keep what is at a path, without changing anything: its state, with the digest by which the store knows its content.
/// `secret`: so that nobody can read it there.
pub fn keep(state_dir: &Path, path: &Path, secret: bool) -> Result<Option<PathState>> {
    crate::store::make_private_dir(&state_dir.join("objects"))?;
    let Some(place) = Place::find(path)? else { return Ok(None) };
    let Some(mut now) = state::look(&place)? else { return Ok(None) };
    if !now.is_file() {
        return Ok(Some(now));
    }
    let store = Store::new(state_dir);
    crate::space::need(state_dir, now.size())?;
    let digest = keep_content(&store, path, secret)?;
    now.secret = secret;
    now.set_digest(digest);
    Ok(Some(now))
}
