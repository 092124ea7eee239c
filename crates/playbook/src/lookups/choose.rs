//! Lookups that choose: among files, among values.

use std::path::{Path, PathBuf};

use expressions::{Error, Value};

use super::{Call, elements, glob};
use crate::search;

pub(super) fn random_choice(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    if call.terms.is_empty() {
        return Ok(Vec::new());
    }
    // `lookup('random_choice', [a, b])` and `with_random_choice: [a, b]` both mean the elements.
    let choices = match call.terms {
        [Value::List(list)] => list.items()?,
        terms => terms.to_vec(),
    };
    if choices.is_empty() {
        return Ok(Vec::new());
    }
    let index = super::password::random_below(choices.len())?;
    Ok(vec![choices[index].clone()])
}

/// Files that match, in order of the terms; names only where the folder exists.
pub(super) fn fileglob(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for term in call.texts()? {
        let pattern = search::expand_home(&term);
        let name = pattern.file_name().map(PathBuf::from).unwrap_or_default();
        let folder = pattern.parent().unwrap_or(Path::new(""));
        let folders = if pattern.is_absolute() {
            vec![folder.to_owned()]
        } else if folder.as_os_str().is_empty() {
            let places = call.scope.search_path();
            places.iter().map(|place| place.join("files")).chain(places.clone()).collect()
        } else {
            search::places(&folder.to_string_lossy(), "files", &call.scope.search_path())
        };
        // The first folder that holds a match.
        for folder in folders {
            let found = glob::files(&folder.join(&name));
            if !found.is_empty() {
                all.extend(found.into_iter().map(|path| Value::from(path.display().to_string())));
                break;
            }
        }
    }
    Ok(all)
}

/// `'/etc/*.conf' | fileglob`.
pub(super) fn glob_filter(value: &Value) -> Result<Value, Error> {
    let pattern = value.python_str()?;
    let found = glob::files(&search::expand_home(&pattern));
    Ok(Value::from(found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()))
}

#[derive(Default)]
struct Wanted {
    names: Vec<String>,
    skip: bool,
}

/// Given by `with_first_found`: it looks into the folder of the task's kind of files, the lookup does not.
pub(crate) const FOR_LOOP: &str = "_for_loop";

fn kind_by_action(action: &str) -> &'static str {
    let kinds = [("template", "templates"), ("var", "vars")];
    kinds.iter().find(|(part, _)| action.contains(part)).map_or("files", |(_, kind)| kind)
}

/// The first file that exists.
pub(super) fn first_found(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    let mut wanted = Wanted { names: Vec::new(), skip: call.flag("skip", false)? };
    let paths = folders(call.option("paths"))?;
    for name in listed(call.option("files"))? {
        push_below(&mut wanted.names, &paths, &name);
    }
    for term in call.terms {
        first_found_term(term, &paths, &mut wanted)?;
    }
    let kind = match call.option(FOR_LOOP) {
        Some(_) => kind_by_action(call.scope.task().map_or("", |task| &task.action)),
        None => "",
    };
    for name in wanted.names.iter().filter(|name| !name.is_empty()) {
        if let Some(path) = search::find(name, kind, &call.scope.search_path()) {
            return Ok(vec![Value::from(path.display().to_string())]);
        }
    }
    if wanted.skip {
        return Ok(Vec::new());
    }
    Err(Error::new(format!("no file was found when using first_found: {}", wanted.names.join(", "))))
}

fn first_found_term(term: &Value, paths: &[String], wanted: &mut Wanted) -> Result<(), Error> {
    match term {
        Value::Dict(dict) => {
            let own = dict.get("paths")?;
            let paths = folders(own.as_ref())?;
            for name in listed(dict.get("files")?.as_ref())? {
                push_below(&mut wanted.names, &paths, &name);
            }
            if dict.get("files")?.is_none() {
                wanted.names.extend(paths);
            }
            if let Some(skip) = dict.get("skip")? {
                wanted.skip |=
                    skip.as_bool().or_else(|| catalog::arguments::truth(skip.as_str()?)).unwrap_or(false);
            }
        }
        Value::List(_) | Value::Tuple(_) => {
            for item in elements(term)? {
                first_found_term(&item, paths, wanted)?;
            }
        }
        Value::Undefined(_) | Value::None => {}
        Value::Str(text) => push_below(&mut wanted.names, paths, text.as_str()),
        other => {
            return Err(Error::new(format!(
                "a term of first_found must be text, a mapping or a list of those, not '{}'",
                other.type_name()
            )));
        }
    }
    Ok(())
}

fn push_below(names: &mut Vec<String>, paths: &[String], name: &str) {
    if paths.is_empty() || name.starts_with('/') {
        names.push(name.to_owned());
    }
    if !name.starts_with('/') {
        names.extend(paths.iter().map(|path| format!("{}/{name}", path.trim_end_matches('/'))));
    }
}

/// As [`listed`]; between folders may be `:`, too.
fn folders(value: Option<&Value>) -> Result<Vec<String>, Error> {
    let names = listed(value)?;
    Ok(names.iter().flat_map(|name| name.split(':')).map(str::to_owned).collect())
}

/// A list, or text with `,` or `;` between names.
fn listed(value: Option<&Value>) -> Result<Vec<String>, Error> {
    let Some(value) = value.filter(|value| !value.is_undefined()) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for item in elements(value)? {
        if item.is_undefined() || item.is_none() {
            continue;
        }
        let text = item.python_str()?;
        all.extend(text.split([',', ';']).map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
    }
    Ok(all)
}
