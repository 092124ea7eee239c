//! Images that are pulled, with what `docker login` left behind to be let in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use catalog::Json;
use serde_json::json;

use super::{Engine, Told, part};
use crate::http::encode;
use crate::module::{Failure, Task};
use crate::serve::expand_path;

/// Large images over slow links.
pub(super) const PATIENCE: Duration = Duration::from_secs(1800);
const HUB: &str = "https://index.docker.io/v1/";

/// `name`, `name:tag` or `name@digest`: what comes before, and the tag or digest.
pub(crate) fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// An image's id rather than its name.
pub(crate) fn is_id(image: &str) -> bool {
    image
        .strip_prefix("sha256:")
        .is_some_and(|id| id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit()))
}

impl Engine {
    pub(crate) fn image(&self, task: &Task<'_>, name: &str) -> Result<Option<Json>, Failure> {
        self.look(task, &format!("/images/{}/json", part(name)))
    }

    pub(crate) fn pull(
        &self,
        task: &mut Task<'_>,
        image: &str,
        platform: Option<&str>,
    ) -> Result<(), Failure> {
        let (name, tag) = split(image);
        let platform = platform.map(|p| format!("&platform={}", encode(p))).unwrap_or_default();
        let path = format!("/images/create?fromImage={}&tag={}{platform}", encode(name), encode(tag));
        let login = login(task, name)?;
        task.recorder.opaque(format!("Docker: pull {image}"))?;
        let mut patient = Self { request: self.request.clone(), debug: self.debug };
        if let Some(login) = login {
            let sealed = BASE64_URL_SAFE.encode(login.to_string());
            patient.request.headers.push(("X-Registry-Auth".to_owned(), sealed));
        }
        let answer = patient.send(task, "POST", &path, None, PATIENCE)?;
        let refused = |why: &str| Failure::new(format!("Error pulling {name} - {why}"));
        if answer.status >= 300 {
            return Err(refused(&answer.message()));
        }
        Told::read(&answer.body).error().map_or(Ok(()), |why| Err(refused(why)))
    }
}

/// The registry of an image, by the rules of its name.
fn registry(name: &str) -> &str {
    match name.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// What `docker login` left behind: the client's configuration.
pub(crate) struct Logins {
    pub(crate) path: PathBuf,
    pub(crate) config: Json,
}

impl Logins {
    pub(crate) fn read(path: PathBuf) -> Result<Self, Failure> {
        let config = match std::fs::read(&path) {
            Err(_) => json!({}),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| Failure::new(format!("{} is not JSON", path.display())))?,
        };
        Ok(Self { path, config })
    }

    /// The one that the task's user has.
    pub(crate) fn own(task: &Task<'_>) -> Result<Self, Failure> {
        let folder =
            task.variable("DOCKER_CONFIG").unwrap_or_else(|| expand_path("~/.docker", task.environment));
        Self::read(Path::new(&folder).join("config.json"))
    }

    /// The program that keeps secrets of this registry, if one does.
    pub(crate) fn helper(&self, registry: &str) -> Option<String> {
        let helper =
            self.config["credHelpers"][registry].as_str().or_else(|| self.config["credsStore"].as_str());
        helper.map(|helper| format!("docker-credential-{helper}"))
    }

    /// The key under which a registry is known.
    pub(crate) fn key(&self, registry: &str) -> Option<&String> {
        let bare = |key: &str| {
            key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned()
        };
        let mut known = self.config["auths"].as_object().into_iter().flatten();
        known.find(|(key, _)| bare(key) == bare(registry)).map(|(key, _)| key)
    }

    /// What is known of a registry, as the engine wants to be told.
    pub(crate) fn of(&self, task: &Task<'_>, registry: &str) -> Result<Option<Json>, Failure> {
        if let Some(helper) = self.helper(registry) {
            let output = task.command(helper).arg("get").stdin(registry).output()?;
            let said: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
            // A registry that the helper does not know needs no login.
            return Ok((output.ok() && said["Username"].is_string())
                .then(|| with(registry, &said["Username"], &said["Secret"])));
        }
        let Some(key) = self.key(registry) else { return Ok(None) };
        let entry = &self.config["auths"][key];
        if let Some(token) = entry["identitytoken"].as_str() {
            return Ok(Some(json!({"identitytoken": token, "serveraddress": registry})));
        }
        let decoded = BASE64_STANDARD.decode(entry["auth"].as_str().unwrap_or_default()).unwrap_or_default();
        let text = String::from_utf8_lossy(&decoded).into_owned();
        Ok(text.split_once(':').map(|(user, password)| with(registry, &json!(user), &json!(password))))
    }

    /// All of them.
    pub(super) fn all(&self, task: &Task<'_>) -> Result<Json, Failure> {
        let mut all = json!({});
        let helped = self.config["credHelpers"].as_object().into_iter().flatten();
        for (registry, _) in self.config["auths"].as_object().into_iter().flatten().chain(helped) {
            if let Some(login) = self.of(task, registry)? {
                all[registry] = login;
            }
        }
        Ok(all)
    }
}

/// What the client's configuration knows of an image's registry.
pub(super) fn login(task: &Task<'_>, name: &str) -> Result<Option<Json>, Failure> {
    Logins::own(task)?.of(task, registry(name))
}

fn with(registry: &str, user: &Json, password: &Json) -> Json {
    json!({"username": user, "password": password, "serveraddress": registry})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_registry_and_a_tag() {
        assert_eq!(split("h:5000/a/b"), ("h:5000/a/b", "latest"));
        assert_eq!(split("h:5000/a/b:1"), ("h:5000/a/b", "1"));
        assert_eq!(split("a@sha256:12"), ("a", "sha256:12"));
        assert_eq!(registry("h:5000/a"), "h:5000");
        assert_eq!(registry("library/a"), HUB);
        assert!(is_id(&format!("sha256:{}", "a".repeat(64))) && !is_id("a"));
    }
}
