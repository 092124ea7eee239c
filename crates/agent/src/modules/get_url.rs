//! `get_url`: a file from a web server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use catalog::{Arg, Args, Json, ModuleSpec};
use layer::Attributes;

use crate::fileargs::FileArgs;
use crate::files;
use crate::http::{Follow, Request, Response};
use crate::module::{At, Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("url").required(),
    Arg::path("dest").required(),
    Arg::bool("backup").default("false"),
    Arg::str("checksum").default(""),
    Arg::int("timeout").default("10"),
    Arg::dict("headers"),
    Arg::path("tmp_dest"),
    Arg::list("unredirected_headers").default(""),
    Arg::bool("decompress").default("true"),
    Arg::bool("use_netrc").default("true"),
    Arg::list("ciphers"),
    Arg::bool("force").default("false"),
    Arg::str("http_agent").default("ansible-httpget"),
    Arg::bool("use_proxy").default("true"),
    Arg::bool("validate_certs").default("true"),
    Arg::str("url_username").aliases(&["username"]),
    Arg::str("url_password").aliases(&["password"]).no_log(),
    Arg::bool("force_basic_auth").default("false"),
    Arg::path("client_cert"),
    Arg::path("client_key"),
    Arg::bool("use_gssapi").default("false"),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("get_url", ARGS).file_args(), run };

/// Where it is for now.
struct Content {
    path: PathBuf,
    _scratch: layer::Scratch,
}

/// What was fetched; `None` as content: it has not changed since.
struct Fetched {
    content: Option<Content>,
    name: Option<String>,
    size: u64,
    status: Option<u16>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let url = args.string("url");
    if args.bool("use_gssapi") {
        return Err("use_gssapi is not supported by Theseus' own HTTP client".into());
    }
    let mut dest = PathBuf::from(args.string("dest"));
    let wanted = checksum_argument(args, task)?;
    let into_dir = dest.is_dir();
    let mut since = None;
    if !into_dir && dest.exists() && !args.bool("force") {
        match &wanted {
            Some((algorithm, sum)) if *sum == files::checksum_file(algorithm, &dest)? => {
                return unchanged(args, task, &dest, "file already exists", None, started);
            }
            Some(_) => {}
            None => since = Some(files::http_date(&dest)?),
        }
    }
    let end = |f: Failure, dest: &Path| {
        let f = f.with("url", url.as_str()).with("dest", dest.to_string_lossy().into_owned());
        f.with("elapsed", started.elapsed().as_secs())
    };
    let fetched = fetch(args, task, since).map_err(|f| end(f, &dest))?;
    if into_dir {
        let name = fetched.name.clone().unwrap_or_else(|| name_of(&url));
        dest.push(name);
    }
    let Some(content) = &fetched.content else {
        return unchanged(args, task, &dest, "HTTP Error 304: Not Modified", Some(304), started);
    };
    place(args, task, &dest, &content.path, &fetched, wanted, started).map_err(|f| end(f, &dest))
}

