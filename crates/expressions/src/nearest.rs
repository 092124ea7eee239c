//! Which filter or test a misspelt name was meant to be.

use crate::engine::Engine;

/// Filters and tests that people use most, to suggest the one that was meant.
const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "b64decode",
    "b64encode",
    "basename",
    "bool",
    "capitalize",
    "combine",
    "default",
    "dict2items",
    "difference",
    "dirname",
    "expanduser",
    "extract",
    "fileglob",
    "first",
    "flatten",
    "float",
    "format",
    "from_json",
    "from_yaml",
    "groupby",
    "hash",
    "indent",
    "int",
    "intersect",
    "items",
    "items2dict",
    "join",
    "json_query",
    "last",
    "length",
    "list",
    "lower",
    "mandatory",
    "map",
    "max",
    "min",
    "password_hash",
    "product",
    "quote",
    "random",
    "realpath",
    "regex_escape",
    "regex_findall",
    "regex_replace",
    "regex_search",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "shuffle",
    "sort",
    "split",
    "splitext",
    "string",
    "subelements",
    "sum",
    "symmetric_difference",
    "ternary",
    "title",
    "to_json",
    "to_nice_json",
    "to_nice_yaml",
    "to_yaml",
    "trim",
    "truncate",
    "type_debug",
    "union",
    "unique",
    "upper",
    "urlsplit",
    "zip",
    "zip_longest",
];
const TESTS: &[&str] = &[
    "changed",
    "defined",
    "undefined",
    "failed",
    "succeeded",
    "skipped",
    "match",
    "search",
    "regex",
    "version",
    "subset",
    "superset",
    "contains",
    "directory",
    "file",
    "exists",
    "link",
    "even",
    "odd",
    "string",
    "number",
    "mapping",
    "iterable",
    "sequence",
    "none",
    "boolean",
    "integer",
    "float",
    "lower",
    "upper",
    "truthy",
    "falsy",
];

impl Engine {
    /// The filter or test that this misspelt name was meant to be.
    pub fn nearest_name(&self, filter: bool, name: &str) -> Option<String> {
        let known = if filter { FILTERS } else { TESTS };
        let near = known.iter().map(|known| (swaps(name, known), *known)).min()?;
        (near.0 <= name.chars().count().div_ceil(4)).then(|| near.1.to_owned())
    }
}

/// Edits from one word to the other.
fn swaps(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = cost.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
