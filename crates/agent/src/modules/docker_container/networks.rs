//! Which networks a container is in.

use catalog::{Args, Json, Map};
use serde_json::json;

use crate::docker::{Engine, part};
use crate::module::{Failure, Task};

/// A network that the container shall be in.
pub(super) struct Wanted {
    pub(super) name: String,
    id: String,
    given: Json,
}

/// What is to be done to networks, and how the diff tells it.
pub(super) struct Step<'a> {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) before: Json,
    pub(super) after: Json,
    pub(super) leave: bool,
    pub(super) enter: Option<&'a Wanted>,
}

/// `networks`, each of which must be there.
pub(super) fn wanted(args: &Args, engine: &Engine, task: &Task<'_>) -> Result<Vec<Wanted>, Failure> {
    let mut all = Vec::new();
    for given in args.list("networks").unwrap_or_default() {
        let name = given["name"].as_str().unwrap_or_default().to_owned();
        let Some(network) = engine.look(task, &format!("/networks/{}", part(&name)))? else {
            return Err(Failure::new(format!(
                "Parameter error: network named {name} could not be found. Does it exist?"
            )));
        };
        if let Some(wrong) = given["links"].as_array().into_iter().flatten().find(|link| !link.is_string()) {
            return Err(Failure::new(format!("networks[].links: `{wrong}` is no CONTAINER:ALIAS")));
        }
        let id = network["Id"].as_str().unwrap_or_default().to_owned();
        all.push(Wanted { name, id, given: given.clone() });
    }
    Ok(all)
}

impl Wanted {
    /// How the container is connected, as the engine is told.
    pub(super) fn endpoint(&self) -> Json {
        let mut endpoint = json!({});
        for (option, key) in [("aliases", "Aliases"), ("links", "Links"), ("mac_address", "MacAddress")] {
            if !self.given[option].is_null() {
                endpoint[key] = self.given[option].clone();
            }
        }
        for (option, key) in [("ipv4_address", "IPv4Address"), ("ipv6_address", "IPv6Address")] {
            if !self.given[option].is_null() {
                endpoint["IPAMConfig"][key] = self.given[option].clone();
            }
        }
        endpoint
    }

    fn shown(&self) -> Json {
        let mut shown = json!({"name": self.name, "id": self.id});
        for key in ["aliases", "ipv4_address", "ipv6_address", "links", "mac_address"] {
            shown[key] = self.given[key].clone();
        }
        shown
    }

    /// Whether the connection is another than is wanted.
    fn differs(&self, is: &Json) -> bool {
        let address = |option: &str, key: &str| {
            let wanted = &self.given[option];
            !wanted.is_null() && is["IPAMConfig"][key] != *wanted
        };
        let among = |option: &str, key: &str| {
            let there = is[key].as_array();
            let mut wanted = self.given[option].as_array().into_iter().flatten();
            wanted.any(|one| !there.is_some_and(|all| all.contains(one)))
        };
        let mac = &self.given["mac_address"];
        address("ipv4_address", "IPv4Address")
            || address("ipv6_address", "IPv6Address")
            || among("aliases", "Aliases")
            || among("links", "Links")
            || (!mac.is_null() && is["MacAddress"] != *mac)
    }
}

/// From where the container is to where it shall be. `only`: in no other network.
pub(super) fn steps<'a>(wanted: &'a [Wanted], container: &Json, only: bool) -> Vec<Step<'a>> {
    let empty = Map::new();
    let there = container["NetworkSettings"]["Networks"].as_object().unwrap_or(&empty);
    let is = |one: &Wanted| {
        there.iter().find(|(name, now)| **name == one.name || now["NetworkID"] == *one.id).map(|(_, now)| now)
    };
    let mut all = Vec::new();
    for one in wanted {
        let now = is(one);
        if now.is_some_and(|now| !one.differs(now)) {
            continue;
        }
        let before = now.map_or(Json::Null, |now| {
            json!({
                "name": one.name,
                "aliases": now["Aliases"],
                "ipv4_address": now["IPAMConfig"]["IPv4Address"],
                "ipv6_address": now["IPAMConfig"]["IPv6Address"],
                "links": now["Links"],
                "mac_address": now["MacAddress"],
            })
        });
        let (name, id) = (one.name.clone(), one.id.clone());
        all.push(Step { name, id, before, after: one.shown(), leave: now.is_some(), enter: Some(one) });
    }
    if only {
        let others = there.iter().filter(|(name, now)| {
            !wanted.iter().any(|one| one.name == **name || now["NetworkID"] == *one.id)
        });
        all.extend(others.map(|(name, now)| Step {
            name: name.clone(),
            // One that does not run may not know it yet.
            id: now["NetworkID"].as_str().filter(|id| !id.is_empty()).unwrap_or(name).to_owned(),
            before: json!({"name": name, "id": now["NetworkID"]}),
            after: Json::Null,
            leave: true,
            enter: None,
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(given: Json) -> Wanted {
        Wanted { name: "n".to_owned(), id: "1".to_owned(), given }
    }

    #[test]
    fn a_container_enters_and_leaves() {
        let container = json!({"NetworkSettings": {"Networks": {
            "n": {"NetworkID": "1", "Aliases": ["a", "b"], "IPAMConfig": null},
            "m": {"NetworkID": "2"},
        }}});
        let same = [one(json!({"aliases": ["a"]}))];
        assert!(steps(&same, &container, false).is_empty());
        assert_eq!(steps(&same, &container, true)[0].name, "m");
        let other = [one(json!({"aliases": ["c"], "ipv4_address": "10.0.0.2"}))];
        let steps = steps(&other, &container, false);
        assert!(steps[0].leave && steps[0].enter.is_some());
        assert_eq!(other[0].endpoint(), json!({"Aliases": ["c"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}}));
    }
}
