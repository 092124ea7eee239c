//! `theseus validate`: read everything that a project can come to, point at every mistake; touches no host.

mod sarif;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use playbook::Diagnostic;
use playbook::survey::{self, Finding, Level, Survey};
use serde_json::json;

use crate::arguments::{Format, Validate};
use crate::report::{Output, Style, json_line};
use crate::setup::{Base, Problem};
use crate::terminal;

pub(crate) fn validate(asked: &Validate, style: Style) -> u8 {
    let json = style.output == Output::Json;
    let started = Instant::now();
    let mut paths = asked.playbooks.clone();
    // The configuration of a project that is named by its folder is its own.
    if let [one] = paths.as_slice()
        && one.is_dir()
        && std::env::set_current_dir(one).is_ok()
    {
        paths = vec![PathBuf::from(".")];
    }
    let mut base = match Base::new(&asked.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    let survey = match check(asked, &paths, &mut base) {
        Ok(survey) => survey,
        Err(problem) => return terminal::show(&problem, &base.sources, json),
    };
    let errors = count(&survey, Level::Error);
    match (asked.format, json) {
        (Some(Format::Sarif), _) => println!("{}", sarif::report(&survey.findings, &base.cwd)),
        (None, true) => survey.findings.iter().for_each(as_json),
        (None, false) => people(&survey, &base, asked.notes, started),
    }
    u8::from(errors > 0)
}

fn count(survey: &Survey, level: Level) -> usize {
    survey.findings.iter().filter(|finding| finding.level == level).count()
}

fn check(asked: &Validate, paths: &[PathBuf], base: &mut Base) -> Result<Survey, Problem> {
    let targets = survey::targets(paths)?;
    let mut before = Vec::new();
    let given = match base.inventory(&asked.hosts) {
        Ok(inventory) => known(base, inventory, &targets, &mut before),
        Err(Problem::Mistakes(mistakes)) => {
            before.extend(mistakes);
            survey::Given::default()
        }
        Err(other) => return Err(other),
    };
    let mut survey = survey::survey(&targets, base.load_options(), &given);
    before.append(&mut base.warnings);
    let known: HashSet<String> = survey.findings.iter().map(|finding| place(&finding.diagnostic)).collect();
    let new = before.into_iter().filter(|diagnostic| !known.contains(&place(diagnostic)));
    let level = |diagnostic: &Diagnostic| if diagnostic.warning { Level::Warning } else { Level::Error };
    let new: Vec<Finding> = new.map(|diagnostic| Finding { level: level(&diagnostic), diagnostic }).collect();
    survey.findings.splice(0..0, new);
    Ok(survey)
}

fn place(diagnostic: &Diagnostic) -> String {
    diagnostic.to_string()
}

/// What the inventory knows; its files of variables are read, too.
fn known(
    base: &mut Base,
    inventory: playbook::inventory::Inventory,
    targets: &survey::Targets,
    mistakes: &mut Vec<Diagnostic>,
) -> survey::Given {
    let mut names: HashSet<String> = base.extra_vars.keys().map(ToString::to_string).collect();
    let has_hosts = !inventory.hosts.is_empty();
    names.extend(inventory.groups.values().flat_map(|group| group.vars.keys().cloned()));
    names.extend(inventory.hosts.values().flat_map(|host| host.vars.keys().cloned()));
    for source in &inventory.sources {
        let dir = if source.is_dir() {
            source.clone()
        } else {
            source.parent().map(Into::into).unwrap_or_default()
        };
        let hosts = inventory.hosts.keys().map(|name| ("host_vars", name));
        for (part, name) in inventory.groups.keys().map(|name| ("group_vars", name)).chain(hosts) {
            for file in playbook::search::vars_of(&dir.join(part), name) {
                let Ok(loaded) = playbook::yaml::load_file(&file, &base.vault) else { continue };
                let node = loaded.node;
                let keys = node.iter().flat_map(|node| node.as_map().unwrap_or_default());
                names.extend(keys.filter_map(|(key, _)| key.scalar_text()));
            }
        }
    }
    let variables =
        base.variables(inventory, playbook::vars::RunOptions::default(), Arc::new(playbook::vars::Nowhere));
    let mut dirs: Vec<Arc<std::path::Path>> =
        targets.playbooks.iter().filter_map(|file| file.parent()).map(Into::into).collect();
    dirs.sort();
    dirs.dedup();
    mistakes.extend(variables.preload(&dirs));
    mistakes.extend(variables.take_warnings());
    survey::Given { names, has_hosts }
}

fn as_json(finding: &Finding) {
    let Finding { level, diagnostic } = finding;
    let origin = diagnostic.origin.as_ref();
    json_line(json!({
        "event": level.word(),
        "level": level.word(),
        "rule": sarif::rule(finding),
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "file": origin.map(|o| o.file.display().to_string()),
        "line": origin.map(|o| o.line),
        "column": origin.map(|o| o.column),
    }));
}

fn people(survey: &Survey, base: &Base, notes: bool, started: Instant) {
    for finding in survey.findings.iter().filter(|finding| notes || finding.level != Level::Note) {
        eprint!("{}", finding.diagnostic.render_as(finding.level.word(), &base.sources));
    }
    let some = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let [errors, warnings, hidden] =
        [Level::Error, Level::Warning, Level::Note].map(|level| count(survey, level));
    let mut words = match errors {
        0 => "no mistakes".to_owned(),
        n => some(n, "mistake"),
    };
    words.push_str(&format!(" in {}", some(survey.plays, "play")));
    if warnings > 0 {
        words.push_str(&format!(", {}", some(warnings, "warning")));
    }
    if hidden > 0 {
        let how = if notes { "" } else { " (--notes shows them)" };
        words.push_str(&format!(", {}{how}", some(hidden, "note")));
    }
    println!("{words}");
    let took = started.elapsed().as_secs_f64();
    if asked_for_time() {
        eprintln!("{} and {} in {took:.3} s", some(survey.files, "file"), some(survey.tasks, "task"));
    }
}

/// For measurements: texts that people and tests compare carry no times.
fn asked_for_time() -> bool {
    std::env::var_os("THESEUS_TIMES").is_some()
}
