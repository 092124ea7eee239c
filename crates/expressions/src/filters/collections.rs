//! Ansible's filters of lists and sets.

use std::collections::HashSet;

use super::{Function, int_or, size_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::{Key, Value, deeper};

/// More results than this are a mistake.
const MOST: usize = 1 << 22;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "union" => |_, value, args| {
            let mut all = value.elements()?;
            let more = other(&args)?;
            check_sets(value, &args, &all, &more)?;
            all.extend(more);
            Ok(Value::list(set_order(distinct(all)?)))
        },
        "intersect" => |_, value, args| sets(value, &args, |here, there| here && there, false),
        "difference" => |_, value, args| sets(value, &args, |here, there| here && !there, false),
        "symmetric_difference" => |_, value, args| sets(value, &args, |here, there| here != there, true),
        "flatten" => flatten,
        "zip" => |_, value, args| zip(value, args, false),
        "zip_longest" => |_, value, args| zip(value, args, true),
        "product" => product,
        "combinations" => |_, value, args| arrange(value, &args, true),
        "permutations" => |_, value, args| arrange(value, &args, false),
        _ => return None,
    })
}

/// What was met already; hashed where that is possible.
#[derive(Default)]
pub(super) struct Seen {
    hashed: HashSet<Key>,
    others: Vec<Value>,
}

