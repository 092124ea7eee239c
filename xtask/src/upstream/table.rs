//! The table that is printed: a line per target, and what they come to.

use anyhow::Result;

use super::turn::Turn;
use crate::tally::Tally;

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) reference: Result<Turn>,
    /// None where the reference itself fails.
    pub(crate) theseus: Option<Result<Turn>>,
}

pub(crate) fn head() -> String {
    format!(
        "{:<30} {:<5} {:>7}  {:<5} {:>7}  {:>7} {:>9}",
        "target", "ansib", "s", "thes", "s", "calls", "results"
    )
}

fn verdict(turn: &Result<Turn>) -> (&'static str, f64) {
    match turn {
        Ok(turn) if turn.passed() => ("pass", turn.seconds),
        Ok(turn) => ("fail", turn.seconds),
        Err(_) => ("none", 0.0),
    }
}

impl Row {
    pub(crate) fn line(&self) -> String {
        let (word, seconds) = verdict(&self.reference);
        let mut line = format!("{:<30} {word:<5} {seconds:>7.1}", self.name);
        if let Some(theseus) = &self.theseus {
            let (word, seconds) = verdict(theseus);
            let (calls, of) = self.calls();
            let (results, all) = self.results();
            line.push_str(&format!(
                "  {word:<5} {seconds:>7.1}  {:>7} {:>9}",
                format!("{calls}/{of}"),
                format!("{results}/{all}")
            ));
        }
        let why = self.why();
        if !why.is_empty() {
            line.push_str(&format!("  {}", why.chars().take(220).collect::<String>()));
        }
        line
    }

    fn why(&self) -> String {
        let said = |turn: &Result<Turn>| match turn {
            Ok(turn) => turn.why.clone(),
            Err(error) => format!("{error:#}"),
        };
        match &self.theseus {
            Some(theseus) => said(theseus),
            None => said(&self.reference),
        }
    }

    fn sound(&self) -> bool {
        self.reference.as_ref().is_ok_and(Turn::passed)
    }

    fn passed(&self) -> bool {
        self.theseus.as_ref().is_some_and(|turn| turn.as_ref().is_ok_and(Turn::passed))
    }

    fn pair(&self) -> Option<(&Turn, &Turn)> {
        Some((self.reference.as_ref().ok()?, self.theseus.as_ref()?.as_ref().ok()?))
    }

    /// Calls of the programs that ended as the reference's did, up to the first that did not.
    fn calls(&self) -> (usize, usize) {
        let Some((reference, theseus)) = self.pair() else { return (0, 0) };
        let code = |call: &str| call.split_once(' ').map(|(code, _)| code.to_owned());
        let pairs = reference.calls.iter().zip(&theseus.calls);
        let same = pairs.take_while(|(a, b)| code(a) == code(b)).count();
        (same, reference.calls.len())
    }

    /// Results of tasks that were reached, at most as many as the reference's.
    fn results(&self) -> (usize, usize) {
        let Some((reference, theseus)) = self.pair() else { return (0, 0) };
        (theseus.results.min(reference.results), reference.results)
    }
}

pub(crate) fn summary(rows: &[Row]) -> String {
    let sound: Vec<&Row> = rows.iter().filter(|row| row.sound()).collect();
    let passed: Vec<&&Row> = sound.iter().filter(|row| row.passed()).collect();
    let sum = |counts: &dyn Fn(&Row) -> (usize, usize)| {
        sound.iter().map(|row| counts(row)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    let (calls, all_calls) = sum(&Row::calls);
    let (results, all_results) = sum(&Row::results);
    let seconds = |which: &dyn Fn(&(&Turn, &Turn)) -> f64| -> f64 {
        passed.iter().filter_map(|row| row.pair()).map(|pair| which(&pair)).sum()
    };
    let ansible = seconds(&|pair| pair.0.seconds);
    let theseus = seconds(&|pair| pair.1.seconds);
    let ratio = if theseus > 0.0 { ansible / theseus } else { 0.0 };
    format!(
        "\n{} targets, of which the real ansible-core passes {} here\n\
         Theseus passes {} of them ({:.1} %), {calls} of {all_calls} calls ({:.1} %), {results} of {all_results} \
         results of tasks ({:.1} %)\n\
         those that both pass took ansible-core {ansible:.1} s and Theseus {theseus:.1} s: {ratio:.1} times as fast",
        rows.len(),
        sound.len(),
        passed.len(),
        share(passed.len(), sound.len()),
        share(calls, all_calls),
        share(results, all_results),
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts of at most thousands")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

pub(crate) fn tally(rows: &[Row]) -> Tally {
    let mut tally = Tally::default();
    for row in rows {
        match (&row.theseus, row.passed()) {
            (Some(_), true) => tally.passed += 1,
            (Some(_), false) => tally.failed.push(format!("upstream {}: {}", row.name, row.why())),
            (None, _) if row.sound() => {}
            (None, _) => {
                tally.skipped.push(format!(
                    "upstream {}: the real ansible-core fails here: {}",
                    row.name,
                    row.why()
                ));
            }
        }
    }
    tally
}
