//! `fleets:` of `theseus.yml`, read strictly: every mistake has its place.

mod gates;
mod places;

use playbook::Diagnostic;
use playbook::definition::{entries, known};
use playbook::yaml::Node;

use crate::engine::{Budget, GateRule, Generation, Mode, OnFailure, Share, Spec, Strategy, Waves};
use crate::gates::{Probe, Question};

pub use places::{DriverSpec, TrafficSpec};

type Result<T> = std::result::Result<T, Diagnostic>;

/// A gate: how its answers count, and what is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    pub rule: GateRule,
    pub question: Question,
    pub timeout: u64,
}

/// A fleet as a person declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    pub spec: Spec,
    /// What `fleet up` begins with.
    pub image: Generation,
    pub driver: DriverSpec,
    pub port: u16,
    pub health: Probe,
    /// In milliseconds, of one health check.
    pub timeout: u64,
    /// A path that answers with the generation's name.
    pub attest: Option<String>,
    pub traffic: Option<TrafficSpec>,
    pub gates: Vec<Gate>,
}

/// All fleets of a project.
pub fn read(node: &Node) -> Result<Vec<Fleet>> {
    entries(node, "fleets")?.iter().map(|(name, value)| fleet(name, value)).collect()
}

const KEYS: &[&str] = &[
    "members", "image", "lab", "docker", "ssh", "port", "health", "attest", "traffic", "budget", "zones",
    "strategy", "rollout", "gates",
];

fn fleet(name: &Node, node: &Node) -> Result<Fleet> {
    let text = name.as_str().unwrap_or_default();
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if text.is_empty() || text.len() > 20 || !text.chars().all(fine) || text.starts_with('-') {
        return Err(name.error("a fleet's name has letters, digits and `-`, 20 at most"));
    }
    let mut fleet = Fleet {
        spec: Spec::new(text, 1),
        image: Generation::from(""),
        driver: DriverSpec::Lab { root: None, images: false, start: String::new(), playbook: None },
        port: 80,
        health: Probe::Tcp,
        timeout: 1000,
        attest: None,
        traffic: None,
        gates: Vec::new(),
    };
    for (key, value) in entries(node, "a fleet")? {
        fleet.read(known(key, KEYS)?, value)?;
    }
    if fleet.image.0.is_empty() {
        return Err(name.error(format!("fleet {text} has no image")).hint("for instance `image: v1`"));
    }
    if matches!(&fleet.driver, DriverSpec::Lab { start, .. } if start.is_empty()) {
        let error = name.error(format!("fleet {text} does not say how its members are started"));
        return Err(error.hint(
            "for instance `lab: {root: \"roots/{generation}\", start: /srv/run}`, `docker:` or `ssh:`",
        ));
    }
    if let Some(value) = node.get("strategy") {
        fleet.check_ways().map_err(|why| value.error(why))?;
    }
    fleet.spec.gates = fleet.gates.iter().map(|gate| gate.rule.clone()).collect();
    if fleet.spec.mode == Mode::InPlace {
        // The inventory says who they are, and it is read when something is done to them.
        return Ok(fleet);
    }
    fleet.spec.check().map_err(|why| name.error(format!("fleet {text}: {why}")))?;
    Ok(fleet)
}

impl Fleet {
    fn read(&mut self, key: &str, value: &Node) -> Result<()> {
        match key {
            "members" => self.spec.members = number(value)?,
            "image" => self.image = Generation::from(word(value)?),
            "port" => {
                self.port =
                    u16::try_from(number(value)?).map_err(|_| value.error("a port is at most 65535"))?
            }
            "lab" => self.driver = places::lab(value)?,
            "docker" => self.driver = places::docker(value)?,
            "ssh" => {
                self.driver = places::ssh(value)?;
                self.spec.mode = Mode::InPlace;
            }
            "health" => self.read_health(value)?,
            "attest" => self.attest = Some(one(value, "http")?),
            "traffic" => self.traffic = Some(places::traffic(value)?),
            "budget" => self.spec.budget = budget(value)?,
            "zones" => self.spec.zones = words(value)?,
            "strategy" => self.spec.ways = ways(value)?,
            "rollout" => self.read_rollout(value)?,
            _ => {
                let all = value.as_seq().ok_or_else(|| value.error("gates are a list"))?;
                self.gates = all.iter().map(gates::gate).collect::<Result<_>>()?;
            }
        }
        Ok(())
    }

