//! PostgreSQL, asked through its own `psql`: statements go by standard input and the password by the environment, so
//! neither becomes a process's argument.

use catalog::{Arg, Args, Json};

use crate::children;
use crate::command::{Output, Run};
use crate::module::{Failure, Task};

/// How the server is reached; the same for all modules.
#[rustfmt::skip]
pub(crate) const LOGIN: &[Arg] = &[
    Arg::str("login_user").default("postgres").aliases(&["login"]),
    Arg::str("login_password").default("").no_log(),
    Arg::str("login_host").default("").aliases(&["host"]),
    Arg::str("login_unix_socket").default("").aliases(&["unix_socket"]),
    Arg::int("login_port").default("5432").aliases(&["port"]),
    Arg::str("ssl_mode").default("prefer").choices(&["allow", "disable", "prefer", "require", "verify-ca", "verify-full"]),
    Arg::str("ca_cert").aliases(&["ssl_rootcert"]),
    Arg::path("ssl_cert"),
    Arg::path("ssl_key"),
    Arg::dict("connect_params"),
];

/// Between the columns of an answer, and at the end of its rows.
const COLUMN: char = '\u{1f}';
const ROW: char = '\u{1e}';

/// The server that a task's `login_*` arguments name, as one account.
pub(crate) struct Server {
    words: Vec<String>,
    password: String,
    environment: Vec<(&'static str, String)>,
    role: Option<String>,
}

impl Server {
    pub(crate) fn of(args: &Args) -> Self {
        let mut words = vec!["-U".to_owned(), args.string("login_user")];
        let host = args.str("login_host").filter(|host| !host.is_empty() && *host != "localhost");
        let socket = args.str("login_unix_socket").filter(|socket| !socket.is_empty());
        if let Some(host) = socket.or(host) {
            words.extend(["-h".to_owned(), host.to_owned()]);
        }
        words.extend(["-p".to_owned(), args.int("login_port").unwrap_or(5432).to_string()]);
        let mut environment = vec![("PGSSLMODE", args.string("ssl_mode"))];
        for (name, variable) in
            [("ca_cert", "PGSSLROOTCERT"), ("ssl_cert", "PGSSLCERT"), ("ssl_key", "PGSSLKEY")]
        {
            if let Some(path) = args.str(name) {
                environment.push((variable, path.to_owned()));
            }
        }
        for (key, value) in args.dict("connect_params").into_iter().flatten() {
            let variable = match key.as_str() {
                "connect_timeout" => "PGCONNECT_TIMEOUT",
                "application_name" => "PGAPPNAME",
                "options" => "PGOPTIONS",
                "target_session_attrs" => "PGTARGETSESSIONATTRS",
                _ => continue,
            };
            environment.push((variable, catalog::arguments::text(value)));
        }
        let role = args.str("session_role").map(str::to_owned);
        Self { words, password: args.string("login_password"), environment, role }
    }

    /// One of PostgreSQL's programs, told how to reach the server.
    pub(crate) fn program<'a>(&self, task: &Task<'a>, name: &str) -> Run<'a> {
        let mut run = children::in_c_locale(task, &[name]).args(&self.words).arg("-w");
        for (variable, value) in &self.environment {
            run = run.env(variable, value);
        }
        if self.password.is_empty() { run } else { run.env("PGPASSWORD", &self.password) }
    }

    fn psql<'a>(&self, task: &Task<'a>, database: &str, statement: &str) -> Run<'a> {
        let role =
            self.role.as_ref().map(|role| format!("SET ROLE {};\n", identifier(role))).unwrap_or_default();
        let fixed = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        let run = self.program(task, "psql").args(fixed);
        let run = run.args(["-F", &COLUMN.to_string(), "-R", &ROW.to_string(), "-d", database]);
        run.stdin(format!("{role}{statement};\n"))
    }

    /// The rows of an answer.
    pub(crate) fn ask(
        &self,
        task: &Task<'_>,
        database: &str,
        query: &str,
    ) -> Result<Vec<Vec<String>>, Failure> {
        let output = expect(self.psql(task, database, query).output()?)?;
        Ok(rows(&output.stdout_text()))
    }

    /// A statement that changes something; the server does it, so the layer can only say so.
    pub(crate) fn act(&self, task: &mut Task<'_>, database: &str, statement: &str) -> Result<(), Failure> {
        let kind: Vec<&str> = statement.split_whitespace().take(3).collect();
        task.recorder.opaque(format!("PostgreSQL: {}", kind.join(" ")))?;
        expect(self.psql(task, database, statement).output()?).map(drop)
    }
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(ROW).map(|row| row.split(COLUMN).map(str::to_owned).collect()).collect()
}

/// Fails with the server's words.
pub(crate) fn expect(output: Output) -> Result<Output, Failure> {
    if output.ok() {
        return Ok(output);
    }
    let said = output.stderr_text();
    let line =
        said.lines().find(|line| line.contains("ERROR:") || line.contains("FATAL:")).unwrap_or(said.trim());
    let words =
        line.split_once("ERROR:").or_else(|| line.split_once("FATAL:")).map_or(line, |(_, words)| words);
    let reached = output.rc != 2;
    let what = if reached { "" } else { "unable to connect to database: " };
    Err(Failure::new(format!("{what}{}", words.trim())))
}

/// A name as SQL reads it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it, whatever the server's settings.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// What would let words of an argument become statements of their own.
pub(crate) fn distrust(args: &Args, names: &[&str]) -> Result<(), Failure> {
    if args.get("trust_input") != Some(&Json::Bool(false)) {
        return Ok(());
    }
    let dangerous = |text: &str| {
        let lower = text.to_lowercase();
        text.contains("--") || text.contains(';') || lower.contains("/*") || lower.contains(" union ")
    };
    match names.iter().find(|name| args.str(name).is_some_and(dangerous)) {
        Some(name) => {
            Err(Failure::new(format!("Passed input '{}' is potentially dangerous", args.string(name))))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_quoted_word_early() {
        assert_eq!(identifier("a\"; DROP"), "\"a\"\"; DROP\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }

    #[test]
    fn an_answer_becomes_rows() {
        assert_eq!(rows("a\u{1f}\u{1e}b\u{1f}c\n"), [["a", ""], ["b", "c"]]);
        assert_eq!(rows(""), Vec::<Vec<String>>::new());
    }
}
