//! Applying again changes nothing.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "It is applied again", tell };

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say(
        "A playbook says how hosts shall be, not what to do: where they are so already, nothing happens.\n",
    );
    stage.theseus(&["apply", "site.yml"])?;
    let results = stage.last_run()?;
    if let Some(host) = results.iter().find(|host| host.counts.changed > 0) {
        return Err(format!("the second run changed {} again, which it must not", host.host).into());
    }
    stage.say(&format!("\nEvery task was looked at on {} hosts; changed=0 on each of them.", results.len()));
    Ok(())
}
