//! Facts that the host's owner provides: files and programs in `/etc/ansible/facts.d`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use catalog::{Json, Map};

use super::Children;

/// The `local` fact, and warnings about files that could not be read.
pub fn collect(dir: &Path, children: Children<'_>) -> (Map, Vec<String>) {
    let (mut facts, mut warnings) = (Map::new(), Vec::new());
    let mut files: Vec<_> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "fact")) {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let value = read(file, children).unwrap_or_else(|problem| {
            warnings.push(problem.clone());
            problem.into()
        });
        facts.insert(name, value);
    }
    (Map::from_iter([("local".to_owned(), Json::Object(facts))]), warnings)
}

fn read(file: &Path, children: Children<'_>) -> Result<Json, String> {
    let shown = file.display();
    let metadata = file.metadata().map_err(|e| format!("Could not stat fact ({shown}): {e}"))?;
    let text = if metadata.permissions().mode() & 0o100 != 0 {
        let ran = children(&[&file.to_string_lossy()])
            .ok_or_else(|| format!("Could not execute fact script ({shown})"))?;
        if ran.rc != 0 {
            return Err(format!(
                "Failure executing fact script ({shown}), rc: {}, err: {}",
                ran.rc, ran.stderr
            ));
        }
        ran.stdout
    } else {
        let bytes = std::fs::read(file).map_err(|e| format!("error loading fact - {e}: {shown}"))?;
        String::from_utf8(bytes)
            .map_err(|_| format!("error loading fact - output of {shown} was not utf-8"))?
    };
    if let Ok(value) = serde_json::from_str(&text) {
        return Ok(value);
    }
    let sections = ini(&text)
        .ok_or_else(|| format!("error loading facts as JSON or ini - please check content: {shown}"))?;
    interpolated(&sections)
        .map(Json::Object)
        .map_err(|problem| format!("error loading facts as ini - please check content: {shown}, {problem}"))
}

/// With the values that stand for others.
pub(super) fn interpolated(sections: &Json) -> Result<Map, String> {
    let Json::Object(sections) = sections else { return Ok(Map::new()) };
    let mut all = Map::new();
    for (name, section) in sections {
        let Json::Object(values) = section else { continue };
        let mut inner = Map::new();
        for (key, value) in values {
            let other = |name: &str| values.get(name).and_then(Json::as_str).map(str::to_owned);
            let text = catalog::ini::interpolate(value.as_str().unwrap_or_default(), &other)?;
            inner.insert(key.clone(), text.into());
        }
        all.insert(name.clone(), Json::Object(inner));
    }
    Ok(all)
}

/// Sections of `key = value` or `key: value`; keys in lower case; indented lines continue the value before.
/// `[DEFAULT]` counts for every section.
pub fn ini(text: &str) -> Option<Json> {
    let mut sections: Vec<(String, Map)> = Vec::new();
    let mut last_key: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let (Some(key), true) = (&last_key, line.starts_with([' ', '\t'])) {
            let value = sections.last_mut().and_then(|(_, section)| section.get_mut(key));
            if let Some(Json::String(value)) = value {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(name) =
            trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name)
        {
            if sections.iter().any(|(known, _)| known == name) {
                return None;
            }
            sections.push((name.to_owned(), Map::new()));
            last_key = None;
            continue;
        }
        let (key, value) = trimmed.split_at_checked(trimmed.find(['=', ':'])?)?;
        let key = key.trim().to_lowercase();
        let section = &mut sections.last_mut()?.1;
        section.insert(key.clone(), value[1..].trim().into());
        last_key = Some(key);
    }
    let defaults =
        sections.iter().find(|(name, _)| name == "DEFAULT").map(|(_, s)| s.clone()).unwrap_or_default();
    let merged = sections.into_iter().filter(|(name, _)| name != "DEFAULT").map(|(name, section)| {
        let mut all = defaults.clone();
        all.extend(section);
        (name, Json::Object(all))
    });
    Some(Json::Object(merged.collect()))
}
