//! Block devices, their partitions and names.

use std::collections::BTreeMap;

use catalog::{Json, Map};
use serde_json::json;

use super::source::Source;

type Links = BTreeMap<String, Vec<String>>;

/// `device_links` and `devices`.
pub fn collect(source: &Source) -> Map {
    let links = [
        ("ids", links(source, "/dev/disk/by-id")),
        ("uuids", links(source, "/dev/disk/by-uuid")),
        ("labels", links(source, "/dev/disk/by-label")),
        ("masters", masters(source)),
    ];
    let mut facts = Map::new();
    let all: Map = links.iter().map(|(kind, links)| ((*kind).to_owned(), json!(links))).collect();
    facts.insert("device_links".into(), Json::Object(all));
    let devices: Map = source
        .names("/sys/block")
        .into_iter()
        .map(|name| (name.clone(), Json::Object(device(source, &name, &links))))
        .collect();
    facts.insert("devices".into(), Json::Object(devices));
    facts
}

fn links(source: &Source, dir: &str) -> Links {
    let mut found = Links::new();
    for name in source.names(dir) {
        if let Some(device) = source.link_name(&format!("{dir}/{name}")) {
            found.entry(device).or_default().push(super::mounts::unescape(&name.replace("\\x20", " ")));
        }
    }
    found
}

/// Which device-mapper and md devices lie on a device.
fn masters(source: &Source) -> Links {
    let mut found = Links::new();
    for master in source.names("/sys/block") {
        for slave in source.names(&format!("/sys/block/{master}/slaves")) {
            found.entry(slave).or_default().push(master.clone());
        }
    }
    found
}

fn links_of(name: &str, links: &[(&str, Links)]) -> Json {
    let of = |l: &Links| json!(l.get(name).cloned().unwrap_or_default());
    Json::Object(links.iter().map(|(kind, l)| ((*kind).to_owned(), of(l))).collect())
}

fn device(source: &Source, name: &str, links: &[(&str, Links)]) -> Map {
    let at = |file: &str| format!("/sys/block/{name}/{file}");
    let read = |file: &str| Json::from(source.line(&at(file)));
    let mut facts = Map::new();
    let mut put = |key: &str, value: Json| facts.insert(key.to_owned(), value);
    put("virtual", 1.into());
    put("links", links_of(name, links));
    for key in ["vendor", "model", "sas_address", "sas_device_handle"] {
        put(key, read(&format!("device/{key}")));
    }
    if let Some(serial) = source.line(&at("device/serial")) {
        put("serial", serial.into());
    }
    put("removable", read("removable"));
    put("support_discard", read("queue/discard_granularity"));
    if let Some(wwn) =
        source.line(&at("device/wwid")).and_then(|id| id.strip_prefix("naa.").map(str::to_owned))
    {
        put("wwn", format!("0x{wwn}").into());
    }
    put("partitions", Json::Object(partitions(source, name, links)));
    put("rotational", read("queue/rotational"));
    let scheduler = source.line(&at("queue/scheduler")).unwrap_or_default();
    let chosen =
        scheduler.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(chosen, _)| chosen);
    put("scheduler_mode", chosen.unwrap_or_default().into());
    let sectors = source.number(&at("size")).unwrap_or(0);
    put("sectors", sectors.into());
    put("sectorsize", sector_size(source, &at("queue")));
    put("size", human(sectors as f64 * 512.0).into());
    put("host", "".into());
    put("holders", holders(source, &at("holders")));
    facts
}

fn sector_size(source: &Source, queue: &str) -> Json {
    let read = |file: &str| source.line(&format!("{queue}/{file}"));
    read("logical_block_size").or_else(|| read("hw_sector_size")).unwrap_or_else(|| "512".to_owned()).into()
}

fn partitions(source: &Source, disk: &str, links: &[(&str, Links)]) -> Map {
    let mut all = Map::new();
    for name in source.names(&format!("/sys/block/{disk}")) {
        let at = |file: &str| format!("/sys/block/{disk}/{name}/{file}");
        if !name.starts_with(disk) || !source.exists(&at("size")) {
            continue;
        }
        let sectors = source.number(&at("size")).unwrap_or(0);
        let uuid = links
            .iter()
            .find(|(kind, _)| *kind == "uuids")
            .and_then(|(_, l)| l.get(&name))
            .and_then(|u| u.first());
        let facts = json!({
            "links": links_of(&name, links),
            "start": source.line(&at("start")).unwrap_or_else(|| "0".to_owned()),
            "sectors": sectors,
            "sectorsize": sector_size(source, &format!("/sys/block/{disk}/queue")),
            "size": human(sectors as f64 * 512.0),
            "uuid": uuid,
            "holders": holders(source, &at("holders")),
        });
        all.insert(name, facts);
    }
    all
}

/// Device-mapper devices by the name that people gave them.
fn holders(source: &Source, dir: &str) -> Json {
    let name = |holder: String| source.line(&format!("/sys/block/{holder}/dm/name")).unwrap_or(holder);
    source.names(dir).into_iter().map(|holder| Json::from(name(holder))).collect()
}

/// A size as people read it: `256.00 GB`.
pub fn human(bytes: f64) -> String {
    for (unit, power) in
        [("YB", 8), ("ZB", 7), ("EB", 6), ("PB", 5), ("TB", 4), ("GB", 3), ("MB", 2), ("KB", 1)]
    {
        let limit = 1024f64.powi(power);
        if bytes >= limit {
            return format!("{:.2} {unit}", bytes / limit);
        }
    }
    format!("{bytes:.2} Bytes")
}
