//! `apt`: packages of Debian and its family. What is installed is read from dpkg's database; apt-get runs only
//! when something is to be done.

use std::cmp::Ordering;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::apt_get::{self, PROGRAM, changes_nothing, options};
use crate::packages::dpkg::Dpkg;
use crate::packages::version;
use crate::patterns;

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("apt", ARGS).mutually_exclusive(&[&["deb", "name", "upgrade"]]), run };

const ARGS: &[Arg] = &[
    Arg::list("name").aliases(&["package", "pkg"]),
    Arg::str("state").default("present").choices(&["absent", "build-dep", "fixed", "latest", "present"]),
    Arg::bool("update_cache").aliases(&["update-cache"]),
    Arg::int("update_cache_retries").default("5"),
    Arg::int("update_cache_retry_max_delay").default("12"),
    Arg::int("cache_valid_time").default("0"),
    Arg::bool("purge").default("false"),
    Arg::path("deb"),
    Arg::str("default_release").aliases(&["default-release"]),
    Arg::bool("install_recommends").aliases(&["install-recommends"]),
    Arg::bool("force").default("false"),
    Arg::str("upgrade").choices(&["dist", "full", "no", "safe", "yes"]),
    Arg::str("dpkg_options").default("force-confdef,force-confold"),
    Arg::bool("autoremove").default("false"),
    Arg::bool("autoclean").default("false"),
    Arg::bool("clean").default("false"),
    Arg::bool("only_upgrade").default("false"),
    Arg::bool("fail_on_autoremove").default("false"),
    Arg::bool("force_apt_get").default("false"),
    Arg::bool("allow_unauthenticated").default("false").aliases(&["allow-unauthenticated"]),
    Arg::bool("allow_downgrade").default("false").aliases(&[
        "allow-downgrade",
        "allow_downgrades",
        "allow-downgrades",
    ]),
    Arg::bool("allow_change_held_packages").default("false"),
    Arg::bool("auto_install_module_deps").default("true"),
    Arg::int("lock_timeout").default("60"),
    Arg::int("policy_rc_d"),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if !Path::new(PROGRAM).exists() {
        return Err("apt needs apt-get, which is not on this host".into());
    }
    let upgrade = args.str("upgrade").filter(|u| *u != "no");
    let names = names(args);
    if args.bool("clean") {
        let output = run_words(args, task, vec!["clean".to_owned()])?;
        let outcome = children::expect(output)?;
        if names.is_empty() && upgrade.is_none() && !args.has("deb") {
            let (out, err) = (outcome.stdout_text(), outcome.stderr_text());
            return Ok(Outcome::changed(true)
                .with("msg", out.clone())
                .with("stdout", out)
                .with("stderr", err));
        }
    }
    let cache = update_cache(args, task)?;
    let only_cache = names.is_empty()
        && upgrade.is_none()
        && !args.has("deb")
        && !args.bool("autoremove")
        && !args.bool("autoclean")
        && args.string("state") != "fixed";
    if only_cache {
        return Ok(cache.tell(Outcome::changed(cache.updated)));
    }
    let state = args.string("state");
    if let Some(kind) = upgrade {
        return upgrade_all(args, task, kind);
    }
    if let Some(file) = args.str("deb") {
        if state != "present" {
            return Err("deb only supports state=present".into());
        }
        return crate::packages::deb::install(args, task, file).map(|outcome| cache.tell(outcome));
    }
    if state == "latest" && names.iter().any(|name| name == "*") {
        return upgrade_all(args, task, "yes");
    }
    match state.as_str() {
        "absent" if !names.is_empty() => remove(args, task, &names),
        "absent" | "present" | "latest" if names.is_empty() => tidy(args, task),
        _ => install(args, task, &names, &state).map(|o| cache.tell(o)).map_err(|f| cache.blame(f)),
    }
}

fn names(args: &Args) -> Vec<String> {
    args.strings("name").iter().map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect()
}

/// When the package lists were fetched, and whether we did it.
#[derive(Clone, Copy)]
struct Lists {
    updated: bool,
    time: u64,
}

impl Lists {
    fn tell(self, outcome: Outcome) -> Outcome {
        outcome.with("cache_updated", self.updated).with("cache_update_time", self.time)
    }
    fn blame(self, failure: Failure) -> Failure {
        failure.with("cache_updated", self.updated).with("cache_update_time", self.time)
    }
}

fn lists_time() -> u64 {
    let seconds = |path: &str| {
        let time = std::fs::metadata(path).ok()?.modified().ok()?;
        time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs())
    };
    seconds("/var/lib/apt/periodic/update-success-stamp")
        .or_else(|| seconds("/var/lib/apt/lists"))
        .unwrap_or(0)
}

