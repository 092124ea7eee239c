//! `theseus plan PLAYBOOK…`: what would change, per host; and `theseus apply FILE`, which does exactly that or nothing.

mod change;
mod file;
mod foretold;
mod inputs;
mod irreversible;
mod show;

use crate::arguments::{Own, Plan, Playing};
use crate::commands::{apply, effect};
use crate::report::{Output, Style};

pub(crate) use file::is_plan;
use foretold::Foretold;

/// Nothing was done: so says `apply` of every mistake that it sees before a host is touched.
const REFUSED: &str = "nothing was done";

pub(crate) fn plan(asked: &Plan, style: Style, command: &str) -> u8 {
    effect::with_base(&asked.playing.given, style, |base| {
        let found = Foretold::of(&asked.playing, base, command)?;
        show::print(&found, style);
        if !found.failures.is_empty() {
            eprintln!("the plan is not whole: {} could not be foretold", found.failed_hosts().join(", "));
            return Ok(1);
        }
        if let Some(path) = &asked.out {
            file::write(path, &asked.playing, base, command, &found)?;
            if style.output != Output::Json {
                println!("written to {0}: `theseus apply {0}` does exactly this", path.display());
            }
        }
        Ok(if asked.exit_code && !found.changes.is_empty() { 2 } else { 0 })
    })
}

/// `theseus apply FILE`.
pub(crate) fn apply(typed: &Playing, own: &Own, style: Style, command: &str) -> u8 {
    effect::with_base(&typed.given, style, |base| {
        let path = &typed.playbooks[0];
        let plan = file::File::read(path)?;
        let playing = plan.playing(typed)?;
        plan.check_inputs(&playing, base)?;
        let warned = base.warnings.len();
        let now = Foretold::of(&playing, base, command)?;
        base.warnings.truncate(warned);
        plan.check(&now)?;
        if plan.hosts().is_empty() {
            eprintln!("{}: no host is in it; {REFUSED}", path.display());
            return Ok(0);
        }
        let mut exactly = Playing { check: typed.check, diff: typed.diff, ..playing };
        exactly.hosts.limit = Some(plan.hosts().join(","));
        apply::go(&exactly, own, style, command, base)
    })
}
