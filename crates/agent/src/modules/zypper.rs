//! `zypper`: packages of SUSE systems. What is installed is read from RPM's database; zypper is started only where
//! something may have to change.

mod names;

use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::rpm::Rpm;
use crate::packages::zypp::{self, Changes};
use crate::words;
use names::Names;

const ARGS: &[Arg] = &[
    Arg::list("name").required().aliases(&["pkg"]),
    Arg::str("state").default("present").choices(&[
        "present",
        "latest",
        "absent",
        "dist-upgrade",
        "installed",
        "removed",
    ]),
    Arg::str("type").default("package").choices(&[
        "package",
        "patch",
        "pattern",
        "product",
        "srcpackage",
        "application",
    ]),
    Arg::str("extra_args_precommand"),
    Arg::bool("disable_gpg_check").default("false"),
    Arg::bool("disable_recommends").default("true"),
    Arg::bool("force").default("false"),
    Arg::bool("force_resolution").default("false"),
    Arg::bool("update_cache").default("false").aliases(&["refresh"]),
    Arg::bool("oldpackage").default("false"),
    Arg::str("extra_args"),
    Arg::bool("allow_vendor_change").default("false"),
    Arg::bool("replacefiles").default("false"),
    Arg::bool("clean_deps").default("false"),
    Arg::bool("simple_errors").default("false"),
    Arg::bool("quiet").default("true"),
    Arg::bool("auto_import_keys").default("false"),
    Arg::bool("skip_post_errors").default("false"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("zypper", ARGS).collection("community.general"), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let zypper = Zypper::of(args)?;
    let names: Vec<String> = args.strings("name").into_iter().filter(|name| !name.is_empty()).collect();
    let state = args.string("state");
    let absent = matches!(state.as_str(), "absent" | "removed");
    let told = Outcome::changed(false)
        .with("name", names.clone())
        .with("state", state.as_str())
        .with("update_cache", args.bool("update_cache"))
        .with("rc", 0);
    if args.bool("update_cache") && !task.check {
        let words = zypper.words(false, &["refresh"]);
        let output = children::act(task, &strs(&words))?;
        zypper.judge(&words, &output, &Changes::new())?;
    }
    let words = match (names.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), state.as_str()) {
        (["*"], "dist-upgrade") => Some(zypper.whole("dist-upgrade", task.check)),
        (["*"], "latest") if zypper.kind == "patch" => Some(zypper.whole("patch", task.check)),
        (["*"], "latest") => Some(zypper.whole("update", task.check)),
        (_, "dist-upgrade") => return Err("Can not dist-upgrade specific packages.".into()),
        _ if absent => zypper.absent(task, Names::read(&names))?,
        _ => zypper.present(task, Names::read(&names), state == "latest")?,
    };
    match words {
        Some(words) => zypper.perform(task, &words, told),
        None => Ok(told.diff(json!({ "prepared": "" }))),
    }
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// zypper with what a task asks of it.
struct Zypper<'a> {
    program: String,
    args: &'a Args,
    kind: String,
    /// Further options of zypper itself, and of its command.
    before: Vec<String>,
    extra: Vec<String>,
}

impl<'a> Zypper<'a> {
    fn of(args: &'a Args) -> Result<Self, Failure> {
        let program = find_program("zypper").ok_or("Failed to find required executable \"zypper\"")?;
        let split = |name| words::split(args.str(name).unwrap_or_default()).map_err(Failure::new);
        let (before, extra) = (split("extra_args_precommand")?, split("extra_args")?);
        Ok(Self { program: program.display().to_string(), args, kind: args.string("type"), before, extra })
    }

    /// `checked`: a command that gets packages, so that keys and signatures are a question.
    fn words(&self, checked: bool, more: &[&str]) -> Vec<String> {
        let mut words = vec![self.program.as_str(), "--non-interactive", "--xmlout"];
        words.extend(self.args.bool("quiet").then_some("--quiet"));
        words.extend((checked && self.args.bool("disable_gpg_check")).then_some("--no-gpg-checks"));
        words.extend((checked && self.args.bool("auto_import_keys")).then_some("--gpg-auto-import-keys"));
        words.extend(strs(&self.before));
        words.extend(more);
        words.into_iter().map(str::to_owned).collect()
    }

    /// A command that installs or renews something, up to the names.
    fn command(&self, command: &str, check: bool, old: bool) -> Vec<String> {
        let set = |name: &str, option: &'static str| self.args.bool(name).then_some(option);
        let mut more = vec![command];
        if !matches!(command, "patch" | "dist-upgrade") {
            more.extend(["--type", &self.kind]);
        }
        more.extend(check.then_some("--dry-run"));
        more.push("--auto-agree-with-licenses");
        more.extend(set("disable_recommends", "--no-recommends"));
        if command == "dist-upgrade" {
            more.extend(set("allow_vendor_change", "--allow-vendor-change"));
        }
        more.extend(set("force", "--force"));
        more.extend(set("force_resolution", "--force-resolution"));
        more.extend((old || self.args.bool("oldpackage")).then_some("--oldpackage"));
        more.extend(set("replacefiles", "--replacefiles"));
        more.extend(strs(&self.extra));
        self.words(true, &more)
    }

    fn whole(&self, command: &str, check: bool) -> Vec<String> {
        self.command(command, check, false)
    }

