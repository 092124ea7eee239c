//! What surrounds a task while it is read: inherited keywords, role, folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::Value;

use super::push_params;
use crate::ir::{Keywords, Play, Role, Task, Vars};

#[derive(Clone)]
pub(super) struct Around {
    pub(super) keywords: Arc<Keywords>,
    pub(super) notify: Vec<Value>,
    pub(super) role: Option<Arc<Role>>,
    /// Folder of the file that is read.
    pub(super) dir: Arc<Path>,
    pub(super) search: Arc<Vec<PathBuf>>,
    pub(super) playbook_dir: Arc<Path>,
    pub(super) play_vars: Arc<Vars>,
    /// Reading handlers, not tasks.
    pub(super) handlers: bool,
    /// Inside a block: handlers of blocks cannot be blocks again.
    pub(super) in_block: bool,
    /// Inside a block that has a `rescue`: failures are dealt with.
    pub(super) rescued: bool,
    pub(super) depth: u32,
    /// Files that import each other down to here, to find circles.
    pub(super) files: Vec<PathBuf>,
}

impl Around {
    pub(super) fn of_play(play: &Play) -> Self {
        Self::root(play.keywords.clone(), &play.dir, play.vars.clone())
    }

    pub(super) fn root(keywords: Arc<Keywords>, dir: &Arc<Path>, play_vars: Arc<Vars>) -> Self {
        let mut around = Self {
            keywords,
            notify: Vec::new(),
            role: None,
            dir: dir.clone(),
            search: Arc::default(),
            playbook_dir: dir.clone(),
            play_vars,
            handlers: false,
            in_block: false,
            rescued: false,
            depth: 0,
            files: Vec::new(),
        };
        around.refresh();
        around
    }

    /// What children of a dynamic include see.
    pub(super) fn of_include(task: &Task, play: &Play, vars: &Vars) -> Self {
        let mut around = Self::root(play.keywords.clone(), &play.dir, play.vars.clone());
        if let Some(include) = &task.include {
            let mut inherited = (*include.inherited).clone();
            // Variables of the include itself hold for what it includes; its other keywords do not.
            inherited.vars.clone_from(&task.keywords.vars);
            push_params(&mut inherited.vars, vars);
            around.keywords = match &include.apply {
                Some(apply) => Arc::new((**apply).clone().within(&inherited)),
                None => Arc::new(inherited),
            };
            around.notify.clone_from(&include.notify);
            around.depth = include.depth + 1;
        }
        around.role.clone_from(&task.role);
        around.dir = task.dir.clone();
        around.handlers = task.is_handler;
        around.refresh();
        around
    }

    /// Reading goes on in another file.
    pub(super) fn enter_file(&mut self, path: &Path) {
        self.dir = path.parent().unwrap_or(Path::new("/")).into();
        self.files.push(path.to_owned());
        self.refresh();
    }

    pub(super) fn enter_role(&mut self, role: Arc<Role>) {
        self.role = Some(role);
        self.refresh();
    }

    /// Search folders: the role, those that pulled it in, the file's folder, the playbook's.
    fn refresh(&mut self) {
        let mut search: Vec<PathBuf> = Vec::new();
        if let Some(role) = &self.role {
            search.push(role.path.to_path_buf());
            search.extend(role.chain.iter().rev().map(|parent| parent.path.to_path_buf()));
        }
        for dir in [&self.dir, &self.playbook_dir] {
            if !search.iter().any(|known| **known == **dir) {
                search.push(dir.to_path_buf());
            }
        }
        self.search = Arc::new(search);
    }
}
