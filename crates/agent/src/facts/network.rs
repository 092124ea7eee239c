//! Interfaces, addresses and default routes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use catalog::{Json, Map};
use serde_json::json;

use super::netlink::{self, Address};
use super::source::Source;

/// Where the default route is asked for: public addresses that nobody has at home.
const FAR_V4: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2404, 0x6800, 0x400a, 0x800, 0, 0, 0, 0x1012);

pub fn collect(source: &Source) -> Map {
    let devices: Vec<String> =
        source.names("/sys/class/net").into_iter().filter(|d| is_device(source, d)).collect();
    let indices: HashMap<u32, String> = devices
        .iter()
        .filter_map(|d| {
            Some((u32::try_from(source.number(&format!("/sys/class/net/{d}/ifindex"))?).ok()?, d.clone()))
        })
        .collect();
    let mut interfaces: Map =
        devices.iter().map(|d| (fact_name(d), Json::Object(device(source, d)))).collect();
    let mut names: Vec<String> = devices;
    let (mut all_v4, mut all_v6) = (Vec::new(), Vec::new());
    for address in netlink::addresses() {
        let Some(device) = indices.get(&address.index) else { continue };
        match address.ip {
            IpAddr::V4(ip) => {
                if !ip.is_loopback() {
                    all_v4.push(ip.to_string());
                }
                add_v4(&mut interfaces, &mut names, device, &address, ip);
            }
            IpAddr::V6(ip) => {
                if ip != Ipv6Addr::LOCALHOST {
                    all_v6.push(ip.to_string());
                }
                let entry = json!({"address": ip.to_string(), "prefix": address.prefix.to_string(), "scope": scope(address.scope)});
                push(&mut interfaces, &fact_name(device), "ipv6", entry);
            }
        }
    }
    let mut facts = Map::new();
    facts.insert("default_ipv4".into(), Json::Object(default_route(FAR_V4.into(), &indices, &interfaces)));
    facts.insert("default_ipv6".into(), Json::Object(default_route(FAR_V6.into(), &indices, &interfaces)));
    facts.insert("interfaces".into(), names.iter().map(|n| n.replace(':', "_")).collect());
    facts.insert("all_ipv4_addresses".into(), all_v4.into());
    facts.insert("all_ipv6_addresses".into(), all_v6.into());
    facts.insert("locally_reachable_ips".into(), json!({"ipv4": reachable(false), "ipv6": reachable(true)}));
    facts.append(&mut interfaces);
    facts
}

/// `bonding_masters` and the like are files.
fn is_device(source: &Source, name: &str) -> bool {
    source.path(&format!("/sys/class/net/{name}")).is_dir()
}

/// Names of facts have no `-` and no `:`.
fn fact_name(device: &str) -> String {
    device.replace(['-', ':'], "_")
}

fn device(source: &Source, name: &str) -> Map {
    let at = |file: &str| format!("/sys/class/net/{name}/{file}");
    let mut facts = Map::new();
    let mut put = |key: &str, value: Json| facts.insert(key.to_owned(), value);
    put("device", name.into());
    if let Some(mac) = source.line(&at("address")).filter(|mac| mac != "00:00:00:00:00:00") {
        put("macaddress", mac.into());
    }
    if let Some(mtu) = source.number(&at("mtu")) {
        put("mtu", mtu.into());
    }
    if let Some(state) = source.line(&at("operstate")) {
        put("active", (state != "down").into());
    }
    if let Some(module) = source.link_name(&at("device/driver/module")) {
        put("module", module.into());
    }
    if let Some(kind) = source.number(&at("type")).and_then(kind_name) {
        put("type", kind.into());
    }
    if source.exists(&at("bridge")) {
        put("type", "bridge".into());
        put("interfaces", source.names(&at("brif")).into());
        if let Some(id) = source.line(&at("bridge/bridge_id")) {
            put("id", id.into());
        }
        if let Some(stp) = source.line(&at("bridge/stp_state")) {
            put("stp", (stp == "1").into());
        }
    }
    bond(source, &at, &mut put);
    if let Some(id) = source.link_name(&at("device")) {
        put("pciid", id.into());
    }
    if let Some(speed) = source.number(&at("speed")) {
        put("speed", speed.into());
    }
    if let Some(flags) = source.line(&at("flags")) {
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        put("promisc", (flags & 0x100 != 0).into());
    }
    facts
}

fn bond(source: &Source, at: &dyn Fn(&str) -> String, put: &mut dyn FnMut(&str, Json) -> Option<Json>) {
    if source.exists(&at("bonding")) {
        put("type", "bonding".into());
        let slaves = source.line(&at("bonding/slaves")).unwrap_or_default();
        put("slaves", slaves.split_whitespace().collect());
        let word =
            |file: &str| source.line(&at(file)).and_then(|l| l.split_whitespace().next().map(str::to_owned));
        put("mode", word("bonding/mode").into());
        put("miimon", word("bonding/miimon").into());
        put("lacp_rate", word("bonding/lacp_rate").into());
        if let Some(primary) = source.line(&at("bonding/primary")) {
            put("primary", primary.into());
            if let Some(all) = source.line(&at("bonding/all_slaves_active")) {
                put("all_slaves_active", (all == "1").into());
            }
        }
    }
    if let Some(mac) = source.line(&at("bonding_slave/perm_hwaddr")) {
        put("perm_macaddress", mac.into());
    }
}

