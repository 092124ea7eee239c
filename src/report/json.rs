//! One JSON object a line, for programs. See the interface page for the keys.

use catalog::{Json as Value, Map};
use run::event::{Counters, Ended, Event, Recap, Sink};
use serde_json::json;

pub(crate) struct Json;

impl Sink for Json {
    fn event(&mut self, event: &Event) {
        let line = match event {
            Event::Ended(ended) => task(ended),
            Event::Play { name, hosts } => {
                json!({"event": "play", "play": **name, "hosts": hosts.iter().map(|h| h.to_string()).collect::<Vec<_>>()})
            }
            Event::Included { step, host, file, item } => {
                json!({"event": "included", "play": *step.play, "task": step.name, "host": **host, "file": file, "item": item})
            }
            Event::Retrying { step, host, left, .. } => {
                json!({"event": "retry", "task": step.name, "host": **host, "left": left})
            }
            Event::Recap(recap) => self::recap(recap),
            Event::Warning(text) => return eprintln!("[WARNING]: {text}"),
            Event::Deprecated(text) => return eprintln!("[DEPRECATION WARNING]: {text}"),
            Event::Notice(text) => return eprintln!("{text}"),
            _ => return,
        };
        print_line(line);
    }
}

/// Adds the time and prints; `event` stays the first key.
pub(crate) fn print_line(value: Value) {
    let Value::Object(map) = value else { return };
    let mut line = Map::new();
    for (i, (key, value)) in map.into_iter().enumerate() {
        line.insert(key, value);
        if i == 0 {
            line.insert("at".to_owned(), jiff::Timestamp::now().to_string().into());
        }
    }
    println!("{}", Value::Object(line));
}

fn task(ended: &Ended) -> Value {
    let mut line = json!({
        "event": "task",
        "play": *ended.step.play,
        "task": ended.step.name,
        "action": *ended.step.action,
        "host": *ended.host,
        "status": ended.status.word(),
        "seconds": ended.seconds,
    });
    let Value::Object(map) = &mut line else { return line };
    if let Some(item) = &ended.item {
        map.insert("item".to_owned(), item.clone().into());
    }
    if let Some(delegate) = &ended.delegate {
        map.insert("delegated_to".to_owned(), delegate.clone().into());
    }
    if ended.status.is_failure() {
        map.insert("message".to_owned(), super::words::reason(&ended.result).into());
    } else if let Some(message) = ended.result.get("msg").filter(|m| !m.is_null()) {
        map.insert(
            "message".to_owned(),
            message.as_str().map_or_else(|| message.to_string().into(), Value::from),
        );
    }
    if !ended.paths.is_empty() {
        map.insert("paths".to_owned(), ended.paths.clone().into());
    }
    if !ended.step.no_log
        && let Some(diff) = ended.result.get("diff")
    {
        map.insert("diff".to_owned(), diff.clone());
    }
    line
}

fn recap(recap: &Recap) -> Value {
    let hosts: Map = recap.hosts.iter().map(|(host, c)| (host.clone(), counters(c))).collect();
    json!({"event": "recap", "hosts": hosts, "generation": recap.generations, "custom": recap.custom, "lost_handlers": recap.lost_handlers, "undone": recap.undone})
}

fn counters(c: &Counters) -> Value {
    json!({"ok": c.ok, "changed": c.changed, "unreachable": c.unreachable, "failed": c.failed, "skipped": c.skipped, "rescued": c.rescued, "ignored": c.ignored})
}
