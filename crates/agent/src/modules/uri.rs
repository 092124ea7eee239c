//! `uri`: speak to a web service.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use catalog::{Arg, Args, Check, Json, Kind, Map, ModuleSpec};
use layer::Attributes;
use serde_json::json;

use crate::fileargs::FileArgs;
use crate::files;
use crate::http::{Follow, Request, Response};
use crate::module::{Failure, Module, Outcome, Task};

mod body;

const ARGS: &[Arg] = &[
    Arg::str("url").required(),
    Arg::path("dest"),
    Arg::path("creates"),
    Arg::path("removes"),
    Arg::str("method").default("GET"),
    Arg::raw("body"),
    Arg::str("body_format").default("raw").choices(&["form-urlencoded", "json", "raw", "form-multipart"]),
    Arg::path("src"),
    Arg::bool("return_content").default("false"),
    Arg::str("follow_redirects").default("safe").choices(&["all", "no", "none", "safe", "urllib2", "yes"]),
    Arg::list("status_code").of(&Kind::Int).default("200"),
    Arg::int("timeout").default("30"),
    Arg::dict("headers").default("{}"),
    Arg::path("unix_socket"),
    Arg::bool("remote_src").default("false"),
    Arg::list("unredirected_headers").default(""),
    Arg::bool("decompress").default("true"),
    Arg::bool("use_netrc").default("true"),
    Arg::list("ciphers"),
    Arg::path("ca_path"),
    Arg::bool("force").default("false"),
    Arg::str("http_agent").default("ansible-httpget"),
    Arg::bool("use_proxy").default("true"),
    Arg::bool("validate_certs").default("true"),
    Arg::str("url_username").aliases(&["user"]),
    Arg::str("url_password").aliases(&["password"]).no_log(),
    Arg::bool("force_basic_auth").default("false"),
    Arg::path("client_cert"),
    Arg::path("client_key"),
    Arg::bool("use_gssapi").default("false"),
    Arg::str("_content"),
    Arg::str("_inline"),
    Arg::int("_size"),
    Arg::str("_original_basename"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("uri", ARGS)
        .file_args()
        .check(Check::Skip)
        .mutually_exclusive(&[&["body", "src"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let started = Instant::now();
    for (key, skips, word) in [("creates", true, "exists"), ("removes", false, "does not exist")] {
        if let Some(path) = args.str(key).filter(|p| Path::new(p).exists() == skips) {
            return Ok(Outcome::changed(false).with("stdout", format!("skipped, since '{path}' {word}")));
        }
    }
    if args.bool("use_gssapi") {
        return Err("use_gssapi is not supported by Theseus' own HTTP client".into());
    }
    let method = args.string("method").to_uppercase();
    if method.is_empty() || !method.chars().all(|c| c.is_ascii_uppercase()) {
        return Err("Parameter 'method' needs to be a single word in uppercase, like GET or POST.".into());
    }
    let request = request(args, method, task)?;
    let wanted: Vec<i64> =
        args.list("status_code").unwrap_or_default().iter().filter_map(Json::as_i64).collect();
    let listed = wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut response = match request.send(task) {
        Ok(response) => response,
        Err(error) => {
            let message =
                format!("Status code was -1 and not [{listed}]: Request failed: <urlopen error {error}>");
            let failure = Failure::new(message).with("status", -1).with("url", args.string("url"));
            return Err(failure.with("redirected", false).with("elapsed", started.elapsed().as_secs()));
        }
    };
    let content = response.bytes()?;
    let good = wanted.contains(&i64::from(response.status));
    let mut values = describe(&response, &content, args);
    values.insert("elapsed".to_owned(), json!(started.elapsed().as_secs()));
    if !good {
        let message = format!(
            "Status code was {} and not [{listed}]: {}",
            response.status,
            values["msg"].as_str().unwrap_or_default()
        );
        values.remove("msg");
        return Err(Failure { message, values, changed: false });
    }
    // An answer that is to be kept counts as a change, as it does in Ansible, even when the same was there.
    let changed = args.has("dest");
    if let Some(dest) = args.str("dest") {
        keep(args, task, dest, &response, &content, &mut values)?;
    }
    Ok(Outcome { changed, values, diff: Vec::new() })
}

fn request(args: &Args, method: String, task: &Task<'_>) -> Result<Request, Failure> {
    let mut headers = vec![("User-Agent".to_owned(), args.string("http_agent"))];
    let given = args.dict("headers").cloned().unwrap_or_default();
    let has = |name: &str| given.keys().any(|k| k.eq_ignore_ascii_case(name));
    let (body, kind) = body::body(args, task)?;
    if let Some(kind) = kind.filter(|_| !has("content-type")) {
        headers.push(("Content-Type".to_owned(), kind));
    }
    headers.retain(|(name, _)| !has(name));
    headers.extend(given.iter().map(|(k, v)| (k.clone(), catalog::arguments::text(v))));
    if args.bool("force") {
        headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    } else if let Some(kept) = args.str("dest").map(Path::new).filter(|path| path.is_file()) {
        headers.push(("If-Modified-Since".to_owned(), files::http_date(kept)?));
    }
    let seconds = args.int("timeout").and_then(|t| u64::try_from(t).ok()).filter(|t| *t > 0).unwrap_or(30);
    let path = |key: &str| args.str(key).map(PathBuf::from);
    Ok(Request {
        method,
        headers,
        body,
        timeout: Duration::from_secs(seconds),
        follow: match args.str("follow_redirects") {
            Some("all" | "yes") => Follow::All,
            Some("no" | "none") => Follow::None,
            _ => Follow::Safe,
        },
        validate_certs: args.bool("validate_certs"),
        use_proxy: args.bool("use_proxy"),
        user: args.str("url_username").map(str::to_owned),
        password: args.str("url_password").map(str::to_owned),
        force_basic_auth: args.bool("force_basic_auth"),
        ca_path: path("ca_path"),
        client_cert: path("client_cert"),
        client_key: path("client_key"),
        unix_socket: path("unix_socket"),
        ..Request::get(&args.string("url"))
    })
}

/// The answer under Ansible's names.
fn describe(response: &Response, content: &[u8], args: &Args) -> Map {
    let mut values = Map::new();
    let mut cookies = Map::new();
    for (name, value) in &response.headers {
        if name == "set-cookie"
            && let Some((key, value)) = value.split(';').next().and_then(|pair| pair.split_once('='))
        {
            cookies.insert(key.trim().to_owned(), json!(value.trim()));
        }
        let key = name.replace('-', "_");
        let joined =
            values.get(&key).and_then(Json::as_str).map_or(value.clone(), |old| format!("{old}, {value}"));
        values.insert(key, json!(joined));
    }
    let length = response.length().map_or_else(|| "unknown".to_owned(), |l| l.to_string());
    let ok = response.status < 400;
    let message = if ok {
        format!("OK ({length} bytes)")
    } else {
        format!("HTTP Error {}: {}", response.status, response.reason)
    };
    if ok {
        let text = cookies
            .iter()
            .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("; ");
        values.insert("cookies".to_owned(), Json::Object(cookies));
        values.insert("cookies_string".to_owned(), json!(text));
    }
    values.insert("msg".to_owned(), json!(message));
    values.insert("status".to_owned(), json!(response.status));
    values.insert("url".to_owned(), json!(response.url));
    values.insert("redirected".to_owned(), json!(response.redirected));
    let kind = response
        .header("content-type")
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let is_json = kind == "application/json"
        || kind.ends_with("+json")
        || kind == "text/json"
        || kind == "application/x-json";
    if is_json && let Ok(parsed) = serde_json::from_slice::<Json>(content) {
        values.insert("json".to_owned(), parsed);
    }
    if args.bool("return_content") {
        values.insert("content".to_owned(), json!(String::from_utf8_lossy(content)));
    }
    values
}

/// `dest`: the content as a file.
fn keep(
    args: &Args,
    task: &mut Task<'_>,
    dest: &str,
    response: &Response,
    content: &[u8],
    values: &mut Map,
) -> Result<(), Failure> {
    let mut path = PathBuf::from(dest);
    if path.is_dir() {
        let name = response
            .url
            .split(['?', '#'])
            .next()
            .and_then(|u| u.rsplit('/').next())
            .filter(|n| !n.is_empty());
        path.push(name.unwrap_or("index.html"));
    }
    let file_args = FileArgs::read(args)?;
    if !(path.is_file() && files::read(&path)? == content) {
        let attributes = if path.exists() {
            Attributes::default()
        } else {
            file_args.resolve(task.cache, 0o666 & !crate::fileargs::own_umask(), false)?
        };
        files::write(task, &path, content, &attributes, &file_args)?;
    }
    file_args.apply(task, &path, None)?;
    values.insert("path".to_owned(), json!(path.to_string_lossy()));
    Ok(())
}
