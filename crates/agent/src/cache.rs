//! What was learned in this run and stays true until a change says otherwise.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::accounts::Accounts;

/// One value of each type: `cache.get(|| Packages::read())?`. Whoever changes the host [`Cache::forget`]s it.
#[derive(Default)]
pub struct Cache {
    values: HashMap<TypeId, Box<dyn Any + Send>>,
    accounts: Accounts,
}

impl Cache {
    pub fn get<T: Any + Send>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let value = self.values.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(make()));
        value.downcast_mut().expect("stored under its own type")
    }

    pub fn try_get<T: Any + Send, E>(&mut self, make: impl FnOnce() -> Result<T, E>) -> Result<&mut T, E> {
        let value = match self.values.entry(TypeId::of::<T>()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(room) => room.insert(Box::new(make()?)),
        };
        Ok(value.downcast_mut().expect("stored under its own type"))
    }

    pub fn forget<T: Any + Send>(&mut self) {
        self.values.remove(&TypeId::of::<T>());
    }

    /// After a process that may have changed anything.
    pub fn forget_all(&mut self) {
        self.values.clear();
    }

    /// Users and groups as they are now (read again when the files changed).
    pub fn accounts(&mut self) -> &mut Accounts {
        self.accounts.refresh();
        &mut self.accounts
    }
}
