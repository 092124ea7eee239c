//! What a run keeps of this host: used by the working thread, and by those that hear other users' agents while these
//! have a task.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use catalog::Map;
use layer::{Doer, Recorder};

use super::around::Around;
use super::shared::Shared;

pub(super) struct Record {
    kept: Mutex<Option<Kept>>,
}

pub(super) struct Kept {
    pub(super) recorder: Recorder,
    pub(super) around: Around,
}

impl Record {
    pub(super) fn new(recorder: Recorder, around: Around) -> Self {
        Self { kept: Mutex::new(Some(Kept { recorder, around })) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        // A change that was broken off by a panic is put back by what the journal says of it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: the run is over.
    pub(super) fn with<T>(&self, use_it: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.with_as(0, use_it)
    }

    /// For one of several tasks that are done at the same time.
    pub(super) fn with_as<T>(&self, doer: Doer, use_it: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.lock().as_mut().map(|kept| {
            kept.recorder.turn(doer);
            use_it(kept)
        })
    }

    /// As [`Record::with`], if nobody else has it now.
    pub(super) fn try_with<T>(&self, use_it: impl FnOnce(&mut Kept) -> T) -> Result<Option<T>, Busy> {
        match self.kept.try_lock() {
            Ok(mut kept) => Ok(kept.as_mut().map(use_it)),
            Err(TryLockError::Poisoned(kept)) => Ok(kept.into_inner().as_mut().map(use_it)),
            Err(TryLockError::WouldBlock) => Err(Busy),
        }
    }

    /// The end of the run.
    pub(super) fn take(&self) -> Option<Kept> {
        self.lock().take()
    }
}

pub(super) struct Busy;

impl Kept {
    /// After a call: what came of it is looked at, unless nothing can (`aside`). The paths that it touched.
    pub(super) fn settle(
        &mut self,
        mark: usize,
        result: &mut Map,
        aside: bool,
        shared: &Shared,
    ) -> Vec<String> {
        if !aside {
            self.around.settle(&mut self.recorder, mark, result, shared);
        }
        self.recorder.touched_since(mark).iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }
}
