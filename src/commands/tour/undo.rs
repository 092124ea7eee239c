//! A shell command breaks a server; the record names what it did, and an undo heals it.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "A mistake is undone", tell };

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say("Somebody tidies up, with a shell command that no tool understands:\n");
    stage.theseus(&["apply", "careless.yml"])?;
    if stage.page_of("web1").is_ok_and(|page| page.contains("mast")) {
        return Err("the careless playbook has broken nothing".to_owned().into());
    }
    stage.say("\nThe first server is broken now. The command was watched while it ran, so its exact effect is known:\n");
    stage.theseus(&["show", "web1"])?;
    stage.say("\nAnd it is taken back, path by path; the service runs again as it did before:\n");
    stage.theseus(&["rollback", "web1"])?;
    stage.say("\nThe pages:\n");
    let pages = stage.pages()?;
    match pages.iter().all(|page| page.contains("keel mast rudder sail")) {
        true => Ok(()),
        false => Err("the pages are not as they were before the mistake".to_owned().into()),
    }
}
