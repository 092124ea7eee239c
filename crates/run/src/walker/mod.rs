//! One host's way through a play.
//!
//! A walker sends tasks ahead without waiting for the results of those before: what is sent and not yet settled
//! stands in a queue. It waits only where it has to: a template touches a result that is still on its way, a
//! block with a rescue begins or ends, handlers are due, other hosts must catch up. If a settled task turns out
//! to have failed, the host itself has refused everything behind it, and what the controller had already done
//! for later tasks (`set_fact`) is taken back.

mod arguments;
mod blocks;
mod dispatch;
mod finish;
mod handlers;
mod include;
mod meta;
mod once;
mod perform;
mod plugin;
pub(crate) mod prepare;
mod settle;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use catalog::Map;
use expressions::{Error, PendingWhat};
use playbook::ir::{Node, Task};
use tokio::sync::OwnedSemaphorePermit;

use crate::course::{Course, Path};
use crate::event::{Event, Step, StepKind};
use crate::play::PlayRun;
use crate::run::Run;
use once::Once;
use settle::Sent;

/// The fact that says that facts were gathered.
const GATHERED: &str = "module_setup";

/// Where handlers run of a host that failed in a handler.
const LAST: u32 = 90;

/// Why a host goes no further (in this block, this play or at all).
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(Box<Failed>),
    Unreachable,
    /// `meta: end_host`
    EndHost,
    /// `meta: end_play`, or another host's failure that is fatal for all.
    EndPlay,
    EndBatch,
    /// `meta: end_role`
    EndRole(u64),
    Interrupted,
}

#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) task: Arc<Task>,
    pub(crate) result: Map,
    /// It was another host's failure, which all rescue together.
    pub(crate) pulled: bool,
}

pub(crate) type Flow<T = ()> = Result<T, Stop>;

pub(crate) struct Walker {
    pub(crate) run: Arc<Run>,
    pub(crate) play: Arc<PlayRun>,
    pub(crate) course: Arc<Course<Once>>,
    pub(crate) host: Arc<str>,
    /// Sent and not yet settled, in order.
    queue: VecDeque<Sent>,
    /// See `ToAgent::Resume`.
    epoch: u32,
    /// How many blocks with a rescue are around the present task, counted in their bodies.
    rescuing: u32,
    /// Handlers that this host has notified, by name or topic: which they are is found out when they run.
    notified: Vec<String>,
    /// Those that are to run now; while they do, what they notify is found out at once.
    due: Vec<Arc<Task>>,
    flushing: bool,
    /// To which host and as whom the calls in the queue go.
    lane: Option<(String, link::AgentId)>,
    /// Roles that this host has come to in this play, and those of which a task was not skipped.
    roles_entered: HashSet<u64>,
    roles_run: HashSet<u64>,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether `--start-at-task` has been reached.
    started: bool,
    /// What a `run_once` task leaves, while one runs.
    collect: Option<Once>,
    /// How many blocks with an `always` are around the present task, counted outside of it.
    sheltered: u32,
    /// The play is ended for all hosts; what this one still does (`always`, forced handlers) belongs to its end.
    ending: bool,
    /// Where handlers run next: after which tasks.
    section: u32,
    /// In what an include with `run_once` brought, to which the other hosts do not come.
    alone: bool,
}

impl Walker {
    pub(crate) fn new(run: Arc<Run>, play: Arc<PlayRun>, course: Arc<Course<Once>>, host: Arc<str>) -> Self {
        let epoch = run.next_epoch();
        let started = run.settings.start_at.is_none() || run.start_reached(&host);
        Self {
            run,
            play,
            course,
            host,
            queue: VecDeque::new(),
            epoch,
            rescuing: 0,
            notified: Vec::new(),
            due: Vec::new(),
            flushing: false,
            lane: None,
            roles_entered: HashSet::new(),
            roles_run: HashSet::new(),
            permit: None,
            started,
            collect: None,
            sheltered: 0,
            ending: false,
            section: 0,
            alone: false,
        }
    }

    /// The whole play; whether the host may take part in the next one.
    pub(crate) async fn walk(mut self) -> bool {
        let flow = self.sections().await;
        let failed = match &flow {
            Err(Stop::Failed(failed)) => !failed.pulled,
            other => matches!(other, Err(Stop::Unreachable)),
        };
        if let Err(stop) = flow {
            self.after_stop(stop).await;
        }
        self.drop_queue();
        self.tell_now("");
        if failed {
            self.play.vars.remove_host(&self.host);
        }
        self.course.finish(&self.host, failed);
        !failed
    }

