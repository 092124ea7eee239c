//! A request's body in its format.

use std::fmt::Write;

use catalog::{Args, Json};

use crate::http::encode;
use crate::module::{Failure, Task};

/// The bytes and their `Content-Type`.
pub(super) fn body(args: &Args, task: &Task<'_>) -> Result<(Option<Vec<u8>>, Option<String>), Failure> {
    if let Some(bytes) = crate::modules::copy_source(args, task)? {
        return Ok((Some(bytes), None));
    }
    if let Some(src) = args.str("src") {
        return Ok((Some(crate::files::read(std::path::Path::new(src))?), None));
    }
    let Some(body) = args.get("body") else { return Ok((None, None)) };
    Ok(match args.str("body_format") {
        Some("json") => {
            let text = match body {
                // Text that is JSON already goes as it is.
                Json::String(text) if serde_json::from_str::<Json>(text).is_ok() => text.clone(),
                other => other.to_string(),
            };
            (Some(text.into_bytes()), Some("application/json".to_owned()))
        }
        Some("form-urlencoded") => {
            let text = match body {
                Json::String(text) => text.clone(),
                other => pairs(other)?
                    .iter()
                    .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
                    .collect::<Vec<_>>()
                    .join("&"),
            };
            (Some(text.into_bytes()), Some("application/x-www-form-urlencoded".to_owned()))
        }
        Some("form-multipart") => multipart(body)?,
        _ => (Some(catalog::arguments::text(body).into_bytes()), None),
    })
}

/// A dictionary, or a list of pairs; lists as values repeat the key.
fn pairs(body: &Json) -> Result<Vec<(String, String)>, Failure> {
    let wrong =
        || Failure::new("failed to parse body as form_urlencoded: expected a dictionary or a list of pairs");
    let mut all = Vec::new();
    let mut add = |key: &str, value: &Json| match value {
        Json::Array(list) => all.extend(list.iter().map(|v| (key.to_owned(), catalog::arguments::text(v)))),
        other => all.push((key.to_owned(), catalog::arguments::text(other))),
    };
    match body {
        Json::Object(map) => map.iter().for_each(|(k, v)| add(k, v)),
        Json::Array(list) => {
            for pair in list {
                let [key, value] = pair.as_array().map(Vec::as_slice).ok_or_else(wrong)? else {
                    return Err(wrong());
                };
                add(&catalog::arguments::text(key), value);
            }
        }
        _ => return Err(wrong()),
    }
    Ok(all)
}

fn multipart(body: &Json) -> Result<(Option<Vec<u8>>, Option<String>), Failure> {
    let map = body.as_object().ok_or("the body of a form-multipart request must be a dictionary")?;
    let boundary = format!("theseus-{}", &layer::Digest::of(body.to_string().as_bytes()).to_string()[..32]);
    let mut out = Vec::new();
    for (name, value) in map {
        let field = |key: &str| value.get(key).and_then(Json::as_str);
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
        let content = match value {
            Json::Object(_) => {
                let (content, file) = match (field("content"), field("filename")) {
                    (Some(content), file) => (content.as_bytes().to_vec(), file),
                    (None, Some(file)) => (crate::files::read(std::path::Path::new(file))?, Some(file)),
                    (None, None) => {
                        return Err(format!("the part `{name}` needs `content` or `filename`").into());
                    }
                };
                if let Some(file) = file {
                    let base = file.rsplit('/').next().unwrap_or(file);
                    _ = write!(head, "; filename=\"{base}\"");
                    let kind = field("mime_type").unwrap_or("application/octet-stream");
                    _ = write!(head, "\r\nContent-Type: {kind}");
                }
                content
            }
            other => catalog::arguments::text(other).into_bytes(),
        };
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((Some(out), Some(format!("multipart/form-data; boundary={boundary}"))))
}
