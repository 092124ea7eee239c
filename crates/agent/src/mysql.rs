//! MySQL and MariaDB, asked through their own client: statements go by standard input and what is needed to log in by a
//! file that only its owner can read, so neither becomes a process's argument.

use catalog::{Arg, Args};
use layer::Scratch;

use crate::children;
use crate::command::{Output, Run, find_program};
use crate::module::{Failure, Task};

/// How the server is reached; the same for all modules.
pub(crate) const LOGIN: &[Arg] = &[
    Arg::str("login_user"),
    Arg::str("login_password").no_log(),
    Arg::str("login_host").default("localhost"),
    Arg::int("login_port").default("3306"),
    Arg::str("login_unix_socket"),
    Arg::path("config_file").default("~/.my.cnf"),
    Arg::int("connect_timeout").default("30"),
    Arg::path("client_cert").aliases(&["ssl_cert"]),
    Arg::path("client_key").aliases(&["ssl_key"]),
    Arg::path("ca_cert").aliases(&["ssl_ca"]),
    Arg::bool("check_hostname"),
    Arg::bool("check_implicit_admin").default("false"),
    Arg::bool("sql_log_bin").default("true"),
];

/// A server, reached as a task's arguments say.
pub(crate) struct Server {
    scratch: Scratch,
    log: bool,
    pub(crate) is_mariadb: bool,
}

impl Server {
    pub(crate) fn of(args: &Args, task: &Task<'_>) -> Result<Self, Failure> {
        let log = args.bool("sql_log_bin");
        let of = |own: &str| -> Result<Self, Failure> {
            let scratch = Scratch::new()?;
            scratch.write("client.cnf", own.as_bytes())?;
            Ok(Self { scratch, log, is_mariadb: false })
        };
        let mut last = None;
        for options in ways(args) {
            let mut server = of(&options)?;
            match server.ask(task, "SELECT VERSION()") {
                Ok(rows) => {
                    let version = rows.first().and_then(|row| row.first()).cloned().unwrap_or_default();
                    server.is_mariadb = version.contains("MariaDB");
                    return Ok(server);
                }
                Err(failure) => last = Some(failure),
            }
        }
        let why = last.map(|failure| failure.message).unwrap_or_default();
        Err(Failure::new(format!(
            "unable to connect to database, check login_user and login_password are correct or {} has the credentials. \
             Exception message: {why}",
            args.string("config_file")
        )))
    }

    /// One of the server's programs under its new or its old name, told how to reach the server.
    pub(crate) fn program<'a>(&self, task: &Task<'a>, names: [&str; 2]) -> Result<Run<'a>, Failure> {
        let Some(name) = names.iter().find(|name| find_program(name).is_some()) else {
            return Err(Failure::new(format!("Failed to find required executable \"{}\"", names[1])));
        };
        let file = self.scratch.path().join("client.cnf");
        Ok(children::in_c_locale(task, &[name, &format!("--defaults-file={}", file.display())]))
    }

    fn client<'a>(&self, task: &Task<'a>, statement: &str) -> Result<Run<'a>, Failure> {
        let quiet = if self.log { "" } else { "SET SESSION sql_log_bin=0;\n" };
        let run = self.program(task, ["mariadb", "mysql"])?.args(["--batch", "--skip-column-names"]);
        Ok(run.stdin(format!("{quiet}{statement};\n")))
    }

    /// The rows of an answer.
    pub(crate) fn ask(&self, task: &Task<'_>, query: &str) -> Result<Vec<Vec<String>>, Failure> {
        let output = expect(self.client(task, query)?.output()?)?;
        let text = output.stdout_text();
        Ok(text.lines().map(|line| line.split('\t').map(unescaped).collect()).collect())
    }

    /// A statement that changes something; the server does it, so the layer can only say so.
    pub(crate) fn act(&self, task: &mut Task<'_>, statement: &str) -> Result<(), Failure> {
        let kind: Vec<&str> = statement.split_whitespace().take(2).collect();
        task.recorder.opaque(format!("MySQL: {}", kind.join(" ")))?;
        expect(self.client(task, statement)?.output()?).map(drop)
    }
}

/// The client's options, in the order in which they are tried.
fn ways(args: &Args) -> Vec<String> {
    let own = |user: Option<&str>, password: Option<&str>, file: bool| {
        let mut text = String::new();
        let path = args.string("config_file");
        if file && std::path::Path::new(&path).is_file() {
            text.push_str(&format!("!include {path}\n"));
        }
        text.push_str("[client]\n");
        let mut put = |key: &str, value: &str| text.push_str(&format!("{key}={}\n", quoted(value)));
        let socket = args.str("login_unix_socket");
        let host = args.string("login_host");
        if let Some(socket) = socket {
            put("socket", socket);
        } else if host != "localhost" {
            put("host", &host);
            put("port", &args.int("login_port").unwrap_or(3306).to_string());
        }
        let names = [("client_cert", "ssl-cert"), ("client_key", "ssl-key"), ("ca_cert", "ssl-ca")];
        let given = names.into_iter().filter_map(|(name, key)| Some((key, args.str(name)?)));
        given
            .chain([("user", user), ("password", password)].into_iter().filter_map(|(k, v)| Some((k, v?))))
            .for_each(|(key, value)| put(key, value));
        // For the client itself: not all of its programs know it.
        let patience = args.int("connect_timeout").unwrap_or(30);
        text.push_str(&format!("[mysql]\nconnect-timeout={patience}\n"));
        text
    };
    let (user, password) = (args.str("login_user"), args.str("login_password"));
    let mut all = Vec::new();
    if args.bool("check_implicit_admin") {
        all.push(own(Some("root"), Some(""), false));
    }
    all.push(own(user, password, true));
    all
}

/// A value as the client's option files read it.
fn quoted(value: &str) -> String {
    let plain = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{plain}\"")
}

/// What the client writes for characters that would end a column or a row.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

/// Fails with the server's words.
pub(crate) fn expect(output: Output) -> Result<Output, Failure> {
    if output.ok() {
        return Ok(output);
    }
    let said = output.stderr_text();
    let line = said.lines().find(|line| line.starts_with("ERROR")).unwrap_or(said.trim());
    Err(Failure::new(line.trim()))
}

/// A name as SQL reads it.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as SQL reads it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_quoted_word_early() {
        assert_eq!(identifier("a`; DROP"), "`a``; DROP`");
        assert_eq!(literal("it's\\"), "'it''s\\\\'");
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
        assert_eq!(unescaped("a\\tb\\\\n"), "a\tb\\n");
    }
}
