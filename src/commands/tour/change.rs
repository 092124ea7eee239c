//! A small change reaches all hosts, and is shown.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "Something is changed", tell };

const BEFORE: &str = "ship_greeting: \"If every plank is replaced, is it still the same ship?\"\n";
const AFTER: &str =
    "ship_greeting: \"It is: we have seen every plank go.\"\nship_planks: [keel, mast, rudder, sail]\n";

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say("The definition gets another greeting and one more plank:\n");
    stage.replace("group_vars/web.yml", BEFORE, AFTER)?;
    stage.say("\nWith --diff, Theseus shows what that means for the files of each host. It restarts the service, because the\nconfiguration has changed, and only then:\n");
    stage.theseus(&["apply", "site.yml", "--diff"])?;
    stage.say("\nAnd the pages now:\n");
    let pages = stage.pages()?;
    match pages.iter().all(|page| page.contains("seen every plank go") && page.contains("sail")) {
        true => Ok(()),
        false => Err("the pages do not show the change".to_owned().into()),
    }
}
