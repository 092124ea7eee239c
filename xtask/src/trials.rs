//! The crash and fault battery: builds and runs `crates/trials`, and counts what it says.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow};

use crate::shell;
use crate::tally::Tally;

/// What is run if nobody asks for less: two programs side by side that take about as long as each other.
const ALL: [&[&str]; 2] =
    [&["loss", "recovery", "power"], &["kill", "agent", "undone", "error", "small", "mutants", "soak"]];

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    if !arguments.is_empty() {
        return part(arguments);
    }
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let parts = ALL.map(|batteries| {
            let batteries: Vec<String> = batteries.iter().map(|&battery| battery.to_owned()).collect();
            scope.spawn(move || part(&batteries))
        });
        for done in parts {
            tally.add(done.join().map_err(|_| anyhow!("a part of the trials panicked"))??);
        }
        Ok(tally)
    })
}

fn part(arguments: &[String]) -> Result<Tally> {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", "theseus-trials", "--"]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().context("the trials")?;
    let stdout = child.stdout.take().context("the trials have no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        count(&line, &mut tally);
    }
    let status = child.wait()?;
    if !status.success() && tally.failed.is_empty() {
        tally.failed.push(format!("the trials ended with {status}"));
    }
    Ok(tally)
}

fn count(line: &str, tally: &mut Tally) {
    if line.starts_with("ok ") {
        tally.passed += 1;
    } else if let Some(rest) = line.strip_prefix("FAILED ") {
        let name = rest.split(':').next().unwrap_or(rest);
        tally.failed.push(name.to_owned());
        tally.print_again(name, &[rest.to_owned()]);
    } else if let Some(rest) = line.strip_prefix("SKIPPED ") {
        tally.skipped.push(rest.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::count;
    use crate::tally::Tally;

    #[test]
    fn each_trial_is_counted_once() {
        let mut tally = Tally::default();
        for line in [
            "ok trials kill writes: 25 points",
            "FAILED trials loss shell: 1 violations; x",
            "    [loss …]",
            "SKIPPED trials power xfs: no mkfs.xfs",
        ] {
            count(line, &mut tally);
        }
        assert_eq!((tally.passed, tally.skipped.len()), (1, 1));
        assert_eq!(tally.failed, ["trials loss shell"]);
        assert_eq!(tally.printed, ["---- trials loss shell ----\ntrials loss shell: 1 violations; x"]);
    }
}
