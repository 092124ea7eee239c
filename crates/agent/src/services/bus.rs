//! systemd asked by D-Bus on its private socket: what a unit's state is, without a process for each question.
//! Questions only, and only of what a few words answer; everything else is `systemctl`'s.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where systemd itself listens, for root.
const SOCKET: &str = "/run/systemd/private";

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// Suffixes that make a name a unit's; any other name is a service's.
const KINDS: &[&str] = &[
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".path",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// Nobody answered once.
static SILENT: AtomicBool = AtomicBool::new(false);

/// What is asked of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct States {
    pub(super) load: String,
    pub(super) active: String,
    pub(super) file: String,
}

/// `None`: nobody answers, or not so that it is understood; `systemctl` shall be asked.
pub(super) fn ask(unit: &str) -> Option<States> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    if unit.is_empty() || !unit.chars().all(plain) {
        return None;
    }
    let is_unit = KINDS.iter().any(|kind| unit.ends_with(kind));
    let name = if is_unit { unit.to_owned() } else { format!("{unit}.service") };
    if SILENT.load(Ordering::Relaxed) {
        return None;
    }
    let told = Bus::connect().and_then(|mut bus| bus.states(&name));
    // Whoever does not answer in time is not asked again.
    if told.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
        SILENT.store(true, Ordering::Relaxed);
    }
    told.ok()
}

