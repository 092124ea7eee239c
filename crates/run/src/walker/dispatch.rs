//! Sending calls to hosts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use catalog::protocol::{Beside, Call, NEVER_REFUSED};
use playbook::ir::Task;

use super::prepare::Remote;
use super::settle::{Again, Item, Outcome, Sent};
use super::{Flow, Walker};
use crate::results;

impl Walker {
    /// Reach the host, become who is wanted, send. What cannot be sent is a result already.
    pub(crate) async fn dispatch(
        &mut self,
        remote: Remote,
        task: &Arc<Task>,
        sent: &Sent,
        item: &mut Item,
    ) -> Flow {
        let Remote { way, mut call, after } = remote;
        let elsewhere = way.name != *self.host;
        if elsewhere || !sent.shares_lane(task) {
            // Its order against what was sent before is seen only from here.
            self.settle_all().await?;
        }
        self.acquire().await;
        if self.queue.is_empty() {
            self.tell_now(&sent.step.name);
        }
        let (link, agent) = match self.run.connections.reach(&way).await {
            Ok(reached) => reached,
            Err(error) => {
                item.outcome = Outcome::Ready(match error {
                    link::LinkError::Escalate { reason, .. } => results::failed(reason),
                    other => results::unreachable(&other),
                });
                return Ok(());
            }
        };
        let lane = (way.name.clone(), agent);
        if self.lane.as_ref() != Some(&lane) {
            self.settle_all().await?;
            self.lane = Some(lane);
        }
        call.keep_going = item.traits.ignore_errors || sent.judged_here(task);
        call.group = if sent.looped { sent.ticket } else { 0 };
        call.beside = self.beside(&call, sent);
        if let Some(value) = &item.of.value {
            call.cause.item = value.python_str().unwrap_or_default();
        }
        if matches!(way.target.connection, link::Connection::Local) {
            self.run.variables.set_local_call(&self.host, Some(sent.ticket));
        }
        let epoch = if elsewhere { NEVER_REFUSED } else { self.epoch };
        let blobs = self.run.blobs.clone();
        item.again = Some(Again { link: link.clone(), agent, epoch, call: call.clone() });
        item.after = after;
        item.outcome = Outcome::Waiting(link.call(agent, epoch, call, blobs));
        Ok(())
    }

    /// Other names of that machine may do theirs at the same time.
    fn beside(&self, call: &Call, sent: &Sent) -> Option<Beside> {
        let several = self.play.several && self.run.settings.forks > 1;
        if !several || !crate::actions::takes_time(&call.module) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        // Without lockstep nobody waits for anybody.
        Some(&sent.path).filter(|_| !self.play.free).hash(&mut hasher);
        Some(Beside { step: hasher.finish(), lane: self.epoch })
    }
}
