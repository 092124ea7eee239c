//! Properties that are more than one value: commands, variables, labels, devices, health checks, limits.

use catalog::arguments::text;
use catalog::{Args, Json, Map};
use serde_json::json;

use super::property::{How, Kind, Property, Rules};
use crate::docker::{bytes, labels};
use crate::files;
use crate::module::Failure;
use crate::words;

/// A property that is one place of what the engine is told.
pub(super) fn property(
    option: &'static str,
    kind: Kind,
    path: &'static [&'static str],
    wanted: Json,
    is: &Json,
) -> Property {
    let make = vec![(path, wanted.clone())];
    Property { option, name: option, kind, make, wanted, is: is.clone(), update: false }
}

pub(super) fn properties(args: &Args, rules: &Rules, image: &Json, container: &Json) -> Result<Vec<Property>, Failure> {
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    let mut all = Vec::new();
    if let Some(wanted) = command(args)? {
        all.push(property("command", Kind::List, &["Cmd"], wanted, &config["Cmd"]));
    }
    if let Some(wanted) = entrypoint(args)? {
        all.push(property("entrypoint", Kind::List, &["Entrypoint"], wanted, &config["Entrypoint"]));
    }
    all.extend(environment(args, image, config)?);
    all.extend(own_labels(args, rules, image, config)?);
    if let Some(hosts) = args.dict("etc_hosts") {
        let wanted = hosts.iter().map(|(name, address)| json!(format!("{name}:{}", text(address)))).collect();
        all.push(property("etc_hosts", Kind::Set, &["HostConfig", "ExtraHosts"], wanted, &host["ExtraHosts"]));
    }
    if let Some(wanted) = healthcheck(args)? {
        let is = config.get("Healthcheck").filter(|is| !is.is_null()).cloned();
        let is = is.unwrap_or_else(|| json!({"Test": ["NONE"]}));
        all.push(property("healthcheck", Kind::Map, &["Healthcheck"], wanted, &is));
    }
    if let Some(limits) = args.list("ulimits") {
        let wanted = limits.iter().map(|limit| ulimit(&text(limit))).collect::<Result<_, _>>()?;
        all.push(property("ulimits", Kind::SetOfMaps, &["HostConfig", "Ulimits"], wanted, &host["Ulimits"]));
    }
    if let Some(devices) = args.list("devices") {
        let wanted = devices.iter().map(|one| device(&text(one))).collect();
        all.push(property("devices", Kind::SetOfMaps, &["HostConfig", "Devices"], wanted, &host["Devices"]));
    }
    all.extend(requests(args, host));
    all.extend(rates(args, host)?);
    all.extend(restarts(args, host)?);
    Ok(all)
}

fn command(args: &Args) -> Result<Option<Json>, Failure> {
    let old = args.string("command_handling") == "compatibility";
    Ok(match args.get("command") {
        None => None,
        Some(Json::Array(list)) if old && list.is_empty() => None,
        Some(Json::Array(list)) if old => Some(split(&joined(list))?),
        Some(Json::Array(list)) => Some(list.iter().map(|word| json!(text(word))).collect()),
        Some(line) => Some(split(&text(line))?),
    })
}

fn entrypoint(args: &Args) -> Result<Option<Json>, Failure> {
    let old = args.string("command_handling") == "compatibility";
    match args.list("entrypoint") {
        Some(list) if old && list.is_empty() => Ok(None),
        Some(list) if old => split(&joined(list)).map(Some),
        other => Ok(other.map(|list| json!(list))),
    }
}

