//! Drives the lab by hand: `lab up N [--sshd] [--small] [--tied] [--base DIR] [--pool P] | list | exec NAME CMD… | delay NAME MS | tidy | down NAME|--all|--everything`.

use std::process::ExitCode;
use std::time::Instant;

use lab::{HostOptions, InitKind, Lab};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let verb = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    let outcome = match verb.as_str() {
        "up" => up(&arguments),
        "list" => list(),
        "exec" => return exec(&arguments),
        "down" => down(&arguments),
        "tidy" => Lab::open().and_then(|lab| lab.remove_strays()),
        "time" => time(),
        "delay" => delay(&arguments),
        _ => Err(lab::Error::Impossible(
            "lab up N | list | exec NAME CMD... | down NAME|--all|--everything".to_owned(),
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn value<'a>(arguments: &'a [String], flag: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(at + 1).map(String::as_str)
}

fn open(arguments: &[String]) -> lab::Result<Lab> {
    value(arguments, "--pool").map_or_else(Lab::open, Lab::pool)
}

fn up(arguments: &[String]) -> lab::Result<()> {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let count: usize = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(1);
    let options = |number: usize| HostOptions {
        base: value(arguments, "--base").map(Into::into),
        init: if has("--small") { InitKind::Small } else { InitKind::Auto },
        sshd: has("--sshd"),
        authorized_key: value(arguments, "--key").and_then(|path| std::fs::read_to_string(path).ok()),
        tied: has("--tied"),
        ..HostOptions::new(format!("host{number}"))
    };
    for line in Lab::missing() {
        eprintln!("{line}");
    }
    let start = Instant::now();
    let hosts = open(arguments)?.up(&(1..=count).map(options).collect::<Vec<_>>())?;
    for host in &hosts {
        println!("{} {} pid {} {:?} {}", host.name, host.address, host.pid, host.init, host.notes.join("; "));
    }
    eprintln!("{} hosts in {:?}", hosts.len(), start.elapsed());
    if has("--tied") {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    Ok(())
}

fn list() -> lab::Result<()> {
    let lab = Lab::open()?;
    for host in lab.list_everything() {
        let stray = host.stray.map(|reason| format!("STRAY: {reason}")).unwrap_or_default();
        println!("{}/{} {} pid {} {:?} {stray}", host.pool, host.name, host.address, host.pid, host.init);
    }
    for stray in lab.strays() {
        println!("stray {}: {}", stray.what, stray.reason);
    }
    Ok(())
}

fn exec(arguments: &[String]) -> ExitCode {
    let [name, program, rest @ ..] = arguments else { return ExitCode::FAILURE };
    let status =
        Lab::open().and_then(|lab| lab.get(name)).map(|host| host.command(program).args(rest).status());
    match status {
        Ok(Ok(status)) => {
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
        }
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn down(arguments: &[String]) -> lab::Result<()> {
    let lab = open(arguments)?;
    let start = Instant::now();
    match arguments.first().map(String::as_str) {
        Some("--all") | None => lab.down_all()?,
        Some("--everything") => lab.down_everything()?,
        Some(name) => lab.down(name)?,
    }
    eprintln!("down in {:?}", start.elapsed());
    Ok(())
}

fn delay(arguments: &[String]) -> lab::Result<()> {
    let [name, milliseconds] = arguments else { return Ok(()) };
    Lab::open()?.delay(name, std::time::Duration::from_millis(milliseconds.parse().unwrap_or(0)))
}

/// How long a command in a host takes, on average.
fn time() -> lab::Result<()> {
    let pool = Lab::pool("time")?;
    let host = pool.up(&[HostOptions { init: InitKind::Small, ..HostOptions::new("one") }])?.remove(0);
    let start = Instant::now();
    for _ in 0..200 {
        host.run("true", &[])?;
    }
    println!("a command in a host: {:?}", start.elapsed() / 200);
    pool.down_all()
}
