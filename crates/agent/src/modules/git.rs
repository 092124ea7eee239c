//! `git`: a working copy (or bare copy) of a repository at a version.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::module::{Failure, Module, Outcome, Task};

mod repository;

use repository::Repository;

const ARGS: &[Arg] = &[
    Arg::str("repo").required().aliases(&["name"]),
    Arg::path("dest"),
    Arg::str("version").default("HEAD"),
    Arg::str("remote").default("origin"),
    Arg::str("refspec"),
    Arg::path("reference"),
    Arg::bool("force").default("false"),
    Arg::int("depth"),
    Arg::bool("clone").default("true"),
    Arg::bool("update").default("true"),
    Arg::bool("verify_commit").default("false"),
    Arg::list("gpg_allowlist").default("").aliases(&["gpg_whitelist"]),
    Arg::bool("accept_hostkey").default("false"),
    Arg::bool("accept_newhostkey").default("false"),
    Arg::path("key_file"),
    Arg::str("ssh_opts"),
    Arg::path("executable"),
    Arg::bool("bare").default("false"),
    Arg::bool("recursive").default("true"),
    Arg::bool("single_branch").default("false"),
    Arg::bool("track_submodules").default("false"),
    Arg::raw("umask"),
    Arg::path("archive"),
    Arg::str("archive_prefix"),
    Arg::path("separate_git_dir"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("git", ARGS)
        .mutually_exclusive(&[&["accept_hostkey", "accept_newhostkey"], &["separate_git_dir", "bare"]])
        .required_by(&[("archive_prefix", &["archive"])])
        .asked(&[("clone", "True", &["dest"], "the destination directory must be specified unless clone=no")]), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let clone = args.bool("clone");
    let dest = PathBuf::from(args.string("dest"));
    let repository = Repository::new(args, &dest, task)?;
    let exists = args.has("dest") && repository.exists();
    if !exists && (task.check || !clone) {
        let after = repository.remote_version(task, None)?;
        return Ok(fresh(&after));
    }
    if !exists {
        repository.clone_it(task)?;
        repository.switch(task)?;
        repository.submodules(task)?;
        let after = repository.own_version(task)?;
        return archived(&repository, fresh(&after), task);
    }
    let before = repository.own_version(task)?;
    if !args.bool("update") {
        let outcome = Outcome::changed(false).with("before", before.as_str()).with("after", before.as_str());
        return archived(&repository, outcome.with("remote_url_changed", false), task);
    }
    update(&repository, &before, task)
}

fn fresh(after: &str) -> Outcome {
    Outcome::changed(true)
        .with("before", Json::Null)
        .with("after", after)
        .diff(json!({"prepared": format!(">> Newly checked out {after}")}))
}

fn update(repository: &Repository, before: &str, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default().with("before", before);
    let shown = repository.dest.display();
    let mut changed = false;
    if repository.local_changes(task)? {
        if !repository.force {
            let message = format!("Local modifications exist in the destination: {shown} (force=no).");
            return Err(Failure::new(message).with("before", before));
        }
        outcome.set("msg", format!("Local modifications exist in the destination: {shown}"));
        changed = true;
        if !task.check {
            repository.act(task, &["reset", "--hard", "HEAD", "--"])?;
        }
    }
    let url_changed = repository.set_url(task)?;
    outcome.set("remote_url_changed", url_changed);
    changed |= url_changed;
    let after = if task.check {
        repository.remote_version(task, Some(before))?
    } else {
        repository.fetch(task)?;
        repository.switch(task)?;
        changed |= repository.submodules(task)?;
        repository.own_version(task)?
    };
    changed |= before != after;
    if before != after && task.diff {
        outcome = outcome.diff(repository.diff(task, before, &after));
    }
    outcome.changed = changed;
    archived(repository, outcome.with("after", after), task)
}

/// `archive`: the version also as an archive file.
fn archived(repository: &Repository, mut outcome: Outcome, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let Some(archive) = &repository.archive else { return Ok(outcome) };
    if task.check {
        outcome.changed = true;
        return Ok(outcome);
    }
    let bytes = repository.make_archive(task, archive)?;
    let path = Path::new(archive);
    let same = path.is_file() && crate::files::read(path)? == bytes;
    if !same {
        task.recorder.write(path, bytes.as_slice(), &layer::Attributes::default())?;
        outcome.changed = true;
    }
    outcome.set("archive", archive.as_str());
    Ok(outcome)
}
