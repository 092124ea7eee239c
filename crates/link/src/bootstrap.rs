//! From a channel on which `sh` runs to an agent that listens: found on the host, or sent there once.

use std::borrow::Cow;
use std::time::Duration;

use catalog::protocol::{self, ToAgent};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::frames::{Frames, Opening};
use crate::image::Image;
use crate::session::{Patience, Shared};
use crate::transport::Host;
use crate::wire::{Sink, Wire, plain};
use crate::{Hello, LinkError, Target};

/// What a line of the script to us starts with.
const MARK: &str = "@theseus-bootstrap ";
const SCRIPT: &str = include_str!("bootstrap.sh");
const PIECE: usize = 32 * 1024;

/// So many agents are started at the same time: hosts that share a machine must not keep each other waiting.
static STARTS: Semaphore = Semaphore::const_new(64);

/// An agent that has said its magic word and has its greeting.
pub(crate) struct Started {
    frames: Frames,
    sink: Sink,
    pub(crate) pushed: bool,
    pub(crate) sent: u64,
}

impl Started {
    pub(crate) fn session(
        self,
        target: &Target,
    ) -> (std::sync::Arc<Shared>, oneshot::Receiver<Result<Hello, LinkError>>) {
        let patience = Patience { keep_alive: target.keep_alive, silence: target.patience };
        Shared::start(self.frames, self.sink, patience, if self.pushed { 2 } else { 0 })
    }
}

/// The script as one line that every login shell passes on unchanged: no newline, no quote, no exclamation mark.
fn one_line() -> String {
    let mut line = String::with_capacity(SCRIPT.len());
    for part in SCRIPT.lines().map(str::trim).filter(|part| !part.is_empty()) {
        line.push_str(part);
        let open = ["then", "do", "else", ";", "{", " in"].iter().any(|end| part.ends_with(end));
        line.push_str(if open { " " } else { "; " });
    }
    line
}

/// `sh`'s arguments.
fn arguments(image: &Image, greeting: usize, fresh: bool) -> Vec<String> {
    let numbers = [image.packed().len(), image.size(), greeting, usize::from(fresh)];
    let mut arguments = vec!["-c".to_owned(), one_line(), "theseus".to_owned(), image.digest().to_owned()];
    arguments.extend(numbers.iter().map(usize::to_string));
    arguments.push(image.sha256().to_owned());
    arguments
}

/// What a login shell is given to run.
pub(crate) fn command_line(arguments: &[String]) -> String {
    let mut line = "exec /bin/sh".to_owned();
    for argument in arguments {
        line.push(' ');
        let plain = argument.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        line.push_str(&if plain { argument.clone() } else { format!("'{argument}'") });
    }
    line
}

/// Run the script; push the agent if the host asks; at the end the agent listens.
pub(crate) async fn start(
    host: &Host,
    image: &Image,
    greeting: &ToAgent,
    target: &Target,
) -> Result<Started, LinkError> {
    let _turn = STARTS.acquire().await;
    let greeting = protocol::encode(greeting, &[])
        .map_err(|e| LinkError::Protocol { reason: format!("the greeting could not be written: {e}") })?;
    match attempt(host, image, &greeting, target, false).await? {
        Attempt::Started(started) => Ok(*started),
        // What is stored there does not run: damaged, or made for another machine. It is replaced once.
        Attempt::Died => match attempt(host, image, &greeting, target, true).await? {
            Attempt::Started(started) => Ok(*started),
            Attempt::Died => Err(LinkError::unreachable("the agent does not start on the host", None)),
        },
    }
}

enum Attempt {
    Started(Box<Started>),
    /// A stored agent was run and ended without a word.
    Died,
}

async fn attempt(
    host: &Host,
    image: &Image,
    greeting: &[u8],
    target: &Target,
    fresh: bool,
) -> Result<Attempt, LinkError> {
    let Wire { source, mut sink, said } = host.run(&arguments(image, greeting.len(), fresh)).await?;
    let mut frames = Frames::new(source, said);
    // Sent ahead: an agent that is there answers without another round trip, the script throws it away.
    let mut sent = greeting.len() as u64;
    let _ = timeout(target.timeout, sink.send(greeting.to_vec())).await;
    let (mut pushed, mut ran) = (false, false);
    loop {
        let limit = if pushed { target.patience.max(target.timeout) } else { target.timeout };
        let opening = match timeout(limit, frames.opening(MARK)).await {
            Ok(Ok(opening)) => opening,
            Ok(Err(e)) => {
                return Err(LinkError::lost(format!(
                    "the connection broke while the agent was started: {e}"
                )));
            }
            Err(_) => return Err(silent(&frames, limit)),
        };
        let word = match opening {
            Opening::Magic => {
                return Ok(Attempt::Started(Box::new(Started { frames, sink, pushed, sent })));
            }
            Opening::End(_) if ran && !fresh && !pushed => return Ok(Attempt::Died),
            Opening::End(printed) => {
                return Err(host.explain(no_agent(&frames, &printed), &frames.said.text()));
            }
            Opening::Word(word) => word,
        };
        match word.split_once(' ').unwrap_or((&word, "")) {
            ("run", _) => ran = true,
            ("need", kind) if !pushed => {
                pushed = true;
                // Not copied: hundreds of hosts may be sent it at the same time.
                let body =
                    if kind == "gzip" { Cow::Borrowed(image.packed()) } else { unpacked(image)?.into() };
                sent += body.len() as u64;
                push(&mut sink, &body, target.patience).await?;
            }
            ("stored", _) => {
                sent += greeting.len() as u64;
                let _ = timeout(target.timeout, sink.send(greeting.to_vec())).await;
            }
            ("fail", why) => return Err(LinkError::unreachable(plain(why), None)),
            _ => return Err(LinkError::Protocol { reason: format!("the host answered {:?}", plain(&word)) }),
        }
    }
}

fn unpacked(image: &Image) -> Result<Vec<u8>, LinkError> {
    image.binary().map_err(|e| LinkError::Protocol { reason: format!("the agent cannot be unpacked: {e}") })
}

/// Send the binary; every piece must get through in time.
async fn push(sink: &mut Sink, body: &[u8], patience: Duration) -> Result<(), LinkError> {
    for piece in body.chunks(PIECE) {
        match timeout(patience, sink.send(piece.to_vec())).await {
            Ok(Ok(())) => {}
            // The host stopped reading; what it says next tells why.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(LinkError::Timeout { what: "sending the agent".into(), after: patience }),
        }
    }
    Ok(())
}

fn silent(frames: &Frames, after: Duration) -> LinkError {
    let text = format!("{}\n{}", frames.printed(), frames.said.text());
    match summary(&text) {
        Some(text) => LinkError::unreachable(
            format!("the agent did not start within {:.0} s; the host printed: {text}", after.as_secs_f64()),
            None,
        ),
        None => LinkError::Timeout { what: "starting the agent".into(), after },
    }
}

/// The stream ended before the agent said a word.
fn no_agent(frames: &Frames, printed: &str) -> LinkError {
    let reason = match summary(printed) {
        Some(text) => format!(
            "the host ended the connection before the agent started{}; it printed: {text}",
            frames.said.epilogue()
        ),
        None => format!("the host ended the connection before the agent started{}", frames.said.epilogue()),
    };
    LinkError::unreachable(reason, None)
}

/// The first lines that say something.
fn summary(text: &str) -> Option<String> {
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).take(3).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_shells_pass_the_script_on_unchanged() {
        let line = one_line();
        for refused in ['\n', '\'', '!', '\\'] {
            assert!(!line.contains(refused), "{refused:?} in {line}");
        }
    }
}
