//! `wait_for_connection`: until the host can be reached and used.

use std::time::{Duration, Instant};

use catalog::{Arg, Check, ModuleSpec};
use expressions::Error;

use super::Action;
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("wait_for_connection", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[
    Arg::int("connect_timeout").default("5"),
    Arg::int("delay").default("0"),
    Arg::int("sleep").default("1"),
    Arg::int("timeout").default("600"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let seconds = |name: &str, default: u64| -> Result<Duration, Error> {
        let value = action.get(name)?.and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok()));
        Ok(Duration::from_secs_f64(value.unwrap_or(default as f64).max(0.0)))
    };
    let (delay, sleep, timeout) = (seconds("delay", 0)?, seconds("sleep", 1)?, seconds("timeout", 600)?);
    let mut way = action.walker.run.way(action.walker, action.task, action.scope, action.delegate)?;
    way.target.timeout = seconds("connect_timeout", 5)?;
    way.target.retries = 0;
    let run = action.walker.run.clone();
    Ok(Work::Later(Box::pin(async move {
        let started = Instant::now();
        tokio::time::sleep(delay).await;
        loop {
            run.connections.close(&way.name).await;
            match run.connections.reach(&way).await {
                Ok(_) => break,
                Err(error) if started.elapsed() + sleep > timeout => {
                    let mut result = results::failed(format!("timed out waiting for the host: {error}"));
                    result.insert("elapsed".to_owned(), started.elapsed().as_secs().into());
                    return result;
                }
                Err(_) => tokio::time::sleep(sleep).await,
            }
        }
        let mut result = results::ok(false);
        result.insert("elapsed".to_owned(), started.elapsed().as_secs().into());
        result
    })))
}
