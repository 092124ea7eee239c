//! Logging in to real sshds, and what goes wrong there.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use link::{CallEnd, LinkError, NoBlobs, Secret, SshMode, SshTarget};
use serde_json::json;

use crate::sshd::{Sshd, keygen, over};
use crate::support::{call, connect, missing};

macro_rules! with_sshd {
    ($name:literal) => {
        if missing($name, &["sshd", "ssh", "ssh-keygen", "ssh-agent"]) {
            return;
        }
    };
}

/// Connect, do one task, say good-bye.
async fn works(target: SshTarget) -> Result<bool, LinkError> {
    let link = connect(&over(target)).await?;
    let pushed = link.pushed();
    let handle = link.call(0, 0, call("echo", json!({"word": "hello"})), Arc::new(NoBlobs));
    let CallEnd::Done { result, .. } = handle.await? else { panic!("refused") };
    assert_eq!(result["word"], "hello");
    link.bye(false, false).await?;
    Ok(pushed)
}

#[tokio::test]
async fn a_key_opens_and_the_agent_is_sent_once() {
    with_sshd!("a_key_opens_and_the_agent_is_sent_once");
    // A state directory of its own, so that nothing is there at first.
    let sshd = Sshd::start(
        "SetEnv XDG_STATE_HOME=@/state HOME=@/home\nForceCommand unset u; HOME=@/home exec /bin/sh -c \"$(echo \"$SSH_ORIGINAL_COMMAND\" | sed 's,/var/lib/theseus,@/var,')\"",
    );
    fs::create_dir(sshd.path("home")).unwrap();
    assert!(works(sshd.target()).await.unwrap(), "the first connection sends the agent");
    assert!(!works(sshd.target()).await.unwrap(), "the second does not");
    // A stored agent that is damaged is replaced.
    let stored: Vec<_> =
        fs::read_dir(sshd.path("var/bin")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let mut bytes = fs::read(&stored[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&stored[0]).unwrap();
    fs::write(&stored[0], bytes).unwrap();
    Command::new("chmod").arg("700").arg(&stored[0]).status().unwrap();
    assert!(works(sshd.target()).await.unwrap(), "a damaged agent is replaced");
    assert!(!works(sshd.target()).await.unwrap());
    // A directory in which others may write is not used.
    Command::new("chmod").arg("777").arg(sshd.path("var/bin")).status().unwrap();
    assert!(works(sshd.target()).await.unwrap(), "another place is used");
    assert!(sshd.path("state/theseus/bin").exists() || sshd.path("home/.local/state/theseus/bin").exists());
}

#[tokio::test]
async fn the_openssh_program_does_the_same() {
    with_sshd!("the_openssh_program_does_the_same");
    let sshd = Sshd::start("");
    works(SshTarget { mode: SshMode::OpenSsh, ..sshd.target() }).await.unwrap();
    let wrong = SshTarget { mode: SshMode::OpenSsh, key_file: Some(sshd.path("other")), ..sshd.target() };
    let error = works(wrong).await.unwrap_err();
    assert!(matches!(&error, LinkError::Auth { .. }), "{error:?}");
    fs::write(sshd.known(), "").unwrap();
    let error = works(SshTarget { mode: SshMode::OpenSsh, ..sshd.target() }).await.unwrap_err();
    assert!(matches!(&error, LinkError::HostKey { .. }), "{error:?}");
}

#[tokio::test]
async fn what_only_openssh_can_do_is_left_to_it() {
    with_sshd!("what_only_openssh_can_do_is_left_to_it");
    let sshd = Sshd::start("");
    let mut target = sshd.target();
    let (port, key, known) = (sshd.port, sshd.path("client"), sshd.known());
    let way = format!(
        "ssh -F none -p {port} -i {} -o UserKnownHostsFile={} -o IdentityAgent=none -W %h:%p 127.0.0.1",
        key.display(),
        known.display()
    );
    target.args.push(format!("-o 'ProxyCommand={way}'"));
    let error = works(target.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "the in-process SSH client cannot be used: proxycommand is set");
    target.mode = SshMode::Auto;
    works(target).await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_what_was_tried() {
    with_sshd!("a_wrong_key_is_refused_with_what_was_tried");
    let sshd = Sshd::start("PasswordAuthentication no\nKbdInteractiveAuthentication no");
    let target = SshTarget { key_file: Some(sshd.path("other")), ..sshd.target() };
    let error = works(target).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LinkError::Auth { .. }), "{text}");
    assert!(
        text.contains("does not let") && text.contains("/other") && text.contains("the host takes publickey"),
        "{text}"
    );
}

#[tokio::test]
async fn host_keys_are_checked() {
    with_sshd!("host_keys_are_checked");
    let sshd = Sshd::start("");
    let good = fs::read_to_string(sshd.known()).unwrap();
    let other = fs::read_to_string(sshd.path("ca.pub")).unwrap();
    fs::write(sshd.known(), format!("# first\n[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let error = works(sshd.target()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LinkError::HostKey { .. }), "{text}");
    assert!(text.contains("known_hosts:2") && text.contains("ssh-keygen"), "{text}");
    let careless = SshTarget { host_key_checking: Some(false), ..sshd.target() };
    works(careless.clone()).await.unwrap();

    fs::write(sshd.known(), "").unwrap();
    let error = works(sshd.target()).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::HostKey { reason, .. } if reason.ends_with("is not known")),
        "{error}"
    );
    assert_eq!(fs::read_to_string(sshd.known()).unwrap(), "");
    let mut new = sshd.target();
    new.args.push("-o StrictHostKeyChecking=accept-new".into());
    works(new).await.unwrap();
    let learnt = fs::read_to_string(sshd.known()).unwrap();
    assert_eq!(
        learnt.split_whitespace().take(3).collect::<Vec<_>>(),
        good.split_whitespace().take(3).collect::<Vec<_>>()
    );

    // The name hashed, as ssh-keygen -H writes it.
    keygen(&["-H", "-f", sshd.known().to_str().unwrap()]);
    assert!(fs::read_to_string(sshd.known()).unwrap().starts_with("|1|"));
    works(sshd.target()).await.unwrap();

    fs::write(
        sshd.known(),
        format!("{good}@revoked * {}", fs::read_to_string(sshd.path("host.pub")).unwrap()),
    )
    .unwrap();
    let error = works(sshd.target()).await.unwrap_err();
    assert!(error.to_string().contains("is revoked in"), "{error}");
}

#[tokio::test]
async fn certificates_of_hosts_and_users() {
    with_sshd!("certificates_of_hosts_and_users");
    let sshd = Sshd::start("TrustedUserCAKeys @/ca.pub");
    let at = |name: &str| sshd.path(name).display().to_string();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    keygen(&["-s", &at("ca"), "-I", "someone", "-n", user.trim(), "-V", "+1h", &at("other.pub")]);
    works(SshTarget { key_file: Some(sshd.path("other")), ..sshd.target() }).await.unwrap();

    // The host's own certificate: sshd reads it when it starts, so another one is started with it.
    let mut certified = Sshd::start("HostCertificate @/host-cert.pub");
    let directory = certified.directory.path().to_owned();
    let here = |name: &str| directory.join(name).display().to_string();
    keygen(&["-s", &here("ca"), "-I", "host", "-h", "-n", "127.0.0.1", "-V", "+1h", &here("host.pub")]);
    certified.restart();
    let authority = fs::read_to_string(certified.path("ca.pub")).unwrap();
    fs::write(certified.known(), format!("@cert-authority [127.0.0.1]:* {authority}")).unwrap();
    works(certified.target()).await.unwrap();
    keygen(&["-s", &here("ca"), "-I", "host", "-h", "-n", "elsewhere", "-V", "+1h", &here("host.pub")]);
    certified.restart();
    let error = works(certified.target()).await.unwrap_err();
    assert!(error.to_string().contains("it is for elsewhere"), "{error}");
}

#[tokio::test]
async fn bastions_have_their_own_keys() {
    with_sshd!("bastions_have_their_own_keys");
    let (bastion, inner) = (Sshd::start(""), Sshd::start(""));
    bastion.know("bastion");
    let config = inner.path("config");
    let text = format!(
        "Host bastion\n HostName 127.0.0.1\n HostKeyAlias bast\n Port {}\n IdentityFile {}\n UserKnownHostsFile {}\n \
         IdentityAgent none\nHost inner\n HostName 127.0.0.1\n Port {}\n IdentityFile {}\n UserKnownHostsFile {}\n \
         IdentityAgent none\n ProxyJump bastion\n",
        bastion.port,
        bastion.path("client").display(),
        bastion.known().display(),
        inner.port,
        inner.path("client").display(),
        inner.known().display()
    );
    fs::write(&config, text).unwrap();
    let target = SshTarget {
        config: Some(config.clone()),
        home: Some(inner.directory.path().into()),
        mode: SshMode::Native,
        ..SshTarget::new("inner")
    };
    let error = works(target.clone()).await.unwrap_err();
    assert!(error.to_string().contains("the bastion 127.0.0.1 cannot be used: the key of bast"), "{error}");
    let key = fs::read_to_string(bastion.path("host.pub")).unwrap();
    fs::write(bastion.known(), format!("bast {key}")).unwrap();
    works(target.clone()).await.unwrap();
    works(SshTarget { mode: SshMode::OpenSsh, ..target }).await.unwrap();
}

#[tokio::test]
async fn keys_of_an_agent() {
    with_sshd!("keys_of_an_agent");
    let sshd = Sshd::start("");
    let socket = sshd.path("agent.sock").display().to_string();
    let mut agent =
        Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(Stdio::null()).spawn().unwrap();
    for _ in 0..100 {
        let mut add = Command::new("ssh-add");
        add.arg(sshd.path("client")).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null());
        if add.status().unwrap().success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let known = sshd.known().display().to_string();
    let target = SshTarget {
        key_file: None,
        args: vec![format!("-o IdentityAgent={socket} -o UserKnownHostsFile={known}")],
        ..sshd.target()
    };
    let result = works(target).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    result.unwrap();
}

/// Another account, with a password, for as long as it lives.
struct Account(&'static str);

impl Account {
    fn new(name: &'static str, password: &str, shell: &str) -> Option<Self> {
        let mut add = Command::new("useradd");
        add.args(["-m", "-s", shell, name]).stderr(Stdio::null());
        if !add.status().is_ok_and(|status| status.success()) {
            return None;
        }
        let account = Self(name);
        let mut set = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut set.stdin.take().unwrap(), format!("{name}:{password}\n").as_bytes())
            .unwrap();
        set.wait().unwrap().success().then_some(account)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = Command::new("userdel").args(["-r", "-f", self.0]).stderr(Stdio::null()).status();
    }
}

#[tokio::test]
async fn passwords_and_keyboard_interactive() {
    with_sshd!("passwords_and_keyboard_interactive");
    let Some(account) = Account::new("linktest-pw", "se cret$'1", "/bin/bash") else {
        println!("SKIPPED passwords_and_keyboard_interactive: no account can be made (not root?)");
        return;
    };
    for lines in [
        "UsePAM yes\nKbdInteractiveAuthentication no",
        "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes",
    ] {
        let sshd = Sshd::start(lines);
        let target = SshTarget {
            user: Some(account.0.into()),
            key_file: Some(sshd.path("other")),
            password: Some(Secret::new("se cret$'1")),
            ..sshd.target()
        };
        works(target.clone()).await.unwrap();
        works(SshTarget { mode: SshMode::OpenSsh, ..target.clone() }).await.unwrap();
        for mode in [SshMode::Native, SshMode::OpenSsh] {
            let wrong = SshTarget { password: Some(Secret::new("wrong")), mode, ..target.clone() };
            let error = works(wrong).await.unwrap_err();
            assert!(matches!(error, LinkError::Auth { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn login_shells_of_every_kind_and_their_noise() {
    with_sshd!("login_shells_of_every_kind_and_their_noise");
    let shells = [
        ("/bin/bash", ".bashrc"),
        ("/usr/bin/fish", ".config/fish/config.fish"),
        ("/bin/tcsh", ".tcshrc"),
        ("/bin/sh", ".profile"),
    ];
    for (index, (shell, startup)) in shells.into_iter().enumerate() {
        if !std::path::Path::new(shell).exists() {
            println!("SKIPPED login_shells_of_every_kind_and_their_noise {shell}: not installed");
            continue;
        }
        let name = ["linktest-a", "linktest-b", "linktest-c", "linktest-d"][index];
        let Some(account) = Account::new(name, "x", shell) else {
            println!(
                "SKIPPED login_shells_of_every_kind_and_their_noise: no account can be made (not root?)"
            );
            return;
        };
        let file = std::path::Path::new("/home").join(name).join(startup);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "echo Welcome to the machine\necho\n").unwrap();
        let sshd = Sshd::start("");
        let target = SshTarget { user: Some(account.0.into()), ..sshd.target() };
        works(target.clone()).await.unwrap_or_else(|e| panic!("{shell}: {e}"));
        assert!(!works(target).await.unwrap_or_else(|e| panic!("{shell}: {e}")));
    }
    let Some(account) = Account::new("linktest-e", "x", "/usr/sbin/nologin") else { return };
    let sshd = Sshd::start("");
    let error = works(SshTarget { user: Some(account.0.into()), ..sshd.target() }).await.unwrap_err();
    assert!(error.to_string().contains("not available"), "{error}");
}

#[tokio::test]
async fn ports_that_refuse_and_names_that_are_not() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let to = |host: &str| SshTarget {
        port: Some(free),
        config: Some("none".into()),
        mode: SshMode::Native,
        ..SshTarget::new(host)
    };
    let error = works(to("127.0.0.1")).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("127.0.0.1 port {free} refused the connection (is sshd running there, on this port?)")
    );
    let error = works(to("no-such-host.invalid")).await.unwrap_err().to_string();
    assert!(error.starts_with("the name no-such-host.invalid cannot be resolved"), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_ssh_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ssh = SshTarget {
        port: Some(port),
        config: Some("none".into()),
        mode: SshMode::Native,
        ..SshTarget::new("127.0.0.1")
    };
    let mut target = over(ssh);
    if let link::Connection::Ssh(ssh) = &mut target.connection {
        ssh.args.push("-o BatchMode=yes".into());
    }
    target.timeout = Duration::from_millis(500);
    let start = Instant::now();
    let error = connect(&target).await.err().unwrap();
    assert!(matches!(error, LinkError::Timeout { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_host_that_stops_is_lost_in_time() {
    with_sshd!("a_host_that_stops_is_lost_in_time");
    let sshd = Sshd::start("");
    let mut target = over(sshd.target());
    target.keep_alive = Duration::from_millis(500);
    target.patience = Duration::from_secs(3);
    let link = connect(&target).await.unwrap();
    let agent = link.hello().pid;
    let session = fs::read_to_string(format!("/proc/{agent}/stat")).unwrap();
    let parent = session.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let slow = link.call(0, 0, call("sleep", json!({"millis": 60_000})), Arc::new(NoBlobs));
    assert!(Command::new("kill").args(["-STOP", &parent]).status().unwrap().success());
    let start = Instant::now();
    let error = slow.await.unwrap_err();
    Command::new("kill").args(["-KILL", &parent]).status().unwrap();
    assert_eq!(error.to_string(), "the host has not answered for 3 s");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_killed_agent_is_told_with_its_signal() {
    with_sshd!("a_killed_agent_is_told_with_its_signal");
    let sshd = Sshd::start("");
    let link = connect(&over(sshd.target())).await.unwrap();
    let slow = link.call(0, 0, call("sleep", json!({"millis": 20_000})), Arc::new(NoBlobs));
    Command::new("kill").args(["-KILL", &link.hello().pid.to_string()]).status().unwrap();
    let error = slow.await.unwrap_err();
    assert_eq!(error.to_string(), "the connection was closed by the host (signal KILL)");
}

#[tokio::test]
async fn dropping_the_link_ends_the_agent() {
    with_sshd!("dropping_the_link_ends_the_agent");
    let sshd = Sshd::start("");
    let link = connect(&over(sshd.target())).await.unwrap();
    let agent = format!("/proc/{}", link.hello().pid);
    assert!(std::path::Path::new(&agent).exists());
    drop(link);
    for _ in 0..100 {
        if !std::path::Path::new(&agent).exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the agent is still there");
}
