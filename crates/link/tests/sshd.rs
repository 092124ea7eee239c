//! A real sshd on a loopback port, with its own keys, for one test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use link::{Connection, SshMode, SshTarget, Target};

pub(crate) struct Sshd {
    pub(crate) port: u16,
    pub(crate) directory: tempfile::TempDir,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn keygen(arguments: &[&str]) {
    let output = Command::new("ssh-keygen").arg("-q").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn serve(directory: &Path) -> Child {
    let program = if Path::new("/usr/sbin/sshd").exists() { "/usr/sbin/sshd" } else { "/usr/bin/sshd" };
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(directory.join("sshd_config"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// One below those that the kernel gives to whoever connects: nobody takes it before sshd does, or while it is started anew.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs of the tests at the same time do not try the same ones first.
    let first = u16::try_from(std::process::id() % 100).unwrap() * 100;
    (0..10_000)
        .map(|_| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

impl Sshd {
    /// With extra lines for its configuration; `@` in them is its directory.
    pub(crate) fn start(extra: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("link-sshd-").tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (kind, name) in
            [("ed25519", "host"), ("ed25519", "client"), ("ecdsa", "other"), ("ed25519", "ca")]
        {
            keygen(&["-t", kind, "-N", "", "-f", &at(name)]);
        }
        fs::copy(at("client.pub"), at("authorized")).unwrap();
        fs::create_dir_all("/run/sshd").ok();
        let port = free_port();
        let extra = extra.replace('@', &directory.path().display().to_string());
        let config = format!(
            "{extra}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\n\
             PidFile none\nUsePAM no\nPermitRootLogin yes\nMaxStartups 300\nLogLevel ERROR\n",
            at("host"),
            at("authorized")
        );
        fs::write(at("sshd_config"), config).unwrap();
        let child = serve(directory.path());
        let mut sshd = Self { port, directory, child };
        sshd.wait();
        sshd.know("127.0.0.1");
        sshd
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > end {
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                panic!("sshd does not listen ({ended:?}): {log}");
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Start anew, with keys and certificates as they are now: after a mere SIGHUP nobody could tell when it has read them.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = serve(self.directory.path());
        self.wait();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Make its host key known under this name.
    pub(crate) fn know(&self, name: &str) {
        let key = fs::read_to_string(self.path("host.pub")).unwrap();
        let line = format!("[{name}]:{} {key}", self.port);
        let before = fs::read_to_string(self.known()).unwrap_or_default();
        fs::create_dir_all(self.path(".ssh")).unwrap();
        fs::write(self.known(), before + &line).unwrap();
    }

    pub(crate) fn known(&self) -> PathBuf {
        self.path(".ssh/known_hosts")
    }

    /// Reach it with the client key, with this directory as the person's home.
    pub(crate) fn target(&self) -> SshTarget {
        SshTarget {
            port: Some(self.port),
            key_file: Some(self.path("client")),
            home: Some(self.directory.path().to_owned()),
            args: vec![
                "-o IdentityAgent=none -o UserKnownHostsFile=".to_owned()
                    + &self.known().display().to_string(),
            ],
            config: Some("none".into()),
            mode: SshMode::Native,
            ..SshTarget::new("127.0.0.1")
        }
    }
}

pub(crate) fn over(ssh: SshTarget) -> Target {
    // Two hundred servers may be starting on this machine at the same time.
    let timeout = Duration::from_secs(60);
    Target { timeout, ..Target::new("host", Connection::Ssh(Box::new(ssh))) }
}
