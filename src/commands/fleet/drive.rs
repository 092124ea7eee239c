//! Waiting for a request to be done: by the controller that is at work, or by becoming it.

use std::time::{Duration, Instant};

use fleet::controller::{Asked, Stop};
use fleet::engine::{Observation, State};

use super::ground::Ground;
use super::status;
use crate::report::{Output, Style};
use crate::setup::Problem;

/// Another controller has taken over.
const LOST: u8 = 6;
/// How long an answer of another controller is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const PASS: Duration = Duration::from_millis(200);
/// The next look after something has moved.
const SOON: Duration = Duration::from_millis(20);

/// Stays until the request is answered and `over` gives an exit code.
pub(crate) fn until(
    ground: &Ground,
    number: u64,
    style: Style,
    over: impl Fn(&State, &Observation) -> Option<u8>,
) -> Result<u8, Problem> {
    let mut controller = match ground.controller() {
        Ok(controller) => controller,
        Err(Stop::Busy(_)) => return answered(ground, number, style),
        Err(stop) => return stopped(stop),
    };
    let mut shown = String::new();
    loop {
        let begun = Instant::now();
        let moved = match controller.tick() {
            Ok(moved) => moved,
            Err(stop) => return stopped(stop),
        };
        status::changed(&controller.state, &controller.seen, style, &mut shown);
        let refused = controller.state.answers.iter().find(|answer| answer.number == number);
        if let Some(why) = refused.and_then(|answer| answer.refused.clone()) {
            controller.end();
            return Err(Problem::Other(why));
        }
        let answered = controller.state.answered >= number;
        if answered
            && !controller.busy()
            && let Some(code) = over(&controller.state, &controller.seen)
        {
            controller.end();
            return Ok(code);
        }
        let pass = if moved { SOON } else { PASS };
        if let Err(stop) = controller.rest(pass.saturating_sub(begun.elapsed())) {
            return stopped(stop);
        }
    }
}

fn stopped(stop: Stop) -> Result<u8, Problem> {
    match stop {
        Stop::LostLease | Stop::Busy(_) => {
            eprintln!("another controller has taken over");
            Ok(LOST)
        }
        Stop::Problem(why) => Err(Problem::Other(why)),
    }
}

/// Somebody else is at work: only the answer is waited for.
fn answered(ground: &Ground, number: u64, style: Style) -> Result<u8, Problem> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match ground.store.answer(&ground.fleet.spec.name, number)? {
            Asked::Done => {
                if style.output != Output::Json {
                    println!("done; the controller that is at work goes on with it");
                }
                return Ok(0);
            }
            Asked::Refused(why) => return Err(Problem::Other(why)),
            Asked::Waiting => std::thread::sleep(PASS),
        }
    }
    Err(Problem::Other(
        "the controller that is at work has not answered; the request stays in the journal".to_owned(),
    ))
}
