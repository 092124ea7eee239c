//! `theseus diff A B`: what is different between two hosts, two generations of one, a generation and now, or a host and an
//! image.

use std::collections::BTreeSet;

use catalog::{Json, Map};
use drift::fingerprint::{self, Because, Prints};
use serde_json::json;

use crate::arguments::Diff;
use crate::commands::effect::{self, Change, Question, is_secret};
use crate::commands::living;
use crate::report::{self, Output, Style};
use crate::setup::{Base, Problem};

/// `HOST` or `HOST@GENERATION`.
struct Side<'a> {
    host: &'a str,
    generation: Option<u64>,
}

impl<'a> Side<'a> {
    fn of(text: &'a str) -> Result<Self, Problem> {
        let Some((host, generation)) = text.rsplit_once('@') else {
            return Ok(Self { host: text, generation: None });
        };
        let generation = generation.parse().map_err(|_| {
            Problem::Options(format!("`{text}`: `{generation}` is no generation; write HOST@3"))
        })?;
        Ok(Self { host, generation: Some(generation) })
    }

    fn states(
        &self,
        asked: &Diff,
        base: &mut Base,
        command: &str,
        also: &BTreeSet<String>,
    ) -> Result<Result<Map, u8>, Problem> {
        let question = Question { pattern: self.host, means: &asked.means, command, looks: true };
        let mut arguments = json!({"ask": "states", "contents": !asked.names, "paths": also});
        if let Some(generation) = self.generation {
            arguments["generation"] = json!(generation);
        }
        question.ask_one(base, arguments)
    }
}

pub(crate) fn diff(asked: &Diff, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let sides = (
            living::side(&asked.before, &asked.means, base)?,
            living::side(&asked.after, &asked.means, base)?,
        );
        let with_image = match &sides {
            (living::Side::Host, living::Side::Host) => None,
            (living::Side::Host, living::Side::Image(image)) => {
                Some(living::diff(asked, (&asked.before, image), true, style, command, base)?)
            }
            (living::Side::Image(image), living::Side::Host) => {
                Some(living::diff(asked, (&asked.after, image), false, style, command, base)?)
            }
            _ => {
                return Err(Problem::Options(format!(
                    "both are images: theseus image diff {} {}",
                    asked.before, asked.after
                )));
            }
        };
        if let Some(found) = with_image {
            return Ok(if asked.exit_code && found { 2 } else { 0 });
        }
        let (before, after) = (Side::of(&asked.before)?, Side::of(&asked.after)?);
        let nothing = BTreeSet::new();
        let mut left = match before.states(asked, base, command, &nothing)? {
            Ok(states) => states,
            Err(code) => return Ok(effect::looked(code)),
        };
        let mut right = match after.states(asked, base, command, &nothing)? {
            Ok(states) => states,
            Err(code) => return Ok(effect::looked(code)),
        };
        // Two hosts as they are: also what no layer speaks of.
        let live = before.generation.is_none() && after.generation.is_none() && before.host != after.host;
        let others = if live { others(asked, base, command)? } else { Others::default() };
        // What only one of two hosts ever changed is looked at on the other as well.
        let touched = [left.clone(), right.clone()];
        for (side, mine, other) in [(&before, &mut left, &touched[1]), (&after, &mut right, &touched[0])] {
            let all = paths(other).chain(others.paths.iter().cloned());
            let missing: BTreeSet<String> = all.filter(|path| mine["states"].get(path).is_none()).collect();
            if !missing.is_empty()
                && let Ok(states) = side.states(asked, base, command, &missing)?
            {
                *mine = states;
            }
        }
        let found = print(asked, &left, &right, style) | print_objects(asked, &others, style);
        Ok(if asked.exit_code && found { 2 } else { 0 })
    })
}

/// What differs between two hosts and is in no layer.
#[derive(Default)]
struct Others {
    paths: BTreeSet<String>,
    objects: Vec<Because>,
}

