//! Becoming another user: sudo, su or doas on a pseudo-terminal of its own (they ask for passwords there, so that a
//! password never is an argument), with the new agent's data on pipes beside it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catalog::protocol::{Escalate, MAGIC, OnBehalfOf};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

use crate::module::plain;
use crate::spawn::{Start, prepare};

mod reasons;

/// What sudo is told to ask with.
const PROMPT: &str = "[theseus] password: ";
/// What the bootstrap script says when it wants the agent's binary.
const NEED: &[u8] = b"@theseus-need\n";
const SCRIPT: &str = include_str!("escalate/bootstrap.sh");

/// A running agent of another user, after its magic text.
pub(crate) struct Opened {
    pub(crate) process: Child,
    pub(crate) input: File,
    pub(crate) output: io::Chain<Cursor<Vec<u8>>, File>,
}

/// Why not. `password`: it is missing or wrong.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) password: bool,
    pub(crate) timed_out: bool,
}

impl Refused {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }
}

/// `door`: where a watch begins; `started` is told when somebody is through it.
pub(crate) fn open(
    how: &Escalate,
    cancelled: &AtomicBool,
    end: Instant,
    door: Option<witness::Door>,
    started: impl FnOnce(),
) -> Result<Opened, Refused> {
    let broken =
        |error: io::Error| Refused::new(format!("{} could not be started: {}", how.method, plain(&error)));
    if let Some(dir) = how.chdir.as_ref().filter(|dir| !std::path::Path::new(dir).is_dir()) {
        return Err(Refused::new(format!(
            "{} cannot be started there: cd {dir}: there is no such directory",
            how.method
        )));
    }
    let own = Own::find().map_err(broken)?;
    let terminal = Terminal::open().map_err(broken)?;
    let (process, input, output) = start(how, &own, &terminal, door).map_err(broken)?;
    started();
    let mut talk = Talk {
        how,
        own: &own,
        process,
        terminal: terminal.master,
        input,
        output,
        screen: Vec::new(),
        head: Vec::new(),
        answered: false,
    };
    let outcome = talk.until_ready(cancelled, end);
    if let Err(refused) = outcome {
        _ = talk.process.kill();
        _ = talk.process.wait();
        return Err(refused);
    }
    let Talk { process, terminal, input, output, head, .. } = talk;
    // What the agent's children say on the terminal must not fill it; and while it is open, nobody is hung up.
    let drained = std::thread::Builder::new().name("terminal".to_owned()).spawn(move || drain(terminal));
    drained.map_err(broken)?;
    rustix::io::ioctl_fionbio(&output, false).map_err(io::Error::from).map_err(broken)?;
    Ok(Opened { process, input, output: Cursor::new(head).chain(output) })
}

