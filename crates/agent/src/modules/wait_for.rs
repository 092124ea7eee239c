//! `wait_for`: a port, a file, a word in either, or only time.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use catalog::{Arg, Args, Check, Json, Map, ModuleSpec};
use fancy_regex::Regex;

use crate::command::Run;
use crate::module::{Failure, Module, Outcome, Task};
use crate::regex;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "wait_for",
        &[
            Arg::str("host").default("127.0.0.1"),
            Arg::int("timeout").default("300"),
            Arg::int("connect_timeout").default("5"),
            Arg::int("delay").default("0"),
            Arg::int("port"),
            Arg::list("active_connection_states")
                .default("ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT"),
            Arg::path("path"),
            Arg::str("search_regex"),
            Arg::str("state")
                .default("started")
                .choices(&["absent", "drained", "present", "started", "stopped"]),
            Arg::list("exclude_hosts"),
            Arg::int("sleep").default("1"),
            Arg::str("msg"),
        ],
    )
    .check(Check::Skip)
    .mutually_exclusive(&[&["path", "port"]]),
    run,
};

/// What was found by `search_regex`.
#[derive(Default)]
struct Match {
    groups: Vec<Json>,
    named: Map,
}

struct Wait<'a> {
    host: String,
    port: Option<u16>,
    path: Option<&'a str>,
    pattern: Option<Regex>,
    connect: Duration,
    states: Vec<u8>,
    excluded: Vec<IpAddr>,
}

/// The kernel's numbers of TCP states.
const STATES: &[(&str, u8)] = &[
    ("ESTABLISHED", 1),
    ("SYN_SENT", 2),
    ("SYN_RECV", 3),
    ("FIN_WAIT1", 4),
    ("FIN_WAIT2", 5),
    ("TIME_WAIT", 6),
    ("CLOSE", 7),
    ("CLOSE_WAIT", 8),
    ("LAST_ACK", 9),
    ("LISTEN", 10),
    ("CLOSING", 11),
];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if task.check {
        return Ok(Outcome::default()
            .with("skipped", true)
            .with("msg", "remote module (ansible.builtin.wait_for) does not support check mode"));
    }
    let state = args.string("state");
    let wait = read(args, &state)?;
    let start = Instant::now();
    let seconds =
        |key: &str| Duration::from_secs(args.int(key).and_then(|n| u64::try_from(n).ok()).unwrap_or(0));
    let (limit, pause) = (seconds("timeout"), seconds("sleep"));
    let end = start + limit;
    rest(task, seconds("delay"))?;
    let mut found = None;
    if wait.port.is_none() && wait.path.is_none() && state != "drained" {
        // With nothing to wait for it is a pause, which comes after the delay.
        rest(task, limit)?;
    } else {
        loop {
            found = wait.fulfilled(&state)?;
            if found.is_some() {
                break;
            }
            if Instant::now() >= end {
                return Err(timed_out(args, &wait, &state, start));
            }
            // At least a moment: a loop without a pause would eat a processor.
            rest(
                task,
                pause.max(Duration::from_millis(20)).min(end.saturating_duration_since(Instant::now())),
            )?;
        }
    }
    let found = found.unwrap_or_default();
    let state = match wait.path.and_then(|path| std::fs::symlink_metadata(path).ok()) {
        Some(metadata) if metadata.is_dir() => "directory".to_owned(),
        Some(metadata) if metadata.is_symlink() => "link".to_owned(),
        Some(_) => "file".to_owned(),
        None => state,
    };
    Ok(Outcome::default()
        .with("state", state)
        .with("port", wait.port)
        .with("search_regex", args.get("search_regex").cloned())
        .with("match_groups", found.groups)
        .with("match_groupdict", Json::Object(found.named))
        .with("path", wait.path)
        .with("elapsed", start.elapsed().as_secs()))
}

/// A pause that ends early when the task is over.
fn rest(task: &Task<'_>, time: Duration) -> Result<(), Failure> {
    let end = Instant::now() + time;
    loop {
        task.go_on()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}

fn read<'a>(args: &'a Args, state: &str) -> Result<Wait<'a>, Failure> {
    let fail = |message: &str| Err(Failure::new(message).with("elapsed", 0));
    let port = args.int("port").map(u16::try_from).transpose();
    let Ok(port) = port else { return fail("port must be between 0 and 65535") };
    if port.is_some() && args.has("path") {
        return fail("port and path parameter can not both be passed to wait_for");
    }
    if args.has("path") && matches!(state, "stopped" | "drained") {
        return fail(&format!(
            "state={state} should only be used for checking a port in the wait_for module"
        ));
    }
    if args.has("exclude_hosts") && state != "drained" {
        return fail("exclude_hosts should only be with state=drained");
    }
    let mut states = Vec::new();
    for name in args.strings("active_connection_states") {
        match STATES.iter().find(|(known, _)| *known == name) {
            Some((_, number)) => states.push(*number),
            None => return fail(&format!("unknown active_connection_state ({name}) defined")),
        }
    }
    let flags = regex::Flags { multiline: true, ..regex::Flags::default() };
    let pattern = args.str("search_regex").map(|text| regex::python_with(text, flags)).transpose();
    let pattern = pattern.map_err(|failure| failure.with("elapsed", 0))?;
    let host = args.string("host");
    let excluded =
        args.strings("exclude_hosts").iter().flat_map(|h| addresses(h, 0)).map(|a| a.ip()).collect();
    let connect =
        Duration::from_secs(args.int("connect_timeout").and_then(|n| u64::try_from(n).ok()).unwrap_or(5));
    Ok(Wait {
        host,
        port,
        path: args.str("path"),
        pattern,
        connect: connect.max(Duration::from_millis(1)),
        states,
        excluded,
    })
}

