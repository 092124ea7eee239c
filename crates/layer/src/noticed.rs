//! What others did on our behalf: daemons that wrote a file when they were asked to, services that were started
//! and stopped.

use std::path::Path;

use crate::differ;
use crate::error::Result;
use crate::place::Place;
use crate::record::ServiceChange;
use crate::recorder::Recorder;
use crate::state::{self, PathState};
use crate::store::Store;

impl Recorder {
    /// This path was already changed by somebody we asked. `before`: what was there, with its content if it was a file.
    pub fn noticed(&mut self, path: &Path, before: Option<(PathState, Option<&[u8]>)>) -> Result<()> {
        let place = Place::find(path)?;
        let path = place.as_ref().map_or(path, Place::path);
        let before = match before {
            Some((mut state, content)) => {
                if let Some(content) = content {
                    let digest = self.keep_bytes(content)?;
                    state.set_digest(Some(digest));
                }
                Some(state)
            }
            None => None,
        };
        let after = if place.is_some() { state::observe(path)? } else { None };
        if before.is_none() && after.is_none() {
            return Ok(());
        }
        self.note_change(path, before.clone())?;
        self.step(path.to_owned(), before, after);
        Ok(())
    }

    /// Who does this.
    pub fn run(&self) -> &crate::record::Run {
        &self.run
    }

    /// Services are about to be started or stopped on purpose: what comes of it is in [`Recorder::services`].
    pub fn acts_on_services(&mut self) -> Result<()> {
        if self.witnessed {
            return Ok(());
        }
        self.open()?;
        self.services_count = true;
        Ok(())
    }

    /// Services that run otherwise than before this run: an undo puts that back. They alone make a layer only if it was
    /// on purpose.
    pub fn services(&mut self, changes: Vec<ServiceChange>) {
        self.services = changes;
    }
}

/// As [`state::observe`], with the content's digest keyed as those of secret contents are.
pub fn observe_secret(state_dir: &Path, path: &Path) -> Result<Option<PathState>> {
    let Some(mut state) = state::observe(path)? else { return Ok(None) };
    if state.is_file() {
        let digest = differ::digest_of(&Place::open(path)?, true, &Store::new(state_dir))?;
        state.set_digest(Some(digest));
        state.secret = true;
    }
    Ok(Some(state))
}
