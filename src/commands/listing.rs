//! `--list-hosts`, `--list-tasks`, `--list-tags`, `--syntax-check`: what would be run, touching no host.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use playbook::ir::{Node, Play, Task, Vars};
use playbook::load::Project;
use playbook::vars::{PlayVars, Scope, Variables};
use run::settings::Settings;

use crate::arguments::Playing;
use crate::setup::Problem;

/// `None`: nothing of the kind was asked for.
pub(crate) fn list(
    playing: &Playing,
    project: &Project,
    variables: &Arc<Variables>,
    settings: &Settings,
) -> Result<Option<String>, Problem> {
    let listing = playing.list_hosts || playing.list_tasks || playing.list_tags;
    if !listing && !playing.syntax_check {
        return Ok(None);
    }
    let mut out = String::new();
    for playbook in &playing.playbooks {
        let _ = writeln!(out, "\nplaybook: {}", playbook.display());
    }
    if !listing {
        return Ok(Some(out));
    }
    for (number, play) in project.plays.iter().enumerate() {
        describe(&mut out, number + 1, play, playing, variables, settings)?;
    }
    Ok(Some(out))
}

fn describe(
    out: &mut String,
    number: usize,
    play: &Arc<Play>,
    playing: &Playing,
    variables: &Arc<Variables>,
    settings: &Settings,
) -> Result<(), Problem> {
    let vars = PlayVars::new(play.clone());
    let scope = Scope::new(variables, &vars, None, None, Vars::new());
    let as_problem = |e: expressions::Error| Problem::from(playbook::Diagnostic::from(e).at(&play.origin));
    let hosts = scope.resolved(&play.hosts).map_err(as_problem)?;
    let pattern: Vec<String> = match hosts.as_list() {
        Some(list) => list.iter().filter_map(|h| h.python_str().ok()).collect(),
        None => vec![hosts.python_str().map_err(as_problem)?],
    };
    let name = play.name.as_ref().and_then(|n| scope.text(n).ok()).unwrap_or_else(|| pattern.join(","));
    let _ = writeln!(
        out,
        "\n  play #{number} ({}): {name}\tTAGS: [{}]",
        pattern.join(","),
        play.keywords.tags.join(", ")
    );
    let selected = variables.inventory().selection(&pattern, playing.hosts.limit.as_deref(), &play.dir)?;
    for name in &selected.unmatched {
        eprintln!("[WARNING]: Could not match supplied host pattern, ignoring: {name}");
    }
    if playing.list_hosts {
        let quoted: Vec<String> = pattern.iter().map(|part| format!("'{part}'")).collect();
        let _ = writeln!(out, "    pattern: [{}]\n    hosts ({}):", quoted.join(", "), selected.hosts.len());
        for host in selected.hosts {
            let _ = writeln!(out, "      {host}");
        }
    }
    let mut tasks = Vec::new();
    for nodes in [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks] {
        collect(nodes, &mut tasks);
    }
    // Who asks for all tags, and chooses none, sees those of tasks that are never chosen by themselves, too.
    let every = playing.list_tags && playing.tags.is_empty() && playing.skip_tags.is_empty();
    let chosen: Vec<(&Arc<Task>, BTreeSet<String>)> = tasks
        .into_iter()
        .map(|task| (task, tags_of(task, variables, &vars)))
        .filter(|(_, tags)| every || settings.tags.selects(&tags.iter().collect::<Vec<_>>()))
        .collect();
    if playing.list_tasks {
        let _ = writeln!(out, "    tasks:");
        for (task, tags) in &chosen {
            // Without a name, a task of a role is told by its action alone.
            let name = match task.name.as_ref().and_then(|name| name.as_str()) {
                Some(name) => {
                    let role = task.role.as_ref().map(|role| format!("{} : ", role.name));
                    role.unwrap_or_default() + name
                }
                None => task.action.to_string(),
            };
            let _ = writeln!(
                out,
                "      {name}\tTAGS: [{}]",
                tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            );
        }
    }
    if playing.list_tags {
        let tags: BTreeSet<&str> =
            chosen.iter().flat_map(|(_, tags)| tags.iter().map(String::as_str)).collect();
        let _ = writeln!(out, "      TASK TAGS: [{}]", tags.into_iter().collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

fn collect<'a>(nodes: &'a [Node], tasks: &mut Vec<&'a Arc<Task>>) {
    for node in nodes {
        match node {
            Node::Task(task) => tasks.push(task),
            // What is done after it is not listed, as with Ansible.
            Node::Block(block) => collect(&block.body, tasks),
        }
    }
}

/// The tags of a task, templates among them resolved as far as that is possible without a host.
fn tags_of(task: &Arc<Task>, variables: &Arc<Variables>, vars: &Arc<PlayVars>) -> BTreeSet<String> {
    let scope = Scope::new(variables, vars, Some(task), None, Vars::new());
    let mut tags = BTreeSet::new();
    for tag in &task.keywords.tags {
        let source = expressions::Str::trusted(tag.clone(), task.origin.clone());
        let value = scope.resolved(&expressions::Value::Str(source)).ok();
        match value.as_ref().and_then(expressions::Value::as_list) {
            Some(list) => tags.extend(list.iter().filter_map(|tag| tag.python_str().ok())),
            None => _ = tags.insert(value.and_then(|tag| tag.python_str().ok()).unwrap_or(tag.to_string())),
        }
    }
    tags
}
