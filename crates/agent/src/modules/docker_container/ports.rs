//! `published_ports` and `exposed_ports`.

use catalog::arguments::text;
use catalog::{Args, Json, Map};
use serde_json::json;

use super::property::{Kind, Property};
use super::special::property;
use crate::module::Failure;

/// `default_ip`: where ports are bound of which nobody says it.
pub(super) fn properties(
    args: &Args,
    default_ip: &str,
    image: &Json,
    container: &Json,
) -> Result<Vec<Property>, Failure> {
    let mut all = Vec::new();
    let mut exposed: Vec<String> = Vec::new();
    let given = args.list("published_ports");
    if let Some(ports) = given {
        let mut bindings = Map::new();
        for port in ports {
            published(&text(port), default_ip, &mut bindings)?;
        }
        exposed.extend(bindings.keys().cloned());
        let host = &container["HostConfig"]["PortBindings"];
        let path = &["HostConfig", "PortBindings"];
        all.push(property("published_ports", Kind::Map, path, bindings.into(), host));
    }
    if let Some(ports) = args.list("exposed_ports") {
        for port in ports {
            let (range, protocol) = protocol(&text(port));
            exposed.extend(numbers(&range)?.map(|number| format!("{number}/{protocol}")));
        }
    } else if given.is_none() {
        return Ok(all);
    }
    let of_image = image["Config"]["ExposedPorts"].as_object().into_iter().flatten().map(|(port, _)| port.clone());
    let own: Map = exposed.iter().map(|port| (port.clone(), json!({}))).collect();
    let mut wanted: Vec<String> = of_image.chain(exposed).collect();
    wanted.sort();
    wanted.dedup();
    let is: Json = container["Config"]["ExposedPorts"].as_object().into_iter().flatten().map(|(p, _)| json!(p)).collect();
    let mut ports = property("exposed_ports", Kind::Set, &["ExposedPorts"], json!(wanted), &is);
    ports.make = vec![(&["ExposedPorts"], own.into())];
    all.push(ports);
    Ok(all)
}

/// `80/udp`: the number or range, and the protocol.
fn protocol(port: &str) -> (String, String) {
    let (range, protocol) = port.rsplit_once('/').unwrap_or((port, "tcp"));
    (range.to_owned(), protocol.to_ascii_lowercase())
}

fn numbers(range: &str) -> Result<std::ops::RangeInclusive<u16>, Failure> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let parsed = (first.trim().parse(), last.trim().parse());
    match parsed {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(Failure::new(format!("Invalid port specification \"{range}\": expected a number or a range of them"))),
    }
}

/// `CONTAINER`, `HOST:CONTAINER`, `IP:HOST:CONTAINER`, each a number or a range.
fn published(given: &str, default_ip: &str, bindings: &mut Map) -> Result<(), Failure> {
    let (whole, protocol) = protocol(given);
    let (ip, rest) = match whole.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((address, rest)) => (Some(address.to_owned()), rest.to_owned()),
        None => match whole.matches(':').count() {
            0 | 1 => (None, whole.clone()),
            2 => whole.split_once(':').map_or((None, whole.clone()), |(ip, rest)| (Some(ip.to_owned()), rest.to_owned())),
            _ => {
                return Err(Failure::new(format!(
                    "Invalid port description \"{given}\" - expected 1 to 3 colon-separated parts, but got {}. Maybe you \
                     forgot to use square brackets ([...]) around an IPv6 address?",
                    whole.matches(':').count() + 1
                )));
            }
        },
    };
    if let Some(ip) = ip.as_deref().filter(|ip| !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err()) {
        return Err(Failure::new(format!(
            "Bind addresses for published ports must be IPv4 or IPv6 addresses, not hostnames. Use the dig lookup to \
             resolve hostnames. (Found hostname: {ip})"
        )));
    }
    let (host, inside) = rest.rsplit_once(':').unwrap_or(("", &rest));
    let inside: Vec<u16> = numbers(inside)?.collect();
    let hosts: Vec<String> = match host {
        "" => vec![String::new(); inside.len()],
        // The engine chooses one of them.
        range if inside.len() == 1 && range.contains('-') => vec![range.to_owned()],
        range => numbers(range)?.map(|number| number.to_string()).collect(),
    };
    let ip = ip.filter(|ip| !ip.is_empty()).unwrap_or_else(|| default_ip.to_owned());
    for (host, inside) in hosts.iter().zip(inside) {
        let bound = json!({"HostIp": ip, "HostPort": host});
        let list = bindings.entry(format!("{inside}/{protocol}")).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(bound);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &str) -> Json {
        let mut all = Map::new();
        published(given, "0.0.0.0", &mut all).unwrap();
        all.into()
    }

    #[test]
    fn ports_are_bound_as_they_are_written() {
        assert_eq!(of("80"), json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}));
        assert_eq!(of("127.0.0.1:81:80/udp"), json!({"80/udp": [{"HostIp": "127.0.0.1", "HostPort": "81"}]}));
        assert_eq!(of("[::1]:81:80"), json!({"80/tcp": [{"HostIp": "::1", "HostPort": "81"}]}));
        assert_eq!(of("90-91:80-81").as_object().unwrap().len(), 2);
        assert_eq!(of("90-99:80"), json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "90-99"}]}));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        let mut all = Map::new();
        for wrong in ["a:b:c:d:e", "host:1:2", "x", "5-3", "70000"] {
            assert!(published(wrong, "", &mut all).is_err(), "{wrong}");
        }
    }
}
