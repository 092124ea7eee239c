//! `yum_repository`: repositories of dnf and yum.

use std::collections::BTreeMap;
use std::path::PathBuf;

use catalog::{Arg, Args, Json, ModuleSpec, arguments};

use crate::fileargs::FileArgs;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::bool("async"),
    Arg::str("bandwidth"),
    Arg::list("baseurl"),
    Arg::str("cost"),
    Arg::bool("countme"),
    Arg::str("deltarpm_metadata_percentage"),
    Arg::str("deltarpm_percentage"),
    Arg::str("description"),
    Arg::bool("enabled"),
    Arg::bool("enablegroups"),
    Arg::list("exclude").aliases(&["excludepkgs"]),
    Arg::str("failovermethod").choices(&["roundrobin", "priority"]),
    Arg::str("file"),
    Arg::str("gpgcakey"),
    Arg::bool("gpgcheck"),
    Arg::list("gpgkey"),
    Arg::bool("module_hotfixes"),
    Arg::str("http_caching").choices(&["all", "packages", "none"]),
    Arg::str("include"),
    Arg::list("includepkgs"),
    Arg::str("ip_resolve").choices(&["4", "6", "IPv4", "IPv6", "whatever"]),
    Arg::bool("keepalive"),
    Arg::str("keepcache").choices(&["0", "1"]),
    Arg::str("metadata_expire"),
    Arg::str("metadata_expire_filter").choices(&[
        "never",
        "read-only:past",
        "read-only:present",
        "read-only:future",
    ]),
    Arg::str("metalink"),
    Arg::str("mirrorlist"),
    Arg::str("mirrorlist_expire"),
    Arg::str("name").required(),
    Arg::str("password").no_log(),
    Arg::str("priority"),
    Arg::bool("protect"),
    Arg::str("proxy"),
    Arg::str("proxy_password").no_log(),
    Arg::str("proxy_username"),
    Arg::bool("repo_gpgcheck"),
    Arg::path("reposdir").default("/etc/yum.repos.d"),
    Arg::str("retries"),
    Arg::bool("s3_enabled"),
    Arg::bool("skip_if_unavailable"),
    Arg::str("sslcacert").aliases(&["ca_cert"]),
    Arg::bool("ssl_check_cert_permissions"),
    Arg::str("sslclientcert").aliases(&["client_cert"]),
    Arg::str("sslclientkey").aliases(&["client_key"]),
    Arg::bool("sslverify").aliases(&["validate_certs"]),
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::str("throttle"),
    Arg::str("timeout"),
    Arg::str("ui_repoid_vars"),
    Arg::str("username"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("yum_repository", ARGS).file_args().required_if(&[
        ("state", "present", &["baseurl", "mirrorlist", "metalink"], true),
        ("state", "present", &["description"], false),
    ]),
    run,
};

/// Arguments that are not settings of the repository.
const NOT_WRITTEN: &[&str] = &["name", "description", "file", "reposdir", "state"];

type Section = BTreeMap<String, String>;

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let dir = args.string("reposdir");
    if !PathBuf::from(&dir).is_dir() {
        return Err(Failure::new(format!("Repo directory '{dir}' does not exist.")));
    }
    let name = args.string("name");
    let path = PathBuf::from(format!("{dir}/{}.repo", args.str("file").unwrap_or(&name)));
    let file = TextFile::read(&path)?;
    let mut sections = parse(file.text());
    let state = args.string("state");
    if state == "present" {
        sections.insert(name.clone(), wanted(args));
    } else {
        sections.remove(&name);
    }
    // The file is compared by meaning, not by its comments and blanks.
    let mut changed = sections != parse(file.text());
    let after = if changed { render(&sections) } else { file.text().to_owned() };
    if changed && !task.check {
        if sections.is_empty() {
            task.recorder.remove(&path)?;
        } else {
            file.write(task, &after, Some(0o644))?;
        }
    }
    if path.is_file() {
        changed |= FileArgs::read(args)?.apply(task, &path, None)?;
    }
    Ok(Outcome::changed(changed).with("repo", name).with("state", state).diff(file.diff(&after)))
}

fn wanted(args: &Args) -> Section {
    let mut section = Section::new();
    section.insert("name".to_owned(), args.string("description"));
    for arg in ARGS.iter().filter(|arg| !NOT_WRITTEN.contains(&arg.name)) {
        let value = match args.get(arg.name) {
            None => continue,
            Some(Json::Bool(yes)) => if *yes { "1" } else { "0" }.to_owned(),
            Some(Json::Array(list)) => {
                let lines = matches!(arg.name, "baseurl" | "gpgkey");
                let words: Vec<String> = list.iter().map(arguments::text).collect();
                words.join(if lines { "\n" } else { " " })
            }
            Some(other) => arguments::text(other),
        };
        section.insert(arg.name.to_owned(), value);
    }
    section
}

/// Sections by name; a line that begins with a blank, or has no `=`, goes on with the value before it.
fn parse(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let (mut name, mut last) = (None::<String>, None::<String>);
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(head) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.entry(head.to_owned()).or_default();
            (name, last) = (Some(head.to_owned()), None);
            continue;
        }
        let Some(section) = name.as_ref().and_then(|name| sections.get_mut(name)) else { continue };
        match (line.split_once('='), &last) {
            (Some((key, value)), _) if !line.starts_with([' ', '\t']) && !key.contains("://") => {
                let key = key.trim().to_ascii_lowercase();
                section.insert(key.clone(), value.trim().to_owned());
                last = Some(key);
            }
            (_, Some(key)) => {
                if let Some(value) = section.get_mut(key) {
                    value.push('\n');
                    value.push_str(bare);
                }
            }
            _ => {}
        }
    }
    sections
}

fn render(sections: &BTreeMap<String, Section>) -> String {
    let mut text = String::new();
    for (name, section) in sections {
        text.push_str(&format!("[{name}]\n"));
        for (key, value) in section {
            text.push_str(&format!("{key} = {value}\n"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{parse, render};

    #[test]
    fn several_addresses_survive_the_way_there_and_back() {
        let text = "[epel]\nbaseurl = a://1?x=1\nb://2?y=2\nenabled = 0\nname = EPEL\n\n";
        assert_eq!(render(&parse(text)), text);
    }
}
