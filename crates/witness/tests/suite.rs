//! The witness from outside: helper processes (this very program, called again) do what the witness must not miss.
//! A runner of our own: a helper must be a plain process, without the threads of the usual one.
#![expect(
    clippy::unwrap_used,
    unsafe_code,
    reason = "a test ends at what goes wrong; helpers make raw system calls"
)]

mod helpers;
mod tests;
mod watching;

use std::panic::catch_unwind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["helper", name, dir] => return helpers::run(name, dir),
        ["supervise"] => return witness::supervise().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        _ => {}
    }
    let filter = args.iter().find(|arg| !arg.starts_with("--"));
    let chosen: Vec<_> = tests::ALL
        .iter()
        .filter(|(name, _)| filter.is_none_or(|part| name.contains(part.as_str())))
        .collect();
    if args.iter().any(|arg| arg == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, test) in &chosen {
        if let Err(refused) = witness::ready(witness::Mode::Watch) {
            println!("SKIPPED {name}: processes cannot be watched here: {refused}");
            println!("test {name} ... ok");
            continue;
        }
        let well = catch_unwind(test).is_ok();
        failed += usize::from(!well);
        println!("test {name} ... {}", if well { "ok" } else { "FAILED" });
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
