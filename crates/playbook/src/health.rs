//! Checks of health in short words: what must be so before and after every change. Each becomes two tasks.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::diagnostic::Result;
use crate::yaml::{Kind, Node};

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A systemd unit is active.
    Unit(String),
    /// Something listens on this port of the host.
    Port(u16),
    /// A web address answers with this status, and its text has these words in it.
    Http { url: String, status: u16, body: Option<String> },
    /// A line for the shell succeeds.
    Command(String),
    /// The end of a log does not have this pattern in it.
    Log { path: String, pattern: String },
    /// A file is younger than so many seconds.
    Age { path: String, seconds: u64 },
}

/// The words by which a check is known in `theseus.yml`.
const WORDS: &[&str] = &["unit", "port", "http", "log", "file"];

/// How often a check is tried after a change, a second apart: services need a moment.
const TIMES: u64 = 10;

impl Check {
    /// `None`: it is a task, as in a playbook.
    pub(crate) fn read(node: &Node) -> Option<Result<Self>> {
        let map = node.as_map()?;
        let first = map.first().and_then(|(key, _)| key.as_str()).filter(|word| WORDS.contains(word))?;
        Some(Self::of(first, node, map))
    }

    fn of(word: &str, node: &Node, map: &[(Node, Node)]) -> Result<Self> {
        let known: &[&str] = match word {
            "http" => &["http", "status", "body"],
            "log" => &["log", "pattern"],
            "file" => &["file", "max_age"],
            _ => WORDS,
        };
        if let Some((key, _)) =
            map.iter().find(|(key, _)| !key.as_str().is_some_and(|key| known.contains(&key)))
        {
            return Err(key
                .error(format!("a check of `{word}` has no such key"))
                .hint(format!("there are: {}", known.join(", "))));
        }
        let value = |key: &str| map.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value);
        let text = |key: &str| value(key).and_then(Node::scalar_text).map(|text| text.to_string());
        let needed =
            |key: &str| text(key).ok_or_else(|| node.error(format!("a check of `{word}` needs `{key}`")));
        let number = |key: &str| {
            let n = value(key).and_then(Node::as_i64).and_then(|n| u64::try_from(n).ok());
            n.ok_or_else(|| node.error(format!("`{key}` is a number")))
        };
        let small = |key: &str| {
            u16::try_from(number(key)?).map_err(|_| node.error(format!("`{key}` is a number up to 65535")))
        };
        Ok(match word {
            "unit" => Self::Unit(needed("unit")?),
            "port" => Self::Port(small("port")?),
            "http" => {
                let status = if value("status").is_some() { small("status")? } else { 200 };
                Self::Http { url: needed("http")?, status, body: text("body") }
            }
            "log" => Self::Log { path: needed("log")?, pattern: needed("pattern")? },
            _ => Self::Age { path: needed("file")?, seconds: number("max_age")? },
        })
    }

    /// `unit:nginx`, `port:80`, `http://localhost/`, `command:CMD`, `log:PATH:PATTERN`, `file:PATH:SECONDS`
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no check; there are unit:NAME, port:NUMBER, http://…, command:LINE, log:PATH:PATTERN, file:PATH:SECONDS"
            )
        };
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Http { url: text.to_owned(), status: 200, body: None });
        }
        let (word, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or_else(wrong)?;
        match word {
            "unit" => Ok(Self::Unit(rest.to_owned())),
            "port" => rest.parse().map(Self::Port).map_err(|_| wrong()),
            "command" => Ok(Self::Command(rest.to_owned())),
            "log" | "file" => {
                let (path, last) = rest.split_once(':').ok_or_else(wrong)?;
                let path = path.to_owned();
                match word {
                    "log" => Ok(Self::Log { path, pattern: last.to_owned() }),
                    _ => Ok(Self::Age { path, seconds: last.parse().map_err(|_| wrong())? }),
                }
            }
            _ => Err(wrong()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Unit(unit) => format!("{unit} is active"),
            Self::Port(port) => format!("port {port} is open"),
            Self::Http { url, status, .. } => format!("{url} answers with {status}"),
            Self::Command(line) => format!("`{line}` succeeds"),
            Self::Log { path, pattern } => format!("{path} says nothing of `{pattern}`"),
            Self::Age { path, seconds } => format!("{path} is younger than {seconds} s"),
        }
    }

    /// The task that looks.
    fn task(&self, register: &str) -> Json {
        let command =
            |argv: &[&str]| json!({"ansible.builtin.command": {"argv": argv}, "changed_when": false});
        match self {
            Self::Unit(unit) => command(&["systemctl", "is-active", "--quiet", unit]),
            Self::Port(port) => json!({"ansible.builtin.wait_for": {"port": port, "timeout": 1}}),
            Self::Http { url, status, body } => {
                let mut task = json!({"ansible.builtin.uri": {"url": url, "status_code": status, "return_content": true, "timeout": 5}});
                if let Some(body) = body {
                    task["failed_when"] = json!([format!(
                        "{register}.status | default(0) != {status} or {} not in ({register}.content | default(''))",
                        json!(body)
                    )]);
                }
                task
            }
            Self::Command(line) => json!({"ansible.builtin.shell": line, "changed_when": false}),
            Self::Log { path, pattern } => {
                let mut task =
                    command(&["sh", "-c", "tail -n 200 -- \"$1\" | grep -Eq -- \"$2\"", "sh", path, pattern]);
                task["failed_when"] = json!(format!("{register}.rc == 0"));
                task
            }
            Self::Age { path, seconds } => {
                let line = "test $(( $(date +%s) - $(stat -c %Y -- \"$1\") )) -le \"$2\"";
                command(&["sh", "-c", line, "sh", path, &seconds.to_string()])
            }
        }
    }
}