fn kind_name(number: i64) -> Option<&'static str> {
    Some(match number {
        1 => "ether",
        32 => "infiniband",
        512 => "ppp",
        772 => "loopback",
        65534 => "tunnel",
        _ => return None,
    })
}

fn add_v4(interfaces: &mut Map, names: &mut Vec<String>, device: &str, address: &Address, ip: Ipv4Addr) {
    let entry = v4_entry(address, ip);
    let label = address.label.as_deref().unwrap_or(device);
    if label != device {
        if !names.iter().any(|n| n == label) {
            names.push(label.to_owned());
        }
        let alias = interfaces.entry(fact_name(label)).or_insert_with(|| json!({}));
        if let Some(alias) = alias.as_object_mut()
            && !address.secondary
            && !alias.contains_key("ipv4")
        {
            alias.insert("ipv4".into(), Json::Object(entry));
            return;
        }
        push(interfaces, &fact_name(label), "ipv4_secondaries", Json::Object(entry));
        return;
    }
    let name = fact_name(device);
    let free = interfaces.get(&name).and_then(Json::as_object).is_some_and(|d| !d.contains_key("ipv4"));
    if !address.secondary && free {
        if let Some(facts) = interfaces.get_mut(&name).and_then(Json::as_object_mut) {
            facts.insert("ipv4".into(), Json::Object(entry));
        }
    } else {
        push(interfaces, &name, "ipv4_secondaries", Json::Object(entry));
    }
}

fn v4_entry(address: &Address, ip: Ipv4Addr) -> Map {
    let mask = u32::MAX.checked_shl(32 - u32::from(address.prefix.min(32))).unwrap_or(0);
    let mut entry = Map::new();
    entry.insert("address".into(), ip.to_string().into());
    entry.insert("broadcast".into(), address.broadcast.map(|b| b.to_string()).unwrap_or_default().into());
    entry.insert("netmask".into(), Ipv4Addr::from(mask).to_string().into());
    entry.insert("network".into(), Ipv4Addr::from(u32::from(ip) & mask).to_string().into());
    entry.insert("prefix".into(), address.prefix.to_string().into());
    entry
}

fn push(interfaces: &mut Map, device: &str, key: &str, entry: Json) {
    let Some(facts) = interfaces.get_mut(device).and_then(Json::as_object_mut) else { return };
    if let Some(list) = facts.entry(key.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
        list.push(entry);
    }
}

fn scope(number: u8) -> &'static str {
    match number {
        200 => "site",
        253 => "link",
        254 => "host",
        _ => "global",
    }
}

/// The interface towards the rest of the world, with its address.
fn default_route(far: IpAddr, indices: &HashMap<u32, String>, interfaces: &Map) -> Map {
    let mut facts = Map::new();
    let Some(route) = netlink::route_to(far) else { return facts };
    let Some(device) = route.interface.and_then(|index| indices.get(&index)) else { return facts };
    let (Some(source), Some(details)) = (route.source, interfaces.get(&fact_name(device))) else {
        return facts;
    };
    if matches!(route.kind, 6..=8) {
        return facts;
    }
    if let Some(gateway) = route.gateway {
        facts.insert("gateway".into(), gateway.to_string().into());
    }
    facts.insert("interface".into(), device.as_str().into());
    facts.insert("address".into(), source.to_string().into());
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = details.get(key) {
            facts.insert(key.into(), value.clone());
        }
    }
    let wanted = Json::from(source.to_string());
    let all = ["ipv4", "ipv4_secondaries", "ipv6"].into_iter().filter_map(|key| details.get(key));
    let mut entries = all.flat_map(|v| v.as_array().map_or(std::slice::from_ref(v), Vec::as_slice));
    let Some(entry) = entries.find(|e| e.get("address") == Some(&wanted)).and_then(Json::as_object) else {
        return facts;
    };
    facts.extend(entry.clone());
    if source.is_ipv4() {
        facts.insert("alias".into(), device.as_str().into());
    }
    facts
}

/// What this host answers to itself, from the kernel's local table.
fn reachable(v6: bool) -> Vec<String> {
    let mut found: Vec<(IpAddr, u8)> = netlink::routes(v6)
        .into_iter()
        .filter(|route| route.is_local() && route.family_v6 == v6)
        .filter_map(|route| Some((route.destination?, route.prefix)))
        .collect();
    found.sort_by_key(|(ip, prefix)| (*ip, *prefix));
    found.dedup();
    let whole = if v6 { 128 } else { 32 };
    found
        .iter()
        .map(|(ip, prefix)| if *prefix == whole { ip.to_string() } else { format!("{ip}/{prefix}") })
        .collect()
}
