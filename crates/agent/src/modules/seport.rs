//! `seport`: which type SELinux gives a port, by `semanage`.

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::bool("ignore_selinux_state").default("false"),
    Arg::list("ports").required(),
    Arg::str("proto").required().choices(&["tcp", "udp"]),
    Arg::str("setype").required(),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::bool("reload").default("true"),
    Arg::bool("local").default("false"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("seport", ARGS).collection("community.general"), run };

/// One line of `semanage port -l`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    setype: String,
    proto: String,
    ports: Vec<String>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let running = std::path::Path::new("/sys/fs/selinux/booleans").is_dir();
    if !running && !args.bool("ignore_selinux_state") {
        return Err("SELinux is disabled on this host.".into());
    }
    let (ports, proto, setype) = (args.strings("ports"), args.string("proto"), args.string("setype"));
    let (state, local) = (args.string("state"), args.bool("local"));
    let known = listed(task, local)?;
    let mut changed = false;
    for port in &ports {
        let port = port.replace(':', "-");
        let holder = known.iter().find(|line| line.proto == proto && line.ports.contains(&port));
        let verb = match (state.as_str(), holder) {
            ("present", None) => "-a",
            ("present", Some(line)) if line.setype != setype => "-m",
            ("absent", Some(line)) if line.setype == setype => "-d",
            _ => continue,
        };
        changed = true;
        if task.check {
            continue;
        }
        let mut argv = vec!["semanage", "port", verb];
        if !args.bool("reload") {
            argv.push("-N");
        }
        if verb != "-d" {
            argv.extend(["-t", &setype]);
        }
        argv.extend(["-p", &proto, &port]);
        children::expect(children::act(task, &argv)?)?;
    }
    let outcome = Outcome::changed(changed).with("ports", ports).with("proto", proto);
    Ok(outcome.with("setype", setype).with("state", state))
}

fn listed(task: &Task<'_>, local: bool) -> Result<Vec<Line>, Failure> {
    let mut argv = vec!["semanage", "port", "-l", "-n"];
    argv.extend(local.then_some("-C"));
    let Some(output) = children::ask_if_there(task, &argv)? else {
        return Err("the program `semanage` is needed on the host (package policycoreutils-python-utils)".into());
    };
    let text = children::expect(output)?.stdout_text();
    Ok(text.lines().filter_map(line).collect())
}

fn line(text: &str) -> Option<Line> {
    let mut words = text.split_whitespace();
    let (setype, proto) = (words.next()?.to_owned(), words.next()?.to_owned());
    let ports = words.map(|word| word.trim_end_matches(',').to_owned()).collect();
    Some(Line { setype, proto, ports })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_names_all_its_ports() {
        let line = super::line("http_port_t    tcp      80, 81, 8008-8010").unwrap();
        assert_eq!(line.ports, ["80", "81", "8008-8010"]);
        assert_eq!((line.setype.as_str(), line.proto.as_str()), ("http_port_t", "tcp"));
    }
}
