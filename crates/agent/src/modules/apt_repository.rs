//! `apt_repository`: lines of apt's lists of sources.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use layer::Attributes;
use serde_json::json;

use crate::facts::distribution::os_release;
use crate::facts::source::Source;
use crate::fileargs;
use crate::http;
use crate::module::{At, Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "apt_repository",
        &[
            Arg::str("repo").required(),
            Arg::str("state").default("present").choices(&["absent", "present"]),
            Arg::raw("mode"),
            Arg::bool("update_cache").default("true").aliases(&["update-cache"]),
            Arg::int("update_cache_retries").default("5"),
            Arg::int("update_cache_retry_max_delay").default("12"),
            Arg::str("filename"),
            Arg::bool("install_python_apt").default("true"),
            Arg::bool("validate_certs").default("true"),
            Arg::str("codename"),
        ],
    ),
    run,
};

const MAIN: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";

/// A file of sources as it is and as it shall be.
struct List {
    path: PathBuf,
    before: String,
    after: String,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let repo = args.string("repo");
    let present = args.string("state") == "present";
    let (line, ppa) = expanded(args, &repo)?;
    let Some(wanted) = normal(&line) else {
        return Err(Failure::new(format!("Invalid repository string: {repo}")));
    };
    let mut lists = read()?;
    if present {
        add(args, &mut lists, &line, &wanted);
    } else {
        remove(&mut lists, &wanted);
    }
    let changed: Vec<&List> = lists.iter().filter(|list| list.before != list.after).collect();
    let shown = |which: &dyn Fn(&&&List) -> bool| -> Vec<String> {
        changed.iter().filter(which).map(|list| list.path.to_string_lossy().into_owned()).collect()
    };
    let mut outcome = Outcome::changed(!changed.is_empty())
        .with("repo", repo)
        .with("state", args.string("state"))
        .with("sources_added", shown(&|l| l.before.is_empty()))
        .with("sources_removed", shown(&|l| l.after.is_empty()));
    for list in &changed {
        let header = |text: &str| {
            if text.is_empty() { "/dev/null".to_owned() } else { list.path.display().to_string() }
        };
        outcome.diff.push(json!({
            "before": list.before, "after": list.after,
            "before_header": header(&list.before), "after_header": header(&list.after),
        }));
    }
    if outcome.changed && !task.check {
        if present && let Some(ppa) = ppa {
            ppa.trust(args, task)?;
        }
        write(args, task, &changed)?;
        if args.bool("update_cache") {
            super::apt::fetch_lists(args, task)?;
        }
    }
    Ok(outcome)
}

