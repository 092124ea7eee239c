//! `pause`: wait for a time or for a person.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use catalog::{Arg, Check, ModuleSpec};
use expressions::{Error, Value};

use super::Action;
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("pause", ARGS).check(Check::Query);

const ARGS: &[Arg] =
    &[Arg::float("seconds"), Arg::float("minutes"), Arg::str("prompt"), Arg::bool("echo").default("true")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let number = |name: &str| -> Result<Option<f64>, Error> {
        let Some(value) = action.get(name)? else { return Ok(None) };
        let parsed = value.as_f64().or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()));
        parsed
            .map(Some)
            .ok_or_else(|| Error::new(format!("`pause`: `{name}` must be a number, not {}", text(&value))))
    };
    let (seconds, minutes) = (number("seconds")?, number("minutes")?);
    let wait = minutes.map(|m| m * 60.0).or(seconds);
    let prompt = action.text("prompt")?;
    let echo = action.flag("echo", true)?;
    let ask = action.walker.run.asker();
    Ok(Work::Later(Box::pin(async move {
        let started = now();
        let clock = Instant::now();
        let mut typed = String::new();
        match wait {
            Some(wait) => tokio::time::sleep(Duration::from_secs_f64(wait.max(0.0))).await,
            None if std::io::stdin().is_terminal() => {
                let question = prompt
                    .clone()
                    .unwrap_or_else(|| "Press enter to continue, Ctrl+C to interrupt".to_owned());
                typed = ask(question, echo).await.unwrap_or_default();
            }
            None => {}
        }
        let elapsed = clock.elapsed().as_secs_f64();
        let mut result = results::ok(false);
        // Ansible counts in minutes unless it was told seconds.
        let said = match (minutes, seconds) {
            (None, Some(_)) => format!("Paused for {:?} seconds", round(elapsed)),
            _ => format!("Paused for {:?} minutes", round(elapsed / 60.0)),
        };
        result.insert("rc".to_owned(), 0.into());
        result.insert("stdout".to_owned(), said.into());
        result.insert("stderr".to_owned(), "".into());
        result.insert("delta".to_owned(), (elapsed as i64).into());
        result.insert("echo".to_owned(), echo.into());
        result.insert("user_input".to_owned(), typed.into());
        result.insert("start".to_owned(), started.into());
        result.insert("stop".to_owned(), now().into());
        result
    })))
}

/// As Python writes the time of the clock on the wall.
fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn text(value: &Value) -> String {
    value.python_repr().unwrap_or_default()
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
