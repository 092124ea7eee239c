//! An ordinary playbook deploys a web application.

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "A playbook is applied", tell };

fn tell(stage: &Stage) -> Result<(), Problem> {
    stage.say(
        "The project is an ordinary Ansible one: an inventory, a playbook, two roles. It installs a small web application as\n\
         a service of its own user. Theseus brings its agent to each host, once, and sends it the tasks ahead.\n",
    );
    stage.theseus(&["apply", "site.yml"])?;
    let changed: u64 = stage.last_run()?.iter().map(|host| host.counts.changed).sum();
    stage.say(&format!(
        "\n{changed} tasks changed something. From here, the three hosts are asked for their page:\n"
    ));
    stage.pages().map(drop)
}
