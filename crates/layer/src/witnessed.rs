//! A recorder of a process that is itself watched: who watches it records what it changes, so that a run is one layer
//! whichever users its tasks are done as. What is left to do here is to look before and after, and to tell what a
//! watcher cannot see.

use crate::error::Result;
use crate::place::Place;
use crate::recorder::Recorder;
use crate::state::{self, Ident, PathState};

impl Recorder {
    /// Another recorder hears of everything that this process and its children do to files. Nothing is kept here.
    pub fn witnessed(mut self, witnessed: bool) -> Self {
        self.witnessed = witnessed;
        self
    }

    pub fn is_witnessed(&self) -> bool {
        self.witnessed
    }

    /// What the other one has to be told: [`Recorder::opaque`] and, with `true`, [`Recorder::irreversible`].
    pub fn take_told(&mut self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.told).into_iter().map(|told| (told.what, told.irreversible)).collect()
    }

    pub(crate) fn only_look(&self, place: &Place) -> Result<(Option<PathState>, Option<Ident>)> {
        Ok(match state::look_closely(place)? {
            Some((state, ident)) => (Some(state), Some(ident)),
            None => (None, None),
        })
    }
}