/// The tasks before a change, which never fail the run, and those after it: a check that failed before the change already
/// is said, and fails nothing.
pub fn tasks(checks: &[Check]) -> (String, String) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (i, check) in checks.iter().enumerate() {
        let (first, last) = (format!("theseus_health_before_{i}"), format!("theseus_health_after_{i}"));
        let mut task = check.task(&first);
        task["name"] = json!(format!("before: {}", check.name()));
        task["register"] = json!(first);
        task["ignore_errors"] = json!(true);
        before.push(task);
        let mut task = check.task(&last);
        task["name"] = json!(check.name());
        task["register"] = json!(last);
        task["until"] = json!(format!("{last} is succeeded"));
        task["retries"] = json!(TIMES);
        task["delay"] = json!(1);
        task["when"] = json!(format!("{first} is succeeded"));
        after.push(task);
        let mut task = check.task(&last);
        task["name"] = json!(format!("{} (failed before the change already)", check.name()));
        task["register"] = json!(last);
        task["ignore_errors"] = json!(true);
        task["when"] = json!(format!("{first} is failed"));
        after.push(task);
    }
    (Json::Array(before).to_string(), Json::Array(after).to_string())
}

/// The tasks for checks that must hold, whatever was before.
pub fn holding(checks: &[Check]) -> String {
    let task = |(i, check): (usize, &Check)| {
        let register = format!("theseus_health_{i}");
        let mut task = check.task(&register);
        task["name"] = json!(check.name());
        task["until"] = json!(format!("{register} is succeeded"));
        task["register"] = json!(register);
        (task["retries"], task["delay"]) = (json!(TIMES), json!(1));
        task
    };
    Json::Array(checks.iter().enumerate().map(task).collect()).to_string()
}

/// Tasks of a playbook as checks: what is done before a change, which fails nothing and waits for nothing, and what must
/// succeed after it, where those that failed before already say so.
pub fn around(tasks: &Node) -> (Node, Node) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (i, task) in tasks.as_seq().unwrap_or_default().iter().enumerate() {
        let failed = format!("theseus_health_task_{i}_failed");
        let yes = Node { kind: Kind::Bool(true), origin: task.origin.clone() };
        let note = map(task, [("set_fact", map(task, [(failed.as_str(), yes)]))]);
        let once = renamed(task, "before: ", "", &["notify", "retries", "delay", "until"]);
        before.push(map(task, [("block", list(task, [once])), ("rescue", list(task, [note]))]));
        let told = renamed(task, "", " (failed before the change already)", &[]);
        for (task, condition) in [
            (task.clone(), format!("not ({failed} | default(false))")),
            (told, format!("{failed} | default(false)")),
        ] {
            let (when, block) = (word(&task, &condition), list(&task, [task.clone()]));
            after.push(map(&task, [("when", when), ("block", block)]));
        }
    }
    (list(tasks, before), list(tasks, after))
}

