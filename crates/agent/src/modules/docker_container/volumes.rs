//! `volumes`, `mounts` and `tmpfs`.

use catalog::arguments::text;
use catalog::{Args, Json, Map};
use serde_json::json;

use super::property::{Kind, Property};
use super::special::property;
use crate::docker::{bytes, texts};
use crate::module::{Failure, Task};
use crate::serve::expand_path;

const MODES: &[&str] = &[
    "rw", "ro", "z", "Z", "consistent", "delegated", "cached", "rprivate", "private", "rshared", "shared", "rslave",
    "slave", "nocopy",
];

pub(super) fn properties(
    args: &Args,
    task: &Task<'_>,
    image: &Json,
    container: &Json,
) -> Result<Vec<Property>, Failure> {
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    let mut all = Vec::new();
    if let Some(given) = args.list("volumes") {
        let (binds, own) = binds(given, task)?;
        let is = each(&host["Binds"], |bind| json!(full(&text(bind))));
        let mut bound = property("volumes", Kind::Set, &["HostConfig", "Binds"], json!(binds), &is);
        bound.name = "volume_binds";
        all.push(bound);
        let keys = |map: &Json| -> Vec<String> { map.as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect() };
        let anonymous: Map = own.iter().map(|path| (path.clone(), json!({}))).collect();
        let mut wanted = keys(&image["Config"]["Volumes"]);
        wanted.extend(own);
        let mut volumes = property("volumes", Kind::Set, &["Volumes"], json!(wanted), &json!(keys(&config["Volumes"])));
        volumes.make = vec![(&["Volumes"], anonymous.into())];
        all.push(volumes);
    }
    if let Some(given) = args.list("mounts") {
        let wanted: Vec<Json> = given.iter().map(shown).collect::<Result<_, _>>()?;
        let made: Vec<Json> = wanted.iter().map(told).collect();
        let is = each(&host["Mounts"], heard);
        let mut mounts = property("mounts", Kind::SetOfMaps, &["HostConfig", "Mounts"], json!(wanted), &is);
        mounts.make = vec![(&["HostConfig", "Mounts"], json!(made))];
        all.push(mounts);
    }
    if let Some(given) = args.list("tmpfs") {
        let pairs = given.iter().map(|one| {
            let one = text(one);
            let (path, options) = one.split_once(':').unwrap_or((&one, ""));
            (path.to_owned(), json!(options))
        });
        let wanted = Json::Object(pairs.collect());
        all.push(property("tmpfs", Kind::Map, &["HostConfig", "Tmpfs"], wanted, &host["Tmpfs"]));
    }
    Ok(all)
}

/// Of a list that may not be there.
fn each(list: &Json, own: impl Fn(&Json) -> Json) -> Json {
    list.as_array().map_or(Json::Null, |list| list.iter().map(own).collect())
}

fn is_mode(text: &str) -> bool {
    text.split(',').all(|mode| MODES.contains(&mode))
}

/// What is bound, and where there is a volume without a name.
fn binds(given: &[Json], task: &Task<'_>) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut bound, mut own) = (Vec::new(), Vec::new());
    for volume in given.iter().map(text) {
        let parts: Vec<&str> = volume.split(':').collect();
        let (host, inside, mode) = match parts.as_slice() {
            [path] => {
                own.push((*path).to_owned());
                continue;
            }
            [path, mode] if is_mode(mode) => {
                own.push(format!("{path}:{mode}"));
                continue;
            }
            [host, inside] => (*host, *inside, "rw"),
            [host, inside, mode] if is_mode(mode) => (*host, *inside, *mode),
            [_, _, mode] => return Err(Failure::new(format!("Found invalid volumes mode: {mode}"))),
            _ => {
                return Err(Failure::new(format!("Found invalid volume `{volume}`: expected HOST:CONTAINER[:MODE]")));
            }
        };
        bound.push(format!("{}:{inside}:{mode}", on_host(host, task)));
    }
    Ok((bound, own))
}

/// The name of a volume, or a whole path.
fn on_host(path: &str, task: &Task<'_>) -> String {
    if path.starts_with('~') {
        return expand_path(path, task.environment);
    }
    if path.starts_with('.') {
        return std::path::absolute(path).map_or_else(|_| path.to_owned(), |whole| whole.display().to_string());
    }
    path.to_owned()
}

/// A bind of a container that others made may have no mode.
fn full(bind: &str) -> String {
    if bind.matches(':').count() == 1 { format!("{bind}:rw") } else { bind.to_owned() }
}

