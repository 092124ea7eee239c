//! The Docker Engine, asked over its API: what all modules that work with it share.

mod image;
mod pull;

use std::path::PathBuf;
use std::time::Duration;

use catalog::{Arg, Args, Json, Map};
use serde_json::json;

use crate::http::{Request, encode};
use crate::module::{Failure, Outcome, Task};

pub(crate) use image::{Told, joined, named};
pub(crate) use pull::{Logins, is_id};

/// What those arguments need of each other.
pub(crate) const TOGETHER: &[&[&str]] = &[&["client_cert", "client_key"]];

/// How the engine is reached; the same for all modules.
pub(crate) const CLIENT: &[Arg] = &[
    Arg::str("docker_host").aliases(&["docker_url"]),
    Arg::str("tls_hostname"),
    Arg::str("api_version").aliases(&["docker_api_version"]),
    Arg::int("timeout"),
    Arg::path("ca_path").aliases(&["ca_cert", "tls_ca_cert", "cacert_path"]),
    Arg::path("client_cert").aliases(&["tls_client_cert", "cert_path"]),
    Arg::path("client_key").aliases(&["tls_client_key", "key_path"]),
    Arg::bool("tls"),
    Arg::bool("use_ssh_client").default("false"),
    Arg::bool("validate_certs").aliases(&["tls_verify"]),
    Arg::bool("debug").default("false"),
];

const SOCKET: &str = "unix:///var/run/docker.sock";
const PATIENCE: u64 = 60;

/// An engine, reached as a task's arguments say.
pub(crate) struct Engine {
    request: Request,
    debug: bool,
}

impl Engine {
    pub(crate) fn of(args: &Args, task: &Task<'_>) -> Result<Self, Failure> {
        let given = |argument: &str, variable: &str| {
            args.str(argument)
                .map(str::to_owned)
                .or_else(|| task.variable(variable))
                .filter(|text| !text.is_empty())
        };
        let truth = |argument: &str, variable: &str| {
            let said = args.get(argument).and_then(Json::as_bool);
            said.or_else(|| catalog::arguments::truth(&task.variable(variable)?)).unwrap_or(false)
        };
        if given("tls_hostname", "DOCKER_TLS_HOSTNAME").is_some() {
            return Err(
                "tls_hostname is not supported: name the engine's host as its certificate does".into()
            );
        }
        let folder = task.variable("DOCKER_CERT_PATH").map(PathBuf::from);
        let pem = |argument: &str, name: &str| {
            args.str(argument).map(PathBuf::from).or_else(|| folder.as_ref().map(|dir| dir.join(name)))
        };
        let verify = truth("validate_certs", "DOCKER_TLS_VERIFY");
        let tls = verify || truth("tls", "DOCKER_TLS");
        let host = given("docker_host", "DOCKER_HOST").unwrap_or_else(|| SOCKET.to_owned());
        let (url, unix_socket) = place(&host, tls)?;
        let version = given("api_version", "DOCKER_API_VERSION").filter(|version| version != "auto");
        let version = version.map(|version| format!("/v{version}")).unwrap_or_default();
        let patience = args.int("timeout").or_else(|| task.variable("DOCKER_TIMEOUT")?.parse().ok());
        let request = Request {
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            timeout: Duration::from_secs(patience.and_then(|t| u64::try_from(t).ok()).unwrap_or(PATIENCE)),
            validate_certs: verify,
            use_proxy: false,
            ca_path: if tls { pem("ca_path", "ca.pem") } else { None },
            client_cert: if tls { pem("client_cert", "cert.pem") } else { None },
            client_key: if tls { pem("client_key", "key.pem") } else { None },
            unix_socket,
            ..Request::get(&format!("{url}{version}"))
        };
        Ok(Self { request, debug: args.bool("debug") })
    }

    /// What is there; `None`: the engine knows nothing of that name.
    pub(crate) fn look(&self, task: &Task<'_>, path: &str) -> Result<Option<Json>, Failure> {
        let answer = self.send(task, "GET", path, None, Duration::ZERO)?;
        if answer.status == 404 { Ok(None) } else { answer.json().map(Some) }
    }