fn drain(mut terminal: File) {
    let mut buffer = [0; 4096];
    loop {
        match terminal.read(&mut buffer) {
            // EIO: nobody has the other end open any more.
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let mut polled = [PollFd::new(&terminal, PollFlags::IN)];
                _ = rustix::event::poll(&mut polled, None);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Our own program, for the other user to run.
struct Own {
    path: PathBuf,
    digest: String,
    bytes: Vec<u8>,
    args: Vec<&'static str>,
}

impl Own {
    fn find() -> io::Result<Self> {
        let bytes = std::fs::read("/proc/self/exe")?;
        Ok(Self {
            path: std::fs::read_link("/proc/self/exe")?,
            digest: layer::Digest::of(&bytes).to_string(),
            bytes,
            args: own_args("serve"),
        })
    }
}

/// The agent may be a program of its own or a hidden command of the large one.
pub(crate) fn own_args(command: &'static str) -> Vec<&'static str> {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == "agent") {
        vec!["agent", command]
    } else {
        vec![command]
    }
}

struct Terminal {
    master: File,
    slave: OwnedFd,
}

impl Terminal {
    fn open() -> io::Result<Self> {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        #[expect(clippy::disallowed_methods, reason = "a terminal of our own, no file of the host")]
        let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = rustix::termios::tcgetattr(&slave)?;
        settings.local_modes.remove(rustix::termios::LocalModes::ECHO);
        rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self { master: master.into(), slave })
    }
}

fn start(
    how: &Escalate,
    own: &Own,
    terminal: &Terminal,
    door: Option<witness::Door>,
) -> io::Result<(Child, File, File)> {
    let (data_in, our_out) = io::pipe()?;
    let (our_in, data_out) = io::pipe()?;
    let argv = command_line(how, own);
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .stderr(Stdio::from(terminal.slave.try_clone()?))
        .current_dir(how.chdir.as_deref().unwrap_or("/"));
    let mut extra = Vec::new();
    if how.method == "su" {
        // su asks on its standard input; the script takes the data from 8 and 9.
        command
            .stdin(Stdio::from(terminal.slave.try_clone()?))
            .stdout(Stdio::from(terminal.slave.try_clone()?));
        extra.push((rustix::io::fcntl_dupfd_cloexec(&data_in, 20)?, 8));
        extra.push((rustix::io::fcntl_dupfd_cloexec(&data_out, 20)?, 9));
    } else {
        command.stdin(Stdio::from(OwnedFd::from(data_in.try_clone()?)));
        command.stdout(Stdio::from(OwnedFd::from(data_out.try_clone()?)));
    }
    let slave = terminal.slave.try_clone()?;
    let give = extra.iter().map(|(fd, number)| (fd.as_raw_fd(), *number)).collect();
    prepare(
        &mut command,
        Start { session: true, terminal_on: Some(slave.as_raw_fd()), give, door, ..Start::default() },
    );
    let child = command.spawn()?;
    drop((extra, slave));
    let our_in = File::from(OwnedFd::from(our_in));
    rustix::io::ioctl_fionbio(&our_in, true)?;
    Ok((child, File::from(OwnedFd::from(our_out)), our_in))
}

/// The program with its arguments; Ansible's flags unless the task has its own.
fn command_line(how: &Escalate, own: &Own) -> Vec<OsString> {
    let given = |default: &str| -> Vec<String> {
        let flags = how.flags.clone().unwrap_or_else(|| default.to_owned());
        crate::words::split(&flags).unwrap_or_else(|_| flags.split_whitespace().map(str::to_owned).collect())
    };
    let exe = how.exe.clone().filter(|e| !e.is_empty()).unwrap_or_else(|| how.method.clone());
    let mut argv: Vec<OsString> =
        crate::words::split(&exe).unwrap_or_else(|_| vec![exe.clone()]).into_iter().map(Into::into).collect();
    let mut script: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), SCRIPT.into(), "sh".into()];
    script.push(own.path.clone().into());
    script.push(own.digest.clone().into());
    script.push(own.bytes.len().to_string().into());
    script.extend(own.args.iter().map(Into::into));
    let user = OsString::from(&how.user);
    match how.method.as_str() {
        "su" => {
            let flags = given("");
            let has_shell = flags.iter().any(|f| f.starts_with("-s") || f.starts_with("--shell"));
            argv.extend(flags.into_iter().map(Into::into));
            if !has_shell {
                argv.extend(["-s".into(), "/bin/sh".into()]);
            }
            let line: Vec<String> =
                script.iter().map(|word| crate::words::quote(&word.to_string_lossy())).collect();
            argv.extend([user, "-c".into(), format!("exec {} 0<&8 1>&9 8<&- 9>&-", line.join(" ")).into()]);
        }
        "doas" => {
            argv.extend(given("").into_iter().map(Into::into));
            if how.password.is_none() {
                argv.push("-n".into());
            }
            argv.extend(["-u".into(), user]);
            argv.extend(script);
        }
        _ => {
            // The password is given on the terminal: neither from standard input nor refused.
            let flags =
                given("-H -S -n").into_iter().filter_map(|flag| sudo_flag(flag, how.password.is_some()));
            argv.extend(flags.map(OsString::from));
            if how.password.is_some() {
                argv.extend(["-p".into(), PROMPT.into()]);
            }
            argv.extend(["-u".into(), user]);
            argv.extend(how.on_behalf_of.iter().flat_map(seen_as));
            argv.extend(script);
        }
    }
    argv
}

/// What sudo says to a program about who asked for it.
fn seen_as(who: &OnBehalfOf) -> [OsString; 4] {
    let OnBehalfOf { user, uid, gid } = who;
    let (uid, gid) = (format!("SUDO_UID={uid}"), format!("SUDO_GID={gid}"));
    ["env".into(), format!("SUDO_USER={user}").into(), uid.into(), gid.into()]
}

fn sudo_flag(flag: String, has_password: bool) -> Option<String> {
    match flag.as_str() {
        "-S" | "--stdin" => return None,
        "-n" | "--non-interactive" if has_password => return None,
        _ => {}
    }
    if !flag.starts_with('-') || flag.starts_with("--") {
        return Some(flag);
    }
    let kept: String = flag.chars().filter(|c| *c != 'S' && !(has_password && *c == 'n')).collect();
    (kept != "-").then_some(kept)
}

struct Talk<'a> {
    how: &'a Escalate,
    own: &'a Own,
    process: Child,
    terminal: File,
    input: File,
    output: File,
    /// What was written on the terminal.
    screen: Vec<u8>,
    /// What came on the data pipe.
    head: Vec<u8>,
    answered: bool,
}

