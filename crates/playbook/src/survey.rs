//! Reading a whole project to find mistakes in it: every task file, role, handler, variable file and template
//! that its playbooks and roles can come to, whether or not a run would reach it.

mod files;
mod handlers;
mod modules;
mod names;
mod notes;
mod targets;
mod tasks;
mod texts;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::Engine;

use crate::diagnostic::Diagnostic;
use crate::ir::{Node, Play, Role};
use crate::load::{LoadOptions, Loaded, Project};
use crate::requirements;
use handlers::Handlers;
use names::Names;
pub use targets::{Targets, targets};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub level: Level,
    pub diagnostic: Diagnostic,
}

/// What was found, sorted by file and place.
#[derive(Debug, Default)]
pub struct Survey {
    pub findings: Vec<Finding>,
    pub plays: usize,
    pub tasks: usize,
    pub files: usize,
}

/// What is known from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Names of variables of the inventory.
    pub names: HashSet<String>,
    /// The inventory has hosts, so that what it does not define is not defined.
    pub has_hosts: bool,
}

/// Reads everything.
pub fn survey(targets: &Targets, options: LoadOptions, given: &Given) -> Survey {
    let engine = options.engine.clone();
    let mut surveyor = Surveyor {
        project: Project::partly(options),
        engine,
        found: Vec::new(),
        tasks: HashSet::new(),
        loaded: HashSet::new(),
        templates: HashSet::new(),
        roles: HashMap::new(),
        names: Names::new(given),
        local: false,
        plugins: false,
    };
    let mut plays = 0;
    let mut dirs: Vec<Arc<Path>> = Vec::new();
    for playbook in &targets.playbooks {
        surveyor.plugins |= playbook.parent().is_some_and(has_plugins);
        let (read, loaded) = surveyor.project.read_playbook(playbook);
        surveyor.take(loaded, None);
        plays += read.len();
        dirs.extend(read.iter().map(|play| play.dir.clone()));
        surveyor.scan_names(playbook.parent().unwrap_or(Path::new(".")));
        read.iter().for_each(|play| surveyor.play(play, false));
    }
    for role in &targets.roles {
        if surveyor.roles.contains_key(role.as_path()) {
            continue;
        }
        let (read, loaded) = surveyor.project.read_role(role);
        surveyor.take(loaded, None);
        read.iter().for_each(|play| surveyor.play(play, true));
    }
    dirs.sort();
    dirs.dedup();
    for dir in &dirs {
        let missing = requirements::missing(&surveyor.project.options().config, dir);
        missing.into_iter().for_each(|one| surveyor.note(one));
    }
    surveyor.finish(plays)
}

struct Surveyor {
    project: Project,
    engine: Arc<Engine>,
    found: Vec<Finding>,
    /// Tasks that were looked at, by place: a role of ten plays is looked at once.
    tasks: HashSet<String>,
    /// Files of dynamic includes that were read, each with its role.
    loaded: HashSet<(PathBuf, Option<Arc<Path>>)>,
    templates: HashSet<PathBuf>,
    roles: HashMap<PathBuf, Arc<Role>>,
    names: Names,
    /// Something runs on this machine: files may come to be.
    local: bool,
    /// The project has filters of its own.
    plugins: bool,
}

/// Where the walk is.
#[derive(Clone)]
struct Here<'a> {
    play: &'a Arc<Play>,
    /// Reached in every run of the play.
    certain: bool,
    /// Only the role is looked at: who uses it gives variables and handlers.
    alone: bool,
    depth: u32,
}

impl Surveyor {
    fn push(&mut self, level: Level, diagnostic: Diagnostic) {
        self.found.push(Finding { level, diagnostic });
    }
    /// An error, or a warning if it says so itself.
    fn note(&mut self, diagnostic: Diagnostic) {
        self.push(if diagnostic.warning { Level::Warning } else { Level::Error }, diagnostic);
    }

    /// What came beside the content of files. `most`: nothing is worse than this.
    fn take(&mut self, loaded: Loaded, most: Option<Level>) {
        let worst = most.unwrap_or(Level::Error);
        for mistake in self.project.mistakes() {
            // The project's own filters are only there in a run.
            let own = self.plugins
                && ["No filter named", "No test named"].iter().any(|t| mistake.message.starts_with(t));
            self.push(if own { worst.max(Level::Warning) } else { worst }, mistake);
        }
        for warning in loaded.warnings {
            self.push(worst.max(Level::Warning), warning);
        }
        for unknown in &loaded.unknown_modules {
            self.unknown_module(unknown, worst);
        }
    }

    fn play(&mut self, play: &Arc<Play>, alone: bool) {
        self.local |= is_local(play);
        self.plugins |= has_plugins(&play.dir);
        self.names.of_play(play);
        // What this play includes notifies handlers of this play.
        self.loaded.clear();
        let mut handlers = Handlers::default();
        let here = Here { play, certain: true, alone, depth: 0 };
        for role in &play.static_roles {
            self.role(role, &here);
        }
        self.vars_files(play);
        handlers.define_all(&play.handlers);
        let sections = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks];
        for nodes in sections {
            self.nodes(nodes, &here, &mut handlers);
        }
        let own: Vec<Node> = play.handlers.iter().map(|handler| Node::Task(handler.clone())).collect();
        self.nodes(&own, &Here { certain: false, ..here.clone() }, &mut handlers);
        for role in play.static_roles.clone() {
            self.leftovers(&role, &here, &mut handlers);
        }
        let absent = self.found.iter().any(|finding| finding.diagnostic.rule == Some("missing-role"));
        let found = handlers.findings(alone || absent);
        self.found.extend(found);
    }

    fn role(&mut self, role: &Arc<Role>, here: &Here<'_>) {
        if self.roles.insert(role.path.to_path_buf(), role.clone()).is_some() {
            return;
        }
        self.names.of_role(role);
        self.plugins |= has_plugins(&role.path);
        self.scan_names(&role.path);
        let _ = here;
    }

    fn finish(mut self, plays: usize) -> Survey {
        // What is not there may define anything.
        let absent = |finding: &Finding| finding.diagnostic.rule == Some("missing-role");
        self.names.open_for(self.found.iter().any(absent));
        let undefined = self.names.findings();
        self.found.extend(undefined);
        let tasks = self.tasks.len();
        let files = self.project.files_read().len() + self.templates.len();
        let mut findings = self.found;
        let key = |finding: &Finding| {
            let place = finding.diagnostic.origin.as_ref();
            (
                place.map(|origin| origin.file.clone()),
                place.map(|origin| (origin.line, origin.column)),
                finding.level,
                finding.diagnostic.message.clone(),
            )
        };
        findings.sort_by_cached_key(key);
        // The worst of what is said twice stays: it is first.
        let mut seen = HashSet::new();
        findings.retain(|finding| {
            let place = finding.diagnostic.origin.as_ref().map(ToString::to_string);
            seen.insert((place, finding.diagnostic.message.clone()))
        });
        Survey { findings, plays, tasks, files }
    }
}

/// Whether files may come to be on this machine while the play runs.
fn is_local(play: &Play) -> bool {
    let hosts = play.hosts.python_str().unwrap_or_default();
    let connection = play.keywords.connection.as_ref().and_then(|value| value.as_str());
    hosts.contains("localhost") || hosts.contains("127.0.0.1") || connection == Some("local")
}

fn has_plugins(dir: &Path) -> bool {
    ["filter_plugins", "test_plugins", "plugins/filter", "plugins/test"]
        .iter()
        .any(|name| dir.join(name).is_dir())
}

#[cfg(test)]
mod tests;
