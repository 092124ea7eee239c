//! The playbook that changed servers makes an image, too.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "The same playbook makes an image", tell };

const BEFORE: &str = "ship_greeting: \"It is: we have seen every plank go.\"\n";
const AFTER: &str = "ship_greeting: \"Or is the new one the same ship?\"\n";

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say("theseus.yml names a base and the groups that the image is a host of; the playbook is the one that was applied in\nplace. Every step that changes something leaves a layer:\n");
    stage.theseus(&["bake", "ship"])?;
    stage.say(
        "\nThe definition gets another greeting. The bake begins at the first step that this changes:\n",
    );
    stage.replace("group_vars/web.yml", BEFORE, AFTER)?;
    stage.theseus(&["bake", "ship"])?;
    if stage.has_systemd() {
        stage.say("\nDoes it work? It starts as a server; the playbook must find nothing to change, and the ship must answer:\n");
        stage.theseus(&["image", "test", "ship"])?;
        stage.theseus(&["image", "promote", "ship", "production"])?;
    }
    stage.theseus(&["image", "list"])
}
