//! Somebody changes a server by hand: it is found, with what is known of it, and put back; and the odd host is named.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "A change by hand is found", tell };

/// What somebody does at night, without telling.
const BY_HAND: &str = "echo 'greeting = free beer' >>/etc/ship/ship.conf
if [ -d /run/systemd/system ]; then
  printf '[Service]\\nExecStart=/bin/sleep 100000\\n' >/etc/systemd/system/pirate.service
  systemctl daemon-reload; systemctl start pirate
fi";

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say("A first look at all servers. What Theseus did is explained by its layers; later looks compare with this one:\n");
    stage.theseus(&["drift"])?;
    stage.say("\nAt night somebody edits a file of the second server by hand, and starts a service of their own. Who did what?\n");
    stage.by_hand("web2", BY_HAND)?;
    stage.theseus(&["drift", "web2"])?;
    stage.say("\nWhich of the servers is the odd one?\n");
    stage.theseus(&["compare", "all"])?;
    stage.say("\nAnd it is put back:\n");
    stage.theseus(&["drift", "web2", "--fix"])?;
    let config = stage.file_of("web2", "/etc/ship/ship.conf")?;
    match config.contains("free beer") {
        false => Ok(()),
        true => Err("the change by hand is still there".to_owned().into()),
    }
}
