//! A small agent that speaks the protocol and does nothing, for the tests of the link.
//!
//! What a call does is its module: `echo` answers its arguments, `need` asks for the content `digest`, `sleep`
//! waits, `fail` fails, `die` ends the process without a word, `hang` stops answering anything at all.

use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use catalog::Map;
use catalog::protocol::{self, Call, FromAgent, Hello, MAGIC, Sealed, ToAgent};
use serde_json::json;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, flag, digest] = arguments.as_slice()
        && serve == "serve"
        && flag == "--digest"
    {
        let mine = blake3::hash(&std::fs::read("/proc/self/exe")?).to_hex();
        if mine.as_str() != digest {
            eprintln!("this agent is damaged");
            std::process::exit(3);
        }
        return serve_calls();
    }
    println!("fake-agent");
    Ok(())
}

fn serve_calls() -> io::Result<()> {
    io::stdout().write_all(MAGIC)?;
    io::stdout().flush()?;
    let (calls, queue) = mpsc::channel::<(u64, u32, u32, Call)>();
    let (blobs, contents) = mpsc::channel::<Option<Vec<u8>>>();
    let (epochs, epoch) = mpsc::channel::<u32>();
    std::thread::spawn(move || work(&queue, &contents, &epoch));
    let mut input = io::stdin().lock();
    while let Some((message, body)) = protocol::read_frame::<ToAgent>(&mut input)? {
        match message {
            ToAgent::Hello { .. } => say(&FromAgent::Hello(hello("first"))),
            ToAgent::Open { agent, escalate } if escalate.password.as_deref() == Some("wrong") => {
                let reason = "the password was refused".to_owned();
                say(&FromAgent::OpenFailed { agent, reason, password: true, timed_out: false });
            }
            ToAgent::Open { agent, escalate } => {
                say(&FromAgent::Opened { agent, hello: hello(&escalate.user) });
            }
            ToAgent::Call { id, agent, epoch, call } => drop(calls.send((id, agent, epoch, *call))),
            ToAgent::Resume { epoch } => drop(epochs.send(epoch)),
            ToAgent::Blob { .. } => drop(blobs.send(Some(body))),
            ToAgent::NoBlob { .. } => drop(blobs.send(None)),
            ToAgent::Ping => say(&FromAgent::Alive),
            ToAgent::Cancel { .. } => {}
            ToAgent::Bye { failed, .. } => {
                say(&FromAgent::Sealed(Sealed { generation: Some(7), made: !failed, ..Sealed::default() }));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn hello(user: &str) -> Hello {
    let version = protocol::VERSION;
    Hello { version, pid: std::process::id(), user: user.to_owned(), ..Hello::default() }
}

fn say(message: &FromAgent) {
    let _ = protocol::write_frame(&mut io::stdout().lock(), message, &[]);
}

fn work(
    queue: &mpsc::Receiver<(u64, u32, u32, Call)>,
    contents: &mpsc::Receiver<Option<Vec<u8>>>,
    epochs: &mpsc::Receiver<u32>,
) {
    let (mut failed, mut now) = (false, 0);
    for (id, agent, epoch, call) in queue {
        while let Ok(next) = epochs.try_recv() {
            (failed, now) = (false, next);
        }
        if failed || epoch != now {
            say(&FromAgent::Refused { id });
            continue;
        }
        let mut result = Map::new();
        match call.module.as_str() {
            "need" => result = need(agent, &call, contents),
            "sleep" => std::thread::sleep(Duration::from_millis(call.args["millis"].as_u64().unwrap_or(0))),
            "fail" => failed = !call.keep_going,
            "die" => std::process::exit(9),
            "hang" => stop_everything(),
            _ => result = call.args,
        }
        result.insert("agent".into(), json!(agent));
        say(&FromAgent::Done { id, result, paths: vec![], micros: 1 });
    }
}

fn need(agent: u32, call: &Call, contents: &mpsc::Receiver<Option<Vec<u8>>>) -> Map {
    let digest = call.args["digest"].as_str().unwrap_or_default().to_owned();
    say(&FromAgent::Need { agent, digest });
    let mut result = Map::new();
    match contents.recv() {
        Ok(Some(bytes)) => {
            result.insert("size".into(), json!(bytes.len()));
            result.insert("blake3".into(), json!(blake3::hash(&bytes).to_hex().as_str()));
        }
        _ => drop(result.insert("missing".into(), json!(true))),
    }
    result
}

/// Keep standard output locked, so that even the answers to pings do not get out.
fn stop_everything() {
    let _output = io::stdout().lock();
    let _ = io::repeat(0).take(0);
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}
