//! How long tasks and the whole run took, on request (`--times`, or the callbacks `profile_tasks` and `timer`).

use std::time::{Duration, Instant};

use run::event::{Event, Sink};

/// Passes everything on, and adds its own lines at the end.
pub(crate) struct Timing {
    inner: Box<dyn Sink>,
    ways: Ways,
    started: Instant,
    current: Option<(String, Instant)>,
    done: Vec<(String, Duration)>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ways {
    /// The slowest tasks.
    pub(crate) tasks: bool,
    /// The whole run, in one line.
    pub(crate) total: bool,
}

/// As many as `profile_tasks` shows.
const SHOWN: usize = 20;
const WIDTH: usize = 79;

impl Timing {
    pub(crate) fn new(inner: Box<dyn Sink>, ways: Ways) -> Self {
        Self { inner, ways, started: Instant::now(), current: None, done: Vec::new() }
    }

    fn end(&mut self) {
        if let Some((name, since)) = self.current.take() {
            self.done.push((name, since.elapsed()));
        }
    }

    /// On standard error: standard output is what scripts read.
    fn say(&mut self) {
        if self.ways.tasks {
            self.done.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
            eprintln!("{}", "=".repeat(WIDTH));
            for (name, took) in self.done.iter().take(SHOWN) {
                eprintln!("{}", line(name, took.as_secs_f64()));
            }
        }
        if self.ways.total {
            let whole = self.started.elapsed().as_secs();
            let (days, hours, minutes, seconds) =
                (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
            eprintln!("Playbook run took {days} days, {hours} hours, {minutes} minutes, {seconds} seconds");
        }
    }
}

/// `name ------------ 0.12s`
fn line(name: &str, seconds: f64) -> String {
    let number = format!(" {seconds:.2}s");
    let dashes = WIDTH.saturating_sub(name.chars().count() + number.len() + 1).max(3);
    format!("{name} {}{number}", "-".repeat(dashes))
}

impl Sink for Timing {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Step(step) => {
                self.end();
                self.current = Some((step.name.clone(), Instant::now()));
            }
            Event::Play { .. } => self.end(),
            _ => {}
        }
        self.inner.event(event);
        if let Event::Recap(_) = event {
            self.end();
            self.say();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn lines_are_as_wide_as_the_rule_above_them() {
        assert_eq!(line("web : install nginx", 1.234).len(), super::WIDTH);
        assert!(line(&"x".repeat(100), 0.0).ends_with(" --- 0.00s"));
    }
}
