//! Kernel, names, user, environment, time, Python.

use std::collections::BTreeMap;

use catalog::{Json, Map};
use serde_json::json;

use super::Children;
use super::source::Source;

/// `system`, `kernel`, `architecture`, `hostname` and their kin.
pub fn collect(source: &Source, children: Children<'_>) -> Map {
    let uname = rustix::system::uname();
    let text = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
    let (machine, nodename) = (text(uname.machine()), text(uname.nodename()));
    let fqdn = fqdn(source, &nodename, children);
    let domain = fqdn.split_once('.').map(|(_, domain)| domain.to_owned()).unwrap_or_default();
    let mut facts = Map::new();
    let mut put = |key: &str, value: Json| facts.insert(key.to_owned(), value);
    put("system", "Linux".into());
    put("kernel", text(uname.release()).into());
    put("kernel_version", text(uname.version()).into());
    put("machine", machine.as_str().into());
    put("hostname", nodename.split('.').next().unwrap_or_default().into());
    put("nodename", nodename.as_str().into());
    put("fqdn", fqdn.into());
    put("domain", domain.into());
    let architecture = match machine.as_str() {
        "i486" | "i586" | "i686" => "i386",
        other => other,
    };
    put("architecture", architecture.into());
    let wide = word_size(source).unwrap_or(if cfg!(target_pointer_width = "64") { 64 } else { 32 });
    put("userspace_bits", wide.to_string().into());
    let userspace = match (architecture, wide) {
        ("x86_64", 32) => "i386",
        (other, _) => other,
    };
    put("userspace_architecture", userspace.into());
    if let Some(id) = source.line("/var/lib/dbus/machine-id").or_else(|| source.line("/etc/machine-id")) {
        put("machine_id", id.into());
    }
    if let Some((_, version)) = python(source, children) {
        let [major, minor, micro] = version;
        put("python_version", format!("{major}.{minor}.{micro}").into());
    }
    facts
}

/// 32 or 64, from the header of the host's shell: our own word size says nothing of the host.
fn word_size(source: &Source) -> Option<u8> {
    let mut header = [0; 5];
    let mut file = std::fs::File::open(source.path("/bin/sh")).ok()?;
    std::io::Read::read_exact(&mut file, &mut header).ok()?;
    match header {
        [0x7f, b'E', b'L', b'F', 1] => Some(32),
        [0x7f, b'E', b'L', b'F', 2] => Some(64),
        _ => None,
    }
}

/// The host's full name, as a look-up of its short one finds it.
fn fqdn(source: &Source, nodename: &str, children: Children<'_>) -> String {
    let names = names_in(&source.text("/etc/hosts").unwrap_or_default(), nodename)
        .or_else(|| looked_up(source, nodename, children));
    let Some(names) = names else { return nodename.to_owned() };
    let dotted = names.iter().find(|name| name.contains('.'));
    dotted.or(names.first()).cloned().unwrap_or_else(|| nodename.to_owned())
}

/// The names of the address that a name has. The first name of that address counts, whatever line it is on.
fn names_in(hosts: &str, wanted: &str) -> Option<Vec<String>> {
    let entries: Vec<Vec<&str>> = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().split_whitespace().collect())
        .filter(|words: &Vec<&str>| words.len() > 1)
        .collect();
    let of_name =
        entries.iter().find(|words| words[1..].iter().any(|name| name.eq_ignore_ascii_case(wanted)))?;
    let of_address = entries.iter().find(|words| words[0] == of_name[0])?;
    Some(of_address[1..].iter().map(|name| (*name).to_owned()).collect())
}

fn looked_up(source: &Source, nodename: &str, children: Children<'_>) -> Option<Vec<String>> {
    if nodename.is_empty() || !source.has_program("getent") {
        return None;
    }
    let ran = children(&["getent", "hosts", nodename])?;
    let line = ran.stdout.lines().next().filter(|_| ran.rc == 0)?;
    Some(line.split_whitespace().skip(1).map(str::to_owned).collect())
}

/// The host's Python, if there is one: path and version. Read from names of files and the package database;
/// asked only if those do not say.
pub fn python(source: &Source, children: Children<'_>) -> Option<(String, [u32; 3])> {
    let path = "/usr/bin/python3";
    let real = source.link_name(path);
    if !source.exists(path) {
        return None;
    }
    let series = real.unwrap_or_default();
    let known = source.text("/var/lib/dpkg/status").and_then(|status| {
        let start = status.find(&format!("\nPackage: {series}-minimal\n")).filter(|_| !series.is_empty())?;
        let version = status[start..].split("\nVersion: ").nth(1)?.lines().next()?;
        three_numbers(version.split(['-', '~', '+']).next()?)
    });
    let version = known.or_else(|| {
        let ran = children(&[path, "--version"])?;
        three_numbers(ran.stdout.trim().strip_prefix("Python ")?)
    })?;
    Some((path.to_owned(), version))
}

