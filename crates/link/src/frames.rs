//! Frames and the magic text, cut out of a stream of bytes.

use std::io;

use catalog::protocol::{FromAgent, MAGIC, frame_lengths};

use crate::wire::{Said, Source};

/// More than this before the magic text is not a greeting.
const MAX_NOISE: usize = 256 * 1024;
/// A buffer that grew for one large frame is given back.
const KEEP: usize = 64 * 1024;

pub(crate) struct Frames {
    pub(crate) source: Source,
    pub(crate) said: Said,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were used up.
    used: usize,
}

/// What came before frames.
pub(crate) enum Opening {
    Magic,
    /// A line of the bootstrap script, without its mark.
    Word(String),
    /// The stream ended; what was printed on standard output.
    End(String),
}

impl Frames {
    pub(crate) fn new(source: Source, said: Said) -> Self {
        Self { source, said, buffer: Vec::new(), used: 0 }
    }

    /// Wait for the magic text or a line starting with `mark`; everything else is skipped.
    pub(crate) async fn opening(&mut self, mark: &str) -> io::Result<Opening> {
        loop {
            let fresh = &self.buffer[self.used..];
            let magic = find(fresh, MAGIC);
            // Whatever stands before the magic text was said before it: a word must not be skipped because the
            // agent was quick to follow.
            let greeted = magic.unwrap_or(fresh.len());
            if let Some(at) = find(&fresh[..greeted], mark.as_bytes())
                && let Some(length) = fresh[at..].iter().position(|b| *b == b'\n')
            {
                let line = String::from_utf8_lossy(&fresh[at + mark.len()..at + length]).trim().to_owned();
                self.used += at + length + 1;
                return Ok(Opening::Word(line));
            }
            if let Some(at) = magic {
                self.used += at + MAGIC.len();
                return Ok(Opening::Magic);
            }
            if fresh.len() > MAX_NOISE {
                let text = String::from_utf8_lossy(&fresh[..1024]).into_owned();
                return Ok(Opening::End(text));
            }
            if !self.source.more(&mut self.buffer, &self.said).await? {
                self.source.farewell(&self.said).await;
                return Ok(Opening::End(String::from_utf8_lossy(&self.buffer[self.used..]).into_owned()));
            }
        }
    }

    /// A frame that is already here.
    pub(crate) fn take(&mut self) -> io::Result<Option<(FromAgent, usize)>> {
        let fresh = &self.buffer[self.used..];
        let Some(lengths) = fresh.first_chunk::<8>() else { return Ok(None) };
        let (header, body) = frame_lengths(*lengths)?;
        let size = 8 + header + body;
        if fresh.len() < size {
            return Ok(None);
        }
        let message = serde_json::from_slice(&fresh[8..8 + header])?;
        self.used += size;
        Ok(Some((message, size)))
    }

    /// Read more; false at the end of the stream. Safe to cancel.
    pub(crate) async fn more(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        }
        self.source.more(&mut self.buffer, &self.said).await
    }

    /// What was printed and is not understood yet.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.buffer[self.used..]).into_owned()
    }

    /// The stream ended inside a frame.
    pub(crate) fn partial(&self) -> bool {
        self.buffer.len() > self.used
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::wire::Wire;

    #[tokio::test]
    async fn words_before_the_magic_text_are_heard_even_when_both_come_at_once() {
        let mut command = tokio::process::Command::new("printf");
        command.arg("noise\\n@mark stored\\n\\000THESEUS-AGENT\\001\\n");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let wire = Wire::child(command.spawn().unwrap()).unwrap();
        let mut frames = Frames::new(wire.source, wire.said);
        assert!(matches!(frames.opening("@mark ").await.unwrap(), Opening::Word(word) if word == "stored"));
        assert!(matches!(frames.opening("@mark ").await.unwrap(), Opening::Magic));
    }
}
