//! A bound on how deep values and templates may nest, so that no input overflows the stack.

use std::cell::Cell;

use crate::error::Error;

/// How much stack one thread may use below the place where it first entered this room. Threads have 2 MiB or more.
const LIMIT: usize = 1 << 20;

thread_local! {
    static HIGHEST: Cell<usize> = const { Cell::new(0) };
}

/// One level of nesting more; an error when the stack is nearly used up.
#[inline(never)]
pub(crate) fn deeper() -> Result<(), Error> {
    let marker = 0_u8;
    let here = std::ptr::addr_of!(marker).addr();
    let used = HIGHEST.with(|highest| {
        if here > highest.get() {
            highest.set(here);
        }
        highest.get() - here
    });
    if used > LIMIT {
        return Err(Error::new("nested too deeply (or something contains itself)"));
    }
    Ok(())
}