fn three_numbers(text: &str) -> Option<[u32; 3]> {
    let numbers = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let mut parts = text.split('.').map(numbers);
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)])
}

pub fn python_facts(source: &Source, children: Children<'_>) -> Map {
    let Some((executable, [major, minor, micro])) = python(source, children) else { return Map::new() };
    let mut facts = Map::new();
    let python = json!({
        "executable": executable, "has_sslcontext": true, "type": "cpython",
        "version": {"major": major, "minor": minor, "micro": micro, "releaselevel": "final", "serial": 0},
        "version_info": [major, minor, micro, "final", 0],
    });
    facts.insert("python".into(), python);
    facts
}

pub fn user(source: &Source) -> Map {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let effective = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let passwd = source.text("/etc/passwd").unwrap_or_default();
    let row: Option<Vec<&str>> = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|row| row.len() >= 7 && row[2] == effective.0.to_string());
    let mut facts = Map::new();
    let mut put = |key: &str, value: Json| facts.insert(key.to_owned(), value);
    if let Some(row) = row {
        put("user_id", row[0].into());
        put("user_uid", effective.0.into());
        put("user_gid", row[3].parse().unwrap_or(effective.1).into());
        put("user_gecos", row[4].into());
        put("user_dir", row[5].into());
        put("user_shell", row[6].into());
    } else {
        put("user_id", effective.0.to_string().into());
        put("user_uid", effective.0.into());
        put("user_gid", effective.1.into());
    }
    put("real_user_id", uid.into());
    put("effective_user_id", effective.0.into());
    put("real_group_id", gid.into());
    put("effective_group_id", effective.1.into());
    facts
}

/// What a task on this host would see: our own environment and the task's.
pub fn environment(own: &BTreeMap<String, String>) -> Map {
    let mut all: Map = std::env::vars_os()
        .map(|(key, value)| (key.to_string_lossy().into_owned(), Json::from(value.to_string_lossy())))
        .collect();
    all.extend(own.iter().map(|(key, value)| (key.clone(), Json::from(value.as_str()))));
    Map::from_iter([("env".to_owned(), Json::Object(all))])
}

pub fn date_time() -> Map {
    let now = jiff::Zoned::now();
    let utc = now.with_time_zone(jiff::tz::TimeZone::UTC);
    let zone = now.strftime("%Z").to_string();
    let standard = standard_and_summer(&now);
    let facts = json!({
        "year": now.strftime("%Y").to_string(), "month": now.strftime("%m").to_string(),
        "weekday": now.strftime("%A").to_string(), "weekday_number": now.strftime("%w").to_string(),
        "weeknumber": now.strftime("%W").to_string(), "day": now.strftime("%d").to_string(),
        "hour": now.strftime("%H").to_string(), "minute": now.strftime("%M").to_string(),
        "second": now.strftime("%S").to_string(), "epoch": now.timestamp().as_second().to_string(),
        "epoch_int": now.timestamp().as_second().to_string(), "date": now.strftime("%Y-%m-%d").to_string(),
        "time": now.strftime("%H:%M:%S").to_string(), "iso8601": utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "iso8601_micro": utc.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        "iso8601_basic": now.strftime("%Y%m%dT%H%M%S%6f").to_string(),
        "iso8601_basic_short": now.strftime("%Y%m%dT%H%M%S").to_string(),
        "tz": zone, "tz_dst": standard, "tz_offset": now.strftime("%z").to_string(),
    });
    Map::from_iter([("date_time".to_owned(), facts)])
}

/// The abbreviation of the zone's summer time, or of its only time.
fn standard_and_summer(now: &jiff::Zoned) -> String {
    let zone = now.time_zone();
    let mut standard = String::new();
    for month in [1i8, 7] {
        let Ok(date) = jiff::civil::Date::new(now.year(), month, 1) else { continue };
        let Ok(when) = date.to_zoned(zone.clone()) else { continue };
        let info = zone.to_offset_info(when.timestamp());
        if info.dst().is_dst() {
            return info.abbreviation().to_owned();
        }
        standard = info.abbreviation().to_owned();
    }
    standard
}