impl Seen {
    pub(super) fn has(&self, value: &Value) -> Result<bool, Error> {
        if value.check_hashable().is_ok() {
            return Ok(self.hashed.contains(&Key(value.clone())));
        }
        for other in &self.others {
            if other.python_eq(value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// Adds it; was it new?
    pub(super) fn add(&mut self, value: &Value) -> Result<bool, Error> {
        if value.check_hashable().is_ok() {
            return Ok(self.hashed.insert(Key(value.clone())));
        }
        if self.has(value)? {
            return Ok(false);
        }
        self.others.push(value.clone());
        Ok(true)
    }
}

fn distinct(items: Vec<Value>) -> Result<Vec<Value>, Error> {
    super::sequences::distinct(items, |item| Ok(item.clone()))
}

fn other(args: &Args) -> Result<Vec<Value>, Error> {
    args.first().ok_or_else(|| Error::new("a second list is needed"))?.elements()
}

fn sets(value: &Value, args: &Args, keep: fn(bool, bool) -> bool, both: bool) -> Result<Value, Error> {
    let (here, there) = (value.elements()?, other(args)?);
    check_sets(value, args, &here, &there)?;
    let (mut in_here, mut in_there) = (Seen::default(), Seen::default());
    here.iter().try_for_each(|item| in_here.add(item).map(|_| ()))?;
    there.iter().try_for_each(|item| in_there.add(item).map(|_| ()))?;
    let mut kept = Vec::new();
    for item in here.into_iter().chain(if both { there } else { Vec::new() }) {
        if keep(in_here.has(&item)?, in_there.has(&item)?) {
            kept.push(item);
        }
    }
    Ok(Value::list(set_order(distinct(kept)?)))
}

/// Only lists are taken element by element when something in them cannot be hashed.
fn check_sets(value: &Value, args: &Args, here: &[Value], there: &[Value]) -> Result<(), Error> {
    let lists = matches!(value, Value::List(_)) && matches!(args.first(), Some(Value::List(_)));
    if lists {
        return Ok(());
    }
    here.iter().chain(there).try_for_each(Value::check_hashable)
}

/// Small whole numbers stand in Python's sets in an order that people see and rely upon: by their remainder of
/// the size of the table. Other values keep the order in which they came, since Python's order of text changes
/// with every start.
fn set_order(items: Vec<Value>) -> Vec<Value> {
    let numbers: Option<Vec<usize>> = items
        .iter()
        .map(|item| match item {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        })
        .collect();
    let Some(numbers) = numbers else { return items };
    let mut table = Table { slots: vec![None; 8], used: 0 };
    for (place, number) in numbers.iter().enumerate() {
        table.add(place, &numbers, *number);
    }
    table.slots.iter().flatten().map(|place| items[*place].clone()).collect()
}

/// The hash table of CPython's sets, for numbers that are their own hash.
struct Table {
    slots: Vec<Option<usize>>,
    used: usize,
}

impl Table {
    /// How many neighbours are tried before the search jumps.
    const NEIGHBOURS: usize = 9;

    fn add(&mut self, place: usize, numbers: &[usize], number: usize) {
        self.put(place, number);
        self.used += 1;
        let mask = self.slots.len() - 1;
        if self.used * 5 < mask * 3 {
            return;
        }
        let wanted = if self.used > 50_000 { self.used * 2 } else { self.used * 4 };
        let mut size = 8;
        while size <= wanted {
            size *= 2;
        }
        let old = std::mem::replace(&mut self.slots, vec![None; size]);
        for place in old.into_iter().flatten() {
            self.put(place, numbers[place]);
        }
    }

    fn put(&mut self, place: usize, hash: usize) {
        let mask = self.slots.len() - 1;
        let (mut at, mut perturb) = (hash & mask, hash);
        loop {
            let near = if at + Self::NEIGHBOURS <= mask { Self::NEIGHBOURS } else { 0 };
            if let Some(free) = (at..=at + near).find(|slot| self.slots[*slot].is_none()) {
                self.slots[free] = Some(place);
                return;
            }
            perturb >>= 5;
            at = at.wrapping_mul(5).wrapping_add(1).wrapping_add(perturb) & mask;
        }
    }
}

fn flatten(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [levels, skip] = args.bind("flatten", ["levels", "skip_nulls"])?;
    let levels = levels.filter(|levels| !levels.is_none());
    let levels = if levels.is_some() { int_or(levels, 0)? } else { i64::MAX };
    let mut out = Vec::new();
    flatten_into(&value.elements()?, levels, truth_or(skip, true)?, &mut out)?;
    Ok(Value::list(out))
}

fn flatten_into(items: &[Value], levels: i64, skip: bool, out: &mut Vec<Value>) -> Result<(), Error> {
    deeper()?;
    for item in items {
        match item {
            Value::None if skip => {}
            Value::List(_) | Value::Tuple(_) if levels > 0 => {
                flatten_into(&item.elements()?, levels - 1, skip, out)?
            }
            other => out.push(other.clone()),
        }
    }
    Ok(())
}

fn zip(value: &Value, mut args: Args, longest: bool) -> Result<Value, Error> {
    let fill = args.take("fillvalue").unwrap_or(Value::None);
    let strict = truth_or(args.take("strict"), false)?;
    let columns = std::iter::once(value).chain(&args.positional).map(Value::elements);
    let columns = columns.collect::<Result<Vec<_>, Error>>()?;
    let lengths = || columns.iter().map(Vec::len);
    let (shortest, widest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    if strict && shortest != widest {
        return Err(Error::new("zip() arguments have different lengths"));
    }
    let count = if longest { widest } else { shortest };
    let row = |index: usize| {
        Value::tuple(columns.iter().map(|column| column.get(index).unwrap_or(&fill).clone()).collect())
    };
    Ok(Value::list((0..count).map(row).collect()))
}

fn product(_: &Run<'_>, value: &Value, mut args: Args) -> Result<Value, Error> {
    let repeat = size_or(args.take("repeat"), 1)?;
    let once = std::iter::once(value).chain(&args.positional).map(Value::elements);
    let once = once.collect::<Result<Vec<_>, Error>>()?;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for _ in 0..repeat {
        for column in &once {
            if rows.len().saturating_mul(column.len()) > MOST {
                return Err(Error::new("the product is too large"));
            }
            let longer = |row: &Vec<Value>| {
                let row = row.clone();
                column
                    .iter()
                    .map(move |item| [row.as_slice(), std::slice::from_ref(item)].concat())
                    .collect::<Vec<_>>()
            };
            rows = rows.iter().flat_map(longer).collect();
        }
    }
    Ok(Value::list(rows.into_iter().map(Value::tuple).collect()))
}

/// Combinations (in order) or permutations of some of the elements.
fn arrange(value: &Value, args: &Args, in_order: bool) -> Result<Value, Error> {
    let items = value.elements()?;
    let count = size_or(args.first().cloned(), items.len())?;
    if in_order && args.first().is_none() {
        return Err(Error::new("combinations needs a number"));
    }
    let mut rows = Vec::new();
    if count <= items.len() {
        choose(&items, count, in_order, &mut Vec::new(), &mut rows)?;
    }
    Ok(Value::list(rows))
}

fn choose(
    items: &[Value],
    count: usize,
    in_order: bool,
    chosen: &mut Vec<usize>,
    rows: &mut Vec<Value>,
) -> Result<(), Error> {
    deeper()?;
    if chosen.len() == count {
        if rows.len() >= MOST {
            return Err(Error::new("there are too many arrangements"));
        }
        rows.push(Value::tuple(chosen.iter().map(|index| items[*index].clone()).collect()));
        return Ok(());
    }
    let first = if in_order { chosen.last().map_or(0, |last| last + 1) } else { 0 };
    for index in first..items.len() {
        if in_order || !chosen.contains(&index) {
            chosen.push(index);
            choose(items, count, in_order, chosen, rows)?;
            chosen.pop();
        }
    }
    Ok(())
}
