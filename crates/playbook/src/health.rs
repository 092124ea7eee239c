//! Checks of health in short words: what must be so before and after every change. Each becomes two tasks.

use serde_json::{Value as Json, json};

use crate::diagnostic::Result;
use crate::yaml::Node;

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
    }
}