    /// A change, which the engine makes: the layer can only say so.
    pub(crate) fn act(
        &self,
        task: &mut Task<'_>,
        doing: &str,
        (method, path): (&str, &str),
        body: Option<&Json>,
    ) -> Result<Json, Failure> {
        self.act_patiently(task, doing, (method, path), body, Duration::ZERO)
    }

    /// Like [`Engine::act`], where the engine may think for so much longer than usual.
    pub(crate) fn act_patiently(
        &self,
        task: &mut Task<'_>,
        doing: &str,
        (method, path): (&str, &str),
        body: Option<&Json>,
        longer: Duration,
    ) -> Result<Json, Failure> {
        task.recorder.opaque(format!("Docker: {doing}"))?;
        self.send(task, method, path, body, longer)?.json()
    }

    /// The raw answer of a question, whatever it is.
    pub(crate) fn send(
        &self,
        task: &Task<'_>,
        method: &str,
        path: &str,
        body: Option<&Json>,
        longer: Duration,
    ) -> Result<Answer, Failure> {
        let request = Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.request.url),
            // Without a length the engine takes it for a body that it does not want.
            body: body
                .map(|body| body.to_string().into_bytes())
                .or_else(|| (method == "POST").then(Vec::new)),
            timeout: self.request.timeout + longer,
            ..self.request.clone()
        };
        self.answer(task, request)
    }

    fn answer(&self, task: &Task<'_>, request: Request) -> Result<Answer, Failure> {
        let where_ = request.url.clone();
        let mut response = request.send(task).map_err(|why| {
            Failure::new(format!("Error connecting: Error while fetching server API version: {why}"))
        })?;
        let (status, reason) = (response.status, response.reason.clone());
        Ok(Answer { status, reason, url: where_, body: response.bytes()? })
    }

    /// The words of each step are told in check mode, and to who asks for them.
    pub(crate) fn tells_actions(&self, task: &Task<'_>) -> bool {
        task.check || self.debug
    }
}

/// What a task did or, in check mode, would do.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) actions: Vec<String>,
    before: Map,
    after: Map,
}

impl Done {
    /// One value of the diff.
    pub(crate) fn differs(&mut self, what: &str, before: impl Into<Json>, after: impl Into<Json>) {
        self.before.insert(what.to_owned(), before.into());
        self.after.insert(what.to_owned(), after.into());
    }

    pub(crate) fn diff(&self) -> Json {
        json!({"before": self.before, "after": self.after})
    }

    /// Of something that shall not be there (any more).
    pub(crate) fn absent(mut self, existed: bool) -> Outcome {
        self.differs("exists", existed, false);
        let diff = self.diff();
        Outcome::changed(!self.actions.is_empty()).with("actions", self.actions).diff(diff)
    }
}

/// In what a thing differs from what is wanted.
#[derive(Default)]
pub(crate) struct Differences(Vec<(String, Json, Json)>);

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value that is wanted; nothing wanted: nothing differs.
    pub(crate) fn value(&mut self, what: &str, wanted: Option<&Json>, is: &Json) {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
            self.0.push((what.to_owned(), is.clone(), wanted.clone()));
        }
    }

    /// Values of a map that are wanted; what else it has does not count.
    pub(crate) fn map(&mut self, what: &str, wanted: &Map, is: &Json) {
        if wanted.is_empty() {
            return;
        }
        if is.as_object().is_none_or(Map::is_empty) {
            self.0.push((what.to_owned(), json!({}), wanted.clone().into()));
            return;
        }
        for (key, value) in wanted {
            let now = is.get(key).unwrap_or(&Json::Null);
            if now != value {
                self.0.push((format!("{what}.{key}"), now.clone(), value.clone()));
            }
        }
    }

    /// Into the diff, which names them, too.
    pub(crate) fn tell(self, done: &mut Done) -> Vec<String> {
        self.0
            .into_iter()
            .map(|(what, before, after)| {
                done.differs(&what, before, after);
                what
            })
            .collect()
    }
}