fn joined(list: &[Json]) -> String {
    list.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn split(line: &str) -> Result<Json, Failure> {
    Ok(json!(words::split(line)?))
}

/// The image's own variables stay; the file's are overruled by the task's.
fn environment(args: &Args, image: &Json, config: &Json) -> Result<Option<Property>, Failure> {
    let (given, file) = (args.dict("env"), args.str("env_file"));
    if given.is_none() && file.is_none() {
        return Ok(None);
    }
    let mut own: Vec<(String, String)> = Vec::new();
    let put = |all: &mut Vec<(String, String)>, key: String, value: String| {
        all.retain(|(known, _)| *known != key);
        all.push((key, value));
    };
    if let Some(path) = file {
        for (key, value) in env_file(path)? {
            put(&mut own, key, value);
        }
    }
    for (key, value) in given.into_iter().flatten() {
        let Json::String(value) = value else {
            return Err(Failure::new(format!(
                "Non-string value found for env option. Ambiguous env options must be wrapped in quotes to avoid them \
                 being interpreted when directly specified in YAML, or explicitly converted to strings when the option \
                 is templated. Key: {key}"
            )));
        };
        put(&mut own, key.clone(), value.clone());
    }
    let mut all: Vec<(String, String)> = Vec::new();
    for line in image["Config"]["Env"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        all.push((key.to_owned(), value.to_owned()));
    }
    for (key, value) in &own {
        put(&mut all, key.clone(), value.clone());
    }
    let lines = |all: &[(String, String)]| -> Json {
        let mut lines: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
        lines.sort();
        json!(lines)
    };
    let mut wanted = property("env", Kind::Set, &["Env"], lines(&all), &config["Env"]);
    wanted.make = vec![(&["Env"], lines(&own))];
    Ok(Some(wanted))
}

fn env_file(path: &str) -> Result<Vec<(String, String)>, Failure> {
    let bytes = files::read(std::path::Path::new(path))?;
    let content = String::from_utf8_lossy(&bytes);
    let mut all = Vec::new();
    for line in content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').ok_or_else(|| {
            Failure::new(format!("Invalid line in environment file {path}:\n{line}"))
        })?;
        all.push((key.trim().to_owned(), value.to_owned()));
    }
    Ok(all)
}

fn own_labels(args: &Args, rules: &Rules, image: &Json, config: &Json) -> Result<Option<Property>, Failure> {
    if !args.has("labels") {
        return Ok(None);
    }
    let given = labels(args.dict("labels"))?;
    let mut all = image["Config"]["Labels"].as_object().cloned().unwrap_or_default();
    if args.string("image_label_mismatch") == "fail" && rules.of("labels", Kind::Map) == How::Strict {
        let missing: Vec<&str> =
            all.keys().filter(|key| !given.contains_key(*key)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(Failure::new(format!(
                "The image has labels that the task does not name: {}. With image_label_mismatch `ignore` they stay",
                missing.join(", ")
            )));
        }
    }
    all.extend(given.clone());
    let mut wanted = property("labels", Kind::Map, &["Labels"], all.into(), &config["Labels"]);
    wanted.make = vec![(&["Labels"], given.into())];
    Ok(Some(wanted))
}

fn healthcheck(args: &Args) -> Result<Option<Json>, Failure> {
    let Some(given) = args.dict("healthcheck") else { return Ok(None) };
    let mut check = Map::new();
    for (option, key) in [
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start_period", "StartPeriod"),
        ("start_interval", "StartInterval"),
    ] {
        if let Some(duration) = given.get(option).and_then(Json::as_str) {
            check.insert(key.to_owned(), json!(nanoseconds(duration)?));
        }
    }
    if let Some(retries) = given.get("retries").filter(|value| !value.is_null()) {
        check.insert("Retries".to_owned(), retries.clone());
    }
    let inherits = given.get("test_cli_compatible") == Some(&Json::Bool(true));
    let test = match given.get("test").filter(|value| !value.is_null()) {
        None if inherits => None,
        None => Some(json!(["NONE"])),
        Some(Json::Array(list)) => Some(list.iter().map(|word| json!(text(word))).collect()),
        Some(line) => Some(json!(["CMD-SHELL", text(line)])),
    };
    match test {
        Some(none) if none[0] == "NONE" => return Ok(Some(json!({"Test": ["NONE"]}))),
        Some(test) => _ = check.insert("Test".to_owned(), test),
        None => {}
    }
    Ok(Some(check.into()))
}

/// `1h2m3s4ms5us`.
fn nanoseconds(duration: &str) -> Result<i64, Failure> {
    let wrong = || Failure::new(format!("Invalid time duration - {duration}"));
    let (mut total, mut rest) = (0_i64, duration.trim());
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    Ok(total)
}

