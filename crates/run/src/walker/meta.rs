//! `meta:` what a play says to the run itself.

use std::sync::Arc;

use catalog::Map;
use expressions::Error;
use playbook::ir::Task;

use super::prepare::ItemOf;
use super::{Flow, Stop, Walker};
use crate::course::Path;

impl Walker {
    pub(crate) async fn meta(&mut self, task: &Arc<Task>, path: &Path) -> Flow {
        let what = match task.args.get("_raw_params").or_else(|| task.args.get("free_form")) {
            Some(value) => match self.settled(path, |w| w.template(task, value, &ItemOf::none())).await? {
                Ok(value) => value.as_str().unwrap_or_default().to_owned(),
                Err(error) => return self.fail(task, path, &error).await,
            },
            None => String::new(),
        };
        match self.settled(path, |w| w.condition_of(task, &ItemOf::none())).await? {
            Ok(None) => {}
            Ok(Some(skip)) => return self.skip_meta(task, path, &what, skip).await,
            Err(error) => return self.fail(task, path, &error).await,
        }
        if what == "flush_handlers" {
            return Box::pin(self.flush_handlers(path)).await;
        }
        self.settle_all().await?;
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
            "refresh_inventory" => {
                self.run.refresh_inventory();
                Ok(())
            }
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
                Some(role) => Err(Stop::EndRole(role.instance)),
                None => self.fail(task, path, &Error::new("`meta: end_role` works only inside a role")).await,
            },
            "role_complete" => Ok(()),
            other => {
                let known = [
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
                let near = catalog::arguments::nearest(other, known.into_iter())
                    .map(|n| format!("; did you mean `{n}`?"))
                    .unwrap_or_default();
                self.fail(task, path, &Error::new(format!("`meta` knows no `{other}`{near}"))).await
            }
        }
    }

    /// People see that it was skipped; it does not count.
    async fn skip_meta(&mut self, task: &Arc<Task>, path: &Path, what: &str, skip: Map) -> Flow {
        if matches!(what, "flush_handlers" | "noop" | "reset_connection") {
            return Ok(());
        }
        self.settle_all().await?;
        let sent = self.announce(task, path).await?;
        self.report_skipped(&sent, skip);
        Ok(())
    }
}
