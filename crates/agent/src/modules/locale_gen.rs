//! `locale_gen`: locales that the C library knows.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] =
    &[Arg::list("name").required(), Arg::str("state").default("present").choices(&["absent", "present"])];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("locale_gen", ARGS).collection("community.general"), run };

const GEN: &str = "/etc/locale.gen";
const SUPPORTED: &str = "/usr/share/i18n/SUPPORTED";
/// Old Ubuntu.
const LEGACY: &str = "/var/lib/locales/supported.d";

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let names = args.strings("name");
    let present = args.str("state") != Some("absent");
    let legacy = Path::new(LEGACY).exists() && !Path::new(GEN).exists();
    if !legacy && !Path::new(GEN).exists() {
        return Err(Failure::new(format!(
            "{GEN} and {LEGACY}/local are missing. Is the package \"locales\" installed?"
        )));
    }
    let mechanism = if legacy { "ubuntu_legacy" } else { "glibc" };
    let unknown = unknown(&names, legacy)?;
    if !unknown.is_empty() {
        let list = unknown.join(", ");
        let message =
            format!("The following locales you have entered are not available on your system: {list}");
        return Err(Failure::new(message)
            .with("name", names)
            .with("mechanism", mechanism)
            .with("ubuntu_mode", legacy));
    }
    let there = generated(task)?;
    let has = |name: &String| there.contains(&normal(name));
    let changed = if present { !names.iter().all(has) } else { names.iter().any(has) };
    let mut outcome = Outcome::changed(changed);
    if changed && !task.check {
        if legacy { of_old_ubuntu(task, &names, present)? } else { of_debian(task, &names, present)? }
    }
    outcome.set("name", names);
    outcome.set("ubuntu_mode", legacy);
    outcome.set("mechanism", mechanism);
    Ok(outcome.diff(json!({})))
}

/// As `locale -a` writes names: `de_DE.UTF-8` is `de_DE.utf8`.
fn normal(name: &str) -> String {
    let (language, rest) = name.split_once('.').unwrap_or((name, ""));
    let (codeset, modifier) = rest.split_once('@').map_or((rest, None), |(c, m)| (c, Some(m)));
    let plain: String =
        codeset.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let mut all = language.to_owned();
    if !plain.is_empty() {
        all = format!("{all}.{plain}");
    }
    modifier.map_or(all.clone(), |m| format!("{all}@{m}"))
}

fn generated(task: &Task<'_>) -> Result<Vec<String>, Failure> {
    let output = children::expect(children::ask(task, &["locale", "-a"])?)?;
    Ok(output.stdout_text().lines().map(normal).collect())
}

/// The name in a line of locale.gen or SUPPORTED, commented out or not.
fn name_in(line: &str) -> Option<(&str, &str)> {
    let (name, charset) = line.trim_start_matches(['#', ' ', '\t']).trim().split_once(char::is_whitespace)?;
    let charset = charset.trim();
    // Prose has more words.
    (!charset.is_empty() && !charset.contains(char::is_whitespace)).then_some((name, charset))
}

fn unknown(names: &[String], legacy: bool) -> Result<Vec<String>, Failure> {
    let mut text = TextFile::read(SUPPORTED)?.text().to_owned();
    if !legacy {
        text.push_str(TextFile::read(GEN)?.text());
    }
    let known = |name: &&String| !text.lines().any(|line| name_in(line).is_some_and(|(n, _)| n == *name));
    Ok(names.iter().filter(known).cloned().collect())
}

fn of_debian(task: &mut Task<'_>, names: &[String], present: bool) -> Result<(), Failure> {
    let file = TextFile::read(GEN)?;
    let mut missing: Vec<&String> = names.iter().collect();
    let mut after = String::new();
    for line in file.text().split_inclusive('\n') {
        let ours = name_in(line).filter(|(name, _)| names.iter().any(|wanted| wanted == name));
        match ours {
            None => after.push_str(line),
            Some((name, charset)) => {
                missing.retain(|wanted| *wanted != name);
                after.push_str(&format!("{}{name} {charset}\n", if present { "" } else { "# " }));
            }
        }
    }
    if present && !missing.is_empty() {
        let supported = TextFile::read(SUPPORTED)?;
        let lines = supported.text().lines().filter_map(name_in);
        for (name, charset) in lines.filter(|(name, _)| missing.iter().any(|m| m == name)) {
            after.push_str(&format!("{name} {charset}\n"));
        }
    }
    if file.differs(&after) {
        file.write(task, &after, None)?;
    }
    generate(task, &["locale-gen"])
}

fn of_old_ubuntu(task: &mut Task<'_>, names: &[String], present: bool) -> Result<(), Failure> {
    if present {
        let argv: Vec<&str> = std::iter::once("locale-gen").chain(names.iter().map(String::as_str)).collect();
        return generate(task, &argv);
    }
    let file = TextFile::read(format!("{LEGACY}/local"))?;
    let goes = |line: &&str| line.split_whitespace().next().is_some_and(|n| names.iter().any(|x| x == n));
    let after: String = file.text().split_inclusive('\n').filter(|line| !goes(line)).collect();
    if file.differs(&after) {
        file.write(task, &after, None)?;
    }
    generate(task, &["locale-gen", "--purge"])
}

fn generate(task: &mut Task<'_>, argv: &[&str]) -> Result<(), Failure> {
    children::expect(children::act(task, argv)?).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{name_in, normal};

    #[test]
    fn names_are_compared_as_the_library_writes_them() {
        assert_eq!(normal("de_DE.UTF-8"), "de_DE.utf8");
        assert_eq!(normal("de_DE.ISO-8859-15@euro"), "de_DE.iso885915@euro");
        assert_eq!(normal("C"), "C");
    }

    #[test]
    fn prose_is_no_locale() {
        assert_eq!(name_in("# de_DE.UTF-8 UTF-8"), Some(("de_DE.UTF-8", "UTF-8")));
        assert_eq!(name_in("# This file lists locales that you wish to have built."), None);
    }
}
