//! `zypper_repository`: repositories of zypper.

mod file;

use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::zypp;

const ARGS: &[Arg] = &[
    Arg::str("name"),
    Arg::str("repo"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::bool("runrefresh").default("false"),
    Arg::str("description"),
    Arg::bool("disable_gpg_check").default("false"),
    Arg::bool("autorefresh").default("true").aliases(&["refresh"]),
    Arg::int("priority"),
    Arg::bool("enabled").default("true"),
    Arg::bool("overwrite_multiple").default("false"),
    Arg::bool("auto_import_keys").default("false"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("zypper_repository", ARGS).collection("community.general"), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let program = find_program("zypper").ok_or("Failed to find required executable \"zypper\"")?;
    let zypper = Zypper { program: program.display().to_string() };
    let state = args.string("state");
    if args.str("repo") == Some("*") {
        if !args.bool("runrefresh") {
            return Err("repo=* can only be used with the runrefresh option.".into());
        }
        zypper.refresh(task, args, None)?;
        return Ok(Outcome::changed(false).with("runrefresh", true));
    }
    match state.as_str() {
        "present" if args.str("repo").is_none() => {
            return Err("Module option state=present requires repo".into());
        }
        "absent" if args.str("repo").is_none() && args.str("name").is_none() => {
            return Err("Alias or repo parameter required when state=absent".into());
        }
        _ => {}
    }
    let wanted = Repository::wanted(args, task)?;
    let told = Outcome::changed(false).with("repodata", wanted.told()).with("state", state.as_str());
    if state == "absent" {
        let listed = zypper.repositories(task)?;
        let gone: Vec<&Repository> = match &wanted.alias {
            Some(alias) => listed.iter().filter(|is| is.alias.as_ref() == Some(alias)).collect(),
            None => listed.iter().filter(|is| is.is_at(&wanted.url)).collect(),
        };
        return zypper.remove(task, &gone, told);
    }
    let Some(alias) = wanted.alias.clone() else {
        return Err("Name required when adding non-repo files.".into());
    };
    let listed = zypper.repositories(task)?;
    let same: Vec<&Repository> =
        listed.iter().filter(|is| is.alias == wanted.alias || is.is_at(&wanted.url)).collect();
    let there = same.len() == 1 && wanted.is_met_by(same[0]);
    if same.len() > 1 && !args.bool("overwrite_multiple") {
        let names: Vec<&str> = same.iter().filter_map(|is| is.alias.as_deref()).collect();
        return Err(Failure::new(format!(
            "More than one repo matched \"{}\": {}. Use overwrite_multiple to allow more than one repo to be overwritten",
            wanted.url,
            names.join(", ")
        )));
    }
    let mut told = told;
    if !there {
        told = zypper.remove(task, &same, told)?;
        told = zypper.add(task, &wanted, &alias, told)?;
    }
    let new_keys = args.bool("auto_import_keys") && !there;
    if args.bool("runrefresh") || new_keys {
        zypper.refresh(task, args, Some(&alias)).map_err(|failure| failure.after_change(told.changed))?;
    }
    Ok(told)
}

/// One that a task wants, or that is there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Repository {
    alias: Option<String>,
    /// Empty: a task did not say.
    url: String,
    name: Option<String>,
    priority: Option<i64>,
    enabled: bool,
    autorefresh: bool,
    gpgcheck: bool,
}

impl Repository {
    fn wanted(args: &Args, task: &Task<'_>) -> Result<Self, Failure> {
        let mut wanted = Self {
            alias: args.str("name").map(str::to_owned),
            url: args.str("repo").unwrap_or_default().to_owned(),
            name: args.str("description").map(str::to_owned),
            priority: args.int("priority"),
            enabled: args.bool("enabled"),
            autorefresh: args.bool("autorefresh"),
            gpgcheck: !args.bool("disable_gpg_check"),
        };
        if wanted.url.ends_with(".repo") {
            if wanted.alias.is_some() {
                return Err("Incompatible option: 'name'. Do not use name when adding .repo files".into());
            }
            let text = file::read(task, &wanted.url)?;
            file::apply(&text, &mut wanted)?;
        }
        Ok(wanted)
    }

    /// Under the reference's names.
    fn told(&self) -> Json {
        let flag = |yes: bool| if yes { "1" } else { "0" };
        json!({
            "alias": self.alias,
            "url": if self.url.is_empty() { None } else { Some(&self.url) },
            "name": self.name,
            "priority": self.priority,
            "enabled": flag(self.enabled),
            "autorefresh": flag(self.autorefresh),
            "gpgcheck": flag(self.gpgcheck),
        })
    }

    fn is_at(&self, url: &str) -> bool {
        !url.is_empty() && self.url.trim_end_matches('/') == url.trim_end_matches('/')
    }

    fn is_met_by(&self, is: &Self) -> bool {
        self.alias == is.alias
            && is.is_at(&self.url)
            && self.name.as_ref().is_none_or(|name| is.name.as_ref() == Some(name))
            && self.priority.is_none_or(|priority| is.priority == Some(priority))
            && (self.enabled, self.autorefresh, self.gpgcheck) == (is.enabled, is.autorefresh, is.gpgcheck)
    }
}

struct Zypper {
    program: String,
}

impl Zypper {
    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&self.program, "--quiet", "--non-interactive"].into_iter().chain(more.iter().copied()).collect()
    }

    fn repositories(&self, task: &Task<'_>) -> Result<Vec<Repository>, Failure> {
        let output = children::ask(task, &self.words(&["--xmlout", "repos"]))?;
        // 6: there is none.
        if output.rc == 6 {
            return Ok(Vec::new());
        }
        let mut all = listed(&children::expect(output)?.stdout_text());
        let raw = file::installed();
        for one in &mut all {
            // What zypper lists has its variables resolved; a task names it with them.
            if let Some((_, url)) = raw.iter().find(|(alias, url)| one.alias.as_ref() == Some(alias) && url.contains('$')) {
                one.url.clone_from(url);
            }
        }
        Ok(all)
    }

    fn remove(&self, task: &mut Task<'_>, gone: &[&Repository], mut told: Outcome) -> Result<Outcome, Failure> {
        for alias in gone.iter().filter_map(|one| one.alias.as_deref()) {
            if !task.check {
                let output = children::act(task, &self.words(&["removerepo", alias]))?;
                told = judge(output, told)?;
            }
            told.changed = true;
        }
        Ok(told)
    }

    fn add(&self, task: &mut Task<'_>, new: &Repository, alias: &str, told: Outcome) -> Result<Outcome, Failure> {
        let priority = new.priority.map(|priority| priority.to_string());
        let mut more = vec!["addrepo", "--check"];
        if let Some(name) = &new.name {
            more.extend(["--name", name]);
        }
        if let Some(priority) = &priority {
            more.extend(["--priority", priority]);
        }
        more.extend((!new.enabled).then_some("--disable"));
        more.push(if new.gpgcheck { "--gpgcheck" } else { "--no-gpgcheck" });
        more.extend(new.autorefresh.then_some("--refresh"));
        more.extend([new.url.as_str(), alias]);
        let mut told = told;
        if !task.check {
            let output = children::act(task, &self.words(&more))?;
            told = judge(output, told)?;
        }
        told.changed = true;
        Ok(told)
    }

    fn refresh(&self, task: &mut Task<'_>, args: &Args, alias: Option<&str>) -> Result<(), Failure> {
        if task.check {
            return Ok(());
        }
        let mut more = Vec::new();
        more.extend(args.bool("auto_import_keys").then_some("--gpg-auto-import-keys"));
        more.extend(["refresh", "--force"]);
        more.extend(alias.into_iter().flat_map(|alias| ["-r", alias]));
        children::expect(children::act(task, &self.words(&more))?).map(drop)
    }
}

