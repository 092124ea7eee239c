//! The journal of the simulation: as strict as the real one. Only the holder of the newest epoch may append, and only
//! if it has read everything.

use crate::engine::{Act, Millis, Record};

#[derive(Clone, Debug, Default)]
pub struct Journal {
    pub entries: Vec<(Millis, Record)>,
    pub epoch: u64,
}

impl Journal {
    /// A new controller: from now on the old one's writes are refused.
    pub fn take(&mut self, at: Millis, who: &str) -> u64 {
        self.epoch += 1;
        self.entries.push((at, Record::Took { epoch: self.epoch, who: who.to_owned() }));
        self.epoch
    }

    /// Appends if nobody else has written since, and the epoch is the newest one.
    pub fn append(&mut self, epoch: u64, read: usize, at: Millis, records: &[Record]) -> bool {
        if epoch != self.epoch || read != self.entries.len() {
            return false;
        }
        self.entries.extend(records.iter().map(|record| (at, record.clone())));
        true
    }

    /// People need no lease.
    pub fn ask(&mut self, at: Millis, record: Record) {
        self.entries.push((at, record));
    }

    /// Whether this very act was written down before.
    #[must_use]
    pub fn intended(&self, number: u64, act: &Act) -> bool {
        self.entries.iter().rev().any(|(_, record)| {
            matches!(record, Record::Intent { number: written, act: of } if *written == number && of == act)
        })
    }
}