    fn present(
        &self,
        task: &mut Task<'_>,
        mut names: Names,
        latest: bool,
    ) -> Result<Option<Vec<String>>, Failure> {
        let has_version = names.install.iter().any(|one| !one.version.is_empty());
        let asked: Vec<&str> = names
            .install
            .iter()
            .filter(|one| !latest && one.version.is_empty())
            .chain(&names.remove)
            .map(|one| one.name.as_str())
            .collect();
        let there = self.installed(task, &asked)?;
        names.install.retain(|one| latest || !one.version.is_empty() || !there.contains(&one.name));
        names.remove.retain(|one| there.contains(&one.name));
        if names.install.is_empty() && names.remove.is_empty() && names.files.is_empty() {
            return Ok(None);
        }
        let mut words = self.command("install", task.check, has_version);
        words.push("--".to_owned());
        words.extend(names.files);
        words.extend(names.install.iter().map(|one| format!("+{one}")));
        words.extend(names.remove.iter().map(|one| format!("-{one}")));
        Ok(Some(words))
    }

    fn absent(&self, task: &mut Task<'_>, names: Names) -> Result<Option<Vec<String>>, Failure> {
        if self.kind == "patch" {
            return Err("Can not remove patches.".into());
        }
        if !names.files.is_empty() {
            return Err("Can not remove via URL.".into());
        }
        if names.plus {
            return Err("Can not combine '+' prefix with state=remove/absent.".into());
        }
        let all: Vec<_> = names.install.iter().chain(&names.remove).collect();
        let asked: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let there = self.installed(task, &asked)?;
        let gone: Vec<String> =
            all.iter().filter(|one| there.contains(&one.name)).map(ToString::to_string).collect();
        if gone.is_empty() {
            return Ok(None);
        }
        let mut more = vec!["remove", "--type", &self.kind];
        more.extend(task.check.then_some("--dry-run"));
        more.extend(self.args.bool("clean_deps").then_some("--clean-deps"));
        more.extend(strs(&self.extra));
        more.extend(strs(&gone));
        Ok(Some(self.words(false, &more)))
    }

    /// Which of these are there. Packages are in RPM's database; of the rest, and of another root, only zypper knows.
    fn installed(&self, task: &mut Task<'_>, names: &[&str]) -> Result<Vec<String>, Failure> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        if self.kind == "package" && self.before.is_empty() {
            let known = &Rpm::now(task)?.packages;
            let is = |name: &&&str| known.iter().any(|package| package.name == **name);
            return Ok(names.iter().filter(is).map(|name| (*name).to_owned()).collect());
        }
        let mut more = vec!["--disable-repositories", "search", "--type", &self.kind];
        more.extend(["--match-exact", "--details", "--installed-only"]);
        more.extend(names);
        let words = self.words(false, &more);
        let output = children::ask(task, &strs(&words))?;
        // 104: nothing of it.
        if output.rc != 104 {
            self.judge(&words, &output, &Changes::new())?;
        }
        let said = output.stdout_text();
        let found = zypp::tags(&said).filter(|tag| tag.name == "solvable");
        Ok(found.filter_map(|tag| tag.attribute("name")).collect())
    }

    /// Runs what changes packages, or says what it would change.
    fn perform(&self, task: &mut Task<'_>, words: &[String], told: Outcome) -> Result<Outcome, Failure> {
        let mut changes = Changes::new();
        let mut once = false;
        let output = loop {
            let argv = strs(words);
            let output = if task.check { children::ask(task, &argv)? } else { children::act(task, &argv)? };
            for (kind, packages) in zypp::changes(&output.stdout_text()) {
                changes.entry(kind).or_default().extend(packages);
            }
            // 103: zypper itself was renewed and wants to be started again. 107: packages are there, scripts of theirs
            // failed; there may be more to do.
            let goes_on = output.rc == 103 || (output.rc == 107 && self.args.bool("skip_post_errors"));
            if !goes_on || once {
                break output;
            }
            once = true;
        };
        if !(output.rc == 107 && self.args.bool("skip_post_errors")) {
            self.judge(words, &output, &changes).map_err(|failure| {
                let begun = !task.check && !changes.is_empty() && matches!(output.rc, 103..=107);
                failure.after_change(begun)
            })?;
        }
        let rc = if output.rc == 102 { 102 } else { 0 };
        let mut told = told.with("rc", rc).with("cmd", words.to_vec()).diff(diff(&changes));
        if !changes.is_empty() {
            told.changed = true;
            told.set("stdout", output.stdout_text());
            told.set("stderr", output.stderr_text());
        }
        Ok(told)
    }

    fn judge(&self, words: &[String], output: &Output, changes: &Changes) -> Result<(), Failure> {
        let said = output.stdout_text();
        let messages = zypp::messages(&said);
        let failed = |message: &str| children::failed(output, message).with("cmd", words.to_vec());
        match output.rc {
            // 102: the host should be booted again, everything else is well.
            0 | 102 => Ok(()),
            103 | 106 | 107 => Err(failed("Zypper run failed.").with("diff", diff(changes))),
            104 => Err(failed(messages.last().map_or("zypper found nothing of that name.", String::as_str))),
            rc => {
                let failure = failed(&format!("Zypper run command failed with return code {rc}."));
                let simple = self.args.bool("simple_errors") && !messages.is_empty();
                Err(if simple { failure.with("stdout", messages.join(" \n")) } else { failure })
            }
        }
    }
}

fn diff(changes: &Changes) -> Json {
    let mut text = String::new();
    let kinds = [
        ("install", "installed"),
        ("remove", "removed"),
        ("upgrade", "upgraded"),
        ("downgrade", "downgraded"),
        ("reinstall", "reinstalled"),
    ];
    for (kind, told) in kinds {
        let Some(packages) = changes.get(kind) else { continue };
        let one = |(name, (old, new)): (&String, &(String, String))| match kind {
            "upgrade" | "downgrade" => format!("{name} ({old} => {new})"),
            _ => name.clone(),
        };
        let all: Vec<String> = packages.iter().map(one).collect();
        text.push_str(&format!("{told}: {}\n", all.join(", ")));
    }
    json!({ "prepared": text })
}
