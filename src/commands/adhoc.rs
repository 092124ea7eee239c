//! The program under the name `ansible`: one module on some hosts.

use std::path::{Path, PathBuf};

use catalog::{Json, Map};
use serde_json::json;

use crate::arguments::{AdHoc, Playing};
use crate::commands::memory::Errand;
use crate::report::{Minimal, Style};
use crate::setup::{Base, Problem};
use crate::terminal;

/// Modules that do nothing without an argument.
const NEED_ARGUMENTS: &[&str] = &["command", "shell", "raw", "script", "win_command", "win_shell"];

pub(crate) fn adhoc(asked: &AdHoc, style: Style) -> u8 {
    let mut base = match Base::new(&asked.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), false),
    };
    go(asked, style, &mut base).unwrap_or_else(|problem| terminal::show(&problem, &base.sources, false))
}

fn go(asked: &AdHoc, style: Style, base: &mut Base) -> Result<u8, Problem> {
    if asked.list_hosts {
        return list_hosts(asked, base);
    }
    let module = asked.module_name.as_str();
    let short = module.rsplit('.').next().unwrap_or_default();
    if NEED_ARGUMENTS.contains(&short) && asked.args.trim().is_empty() {
        return Err(Problem::Options(format!("No argument passed to {module} module")));
    }
    let playing = Playing {
        hosts: asked.hosts.clone(),
        given: asked.given.clone(),
        reach: asked.reach.clone(),
        check: asked.check,
        diff: asked.diff,
        verbose: asked.verbose,
        ..Playing::default()
    };
    let errand = Errand {
        pattern: &asked.pattern,
        task: task(asked)?,
        playing: &playing,
        dir: folder(asked.playbook_dir.as_deref(), base)?,
        // Arguments may be secrets.
        command: &format!("ansible {} -m {module}", asked.pattern),
        looks: false,
    };
    let style = Style { verbosity: asked.verbose, ..style };
    let wanted = base.config.text("DEFAULT_STDOUT_CALLBACK").unwrap_or_default();
    let one_line = base.config.flag("DEFAULT_LOAD_CALLBACK_PLUGINS") && wanted.ends_with("oneline");
    let (_, code) = errand.run(base, Box::new(Minimal::new(style, asked.one_line || one_line)))?;
    Ok(code)
}

/// The task as a playbook would have it.
fn task(asked: &AdHoc) -> Result<Json, Problem> {
    let args = asked.args.trim();
    let args = if args.starts_with('{') && !args.starts_with("{{") && !args.starts_with("{%") {
        serde_json::from_str(args)
            .map_err(|error| Problem::Options(format!("the arguments are not JSON: {error}")))?
    } else if args.is_empty() {
        Json::Null
    } else {
        json!(asked.args)
    };
    let mut task = Map::new();
    task.insert(asked.module_name.clone(), args);
    if let Some(seconds) = asked.background {
        task.insert("async".to_owned(), seconds.into());
        task.insert("poll".to_owned(), asked.poll.into());
    }
    Ok(Json::Object(task))
}

fn list_hosts(asked: &AdHoc, base: &mut Base) -> Result<u8, Problem> {
    let inventory = base.inventory(&asked.hosts)?;
    let patterns = [asked.pattern.clone()];
    let selected = inventory.selection(&patterns, asked.hosts.limit.as_deref(), &base.cwd)?;
    for name in &selected.unmatched {
        eprintln!("[WARNING]: Could not match supplied host pattern, ignoring: {name}");
    }
    println!("  hosts ({}):", selected.hosts.len());
    for host in selected.hosts {
        println!("    {host}");
    }
    Ok(0)
}

/// Beside which `group_vars`, `roles` and the like are.
pub(crate) fn folder(asked: Option<&Path>, base: &Base) -> Result<PathBuf, Problem> {
    let Some(asked) = asked else { return Ok(base.cwd.clone()) };
    let folder = base.cwd.join(asked);
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(Problem::Options(format!("{} is not a folder", asked.display())))
    }
}
