//! Modules that Theseus does not know: the project's own, those of collections, and slips of the pen.

use std::path::{Path, PathBuf};

use super::{Level, Surveyor};
use crate::diagnostic::Diagnostic;
use crate::load::{UnknownModule, collection_folder, full_names, short_name};
use crate::requirements::{self, Kind};

/// Modules of ansible-core: where they are not known here, they are no slips of the pen.
const BUILTIN: &[&str] = &[
    "add_host",
    "apt",
    "apt_key",
    "apt_repository",
    "assemble",
    "assert",
    "async_status",
    "blockinfile",
    "command",
    "copy",
    "cron",
    "deb822_repository",
    "debconf",
    "debug",
    "dnf",
    "dnf5",
    "dpkg_selections",
    "expect",
    "fail",
    "fetch",
    "file",
    "find",
    "gather_facts",
    "get_url",
    "getent",
    "git",
    "group",
    "group_by",
    "hostname",
    "iptables",
    "known_hosts",
    "lineinfile",
    "mount_facts",
    "package",
    "package_facts",
    "pause",
    "ping",
    "pip",
    "raw",
    "reboot",
    "replace",
    "rpm_key",
    "script",
    "service",
    "service_facts",
    "set_fact",
    "set_stats",
    "setup",
    "shell",
    "slurp",
    "stat",
    "subversion",
    "systemd",
    "systemd_service",
    "sysvinit",
    "tempfile",
    "template",
    "unarchive",
    "uri",
    "user",
    "validate_argument_spec",
    "wait_for",
    "wait_for_connection",
    "yum",
    "yum_repository",
];

impl Surveyor {
    pub(super) fn unknown_module(&mut self, unknown: &UnknownModule, worst: Level) {
        let name = short_name(&unknown.name);
        if self.is_supplied(name, &unknown.origin.file) {
            return;
        }
        let (level, mut problem) = match name.rsplit_once('.') {
            Some((collection, _)) => self.of_collection(collection, unknown),
            // One that is called nearly like this was meant; anything else may be an old name of a collection's.
            None if unknown.suggestion.is_some() && !is_of_collection(name) => {
                (Level::Error, Diagnostic::new(format!("there is no module or action `{name}`")))
            }
            None => (
                Level::Warning,
                Diagnostic::warning(format!(
                    "the module `{name}` is not one that Theseus has; its task fails when it is reached"
                ))
                .hint("check the spelling, or put it into the folder `library` of the project"),
            ),
        };
        if let Some(near) = unknown.suggestion.as_ref().filter(|_| level == Level::Error) {
            problem = problem.hint(format!("did you mean `{near}`?"));
        }
        let level = level.max(worst);
        self.push(level, problem.at(&unknown.origin).rule("unknown-module"));
    }

    fn of_collection(&self, collection: &str, unknown: &UnknownModule) -> (Level, Diagnostic) {
        let dir = unknown.origin.file.parent().unwrap_or(Path::new("/"));
        let config = &self.project.options().config;
        let name = &unknown.name;
        if collection_folder(config, dir, collection).is_some() {
            let text = format!("the collection `{collection}` has no module `{name}`");
            return (Level::Warning, Diagnostic::warning(text));
        }
        let text =
            format!("the module `{name}` is not one that Theseus has, and its collection is not installed");
        let bases = folders_above(dir);
        let listed = bases.iter().find(|base| {
            requirements::beside(base)
                .iter()
                .any(|one| one.kind == Kind::Collection && one.name == collection)
        });
        let advice = requirements::advice(Kind::Collection, collection, listed.map_or(dir, |base| base));
        (Level::Warning, Diagnostic::warning(text).hint(advice))
    }

    /// By a folder `library` above the file, or by an installed collection.
    fn is_supplied(&self, name: &str, file: &Path) -> bool {
        if let Some((collection, module)) = name.rsplit_once('.') {
            let dir = file.parent().unwrap_or(Path::new("/"));
            let folder = collection_folder(&self.project.options().config, dir, collection);
            let has = |part: &str| {
                folder.as_ref().is_some_and(|folder| {
                    folder.join("plugins").join(part).join(format!("{module}.py")).is_file()
                })
            };
            return has("modules") || has("action");
        }
        let files = |dir: &PathBuf| {
            ["library", "plugins/modules", "action_plugins", "modules"].iter().any(|part| {
                let folder = dir.join(part);
                folder.join(format!("{name}.py")).is_file()
                    || folder.join(name).is_file()
                    || folder.join(format!("{name}.sh")).is_file()
            })
        };
        folders_above(file).iter().any(files)
    }
}

/// A short name that a collection is known to have.
fn is_of_collection(name: &str) -> bool {
    full_names(name).len() > 1 || name.starts_with("win_") || BUILTIN.contains(&name)
}

/// The folders around a file, nearest first.
fn folders_above(file: &Path) -> Vec<PathBuf> {
    file.ancestors().skip(1).take(6).map(Path::to_owned).collect()
}