impl Talk<'_> {
    /// Answer prompts until the agent's magic text comes.
    fn until_ready(&mut self, cancelled: &AtomicBool, end: Instant) -> Result<(), Refused> {
        loop {
            if self.ready()? {
                return Ok(());
            }
            self.answer()?;
            if cancelled.load(Ordering::Relaxed) {
                return Err(Refused::new("interrupted"));
            }
            if Instant::now() >= end {
                return Err(reasons::timeout(self.how, &self.text()));
            }
            let ended = self.process.try_wait().ok().flatten();
            self.listen(if ended.is_some() { Duration::ZERO } else { Duration::from_millis(50) });
            if let Some(status) = ended {
                if self.ready()? {
                    return Ok(());
                }
                return Err(reasons::ended(
                    self.how,
                    &self.text(),
                    &String::from_utf8_lossy(&self.head),
                    status,
                    self.answered,
                ));
            }
        }
    }

    fn ready(&mut self) -> Result<bool, Refused> {
        if let Some(at) = find(&self.head, MAGIC) {
            self.head.drain(..at + MAGIC.len());
            return Ok(true);
        }
        if let Some(at) = find(&self.head, NEED) {
            self.head.drain(..at + NEED.len());
            let sent = self.input.write_all(&self.own.bytes).and_then(|()| self.input.flush());
            sent.map_err(|e| {
                Refused::new(format!(
                    "the agent could not be copied for user {}: {}",
                    self.how.user,
                    plain(&e)
                ))
            })?;
        }
        Ok(false)
    }

    /// Is there a question at the end of the screen?
    fn answer(&mut self) -> Result<(), Refused> {
        let text = self.text();
        let line = text.rsplit('\n').next().unwrap_or_default();
        let asked = line.contains(PROMPT.trim_end())
            || (self.how.method != "sudo" && looks_like_prompt(line, &self.how.prompts));
        if !asked {
            return Ok(());
        }
        if self.answered {
            return Err(reasons::wrong_password(self.how));
        }
        let Some(password) = &self.how.password else { return Err(reasons::no_password(self.how)) };
        self.answered = true;
        self.screen.push(b'\n');
        let sent = self.terminal.write_all(format!("{password}\n").as_bytes());
        sent.map_err(|e| {
            Refused::new(format!("{} does not take the password: {}", self.how.method, plain(&e)))
        })
    }

    fn listen(&mut self, wait: Duration) {
        let mut polled =
            [PollFd::new(&self.terminal, PollFlags::IN), PollFd::new(&self.output, PollFlags::IN)];
        let time = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        _ = rustix::event::poll(&mut polled, Some(&time));
        let hung_up = polled[1].revents().contains(PollFlags::HUP);
        take(&mut self.terminal, &mut self.screen);
        take(&mut self.output, &mut self.head);
        if hung_up {
            // Its end is known in a moment.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen).replace('\r', "")
    }
}

/// `words`: those of the question, if somebody knows them.
fn looks_like_prompt(line: &str, words: &[String]) -> bool {
    let line = line.trim_end();
    let known = |word: &String| line.to_lowercase().contains(&word.to_lowercase());
    (line.ends_with(':') || line.ends_with('：')) && (words.is_empty() || words.iter().any(known))
}

/// What is there now, at most a little.
fn take(from: &mut File, to: &mut Vec<u8>) {
    const ENOUGH: usize = 256 * 1024;
    let mut buffer = [0; 4096];
    while to.len() < ENOUGH {
        match from.read(&mut buffer) {
            Ok(n) if n > 0 => to.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

/// Whether this is us already: no process is needed.
pub(crate) fn is_own(how: &Escalate) -> bool {
    crate::accounts::own_name() == how.user
}

/// For `is_own`: our own program, plainly.
pub(crate) fn open_own() -> Result<Opened, Refused> {
    let broken =
        |error: io::Error| Refused::new(format!("a second agent could not be started: {}", plain(&error)));
    let mut command = Command::new("/proc/self/exe");
    command.args(own_args("serve")).stdin(Stdio::piped()).stdout(Stdio::piped());
    prepare(&mut command, Start::default());
    let mut process = command.spawn().map_err(broken)?;
    let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
        return Err(Refused::new("a second agent has no pipes"));
    };
    let (input, mut output) = (File::from(OwnedFd::from(input)), File::from(OwnedFd::from(output)));
    let mut magic = [0; MAGIC.len()];
    output.read_exact(&mut magic).map_err(broken)?;
    debug_assert!(output.as_fd().as_raw_fd() > 2);
    Ok(Opened { process, input, output: Cursor::new(Vec::new()).chain(output) })
}
