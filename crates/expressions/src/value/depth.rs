//! A bound on how deep values and templates may nest, so that no input overflows the stack.

use std::cell::Cell;

use crate::error::Error;

const LIMIT: u32 = 250;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// One level; left when dropped.
pub(crate) struct Depth(());

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Enters one more level of nesting.
pub(crate) fn deeper() -> Result<Depth, Error> {
    DEPTH.with(|depth| {
        if depth.get() >= LIMIT {
            return Err(Error::new("nested too deeply (or a value contains itself)"));
        }
        depth.set(depth.get() + 1);
        Ok(Depth(()))
    })
}
