//! For a person at a terminal: below, a live view of what every host is doing; above it, one compact line a
//! task, and everything about what failed.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use run::event::{Ended, Event, Sink, Status, Step, StepKind};

use super::{Style, plain, words};

/// How many hosts the live view shows at most.
const LIVE_ROWS: usize = 8;

pub(crate) struct Pretty {
    style: Style,
    current: Option<Current>,
    live: Arc<Mutex<Live>>,
    stop: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
    started: Instant,
}

/// The task whose results are coming in.
struct Current {
    step: Arc<Step>,
    counts: BTreeMap<u8, (Status, usize)>,
    details: Vec<String>,
    seconds: f64,
}

/// What stands below the finished lines and is drawn again and again.
#[derive(Default)]
struct Live {
    rows: HashMap<Arc<str>, (String, Instant)>,
    drawn: usize,
    done: usize,
    started: Option<Instant>,
}

impl Pretty {
    pub(crate) fn new(style: Style) -> Self {
        let live = Arc::new(Mutex::new(Live { started: Some(Instant::now()), ..Live::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let ticker = std::thread::spawn({
            let (live, stop) = (live.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(100));
                    let mut live = live.lock();
                    if !live.rows.is_empty() {
                        live.redraw(style);
                    }
                }
            }
        });
        Self { style, current: None, live, stop, ticker: Some(ticker), started: Instant::now() }
    }

    /// Lines that stay, above the live view.
    fn print(&self, text: &str) {
        let mut live = self.live.lock();
        live.clear();
        println!("{text}");
        live.draw(self.style);
    }

    fn close(&mut self) {
        let Some(current) = self.current.take() else { return };
        self.live.lock().done += 1;
        let only_skips = current.counts.values().all(|(status, _)| *status == Status::Skipped);
        if current.counts.is_empty() || (only_skips && self.style.verbosity == 0) {
            return;
        }
        let counts: Vec<String> = current
            .counts
            .values()
            .map(|(status, n)| self.style.paint.status(*status, &format!("{} {n}", status.word())))
            .collect();
        let handler = if current.step.kind == StepKind::Handler { "handler: " } else { "" };
        let took = if current.seconds >= 0.5 {
            self.style.paint.dim(&format!("  {}", words::seconds(current.seconds)))
        } else {
            String::new()
        };
        let mut text = format!("  {handler}{}  {}{took}", current.step.name, counts.join("  "));
        for detail in current.details {
            text.push('\n');
            text.push_str(&detail);
        }
        self.print(&text);
    }

    fn ended(&mut self, ended: &Ended) {
        let lines = plain::result_lines(self.style, ended);
        let is_debug = ended.step.action.rsplit('.').next() == Some("debug") && ended.status == Status::Ok;
        let interesting = ended.status.is_failure() || is_debug || (ended.diff && lines.len() > 1);
        let whole_loop = ended.looped && ended.item.is_none();
        let Some(current) = &mut self.current else { return };
        if ended.item.is_none() {
            let slot = current.counts.entry(ended.status as u8).or_insert((ended.status, 0));
            slot.1 += 1;
            current.seconds = current.seconds.max(ended.seconds);
        }
        if interesting && !whole_loop {
            current.details.extend(lines.into_iter().map(|l| format!("    {l}")));
        }
    }
}

impl Live {
    fn clear(&mut self) {
        if self.drawn > 0 {
            print!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    fn draw(&mut self, style: Style) {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, (_, since))| *since);
        let hidden = rows.len().saturating_sub(LIVE_ROWS);
        let mut lines: Vec<String> = rows
            .iter()
            .take(LIVE_ROWS)
            .map(|(host, (doing, since))| {
                format!("  {host:<14} {}  {}", cut(doing, 56), words::seconds(since.elapsed().as_secs_f64()))
            })
            .collect();
        if hidden > 0 {
            lines.push(format!("  and {hidden} more"));
        }
        if !lines.is_empty() {
            let total = self.started.map(|s| words::seconds(s.elapsed().as_secs_f64())).unwrap_or_default();
            lines.push(format!("  {} tasks done, {} hosts at work, {total}", self.done, self.rows.len()));
        }
        for line in &lines {
            println!("{}", style.paint.dim(line));
        }
        self.drawn = lines.len();
        let _ = std::io::stdout().flush();
    }

    fn redraw(&mut self, style: Style) {
        self.clear();
        self.draw(style);
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

impl Sink for Pretty {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Now { host, doing } => {
                let mut live = self.live.lock();
                if doing.is_empty() {
                    live.rows.remove(host);
                } else {
                    live.rows.insert(host.clone(), (doing.clone(), Instant::now()));
                }
            }
            Event::Play { name, hosts } => {
                self.close();
                let count = format!("{} {}", hosts.len(), if hosts.len() == 1 { "host" } else { "hosts" });
                self.print(&format!("\n{}  {count}", self.style.paint.bold(name)));
            }
            Event::Step(step) => {
                self.close();
                self.current = Some(Current {
                    step: step.clone(),
                    counts: BTreeMap::new(),
                    details: Vec::new(),
                    seconds: 0.0,
                });
            }
            Event::Ended(ended) => self.ended(ended),
            Event::Retrying { step, host, left, .. } => {
                self.print(&format!("  {host}: {} is tried again ({left} left)", step.name))
            }
            Event::NoHostsMatched => self.print("  no host matches this play"),
            Event::NoHostsLeft | Event::AllFailed => self.print("  no hosts are left"),
            Event::Warning(text) => {
                self.print(&self.style.paint.status(Status::Changed, &format!("warning: {text}")))
            }
            Event::Deprecated(text) => self.print(&self.style.paint.dim(&format!("deprecated: {text}"))),
            Event::Notice(text) => self.print(&format!("note: {text}")),
            Event::Recap(recap) => {
                self.close();
                self.live.lock().rows.clear();
                self.live.lock().clear();
                print!("{}", plain::recap_text(self.style, recap));
                println!(
                    "{}",
                    self.style
                        .paint
                        .dim(&format!("in {}", words::seconds(self.started.elapsed().as_secs_f64())))
                );
            }
            // A failure is shown with its task.
            Event::Mistake(_)
            | Event::Playbook { .. }
            | Event::Batch { .. }
            | Event::Included { .. }
            | Event::Stats(_)
            | Event::Meta(_) => {}
        }
    }
}

impl Drop for Pretty {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
        self.live.lock().clear();
    }
}