fn word(at: &Node, text: &str) -> Node {
    Node { kind: Kind::Str { text: text.into(), plain: true }, origin: at.origin.clone() }
}

fn list(at: &Node, all: impl IntoIterator<Item = Node>) -> Node {
    Node { kind: Kind::Seq(all.into_iter().collect::<Arc<[Node]>>()), origin: at.origin.clone() }
}

fn map<'a>(at: &Node, all: impl IntoIterator<Item = (&'a str, Node)>) -> Node {
    let pairs: Arc<[(Node, Node)]> = all.into_iter().map(|(key, value)| (word(at, key), value)).collect();
    Node { kind: Kind::Map(pairs), origin: at.origin.clone() }
}

/// A task with something before and after its name, without some keys. What is no mapping is left for the reader of
/// tasks to complain of.
fn renamed(task: &Node, before: &str, after: &str, without: &[&str]) -> Node {
    let Some(pairs) = task.as_map() else { return task.clone() };
    let is = |(key, _): &&(Node, Node), names: &[&str]| key.as_str().is_some_and(|key| names.contains(&key));
    let name = pairs.iter().find(|pair| is(pair, &["name"])).and_then(|(_, name)| name.as_str());
    let name = format!("{before}{}{after}", name.unwrap_or("health"));
    let rest = pairs.iter().filter(|pair| !is(pair, &["name"]) && !is(pair, without)).cloned();
    let all: Arc<[(Node, Node)]> =
        [(word(task, "name"), word(task, &name))].into_iter().chain(rest).collect();
    Node { kind: Kind::Map(all), origin: task.origin.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_from_flags() {
        assert_eq!(Check::parse("port:80"), Ok(Check::Port(80)));
        assert_eq!(
            Check::parse("log:/var/log/x:Error: .*"),
            Ok(Check::Log { path: "/var/log/x".into(), pattern: "Error: .*".into() })
        );
        assert!(matches!(Check::parse("http://localhost/"), Ok(Check::Http { status: 200, .. })));
        for wrong in ["port:many", "what", "file:/x", "unit:"] {
            assert!(Check::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_check_is_done_before_and_after() {
        let (before, after) = tasks(&[Check::Unit("ship".into()), Check::Port(80)]);
        let count = |text: &str| serde_json::from_str::<Vec<Json>>(text).map(|all| all.len()).ok();
        assert_eq!((count(&before), count(&after)), (Some(2), Some(4)));
        assert_eq!(count(&holding(&[Check::Port(80)])), Some(1));
    }

    #[test]
    fn tasks_are_done_before_and_after() {
        let text =
            "- name: it answers\n  uri: {url: http://localhost/}\n  retries: 30\n  until: true\n- ping:\n";
        let tasks = crate::yaml::load_str(text, std::path::Path::new("theseus.yml")).unwrap().node.unwrap();
        let (before, after) = around(&tasks);
        let task = |list: &Node, i: usize| {
            let block =
                list.as_seq().unwrap()[i].as_map().unwrap().iter().find(|(k, _)| k.as_str() == Some("block"));
            block.unwrap().1.as_seq().unwrap()[0].clone()
        };
        let keys = |node: &Node| -> Vec<String> {
            node.as_map().unwrap().iter().map(|(k, _)| k.as_str().unwrap().to_owned()).collect()
        };
        let name = |node: &Node| node.as_map().unwrap()[0].1.as_str().unwrap().to_owned();
        assert_eq!((before.as_seq().unwrap().len(), after.as_seq().unwrap().len()), (2, 4));
        assert_eq!(keys(&task(&before, 0)), ["name", "uri"]);
        assert_eq!(name(&task(&before, 1)), "before: health");
        assert_eq!(keys(&task(&after, 0)), ["name", "uri", "retries", "until"]);
        assert_eq!(name(&task(&after, 1)), "it answers (failed before the change already)");
    }
}
