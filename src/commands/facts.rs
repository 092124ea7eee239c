//! `theseus facts`: what hosts say of themselves, as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{Json, Map};
use parking_lot::Mutex;
use run::event::{Ended, Event, Sink, Status};
use serde_json::json;

use crate::arguments::{Facts, Playing};
use crate::commands::memory::Errand;
use crate::report::{self, Output, Style};
use crate::setup::{Base, Problem};
use crate::terminal;

pub(crate) fn facts(asked: &Facts, style: Style, command: &str) -> u8 {
    let json = style.output == Output::Json;
    let mut base = match Base::new(&asked.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    gather(asked, style, command, &mut base)
        .unwrap_or_else(|problem| terminal::show(&problem, &base.sources, json))
}

fn gather(asked: &Facts, style: Style, command: &str, base: &mut Base) -> Result<u8, Problem> {
    let playing = Playing {
        hosts: asked.hosts.clone(),
        given: asked.given.clone(),
        reach: asked.reach.clone(),
        ..Playing::default()
    };
    let mut args = Map::new();
    for (name, values) in [("filter", &asked.filter), ("gather_subset", &asked.gather_subset)] {
        if !values.is_empty() {
            args.insert(name.to_owned(), json!(values));
        }
    }
    let errand = Errand {
        pattern: &asked.pattern,
        task: json!({"setup": args}),
        playing: &playing,
        dir: base.cwd.clone(),
        command,
        looks: false,
    };
    let gathered = Arc::default();
    let (recap, code) = errand.run(
        base,
        Box::new(Gatherer { gathered: Arc::clone(&gathered), json: style.output == Output::Json }),
    )?;
    if recap.hosts.is_empty() {
        return Err(Problem::Other(format!("no host of the inventory matches `{}`", asked.pattern)));
    }
    if style.output != Output::Json {
        let all: Map = std::mem::take(&mut *gathered.lock()).into_iter().collect();
        println!("{:#}", Json::Object(all));
    }
    Ok(code)
}

type Gathered = Arc<Mutex<BTreeMap<String, Json>>>;

struct Gatherer {
    gathered: Gathered,
    json: bool,
}

impl Gatherer {
    fn ended(&self, ended: &Ended) {
        if matches!(ended.status, Status::Failed | Status::Unreachable) {
            terminal::host_failed(&ended.host, ended.status.word(), &report::reason(&ended.result));
            return;
        }
        let facts = ended.result.get("ansible_facts").cloned().unwrap_or_else(|| json!({}));
        if self.json {
            report::json_line(json!({"event": "facts", "host": *ended.host, "facts": facts}));
        } else {
            self.gathered.lock().insert(ended.host.to_string(), facts);
        }
    }
}

impl Sink for Gatherer {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Ended(ended) => self.ended(ended),
            Event::Warning(text) => eprintln!("warning: {text}"),
            Event::Notice(text) => eprintln!("note: {text}"),
            _ => {}
        }
    }
}
