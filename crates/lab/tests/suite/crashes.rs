//! Creators that are killed, hosts that die, and what the lab says and does about it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::{HostOptions, Lab};

use crate::support::{Pool, has_address, one, pool, small, traces};

const POOL: &str = "LAB_TEST_POOL";
const TIED: &str = "LAB_TEST_TIED";

/// The creator of the other tests: makes hosts in the pool it is told, says so, and waits to be killed.
#[test]
#[ignore = "is run by the other tests as a process of its own"]
fn creator() {
    let pool = std::env::var(POOL).expect("run by the other tests, which name a pool");
    let tied = std::env::var_os(TIED).is_some();
    let wanted: Vec<HostOptions> =
        (0..6).map(|number| HostOptions { tied, ..small(&format!("host{number}")) }).collect();
    Lab::pool(&pool).unwrap().up(&wanted).unwrap();
    println!("\nmade");
    std::thread::sleep(Duration::from_secs(100));
}

fn start_creator(pool: &Pool, tied: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crashes::creator", "--exact", "--ignored", "--nocapture"]).env(POOL, pool.0.pool_name());
    if tied {
        command.env(TIED, "1");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn wait_made(creator: &mut Child) {
    let output = creator.stdout.take().unwrap();
    assert!(BufReader::new(output).lines().map_while(Result::ok).any(|line| line == "made"));
}

fn kill(mut creator: Child) {
    creator.kill().unwrap();
    creator.wait().unwrap();
}

#[test]
fn a_creator_killed_at_any_moment_leaves_nothing_after_down() {
    let Some(pool) = pool("crash") else { return };
    let name = pool.0.pool_name().to_owned();
    let mut between = 0;
    for moment in [5, 12, 20, 28, 36, 44, 52, 60, 75, 90] {
        let creator = start_creator(&pool, false);
        std::thread::sleep(Duration::from_millis(moment));
        kill(creator);
        let hosts = pool.0.list();
        let address = pool.0.controller_address();
        if hosts.iter().any(|host| host.stray.is_some()) {
            between += 1;
            let known = pool.0.strays();
            assert!(known.iter().any(|stray| stray.what.starts_with(&format!("{name}/"))), "{known:?}");
        }
        pool.0.down_all().unwrap();
        assert_eq!(traces(&name), Vec::<String>::new(), "killed after {moment} ms");
        assert!(!address.is_some_and(has_address));
    }
    println!("{between} of 10 creators were caught in the middle");
}

#[test]
fn hosts_outlive_their_creator_unless_tied_to_it() {
    let Some(pool) = pool("outlive") else { return };
    let mut creator = start_creator(&pool, false);
    wait_made(&mut creator);
    kill(creator);
    let hosts = pool.0.list();
    assert_eq!(hosts.iter().filter(|host| host.alive() && host.stray.is_none()).count(), 6);
    hosts[0].run("true", &[]).unwrap();
}

#[test]
fn tied_hosts_go_with_their_creator() {
    let Some(pool) = pool("tied") else { return };
    let name = pool.0.pool_name().to_owned();
    let mut creator = start_creator(&pool, true);
    wait_made(&mut creator);
    assert_eq!(pool.0.list().len(), 6);
    kill(creator);
    let start = Instant::now();
    while !traces(&name).is_empty() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(traces(&name), Vec::<String>::new());
}

#[test]
fn a_dead_host_is_a_stray_and_its_name_is_free_again() {
    let Some(pool) = pool("stray") else { return };
    let hosts = pool.0.up(&[small("dies"), small("lives")]).unwrap();
    let pid = rustix::process::Pid::from_raw(hosts[0].pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let start = Instant::now();
    while hosts[0].alive() && start.elapsed() < Duration::from_secs(30) {}
    assert_eq!(pool.0.get("dies").unwrap().stray.as_deref(), Some("its process 1 has ended"));
    assert_eq!(pool.0.get("lives").unwrap().stray, None);
    let what = format!("{}/dies", pool.0.pool_name());
    assert!(pool.0.strays().iter().any(|stray| stray.what == what));
    let again = one(&pool, small("dies"));
    assert!(again.alive() && pool.0.get("dies").unwrap().stray.is_none());
    assert_eq!(again.run("hostname", &[]).unwrap(), "dies\n");
}

#[test]
fn things_without_a_record_are_strays() {
    let Some(pool) = pool("ghost") else { return };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let hierarchy =
        mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let Some(hierarchy) = hierarchy else {
        println!("SKIPPED things_without_a_record_are_strays: no unified control groups are mounted");
        return;
    };
    let id = format!("{}.gone", pool.0.pool_name());
    let group = std::path::Path::new(hierarchy).join("theseus-lab").join(&id);
    let seen = || pool.0.strays().iter().any(|stray| stray.what == format!("control group {id}"));
    assert!(!seen());
    std::fs::create_dir_all(&group).unwrap();
    assert!(seen());
    std::fs::remove_dir(&group).unwrap();
}