/// What the engine answered.
pub(crate) struct Answer {
    status: u16,
    reason: String,
    url: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What it says; fails with the engine's words.
    pub(crate) fn json(&self) -> Result<Json, Failure> {
        match self.status {
            200..=299 | 304 => Ok(serde_json::from_slice(&self.body).unwrap_or_default()),
            status => {
                let kind = if status < 500 { "Client" } else { "Server" };
                Err(Failure::new(format!(
                    "An unexpected Docker error occurred: {status} {kind} Error for {}: {} (\"{}\")",
                    self.url,
                    self.reason,
                    self.message()
                )))
            }
        }
    }

    /// Why the engine refuses.
    fn message(&self) -> String {
        let said: Json = serde_json::from_slice(&self.body).unwrap_or_default();
        let own = said.get("message").and_then(Json::as_str).map(str::to_owned);
        own.unwrap_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned())
    }
}

/// Where requests go: a URL, and the socket if it is one of this host.
fn place(host: &str, tls: bool) -> Result<(String, Option<PathBuf>), Failure> {
    if let Some(path) = host.strip_prefix("unix://").or_else(|| host.strip_prefix("http+unix://")) {
        return Ok(("http://localhost".to_owned(), Some(PathBuf::from(path))));
    }
    let scheme = if tls { "https" } else { "http" };
    let rest = ["tcp://", "http://", "https://"].iter().find_map(|prefix| host.strip_prefix(prefix));
    match rest {
        Some(rest) => Ok((format!("{scheme}://{}", rest.trim_end_matches('/')), None)),
        None => Err(Failure::new(format!(
            "docker_host `{host}` cannot be reached: expected unix:///PATH or tcp://HOST:PORT"
        ))),
    }
}

/// A part of a path: names of users may hold anything.
pub(crate) fn part(name: &str) -> String {
    // What is a path to the engine stays one (`repository/name`).
    encode(name).replace('+', "%20").replace("%2F", "/")
}

/// A number with a unit, in bytes.
pub(crate) fn bytes(text: &str, what: &str) -> Result<i64, Failure> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let unit = trimmed[digits..].trim().to_ascii_uppercase();
    let power = match unit.trim_end_matches("IB").trim_end_matches('B') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return Err(wrong_size(text, what)),
    };
    let number: f64 = trimmed[..digits].parse().map_err(|_| wrong_size(text, what))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "sizes of memory are far below what a float holds exactly"
    )]
    Ok((number * 1024_f64.powi(power)) as i64)
}

fn wrong_size(text: &str, what: &str) -> Failure {
    Failure::new(format!("Failed to convert {what} to bytes: `{text}` is no number with a unit such as 512M"))
}

/// A map whose values are text, as the engine wants options.
pub(crate) fn texts(map: Option<&Map>) -> Map {
    let written = |value: &Json| match value {
        Json::Bool(truth) => truth.to_string(),
        other => catalog::arguments::text(other),
    };
    map.into_iter().flatten().map(|(key, value)| (key.clone(), written(value).into())).collect()
}

/// The same of labels, in which `yes` in a playbook would be a surprise.
pub(crate) fn labels(map: Option<&Map>) -> Result<Map, Failure> {
    match map.into_iter().flatten().find(|(_, value)| value.is_boolean()) {
        None => Ok(texts(map)),
        Some((key, value)) => Err(Failure::new(format!(
            "The value {} for '{key}' of labels is no text: put quotes around it",
            catalog::arguments::text(value)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes() {
        assert_eq!(bytes("64M", "memory").unwrap(), 64 << 20);
        assert_eq!(bytes("1.5 KiB", "memory").unwrap(), 1536);
        assert_eq!(bytes("12", "memory").unwrap(), 12);
        assert!(bytes("12Q", "memory").is_err());
        assert!(bytes("", "memory").is_err());
    }

    #[test]
    fn the_engine_is_found_by_its_name() {
        assert_eq!(place("unix:///run/d.sock", false).unwrap().1, Some(PathBuf::from("/run/d.sock")));
        assert_eq!(place("tcp://h:2376", true).unwrap().0, "https://h:2376");
        assert!(place("ssh://h", false).is_err());
    }

    #[test]
    fn a_name_is_no_path_out() {
        assert_eq!(part("a/b c?d"), "a/b%20c%3Fd");
    }
}
