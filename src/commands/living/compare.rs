//! `theseus diff HOST IMAGE`: every path of both, and their packages; what is of the one machine is left out.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Json, Map};
use image::{Image, Store};
use serde_json::json;

use super::ask;
use crate::arguments::{Diff, Means};
use crate::commands::bake::{failed, store};
use crate::commands::diff::same;
use crate::commands::effect::{Change, Question};
use crate::report::{self, Output, Style};
use crate::setup::{Base, Problem};

/// One side of a comparison.
pub(crate) enum Side {
    Image(Box<Image>),
    /// A host, with its generation or without.
    Host,
}

/// An image only where no host is called so.
pub(crate) fn side(text: &str, means: &Means, base: &mut Base) -> Result<Side, Problem> {
    let name = text.split('@').next().unwrap_or_default();
    let known = base.inventory(&means.hosts)?.hosts.keys().any(|host| **host == *name);
    if known || !rustix::process::geteuid().is_root() {
        return Ok(Side::Host);
    }
    let found = store()?.resolve(text.strip_prefix("image:").unwrap_or(text));
    Ok(found.map_or(Side::Host, |image| Side::Image(Box::new(image))))
}

/// What is different: what one has to do to the host to get the image.
pub(super) struct Difference {
    pub(super) store: Store,
    pub(super) root: std::path::PathBuf,
    /// Before (on the host) and after (in the image), by path; `null`: nothing there.
    pub(super) paths: BTreeMap<String, (Json, Json)>,
    /// Versions.
    pub(super) packages: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Paths that packages of either side own.
    owned: BTreeSet<String>,
}

/// Lists paths, packages and what these own, each part after a line of its own.
const LOOK: &str = r"find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/lib/theseus \) -prune -o -print; echo //; if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${Package} ${Version} ${Status}\n'; fi; echo //; cat /var/lib/dpkg/info/*.list 2>/dev/null; true";

pub(super) fn difference(
    question: &Question<'_>,
    image: &Image,
    base: &mut Base,
) -> Result<Difference, Problem> {
    let store = store()?;
    let root = store.rootfs(image).map_err(failed)?;
    let looked = ask(question, base, json!({"shell": LOOK, "changed_when": false}))?;
    let text = looked["stdout"].as_str().unwrap_or_default();
    let mut parts = text.split("\n//");
    let mut part = || parts.next().unwrap_or_default().lines().filter(|line| !line.is_empty());
    let there: BTreeSet<String> = part().map(str::to_owned).collect();
    let before: BTreeMap<String, String> = part().filter_map(installed).collect();
    let mut owned: BTreeSet<String> = part().map(str::to_owned).collect();
    owned.extend(image::owned(&store, image).map_err(failed)?.into_iter().map(|path| format!("/{path}")));
    let packages = image::packages(&store, image).map_err(failed)?;
    let after: BTreeMap<String, String> =
        packages.into_iter().map(|package| (package.name, package.version)).collect();
    let mut wanted = there;
    wanted.extend(image::paths(&store, image).map_err(failed)?.into_iter().map(|path| format!("/{path}")));
    wanted.retain(|path| path != "/" && !image::of_one_machine(path));
    let states = question.ask_one(base, json!({"ask": "states", "contents": false, "paths": wanted}))?;
    let states = states.map_err(|_| Problem::Other(format!("{} did not answer", question.pattern)))?;
    Ok(Difference {
        paths: paths(&root, &wanted, &states)?,
        packages: versions(&before, &after),
        store,
        root,
        owned,
    })
}

/// `NAME VERSION install ok installed`
fn installed(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?);
    line.ends_with(" installed").then(|| (name.to_owned(), version.to_owned()))
}

fn paths(
    root: &std::path::Path,
    wanted: &BTreeSet<String>,
    states: &Map,
) -> Result<BTreeMap<String, (Json, Json)>, Problem> {
    let mut found = BTreeMap::new();
    for path in wanted {
        let before = states["states"].get(path).cloned().unwrap_or_default();
        let here = layer::observe(&root.join(&path[1..])).map_err(|error| error.to_string())?;
        let after = serde_json::to_value(here).map_err(|error| error.to_string())?;
        if !same(&before, &after, true) {
            found.insert(path.clone(), (before, after));
        }
    }
    Ok(found)
}

fn versions(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let pair = |name: &String| (name.clone(), (before.get(name).cloned(), after.get(name).cloned()));
    names.into_iter().map(pair).filter(|(_, (before, after))| before != after).collect()
}

impl Difference {
    /// The path came or went with a package whose version differs.
    fn by_package(&self, path: &str) -> bool {
        let own = self.owned.contains(path)
            || path.strip_prefix("/usr").is_some_and(|rest| self.owned.contains(rest));
        !self.packages.is_empty() && (own || path.starts_with("/var/lib/dpkg/"))
    }
}

/// Whether there is a difference. `host_first`: the host is the older side.
pub(crate) fn diff(
    asked: &Diff,
    (host, image): (&str, &Image),
    host_first: bool,
    style: Style,
    command: &str,
    base: &mut Base,
) -> Result<bool, Problem> {
    let question = Question { pattern: host, means: &asked.means, command, looks: true };
    let found = difference(&question, image, base)?;
    let turned = |(before, after): (Json, Json)| if host_first { (before, after) } else { (after, before) };
    let json = style.output == Output::Json;
    for (name, (before, after)) in &found.packages {
        let (before, after) = if host_first { (before, after) } else { (after, before) };
        let kind = if before.is_none() {
            "added"
        } else if after.is_none() {
            "removed"
        } else {
            "changed"
        };
        if json {
            report::json_line(
                json!({"event": "change", "host": asked.after, "object": format!("package:{name}"), "kind": kind, "before": before, "after": after, "declared": false}),
            );
        } else {
            let shown = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
            println!("{kind:<8} package:{name}  {} -> {}", shown(before), shown(after));
        }
    }
    let mut in_packages = 0;
    for (path, pair) in &found.paths {
        let (before, after) = turned(pair.clone());
        let change =
            Change { host: &asked.after, path, before: &before, after: &after, cause: None, secret: true };
        if json {
            report::json_line(change.json());
        } else if found.by_package(path) {
            in_packages += 1;
        } else {
            print!("{}", change.text(style, &Json::Null, true));
        }
    }
    if !json && in_packages > 0 {
        println!("and {in_packages} paths of those packages");
    }
    let any = !found.paths.is_empty() || !found.packages.is_empty();
    if !json && !any {
        println!("no difference between {} and {}", asked.before, asked.after);
    }
    Ok(any)
}
