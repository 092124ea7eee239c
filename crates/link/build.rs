//! Builds the agent as a small static binary and hands it, compressed and with its digests, to `src/image.rs`.
//!
//! The agent is built by a cargo of its own (other flags, another profile) into a target directory of its own:
//! this build's directory is locked by the cargo that runs us.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

fn main() {
    if let Err(problem) = build() {
        for line in problem.lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let root = directory("CARGO_MANIFEST_DIR")?.join("../..");
    let out = directory("OUT_DIR")?;
    for watched in ["crates/agent", "crates/layer", "crates/catalog", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=THESEUS_AGENT_BINARY");
    // A binary made elsewhere: for those who package, or build for other machines.
    let binary = match env::var_os("THESEUS_AGENT_BINARY") {
        Some(given) => PathBuf::from(given),
        None => compile(&root, &out)?,
    };
    let agent = fs::read(&binary).map_err(|e| format!("{}: {e}", binary.display()))?;
    let level = if release() { flate2::Compression::best() } else { flate2::Compression::fast() };
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
    let packed = packer.write_all(&agent).and_then(|()| packer.finish()).map_err(|e| e.to_string())?;
    write(&out.join("agent.gz"), &packed)?;
    let sha256 = ring::digest::digest(&ring::digest::SHA256, &agent);
    let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=THESEUS_AGENT_BLAKE3={}", blake3::hash(&agent).to_hex());
    println!("cargo::rustc-env=THESEUS_AGENT_SHA256={sha256}");
    println!("cargo::rustc-env=THESEUS_AGENT_SIZE={}", agent.len());
    place_beside_the_program(&out, &binary)
}

fn release() -> bool {
    env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

/// Every agent is static; `-z pack-relative-relocs` and folding equal functions make it a tenth smaller.
const STATIC: &str = "-C target-feature=+crt-static";
const SMALLER: &str = " -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs";

fn compile(root: &Path, out: &Path) -> Result<PathBuf, String> {
    let target = shared_target(out).unwrap_or_else(|| out.to_owned()).join("agent-build");
    if !release() {
        return attempt(root, &target, "agent-dev", STATIC);
    }
    // Not every linker knows both, and a C library older than the second builds a program that does not start.
    match attempt(root, &target, "agent", &format!("{STATIC}{SMALLER}")) {
        Ok(binary) if starts(&binary) => Ok(binary),
        _ => attempt(root, &target, "agent", STATIC),
    }
}

fn starts(binary: &Path) -> bool {
    Command::new(binary).arg("version").output().is_ok_and(|output| output.status.success())
}

fn attempt(root: &Path, target: &Path, profile: &str, flags: &str) -> Result<PathBuf, String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(root).args(["build", "--quiet", "-p", "theseus-agent", "--bin", "theseus-agent"]);
    cargo.args(["--profile", profile, "--target", TRIPLE, "--target-dir"]).arg(target);
    if env::var("CARGO_NET_OFFLINE").is_ok_and(|value| value == "true") {
        cargo.arg("--offline");
    }
    // What the outer cargo, clippy or rust-analyzer set for their own build must not reach this one.
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO", "CARGO_TERM_COLOR"]
            .contains(&text)
            || text.starts_with("CARGO_REGISTR")
            || text.starts_with("CARGO_SOURCE");
        let outer = text.starts_with("CARGO") || text.starts_with("RUSTC") || text.starts_with("CLIPPY");
        if (outer && !kept)
            || ["TARGET", "HOST", "OUT_DIR", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"].contains(&text)
        {
            cargo.env_remove(&name);
        }
    }
    cargo.env("RUSTFLAGS", flags);
    let made = cargo.output().map_err(|e| format!("cargo could not be started to build the agent: {e}"))?;
    let binary = target.join(TRIPLE).join(profile).join("theseus-agent");
    if made.status.success() {
        return Ok(binary);
    }
    let why = String::from_utf8_lossy(&made.stderr);
    // Someone who works on another room while the agent is in pieces goes on with the last one that was whole.
    if !release() && binary.exists() {
        println!("cargo::warning=the agent does not compile; its last build is used: {}", first_error(&why));
        return Ok(binary);
    }
    Err(format!("the agent could not be built:\n{why}"))
}

fn first_error(why: &str) -> &str {
    why.lines().find(|line| line.starts_with("error")).unwrap_or("see `cargo build -p theseus-agent`")
}

/// The outer `target/`, so that all outer profiles and features share one build of the agent.
fn shared_target(out: &Path) -> Option<PathBuf> {
    // target/<profile>/build/<package>/out
    profile_directory(out)?.parent().map(Path::to_owned)
}

fn profile_directory(out: &Path) -> Option<PathBuf> {
    let build = out.ancestors().find(|path| path.file_name().is_some_and(|name| name == "build"))?;
    build.parent().map(Path::to_owned)
}

/// `target/<profile>/theseus-agent`, for people who want to look at it or carry it over themselves.
fn place_beside_the_program(out: &Path, binary: &Path) -> Result<(), String> {
    let Some(profile) = profile_directory(out) else { return Ok(()) };
    let place = profile.join("theseus-agent");
    // Removed first: a running agent's file cannot be written. Cargo's own dynamic build of it may lie there too.
    let _ = fs::remove_file(&place);
    fs::copy(binary, &place).map(|_| ()).map_err(|e| format!("{}: {e}", place.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn directory(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set: run this through cargo"))
}