fn judge(output: crate::command::Output, told: Outcome) -> Result<Outcome, Failure> {
    if output.ok() {
        return Ok(told);
    }
    let mut failure = children::failed(&output, format!("Zypper failed with rc {}", output.rc));
    failure.values.extend(told.values);
    Err(failure.after_change(told.changed))
}

/// Of `zypper --xmlout repos`.
fn listed(xml: &str) -> Vec<Repository> {
    let mut all: Vec<Repository> = Vec::new();
    for tag in zypp::tags(xml) {
        let flag = |name| tag.attribute(name).is_some_and(|value| value == "1");
        match (tag.name, all.last_mut()) {
            ("repo", _) => all.push(Repository {
                alias: tag.attribute("alias"),
                name: tag.attribute("name"),
                priority: tag.attribute("priority").and_then(|text| text.parse().ok()),
                enabled: flag("enabled"),
                autorefresh: flag("autorefresh"),
                gpgcheck: flag("gpgcheck"),
                url: String::new(),
            }),
            ("url", Some(last)) if last.url.is_empty() => last.url = tag.text(),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read_and_compared() {
        let xml = r#"<stream><repo-list>
<repo alias="a:b" name="A &amp; B" type="rpm-md" priority="99" enabled="1" autorefresh="0" gpgcheck="1" repo_gpgcheck="1" pkg_gpgcheck="1">
<url>http://h/x?a=1&amp;b=2</url>
</repo>
</repo-list></stream>"#;
        let all = listed(xml);
        let wanted = Repository {
            alias: Some("a:b".to_owned()),
            url: "http://h/x?a=1&b=2/".to_owned(),
            enabled: true,
            gpgcheck: true,
            ..Repository::default()
        };
        assert!(all.len() == 1 && wanted.is_met_by(&all[0]), "{all:?}");
        let named = |name: &str| Repository { name: Some(name.to_owned()), ..listed(xml).remove(0) };
        assert!(named("A & B").is_met_by(&all[0]) && !named("A").is_met_by(&all[0]));
        assert!(!Repository { priority: Some(1), ..wanted }.is_met_by(&all[0]));
    }
}