    /// Another way than the fleet's own for one rollout, as a person types it: `in-place`, or `replace,in-place`.
    pub fn go_by(&mut self, words: &[String]) -> std::result::Result<(), String> {
        self.spec.ways = words.iter().map(|word| way(word)).collect::<std::result::Result<_, _>>()?;
        self.check_ways()
    }

    fn check_ways(&self) -> std::result::Result<(), String> {
        if !self.spec.ways.contains(&Mode::InPlace) {
            return Ok(());
        }
        match &self.driver {
            DriverSpec::Docker(_) => {
                Err("containers are replaced; they cannot be changed in place".to_owned())
            }
            DriverSpec::Lab { playbook: None, .. } => {
                Err("in place, a playbook changes members: say which one as `playbook` in `lab`".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn read_health(&mut self, node: &Node) -> Result<()> {
        for (key, value) in entries(node, "health")? {
            match known(key, &["http", "tcp", "timeout", "min_ready", "boot", "sick"])? {
                "http" => self.health = Probe::Http(path(value)?),
                "tcp" => self.health = Probe::Tcp,
                "timeout" => self.timeout = duration(value)?.max(1),
                "min_ready" => self.spec.timing.min_ready = duration(value)?,
                "boot" => self.spec.timing.boot = duration(value)?,
                _ => self.spec.timing.sick = duration(value)?,
            }
        }
        Ok(())
    }

    fn read_rollout(&mut self, node: &Node) -> Result<()> {
        let keys = &[
            "strategy",
            "batch",
            "percents",
            "waves",
            "soak",
            "bake",
            "approvals",
            "on_failure",
            "irreversible_after",
            "failures",
            "keep",
            "drain",
            "progress",
            "undecided",
        ];
        let get = |name: &str| node.get(name);
        let strategy = get("strategy").map(word).transpose()?.unwrap_or_else(|| "rolling".to_owned());
        self.spec.strategy = match strategy.as_str() {
            "rolling" => Strategy::Rolling { batch: get("batch").map(share).transpose()? },
            "blue-green" => Strategy::BlueGreen,
            "canary" => Strategy::Canary {
                percents: get("percents")
                    .map(percents)
                    .transpose()?
                    .unwrap_or_else(|| vec![1, 5, 25, 50, 100]),
            },
            "waves" => Strategy::Waves(get("waves").map_or(Ok(Waves::Zones), waves)?),
            _ => {
                let value = get("strategy").unwrap_or(node);
                return Err(value.error("strategy is rolling, canary, blue-green or waves"));
            }
        };
        for (key, value) in entries(node, "rollout")? {
            let timing = &mut self.spec.timing;
            match known(key, keys)? {
                "soak" => self.spec.soak = duration(value)?,
                "bake" => self.spec.bake = duration(value)?,
                "keep" => timing.keep = duration(value)?,
                "drain" => timing.drain = duration(value)?,
                "progress" => timing.progress = duration(value)?,
                "undecided" => timing.undecided = duration(value)?,
                "failures" => self.spec.failures = number(value)?,
                "irreversible_after" => self.spec.irreversible_after = Some(step(value)?),
                "approvals" => {
                    let all =
                        value.as_seq().ok_or_else(|| value.error("approvals are a list of steps, from 1"))?;
                    self.spec.approvals = all.iter().map(step).collect::<Result<_>>()?;
                }
                "on_failure" => {
                    self.spec.on_failure = match word(value)?.as_str() {
                        "rollback" => OnFailure::RollBack,
                        "halt" => OnFailure::Halt,
                        _ => return Err(value.error("on_failure is `rollback` or `halt`")),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// How members come to a new generation: one word, or one for each step.
fn ways(node: &Node) -> Result<Vec<Mode>> {
    let one = |node: &Node| way(&word(node)?).map_err(|why| node.error(why));
    match node.as_seq() {
        Some(all) if !all.is_empty() => all.iter().map(one).collect(),
        _ => Ok(vec![one(node)?]),
    }
}

fn way(word: &str) -> std::result::Result<Mode, String> {
    match word {
        "replace" => Ok(Mode::Replace),
        "in-place" => Ok(Mode::InPlace),
        _ => Err(format!("`{word}` is neither `in-place` nor `replace`")),
    }
}

fn budget(node: &Node) -> Result<Budget> {
    let mut budget = Budget::default();
    let truth = |value: &Node| value.as_bool().ok_or_else(|| value.error("this is true or false"));
    for (key, value) in entries(node, "budget")? {
        match known(key, &["surge", "unavailable", "quorum", "allow_downtime"])? {
            "surge" => budget.surge = share(value)?,
            "unavailable" => budget.unavailable = share(value)?,
            "quorum" => budget.quorum = truth(value)?,
            _ => budget.allow_downtime = truth(value)?,
        }
    }
    Ok(budget)
}

fn one(node: &Node, only: &str) -> Result<String> {
    let mut found = None;
    for (key, value) in entries(node, "this")? {
        known(key, &[only])?;
        found = Some(path(value)?);
    }
    found.ok_or_else(|| node.error(format!("`{only}` is missing")))
}

fn word(node: &Node) -> Result<String> {
    node.scalar_text()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| node.error(format!("this is text, not {}", node.describe())))
}

fn words(node: &Node) -> Result<Vec<String>> {
    node.as_seq().ok_or_else(|| node.error("this is a list"))?.iter().map(word).collect()
}

fn path(node: &Node) -> Result<String> {
    let text = word(node)?;
    if text.starts_with('/') && !text.contains(char::is_whitespace) {
        Ok(text)
    } else {
        Err(node.error("a path begins with `/` and has no blanks"))
    }
}

fn url(node: &Node) -> Result<String> {
    let text = word(node)?;
    crate::http::split(&text).map_err(|why| node.error(why))?;
    Ok(text)
}

fn number(node: &Node) -> Result<u32> {
    node.as_i64()
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| node.error("this is a whole number, 0 or more"))
}

fn decimal(node: &Node) -> Result<f64> {
    let parsed = node.scalar_text().and_then(|text| text.parse::<f64>().ok());
    parsed.filter(|n| n.is_finite()).ok_or_else(|| node.error("this is a number"))
}

fn step(node: &Node) -> Result<usize> {
    let number = number(node)?;
    (number as usize).checked_sub(1).ok_or_else(|| node.error("steps are counted from 1"))
}

fn share(node: &Node) -> Result<Share> {
    let text = word(node)?;
    let parsed = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse().ok().filter(|p| *p <= 100).map(Share::Percent),
        None => text.parse().ok().map(Share::Count),
    };
    parsed.ok_or_else(|| {
        node.error(format!("`{text}` is neither a number of members nor a percentage"))
            .hint("for instance 1 or 25%")
    })
}

fn percents(node: &Node) -> Result<Vec<u32>> {
    let all = node.as_seq().ok_or_else(|| node.error("percents are a list"))?;
    let all: Vec<u32> = all.iter().map(number).collect::<Result<_>>()?;
    let rising = all.windows(2).all(|pair| pair[0] < pair[1]) && all.iter().all(|p| (1..=100).contains(p));
    if rising && !all.is_empty() { Ok(all) } else { Err(node.error("percents rise, from 1 to 100")) }
}

fn waves(node: &Node) -> Result<Waves> {
    if node.as_str() == Some("zones") {
        return Ok(Waves::Zones);
    }
    if node.as_map().is_some() {
        let (mut label, mut order) = (String::new(), Vec::new());
        for (key, value) in entries(node, "waves")? {
            match known(key, &["label", "order"])? {
                "label" => label = word(value)?,
                _ => order = words(value)?,
            }
        }
        if label.is_empty() || order.is_empty() {
            return Err(node.error("waves by a label have `label: NAME` and `order: [VALUE, …]`"));
        }
        return Ok(Waves::Label { label, order });
    }
    let all = node
        .as_seq()
        .ok_or_else(|| node.error("waves are `zones`, or a list of shares such as [1, 25%, 100%]"))?;
    Ok(Waves::Shares(all.iter().map(share).collect::<Result<_>>()?))
}

/// `500ms`, `10s`, `2m`, `1h`; a bare number is seconds. In milliseconds.
fn duration(node: &Node) -> Result<u64> {
    let text = word(node)?;
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit.trim() {
        "ms" => Some(1.0),
        "" | "s" => Some(1000.0),
        "m" | "min" => Some(60_000.0),
        "h" => Some(3_600_000.0),
        _ => None,
    };
    let millis = number.parse::<f64>().ok().zip(factor).map(|(number, factor)| number * factor);
    let millis = millis.filter(|millis| (0.0..1e12).contains(millis));
    // A duration below a thousand years fits.
    millis
        .map(|millis| millis as u64)
        .ok_or_else(|| node.error(format!("`{text}` is no duration")).hint("for instance 500ms, 10s, 2m"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Result<Vec<Fleet>> {
        read(&playbook::yaml::load_str(text, Path::new("theseus.yml"))?.node.expect("a document"))
    }

    #[test]
    fn a_fleet_is_read() {
        let text = "web:\n  members: 6\n  image: v1\n  port: 8080\n  lab: {root: \"roots/{generation}\", start: /srv/run}\n  health: {http: /health, min_ready: 500ms, boot: 1m}\n  attest: {http: /version}\n  traffic: {proxy: \"127.0.0.1:8080\"}\n  budget: {surge: 25%, unavailable: 0}\n  rollout: {strategy: canary, percents: [10, 100], soak: 3s, approvals: [1]}\n  gates:\n    - {name: errors, traffic: {errors: 1, slower: 3}, every: 1s}\n";
        let fleet = parse(text).expect("it is right").remove(0);
        assert_eq!(
            (fleet.spec.members, fleet.spec.timing.min_ready, fleet.spec.timing.boot),
            (6, 500, 60_000)
        );
        assert_eq!(fleet.spec.strategy, Strategy::Canary { percents: vec![10, 100] });
        assert_eq!((fleet.spec.soak, fleet.spec.approvals.clone()), (3000, vec![0]));
        assert_eq!(fleet.spec.gates.len(), 1);
    }

    #[test]
    fn servers_in_place_and_containers_are_read() {
        let place = "web:\n  image: v1\n  ssh: {playbook: site.yml, inventory: hosts, hosts: web}\n  rollout: {strategy: waves, waves: {label: ring, order: [a, b]}}\n";
        let fleet = parse(place).expect("it is right").remove(0);
        assert_eq!(fleet.spec.mode, Mode::InPlace);
        let order = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(fleet.spec.strategy, Strategy::Waves(Waves::Label { label: "ring".to_owned(), order }));
        let boxes = "web:\n  image: v1\n  docker: {image: \"shop:{generation}\", command: [/srv/run]}\n  traffic: {haproxy: /run/h, backend: web, config: /etc/h.cfg}\n";
        let fleet = parse(boxes).expect("it is right").remove(0);
        assert!(
            matches!(&fleet.driver, DriverSpec::Docker(containers) if containers.image == "shop:{generation}" && containers.command == ["/srv/run"])
        );
        assert!(matches!(&fleet.traffic, Some(TrafficSpec::HaProxy { config: Some(_), .. })));
    }

    #[test]
    fn mistakes_have_places() {
        let base = "web:\n  image: v1\n  lab: {start: /srv/run}\n";
        for (text, words, line) in [
            ("  member: 3\n", "no key `member`", 4),
            ("  members: many\n", "whole number", 4),
            ("  health: {http: health}\n", "begins with `/`", 4),
            ("  budget: {surge: 0, unavailable: 0}\n", "allows no step", 1),
            ("  traffic: {haproxy: /run/h}\n", "which backend", 4),
            ("  gates:\n    - {name: x}\n", "asks nothing", 5),
            ("  rollout: {soak: soon}\n", "no duration", 4),
            ("  rollout: {strategy: waves, waves: {label: ring}}\n", "`order:", 4),
            ("  traffic: {nginx: /etc/nginx/web.conf}\n", "what is the upstream called", 4),
            ("  docker: {image: 1, net: x}\n", "no key `net`", 4),
            ("  ssh: {inventory: hosts}\n", "which playbook", 4),
            ("  strategy: sideways\n", "neither `in-place` nor", 4),
            ("  strategy: in-place\n", "say which one as `playbook`", 4),
        ] {
            let error = parse(&format!("{base}{text}")).expect_err(text);
            assert!(error.message.contains(words), "{text}: {}", error.message);
            assert_eq!(error.origin.map(|origin| origin.line), Some(line), "{text}");
        }
    }
}
