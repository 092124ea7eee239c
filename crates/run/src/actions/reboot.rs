//! `reboot`: seal what was done, restart the host, and wait until it is another boot and can be used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::protocol::{Call, Cause, NEVER_REFUSED};
use catalog::{Arg, Json, Map, ModuleSpec};
use expressions::Error;
use link::{CallEnd, Connection};
use serde_json::json;

use super::Action;
use crate::connections::Way;
use crate::results;
use crate::run::Run;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("reboot", ARGS);

const ARGS: &[Arg] = &[
    Arg::int("pre_reboot_delay").default("0").aliases(&["pre_reboot_delay_sec"]),
    Arg::int("post_reboot_delay").default("0").aliases(&["post_reboot_delay_sec"]),
    Arg::int("reboot_timeout").default("600").aliases(&["reboot_timeout_sec"]),
    Arg::int("connect_timeout").aliases(&["connect_timeout_sec"]),
    Arg::str("test_command").default("whoami"),
    Arg::str("msg").default("Reboot initiated by Ansible"),
    Arg::list("search_paths"),
    Arg::str("boot_time_command").default("cat /proc/sys/kernel/random/boot_id"),
    Arg::str("reboot_command"),
];

const SEARCH: &[&str] = &["/sbin", "/bin", "/usr/sbin", "/usr/bin", "/usr/local/sbin"];
/// Between two tries to come in.
const PAUSE: Duration = Duration::from_secs(1);
/// For saying goodbye to a host that is going down.
const GOODBYE: Duration = Duration::from_secs(10);

/// One restart of one host.
struct Restart {
    run: Arc<Run>,
    way: Way,
    cause: Cause,
    /// What does it: arguments of the module `command`.
    command: Map,
    path: String,
    boot_time: String,
    test: String,
    delay_after: Duration,
    timeout: Duration,
    began: Instant,
}

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let given = action.arguments()?;
    let args = match SPEC.read(&given, &|_| false) {
        Ok(args) => args,
        Err(errors) => {
            let text: Vec<String> = errors.iter().map(catalog::ArgumentError::in_result).collect();
            return Ok(Work::Done(results::failed(text.join("; "))));
        }
    };
    let mut way = action.walker.run.way(action.walker, action.task, action.scope, action.delegate)?;
    if matches!(way.target.connection, Connection::Local) {
        return Ok(Work::Done(ended(
            Some("Running reboot with local connection would reboot the control node."),
            0,
        )));
    }
    if action.traits.check {
        return Ok(Work::Done(ended(None, 0)));
    }
    let seconds =
        |name: &str| Duration::from_secs(args.int(name).and_then(|n| u64::try_from(n).ok()).unwrap_or(0));
    if args.has("connect_timeout") {
        way.target.timeout = seconds("connect_timeout");
    }
    way.target.retries = 0;
    let search = args.strings("search_paths");
    let search = if search.is_empty() { SEARCH.join(":") } else { search.join(":") };
    let mut command = Map::new();
    match args.str("reboot_command") {
        Some(own) => command.insert("_raw_params".to_owned(), own.into()),
        None => {
            let minutes = (seconds("pre_reboot_delay").as_secs() / 60).to_string();
            command.insert("argv".to_owned(), json!(["shutdown", "-r", minutes, args.string("msg")]))
        }
    };
    let restart = Restart {
        run: action.walker.run.clone(),
        way,
        cause: action.cause(),
        command,
        path: search,
        boot_time: args.string("boot_time_command"),
        test: args.string("test_command"),
        delay_after: seconds("post_reboot_delay"),
        timeout: seconds("reboot_timeout"),
        began: Instant::now(),
    };
    Ok(Work::Later(Box::pin(async move { restart.go().await })))
}

impl Restart {
    async fn go(self) -> Map {
        let outcome = self.restart().await;
        ended(outcome.err().as_deref(), self.began.elapsed().as_secs())
    }

    async fn restart(&self) -> Result<(), String> {
        let before =
            self.boot().await.map_err(|e| format!("reboot: failed to get host boot time info, {e}"))?;
        // What was done so far is sealed before the host goes down.
        self.run.connections.close(&self.way.name).await;
        self.call("command", self.command.clone())
            .await
            .map_err(|e| format!("Reboot command failed. Error was: {e}"))?;
        // It may be gone already.
        let _ = tokio::time::timeout(GOODBYE, self.run.connections.close(&self.way.name)).await;
        self.run.connections.forget(&self.way.name);
        tokio::time::sleep(self.delay_after).await;
        self.until("last boot time check", Some(&before)).await?;
        self.until("post-reboot test command", None).await
    }

    /// Try on new connections until it works or the time is over.
    async fn until(&self, what: &str, before: Option<&str>) -> Result<(), String> {
        loop {
            let problem = match self.attempt(before).await {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            };
            if self.began.elapsed() + PAUSE > self.timeout {
                return Err(format!(
                    "Timed out waiting for {what} (timeout={}): {problem}",
                    self.timeout.as_secs()
                ));
            }
            let _ = tokio::time::timeout(GOODBYE, self.run.connections.close(&self.way.name)).await;
            self.run.connections.forget(&self.way.name);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Another boot than that one; or, if that is known, a host that can be used.
    async fn attempt(&self, before: Option<&str>) -> Result<(), String> {
        match before {
            None => self.call("shell", line(&self.test)).await.map(drop),
            Some(before) if self.boot().await? == before => Err("the boot has not changed".to_owned()),
            Some(_) => Ok(()),
        }
    }

    async fn boot(&self) -> Result<String, String> {
        let result = self.call("shell", line(&self.boot_time)).await?;
        Ok(result.get("stdout").and_then(Json::as_str).unwrap_or_default().trim().to_owned())
    }

    /// A command on the host; its failure in words.
    async fn call(&self, module: &str, args: Map) -> Result<Map, String> {
        let (link, agent) = self.run.connections.reach(&self.way).await.map_err(|e| e.to_string())?;
        let mut call = Call {
            module: module.to_owned(),
            args,
            cause: self.cause.clone(),
            keep_going: true,
            ..Call::default()
        };
        if module == "command" {
            call.environment.insert("PATH".to_owned(), self.path.clone());
        }
        match link.call(agent, NEVER_REFUSED, call, self.run.blobs.clone()).await {
            Ok(CallEnd::Done { result, .. }) if !results::is_failed(&result) => Ok(result),
            Ok(CallEnd::Done { result, .. }) => {
                let text = |name: &str| {
                    result.get(name).and_then(Json::as_str).unwrap_or_default().trim().to_owned()
                };
                let words = [text("stdout"), text("stderr"), text("msg")];
                Err(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "))
            }
            Ok(CallEnd::Refused) => Err("the host refused it".to_owned()),
            // The host was quicker than its answer.
            Err(_) if module == "command" => Ok(Map::new()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn line(text: &str) -> Map {
    Map::from_iter([("_raw_params".to_owned(), text.into())])
}

fn ended(problem: Option<&str>, elapsed: u64) -> Map {
    let mut result = results::ok(problem.is_none());
    result.insert("elapsed".to_owned(), elapsed.into());
    result.insert("rebooted".to_owned(), problem.is_none().into());
    if let Some(problem) = problem {
        result.insert("failed".to_owned(), true.into());
        result.insert("msg".to_owned(), problem.into());
    }
    result
}
