//! What was done is known afterwards, without asking a host.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "What was done is known", tell };

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say("The ledger on this machine has every run, with who, when and what became of each host:\n");
    stage.theseus(&["history"])?;
    stage.say("\nAnd one host's own story, with the tasks that changed it:\n");
    stage.theseus(&["history", "web1"])
}
