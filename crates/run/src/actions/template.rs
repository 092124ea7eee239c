//! `template`: a file of the project, rendered with the host's variables.

use std::path::Path;
use std::sync::Arc;

use catalog::{Arg, Json, ModuleSpec};
use encoding_rs::{EncoderResult, Encoding};
use expressions::{Error, Options, Str, Value};
use playbook::ir::Vars;

use super::{Action, content};
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("template", ARGS).file_args();

const ARGS: &[Arg] = &[
    Arg::path("src").required(),
    Arg::path("dest").required(),
    Arg::bool("backup").default("false"),
    Arg::bool("force").default("true"),
    Arg::bool("follow").default("false"),
    Arg::str("validate"),
    Arg::str("newline_sequence").default("\\n").choices(&["\\n", "\\r", "\\r\\n", "\n", "\r", "\r\n"]),
    Arg::str("block_start_string").default("{%"),
    Arg::str("block_end_string").default("%}"),
    Arg::str("variable_start_string").default("{{"),
    Arg::str("variable_end_string").default("}}"),
    Arg::str("comment_start_string"),
    Arg::str("comment_end_string"),
    Arg::bool("trim_blocks").default("true"),
    Arg::bool("lstrip_blocks").default("false"),
    Arg::str("output_encoding").default("utf-8"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let mut args = action.arguments()?;
    let (Some(source), Some(dest)) = (
        args.get("src").and_then(Json::as_str).map(str::to_owned),
        args.get("dest").and_then(Json::as_str).map(str::to_owned),
    ) else {
        return Ok(Work::Done(results::failed("src and dest are required")));
    };
    let path = action.find(&source, "templates")?;
    let options = options(action)?;
    let text = read(action, &path)?;
    let mut vars = template_vars(&path, &source, &dest);
    if let Some(format) = action.scope.managed_by_settings()? {
        let line = Str::trusted(managed(format, &path)?, action.task.origin.clone());
        let line = action.walker.run.engine.render(&line, &action.scope.with(vars.clone()))?;
        vars.insert(Arc::from("ansible_managed"), line);
    }
    let scope = action.scope.with(vars);
    let rendered = action.walker.run.engine.render_file(&path, &text, &options, &scope)?;
    let encoding = action.text("output_encoding")?.unwrap_or_else(|| "utf-8".to_owned());
    let bytes = encode(rendered, &encoding)?;
    for own in SPEC.args {
        if !matches!(own.name, "dest" | "backup" | "force" | "follow" | "validate") {
            args.shift_remove(own.name);
        }
    }
    content::put(&mut args, &action.bytes_content(bytes));
    let base = Path::new(&source).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    args.insert("_original_basename".to_owned(), base.into());
    if args.get("mode").and_then(Json::as_str) == Some("preserve")
        && let Ok(metadata) = std::fs::metadata(&path)
    {
        use std::os::unix::fs::PermissionsExt;
        args.insert("mode".to_owned(), format!("0{:o}", metadata.permissions().mode() & 0o7777).into());
    }
    action.remote("copy", args, None)
}

fn read(action: &Action<'_>, path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::new(format!("{}: {e}", path.display())))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("{}: a template must be UTF-8 text", path.display())))?;
    if text.starts_with("$ANSIBLE_VAULT;") {
        let open = action
            .walker
            .run
            .vault
            .decrypt_text(&text)
            .map_err(|e| Error::new(format!("{}: {e}", path.display())))?;
        return Ok(open);
    }
    Ok(text)
}

fn options(action: &Action<'_>) -> Result<Options, Error> {
    let mut options = action.walker.run.engine.options().clone();
    let set = |name: &str, slot: &mut String| -> Result<(), Error> {
        if let Some(text) = action.text(name)? {
            *slot = text;
        }
        Ok(())
    };
    set("block_start_string", &mut options.block_start)?;
    set("block_end_string", &mut options.block_end)?;
    set("variable_start_string", &mut options.variable_start)?;
    set("variable_end_string", &mut options.variable_end)?;
    set("comment_start_string", &mut options.comment_start)?;
    set("comment_end_string", &mut options.comment_end)?;
    set("newline_sequence", &mut options.newline_sequence)?;
    options.newline_sequence = options.newline_sequence.replace("\\r", "\r").replace("\\n", "\n");
    options.trim_blocks = action.flag("trim_blocks", true)?;
    options.lstrip_blocks = action.flag("lstrip_blocks", false)?;
    Ok(options)
}

/// What only templates see of themselves.
fn template_vars(path: &Path, given: &str, dest: &str) -> Vars {
    let mut vars = Vars::new();
    let metadata = std::fs::metadata(path).ok();
    let owner = metadata.as_ref().map(std::os::unix::fs::MetadataExt::uid).unwrap_or_default();
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut add = |name: &str, value: Value| _ = vars.insert(Arc::from(name), value);
    add("template_host", Value::str(rustix::system::uname().nodename().to_string_lossy().into_owned()));
    add("template_uid", Value::str(agent::accounts::Accounts::read().user_name(owner)));
    add("template_path", Value::str(given));
    add("template_fullpath", Value::str(full.display().to_string()));
    add("template_destpath", Value::str(dest));
    let mtime =
        metadata.as_ref().and_then(|m| m.modified().ok()).and_then(|at| jiff::Timestamp::try_from(at).ok());
    if let Some(mtime) = mtime {
        let shown =
            mtime.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
        add("template_mtime", Value::str(shown));
    }
    add("template_run_date", Value::str(jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()));
    vars
}

/// `ansible_managed` of the settings as a template: a Python format, in which everything but the values is also one of
/// `strftime`, for the time of the file.
fn managed(format: &str, path: &Path) -> Result<String, Error> {
    let time = std::fs::metadata(path).ok().and_then(|m| jiff::Timestamp::try_from(m.modified().ok()?).ok());
    let time = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    let shown = |text: &str| {
        let shown = time.as_ref().and_then(|time| jiff::fmt::strtime::format(text, time).ok());
        shown.unwrap_or_else(|| text.to_owned())
    };
    let (mut whole, mut text, mut rest) = (String::new(), String::new(), format);
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            text.push_str(&rest[..1]);
            rest = after;
            continue;
        }
        let name = rest.find('}').map(|end| &rest[1..end]).unwrap_or_default();
        let value = match name {
            "file" => "{{ template_path }}",
            "host" => "{{ template_host }}",
            "uid" => "{{ template_uid }}",
            _ => {
                let problem = "knows {file}, {host} and {uid}; other braces are written twice";
                return Err(Error::new(format!("the setting `ansible_managed` {problem}: {format}")));
            }
        };
        whole.push_str(&shown(&std::mem::take(&mut text)));
        whole.push_str(value);
        rest = &rest[name.len() + 2..];
    }
    Ok(whole + &shown(&(text + rest)))
}

