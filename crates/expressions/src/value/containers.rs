//! Lists, dicts and tuples: shared, mutable where Python's are, and possibly lazy.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use parking_lot::RwLock;

use super::Value;
use crate::error::Error;

/// Resolves a trusted template found inside a lazy container.
pub trait Resolve: Send + Sync {
    fn resolve(&self, raw: &Value) -> Result<Value, Error>;
}

/// A list. `resolver`: its elements are resolved when they are used (and then kept).
pub struct List {
    pub items: RwLock<Vec<Value>>,
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// What a dict holds, in insertion order.
pub(crate) type Entries = IndexMap<Key, Value, RandomState>;

/// A dict. `resolver` as in [`List`].
pub struct Dict {
    pub entries: RwLock<Entries>,
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// An unchangeable sequence.
pub struct Tuple(Vec<Value>);

/// A hashable value with Python's equality (`1 == True == 1.0`).
#[derive(Clone)]
pub struct Key(pub Value);

/// Does a lazy container have to ask its resolver about this element?
fn is_raw(value: &Value) -> bool {
    match value {
        Value::Str(s) => s.is_template(),
        Value::List(l) => l.resolver.is_none(),
        Value::Dict(d) => d.resolver.is_none(),
        _ => false,
    }
}

impl List {
    pub fn new(items: Vec<Value>) -> Self {
        Self { items: RwLock::new(items), resolver: None }
    }
    pub fn lazy(items: Vec<Value>, resolver: Arc<dyn Resolve>) -> Self {
        Self { items: RwLock::new(items), resolver: Some(resolver) }
    }
    pub fn len(&self) -> usize {
        self.items.read().len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn push(&self, value: Value) {
        self.items.write().push(value);
    }
    /// The element at this place; negative places count from the end.
    pub fn get(&self, index: i64) -> Result<Option<Value>, Error> {
        let (place, raw) = {
            let items = self.items.read();
            let Some(place) = position(index, items.len()) else { return Ok(None) };
            (place, items[place].clone())
        };
        let Some(resolver) = self.resolver.as_ref().filter(|_| is_raw(&raw)) else { return Ok(Some(raw)) };
        let resolved = resolver.resolve(&raw)?;
        if let Some(slot) = self.items.write().get_mut(place) {
            *slot = resolved.clone();
        }
        Ok(Some(resolved))
    }
    /// All elements, resolved.
    pub fn items(&self) -> Result<Vec<Value>, Error> {
        if self.resolver.is_none() {
            return Ok(self.raw_items());
        }
        let mut all = Vec::with_capacity(self.len());
        for index in 0.. {
            let Some(item) = self.get(index)? else { break };
            all.push(item);
        }
        Ok(all)
    }
    /// All elements as they are written.
    pub fn raw_items(&self) -> Vec<Value> {
        self.items.read().clone()
    }
}

/// The place that a Python index means in a sequence of this length.
pub(crate) fn position(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let place = if index < 0 { index.checked_add(len)? } else { index };
    usize::try_from(place).ok().filter(|_| place < len)
}

impl Dict {
    pub fn new() -> Self {
        Self { entries: RwLock::default(), resolver: None }
    }
    pub fn lazy(entries: impl IntoIterator<Item = (Value, Value)>, resolver: Arc<dyn Resolve>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (Key(k), v)).collect();
        Self { entries: RwLock::new(entries), resolver: Some(resolver) }
    }
    pub fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        self.find(&Text(key))
    }
    pub fn get_value(&self, key: &Value) -> Result<Option<Value>, Error> {
        match key {
            Value::Str(s) => self.find(&Text(s.as_str())),
            _ => self.find(&Key(key.clone())),
        }
    }
    fn find<Q: Hash + Equivalent<Key>>(&self, key: &Q) -> Result<Option<Value>, Error> {
        let Some(raw) = self.entries.read().get(key).cloned() else { return Ok(None) };
        let Some(resolver) = self.resolver.as_ref().filter(|_| is_raw(&raw)) else { return Ok(Some(raw)) };
        let resolved = resolver.resolve(&raw)?;
        if let Some(slot) = self.entries.write().get_mut(key) {
            *slot = resolved.clone();
        }
        Ok(Some(resolved))
    }
    pub fn insert(&self, key: impl Into<Value>, value: Value) -> Option<Value> {
        self.entries.write().insert(Key(key.into()), value)
    }
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.entries.write().shift_remove(&Text(key))
    }
    pub fn remove_value(&self, key: &Value) -> Option<Value> {
        self.entries.write().shift_remove(&Key(key.clone()))
    }
    pub fn len(&self) -> usize {
        self.entries.read().len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn keys(&self) -> Vec<Value> {
        self.entries.read().keys().map(|k| k.0.clone()).collect()
    }
    /// All entries, values resolved.
    pub fn items(&self) -> Result<Vec<(Value, Value)>, Error> {
        if self.resolver.is_none() {
            return Ok(self.raw_items());
        }
        let mut all = Vec::with_capacity(self.len());
        for key in self.keys() {
            if let Some(value) = self.get_value(&key)? {
                all.push((key, value));
            }
        }
        Ok(all)
    }
    /// All entries as they are written.
    pub fn raw_items(&self) -> Vec<(Value, Value)> {
        self.entries.read().iter().map(|(k, v)| (k.0.clone(), v.clone())).collect()
    }
    pub fn contains(&self, key: &str) -> bool {
        self.entries.read().contains_key(&Text(key))
    }
    pub fn contains_value(&self, key: &Value) -> bool {
        self.entries.read().contains_key(&Key(key.clone()))
    }
}

impl Default for Dict {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<(Value, Value)> for Dict {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (Key(k), v)).collect();
        Self { entries: RwLock::new(entries), resolver: None }
    }
}

impl Tuple {
    pub fn new(items: Vec<Value>) -> Self {
        Self(items)
    }
}

impl Deref for Tuple {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.0
    }
}

/// Text as a key, without making a [`Value`] of it.
struct Text<'a>(&'a str);

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Key> for Text<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.as_str() == Some(self.0)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Value::Str(a), Value::Str(b)) => a.as_str() == b.as_str(),
            (a, b) => a == b,
        }
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.python_hash(state);
    }
}

// Very deep values must not be dropped by recursion: the stack would overflow.

fn has_children(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Dict(_) | Value::Tuple(_))
}

fn drop_flat(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(list) => {
                if let Some(mut list) = Arc::into_inner(list) {
                    pending.extend(std::mem::take(list.items.get_mut()).into_iter().filter(has_children));
                }
            }
            Value::Dict(dict) => {
                if let Some(mut dict) = Arc::into_inner(dict) {
                    let entries = std::mem::take(dict.entries.get_mut());
                    pending.extend(entries.into_iter().flat_map(|(k, v)| [k.0, v]).filter(has_children));
                }
            }
            Value::Tuple(tuple) => {
                if let Some(mut tuple) = Arc::into_inner(tuple) {
                    pending.extend(std::mem::take(&mut tuple.0).into_iter().filter(has_children));
                }
            }
            _ => {}
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let items = self.items.get_mut();
        if items.iter().any(has_children) {
            drop_flat(std::mem::take(items));
        }
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        let entries = self.entries.get_mut();
        if entries.iter().any(|(k, v)| has_children(v) || has_children(&k.0)) {
            drop_flat(std::mem::take(entries).into_iter().flat_map(|(k, v)| [k.0, v]).collect());
        }
    }
}

impl Drop for Tuple {
    fn drop(&mut self) {
        if self.0.iter().any(has_children) {
            drop_flat(std::mem::take(&mut self.0));
        }
    }
}
