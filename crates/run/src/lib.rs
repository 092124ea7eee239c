//! Plays over many hosts: who does what next, what is sent, what a result means, what people see of it.

pub mod actions;
mod argspec;
mod connections;
mod contents;
mod course;
pub mod event;
mod foreign;
mod handlers;
mod mentions;
mod outside;
mod play;
mod python;
mod results;
mod run;
pub mod settings;
mod walker;

use std::sync::Arc;

use playbook::Diagnostic;

pub use connections::Counted;
pub use event::Recap;
pub use outside::Progress;
pub use run::{Asker, Parts, Reread, Run};

use event::Event;
use play::Next;

impl Run {
    /// All plays, in order. `Err`: a play cannot begin; what was done until then is in the recap.
    pub async fn apply(self: &Arc<Self>) -> (Recap, Result<(), Diagnostic>) {
        let warn = Arc::downgrade(self);
        self.progress.warn_with(Box::new(move |text| {
            if let Some(run) = warn.upgrade() {
                run.warn(text);
            }
        }));
        self.progress.plugins_with(self.foreign.clone());
        let mut outcome = Ok(());
        for play in &self.project.plays.clone() {
            match self.play(play).await {
                Ok(Next::Play) => {}
                Ok(Next::Nothing) => break,
                Err(problem) => {
                    outcome = Err(problem);
                    break;
                }
            }
            if let Some(mistake) = self.mistake() {
                outcome = Err(mistake);
                break;
            }
            if self.interrupted() {
                break;
            }
        }
        let recap = self.finish().await;
        self.emit(&Event::Recap(recap.clone()));
        (recap, outcome)
    }
}
