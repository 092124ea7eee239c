//! The agent's command line: spoken by the controller's link and by the agent itself, not by people.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::host::{clone, guard};
use crate::{jobs, serve};

/// `serve [--verify DIGEST | --state-dir DIR]`, `async-run`, `version`; also behind `theseus agent`.
pub fn main_args(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<String> = args.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["serve"] => serve_here(serve::state_dir()),
        ["serve", "--state-dir", dir] => serve_here(dir.into()),
        ["serve", "--verify" | "--digest", digest] => match verify(digest) {
            Ok(()) => serve_here(serve::state_dir()),
            Err(reason) => Err(reason),
        },
        ["guard", dir] => guard::detach(dir).map_err(|e| e.to_string()),
        ["guard-stay", dir] => guard::stay(dir),
        ["try-generation", dir, generation, check] => clone::attempt(dir, generation, check),
        ["async-run"] => jobs::run_detached().map_err(|e| e.to_string()),
        ["async-work"] => jobs::work().map_err(|e| e.to_string()),
        ["stray"] => witness::supervise().map_err(|e| e.to_string()),
        ["version"] => {
            println!("theseus-agent {} (protocol {})", env!("CARGO_PKG_VERSION"), catalog::protocol::VERSION);
            Ok(())
        }
        _ => Err("this program is started by `theseus` on the hosts that it manages".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("theseus-agent: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn serve_here(state_dir: std::path::PathBuf) -> Result<(), String> {
    // Not to be hung up with the terminal that sudo or su was given; fails where we lead a session already.
    _ = rustix::process::setsid();
    // As Ansible: relative paths are relative to the home directory.
    _ = std::env::set_current_dir(serve::home());
    let options = serve::Options { state_dir, may_exit: true, ..serve::Options::default() };
    // A lock on standard output could be held by whoever prints: the agent has its own descriptor.
    let output = rustix::io::dup(rustix::stdio::stdout()).map_err(|e| e.to_string())?;
    serve::serve(std::io::stdin(), std::fs::File::from(output), options).map_err(|e| e.to_string())
}

/// Are we the program that the controller means?
fn verify(digest: &str) -> Result<(), String> {
    let file = std::fs::File::open("/proc/self/exe").map_err(|e| e.to_string())?;
    let own = layer::Digest::of_reader(file).map_err(|e| e.to_string())?.to_string();
    let same = !digest.is_empty() && own.starts_with(&digest.to_ascii_lowercase());
    if same {
        Ok(())
    } else {
        Err(format!("this is not the program {digest} but {own}: it was damaged or exchanged"))
    }
}
