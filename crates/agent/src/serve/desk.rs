//! How a task gets at the record of the run. Tasks that are done at the same time share it: each has it from the first
//! change that it makes itself, and leaves it to the others while a program of its own runs.

use std::cell::OnceCell;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::MutexGuard;

use layer::{Doer, Recorder, Touch};
use witness::Keeper;

use super::record::{Kept, Record};

/// Dereferences to the recorder.
pub struct Desk<'a>(Whose<'a>);

enum Whose<'a> {
    Own(&'a mut Recorder),
    Shared { record: &'a Record, doer: Doer, held: OnceCell<MutexGuard<'a, Option<Kept>>> },
}

/// What holds as long as tasks are done: the record is taken away when the last of them has ended.
const IS_THERE: &str = "the run is not over while a task is done";

impl<'a> From<&'a mut Recorder> for Desk<'a> {
    fn from(recorder: &'a mut Recorder) -> Self {
        Self(Whose::Own(recorder))
    }
}

impl<'a> Desk<'a> {
    pub(super) fn shared(record: &'a Record, doer: Doer) -> Self {
        Self(Whose::Shared { record, doer, held: OnceCell::new() })
    }

    /// Others may have the record until it is needed again.
    pub(crate) fn leave(&mut self) {
        if let Whose::Shared { held, .. } = &mut self.0 {
            drop(held.take());
        }
    }

    /// Do something long for which others need not wait: what it changes is told to the keeper.
    pub(crate) fn leave_while<T>(&mut self, act: impl FnOnce(&mut (dyn Keeper + Send)) -> T) -> T {
        match &mut self.0 {
            Whose::Own(recorder) => act(*recorder),
            Whose::Shared { record, doer, held } => {
                drop(held.take());
                act(&mut Aside { record, doer: *doer })
            }
        }
    }
}

fn take(record: &Record, doer: Doer) -> MutexGuard<'_, Option<Kept>> {
    let mut held = record.lock();
    held.as_mut().expect(IS_THERE).recorder.turn(doer);
    held
}

impl Deref for Desk<'_> {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        match &self.0 {
            Whose::Own(recorder) => recorder,
            Whose::Shared { record, doer, held } => {
                let held = held.get_or_init(|| take(record, *doer));
                &held.as_ref().expect(IS_THERE).recorder
            }
        }
    }
}

impl DerefMut for Desk<'_> {
    fn deref_mut(&mut self) -> &mut Recorder {
        match &mut self.0 {
            Whose::Own(recorder) => recorder,
            Whose::Shared { record, doer, held } => {
                held.get_or_init(|| take(record, *doer));
                let held = held.get_mut().and_then(|held| held.as_mut());
                &mut held.expect(IS_THERE).recorder
            }
        }
    }
}

/// Has the record for a moment each time.
struct Aside<'a> {
    record: &'a Record,
    doer: Doer,
}

impl Aside<'_> {
    fn keep(&self, keep: impl FnOnce(&mut Recorder) -> layer::Result<()>) -> layer::Result<()> {
        self.record.with_as(self.doer, |kept| keep(&mut kept.recorder)).unwrap_or(Ok(()))
    }
}

impl Keeper for Aside<'_> {
    fn foresee(&mut self, path: &Path, touch: Touch) -> layer::Result<()> {
        self.keep(|recorder| recorder.foresee(path, touch))
    }
    fn foresee_moved(&mut self, from: &Path, to: &Path) -> layer::Result<()> {
        self.keep(|recorder| recorder.foresee_moved(from, to))
    }
    fn irreversible(&mut self, what: String) -> layer::Result<()> {
        self.keep(|recorder| recorder.irreversible(what))
    }
    fn unseen(&mut self, what: String) -> layer::Result<()> {
        self.keep(|recorder| recorder.opaque(what))
    }
}
