//! What a container is made of: each property as the task wants it and as the container has it, and how the two are
//! compared.

use catalog::{Args, Json, Map};

use crate::module::Failure;

/// What values of a kind mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    /// The order counts.
    List,
    Set,
    Map,
    /// Maps of which some keys may be wanted.
    SetOfMaps,
}

/// How strictly a property is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Strict,
    AllowMore,
    Ignore,
}

/// One property that the task wants.
#[derive(Clone, Debug)]
pub(super) struct Property {
    /// As in `comparisons`.
    pub(super) option: &'static str,
    /// As in the diff.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As the container shall be made, at this place of what the engine is told.
    pub(super) make: Vec<(&'static [&'static str], Json)>,
    pub(super) wanted: Json,
    pub(super) is: Json,
    /// Can be changed while the container lives.
    pub(super) update: bool,
}

impl Property {
    pub(super) fn differs(&self, rules: &Rules) -> bool {
        let (wanted, is) = (&self.wanted, &self.is);
        match rules.of(self.option, self.kind) {
            How::Ignore => false,
            How::Strict => !same(self.kind, wanted, is),
            How::AllowMore => !within(self.kind, wanted, is),
        }
    }

    /// Put it where the engine looks for it.
    pub(super) fn put(&self, body: &mut Json) {
        for (path, value) in &self.make {
            let mut place = &mut *body;
            for key in *path {
                place = &mut place[*key];
            }
            *place = value.clone();
        }
    }
}

const NOTHING: &[Json] = &[];

fn elements(value: &Json) -> &[Json] {
    value.as_array().map_or(NOTHING, Vec::as_slice)
}

fn same(kind: Kind, wanted: &Json, is: &Json) -> bool {
    let all_in = |some: &[Json], all: &[Json]| some.iter().all(|one| all.contains(one));
    let (a, b) = (elements(wanted), elements(is));
    match kind {
        Kind::Value => wanted == is,
        Kind::List => a == b,
        Kind::Set => all_in(a, b) && all_in(b, a),
        Kind::Map => map(wanted) == map(is),
        Kind::SetOfMaps => a.len() == b.len() && within(kind, wanted, is),
    }
}

/// The container has all that is wanted; it may have more.
fn within(kind: Kind, wanted: &Json, is: &Json) -> bool {
    let (a, b) = (elements(wanted), elements(is));
    let has = |all: &Map, some: &Map| some.iter().all(|(key, value)| all.get(key) == Some(value));
    match kind {
        Kind::Value => wanted == is,
        Kind::List => {
            let mut rest = b.iter();
            a.iter().all(|one| rest.any(|other| other == one))
        }
        Kind::Set => a.iter().all(|one| b.contains(one)),
        Kind::Map => has(&map(is), &map(wanted)),
        Kind::SetOfMaps => a.iter().all(|one| b.iter().any(|other| has(&map(other), &map(one)))),
    }
}

fn map(value: &Json) -> Map {
    value.as_object().cloned().unwrap_or_default()
}

/// `comparisons`.
#[derive(Debug, Default)]
pub(super) struct Rules {
    all: Option<How>,
    own: Vec<(String, How)>,
}

/// What can be compared and is no argument of a [`Property`] alone.
const OTHERS: &[&str] = &["image", "networks"];

impl Rules {
    pub(super) fn of_task(args: &Args) -> Result<Self, Failure> {
        let mut rules = Self::default();
        for (key, value) in args.dict("comparisons").into_iter().flatten() {
            let how = match value.as_str().unwrap_or_default() {
                "strict" => How::Strict,
                "ignore" => How::Ignore,
                "allow_more_present" => How::AllowMore,
                other => {
                    return Err(Failure::new(format!("Unknown comparison mode '{other}' for option '{key}'!")));
                }
            };
            if key == "*" {
                if how == How::AllowMore {
                    return Err("The wildcard can only be used with comparison modes 'strict' and 'ignore'!".into());
                }
                rules.all = Some(how);
                continue;
            }
            let argument = super::options::OWN.iter().find(|arg| arg.name == key || arg.aliases.contains(&key.as_str()));
            let Some(argument) = argument else {
                return Err(Failure::new(format!("Unknown module option '{key}' in comparisons dict!")));
            };
            let many = matches!(argument.kind, catalog::Kind::List(_) | catalog::Kind::Dict) || key == "command";
            if how == How::AllowMore && !many {
                return Err(Failure::new(format!(
                    "Option '{key}' is a value and not a set/list/dict, so its comparison cannot be allow_more_present"
                )));
            }
            rules.own.push((argument.name.to_owned(), how));
        }
        Ok(rules)
    }

    pub(super) fn of(&self, option: &str, kind: Kind) -> How {
        let own = self.own.iter().find(|(name, _)| name == option).map(|(_, how)| *how);
        let usual = match kind {
            // A container that takes longer to end is the same container.
            _ if option == "stop_timeout" => How::Ignore,
            Kind::Value | Kind::List => How::Strict,
            Kind::Set | Kind::Map | Kind::SetOfMaps => How::AllowMore,
        };
        let all = self.all.filter(|_| option != "networks" || self.all == Some(How::Ignore));
        own.or(all).unwrap_or(usual)
    }

    pub(super) fn other(&self, option: &str) -> How {
        debug_assert!(OTHERS.contains(&option), "{option} is a property");
        self.of(option, if option == "networks" { Kind::SetOfMaps } else { Kind::Value })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(comparisons: Json) -> Result<Rules, Failure> {
        let mut args = Map::new();
        args.insert("comparisons".to_owned(), comparisons);
        Rules::of_task(&Args(args))
    }

    #[test]
    fn more_than_is_wanted_is_enough_where_the_order_does_not_count() {
        assert!(within(Kind::Set, &json!(["b"]), &json!(["a", "b"])));
        assert!(!within(Kind::Set, &json!(["c"]), &json!(["a", "b"])));
        assert!(within(Kind::Map, &json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(within(Kind::List, &json!(["a", "c"]), &json!(["a", "b", "c"])));
        assert!(!within(Kind::List, &json!(["c", "a"]), &json!(["a", "b", "c"])));
        assert!(within(Kind::SetOfMaps, &json!([{"a": 1}]), &json!([{"a": 1, "b": 2}])));
    }

    #[test]
    fn strictly_nothing_may_be_more() {
        assert!(!same(Kind::Set, &json!(["b"]), &json!(["a", "b"])));
        assert!(same(Kind::Set, &json!(["b", "a"]), &json!(["a", "b"])));
        assert!(same(Kind::Map, &json!({}), &Json::Null));
        assert!(!same(Kind::List, &json!(["b", "a"]), &json!(["a", "b"])));
    }

    #[test]
    fn rules_name_arguments() {
        let all = rules(json!({"*": "ignore", "ports": "strict"})).unwrap();
        assert_eq!(all.of("published_ports", Kind::Set), How::Strict);
        assert_eq!(all.of("env", Kind::Set), How::Ignore);
        assert!(rules(json!({"nonsense": "strict"})).is_err());
        assert!(rules(json!({"*": "allow_more_present"})).is_err());
        assert!(rules(json!({"memory": "allow_more_present"})).is_err());
    }
}
