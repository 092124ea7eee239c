//! `npm`: packages of Node.js, in a project or for all.

use catalog::{Arg, Args, Json, ModuleSpec};

use crate::children;
use crate::command::Run;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("name"),
    Arg::path("path"),
    Arg::str("version"),
    Arg::bool("global").default("false"),
    Arg::bool("production").default("false"),
    Arg::path("executable"),
    Arg::str("registry"),
    Arg::str("state").default("present").choices(&["present", "absent", "latest"]),
    Arg::bool("ignore_scripts").default("false"),
    Arg::bool("unsafe_perm").default("false"),
    Arg::bool("ci").default("false"),
    Arg::bool("no_optional").default("false"),
    Arg::bool("no_bin_links").default("false"),
    Arg::bool("force").default("false"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("npm", ARGS)
        .collection("community.general")
        .required_if(&[("state", "absent", &["name"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let npm = Npm::of(args)?;
    if args.bool("ci") {
        npm.act(task, &["ci"])?;
        return Ok(Outcome::changed(true));
    }
    let changed = match args.string("state").as_str() {
        "absent" => {
            let there = npm.listed(task)?.installed.iter().any(|name| Some(name.as_str()) == npm.name.as_deref());
            if there {
                npm.act_on(task, "uninstall")?;
            }
            there
        }
        state => {
            let listed = npm.listed(task)?;
            if !listed.missing.is_empty() {
                npm.act_on(task, "install")?;
            }
            let outdated = state == "latest" && listed.missing.is_empty() && npm.is_outdated(task)?;
            if outdated {
                npm.act_on(task, if npm.name.is_some() { "install" } else { "update" })?;
            }
            outdated || !listed.missing.is_empty()
        }
    };
    Ok(Outcome::changed(changed))
}

struct Listed {
    installed: Vec<String>,
    missing: Vec<String>,
}

/// npm with the options that a task gives it.
struct Npm {
    program: String,
    options: Vec<String>,
    name: Option<String>,
    /// `name@version`
    wanted: Option<String>,
    path: Option<String>,
    latest: bool,
}

impl Npm {
    fn of(args: &Args) -> Result<Self, Failure> {
        let global = args.bool("global");
        let path = args.str("path").map(str::to_owned);
        if path.is_none() && !global {
            return Err("path must be specified when not using global".into());
        }
        let switches = [
            ("global", "--global"),
            ("production", "--production"),
            ("ignore_scripts", "--ignore-scripts"),
            ("unsafe_perm", "--unsafe-perm"),
            ("no_optional", "--no-optional"),
            ("no_bin_links", "--no-bin-links"),
            ("force", "--force"),
        ];
        let mut options: Vec<String> =
            switches.iter().filter(|(name, _)| args.bool(name)).map(|(_, o)| (*o).to_owned()).collect();
        if let Some(registry) = args.str("registry") {
            options.extend(["--registry".to_owned(), registry.to_owned()]);
        }
        let name = args.str("name").map(str::to_owned);
        let latest = args.string("state") == "latest";
        let version = args.str("version").or(latest.then_some("latest"));
        let wanted = name.clone().map(|name| match version {
            Some(version) => format!("{name}@{version}"),
            None => name,
        });
        let program = args.str("executable").unwrap_or("npm").to_owned();
        Ok(Self { program, options, name, wanted, path, latest })
    }

    fn run<'a>(&self, task: &Task<'a>, words: &[&str]) -> Result<Run<'a>, Failure> {
        let mut program = self.program.split_whitespace();
        let mut argv: Vec<&str> = program.by_ref().collect();
        argv.extend(words);
        argv.extend(self.options.iter().map(String::as_str));
        let run = children::in_c_locale(task, &argv);
        match &self.path {
            Some(path) if !std::path::Path::new(path).is_dir() => {
                Err(Failure::new(format!("path {path} is not a directory")))
            }
            Some(path) => Ok(run.cwd(path)),
            None => Ok(run),
        }
    }

    fn act(&self, task: &mut Task<'_>, words: &[&str]) -> Result<(), Failure> {
        if task.check {
            return Ok(());
        }
        let run = self.run(task, words)?;
        children::expect(children::act_with(task, run)?).map(drop)
    }

    fn act_on(&self, task: &mut Task<'_>, verb: &str) -> Result<(), Failure> {
        let name = if verb == "uninstall" { self.name.as_deref() } else { self.wanted.as_deref() };
        let words: Vec<&str> = std::iter::once(verb).chain(name).collect();
        self.act(task, &words)
    }

    /// What is there of what the project, or the task, names.
    fn listed(&self, task: &Task<'_>) -> Result<Listed, Failure> {
        // It ends with 1 where something is missing: that is what is asked.
        let output = self.run(task, &["list", "--json", "--long"])?.output()?;
        let told: Json = serde_json::from_str(&output.stdout_text()).unwrap_or(Json::Null);
        let mut listed = Listed { installed: Vec::new(), missing: Vec::new() };
        for (name, about) in told["dependencies"].as_object().into_iter().flatten() {
            let gone = |key: &str| about[key].as_bool().unwrap_or(about[key].is_object());
            if gone("missing") || gone("invalid") {
                listed.missing.push(name.clone());
            } else {
                listed.installed.push(name.clone());
                let version = about["version"].as_str().unwrap_or_default();
                listed.installed.push(format!("{name}@{version}"));
            }
        }
        if let (Some(name), Some(wanted)) = (&self.name, &self.wanted) {
            let asked = if self.latest { name } else { wanted };
            listed.missing.retain(|missing| missing == name);
            if !listed.installed.contains(asked) && listed.missing.is_empty() {
                listed.missing.push(name.clone());
            }
        }
        Ok(listed)
    }

    fn is_outdated(&self, task: &Task<'_>) -> Result<bool, Failure> {
        let output = self.run(task, &["outdated", "--json"])?.output()?;
        let told: Json = serde_json::from_str(&output.stdout_text()).unwrap_or(Json::Null);
        let all = told.as_object();
        Ok(match &self.name {
            Some(name) => all.is_some_and(|all| all.contains_key(name)),
            None => all.is_some_and(|all| !all.is_empty()),
        })
    }
}