/// A mount's options that are given, with sizes as numbers: as the diff shows them.
fn shown(given: &Json) -> Result<Json, Failure> {
    let mut mount: Map =
        given.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    let kind = mount.get("type").map(text).unwrap_or_default();
    if mount.get("source").is_none_or(|source| source == "") && kind != "volume" && kind != "tmpfs" {
        return Err(Failure::new(format!("source must be specified for mount \"{}\" of type \"{kind}\"", text(&given["target"]))));
    }
    if let Some(size) = mount.get("tmpfs_size").map(text) {
        mount.insert("tmpfs_size".to_owned(), json!(bytes(&size, "tmpfs_size")?));
    }
    if let Some(mode) = mount.get("tmpfs_mode").map(text) {
        let number = i64::from_str_radix(&mode, 8);
        let number = number.map_err(|_| Failure::new(format!("tmp_fs mode of mount \"{}\" is not an octal string!", text(&given["target"]))))?;
        mount.insert("tmpfs_mode".to_owned(), json!(number));
    }
    for key in ["labels", "volume_options"] {
        if let Some(Json::Object(map)) = mount.get(key) {
            let map = texts(Some(map));
            mount.insert(key.to_owned(), map.into());
        }
    }
    Ok(mount.into())
}

/// The options of a mount, and where the engine has them.
const OPTIONS: &[(&str, &[&str])] = &[
    ("target", &["Target"]),
    ("source", &["Source"]),
    ("type", &["Type"]),
    ("read_only", &["ReadOnly"]),
    ("consistency", &["Consistency"]),
    ("propagation", &["BindOptions", "Propagation"]),
    ("non_recursive", &["BindOptions", "NonRecursive"]),
    ("create_mountpoint", &["BindOptions", "CreateMountpoint"]),
    ("read_only_non_recursive", &["BindOptions", "ReadOnlyNonRecursive"]),
    ("read_only_force_recursive", &["BindOptions", "ReadOnlyForceRecursive"]),
    ("no_copy", &["VolumeOptions", "NoCopy"]),
    ("labels", &["VolumeOptions", "Labels"]),
    ("volume_driver", &["VolumeOptions", "DriverConfig", "Name"]),
    ("volume_options", &["VolumeOptions", "DriverConfig", "Options"]),
    ("tmpfs_size", &["TmpfsOptions", "SizeBytes"]),
    ("tmpfs_mode", &["TmpfsOptions", "Mode"]),
    ("tmpfs_options", &["TmpfsOptions", "Options"]),
];

/// What is mounted may be a part of a volume or of an image.
fn subpath(kind: &Json) -> (&'static str, &'static [&'static str]) {
    let path: &[&str] = if kind == "image" { &["ImageOptions", "Subpath"] } else { &["VolumeOptions", "Subpath"] };
    ("subpath", path)
}

fn told(shown: &Json) -> Json {
    let mut mount = json!({});
    for (option, path) in OPTIONS.iter().copied().chain([subpath(&shown["type"])]) {
        let Some(value) = shown.get(option) else { continue };
        let value = if option == "tmpfs_options" { flags(value) } else { value.clone() };
        let mut place = &mut mount;
        for key in path {
            place = &mut place[*key];
        }
        *place = value;
    }
    mount
}

/// `[{noexec: null}, {uid: 1}]` as the engine wants it.
fn flags(list: &Json) -> Json {
    let pairs = list.as_array().into_iter().flatten().filter_map(Json::as_object).flatten();
    pairs.map(|(key, value)| if value.is_null() { json!([key]) } else { json!([key, text(value)]) }).collect()
}

fn heard(mount: &Json) -> Json {
    let mut shown = Map::new();
    for (option, path) in OPTIONS.iter().copied().chain([subpath(&mount["Type"])]) {
        let value = path.iter().fold(mount, |value, key| &value[*key]);
        if !value.is_null() {
            shown.insert(option.to_owned(), value.clone());
        }
    }
    // What the engine leaves out is false.
    for option in ["read_only", "no_copy", "non_recursive", "create_mountpoint"] {
        shown.entry(option).or_insert(json!(false));
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_and_heard_alike() {
        let given = json!({"type": "tmpfs", "target": "/x", "tmpfs_size": "1M", "tmpfs_mode": "1770", "source": null});
        let wanted = shown(&given).unwrap();
        let told = told(&wanted);
        assert_eq!(told, json!({"Target": "/x", "Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}}));
        let heard = heard(&told);
        assert!(wanted.as_object().unwrap().iter().all(|(key, value)| heard.get(key) == Some(value)), "{heard}");
        assert!(shown(&json!({"type": "bind", "target": "/x"})).is_err());
    }

    #[test]
    fn a_bind_has_a_mode() {
        assert_eq!(full("a:/b"), "a:/b:rw");
        assert_eq!(full("a:/b:ro"), "a:/b:ro");
    }
}
