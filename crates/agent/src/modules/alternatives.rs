//! `alternatives`: which program stands behind a common name (`update-alternatives`).

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, Kind, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};

const SUBCOMMANDS: &[Arg] =
    &[Arg::str("name").required(), Arg::path("path").required(), Arg::path("link").required()];

const ARGS: &[Arg] = &[
    Arg::str("name").required(),
    Arg::path("path"),
    Arg::str("family"),
    Arg::path("link"),
    Arg::int("priority"),
    Arg::str("state").default("selected").choices(&["present", "selected", "absent", "auto"]),
    Arg::list("subcommands").of(&Kind::Dict).aliases(&["slaves"]).options(SUBCOMMANDS),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("alternatives", ARGS)
        .collection("community.general")
        .required_one_of(&[&["path", "family"]]),
    run,
};

/// Where the two families of systems keep what is registered, in the same format.
const KEPT: [&str; 2] = ["/var/lib/dpkg/alternatives", "/var/lib/alternatives"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Subcommand {
    name: String,
    path: String,
    link: String,
}

#[derive(Debug, Default)]
struct Choice {
    path: String,
    family: Option<String>,
    priority: i64,
    subcommands: Vec<Subcommand>,
}

#[derive(Debug, Default)]
struct Known {
    manual: bool,
    link: String,
    current: Option<String>,
    choices: Vec<Choice>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let name = args.string("name");
    let known = read(&name);
    let choice = known.as_ref().and_then(|known| chosen(known, args));
    let path = match (args.str("path"), choice) {
        (Some(path), _) => path.to_owned(),
        (None, Some(choice)) => choice.path.clone(),
        (None, None) => return Err("path is needed, as nothing of this family is registered".into()),
    };
    let state = args.string("state");
    let mut messages = Vec::new();
    let mut after = json!({});
    if state == "absent" {
        if choice.is_some() {
            messages.push(format!("Remove alternative '{path}' from '{name}'."));
            after["state"] = json!("absent");
            change(task, &["--remove", &name, &path])?;
        }
    } else {
        let fits = choice.is_some_and(|choice| fits(choice, known.as_ref(), args));
        if !fits {
            install(args, task, &name, &path, known.as_ref(), choice, &mut after)?;
            messages.push(format!("Install alternative '{path}' for '{name}'."));
        }
        let current = known.as_ref().and_then(|k| k.current.as_deref());
        if state == "selected" && current != Some(&path) {
            after["state"] = json!("selected");
            change(task, &["--set", &name, &path])?;
            messages.push(format!("Set alternative '{path}' for '{name}'."));
        }
        if state == "auto" && known.as_ref().is_none_or(|k| k.manual) {
            after["state"] = json!("present");
            change(task, &["--auto", &name])?;
            messages.push(format!("Set alternative to auto for '{name}'."));
        }
    }
    let diff = json!({"before": before(known.as_ref(), choice), "after": after});
    Ok(Outcome::changed(!messages.is_empty()).with("msg", messages.join(" ")).diff(diff))
}

fn chosen<'a>(known: &'a Known, args: &Args) -> Option<&'a Choice> {
    known.choices.iter().find(|choice| match args.str("path") {
        Some(path) => choice.path == path,
        None => choice.family.as_deref() == args.str("family"),
    })
}

fn wanted_subcommands(args: &Args) -> Option<Vec<Subcommand>> {
    let text =
        |map: &catalog::Map, key: &str| map.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let all = args.list("subcommands")?.iter().filter_map(Json::as_object);
    Some(
        all.map(|m| Subcommand { name: text(m, "name"), path: text(m, "path"), link: text(m, "link") })
            .collect(),
    )
}

/// Whether what is registered is what was asked for. What was not said is as it is.
fn fits(choice: &Choice, known: Option<&Known>, args: &Args) -> bool {
    let sorted = |mut list: Vec<Subcommand>| {
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    };
    args.int("priority").is_none_or(|p| p == choice.priority)
        && args.str("link").is_none_or(|l| known.is_some_and(|k| k.link == l))
        && args.str("family").is_none_or(|f| choice.family.as_deref() == Some(f))
        && wanted_subcommands(args).is_none_or(|list| sorted(list) == sorted(choice.subcommands.clone()))
}