fn place(
    args: &Args,
    task: &mut Task<'_>,
    dest: &Path,
    content: &Path,
    fetched: &Fetched,
    wanted: Option<(String, String)>,
    started: Instant,
) -> Result<Outcome, Failure> {
    let in_check = task.check;
    let new = files::checksum_file("sha1", content)?;
    let old = if dest.is_file() { Some(files::checksum_file("sha1", dest)?) } else { None };
    let mut outcome = Outcome::default()
        .with("url", args.string("url"))
        .with("dest", dest.to_string_lossy().into_owned())
        .with("checksum_src", new.as_str())
        .with("checksum_dest", old.clone().map_or(Json::Null, Json::from))
        .with("msg", format!("OK ({} bytes)", fetched.size))
        .with("elapsed", started.elapsed().as_secs());
    let parent = dest.parent().unwrap_or(Path::new("/"));
    if !parent.exists() {
        return Err(Failure::new(format!("Destination {} does not exist", parent.display())));
    }
    if in_check {
        // Only the head was asked for: the content is not known.
        outcome.changed = true;
        return Ok(outcome);
    }
    if let Some((algorithm, sum)) = wanted {
        let is = files::checksum_file(&algorithm, content)?;
        if is != sum {
            return Err(Failure::new(format!(
                "The checksum for {} did not match {sum}; it was {is}.",
                dest.display()
            )));
        }
    }
    let mut changed = old.as_deref() != Some(new.as_str());
    let file_args = FileArgs::read(args)?;
    let path = files::resolved(dest, true);
    if changed {
        if path.is_dir() {
            return Err(Failure::new(format!("Destination {} is a directory", path.display())));
        }
        if args.bool("backup") && path.exists() {
            outcome.set("backup_file", files::backup(task, &path)?);
        }
        let attributes = if path.exists() {
            Attributes::default()
        } else {
            file_args.resolve(task.cache, 0o666 & !crate::fileargs::own_umask(), false)?
        };
        task.recorder.write(&path, files::open(content)?, &attributes)?;
    }
    changed |= file_args.apply(task, &path, None)?;
    outcome.changed = changed;
    let status = fetched.status.map_or(Json::Null, Json::from);
    let outcome = outcome.with("md5sum", files::checksum_file("md5", &path)?).with("status_code", status);
    Ok(outcome.with("src", args.string("url")))
}

fn unchanged(
    args: &Args,
    task: &mut Task<'_>,
    dest: &Path,
    message: &str,
    status: Option<u16>,
    started: Instant,
) -> Result<Outcome, Failure> {
    let changed = FileArgs::read(args)?.apply(task, &files::resolved(dest, true), None)?;
    let message =
        if changed && status.is_none() { "file already exists but file attributes changed" } else { message };
    let outcome = Outcome::changed(changed).with("msg", message).with("url", args.string("url"));
    let outcome = outcome.with("dest", dest.to_string_lossy().into_owned()).with_some("status_code", status);
    Ok(outcome.with("elapsed", started.elapsed().as_secs()))
}

fn request(args: &Args, url: &str) -> Request {
    let seconds = args.int("timeout").and_then(|t| u64::try_from(t).ok()).filter(|t| *t > 0).unwrap_or(10);
    let mut headers = vec![("User-Agent".to_owned(), args.string("http_agent"))];
    if let Some(map) = args.dict("headers") {
        headers.extend(map.iter().map(|(k, v)| (k.clone(), catalog::arguments::text(v))));
    }
    if args.bool("force") {
        headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    }
    Request {
        headers,
        timeout: Duration::from_secs(seconds),
        follow: Follow::All,
        validate_certs: args.bool("validate_certs"),
        use_proxy: args.bool("use_proxy"),
        user: args.str("url_username").map(str::to_owned),
        password: args.str("url_password").map(str::to_owned),
        force_basic_auth: args.bool("force_basic_auth"),
        client_cert: args.str("client_cert").map(PathBuf::from),
        client_key: args.str("client_key").map(PathBuf::from),
        ..Request::get(url)
    }
}