fn update_cache(args: &Args, task: &mut Task<'_>) -> Result<Lists, Failure> {
    let before = lists_time();
    let valid = args.int("cache_valid_time").and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let wanted = args.bool("update_cache") || (valid > 0 && !args.has("update_cache"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if !wanted || (valid > 0 && before.saturating_add(valid) >= now) {
        return Ok(Lists { updated: false, time: before });
    }
    if task.check {
        return Ok(Lists { updated: true, time: before });
    }
    fetch_lists(args, task)?;
    let time = lists_time();
    Ok(Lists { updated: time != before, time })
}

/// Tries again, each time after a longer pause.
pub(crate) fn fetch_lists(args: &Args, task: &mut Task<'_>) -> Result<(), Failure> {
    let retries = args.int("update_cache_retries").unwrap_or(5).max(1);
    let longest = args.int("update_cache_retry_max_delay").and_then(|n| u64::try_from(n).ok()).unwrap_or(12);
    let mut problem = String::new();
    for attempt in 0..retries {
        if attempt > 0 {
            task.go_on()?;
            std::thread::sleep(Duration::from_secs((1 << attempt.min(10)).min(longest)));
        }
        let output = run_words(args, task, vec!["-q".into(), "update".into()])?;
        // Since apt 2 a list that could not be fetched is only a warning.
        let failed =
            output.stderr_text().lines().any(|l| l.starts_with("W: Failed to fetch") || l.starts_with("E:"));
        if output.ok() && !failed {
            return Ok(());
        }
        problem = output.stderr_text();
    }
    Err(Failure::new(format!("Failed to update apt cache after {retries} retries: {}", problem.trim())))
}

fn run_words(
    args: &Args,
    task: &mut Task<'_>,
    words: Vec<String>,
) -> Result<crate::command::Output, Failure> {
    if task.check {
        let mut simulated = vec!["--simulate".to_owned()];
        simulated.extend(words);
        return apt_get::run(args, task, &simulated);
    }
    apt_get::run(args, task, &words)
}

/// `name`, and what is asked of its version.
struct Wanted<'a> {
    name: &'a str,
    version: Option<(Ordering, &'a str)>,
}

fn wanted(spec: &str) -> Wanted<'_> {
    if let Some((name, version)) = spec.split_once(">=") {
        return Wanted { name: name.trim(), version: Some((Ordering::Greater, version.trim())) };
    }
    match spec.split_once('=') {
        Some((name, version)) => {
            Wanted { name: name.trim(), version: Some((Ordering::Equal, version.trim())) }
        }
        None => Wanted { name: spec, version: None },
    }
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

fn install(args: &Args, task: &mut Task<'_>, names: &[String], state: &str) -> Result<Outcome, Failure> {
    let mut expanded = Vec::new();
    for spec in names {
        let name = wanted(spec).name;
        if !is_pattern(name) {
            expanded.push(spec.clone());
            continue;
        }
        let found = apt_get::names_like(task, name)?;
        if found.is_empty() {
            return Err(Failure::new(format!("No package(s) matching '{name}' available")));
        }
        expanded.extend(found);
    }
    let packages = if state == "build-dep" { expanded } else { missing(args, task, &expanded, state)? };
    if packages.is_empty() && state != "fixed" {
        return Ok(Outcome::changed(false));
    }
    let mut words = options(args, task.check);
    if state == "fixed" {
        words.push("--fix-broken".to_owned());
    }
    if args.bool("autoremove") {
        words.push("--auto-remove".to_owned());
    }
    words.push(if state == "build-dep" { "build-dep" } else { "install" }.to_owned());
    words.extend(packages);
    let output = apt_get::run(args, task, &words)?;
    apt_get::result(task, &output, &words)
}

/// What has to be given to apt-get.
fn missing(args: &Args, task: &mut Task<'_>, specs: &[String], state: &str) -> Result<Vec<String>, Failure> {
    let database = Dpkg::now(task.cache);
    let installed: Vec<Option<String>> =
        specs.iter().map(|s| database.installed(wanted(s).name).map(|p| p.version.clone())).collect();
    let ask: Vec<&str> = specs
        .iter()
        .zip(&installed)
        .filter(|(_, there)| state == "latest" && there.is_some())
        .map(|(spec, _)| wanted(spec).name)
        .collect();
    let newest = apt_get::candidates(task, &ask, args.str("default_release"))?;
    let candidate = |name: &str| newest.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut missing = Vec::new();
    for (spec, there) in specs.iter().zip(&installed) {
        let Wanted { name, version: constraint } = wanted(spec);
        let given = match (there, constraint) {
            // Only what is installed is to be made newer.
            (None, _) if args.bool("only_upgrade") => continue,
            (None, Some((Ordering::Greater, least))) => at_least(task, name, least)?,
            (None, _) => spec.clone(),
            (Some(version), Some((Ordering::Equal, pattern))) if patterns::matches(pattern, version) => {
                continue;
            }
            (Some(_), Some((Ordering::Equal, _))) => spec.clone(),
            (Some(version), Some((_, least))) if version::compare(version, least).is_ge() => continue,
            (Some(_), Some((_, least))) => at_least(task, name, least)?,
            (Some(version), None) => match candidate(name) {
                Some(newer) if version::compare(newer, version).is_gt() => spec.clone(),
                _ => continue,
            },
        };
        if !missing.contains(&given) {
            missing.push(given);
        }
    }
    Ok(missing)
}

fn at_least(task: &Task<'_>, name: &str, least: &str) -> Result<String, Failure> {
    let found = apt_get::candidates(task, &[name], None)?;
    match found.first() {
        None => Err(Failure::new(format!("No package matching '{name}' is available"))),
        Some((_, version)) if version::compare(version, least).is_ge() => Ok(name.to_owned()),
        Some(_) => Err(Failure::new(format!("no available installation candidate for {name}>={least}"))),
    }
}

fn remove(args: &Args, task: &mut Task<'_>, names: &[String]) -> Result<Outcome, Failure> {
    let purge = args.bool("purge");
    let database = Dpkg::now(task.cache);
    let mut packages: Vec<String> = Vec::new();
    for spec in names {
        let name = wanted(spec).name;
        let fits = |p: &&crate::packages::dpkg::Package| p.installed() || (purge && p.has_remains());
        if is_pattern(name) {
            packages.extend(
                database
                    .all()
                    .filter(|p| patterns::matches(name, &p.name))
                    .filter(fits)
                    .map(|p| p.name.clone()),
            );
        } else if database.package(name).filter(fits).is_some() {
            packages.push(name.to_owned());
        }
    }
    packages.sort();
    packages.dedup();
    if packages.is_empty() {
        return Ok(Outcome::changed(false));
    }
    let mut words = vec!["-q".to_owned()];
    words.extend(options(args, task.check).into_iter().filter(|o| o != "--only-upgrade"));
    if purge {
        words.push("--purge".to_owned());
    }
    if args.bool("autoremove") {
        words.push("--auto-remove".to_owned());
    }
    words.push("remove".to_owned());
    words.extend(packages);
    let output = apt_get::run(args, task, &words)?;
    if !output.ok() {
        let message = format!("'{PROGRAM} {}' failed: {}", crate::words::join(&words), output.stderr_text());
        return Err(children::failed(&output, message));
    }
    // Everything asked for was there.
    let mut outcome = apt_get::result(task, &output, &words)?;
    outcome.changed = true;
    Ok(outcome)
}

/// `autoremove` and `autoclean` by themselves.
fn tidy(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut last = Outcome::changed(false);
    for operation in ["autoremove", "autoclean"].into_iter().filter(|o| args.bool(o)) {
        let mut words = options(args, task.check);
        if args.bool("purge") && operation == "autoremove" {
            words.push("--purge".to_owned());
        }
        words.push(operation.to_owned());
        let output = apt_get::run(args, task, &words)?;
        let mut outcome = apt_get::result(task, &output, &words)?;
        let text = output.stdout_text();
        outcome.changed = match operation {
            "autoclean" => text.lines().any(|line| line.starts_with("Del ")),
            _ => !changes_nothing(&text),
        } || last.changed;
        last = outcome;
    }
    Ok(last)
}

fn upgrade_all(args: &Args, task: &mut Task<'_>, kind: &str) -> Result<Outcome, Failure> {
    let mut words = options(args, task.check);
    match kind {
        "dist" | "full" => words.push("dist-upgrade".to_owned()),
        _ => words.extend(["upgrade".to_owned(), "--with-new-pkgs".to_owned()]),
    }
    if args.bool("autoremove") {
        words.push("--auto-remove".to_owned());
    }
    let output = apt_get::run(args, task, &words)?;
    let outcome = apt_get::result(task, &output, &words)?;
    if outcome.changed || output.ok() {
        return Ok(outcome.with("msg", output.stdout_text()));
    }
    Ok(outcome)
}
