//! Images: built, loaded, saved, sent to registries and tagged by the engine.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use catalog::Json;

use super::pull::{Logins, PATIENCE, login, split};
use super::{Engine, part};
use crate::http::{Request, Response, encode};
use crate::module::{Failure, Task};

/// What the engine said while it worked, one line each.
pub(crate) struct Told(Vec<Json>);

impl Told {
    pub(super) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        Self(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Why it gave up. One that breaks off half-way says so in a line of a good answer.
    pub(crate) fn error(&self) -> Option<&str> {
        self.0.iter().find_map(|line| line["error"].as_str())
    }

    /// Its words on the way.
    pub(crate) fn stream(&self) -> String {
        let lines = self.0.iter().filter_map(|line| line["stream"].as_str());
        lines.map(|line| line.strip_suffix('\n').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// Whether it said this of any part.
    pub(crate) fn has_status(&self, status: &str) -> bool {
        self.0.iter().any(|line| line["status"] == status)
    }
}

impl Engine {
    /// Builds the packed context.
    pub(crate) fn build(
        &self,
        task: &mut Task<'_>,
        image: &str,
        query: &str,
        context: PathBuf,
    ) -> Result<Told, Failure> {
        task.recorder.opaque(format!("Docker: build {image}"))?;
        let mut request = self.patient("POST", &format!("/build?{query}"));
        request.headers = vec![("Content-Type".to_owned(), "application/x-tar".to_owned())];
        request.file = Some(context);
        let logins = Logins::own(task)?.all(task)?;
        request.headers.push(("X-Registry-Config".to_owned(), BASE64_URL_SAFE.encode(logins.to_string())));
        self.told(task, request)
    }

    /// Images of an archive that `docker save` made.
    pub(crate) fn load(&self, task: &mut Task<'_>, archive: &Path) -> Result<Told, Failure> {
        task.recorder.opaque(format!("Docker: load {}", archive.display()))?;
        let mut request = self.patient("POST", "/images/load");
        request.headers = vec![("Content-Type".to_owned(), "application/x-tar".to_owned())];
        request.file = Some(archive.to_owned());
        self.told(task, request)
    }

    /// An archive with this image.
    pub(crate) fn save(&self, task: &Task<'_>, image: &str) -> Result<Response, Failure> {
        let request = self.patient("GET", &format!("/images/{}/get", part(image)));
        let answer = request.send(task).map_err(|why| Failure::new(format!("Error connecting: {why}")))?;
        if answer.status < 300 {
            return Ok(answer);
        }
        Err(Failure::new(format!("Error getting image {image} - {}", answer.reason)))
    }

    pub(crate) fn push(&self, task: &mut Task<'_>, name: &str, tag: &str) -> Result<Told, Failure> {
        let login = login(task, name)?.unwrap_or_else(|| serde_json::json!({}));
        task.recorder.opaque(format!("Docker: push {name}:{tag}"))?;
        let mut request = self.patient("POST", &format!("/images/{}/push?tag={}", part(name), encode(tag)));
        request.headers.push(("X-Registry-Auth".to_owned(), BASE64_URL_SAFE.encode(login.to_string())));
        request.body = Some(Vec::new());
        self.told(task, request)
    }

    pub(crate) fn tag(
        &self,
        task: &mut Task<'_>,
        image: &str,
        (name, tag): (&str, &str),
    ) -> Result<(), Failure> {
        let path = format!("/images/{}/tag?repo={}&tag={}&force=1", part(image), encode(name), encode(tag));
        self.act(task, &format!("tag {image} as {name}:{tag}"), ("POST", &path), None).map(drop)
    }

    fn patient(&self, method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.request.url),
            timeout: self.request.timeout.max(PATIENCE),
            ..self.request.clone()
        }
    }

    fn told(&self, task: &Task<'_>, request: Request) -> Result<Told, Failure> {
        let answer = self.answer(task, request)?;
        if answer.status >= 300 {
            answer.json()?;
        }
        Ok(Told::read(&answer.body))
    }
}

/// `name:tag` or `name@digest` from what a task gives as name and as tag.
pub(crate) fn named(name: &str, tag: &str) -> (String, String) {
    let has_own = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let (name, own) = split(name);
    (name.to_owned(), if has_own { own.to_owned() } else { tag.to_owned() })
}

/// As it is written.
pub(crate) fn joined(name: &str, tag: &str) -> String {
    if tag.starts_with("sha256:") { format!("{name}@{tag}") } else { format!("{name}:{tag}") }
}