fn fetch(args: &Args, task: &Task<'_>, since: Option<String>) -> Result<Fetched, Failure> {
    let url = args.string("url");
    let dir = args.str("tmp_dest").map_or_else(std::env::temp_dir, PathBuf::from);
    let scratch = layer::Scratch::inside(&dir)?;
    let (mut file, path) = scratch.create("content")?;
    let content = Content { path, _scratch: scratch };
    if let Some(path) = url.strip_prefix("file://") {
        let path = crate::http::decode(path);
        let size = std::io::copy(&mut files::open(Path::new(&path))?, &mut file).at("copy", &path)?;
        return Ok(Fetched { content: Some(content), name: None, size, status: None });
    }
    let mut request = request(args, &url);
    if let Some(since) = since {
        request.headers.push(("If-Modified-Since".to_owned(), since));
    }
    if task.check {
        "HEAD".clone_into(&mut request.method);
    }
    let mut response =
        request.send(task).map_err(|e| Failure::new(format!("Request failed: <urlopen error {e}>")))?;
    let (status, name) = (Some(response.status), named_by(&response));
    if response.status == 304 {
        return Ok(Fetched { content: None, name, size: 0, status });
    }
    if response.status != 200 {
        let words = format!("HTTP Error {}: {}", response.status, response.reason);
        return Err(Failure::new("Request failed")
            .with("status_code", response.status)
            .with("response", words));
    }
    let length = response.length();
    let size = std::io::copy(&mut response.body, &mut file)
        .map_err(|e| Failure::new(format!("the download broke off: {e}")))?;
    if !task.check && length.is_some_and(|length| length != size) {
        return Err(Failure::new(format!(
            "the download broke off: {size} of {} bytes",
            length.unwrap_or_default()
        )));
    }
    Ok(Fetched {
        content: Some(content),
        name,
        size: if task.check { length.unwrap_or(0) } else { size },
        status,
    })
}

/// `algorithm:sum`, or `algorithm:URL` of a file with sums.
fn checksum_argument(args: &Args, task: &Task<'_>) -> Result<Option<(String, String)>, Failure> {
    let text = args.string("checksum");
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = "The checksum parameter has to be in format <algorithm>:<checksum>";
    let (algorithm, sum) = text.split_once(':').ok_or(wrong)?;
    let sum = if sum.contains("://") { from_file(args, task, sum)? } else { sum.trim().to_lowercase() };
    if sum.is_empty() || !sum.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("The checksum format is invalid".into());
    }
    Ok(Some((algorithm.trim().to_lowercase(), sum)))
}

fn from_file(args: &Args, task: &Task<'_>, url: &str) -> Result<String, Failure> {
    let text = if let Some(path) = url.strip_prefix("file://") {
        files::read(Path::new(path))?
    } else {
        let mut response = request(args, url)
            .send(task)
            .map_err(|e| format!("the checksums at {url} could not be fetched: {e}"))?;
        if response.status != 200 {
            return Err(format!(
                "the checksums at {url} could not be fetched: HTTP Error {}",
                response.status
            )
            .into());
        }
        response.bytes()?
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let name = name_of(&args.string("url"));
    let lines: Vec<Vec<&str>> =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).filter(|w| !w.is_empty()).collect();
    // A file of one sum alone means this file.
    if let [words] = lines.as_slice()
        && words.len() == 1
    {
        return Ok(words[0].to_lowercase());
    }
    let is_it = |word: &str| {
        word.trim_start_matches('*').trim_start_matches("./").rsplit('/').next() == Some(name.as_str())
    };
    let found = lines.iter().find(|words| words.len() > 1 && words[1..].iter().any(|w| is_it(w)));
    // BSD style: `SHA256 (name) = sum`.
    let bsd = || lines.iter().find(|w| w.len() == 4 && w[1] == format!("({name})")).map(|w| w[3]);
    let sum = found.map(|words| words[0]).or_else(bsd);
    sum.map(str::to_lowercase)
        .ok_or_else(|| Failure::new(format!("Unable to find a checksum for file '{name}' in '{url}'")))
}

fn name_of(url: &str) -> String {
    let path =
        url.split_once("://").map_or(url, |(_, rest)| rest).split(['?', '#']).next().unwrap_or_default();
    let name = path.split_once('/').map_or("", |(_, p)| p.rsplit('/').next().unwrap_or_default());
    if name.is_empty() { "index.html".to_owned() } else { name.to_owned() }
}

/// `Content-Disposition: attachment; filename=…`; never with a directory.
fn named_by(response: &Response) -> Option<String> {
    let value = response.header("content-disposition")?;
    let name = value.split(';').find_map(|part| part.trim().strip_prefix("filename="))?;
    let name = name.trim_matches('"').rsplit('/').next()?.to_owned();
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}