struct Bus {
    stream: UnixStream,
    serial: u32,
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Bus {
    fn connect() -> io::Result<Self> {
        let mut stream = UnixStream::connect(SOCKET)?;
        let patience = Some(Duration::from_secs(2));
        stream.set_read_timeout(patience)?;
        stream.set_write_timeout(patience)?;
        // Who we are, as hexadecimal digits of the number's decimal ones.
        let uid = crate::files::hex(rustix::process::geteuid().as_raw().to_string().as_bytes());
        // In one piece: systemd looks at what comes with the last word only when there is more to read.
        stream.write_all(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") && answer.len() < 200 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"OK ") {
            return Err(odd("systemd does not let us in"));
        }
        Ok(Self { stream, serial: 0 })
    }

    fn states(&mut self, unit: &str) -> io::Result<States> {
        let asked = self.send("/org/freedesktop/systemd1", MANAGER, "LoadUnit", &[unit])?;
        let body = self.receive(asked)?;
        let path = text(&body, 0).ok_or_else(|| odd("no path of a unit"))?.to_owned();
        // All three at once: one wait for all answers.
        let mut serials = Vec::new();
        for property in ["LoadState", "ActiveState", "UnitFileState"] {
            serials.push(self.send(&path, "org.freedesktop.DBus.Properties", "Get", &[UNIT, property])?);
        }
        let mut answers = Vec::new();
        for serial in serials {
            let body = self.receive(serial)?;
            answers.push(variant(&body).ok_or_else(|| odd("no text"))?.to_owned());
        }
        let mut next = answers.into_iter();
        let mut take = || next.next().unwrap_or_default();
        Ok(States { load: take(), active: take(), file: take() })
    }

    fn send(&mut self, path: &str, interface: &str, member: &str, args: &[&str]) -> io::Result<u32> {
        self.serial += 1;
        self.stream.write_all(&call(self.serial, path, interface, member, args))?;
        Ok(self.serial)
    }

    /// The body of the answer to a call; signals that come between are let pass.
    fn receive(&mut self, serial: u32) -> io::Result<Vec<u8>> {
        const LARGEST: usize = 1 << 20;
        loop {
            let mut fixed = [0; 16];
            self.stream.read_exact(&mut fixed)?;
            let number = |at: usize| u32_at(&fixed, at).unwrap_or(0) as usize;
            let (body, fields) = (number(4), number(12));
            if fixed[0] != b'l' || body > LARGEST || fields > LARGEST {
                return Err(odd("not a message"));
            }
            let header = padded(fields, 8);
            let mut rest = vec![0; header + body];
            self.stream.read_exact(&mut rest)?;
            if answers(&rest[..fields]) != Some(serial) {
                continue;
            }
            return match fixed[1] {
                2 => Ok(rest.split_off(header)),
                _ => Err(odd("systemd refuses the question")),
            };
        }
    }
}

fn padded(length: usize, to: usize) -> usize {
    length.div_ceil(to) * to
}

fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(padded(bytes.len(), to), 0);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    align(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

/// A call with texts as its arguments, as bytes.
fn call(serial: u32, path: &str, interface: &str, member: &str, args: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for arg in args {
        put_text(&mut body, arg);
    }
    let signature = "s".repeat(args.len());
    let mut fields = Vec::new();
    for (code, kind, value) in
        [(1, 'o', path), (2, 's', interface), (3, 's', member), (6, 's', "org.freedesktop.systemd1")]
    {
        align(&mut fields, 8);
        fields.extend([code, 1, kind as u8, 0]);
        put_text(&mut fields, value);
    }
    align(&mut fields, 8);
    fields.extend([8, 1, b'g', 0, signature.len() as u8]);
    fields.extend(signature.as_bytes());
    fields.push(0);
    // Little endian, a call, no flags, version 1.
    let mut message = vec![b'l', 1, 0, 1];
    for number in [body.len() as u32, serial, fields.len() as u32] {
        message.extend(number.to_le_bytes());
    }
    message.extend(fields);
    align(&mut message, 8);
    message.extend(body);
    message
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn text(bytes: &[u8], at: usize) -> Option<&str> {
    let length = u32_at(bytes, at)? as usize;
    std::str::from_utf8(bytes.get(at + 4..(at + 4).checked_add(length)?)?).ok()
}

/// A text in a variant: its signature, then the value.
fn variant(body: &[u8]) -> Option<&str> {
    if body.get(..3)? != [1, b's', 0] { None } else { text(body, 4) }
}

/// Which call a message answers, by the fields of its header.
fn answers(fields: &[u8]) -> Option<u32> {
    let mut at = 0;
    while at < fields.len() {
        at = padded(at, 8);
        let (code, kind) = (*fields.get(at)?, *fields.get(at + 2)?);
        at += 4;
        if code == 5 {
            return u32_at(fields, padded(at, 4));
        }
        at = match kind {
            b's' | b'o' => padded(at, 4) + 4 + u32_at(fields, padded(at, 4))? as usize + 1,
            b'g' => at + 1 + usize::from(*fields.get(at)?) + 1,
            b'u' => padded(at, 4) + 4,
            _ => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let message = call(7, "/a", "i.f", "Get", &["x", "yz"]);
        assert_eq!(&message[..4], [b'l', 1, 0, 1]);
        assert_eq!((u32_at(&message, 4), u32_at(&message, 8)), (Some(15), Some(7)));
        let fields = u32_at(&message, 12).unwrap() as usize;
        let body = &message[padded(16 + fields, 8)..];
        assert_eq!((text(body, 0), text(body, 8)), (Some("x"), Some("yz")));
        assert!(message.windows(8).any(|part| part == b"\x08\x01g\0\x02ss\0"));
    }

    #[test]
    fn an_answer_is_known_by_its_serial() {
        let mut fields = vec![6, 1, b's', 0];
        put_text(&mut fields, ":1.5");
        align(&mut fields, 8);
        fields.extend([5, 1, b'u', 0, 9, 0, 0, 0]);
        assert_eq!(answers(&fields), Some(9));
        assert_eq!(answers(&[1, 1, b'o']), None);
        assert_eq!(variant(b"\x01s\0\0\x02\0\0\0ok\0"), Some("ok"));
        assert_eq!(variant(b"\x01u\0\0\x02\0\0\0"), None);
        assert_eq!(variant(b"\x01s\0\0\xff\xff\xff\xff"), None);
    }

    #[test]
    fn names_that_systemctl_would_rewrite_are_left_to_it() {
        assert_eq!(ask("/dev/sda1"), None);
        assert_eq!(ask(""), None);
    }
}
