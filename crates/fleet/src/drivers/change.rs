//! Bringing a member to a generation where it stands: a run of a playbook by this very program, with the generation's
//! name as the variable `theseus_generation`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::engine::{Fault, Generation, MemberId, Outcome};

/// Ends a run when whoever began it is killed; the next contact with the host finds that out, and puts it right.
const TIED: &str = "/usr/bin/setpriv";
/// So much of what a failed run says is kept.
const SAID: usize = 300;

#[derive(Clone, Debug)]
pub struct Change {
    /// This program.
    pub program: PathBuf,
    /// Where the project is.
    pub project: PathBuf,
    pub playbook: String,
}

impl Change {
    /// Whether there is such a playbook.
    pub(super) fn prepare(&self) -> Outcome {
        let playbook = self.project.join(&self.playbook);
        if playbook.is_file() {
            return Outcome::Done;
        }
        Outcome::Failed { fault: Fault::Image, why: format!("there is no playbook {}", playbook.display()) }
    }

    fn command(&self, member: &MemberId, generation: &Generation, inventory: &[String]) -> Command {
        let tied = Path::new(TIED).exists();
        let mut command = Command::new(if tied { Path::new(TIED) } else { self.program.as_path() });
        if tied {
            command.args(["--pdeathsig", "KILL"]).arg(&self.program);
        }
        command.args(["apply", &self.playbook, "--limit", &member.0, "--output", "plain"]);
        for source in inventory {
            command.args(["-i", source]);
        }
        let variables = serde_json::json!({"theseus_generation": generation}).to_string();
        command.args(["-e", &variables]).current_dir(&self.project).stdin(Stdio::null());
        command
    }

    pub(super) fn run(
        &self,
        member: &MemberId,
        generation: &Generation,
        inventory: &[String],
    ) -> std::io::Result<Outcome> {
        let ended = self.command(member, generation, inventory).output()?;
        let Some(code) = ended.status.code() else { return Ok(Outcome::Unknown) };
        if code == 0 {
            return Ok(Outcome::Done);
        }
        let said = [ended.stderr, ended.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let line = said.iter().flat_map(|text| text.lines()).find(|line| !line.trim().is_empty());
        let line: String = line.unwrap_or("nothing was said").chars().take(SAID).collect();
        let why = format!("{} on {member} ended with {code}: {line}", self.playbook);
        Ok(Outcome::Failed { fault: Fault::Start, why })
    }
}
