//! `theseus image apply IMAGE HOST`: what differs is brought to the host as one more layer of it, which can be undone.

use std::fs;
use std::path::Path;

use image::Store;
use serde_json::json;

use super::compare::difference;
use crate::arguments::{Means, Own, Playing};
use crate::commands::apply::go;
use crate::commands::bake::{failed, store};
use crate::commands::effect::Question;
use crate::report::Style;
use crate::setup::{Base, Problem};

/// A folder of the store's workshop, removed when dropped.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The exit code of the run that did it.
pub(crate) fn apply(
    store_of: &Store,
    text: &str,
    host: &str,
    (means, check): (&Means, bool),
    style: Style,
    command: &str,
) -> Result<u8, Problem> {
    let image = store_of.resolve(text).map_err(failed)?;
    let mut base = Base::new(&means.given)?;
    let question = Question { pattern: host, means, command, looks: true };
    let found = difference(&question, &image, &mut base)?;
    if found.paths.is_empty() {
        println!("{host} is as {} is: nothing to do", image.short());
        return Ok(0);
    }
    let folder = Folder(store()?.root().join("work").join(format!("apply.{}", std::process::id())));
    fs::create_dir_all(&folder.0).map_err(|error| format!("{}: {error}", folder.0.display()))?;
    let (gone, brought): (Vec<_>, Vec<_>) = found.paths.iter().partition(|(_, (_, after))| after.is_null());
    let brought: Vec<&str> = brought.into_iter().map(|(path, _)| &path[1..]).collect();
    let archive = folder.0.join("difference.tar");
    found.store.pack(&found.root, &brought, image.epoch, &archive).map_err(failed)?;
    let gone = outermost(gone.into_iter().map(|(path, _)| path.as_str()));
    let play = json!([{
        "name": format!("{} becomes {}", host, image.short()),
        "hosts": host,
        "gather_facts": false,
        "become": !means.own_user,
        "tasks": [
            {"name": "What the image has not", "file": {"path": "{{ item }}", "state": "absent"}, "loop": gone, "when": !gone.is_empty()},
            {"name": "What the image has", "unarchive": {"src": archive, "dest": "/"}},
            {"name": "Units are read again", "shell": "if test -d /run/systemd/system; then systemctl daemon-reload; fi", "changed_when": false},
        ],
    }]);
    let file = folder.0.join("apply.yml");
    write(&file, &serde_json::to_string_pretty(&play).map_err(|error| error.to_string())?)?;
    let playing = Playing {
        playbooks: vec![file],
        hosts: means.hosts.clone(),
        given: means.given.clone(),
        reach: means.reach.clone(),
        check,
        ..Playing::default()
    };
    let code = go(&playing, &Own::default(), style, command, &mut base)?;
    if code == 0 && !check {
        println!(
            "{host} has the files of {} now; services that run go on as they were started",
            image.short()
        );
    }
    Ok(code)
}

fn write(file: &Path, text: &str) -> Result<(), Problem> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Without what goes with a directory that goes.
fn outermost<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::new();
    for path in paths {
        let inside =
            kept.iter().any(|above| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/')));
        if !inside {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_goes_with_a_directory_is_not_named() {
        let all = ["/a", "/a/b", "/ab", "/c/d", "/c/d/e"];
        assert_eq!(super::outermost(all.into_iter()), ["/a", "/ab", "/c/d"]);
    }
}
