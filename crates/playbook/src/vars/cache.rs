//! Facts that outlive a run: one file for each host, as Ansible's cache plugin `jsonfile` writes and reads them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use expressions::Value;
use serde_json::{Map, Value as Json, json};

use crate::config::Config;
use crate::ir::Vars;

/// Of the form of the files: part of their names since ansible-core 2.19.
const FORM: &str = "s1_";
/// Under this is the text of the facts' JSON.
const PAYLOAD: &str = "__payload__";
/// What 2.19 writes beside values that it knows more of.
const KIND: &str = "__ansible_type";

/// Where facts are kept.
#[derive(Clone, Debug)]
pub struct FactCache {
    folder: PathBuf,
    prefix: String,
    /// Older ones do not count; `None`: all count.
    timeout: Option<Duration>,
}

impl FactCache {
    /// `None`: facts live as long as the run does. `Err`: why what is configured cannot be done.
    pub fn new(config: &Config) -> Result<Option<Self>, String> {
        let plugin = config.text("CACHE_PLUGIN").unwrap_or("memory");
        match plugin.rsplit('.').next().unwrap_or_default() {
            "memory" | "" => return Ok(None),
            "jsonfile" => {}
            _ => {
                return Err(format!(
                    "the fact cache `{plugin}` is not known (known are jsonfile and memory): facts are kept for this run only"
                ));
            }
        }
        let Some(folder) = config.path("CACHE_PLUGIN_CONNECTION") else {
            return Err("the fact cache `jsonfile` needs a folder: set fact_caching_connection".to_owned());
        };
        let seconds = config.int("CACHE_PLUGIN_TIMEOUT").and_then(|n| u64::try_from(n).ok());
        Ok(Some(Self {
            folder: folder.to_owned(),
            prefix: config.text("CACHE_PLUGIN_PREFIX").unwrap_or_default().to_owned(),
            timeout: seconds.filter(|n| *n > 0).map(Duration::from_secs),
        }))
    }

    fn file(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{}{FORM}{}", self.prefix, host.replace('/', "_")))
    }

    /// What is known of a host. A damaged file is as good as none: the facts are gathered again.
    pub(super) fn read(&self, host: &str) -> Vars {
        let file = self.file(host);
        let age = fs::metadata(&file).ok().and_then(|m| m.modified().ok()?.elapsed().ok());
        let fresh = |age: Duration| self.timeout.is_none_or(|timeout| age <= timeout);
        if !age.is_none_or(fresh) {
            return Vars::new();
        }
        let whole = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok());
        let facts = match whole {
            Some(Json::Object(entries)) => match entries.get(PAYLOAD).and_then(Json::as_str) {
                Some(text) => serde_json::from_str(text).unwrap_or_default(),
                None => entries,
            },
            _ => Map::new(),
        };
        facts.into_iter().map(|(name, value)| (Arc::from(name), Value::from_json(&plain(value)))).collect()
    }

    pub(super) fn write(&self, host: &str, facts: &Vars) -> Result<(), String> {
        let known = |(name, value): (&Arc<str>, &Value)| Some((name.to_string(), value.to_json().ok()?));
        let facts: Map<String, Json> = facts.iter().filter_map(known).collect();
        let text = json!({PAYLOAD: Json::Object(facts).to_string()}).to_string();
        let file = self.file(host);
        // Two runs may write at once; each file is whole.
        let part = self.folder.join(format!(".{}.{}", std::process::id(), host.replace('/', "_")));
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut new = fs::File::create(&part)?;
            new.write_all(text.as_bytes())?;
            fs::rename(&part, &file)
        };
        write().map_err(|error| format!("the facts of {host} cannot be kept in {}: {error}", file.display()))
    }

    /// `--flush-cache`, `meta: clear_facts`.
    pub(super) fn remove(&self, host: &str) {
        let _ = fs::remove_file(self.file(host));
    }
}

/// Without what 2.19 notes of where values come from.
fn plain(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.into_iter().map(plain).collect()),
        Json::Object(mut entries) if entries.contains_key(KIND) => {
            entries.remove(KIND);
            let value =
                entries.remove("value").or_else(|| entries.into_iter().next().map(|(_, value)| value));
            plain(value.unwrap_or(Json::Null))
        }
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &std::path::Path, timeout: Option<Duration>) -> FactCache {
        FactCache { folder: folder.to_owned(), prefix: "x_".to_owned(), timeout }
    }

    #[test]
    fn facts_are_written_and_read() {
        let folder = std::env::temp_dir().join(format!("facts-{}", std::process::id()));
        let cache = cache(&folder, None);
        assert!(cache.read("a").is_empty());
        let facts = Vars::from_iter([(Arc::from("n"), Value::Int(1)), (Arc::from("t"), Value::str("x"))]);
        cache.write("a", &facts).unwrap();
        assert!(folder.join("x_s1_a").is_file());
        let read = cache.read("a");
        assert_eq!(read.get("n").and_then(Value::as_i64), Some(1));
        assert_eq!(read.get("t").and_then(|t| t.as_str().map(str::to_owned)), Some("x".to_owned()));
        let old = FactCache { timeout: Some(Duration::ZERO), ..cache.clone() };
        std::thread::sleep(Duration::from_millis(10));
        assert!(old.read("a").is_empty());
        cache.remove("a");
        assert!(cache.read("a").is_empty());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_ansible_core_wrote_is_read() {
        let folder = std::env::temp_dir().join(format!("facts-core-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let facts = r#"{"a": {"value": [{"value": 1, "tags": [], "__ansible_type": "_AnsibleTaggedInt"}], "tags": [],
            "__ansible_type": "_AnsibleTaggedList"}, "module_setup": true}"#;
        fs::write(folder.join("x_s1_h"), json!({PAYLOAD: facts}).to_string()).unwrap();
        let read = cache(&folder, None).read("h");
        let json: Map<String, Json> =
            read.iter().map(|(name, value)| (name.to_string(), value.to_json().unwrap())).collect();
        assert_eq!(Json::Object(json), json!({"a": [1], "module_setup": true}));
        fs::remove_dir_all(folder).unwrap();
    }
}
