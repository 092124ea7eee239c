//! `gem`: packages of Ruby.

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::command::{Output, Run, find_program};
use crate::module::{Failure, Module, Outcome, Task};
use crate::words;

const ARGS: &[Arg] = &[
    Arg::path("executable"),
    Arg::path("gem_source"),
    Arg::bool("include_dependencies").default("true"),
    Arg::str("name").required(),
    Arg::str("repository").aliases(&["source"]),
    Arg::str("state").default("present").choices(&["present", "absent", "latest"]),
    Arg::bool("user_install").default("true"),
    Arg::path("install_dir"),
    Arg::path("bindir"),
    Arg::bool("norc").default("true"),
    Arg::bool("pre_release").default("false"),
    Arg::bool("include_doc").default("false"),
    Arg::bool("env_shebang").default("false"),
    Arg::str("version"),
    Arg::str("build_flags"),
    Arg::bool("force").default("false"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("gem", ARGS)
        .collection("community.general")
        .mutually_exclusive(&[&["gem_source", "repository"], &["gem_source", "version"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let state = args.string("state");
    let latest = state == "latest";
    if latest && args.has("version") {
        return Err("Cannot specify version when state=latest".into());
    }
    if latest && args.has("gem_source") {
        return Err("Cannot maintain state=latest when installing from local source".into());
    }
    if args.has("install_dir") && args.bool("user_install") {
        return Err("install_dir requires user_install=false".into());
    }
    let gem = Gem::of(args)?;
    let version = if latest { gem.newest(task)? } else { args.str("version").map(str::to_owned) };
    let there = gem.is_there(task, version.as_deref())?;
    let changed = there == (state == "absent");
    if changed && !task.check {
        if state == "absent" {
            gem.uninstall(task, version.as_deref())?;
        } else {
            gem.install(task, version.as_deref())?;
        }
    }
    let told = Outcome::changed(changed).with("name", gem.name).with("state", state);
    Ok(told.with_some("version", version))
}

/// The program, and what a task asks of it.
struct Gem<'a> {
    program: Vec<String>,
    args: &'a Args,
    name: String,
}

impl<'a> Gem<'a> {
    fn of(args: &'a Args) -> Result<Self, Failure> {
        let program = match args.str("executable") {
            Some(words) => words::split(words).map_err(Failure::new)?,
            None => {
                let found = find_program("gem").ok_or("Failed to find required executable \"gem\"")?;
                vec![found.display().to_string()]
            }
        };
        Ok(Self { program, args, name: args.string("name") })
    }

    /// The words of a command; options of rubygems that every one has stand behind its name.
    fn words(&self, command: &str) -> Vec<String> {
        let mut words = self.program.clone();
        words.push(command.to_owned());
        words.extend(self.args.bool("norc").then(|| "--norc".to_owned()));
        words
    }

    /// An option with its value, where the task has one.
    fn option(&self, words: &mut Vec<String>, option: &str, value: Option<&str>) {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_owned()]));
    }

    fn process<'t>(&self, task: &Task<'t>, argv: &[String]) -> Run<'t> {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let run = children::in_c_locale(task, &argv);
        match self.args.str("install_dir") {
            Some(dir) => run.env("GEM_HOME", dir),
            None => run,
        }
    }

    /// The versions that are there, or that the repository has.
    fn listed(&self, task: &Task<'_>, remote: bool) -> Result<Vec<String>, Failure> {
        let mut argv = self.words("list");
        if remote {
            argv.push("--remote".to_owned());
            self.option(&mut argv, "--source", self.args.str("repository"));
        }
        argv.push(format!("^{}$", literal(&self.name)));
        let output = self.process(task, &argv).output()?;
        Ok(versions(&expect(output, &argv)?.stdout_text(), &self.name))
    }

    /// `None`: nobody knows it.
    fn newest(&self, task: &Task<'_>) -> Result<Option<String>, Failure> {
        Ok(self.listed(task, true)?.into_iter().next())
    }

    fn is_there(&self, task: &Task<'_>, version: Option<&str>) -> Result<bool, Failure> {
        let there = self.listed(task, false)?;
        Ok(match version {
            Some(version) => there.iter().any(|is| is == version),
            None => !there.is_empty(),
        })
    }

    fn install(&self, task: &mut Task<'_>, version: Option<&str>) -> Result<(), Failure> {
        let args = self.args;
        let mut argv = self.words("install");
        let mut set = |yes: bool, option: &str| argv.extend(yes.then(|| option.to_owned()));
        set(!args.bool("include_dependencies"), "--ignore-dependencies");
        set(true, if args.bool("user_install") { "--user-install" } else { "--no-user-install" });
        set(args.bool("pre_release"), "--pre");
        set(!args.bool("include_doc"), "--no-document");
        set(args.bool("env_shebang"), "--env-shebang");
        set(args.bool("force"), "--force");
        self.option(&mut argv, "--version", version);
        self.option(&mut argv, "--source", args.str("repository"));
        self.option(&mut argv, "--install-dir", args.str("install_dir"));
        self.option(&mut argv, "--bindir", args.str("bindir"));
        argv.push(args.str("gem_source").unwrap_or(&self.name).to_owned());
        if let Some(flags) = args.str("build_flags") {
            argv.push("--".to_owned());
            argv.extend(words::split(flags).map_err(Failure::new)?);
        }
        let run = self.process(task, &argv);
        expect(children::act_with(task, run)?, &argv).map(drop)
    }

    fn uninstall(&self, task: &mut Task<'_>, version: Option<&str>) -> Result<(), Failure> {
        let args = self.args;
        let mut argv = self.words("uninstall");
        self.option(&mut argv, "--install-dir", args.str("install_dir"));
        self.option(&mut argv, "--bindir", args.str("bindir"));
        match version {
            Some(_) => self.option(&mut argv, "--version", version),
            None => argv.push("--all".to_owned()),
        }
        argv.push("--executable".to_owned());
        argv.extend(args.bool("force").then(|| "--force".to_owned()));
        argv.push(self.name.clone());
        let run = self.process(task, &argv);
        let output = expect(children::act_with(task, run)?, &argv)?;
        if self.is_there(task, version)? {
            let said = format!(
                "Failed to uninstall gem '{}': it is still present after 'gem uninstall'. The gems that come with Ruby or with the system cannot be removed this way",
                self.name
            );
            return Err(children::failed(&output, said));
        }
        Ok(())
    }
}

