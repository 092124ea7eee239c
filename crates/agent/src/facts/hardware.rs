//! Processors, memory and what the firmware says of the machine.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Json, Map};
use serde_json::json;

use super::source::Source;

pub fn collect(source: &Source) -> Map {
    let mut facts = processor(source);
    facts.extend(memory(source));
    facts.extend(firmware(source));
    if let Some(seconds) = uptime(source) {
        facts.insert("uptime_seconds".into(), seconds.into());
    }
    facts
}

fn uptime(source: &Source) -> Option<i64> {
    source.text("/proc/uptime")?.split('.').next()?.parse().ok()
}

/// What /proc/cpuinfo adds up to.
#[derive(Default)]
struct Processors {
    listed: Vec<Json>,
    flags: Vec<Json>,
    occurrences: u64,
    sockets: BTreeMap<String, u64>,
    cores: BTreeMap<String, u64>,
    siblings: BTreeMap<String, u64>,
}

impl Processors {
    fn read(text: &str) -> Self {
        let mut found = Self::default();
        let mut socket = String::new();
        let mut core = String::new();
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let (key, value) = (key.trim(), value.trim());
            match key {
                "processor" => {
                    found.listed.push(value.into());
                    found.occurrences += 1;
                }
                "model name" | "Processor" | "vendor_id" | "cpu" | "Vendor" => {
                    found.listed.push(value.into())
                }
                "flags" | "Features" if found.flags.is_empty() => {
                    found.flags = value.split_whitespace().map(Json::from).collect();
                }
                "physical id" => {
                    socket = value.to_owned();
                    found.sockets.entry(socket.clone()).or_insert(1);
                }
                "core id" => {
                    core = value.to_owned();
                    found.cores.entry(core.clone()).or_insert(1);
                }
                "cpu cores" => _ = value.parse().map(|n| found.sockets.insert(socket.clone(), n)),
                "siblings" => _ = value.parse().map(|n| found.siblings.insert(core.clone(), n)),
                _ => {}
            }
        }
        found
    }
}

fn processor(source: &Source) -> Map {
    let text = source.text("/proc/cpuinfo").unwrap_or_default();
    let found = Processors::read(&text);
    let (mut count, mut cores, mut threads) = (found.sockets.len() as u64, 1, 1);
    if count == 0 {
        count = found.occurrences;
    } else {
        cores = found.sockets.values().copied().next().unwrap_or(1).max(1);
        threads = found.siblings.values().copied().next().map_or(1, |siblings| siblings / cores).max(1);
    }
    let allowed = allowed_processors(source).unwrap_or(found.occurrences);
    let mut facts = Map::new();
    facts.insert("processor".into(), found.listed.into());
    facts.insert("processor_count".into(), count.into());
    facts.insert("processor_cores".into(), cores.into());
    facts.insert("processor_threads_per_core".into(), threads.into());
    facts.insert("processor_vcpus".into(), (count * cores * threads).into());
    facts.insert("processor_nproc".into(), allowed.into());
    if !found.flags.is_empty() {
        facts.insert("flags".into(), found.flags.into());
    }
    facts
}

/// How many processors this process may use.
fn allowed_processors(source: &Source) -> Option<u64> {
    let status = source.text("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let mut all = BTreeSet::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        all.extend(from.parse::<u64>().ok()?..=to.parse().ok()?);
    }
    Some(all.len() as u64)
}

fn memory(source: &Source) -> Map {
    let text = source.text("/proc/meminfo").unwrap_or_default();
    let kilobytes: BTreeMap<&str, i64> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter_map(|(key, value)| Some((key, value.split_whitespace().next()?.parse().ok()?)))
        .collect();
    let kb = |key: &str| kilobytes.get(key).copied().unwrap_or(0);
    let mb = |kilobytes: i64| kilobytes / 1024;
    let without_cache = kb("MemFree") + kb("Cached") + kb("Buffers");
    let (total, free) = (kb("MemTotal"), kb("MemFree"));
    let (swap, swap_free) = (kb("SwapTotal"), kb("SwapFree"));
    let facts = json!({
        "memtotal_mb": mb(total), "memfree_mb": mb(free), "swaptotal_mb": mb(swap), "swapfree_mb": mb(swap_free),
        "memory_mb": {
            "real": {"total": mb(total), "used": mb(total - free), "free": mb(free)},
            "nocache": {"free": mb(without_cache), "used": mb(total - without_cache)},
            "swap": {"total": mb(swap), "free": mb(swap_free), "used": mb(swap - swap_free), "cached": mb(kb("SwapCached"))},
        }
    });
    match facts {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// `(fact, file below /sys/devices/virtual/dmi/id)`.
const FIRMWARE: &[(&str, &str)] = &[
    ("bios_date", "bios_date"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("form_factor", "chassis_type"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("system_vendor", "sys_vendor"),
];

/// The kinds of chassis of the SMBIOS standard, by their number.
const FORM_FACTORS: &[&str] = &[
    "Unknown",
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosure",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];

fn firmware(source: &Source) -> Map {
    let read = |(fact, file): &(&str, &str)| {
        let value =
            source.line(&format!("/sys/devices/virtual/dmi/id/{file}")).unwrap_or_else(|| "NA".to_owned());
        let named = match *fact {
            "form_factor" => {
                value.parse().ok().and_then(|n: usize| FORM_FACTORS.get(n)).map(|s| (*s).to_owned())
            }
            _ => None,
        };
        ((*fact).to_owned(), Json::from(named.unwrap_or(value)))
    };
    FIRMWARE.iter().map(read).collect()
}
