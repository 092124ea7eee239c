//! `cargo xtask fuzz`: builds and runs `fuzz/` with libFuzzer, one target after the other. What `cargo fuzz` does with a nightly
//! compiler, this does with the stable one: the instrumentation is LLVM's, only sanitizers are not to be had.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell;
use crate::tally::Tally;

/// Each with the words its mutations use.
const TARGETS: &[(&str, &str)] = &[
    ("yaml", "yaml"),
    ("template", "jinja"),
    ("expression", "jinja"),
    ("inventory", "inventory"),
    ("vault", "vault"),
    ("keyvalue", "keyvalue"),
];

/// As `cargo fuzz` asks for coverage.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let (targets, minutes, keep) = parse(arguments)?;
    let folder = shell::root().join("fuzz");
    let built = build(&folder)?;
    let mut tally = Tally::default();
    for (name, words) in targets {
        let found = built.join("corpus").join(name);
        std::fs::create_dir_all(&found).with_context(|| found.display().to_string())?;
        let kept = folder.join("corpus").join(name);
        let mut fuzzer = Command::new(built.join(name));
        fuzzer.arg(&found).arg(&kept);
        fuzzer.arg(format!("-max_total_time={}", (minutes * 60.0).ceil()));
        fuzzer.arg(format!("-dict={}", folder.join("words").join(words).with_extension("dict").display()));
        fuzzer.arg(format!("-artifact_prefix={}/{name}-", built.display()));
        fuzzer.args([
            "-timeout=20",
            "-rss_limit_mb=3000",
            "-max_len=65536",
            "-print_final_stats=1",
            "-verbosity=0",
        ]);
        println!("fuzz {name}: {minutes} minutes");
        if shell::status(&mut fuzzer)?.success() {
            tally.passed += 1;
        } else {
            tally.failed.push(format!("fuzz {name}: the input is in {}", built.display()));
        }
        if keep {
            merge(&built.join(name), &kept, &found)?;
        }
    }
    Ok(tally)
}

type Named = (&'static str, &'static str);

fn parse(arguments: &[String]) -> Result<(Vec<Named>, f64, bool)> {
    let (mut targets, mut minutes, mut keep) = (Vec::new(), 1.0, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--minutes" => {
                let text = rest.next().context("--minutes wants a number")?;
                minutes = text.parse().with_context(|| format!("--minutes wants a number, not {text}"))?;
            }
            "--keep" => keep = true,
            name => {
                let known = TARGETS.iter().find(|target| target.0 == name);
                let names: Vec<&str> = TARGETS.iter().map(|target| target.0).collect();
                targets.push(
                    *known.with_context(|| format!("no target {name}; there are {}", names.join(", ")))?,
                );
            }
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    Ok((targets, minutes, keep))
}

/// Where the programs are. The target is named so that build scripts and macros are left as they are.
fn build(folder: &Path) -> Result<std::path::PathBuf> {
    let version = shell::output(Command::new("rustc").arg("-vV"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let target = shell::target()?.join("fuzz");
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--bins", "--target", host]).current_dir(folder);
    shell::run(cargo.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", COVERAGE))?;
    let built = target.join(host).join("release");
    ensure!(built.is_dir(), "{} is not there", built.display());
    Ok(built)
}

/// Takes over into the repository what reaches code that the kept corpus does not reach.
fn merge(fuzzer: &Path, kept: &Path, found: &Path) -> Result<()> {
    shell::run(Command::new(fuzzer).args(["-merge=1", "-verbosity=0"]).arg(kept).arg(found))
}
