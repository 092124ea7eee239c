//! `theseus history`: what was done, from the ledger alone; contacts no host.

use ledger::{Generation, HostResult, Ledger, Run, SqliteLedger};
use serde_json::{Value, json};

use crate::arguments::History;
use crate::commands::record;
use crate::report::{self, Output, Style};
use crate::setup::Problem;
use crate::terminal;

pub(crate) fn history(asked: &History, style: Style) -> u8 {
    match show(asked, style) {
        Ok(()) => 0,
        Err(problem) => terminal::show(&problem, &playbook::Sources::new(), style.output == Output::Json),
    }
}

fn show(asked: &History, style: Style) -> Result<(), Problem> {
    let failed = |error: ledger::Error| Problem::Other(error.to_string());
    let path = record::place().map_err(failed)?;
    let Some(ledger) = SqliteLedger::open_existing(&path).map_err(failed)? else {
        return nothing(asked, style, &path);
    };
    let host = asked.host.as_deref();
    let runs = ledger.runs(host, asked.number).map_err(failed)?;
    if runs.is_empty() && host.is_some() {
        return nothing(asked, style, &path);
    }
    for run in runs {
        let mut results = ledger.results(&run.start.id).map_err(failed)?;
        results.retain(|result| host.is_none_or(|host| result.host == host));
        let made = match host {
            Some(host) => ledger.generations(Some(host), usize::MAX).map_err(failed)?,
            None => Vec::new(),
        };
        let made: Vec<&Generation> = made.iter().filter(|made| made.run == run.start.id).collect();
        if style.output == Output::Json {
            report::json_line(as_json(&run, &results, &made));
        } else {
            print!("{}", as_text(&run, &results, &made, style));
        }
    }
    Ok(())
}

/// An empty history is an answer; a host that was never seen is a mistake.
fn nothing(asked: &History, style: Style, path: &std::path::Path) -> Result<(), Problem> {
    match &asked.host {
        Some(host) => Err(Problem::Other(format!(
            "nothing was ever done to a host `{host}`, as far as {} knows",
            path.display()
        ))),
        None if style.output == Output::Json => Ok(()),
        None => {
            println!("nothing was recorded yet in {}", path.display());
            Ok(())
        }
    }
}

fn as_text(run: &Run, results: &[HostResult], made: &[&Generation], style: Style) -> String {
    let start = &run.start;
    let check = if start.check { "  (check)" } else { "" };
    let end = match run.exit {
        Some(0) => String::new(),
        Some(code) => format!("  exit {code}"),
        None => "  did not end".to_owned(),
    };
    let mut out = format!(
        "{}  {}  {}{check}{end}\n",
        local(&start.started),
        start.person,
        style.paint.bold(&start.command)
    );
    let width = results.iter().map(|r| r.host.chars().count()).max().unwrap_or_default();
    for result in results {
        let generation = match result.generation {
            Some(number) if result.made => format!("  made generation {number}"),
            Some(number) => format!("  at generation {number}"),
            None => String::new(),
        };
        out.push_str(&format!("    {:<width$}  {}{generation}\n", result.host, counts(result)));
        if let Some(reason) = &result.reason {
            out.push_str(&format!("        {reason}\n"));
        }
    }
    for generation in made {
        for task in &generation.summary.tasks {
            out.push_str(&format!("        {task}\n"));
        }
    }
    out
}

fn counts(result: &HostResult) -> String {
    let c = &result.counts;
    let all = [
        ("ok", c.ok),
        ("changed", c.changed),
        ("unreachable", c.unreachable),
        ("failed", c.failed),
        ("skipped", c.skipped),
        ("rescued", c.rescued),
        ("ignored", c.ignored),
    ];
    let shown = all.iter().filter(|(name, n)| *n > 0 || matches!(*name, "ok" | "changed"));
    shown.map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" ")
}

/// The time as the clock on the wall shows it.
fn local(at: &str) -> String {
    let Ok(time) = at.parse::<jiff::Timestamp>() else { return at.to_owned() };
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn as_json(run: &Run, results: &[HostResult], made: &[&Generation]) -> Value {
    let mut line = json!({"event": "run"});
    let parts = [serde_json::to_value(run).unwrap_or_default(), json!({"hosts": results})];
    if let Value::Object(line) = &mut line {
        line.extend(parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten());
        if !made.is_empty() {
            line.insert("generations".to_owned(), json!(made));
        }
    }
    line
}
