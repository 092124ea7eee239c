//! From a task's result in check mode to what it would change: paths with before and after, or objects.

use std::path::Path;

use catalog::{Json, Map};
use expressions::Origin;
use run::event::Ended;
use serde_json::json;

use super::irreversible;

/// What a task would change on a host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Foreseen {
    pub(crate) host: String,
    pub(crate) what: What,
    pub(crate) kind: &'static str,
    pub(crate) before: Option<Json>,
    pub(crate) after: Option<Json>,
    /// The task and its place.
    pub(crate) cause: String,
    /// It would run something whose effect nobody knows before.
    pub(crate) unknown: bool,
    /// What no undo would take back.
    pub(crate) irreversible: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Path(String),
    /// `package:nginx`
    Object(String),
}

impl What {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Path(name) | Self::Object(name) => name,
        }
    }
}

impl Foreseen {
    /// The `change` object.
    pub(crate) fn json(&self) -> Json {
        let mut line = json!({"event": "change", "host": self.host, "kind": self.kind, "declared": true, "cause": self.cause});
        let key = if matches!(self.what, What::Path(_)) { "path" } else { "object" };
        line[key] = json!(self.what.name());
        for (key, value) in [("before", &self.before), ("after", &self.after)] {
            if let Some(value) = value {
                line[key] = value.clone();
            }
        }
        if self.unknown {
            line["unknown"] = json!(true);
        }
        if let Some(text) = &self.irreversible {
            line["irreversible"] = json!(text);
        }
        line
    }

    fn new(ended: &Ended, what: What) -> Self {
        let place =
            ended.step.origin.as_ref().map(|origin| format!("  {}", place(origin))).unwrap_or_default();
        let item = ended.item.as_ref().map(|item| format!(" ({item})")).unwrap_or_default();
        Self {
            host: ended.delegate.clone().unwrap_or_else(|| ended.host.to_string()),
            what,
            kind: "changed",
            before: None,
            after: None,
            cause: format!("{}{item}{place}", ended.step.name),
            unknown: false,
            irreversible: irreversible::of(module(ended), arguments(ended)),
        }
    }
}

/// File and line, from the project's folder: a plan may be applied in another copy of it.
fn place(origin: &Origin) -> String {
    format!("{}:{}", from_here(&origin.file).display(), origin.line)
}

/// A path as it is seen from the project's folder.
pub(crate) fn from_here(path: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

/// The module without its collection.
fn module(ended: &Ended) -> &str {
    ended.step.action.rsplit('.').next().unwrap_or_default()
}

/// What the module was asked for; nothing where that is secret.
fn arguments(ended: &Ended) -> Option<&Map> {
    ended.result.get("invocation")?.get("module_args")?.as_object()
}

/// A task that check mode leaves out, but that a run would do.
pub(crate) fn not_foretold(ended: &Ended) -> Option<Foreseen> {
    let message = ended.result.get("msg").and_then(Json::as_str).unwrap_or_default();
    let left_out = message.contains("not in check mode") || message.contains("does not support check mode");
    left_out.then(|| Foreseen { unknown: true, ..Foreseen::new(ended, task(ended)) })
}

fn task(ended: &Ended) -> What {
    What::Object(format!("task:{}", ended.step.name))
}

/// What a changed task would change.
pub(crate) fn of(ended: &Ended) -> Vec<Foreseen> {
    let diffs: Vec<&Json> = match ended.result.get("diff") {
        Some(Json::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let mut all: Vec<Foreseen> = Vec::new();
    for diff in diffs.into_iter().filter(|diff| diff.as_object().is_some_and(|diff| !diff.is_empty())) {
        let Some(path) = path_of(diff).or_else(|| path_of_result(&ended.result)) else { continue };
        let what = What::Path(path);
        let at = all.iter().position(|known| known.what == what).unwrap_or_else(|| {
            all.push(Foreseen::new(ended, what));
            all.len() - 1
        });
        add(&mut all[at].before, diff.get("before"));
        add(&mut all[at].after, diff.get("after"));
    }
    if all.is_empty() {
        all = objects(ended);
    }
    for change in &mut all {
        change.kind = kind(change, ended);
        let (before, after) = (change.before.take(), change.after.take());
        change.before = before.filter(|_| change.kind != "added");
        change.after = after.filter(|_| change.kind != "removed");
    }
    all
}

/// `/etc/motd (content)` and the like.
fn path_of(diff: &Json) -> Option<String> {
    let headers = ["after_header", "before_header"].iter().filter_map(|key| diff[key].as_str());
    let inside = ["after", "before"].iter().filter_map(|side| diff[side]["path"].as_str());
    let path = headers.chain(inside).find(|text| text.starts_with('/'))?;
    let path =
        path.strip_suffix(" (content)").or_else(|| path.strip_suffix(" (file attributes)")).unwrap_or(path);
    Some(path.to_owned())
}

fn path_of_result(result: &Map) -> Option<String> {
    let keys = ["dest", "path", "name"].iter().filter_map(|key| result.get(*key)?.as_str());
    keys.into_iter().find(|text| text.starts_with('/')).map(str::to_owned)
}

/// Texts are contents; the rest are properties.
fn add(side: &mut Option<Json>, more: Option<&Json>) {
    let all = side.get_or_insert_with(|| json!({}));
    match more {
        Some(Json::String(text)) => all["content"] = json!(text),
        Some(Json::Object(properties)) => {
            for (key, value) in properties.iter().filter(|(key, _)| *key != "path") {
                all[key.as_str()] = value.clone();
            }
        }
        _ => {}
    }
}

/// Results tell of a path's owner if it is there.
fn kind(change: &Foreseen, ended: &Ended) -> &'static str {
    let state = |side: &Option<Json>| side.as_ref().and_then(|s| s["state"].as_str()).map(str::to_owned);
    let wanted = arguments(ended).and_then(|args| args.get("state")?.as_str()).unwrap_or_default();
    if state(&change.after).as_deref() == Some("absent") || matches!(wanted, "absent" | "removed") {
        return "removed";
    }
    let there = ["uid", "gid", "state"].iter().any(|key| ended.result.contains_key(*key));
    let is_path = matches!(change.what, What::Path(_));
    let new_path = is_path && !there && change.before.as_ref().is_some_and(|before| before["content"] == "");
    if state(&change.before).as_deref() == Some("absent") || new_path {
        return "added";
    }
    let installs = change.what.name().starts_with("package:") && wanted != "latest";
    let makes = ["user:", "group:"].iter().any(|kind| change.what.name().starts_with(kind)) && !there;
    if installs || makes { "added" } else { "changed" }
}

/// What a module without paths is about.
fn objects(ended: &Ended) -> Vec<Foreseen> {
    let word = match module(ended) {
        "apt" | "package" | "dnf" | "yum" | "pip" => "package",
        "service" | "systemd" | "systemd_service" => "service",
        "user" => "user",
        "group" => "group",
        _ => "",
    };
    let args = arguments(ended);
    let names =
        ["name", "pkg", "package"].iter().find_map(|key| args?.get(*key).filter(|value| !value.is_null()));
    let names: Vec<&str> = match names.filter(|_| !word.is_empty()) {
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).collect(),
        Some(Json::String(one)) => one.split(',').map(str::trim).collect(),
        _ => Vec::new(),
    };
    if !names.is_empty() {
        return names
            .iter()
            .map(|name| Foreseen::new(ended, What::Object(format!("{word}:{name}"))))
            .collect();
    }
    let path = args.and_then(path_of_result).or_else(|| path_of_result(&ended.result));
    vec![Foreseen::new(ended, path.map_or_else(|| task(ended), What::Path))]
}
