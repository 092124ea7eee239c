//! Building: the engine is sent the directory and how it is to be built.

use std::path::Path;

use catalog::{Json, Map};
use layer::Scratch;

use super::Image;
use super::context;
use crate::docker::{Logins, bytes, labels, texts};
use crate::http::encode;
use crate::module::{Failure, Task};

impl Image<'_> {
    pub(super) fn build(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        let Some(build) = self.args.dict("build") else { return Err("build is missing".into()) };
        let path = build["path"].as_str().unwrap_or_default();
        let root = Path::new(path);
        if !root.is_dir() {
            return Err(Failure::new(format!(
                "Requested build path {path} could not be found or you do not have access."
            )));
        }
        self.actions.push(format!("Built image {} from {path}", self.full));
        let mut query = query(build, &self.full)?;
        if task.check {
            return Ok(());
        }
        query.extend(arguments(task, build)?);
        let scratch = Scratch::new()?;
        let dockerfile = build.get("dockerfile").and_then(Json::as_str);
        let (archive, dockerfile) = context::pack(&scratch, root, dockerfile)?;
        query.extend(dockerfile.map(|name| ("dockerfile", name)));
        let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let told = self.engine.build(task, &self.full, &pairs.join("&"), archive)?;
        let said = told.stream();
        if let Some(why) = told.error() {
            let message = format!("Error building {} - message: {why}, logs: {said}", self.name);
            return Err(Failure::new(message).with("stdout", said));
        }
        self.stdout = Some(said);
        Ok(())
    }
}

type Query = Vec<(&'static str, String)>;

fn query(build: &Map, name: &str) -> Result<Query, Failure> {
    let text = |key: &str| build.get(key).and_then(Json::as_str).map(str::to_owned);
    let truth = |key: &str| u8::from(build.get(key).and_then(Json::as_bool).unwrap_or(false)).to_string();
    let mut all: Query = vec![
        ("t", name.to_owned()),
        ("nocache", truth("nocache")),
        ("rm", truth("rm")),
        ("forcerm", truth("rm")),
        ("pull", truth("pull")),
    ];
    let mut add = |key: &'static str, value: Option<String>| all.extend(value.map(|value| (key, value)));
    add("target", text("target"));
    add("networkmode", text("network"));
    add("platform", text("platform"));
    let size = |key: &str, text: Option<String>| text.map(|text| bytes(&text, key)).transpose();
    add("shmsize", size("shm_size", text("shm_size"))?.map(|bytes| bytes.to_string()));
    add("cachefrom", build.get("cache_from").map(Json::to_string));
    if let Some(given) = build.get("labels").and_then(Json::as_object) {
        add("labels", Some(Json::Object(labels(Some(given))?).to_string()));
    }
    for (host, address) in texts(build.get("etc_hosts").and_then(Json::as_object)) {
        add("extrahosts", Some(format!("{host}:{}", address.as_str().unwrap_or_default())));
    }
    if let Some(limits) = build.get("container_limits").and_then(Json::as_object) {
        let text = |key: &str| limits.get(key).and_then(Json::as_str).map(str::to_owned);
        add("memory", size("memory", text("memory"))?.map(|bytes| bytes.to_string()));
        let swap = match text("memswap").as_deref() {
            Some("unlimited" | "-1") => Some("-1".to_owned()),
            other => size("memswap", other.map(str::to_owned))?.map(|bytes| bytes.to_string()),
        };
        add("memswap", swap);
        add("cpusetcpus", text("cpusetcpus"));
        add("cpushares", limits.get("cpushares").and_then(Json::as_i64).map(|shares| shares.to_string()));
    }
    Ok(all)
}

/// Arguments of the build, and the proxies of the client's configuration if they are wanted.
fn arguments(task: &Task<'_>, build: &Map) -> Result<Option<(&'static str, String)>, Failure> {
    let mut all = Map::new();
    if build.get("use_config_proxy") == Some(&Json::Bool(true)) {
        let config = Logins::own(task)?.config;
        let proxies = &config["proxies"]["default"];
        let known = [("httpProxy", "http_proxy"), ("httpsProxy", "https_proxy"), ("ftpProxy", "ftp_proxy"), ("noProxy", "no_proxy")];
        for (key, variable) in known {
            if let Some(proxy) = proxies[key].as_str() {
                all.insert(variable.to_owned(), proxy.into());
                all.insert(variable.to_uppercase(), proxy.into());
            }
        }
    }
    all.extend(texts(build.get("args").and_then(Json::as_object)));
    Ok((!all.is_empty()).then(|| ("buildargs", Json::Object(all).to_string())))
}
