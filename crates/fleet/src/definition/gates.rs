//! `gates:` of a fleet.

use playbook::definition::{entries, known};
use playbook::yaml::Node;

use super::{Gate, Result, decimal, duration, number, path, url, word};
use crate::engine::GateRule;
use crate::gates::Question;

pub(super) fn gate(node: &Node) -> Result<Gate> {
    let keys = &[
        "name", "http", "members", "tcp", "exec", "metric", "webhook", "traffic", "every", "need", "of",
        "fails", "timeout",
    ];
    let mut rule = GateRule { name: String::new(), need: 1, of: 5, fails: 0, interval: 5_000 };
    let (mut question, mut timeout) = (None, 5_000);
    for (key, value) in entries(node, "a gate")? {
        match known(key, keys)? {
            "name" => rule.name = word(value)?,
            "every" => rule.interval = duration(value)?.max(100),
            "need" => rule.need = number(value)?,
            "of" => rule.of = number(value)?.clamp(1, 100),
            "fails" => rule.fails = number(value)?,
            "timeout" => timeout = duration(value)?.max(1),
            "http" => question = Some(Question::Http(url(value)?)),
            "members" => question = Some(Question::Members(path(value)?)),
            "tcp" => question = Some(Question::Tcp(word(value)?)),
            "exec" => question = Some(Question::Exec(word(value)?)),
            "webhook" => question = Some(Question::Webhook(url(value)?)),
            "metric" => question = Some(metric(value)?),
            _ => question = Some(counted(value)?),
        }
    }
    if rule.name.is_empty() {
        return Err(node.error("a gate needs a name"));
    }
    if rule.need > rule.of {
        return Err(node.error(format!("{} passes of the last {} are impossible", rule.need, rule.of)));
    }
    let question = question.ok_or_else(|| {
        node.error(format!("gate {} asks nothing", rule.name))
            .hint("there are: http, members, tcp, exec, metric, webhook, traffic")
    })?;
    Ok(Gate { rule, question, timeout })
}

fn metric(node: &Node) -> Result<Question> {
    let (mut address, mut query, mut max, mut min, mut ratio) = (None, None, None, None, None);
    for (key, value) in entries(node, "metric")? {
        match known(key, &["url", "query", "max", "min", "ratio"])? {
            "url" => address = Some(url(value)?),
            "query" => query = Some(word(value)?),
            "max" => max = Some(decimal(value)?),
            "min" => min = Some(decimal(value)?),
            _ => ratio = Some(decimal(value)?),
        }
    }
    match (address, query) {
        (Some(url), Some(query)) if max.or(min).or(ratio).is_some() => {
            Ok(Question::Metric { url, query, max, min, ratio })
        }
        (Some(_), Some(_)) => Err(node.error("without max, min or ratio, any value would do")),
        _ => Err(node.error("a metric has a url and a query")),
    }
}

fn counted(node: &Node) -> Result<Question> {
    let (mut errors, mut slower, mut requests) = (1.0, None, 10);
    for (key, value) in entries(node, "traffic")? {
        match known(key, &["errors", "slower", "requests"])? {
            "errors" => errors = decimal(value)?,
            "slower" => slower = Some(decimal(value)?),
            _ => requests = u64::from(number(value)?),
        }
    }
    Ok(Question::Traffic { errors, slower, requests })
}