/// The names are Python's, of which most are also the web's.
fn encode(text: String, encoding: &str) -> Result<Vec<u8>, Error> {
    let missing = |c: char| Error::new(format!("`{c}` does not exist in {encoding}"));
    match encoding.to_ascii_lowercase().replace('_', "-").as_str() {
        "" | "utf-8" | "utf8" => Ok(catalog::bytes::unescape(&text)),
        "utf-8-sig" => Ok([b"\xef\xbb\xbf", text.as_bytes()].concat()),
        "ascii" | "us-ascii" => match text.chars().find(|c| !c.is_ascii()) {
            Some(c) => Err(missing(c)),
            None => Ok(text.into_bytes()),
        },
        // The web takes windows-1252 for it.
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => {
            text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| missing(c))).collect()
        }
        "utf-16-le" | "utf-16le" => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "utf-16-be" | "utf-16be" => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        "utf-16" => {
            Ok([0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect())
        }
        name => {
            let known = [name.to_owned(), name.replace('-', "_"), name.replace('-', "")];
            let known = known.iter().find_map(|name| Encoding::for_label_no_replacement(name.as_bytes()));
            let table = known.filter(|table| table.output_encoding() == *table);
            let table = table.ok_or_else(|| Error::new(format!("unknown encoding: {encoding}")))?;
            encode_by(table, &text).map_err(missing)
        }
    }
}

fn encode_by(table: &'static Encoding, text: &str) -> Result<Vec<u8>, char> {
    let mut encoder = table.new_encoder();
    let mut bytes = Vec::new();
    let mut done = 0;
    loop {
        let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len() - done);
        bytes.reserve(room.unwrap_or(text.len()));
        let (result, read) =
            encoder.encode_from_utf8_to_vec_without_replacement(&text[done..], &mut bytes, true);
        done += read;
        match result {
            EncoderResult::InputEmpty => return Ok(bytes),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(c) => return Err(c),
        }
    }
}
