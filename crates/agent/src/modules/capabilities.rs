//! `capabilities`: what a program may do beyond its user, kept with its file.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("path").required().aliases(&["key"]),
    Arg::str("capability").required().aliases(&["cap"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("capabilities", ARGS).collection("community.general"), run };

/// `cap_net_raw` and the letters of the sets that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Capability {
    name: String,
    operator: char,
    sets: String,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = args.string("path").trim().to_owned();
    let given = args.string("capability").trim().to_lowercase();
    let present = args.str("state") != Some("absent");
    let Some(wanted) = parse(&given) else {
        return Err(Failure::new(format!("Couldn't find operator (one of: ['=', '-', '+']) in `{given}`")));
    };
    let there = current(task, &path)?;
    let has = |c: &Capability| c.name == wanted.name && same_sets(&c.sets, &wanted.sets);
    let found = there.iter().any(|c| if present { has(c) } else { c.name == wanted.name });
    let state = args.string("state");
    if found == present {
        return Ok(Outcome::changed(false).with("state", state));
    }
    let message = "capabilities changed";
    if task.check {
        return Ok(Outcome::changed(true).with("msg", message));
    }
    let mut kept: Vec<Capability> = there.into_iter().filter(|c| c.name != wanted.name).collect();
    if present {
        kept.push(wanted);
    }
    let words: Vec<String> = kept.iter().map(|c| format!("{}{}{}", c.name, c.operator, c.sets)).collect();
    let run = children::in_c_locale(task, &["setcap", &words.join(" "), &path]);
    // One extended attribute of this one file.
    let output = children::act_on(task, &[Path::new(&path)], run)?;
    if !output.ok() {
        return Err(Failure::new(format!("Unable to set capabilities of {path}"))
            .with("stdout", output.stdout_text())
            .with("stderr", output.stderr_text()));
    }
    let outcome = Outcome::changed(true).with("msg", message).with("state", state);
    Ok(outcome.with("stdout", output.stdout_text()))
}

fn same_sets(a: &str, b: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(a) == sorted(b)
}

fn parse(word: &str) -> Option<Capability> {
    let at = word.find(['=', '-', '+'])?;
    let operator = word[at..].chars().next()?;
    Some(Capability { name: word[..at].to_owned(), operator, sets: word[at + 1..].to_owned() })
}

/// Old versions write `FILE = cap_a,cap_b+ep`, new ones `FILE cap_a,cap_b=ep`.
fn current(task: &Task<'_>, path: &str) -> Result<Vec<Capability>, Failure> {
    let output = children::ask(task, &["getcap", "-v", path])?;
    if !output.ok() || !output.stderr_text().is_empty() {
        return Err(Failure::new(format!("Unable to get capabilities of {path}"))
            .with("stdout", output.stdout_text().trim())
            .with("stderr", output.stderr_text()));
    }
    Ok(capabilities(output.stdout_text().strip_prefix(path).unwrap_or_default()))
}

fn capabilities(said: &str) -> Vec<Capability> {
    let words = said.split_whitespace().filter(|word| *word != "=");
    let groups = words.filter_map(|word| parse(&word.to_lowercase()));
    groups
        .flat_map(|group| {
            let names: Vec<String> = group.name.split(',').map(str::to_owned).collect();
            names.into_iter().map(move |name| Capability { name, ..group.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::capabilities;

    #[test]
    fn both_ways_of_writing_are_read() {
        for said in [" = cap_net_raw,cap_kill+ep", " cap_net_raw,cap_kill=ep"] {
            let read = capabilities(said);
            let names: Vec<&str> = read.iter().map(|c| c.name.as_str()).collect();
            assert_eq!(names, ["cap_net_raw", "cap_kill"]);
            assert!(read.iter().all(|c| c.sets == "ep"));
        }
        assert!(capabilities("").is_empty());
    }
}