/// `NAME:SOFT[:HARD]`.
fn ulimit(given: &str) -> Result<Json, Failure> {
    let parts: Vec<&str> = given.split(':').collect();
    let wrong = || Failure::new(format!("Error parsing ulimits value {given}: expected NAME:SOFT[:HARD]"));
    let (name, soft, hard) = match parts.as_slice() {
        [name, soft] => (name, soft, soft),
        [name, soft, hard] => (name, soft, hard),
        _ => return Err(wrong()),
    };
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
    Ok(json!({"Name": name, "Soft": number(soft)?, "Hard": number(hard)?}))
}

/// `ON_HOST[:IN_CONTAINER[:PERMISSIONS]]`.
fn device(given: &str) -> Json {
    let mut parts = given.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(host);
    json!({"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": parts.next().unwrap_or("rwm")})
}

fn requests(args: &Args, host: &Json) -> Option<Property> {
    let keys = [("driver", "Driver"), ("count", "Count"), ("device_ids", "DeviceIDs"), ("capabilities", "Capabilities")];
    let one = |given: &Json| {
        let named = keys.iter().filter(|(option, _)| !given[*option].is_null());
        let mut request: Map = named.map(|(option, key)| ((*key).to_owned(), given[*option].clone())).collect();
        if let Some(options) = given["options"].as_object() {
            request.insert("Options".to_owned(), crate::docker::texts(Some(options)).into());
        }
        Json::Object(request)
    };
    let wanted = args.list("device_requests")?.iter().map(one).collect();
    let path = &["HostConfig", "DeviceRequests"];
    Some(property("device_requests", Kind::SetOfMaps, path, wanted, &host["DeviceRequests"]))
}

fn rates(args: &Args, host: &Json) -> Result<Vec<Property>, Failure> {
    let rows: [(&'static str, &'static [&'static str]); 4] = [
        ("device_read_bps", &["HostConfig", "BlkioDeviceReadBps"]),
        ("device_write_bps", &["HostConfig", "BlkioDeviceWriteBps"]),
        ("device_read_iops", &["HostConfig", "BlkioDeviceReadIOps"]),
        ("device_write_iops", &["HostConfig", "BlkioDeviceWriteIOps"]),
    ];
    let mut all = Vec::new();
    for (option, path) in rows {
        let Some(list) = args.list(option) else { continue };
        let one = |given: &Json| -> Result<Json, Failure> {
            let rate = match &given["rate"] {
                Json::String(text) => bytes(text, option)?,
                number => number.as_i64().unwrap_or_default(),
            };
            Ok(json!({"Path": given["path"], "Rate": rate}))
        };
        let wanted = list.iter().map(one).collect::<Result<_, _>>()?;
        all.push(property(option, Kind::SetOfMaps, path, wanted, &host[path[1]]));
    }
    Ok(all)
}

/// The two are one value to the engine.
fn restarts(args: &Args, host: &Json) -> Result<Vec<Property>, Failure> {
    let Some(policy) = args.get("restart_policy") else { return Ok(Vec::new()) };
    let is = &host["RestartPolicy"];
    let none = policy == "no" && is["Name"] == "";
    let named = if none { policy } else { &is["Name"] };
    let mut all =
        vec![property("restart_policy", Kind::Value, &["HostConfig", "RestartPolicy", "Name"], policy.clone(), named)];
    if let Some(retries) = args.get("restart_retries") {
        let path = &["HostConfig", "RestartPolicy", "MaximumRetryCount"];
        all.push(property("restart_retries", Kind::Value, path, retries.clone(), &is["MaximumRetryCount"]));
    }
    for one in &mut all {
        one.update = true;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_nanoseconds() {
        assert_eq!(nanoseconds("1m30s").unwrap(), 90_000_000_000);
        assert_eq!(nanoseconds("5ms").unwrap(), 5_000_000);
        for wrong in ["", "1x", "s", "5", "99999999999h"] {
            assert!(nanoseconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_and_devices_have_defaults() {
        assert_eq!(ulimit("nofile:1").unwrap(), json!({"Name": "nofile", "Soft": 1, "Hard": 1}));
        assert!(ulimit("x").is_err());
        assert_eq!(device("/dev/a")["PathInContainer"], "/dev/a");
        assert_eq!(device("/dev/a:/dev/b:r")["CgroupPermissions"], "r");
    }
}
