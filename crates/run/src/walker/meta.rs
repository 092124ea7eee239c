//! `meta:` what a play says to the run itself.

use std::sync::Arc;

use catalog::Map;
use expressions::Error;
use playbook::Diagnostic;
use playbook::ir::Task;

use super::prepare::ItemOf;
use super::{Flow, Stop, Walker};
use crate::course::Path;
use crate::event::Event;

const KNOWN: [&str; 10] = [
    "flush_handlers",
    "noop",
    "clear_facts",
    "clear_host_errors",
    "reset_connection",
    "refresh_inventory",
    "end_host",
    "end_batch",
    "end_play",
    "end_role",
];

impl Walker {
    pub(crate) async fn meta(&mut self, task: &Arc<Task>, path: &Path) -> Flow {
        let what = match task.args.get("_raw_params").or_else(|| task.args.get("free_form")) {
            Some(value) => match self.settled(path, |w| w.template(task, value, &ItemOf::none())).await? {
                Ok(value) => value.as_str().unwrap_or_default().to_owned(),
                Err(error) => return self.fail(task, path, &error).await,
            },
            None => String::new(),
        };
        let unconditional = matches!(what.as_str(), "noop" | "reset_connection" | "refresh_inventory");
        if unconditional && !task.keywords.when.is_empty() {
            self.warn(format!("{what} task does not support when conditional"));
        }
        match self.settled(path, |w| w.condition_of(task, &ItemOf::none())).await? {
            Ok(None) => {}
            _ if unconditional => {}
            Ok(Some(_)) => return self.skip_meta(task, path, &what).await,
            Err(error) => return self.fail(task, path, &error).await,
        }
        if what == "flush_handlers" {
            self.say_meta(task, path, format!("triggered running handlers for {}", self.host)).await?;
            return Box::pin(self.flush_handlers(path)).await;
        }
        self.settle_all().await?;
        if let Some(said) = done(&what, &self.host, task) {
            self.say_meta(task, path, said).await?;
        }
        match what.as_str() {
            "noop" => Ok(()),
            "clear_facts" => {
                self.run.variables.clear_facts(&self.host);
                Ok(())
            }
            "clear_host_errors" => {
                self.course.advance(&self.host, path);
                self.run.clear_host_errors(&self.play.hosts);
                Ok(())
            }
            "reset_connection" => {
                self.lane = None;
                self.run.connections.close(&self.host).await;
                Ok(())
            }
            "refresh_inventory" => match self.run.refresh_inventory() {
                Ok(()) => Ok(()),
                Err(problem) => self.fail(task, path, &Error::new(problem)).await,
            },
            "end_host" => Err(Stop::EndHost),
            "end_batch" => {
                self.course.stop_after(path);
                Err(Stop::EndBatch)
            }
            "end_play" => {
                self.course.stop_after(path);
                self.play.ended.store(true, std::sync::atomic::Ordering::SeqCst);
                Err(Stop::EndPlay)
            }
            "end_role" => match &task.role {
                _ if task.is_handler => Err(self.misplaced(task, "Cannot execute 'end_role' from a handler")),
                Some(role) => Err(Stop::EndRole(role.work)),
                None => Err(self.misplaced(task, "Cannot execute 'end_role' from outside of a role")),
            },
            "role_complete" => Ok(()),
            other => {
                let near = catalog::arguments::nearest(other, KNOWN.into_iter())
                    .map(|n| format!("; did you mean `{n}`?"))
                    .unwrap_or_default();
                self.fail(task, path, &Error::new(format!("`meta` knows no `{other}`{near}"))).await
            }
        }
    }

    /// A mistake of the playbook's, which ends the run.
    fn misplaced(&self, task: &Task, why: &str) -> Stop {
        self.run.give_up(Diagnostic::new(why).at(&task.origin));
        self.course.stop_after(&[]);
        Stop::Interrupted
    }

    async fn say_meta(&mut self, task: &Arc<Task>, path: &Path, text: String) -> Flow {
        // Where hosts go their own ways nobody is told.
        if !self.play.free {
            self.settle_all().await?;
            self.announce(task, path).await?;
        }
        self.report(path, Event::Meta(text));
        Ok(())
    }

    /// People see that it was skipped; it does not count.
    async fn skip_meta(&mut self, task: &Arc<Task>, path: &Path, what: &str) -> Flow {
        let reason = format!("{what} conditional evaluated to False, {}", left(what, &self.host, task));
        self.say_meta(task, path, reason.clone()).await?;
        self.settle_all().await?;
        let sent = self.announce(task, path).await?;
        let mut skip = Map::new();
        let msg = if what == "end_host" { &reason } else { what };
        skip.insert("msg".to_owned(), msg.into());
        skip.insert("skip_reason".to_owned(), reason.into());
        self.report_skipped(&sent, skip);
        Ok(())
    }
}

fn role(task: &Task) -> &str {
    task.role.as_ref().map_or("", |role| &role.name)
}

/// What is said of one that is done.
fn done(what: &str, host: &str, task: &Task) -> Option<String> {
    Some(match what {
        "noop" => "noop".to_owned(),
        "clear_facts" => "facts cleared".to_owned(),
        "clear_host_errors" => "cleared host errors".to_owned(),
        "reset_connection" => "reset connection".to_owned(),
        "refresh_inventory" => "inventory successfully refreshed".to_owned(),
        "end_host" => format!("ending play for {host}"),
        "end_batch" => "ending batch".to_owned(),
        "end_play" => "ending play".to_owned(),
        "end_role" => format!("ending role {} for {host}", role(task)),
        _ => return None,
    })
}

/// What is said of one that is skipped.
fn left(what: &str, host: &str, task: &Task) -> String {
    match what {
        "clear_facts" => format!("not clearing facts and fact cache for {host}"),
        "clear_host_errors" => format!("not clearing host error state for {host}"),
        "flush_handlers" => format!("not running handlers for {host}"),
        "end_host" => format!("continuing execution for {host}"),
        "end_batch" => "continuing current batch".to_owned(),
        "end_play" => "continuing play".to_owned(),
        "end_role" => format!("continuing role {} for {host}", role(task)),
        _ => format!("not done for {host}"),
    }
}