/// A source in the form in which two are compared; `None`: it is none.
fn normal(line: &str) -> Option<String> {
    let text = line.split('#').next()?.trim();
    let mut words = text.split_whitespace();
    if !matches!(words.next()?, "deb" | "deb-src") {
        return None;
    }
    let has_address = words.any(|word| word.contains(":/") || word.starts_with("cdrom:"));
    has_address.then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn read() -> Result<Vec<List>, Failure> {
    let mut paths = vec![PathBuf::from(MAIN)];
    paths.extend(crate::patterns::expand(&format!("{PARTS}/*.list")));
    let mut lists = Vec::new();
    for path in paths.into_iter().filter(|p| p.exists()) {
        let before = String::from_utf8_lossy(&std::fs::read(&path).at("read", &path)?).into_owned();
        lists.push(List { path, after: before.clone(), before });
    }
    Ok(lists)
}

/// Already there: nothing. There but commented out: back in. Else at the end of a file of its own.
fn add(args: &Args, lists: &mut Vec<List>, line: &str, wanted: &str) {
    let has = |list: &List| list.after.lines().any(|l| normal(l).as_deref() == Some(wanted));
    if lists.iter().any(has) {
        return;
    }
    let off =
        |l: &str| l.trim_start().strip_prefix('#').and_then(|rest| normal(rest.trim_start_matches('#')));
    for list in lists.iter_mut() {
        if list.after.lines().any(|l| off(l).as_deref() == Some(wanted)) {
            let turned = list.after.lines().map(|l| if off(l).as_deref() == Some(wanted) { line } else { l });
            list.after = turned.map(|l| format!("{l}\n")).collect();
            return;
        }
    }
    let path = file_for(args, line);
    match lists.iter_mut().find(|list| list.path == path) {
        Some(list) => {
            if !list.after.is_empty() && !list.after.ends_with('\n') {
                list.after.push('\n');
            }
            list.after.push_str(&format!("{line}\n"));
        }
        None => lists.push(List { path, before: String::new(), after: format!("{line}\n") }),
    }
}

fn remove(lists: &mut [List], wanted: &str) {
    for list in lists {
        if list.after.lines().any(|l| normal(l).as_deref() == Some(wanted)) {
            let kept = list.after.lines().filter(|l| normal(l).as_deref() != Some(wanted));
            list.after = kept.map(|l| format!("{l}\n")).collect();
        }
    }
}

/// Named after the address, without scheme, name and password.
fn file_for(args: &Args, line: &str) -> PathBuf {
    let plain = |text: &str| {
        let words: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
        words.split_whitespace().collect::<Vec<_>>().join("_")
    };
    if let Some(name) = args.str("filename") {
        let path = Path::new(PARTS).join(format!("{}.list", name.trim_end_matches(".list")));
        return if name.starts_with('/') { PathBuf::from(format!("{name}.list")) } else { path };
    }
    let without_options = match (line.find('['), line.find(']')) {
        (Some(start), Some(end)) if start < end => format!("{} {}", &line[..start], &line[end + 1..]),
        _ => line.to_owned(),
    };
    let address = without_options
        .split_whitespace()
        .find(|word| !matches!(*word, "deb" | "deb-src"))
        .unwrap_or_default();
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let address = address.split_once('@').map_or(address, |(_, rest)| rest);
    Path::new(PARTS).join(format!("{}.list", plain(address)))
}

fn write(args: &Args, task: &mut Task<'_>, changed: &[&List]) -> Result<(), Failure> {
    let settings = fileargs::FileArgs::read(args)?;
    for list in changed {
        if list.after.is_empty() && list.path != Path::new(MAIN) {
            task.recorder.remove(&list.path)?;
            continue;
        }
        let mode = (!list.path.exists()).then_some(0o644);
        task.recorder.write(
            &list.path,
            list.after.as_bytes(),
            &Attributes { mode, ..Attributes::default() },
        )?;
        if args.has("mode") {
            settings.apply(task, &list.path, None)?;
        }
    }
    Ok(())
}

/// An archive of somebody at Launchpad: `ppa:owner/name`.
struct Ppa {
    owner: String,
    name: String,
}

/// The line for apt, and whose archive it is.
fn expanded(args: &Args, repo: &str) -> Result<(String, Option<Ppa>), Failure> {
    let Some(rest) = repo.strip_prefix("ppa:") else { return Ok((repo.trim().to_owned(), None)) };
    let (owner, name) = rest.split_once('/').unwrap_or((rest, "ppa"));
    let os = os_release(&Source::new(Path::new("/")));
    let code =
        args.str("codename").or(os.get("UBUNTU_CODENAME").or(os.get("VERSION_CODENAME")).map(String::as_str));
    let Some(code) = code else {
        return Err("the distribution's codename is not known; give `codename`".into());
    };
    let line = format!("deb https://ppa.launchpadcontent.net/{owner}/{name}/ubuntu {code} main");
    Ok((line, Some(Ppa { owner: owner.to_owned(), name: name.to_owned() })))
}

impl Ppa {
    /// Fetches the archive's key, as Launchpad names it.
    fn trust(&self, args: &Args, task: &mut Task<'_>) -> Result<(), Failure> {
        let Self { owner, name } = self;
        let path = PathBuf::from(format!("/etc/apt/trusted.gpg.d/{owner}-{name}.asc"));
        if path.exists() {
            return Ok(());
        }
        let about = fetch(args, task, &format!("https://api.launchpad.net/1.0/~{owner}/+archive/{name}"))?;
        let about: catalog::Json = serde_json::from_slice(&about).unwrap_or_default();
        let Some(print) = about.get("signing_key_fingerprint").and_then(catalog::Json::as_str) else {
            return Err(Failure::new(format!("failed to fetch PPA information for {owner}/{name}")));
        };
        let address = format!("https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x{print}");
        let key = fetch(args, task, &address)?;
        task.recorder.write(&path, key.as_slice(), &Attributes::mode(0o644))?;
        Ok(())
    }
}

fn fetch(args: &Args, task: &Task<'_>, address: &str) -> Result<Vec<u8>, Failure> {
    let scratch = layer::Scratch::new()?;
    let file = http::download(task, address, (&scratch, "answer"), args.bool("validate_certs"))?;
    crate::files::read(&file)
}