/// More paths than these are named by `compare` only.
const MOST: usize = 500;

fn others(asked: &Diff, base: &mut Base, command: &str) -> Result<Others, Problem> {
    let mut prints = |host: &str| -> Result<Prints, Problem> {
        let question = Question { pattern: host, means: &asked.means, command, looks: true };
        let answers = question.ask_of("drift", base, json!({"ask": "prints"}), false)?;
        let answer = answers.by_host.into_values().next().and_then(|mut answer| answer.remove("prints"));
        let answer = answer.ok_or_else(|| Problem::Other(format!("{host} did not answer")))?;
        serde_json::from_value(answer).map_err(|e| Problem::Other(format!("{host}: {e}")))
    };
    let (left, right) = (prints(&asked.before)?, prints(&asked.after)?);
    let (paths, objects): (Vec<_>, Vec<_>) =
        fingerprint::reasons(&right, &left).into_iter().partition(|b| b.name.starts_with('/'));
    if paths.len() > MOST {
        eprintln!("note: {} more paths differ; these two hosts are hardly of one kind", paths.len() - MOST);
    }
    Ok(Others { paths: paths.into_iter().take(MOST).map(|b| b.name).collect(), objects })
}

fn print_objects(asked: &Diff, others: &Others, style: Style) -> bool {
    for object in &others.objects {
        let kind = match (&object.there, &object.here) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        if style.output == Output::Json {
            let mut line = json!({"event": "change", "host": asked.after, "object": object.name, "kind": kind, "declared": false});
            for (key, value) in [("before", &object.there), ("after", &object.here)] {
                if let Some(value) = value {
                    line[key] = json!(value);
                }
            }
            report::json_line(line);
        } else {
            let values: Vec<&str> =
                [&object.here, &object.there].into_iter().flatten().map(String::as_str).collect();
            println!("{kind:<8} {}  ({})", object.name, values.join(", was "));
        }
    }
    !others.objects.is_empty()
}

fn paths(answer: &Map) -> impl Iterator<Item = String> {
    answer["states"].as_object().into_iter().flat_map(|states| states.keys().cloned())
}

fn print(asked: &Diff, left: &Map, right: &Map, style: Style) -> bool {
    let mut contents = left["contents"].clone();
    if let (Some(all), Some(more)) = (contents.as_object_mut(), right["contents"].as_object()) {
        all.extend(more.clone());
    }
    let all: BTreeSet<String> = paths(left).chain(paths(right)).collect();
    let host = |text: &str| text.split('@').next().unwrap_or_default().to_owned();
    let different_hosts = host(&asked.before) != host(&asked.after);
    let mut found = false;
    for path in all {
        let (before, after) = (&left["states"][&path], &right["states"][&path]);
        if same(before, after, different_hosts) {
            continue;
        }
        found = true;
        let secret = is_secret(before) || is_secret(after);
        let change = Change { host: &asked.after, path: &path, before, after, cause: None, secret };
        if style.output == Output::Json {
            report::json_line(change.json());
        } else {
            print!("{}", change.text(style, &contents, asked.names));
        }
    }
    if !found && style.output != Output::Json {
        println!("no difference in what was ever changed on {} and {}", asked.before, asked.after);
    }
    found
}

/// Times and inode numbers say nothing between two hosts.
pub(crate) fn same(before: &Json, after: &Json, different_hosts: bool) -> bool {
    // A change of mode alone does not read the content.
    let unread = before["digest"].is_null() || after["digest"].is_null();
    let plain = |state: &Json| {
        let mut state = state.clone();
        if let Some(state) = state.as_object_mut() {
            if unread {
                state.remove("digest");
            }
            state.remove("group");
            state.remove("atime");
            if different_hosts || state.get("type").is_some_and(|kind| kind == "dir") {
                state.remove("mtime");
            }
        }
        state
    };
    plain(before) == plain(after)
}