fn install(
    args: &Args,
    task: &mut Task<'_>,
    name: &str,
    path: &str,
    known: Option<&Known>,
    choice: Option<&Choice>,
    after: &mut Json,
) -> Result<(), Failure> {
    if !Path::new(path).exists() {
        return Err(Failure::new(format!("Specified path {path} does not exist")));
    }
    let link = args.str("link").map(str::to_owned).or_else(|| known.map(|k| k.link.clone()));
    let Some(link) = link else {
        return Err(
            "Needed to install the alternative, but unable to do so as we are missing the link".into()
        );
    };
    let priority = args.int("priority").or(choice.map(|c| c.priority)).unwrap_or(50);
    let kept = || choice.map(|c| c.subcommands.clone()).unwrap_or_default();
    let subcommands = wanted_subcommands(args).unwrap_or_else(kept);
    let number = priority.to_string();
    let mut argv = vec!["--install", &link, name, path, &number];
    argv.extend(args.str("family").iter().flat_map(|family| ["--family", family]));
    for sub in &subcommands {
        argv.extend(["--slave", &sub.link, &sub.name, &sub.path]);
    }
    *after = json!({
        "state": "present", "path": path, "family": args.str("family"), "priority": priority, "link": link,
    });
    if !subcommands.is_empty() {
        after["subcommands"] = shown(&subcommands);
    }
    change(task, &argv)
}

fn change(task: &mut Task<'_>, words: &[&str]) -> Result<(), Failure> {
    if task.check {
        return Ok(());
    }
    let program = ["update-alternatives", "alternatives"].into_iter().find(|p| find_program(p).is_some());
    let program = program.ok_or("Failed to find required executable \"update-alternatives\"")?;
    let argv: Vec<&str> = std::iter::once(program).chain(words.iter().copied()).collect();
    children::expect(children::act(task, &argv)?).map(drop)
}

fn before(known: Option<&Known>, choice: Option<&Choice>) -> Json {
    let Some(known) = known else { return json!({}) };
    let Some(choice) = choice else { return json!({"state": "absent"}) };
    // `selected` means here, as in the reference: somebody selected another one.
    let other = known.manual && known.current.as_deref() != Some(&choice.path);
    let mut all = json!({
        "state": if other { "selected" } else { "present" },
        "path": choice.path, "priority": choice.priority, "link": known.link,
    });
    if let Some(family) = &choice.family {
        all["family"] = json!(family);
    }
    if !choice.subcommands.is_empty() {
        all["subcommands"] = shown(&choice.subcommands);
    }
    all
}

fn shown(subcommands: &[Subcommand]) -> Json {
    subcommands.iter().map(|s| json!({"name": s.name, "path": s.path, "link": s.link})).collect()
}

fn read(name: &str) -> Option<Known> {
    let text = KEPT.iter().find_map(|dir| std::fs::read_to_string(Path::new(dir).join(name)).ok())?;
    let current = std::fs::read_link(Path::new("/etc/alternatives").join(name)).ok();
    parse(&text, current)
}

/// Mode, link, pairs of subcommand and its link up to an empty line; then each choice: path, priority (with the
/// family before it, `@family@50`), and the path of each subcommand.
fn parse(text: &str, current: Option<PathBuf>) -> Option<Known> {
    let mut lines = text.lines();
    let manual = lines.next()? == "manual";
    let link = lines.next()?.to_owned();
    let mut subcommands = Vec::new();
    while let Some(name) = lines.next().filter(|line| !line.is_empty()) {
        subcommands.push((name.to_owned(), lines.next()?.to_owned()));
    }
    let mut choices = Vec::new();
    while let Some(path) = lines.next().filter(|line| !line.is_empty()) {
        let number = lines.next()?;
        let (family, number) = match number.strip_prefix('@').and_then(|rest| rest.split_once('@')) {
            Some((family, number)) => (Some(family.to_owned()), number),
            None => (None, number),
        };
        let priority = number.split_whitespace().next()?.parse().ok()?;
        let mut choice = Choice { path: path.to_owned(), family, priority, subcommands: Vec::new() };
        for (name, link) in &subcommands {
            let path = lines.next().unwrap_or_default();
            if !path.is_empty() {
                let (name, path, link) = (name.clone(), path.to_owned(), link.clone());
                choice.subcommands.push(Subcommand { name, path, link });
            }
        }
        choices.push(choice);
    }
    Some(Known { manual, link, current: current.map(|p| p.to_string_lossy().into_owned()), choices })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn both_families_of_systems_are_read() {
        let debian = "auto\n/usr/bin/pager\npager.1.gz\n/usr/share/man/man1/pager.1.gz\n\n/bin/more\n50\n/m1\n/usr/bin/less\n77\n\n\n";
        let known = parse(debian, None).unwrap();
        assert_eq!(known.choices.len(), 2);
        assert_eq!(known.choices[0].subcommands[0].path, "/m1");
        assert!(known.choices[1].subcommands.is_empty() && !known.manual);
        let redhat = parse("manual\n/usr/bin/java\n\n/jre/java\n@jre_17@100\n", None).unwrap();
        assert_eq!(redhat.choices[0].family.as_deref(), Some("jre_17"));
        assert_eq!((redhat.choices[0].priority, redhat.manual), (100, true));
    }
}
