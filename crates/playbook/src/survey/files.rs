//! Files that tasks name: are they there, and do templates parse.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::{Options, Value};

use super::tasks::static_text;
use super::{Level, Surveyor};
use crate::diagnostic::Diagnostic;
use crate::ir::{Play, Role, Task};
use crate::search;

impl Surveyor {
    pub(super) fn task_files(&mut self, task: &Task, certain: bool) {
        let Some((argument, kind)) = source(task) else { return };
        let Some(value) = task.args.get(argument) else { return };
        if &*task.module == "template" && !certain_text(value) {
            return;
        }
        let Some(text) = static_text(Some(value)) else { return };
        let name = if &*task.module == "script" { first_word(&text) } else { text };
        if name.trim().is_empty() || name.contains("://") {
            return;
        }
        let Some(path) = search::find(&name, kind, &task.search) else {
            // A file of the controller itself is none of the project's.
            let certain = certain && !Path::new(&name).is_absolute() && !name.starts_with('~');
            let text = format!("the file `{name}` that `{}` takes was not found", task.module);
            return self.missing_file(text, task, certain);
        };
        match &*task.module {
            "template" => self.template(&path, task, certain),
            "include_vars" if path.is_file() => self.vars_file(&path, None),
            _ => {}
        }
    }

    fn template(&mut self, path: &Path, task: &Task, certain: bool) {
        let mark = |name: &str| static_text(task.args.get(name));
        let mut options = Options { ..self.engine.options().clone() };
        let slots = [
            ("block_start_string", &mut options.block_start),
            ("block_end_string", &mut options.block_end),
            ("variable_start_string", &mut options.variable_start),
            ("variable_end_string", &mut options.variable_end),
            ("comment_start_string", &mut options.comment_start),
            ("comment_end_string", &mut options.comment_end),
        ];
        for (name, slot) in slots {
            // A mark that is only known when it runs makes the file unreadable before.
            match (task.args.contains_key(name), mark(name)) {
                (true, None) => return,
                (true, Some(text)) => *slot = text,
                _ => {}
            }
        }
        let certain = certain && task.keywords.when.is_empty() && task.loop_.is_none();
        self.template_text(path, &options, Level::Error, certain && task.keywords.vars.is_empty());
    }

    fn template_text(&mut self, path: &Path, options: &Options, worst: Level, certain: bool) {
        if !path.is_file() || !self.templates.insert(path.to_owned()) {
            return;
        }
        let Ok(text) = crate::yaml::read_text(path, &self.project.options().vault) else { return };
        match self.engine.outline_file(path, &text, options) {
            Ok(outline) => self.about(outline, certain),
            Err(error) => self.push(worst, Diagnostic::from(error).rule("template")),
        }
    }

    /// Templates that nothing names before a run; they may be meant for other engines.
    pub(super) fn leftover_templates(&mut self, role: &Arc<Role>) {
        let mut waiting = vec![role.path.join("templates")];
        let options = self.engine.options().clone();
        while let Some(dir) = waiting.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort();
            for path in paths {
                if path.is_dir() && !path.is_symlink() {
                    waiting.push(path);
                } else if path.extension().is_some_and(|extension| extension == "j2") {
                    self.template_text(&path, &options, Level::Warning, false);
                }
            }
        }
    }

    /// `vars_files` of a play.
    pub(super) fn vars_files(&mut self, play: &Arc<Play>) {
        for entry in &play.vars_files {
            let candidates = match entry.as_list() {
                Some(list) => list.clone(),
                None => vec![entry.clone()],
            };
            let names: Vec<Option<String>> = candidates.iter().map(|name| static_text(Some(name))).collect();
            let found: Vec<PathBuf> =
                names.iter().flatten().filter_map(|name| search::vars_file(name, &play.dir)).collect();
            found.iter().for_each(|path| self.vars_file(path, None));
            if !found.is_empty() || names.iter().any(Option::is_none) {
                self.names.open_for(names.iter().any(Option::is_none));
                continue;
            }
            let shown: Vec<String> = names.into_iter().flatten().collect();
            let place = match candidates.first() {
                Some(Value::Str(text)) => text.origin().cloned(),
                _ => None,
            };
            let text = format!("the file of variables `{}` was not found", shown.join("`, `"));
            let problem = Diagnostic::new(text).at(&place.unwrap_or_else(|| play.origin.clone()));
            self.push(Level::Error, problem.rule("missing-file"));
        }
    }

    /// A file of variables: it has to be a mapping; its names are known from here on.
    pub(super) fn vars_file(&mut self, path: &Path, most: Option<Level>) {
        let node = self.project.read_file(path);
        self.take(crate::load::Loaded::default(), most);
        if let Some(node) = node {
            self.names.of_file(&node);
        }
    }
}

/// The argument that names a file of the controller, and the folder in which such files are.
fn source(task: &Task) -> Option<(&'static str, &'static str)> {
    let says = |name: &str| {
        static_text(task.args.get(name)).and_then(|text| catalog::arguments::truth(&text)).or_else(|| {
            match task.args.get(name) {
                Some(Value::Bool(value)) => Some(*value),
                // A template: nobody knows.
                Some(_) => Some(true),
                None => None,
            }
        })
    };
    match &*task.module {
        "copy" | "unarchive" if says("remote_src") == Some(true) => None,
        "unarchive" if says("copy") == Some(false) => None,
        "copy" | "unarchive" => Some(("src", "files")),
        "template" => Some(("src", "templates")),
        "script" if task.args.contains_key("cmd") => Some(("cmd", "files")),
        "script" => Some(("_raw_params", "files")),
        "include_vars" if task.args.contains_key("file") => Some(("file", "vars")),
        "include_vars" if task.args.contains_key("_raw_params") => Some(("_raw_params", "vars")),
        _ => None,
    }
}

fn certain_text(value: &Value) -> bool {
    static_text(Some(value)).is_some()
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().trim_matches(['"', '\'']).to_owned()
}
