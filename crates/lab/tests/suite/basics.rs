//! Hosts, their network and names, commands in them, and their end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lab::{Error, HostOptions, Lab};

use crate::support::{has_address, one, pool, small, traces};

#[test]
fn three_hosts_reach_each_other_and_the_machine_by_name() {
    let Some(pool) = pool("reach") else { return };
    let hosts = pool.0.up(&[small("red"), small("green"), small("blue")]).unwrap();
    let controller = pool.0.controller_address().unwrap();
    let listener = TcpListener::bind((controller, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in &hosts {
        let greeting = format!("echo $(hostname) >/dev/tcp/controller/{port}");
        host.run("bash", &["-c", &greeting]).unwrap();
        let (mut stream, peer) = listener.accept().unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!((said.trim(), peer.ip()), (host.name.as_str(), host.address.into()));
    }
    // Nobody listens there: that the refusal comes at once shows that the way is open.
    for (from, to) in [(0, "green"), (1, "blue"), (2, "red")] {
        let attempt = format!("echo >/dev/tcp/{to}/9");
        let error = hosts[from].run("bash", &["-c", &attempt]).unwrap_err().to_string();
        assert!(error.contains("Connection refused"), "{error}");
    }
    let world = hosts[0].run("bash", &["-c", "echo >/dev/tcp/192.0.2.200/80"]).unwrap_err().to_string();
    assert!(world.contains("unreachable"), "no way out, and told at once: {world}");
}

#[test]
fn commands_pass_on_status_signals_pipes_and_a_clean_environment() {
    let Some(pool) = pool("exec") else { return };
    let host = one(&pool, small("one"));
    assert_eq!(host.command("sh").args(["-c", "exit 37"]).status().unwrap().code(), Some(37));
    assert_eq!(host.command("sh").args(["-c", "kill -9 $$"]).status().unwrap().signal(), Some(9));
    assert_eq!(host.command("/no/such").status().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    let trap = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let mut trapping = host.command("sh").args(["-c", trap]).stdout(Stdio::piped()).spawn().unwrap();
    trapping.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(trapping.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(trapping.wait().unwrap().code(), Some(9));

    let environment = host.run("env", &[]).unwrap();
    let mut names: Vec<&str> = environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "USER"]);

    let mut cat = host.command("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = vec![b'x'; 300_000];
    let mut input = cat.stdin.take().unwrap();
    let sent = text.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let mut back = Vec::new();
    cat.stdout.take().unwrap().read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(cat.wait().unwrap().success() && back == text);
}

#[test]
fn killing_a_command_ends_the_program_inside() {
    let Some(pool) = pool("kill") else { return };
    let host = one(&pool, small("one"));
    let running = |host: &lab::LabHost| {
        host.run("sh", &["-c", "cat /proc/[0-9]*/comm 2>/dev/null; true"]).unwrap().contains("sleep")
    };
    let mut sleep = host.command("sleep").arg("1000").spawn().unwrap();
    let start = Instant::now();
    while !running(&host) && start.elapsed() < Duration::from_secs(30) {}
    assert!(running(&host));
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    while running(&host) && start.elapsed() < Duration::from_secs(30) {}
    assert!(!running(&host));
}

#[test]
fn a_host_is_a_machine_of_its_own() {
    let Some(pool) = pool("neutral") else { return };
    let hosts = pool.0.up(&[small("one"), small("two")]).unwrap();
    let ids: Vec<Vec<u8>> = hosts.iter().map(|host| host.read("/etc/machine-id").unwrap()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_ne!(ids[0], std::fs::read("/etc/machine-id").unwrap_or_default());
    assert_eq!(hosts[0].run("hostname", &[]).unwrap(), "one\n");
    assert_eq!(hosts[0].read("/etc/hostname").unwrap(), b"one\n");
    assert_eq!(
        hosts[0]
            .run(
                "sh",
                &["-c", "ls -A /root/.ssh /tmp /run/theseus-lab /.dockerenv 2>/dev/null | grep -v :; true"]
            )
            .unwrap()
            .trim(),
        ""
    );
    let processes = hosts[0].run("sh", &["-c", "ls -d /proc/[0-9]* | wc -l"]).unwrap();
    assert!(processes.trim().parse::<u32>().unwrap() < 6, "{processes}");
    // What would reach the whole machine is refused.
    for forbidden in [
        "echo 1 >/proc/sys/kernel/panic",
        "date -s 2001-01-01",
        "echo b >/sys/kernel/uevent_helper",
        "head -c 1 /proc/kmsg",
    ] {
        assert!(
            !hosts[0]
                .command("sh")
                .args(["-c", forbidden])
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success(),
            "{forbidden}"
        );
    }
    hosts[0].run("sh", &["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]).unwrap();
}

#[test]
fn changes_stay_in_their_host() {
    let Some(pool) = pool("apart") else { return };
    let hosts = pool.0.up(&[small("one"), small("two")]).unwrap();
    let probe = format!("/etc/lab-probe-{}", std::process::id());
    hosts[0]
        .run("sh", &["-c", &format!("echo mine >{probe} && rm /etc/passwd && mv /usr/share /usr/moved")])
        .unwrap();
    assert!(hosts[1].read(&probe).is_err() && !Path::new(&probe).exists());
    assert!(hosts[1].read("/etc/passwd").is_ok() && Path::new("/etc/passwd").exists());
    assert!(Path::new("/usr/share").exists());
    // The disk knows attributes that a tmpfs does not.
    if Path::new("/usr/bin/chattr").exists() {
        hosts[0]
            .run(
                "sh",
                &["-c", &format!("chattr +i {probe} && ! rm -f {probe} 2>/dev/null && chattr -i {probe}")],
            )
            .unwrap();
    }
}

#[test]
fn what_a_host_changed_can_be_listed() {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let Some(pool) = pool("changes") else { return };
    if !Path::new("/sbin/mkfs.ext4").exists() {
        println!("SKIPPED changes: without mkfs.ext4 hosts have no disk to look at");
        return;
    }
    let host = one(&pool, small("one"));
    host.run("sh", &["-c", "echo new >/etc/lab-new; rm /etc/passwd"]).unwrap();
    let changes = host.open_changes().unwrap();
    let etc = Path::new("/proc/self/fd").join(changes.as_raw_fd().to_string()).join("etc");
    assert_eq!(std::fs::read_to_string(etc.join("lab-new")).unwrap(), "new\n");
    let removed = std::fs::symlink_metadata(etc.join("passwd")).unwrap();
    assert!(removed.file_type().is_char_device() && removed.rdev() == 0);
    assert!(!etc.join("group").exists(), "what was not touched is not there");
    assert!(std::fs::write(etc.join("lab-other"), "").is_err(), "to be read only");
}

#[test]
fn files_are_copied_in_without_leaving_the_host() {
    let Some(pool) = pool("copy") else { return };
    let host = one(&pool, small("one"));
    host.copy_in("/usr/local/bin/tool", b"#!/bin/sh\necho tool\n", 0o755).unwrap();
    assert_eq!(host.run("tool", &[]).unwrap(), "tool\n");
    // A link of the host that would lead to the machine's own /tmp if followed outside.
    let name = format!("lab-escape-{}", std::process::id());
    host.run("ln", &["-s", "/tmp", "/srv/link"]).unwrap();
    host.copy_in(format!("/srv/link/{name}"), b"inside", 0o600).unwrap();
    assert_eq!(host.read(format!("/tmp/{name}")).unwrap(), b"inside");
    assert!(!std::env::temp_dir().join(&name).exists());
    assert!(host.copy_in("/no/such/dir/file", b"", 0o600).is_err());
}

#[test]
fn nothing_is_left_after_down() {
    let Some(pool) = pool("down") else { return };
    let name = pool.0.pool_name().to_owned();
    let hosts = pool.0.up(&[small("one"), small("two"), HostOptions::new("three")]).unwrap();
    assert!(!traces(&name).is_empty(), "the test sees what is there");
    let controller = pool.0.controller_address().unwrap();
    assert!(has_address(controller));
    // A daemon that a command left behind goes with its host.
    hosts[0].run("sh", &["-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null &"]).unwrap();
    pool.0.delay("two", Duration::from_millis(5)).unwrap();
    pool.0.down("two").unwrap();
    assert!(!hosts[1].alive() && hosts[0].alive());
    assert!(matches!(pool.0.get("two"), Err(Error::NoSuchHost(_))));
    assert!(hosts[1].command("true").status().is_err(), "a command in a host that is gone");
    pool.0.down_all().unwrap();
    assert_eq!(traces(&name), Vec::<String>::new());
    assert!(!has_address(controller));
    assert!(pool.0.list().is_empty());
    pool.0.down_all().unwrap();
}

#[test]
fn later_hosts_become_known_to_earlier_ones() {
    let Some(pool) = pool("later") else { return };
    let first = one(&pool, small("first"));
    let mut hosts = first.read("/etc/hosts").unwrap();
    hosts.extend(b"192.0.2.7 kept\n");
    first.copy_in("/etc/hosts", &hosts, 0o644).unwrap();
    let second = one(&pool, small("second"));
    let text = String::from_utf8(first.read("/etc/hosts").unwrap()).unwrap();
    assert!(
        text.contains(&format!("{} second\n", second.address)) && text.contains("192.0.2.7 kept"),
        "{text}"
    );
}

#[test]
fn two_pools_do_not_disturb_each_other() {
    let (Some(left), Some(right)) = (pool("left"), pool("right")) else { return };
    let make = |lab: &Lab| lab.up(&[small("same"), small("other")]).unwrap();
    let (of_left, of_right) = std::thread::scope(|scope| {
        let left = scope.spawn(|| make(&left.0));
        (left.join().unwrap(), make(&right.0))
    });
    assert_ne!(of_left[0].address, of_right[0].address);
    let attempt = format!("echo >/dev/tcp/{}/9", of_right[0].address);
    let error = of_left[0].run("bash", &["-c", &attempt]).unwrap_err().to_string();
    assert!(error.contains("unreachable"), "{error}");
    left.0.down_all().unwrap();
    assert!(of_right.iter().all(lab::LabHost::alive));
    of_right[0].run("bash", &["-c", "getent hosts other"]).unwrap();
}

#[test]
fn a_long_wire_delays_each_round_trip_and_loses_nothing() {
    let Some(pool) = pool("wire") else { return };
    let host = one(&pool, small("far"));
    let round_trip = || {
        let start = Instant::now();
        assert!(TcpStream::connect((host.address, 9)).is_err(), "nobody listens there");
        start.elapsed()
    };
    round_trip();
    pool.0.delay("far", Duration::from_millis(60)).unwrap();
    round_trip();
    let long = round_trip();
    assert!(long >= Duration::from_millis(60), "{long:?}");

    let listener = TcpListener::bind((pool.0.controller_address().unwrap(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let send = format!("head -c 3000000 /dev/zero | tr '\\0' x >/dev/tcp/controller/{port}");
    let sender = std::thread::spawn({
        let host = host.clone();
        move || host.run("bash", &["-c", &send]).unwrap()
    });
    let mut received = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
    sender.join().unwrap();
    assert_eq!((received.len(), received.iter().all(|byte| *byte == b'x')), (3_000_000, true));

    pool.0.delay("far", Duration::ZERO).unwrap();
    let short = (0..5).map(|_| round_trip()).min().unwrap();
    assert!(short < Duration::from_millis(60), "{short:?}");
}

#[test]
fn hosts_come_and_go_side_by_side() {
    let Some(pool) = pool("busy") else { return };
    let pool = &pool;
    let one_thread = &|number: usize| {
        for round in 0..4 {
            let names = [format!("a{number}-{round}"), format!("b{number}-{round}")];
            let hosts = pool.0.up(&[small(&names[0]), small(&names[1])]).unwrap();
            for (host, name) in hosts.iter().zip(&names) {
                assert_eq!(host.run("hostname", &[]).unwrap().trim(), name);
                host.copy_in("/srv/tool", b"#!/bin/sh\necho fine\n", 0o755).unwrap();
                assert_eq!(host.run("/srv/tool", &[]).unwrap(), "fine\n");
                pool.0.down(name).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|number| scope.spawn(move || one_thread(number))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(traces(pool.0.pool_name()), Vec::<String>::new());
}

#[test]
fn a_small_disk_becomes_full_for_its_host_alone() {
    let Some(pool) = pool("full") else { return };
    let host = one(&pool, HostOptions { disk: Some(32 << 20), ..small("one") });
    let error = host.run("sh", &["-c", "head -c 100000000 /dev/zero >/var/big"]).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    host.run("sh", &["-c", "rm /var/big && echo fine >/var/small"]).unwrap();
}

#[test]
fn wrong_wishes_are_refused_and_leave_nothing() {
    let Some(pool) = pool("wrong") else { return };
    let refused = |options: HostOptions| pool.0.up(&[options]).unwrap_err();
    assert!(matches!(refused(small("../evil")), Error::BadName(_)));
    assert!(matches!(refused(small("")), Error::BadName(_)));
    assert!(matches!(refused(small("controller")), Error::Exists(_)));
    let base = Some("/no/such/base".into());
    assert!(refused(HostOptions { base, ..small("one") }).to_string().contains("not a directory"));
    assert!(Lab::pool("a/b").is_err());
    one(&pool, small("one"));
    assert!(matches!(refused(small("one")), Error::Exists(_)));
    assert!(matches!(pool.0.up(&[small("x"), small("x")]), Err(Error::Exists(_))));
    assert_eq!(pool.0.list().len(), 1);
}

#[test]
fn many_hosts_take_a_fraction_of_a_second_each() {
    let Some(pool) = pool("many") else { return };
    let wanted: Vec<HostOptions> = (0..32).map(|number| small(&format!("host{number}"))).collect();
    let start = Instant::now();
    let hosts = pool.0.up(&wanted).unwrap();
    let up = start.elapsed();
    assert_eq!(hosts.iter().filter(|host| host.alive()).count(), 32);
    let start = Instant::now();
    pool.0.down_all().unwrap();
    println!("32 hosts with the small init: up in {up:?}, down in {:?}", start.elapsed());
    assert!(up < Duration::from_secs(16), "{up:?}");
}