fn expect(output: Output, argv: &[String]) -> Result<Output, Failure> {
    children::expect(output).map_err(|failure| failure.with("cmd", words::join(argv)))
}

/// A name in a regular expression of Ruby's: what may stand in a gem's name and means more there is a dot.
fn literal(name: &str) -> String {
    name.chars().flat_map(|c| (!c.is_alphanumeric() && c != '_').then_some('\\').into_iter().chain([c])).collect()
}

/// Of what `gem list` prints: `name (2.0, default: 1.1, 1.0 ruby java)`.
fn versions(said: &str, name: &str) -> Vec<String> {
    let line = said.lines().find_map(|line| {
        let (is, rest) = line.split_once(" (")?;
        is.eq_ignore_ascii_case(name).then(|| rest.trim_end().trim_end_matches(')'))
    });
    let one = |part: &str| {
        let part = part.trim();
        part.strip_prefix("default: ").unwrap_or(part).split(' ').next().unwrap_or_default().to_owned()
    };
    line.map(|line| line.split(',').map(one).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_off_a_list() {
        let said = "\n*** LOCAL GEMS ***\n\nbase64 (default: 0.1.1)\nnokogiri (1.15.0 x86_64-linux java, 1.14.2)\n";
        assert_eq!(versions(said, "base64"), ["0.1.1"]);
        assert_eq!(versions(said, "nokogiri"), ["1.15.0", "1.14.2"]);
        assert!(versions(said, "noko").is_empty());
    }

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(literal("a.b-c_d1"), "a\\.b\\-c_d1");
    }
}