    async fn sections(&mut self) -> Flow {
        let play = self.play.play.clone();
        let facts = self.play.gather.clone();
        if let Some(task) = facts
            && !(self.play.smart && self.run.variables.facts(&self.host).contains_key(GATHERED))
        {
            // `--start-at-task` begins with the facts of the play in which it finds its task.
            let begun = self.started;
            self.started = begun || self.begins_in(&play);
            self.task(&task, &vec![0]).await?;
            self.started = begun;
        }
        let sections: [(u32, &[Node]); 4] =
            [(1, &play.pre_tasks), (3, &play.roles), (4, &play.tasks), (6, &play.post_tasks)];
        for (number, nodes) in sections {
            // Handlers of `roles` and `tasks` run together, after the tasks.
            self.section = if number == 3 { 5 } else { number + 1 };
            self.nodes(nodes, &vec![number]).await?;
            if number != 3 {
                self.section = LAST;
                self.flush_handlers(&vec![number + 1]).await?;
            }
        }
        self.settle_all().await
    }

    /// A failed host still runs the handlers it notified, if it was told to.
    async fn after_stop(&mut self, stop: Stop) {
        // Others' failures end it like its own.
        let fatal = matches!(stop, Stop::EndPlay) && self.play.is_fatal();
        if self.play.force_handlers && (fatal || matches!(stop, Stop::Failed(_))) {
            self.ending |= fatal;
            self.clear_failure();
            let _ = self.flush_handlers(&vec![self.section]).await;
            let _ = self.settle_all().await;
            return;
        }
        match stop {
            Stop::Failed(_) | Stop::Unreachable => {
                let names = self.notified_names();
                self.run.lost_handlers(&self.host, names);
            }
            Stop::EndPlay => {
                if fatal {
                    let names = self.notified_names();
                    self.run.lost_handlers(&self.host, names);
                }
                self.course.finish(&self.host, false);
            }
            Stop::EndHost => self.play.vars.remove_host(&self.host),
            Stop::EndBatch | Stop::EndRole(_) | Stop::Interrupted => {}
        }
    }

    /// Where everything before is settled, as others may know.
    fn tell_frontier(&self, here: &[u32]) {
        match self.queue.front() {
            Some(first) => self.course.advance(&self.host, &first.path),
            None => self.course.advance(&self.host, here),
        }
    }

    /// The step as it is announced to people.
    fn step(&self, task: &Arc<Task>, name: String, check: bool) -> Arc<Step> {
        Arc::new(Step {
            kind: if task.is_handler { StepKind::Handler } else { StepKind::Task },
            play: self.play.name.clone(),
            name,
            action: task.action.clone(),
            origin: Some(task.origin.clone()),
            check,
            no_log: false,
            tags: task.keywords.tags.clone(),
        })
    }

    pub(crate) fn warn(&self, text: String) {
        self.run.warn(text);
    }

    /// Wait for what an expression needs, then it can be tried again.
    pub(crate) async fn wait_for(&mut self, what: &PendingWhat, here: &Path) -> Flow {
        match what {
            PendingWhat::Call(ticket) => self.settle_until(*ticket).await,
            PendingWhat::Facts => self.settle_all().await,
            PendingWhat::Host(name) => {
                self.settle_all().await?;
                self.release();
                self.course.advance(&self.host, here);
                self.course.reached(name, here).await;
                self.run.may_read(&self.host, name, here);
                Ok(())
            }
        }
    }

    /// Try again and again until nothing that it needs is on its way.
    pub(crate) async fn settled<T>(
        &mut self,
        here: &Path,
        attempt: impl Fn(&Self) -> Result<T, Error>,
    ) -> Flow<Result<T, Error>> {
        loop {
            match attempt(self) {
                Err(error) => match error.is_pending().cloned() {
                    Some(what) => self.wait_for(&what, here).await?,
                    None => return Ok(Err(error)),
                },
                Ok(value) => return Ok(Ok(value)),
            }
        }
    }

    fn report(&self, path: &[u32], event: Event) {
        self.course.report(&self.host, path, event);
    }

    async fn acquire(&mut self) {
        if self.permit.is_none() {
            self.permit = self.run.forks.clone().acquire_owned().await.ok();
        }
    }

    fn release(&mut self) {
        self.permit = None;
    }
}