/// `getent` knows names as this host is set up; the C library in ourselves would not.
fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, port)];
    }
    let asked = Run::new("getent").args(["ahosts", host]).timeout(Duration::from_secs(15)).output();
    let text = asked.map(|output| output.stdout_text()).unwrap_or_default();
    let mut found: Vec<SocketAddr> = Vec::new();
    for ip in text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()) {
        let address = SocketAddr::new(ip, port);
        if !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() && host == "localhost" {
        found.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    found
}

impl Wait<'_> {
    fn fulfilled(&self, state: &str) -> Result<Option<Match>, Failure> {
        let yes = |is: bool| Ok(is.then(Match::default));
        match (state, self.path, self.port) {
            ("absent" | "stopped", Some(path), _) => yes(std::fs::symlink_metadata(path).is_err()),
            ("absent" | "stopped", None, Some(port)) => yes(self.connect(port).is_none()),
            (_, Some(path), _) => Ok(self.in_file(path)),
            ("drained", None, port) => yes(!self.has_connections(port)),
            (_, None, Some(port)) => Ok(self.connect(port).and_then(|stream| self.in_stream(stream))),
            (_, None, None) => yes(true),
        }
    }

    fn search(&self, text: &str) -> Option<Match> {
        let Some(pattern) = &self.pattern else { return Some(Match::default()) };
        let found = pattern.captures(text).ok()??;
        let value = |group: Option<fancy_regex::Match<'_>>| group.map_or(Json::Null, |g| g.as_str().into());
        let groups = (1..found.len()).map(|i| value(found.get(i))).collect();
        let named = pattern
            .capture_names()
            .flatten()
            .map(|name| (name.to_owned(), value(found.name(name))))
            .collect();
        Some(Match { groups, named })
    }

    fn in_file(&self, path: &str) -> Option<Match> {
        if self.pattern.is_none() {
            return std::fs::metadata(path).is_ok().then(Match::default);
        }
        let bytes = std::fs::read(path).ok()?;
        self.search(&String::from_utf8_lossy(&bytes))
    }

    fn connect(&self, port: u16) -> Option<TcpStream> {
        addresses(&self.host, port).iter().find_map(|a| TcpStream::connect_timeout(a, self.connect).ok())
    }

    fn in_stream(&self, mut stream: TcpStream) -> Option<Match> {
        if self.pattern.is_none() {
            return Some(Match::default());
        }
        stream.set_read_timeout(Some(self.connect)).ok()?;
        let (mut heard, mut buffer) = (Vec::new(), [0u8; 4096]);
        let end = Instant::now() + self.connect;
        while Instant::now() < end && heard.len() < 16 << 20 {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(n) => heard.extend(&buffer[..n]),
            }
            if let Some(found) = self.search(&String::from_utf8_lossy(&heard)) {
                return Some(found);
            }
        }
        None
    }

    /// Connections of the port in one of the states, from the kernel's tables.
    fn has_connections(&self, port: Option<u16>) -> bool {
        let own: Vec<IpAddr> = addresses(&self.host, 0).iter().map(SocketAddr::ip).collect();
        let any = own.iter().any(IpAddr::is_unspecified);
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
            let text = std::fs::read_to_string(table).unwrap_or_default();
            text.lines().skip(1).filter_map(connection).any(|(local, remote, state)| {
                port.is_none_or(|port| local.port() == port)
                    && self.states.contains(&state)
                    && (any || own.contains(&local.ip()))
                    && !self.excluded.contains(&remote.ip())
            })
        })
    }
}

fn connection(line: &str) -> Option<(SocketAddr, SocketAddr, u8)> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    Some((address(local)?, address(remote)?, u8::from_str_radix(state, 16).ok()?))
}

/// Hexadecimal words in the machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = (0..ip.len() / 8)
        .map(|i| ip.get(i * 8..i * 8 + 8).and_then(|w| u32::from_str_radix(w, 16).ok()).map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [four] => IpAddr::from(*four),
        [a, b, c, d] => {
            let all: [u8; 16] = [*a, *b, *c, *d].concat().try_into().ok()?;
            let six = std::net::Ipv6Addr::from(all);
            six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn timed_out(args: &Args, wait: &Wait<'_>, state: &str, start: Instant) -> Failure {
    let place = match (wait.path, wait.port) {
        (Some(path), _) => path.to_owned(),
        (None, Some(port)) => format!("{}:{port}", wait.host),
        (None, None) => wait.host.clone(),
    };
    let pattern = args.str("search_regex");
    let message = match (state, pattern) {
        ("absent" | "stopped", _) if wait.path.is_some() => {
            format!("Timeout when waiting for {place} to be absent.")
        }
        ("absent" | "stopped", _) => format!("Timeout when waiting for {place} to stop."),
        ("drained", _) => format!("Timeout when waiting for {place} to drain"),
        (_, Some(pattern)) => format!("Timeout when waiting for search string {pattern} in {place}"),
        (_, None) if wait.path.is_some() => format!("Timeout when waiting for file {place}"),
        _ => format!("Timeout when waiting for {place}"),
    };
    let message = args.str("msg").map_or(message, str::to_owned);
    Failure::new(message).with("elapsed", start.elapsed().as_secs())
}
