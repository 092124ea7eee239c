//! `dnf`: packages of RPM systems. What is installed is read from RPM's database; dnf is started only where something
//! has to change, or where only its repositories know.

mod list;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::rpm::Rpm;

const ARGS: &[Arg] = &[
    Arg::list("name").aliases(&["pkg"]).default(""),
    Arg::str("state").choices(&["absent", "present", "installed", "removed", "latest"]),
    Arg::bool("allow_downgrade").default("false"),
    Arg::bool("allowerasing").default("false"),
    Arg::bool("autoremove").default("false"),
    Arg::bool("best"),
    Arg::bool("bugfix").default("false"),
    Arg::bool("cacheonly").default("false"),
    Arg::str("conf_file"),
    Arg::str("disable_excludes"),
    Arg::bool("disable_gpg_check").default("false"),
    Arg::list("disable_plugin").default(""),
    Arg::list("disablerepo").default(""),
    Arg::str("download_dir"),
    Arg::bool("download_only").default("false"),
    Arg::list("enable_plugin").default(""),
    Arg::list("enablerepo").default(""),
    Arg::list("exclude").default(""),
    Arg::bool("install_repoquery").default("true"),
    Arg::bool("install_weak_deps").default("true"),
    Arg::str("installroot").default("/"),
    Arg::str("list"),
    Arg::int("lock_timeout").default("30"),
    Arg::bool("nobest"),
    Arg::str("releasever"),
    Arg::bool("security").default("false"),
    Arg::bool("skip_broken").default("false"),
    Arg::bool("sslverify").default("true"),
    Arg::bool("update_cache").default("false").aliases(&["expire-cache"]),
    Arg::bool("update_only").default("false"),
    Arg::str("use_backend").default("auto").choices(&["auto", "dnf", "yum", "yum4", "dnf4", "dnf5"]),
    Arg::bool("validate_certs").default("true"),
];

pub(crate) static MODULE: Module = Module { spec: spec("dnf"), run };

/// The same under both of its names.
pub(crate) const fn spec(name: &'static str) -> ModuleSpec {
    ModuleSpec::builtin(name, ARGS)
        .mutually_exclusive(&[&["name", "list"], &["list", "autoremove"], &["best", "nobest"]])
        .required_one_of(&[&["name", "list", "update_cache", "autoremove"]])
}

pub(crate) fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let dnf = Dnf::of(args)?;
    let names: Vec<String> = args.strings("name").into_iter().filter(|name| !name.is_empty()).collect();
    if let Some(what) = args.str("list") {
        return list::run(&dnf, task, what);
    }
    if args.bool("update_cache") {
        dnf.refresh(task)?;
        if names.is_empty() && !args.bool("autoremove") {
            return Ok(told(false, Vec::new()).with("msg", "Cache updated"));
        }
    }
    let state = match args.str("state") {
        Some("absent" | "removed") => "absent",
        Some("latest") => "latest",
        None if args.bool("autoremove") => "absent",
        _ => "present",
    };
    if args.bool("autoremove") && state != "absent" {
        return Err("Autoremove should be used alone or with state=absent".into());
    }
    let plan = plan(args, task, &names, state)?;
    let mut changed = false;
    let before = Rpm::now(task)?.packages.clone();
    for (verb, names) in plan {
        changed |= dnf.change(task, verb, &names)?;
    }
    if task.check {
        let outcome = told(changed, Vec::new());
        let said = "Check mode: No changes made, but would have if not in check mode";
        return Ok(if changed { outcome.with("msg", said) } else { outcome });
    }
    let after = Rpm::now(task)?.packages.clone();
    let new = after.difference(&before).map(|p| format!("Installed: {}", p.nevra()));
    let gone = before.difference(&after).map(|p| format!("Removed: {}", p.nevra()));
    let results: Vec<String> = new.chain(gone).collect();
    // With another root its own database changes.
    let elsewhere = args.string("installroot") != "/" || args.bool("download_only");
    Ok(told(if elsewhere { changed } else { !results.is_empty() }, results))
}

fn told(changed: bool, results: Vec<String>) -> Outcome {
    let outcome = Outcome::changed(changed).with("results", results).with("rc", 0);
    outcome.with("msg", if changed { "" } else { "Nothing to do" })
}

/// Which commands are needed, by what is installed.
fn plan(
    args: &Args,
    task: &mut Task<'_>,
    names: &[String],
    state: &str,
) -> Result<Vec<(&'static str, Vec<String>)>, Failure> {
    if names.is_empty() && args.bool("autoremove") {
        return Ok(vec![("autoremove", Vec::new())]);
    }
    // Another root has another database, which only dnf reads.
    let elsewhere = args.string("installroot") != "/";
    let mut there = Vec::with_capacity(names.len());
    for name in names {
        there.push(!elsewhere && is_installed(task, name)?);
    }
    let of = |wanted: bool| -> Vec<String> {
        names.iter().zip(&there).filter(|(_, is)| **is == wanted).map(|(name, _)| name.clone()).collect()
    };
    let (yes, no) = (of(true), of(false));
    let all = names.to_vec();
    let mut plan = match state {
        "absent" => {
            let unknown = |name: &&String| elsewhere || name.starts_with('@');
            let names: Vec<String> = yes.iter().chain(no.iter().filter(unknown)).cloned().collect();
            vec![(if args.bool("autoremove") { "autoremove" } else { "remove" }, names)]
        }
        "latest" if names.iter().any(|name| name == "*") => return Ok(vec![("upgrade", Vec::new())]),
        "latest" if args.bool("update_only") => vec![("upgrade", yes)],
        "latest" => vec![("install", no), ("upgrade", yes)],
        _ if args.bool("download_only") => vec![("install", all)],
        _ if args.bool("allow_downgrade") => vec![("install", no)],
        _ => vec![("install", no)],
    };
    plan.retain(|(_, names)| !names.is_empty());
    Ok(plan)
}

