//! The developers' front door: `cargo xtask test|lint|conformance|bench|demo|setup`.

mod base;
mod bench;
mod conformance;
mod fleets;
mod fuzz;
mod images;
mod lint;
mod rollouts;
mod setup;
mod shell;
mod tally;
mod test;
mod trials;
mod upstream;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
cargo xtask COMMAND

  setup                         install what the tests need (as root: Debian packages; the real ansible-core in a virtual environment)
  test                          setup, build, all tests, the trials, the conformance suite; ends with `N passed, N failed, N skipped`
  conformance [NAME…] [--keep]  the playbooks of tests/conformance with the real ansible-core and with Theseus, compared
      --oracle-only             only the real ansible-core: remember its results, or compare it with what is remembered
      --roles                   the public roles of tests/roles.toml instead; THESEUS_ROLES: where OWNER/NAME are, if not at GitHub
      --release                 with --roles: Theseus as it is released, for its figures
      --fresh                   do not use remembered results of the real ansible-core
      --upstream [TARGET…]      instead of them, the integration suite of ansible-core itself, from its source distribution
      --theseus-only            with --upstream: do not run the real ansible-core
      --release, --alone        with --upstream: a release build of Theseus; one target at a time
  trials [BATTERY…]             crashes, power cuts and I/O errors at every step of a run; `trials help` tells more
  rollouts [--schedules N]      seeded schedules of faults for rollouts; `--from SEED`, `--trace SEED` shows one
  fleets [lab|docker] [proxy|haproxy] [--kills N] [--quick]
                                rollouts of six members under load: lost requests, healthy members, bad images;
                                THESEUS: built already
  fuzz [TARGET…] [--minutes N]  libFuzzer on everything that reads what people write, a minute each if nobody says;
                                `--keep` takes what it found worth keeping over into fuzz/corpus
  images [PART]                 roles, kills [N], living, engines, disk: images baked, killed, run by Docker, booted in QEMU; THESEUS: built already
  lint                          format, clippy, rooms, file lengths, documents, licences, advisories
  plant [N]                     N (1000) changes by hand planted on a lab host before an upgrade: all found, all put back;
                                the odd one of 20 hosts, the bad one of 30 generations
  bench [NAME…]                 what is in bench/
  demo                          theseus tour
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match run(&command, &rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, arguments: &[String]) -> Result<ExitCode> {
    std::env::set_current_dir(shell::root())?;
    match command {
        "setup" => setup::run().map(|()| ExitCode::SUCCESS),
        "test" => test::run(),
        "conformance" if arguments.iter().any(|argument| argument == "--upstream") => {
            Ok(upstream::run(&upstream::Options::parse(arguments)?)?.conclude())
        }
        "conformance" => {
            let tally = conformance::run(&conformance::Options::parse(arguments)?)?;
            Ok(tally.conclude())
        }
        "trials" => Ok(trials::run(arguments)?.conclude()),
        "rollouts" => rollouts::run(arguments),
        "images" => Ok(images::run(arguments)?.conclude()),
        "fleets" => Ok(fleets::run(arguments)?.conclude()),
        "fuzz" => Ok(fuzz::run(arguments)?.conclude()),
        "lint" => lint::run(),
        "plant" => plant(arguments),
        "bench" => bench::run(arguments),
        "demo" => bench::demo(),
        _ => {
            eprint!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

/// The drift test with as many changes as wished, the odd one of twenty hosts, the bad one of thirty generations.
fn plant(arguments: &[String]) -> Result<ExitCode> {
    let number = arguments.first().map_or("1000", String::as_str);
    let mut command = shell::cargo();
    command.args(["test", "--package", "theseus", "--test", "suite", "--", "--nocapture"]);
    command
        .args(["all_that_was_planted", "the_odd_host", "the_generation_that_broke"])
        .env("THESEUS_PLANT", number)
        .env("THESEUS_HOSTS", "20");
    let status = shell::status(&mut command)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
