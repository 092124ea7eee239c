//! `theseus tour`: the whole story on throw-away hosts of this machine. One file a chapter.

mod again;
mod change;
mod deploy;
mod drift;
mod fleet;
mod history;
mod image;
mod project;
mod stage;
mod undo;

use std::time::Instant;

use crate::arguments::Tour;
use crate::report::{Output, Style};
use crate::setup::Problem;
use crate::terminal;
use stage::Stage;

/// A part of the story.
struct Chapter {
    title: &'static str,
    tell: fn(&Stage) -> Result<(), Problem>,
}

/// In the order in which they are told.
const CHAPTERS: &[Chapter] = &[
    deploy::CHAPTER,
    again::CHAPTER,
    change::CHAPTER,
    undo::CHAPTER,
    drift::CHAPTER,
    history::CHAPTER,
    image::CHAPTER,
    fleet::CHAPTER,
];

/// The exit code of whatever Ctrl-C ended.
const INTERRUPTED: u8 = 99;

pub(crate) fn tour(asked: &Tour, style: Style) -> u8 {
    let began = Instant::now();
    let stage = match Stage::set(style, asked.keep) {
        Ok(stage) => stage,
        Err(problem) => {
            return terminal::show(&problem, &playbook::Sources::new(), style.output == Output::Json);
        }
    };
    let told = tell(&stage, asked.pause);
    let interrupted = stage.interrupted();
    if told.is_ok() && !interrupted {
        stage.say(&format!("\nThat was the tour, in {:.0} seconds.", began.elapsed().as_secs_f64()));
    }
    let cleared = stage.clear();
    match told.and(cleared) {
        _ if interrupted => INTERRUPTED,
        Ok(()) => 0,
        Err(problem) => terminal::show(&problem, &playbook::Sources::new(), style.output == Output::Json),
    }
}

fn tell(stage: &Stage, pause: bool) -> Result<(), Problem> {
    for (number, chapter) in CHAPTERS.iter().enumerate() {
        if stage.interrupted() {
            return Ok(());
        }
        if pause && number > 0 {
            terminal::ask("\n[Enter] ", true);
        }
        stage.title(number + 1, chapter.title);
        (chapter.tell)(stage)?;
    }
    Ok(())
}