/// By its own name or by what a package provides. Files, addresses and groups: dnf finds out.
fn is_installed(task: &mut Task<'_>, name: &str) -> Result<bool, Failure> {
    if name.starts_with('@') || name.contains("://") || name.ends_with(".rpm") {
        return Ok(false);
    }
    if Rpm::now(task)?.has(name) {
        return Ok(true);
    }
    if name.contains(['*', '?', '[']) {
        return Ok(false);
    }
    // `name >= 1.2` is a capability, too.
    Ok(children::ask(task, &["rpm", "-q", "--whatprovides", name])?.ok())
}

/// dnf with the options that a task gives it.
struct Dnf {
    program: &'static str,
    options: Vec<String>,
}

impl Dnf {
    fn of(args: &Args) -> Result<Self, Failure> {
        let program = ["dnf", "dnf5", "yum", "microdnf"].into_iter().find(|name| find_program(name).is_some());
        let program = program.ok_or("Could not find dnf or yum on this host")?;
        Ok(Self { program, options: options(args) })
    }

    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec![self.program, "-y"];
        words.extend(self.options.iter().map(String::as_str));
        words.extend(more);
        words
    }

    fn refresh(&self, task: &mut Task<'_>) -> Result<(), Failure> {
        if task.check {
            return Ok(());
        }
        let output = children::act(task, &self.words(&["makecache", "--refresh"]))?;
        children::expect(output).map(drop)
    }

    /// Whether anything changed, or would.
    fn change(&self, task: &mut Task<'_>, verb: &str, names: &[String]) -> Result<bool, Failure> {
        let mut words: Vec<&str> = self.words(&[]);
        if task.check {
            words.retain(|word| *word != "-y");
            words.push("--assumeno");
        }
        words.push(verb);
        words.extend(names.iter().map(String::as_str));
        let output =
            if task.check { children::ask(task, &words)? } else { children::act(task, &words)? };
        let said = output.stdout_text();
        let nothing = said.contains("Nothing to do");
        // "Operation aborted" is what it says when nobody agrees.
        let planned = task.check && said.contains("Transaction Summary");
        if output.ok() || planned { Ok(!nothing) } else { Err(failed(&output)) }
    }
}

/// The program's complaints, as the reference lists them.
fn failed(output: &Output) -> Failure {
    let said = format!("{}\n{}", output.stdout_text(), output.stderr_text());
    let unknown = |line: &str| {
        let name = line.trim().strip_prefix("No match for argument: ")?;
        Some(format!("No package {name} available."))
    };
    let failures: Vec<String> = said.lines().filter_map(unknown).collect();
    if failures.is_empty() {
        let words = output.stderr_text();
        let words = if words.trim().is_empty() { said.trim() } else { words.trim() };
        return children::failed(output, words).with("results", Vec::<String>::new());
    }
    let failure = children::failed(output, "Failed to install some of the specified packages");
    failure.with("failures", failures).with("results", Vec::<String>::new())
}

fn options(args: &Args) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let switches = [
        ("allowerasing", "--allowerasing"),
        ("bugfix", "--bugfix"),
        ("cacheonly", "--cacheonly"),
        ("disable_gpg_check", "--nogpgcheck"),
        ("download_only", "--downloadonly"),
        ("security", "--security"),
        ("skip_broken", "--skip-broken"),
        ("best", "--best"),
        ("nobest", "--nobest"),
    ];
    list.extend(switches.iter().filter(|(name, _)| args.bool(name)).map(|(_, option)| (*option).to_owned()));
    let opposite = |name: &str| args.has(name) && !args.bool(name);
    let opposites = [
        ("best", "--nobest"),
        ("nobest", "--best"),
        ("install_weak_deps", "--setopt=install_weak_deps=False"),
        ("sslverify", "--setopt=sslverify=0"),
    ];
    list.extend(opposites.iter().filter(|(name, _)| opposite(name)).map(|(_, option)| (*option).to_owned()));
    let lists = [
        ("disablerepo", "--disablerepo"),
        ("enablerepo", "--enablerepo"),
        ("exclude", "--exclude"),
        ("disable_plugin", "--disableplugin"),
        ("enable_plugin", "--enableplugin"),
    ];
    for (name, option) in lists {
        let values = args.strings(name).into_iter().filter(|value| !value.is_empty());
        list.extend(values.map(|value| format!("{option}={value}")));
    }
    let values = [
        ("conf_file", "--config"),
        ("disable_excludes", "--disableexcludes"),
        ("download_dir", "--downloaddir"),
        ("releasever", "--releasever"),
    ];
    for (name, option) in values {
        list.extend(args.str(name).map(|value| format!("{option}={value}")));
    }
    if let Some(root) = args.str("installroot").filter(|root| *root != "/") {
        list.push(format!("--installroot={root}"));
    }
    list
}
