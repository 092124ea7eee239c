//! The commonly used filters of the collections `community.general` and `ansible.utils`.

mod csv;
mod keys;
mod lists;
mod paths;
mod times;
mod various;

use super::Function;

/// Filters of `community.general`.
pub(super) fn general(name: &str) -> Option<Function> {
    various::find(name)
        .or_else(|| lists::find(name))
        .or_else(|| keys::flat(name))
        .or_else(|| times::find(name))
}

/// Filters of `ansible.utils`, without those of addresses.
pub(super) fn utils(name: &str) -> Option<Function> {
    paths::find(name).or_else(|| keys::deep(name))
}
