//! Runs a program under watch and says what was seen: `watch STATE-DIR PROGRAM [ARGUMENT]…` (without a watch where
//! STATE-DIR is `-`). `watch --undo STATE-DIR GENERATION` goes back. For trying things out, and for measurements.
#![expect(unsafe_code, reason = "`pre_exec` is unsafe; the door makes system calls only")]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use layer::{Recorder, Run};
use witness::{Gate, Mode};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let state = args.next().ok_or("where is the record to be kept?")?;
    if state == "--undo" {
        return undo(&mut args);
    }
    let mut command = Command::new(args.next().ok_or("which program?")?);
    command.args(args);
    let start = Instant::now();
    if state == "-" {
        let status = command.status()?;
        eprintln!("not watched: {:.3} s", start.elapsed().as_secs_f64());
        return Ok(ExitCode::from(status.code().unwrap_or(255) as u8));
    }
    let mut recorder = Recorder::new(state.into(), Run::default());
    let gate = Gate::new(Mode::Watch).map_err(|refused| refused.to_string())?;
    let door = gate.door();
    // SAFETY: system calls only.
    unsafe { command.pre_exec(move || door.enter()) };
    let mut child = command.spawn()?;
    let listener = gate.listener().map_err(|refused| refused.to_string())?;
    let (seen, status) = std::thread::scope(|scope| {
        let serving = scope.spawn(|| listener.serve(&mut recorder));
        let status = child.wait();
        listener.end();
        (serving.join(), status)
    });
    let seen = seen.map_err(|_| "the watch broke off")?;
    let ran = start.elapsed();
    recorder.settle_watched()?;
    let settled = start.elapsed();
    let steps = recorder.steps().len();
    recorder.seal(false)?;
    eprintln!(
        "{} calls, {steps} paths, error: {:?}, living on: {:?}\nran {:.3} s, settled {:.3} s, sealed {:.3} s",
        seen.calls,
        seen.error,
        seen.strays,
        ran.as_secs_f64(),
        (settled - ran).as_secs_f64(),
        (start.elapsed() - settled).as_secs_f64(),
    );
    Ok(ExitCode::from(status?.code().unwrap_or(255) as u8))
}

fn undo(args: &mut impl Iterator<Item = String>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let state = args.next().ok_or("where is the record?")?;
    let to = args.next().ok_or("to which generation?")?.parse()?;
    let start = Instant::now();
    let options = layer::history::Options { to, ..Default::default() };
    let report = layer::history::undo(state.as_ref(), &options, Run::default())?;
    for conflict in &report.conflicts {
        eprintln!("{} is not as it was left: {:?}", conflict.path.display(), conflict.what);
    }
    let (restored, seconds) = (report.restored.len(), start.elapsed().as_secs_f64());
    eprintln!("{restored} paths put back in {seconds:.3} s; cannot be taken back: {:?}", report.irreversible);
    Ok(if report.conflicts.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
