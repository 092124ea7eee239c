//! `cargo xtask fleets`: rollouts of six members under a steady load by wrk, on lab hosts and on containers, behind the
//! embedded balancer and a real HAProxy; somebody else counts lost requests and healthy members all the while.

mod ground;
mod load;
mod observer;

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::shell;
use crate::tally::Tally;
use ground::{Balancer, Ground, MEMBERS, Places};
use load::Load;
use observer::Observer;

const STRATEGIES: &[&str] = &["rolling", "canary", "blue-green"];
/// What each image does, and what the rollout says of it.
const BAD: &[(&str, &str)] = &[
    ("crash", "it ended by itself"),
    ("errors-20", "gate traffic fails"),
    ("slow", "gate traffic fails"),
    ("wrong", "it runs another"),
    ("missing", ""),
];

struct Asked {
    places: Vec<Places>,
    balancers: Vec<Balancer>,
    kills: u32,
    /// Without the bad images.
    quick: bool,
}

fn parse(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked { places: Vec::new(), balancers: Vec::new(), kills: 20, quick: false };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "lab" => asked.places.push(Places::Lab),
            "docker" => asked.places.push(Places::Docker),
            "proxy" => asked.balancers.push(Balancer::Proxy),
            "haproxy" => asked.balancers.push(Balancer::HaProxy),
            "--quick" => asked.quick = true,
            "--kills" => asked.kills = rest.next().context("--kills wants a number")?.parse()?,
            other => bail!("`{other}` is none of lab, docker, proxy, haproxy, --kills N and --quick"),
        }
    }
    if asked.places.is_empty() {
        asked.places = vec![Places::Lab, Places::Docker];
    }
    if asked.balancers.is_empty() {
        asked.balancers = vec![Balancer::Proxy, Balancer::HaProxy];
    }
    Ok(asked)
}

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let asked = parse(arguments)?;
    ensure!(shell::is_root(), "lab hosts and containers need root");
    for program in ["wrk", "haproxy", "dockerd", "docker", "busybox", "python3"] {
        ensure!(shell::has_program(program), "needs {program}; `cargo xtask setup` installs it");
    }
    let program = match std::env::var_os("THESEUS") {
        Some(built) => PathBuf::from(built),
        None => {
            shell::run(shell::cargo().args(["build", "--quiet", "--bin", "theseus"]))?;
            shell::target()?.join("debug/theseus")
        }
    };
    let mut tally = Tally::default();
    let rounds = asked.places.len() * asked.balancers.len() * STRATEGIES.len();
    let kills = asked.kills.div_ceil(u32::try_from(rounds)?);
    for places in &asked.places {
        for balancer in &asked.balancers {
            let mut show = Show {
                ground: Ground::up(&program, *places, *balancer)?,
                tally: &mut tally,
                dice: 88_172_645,
            };
            for strategy in STRATEGIES {
                show.strategy(strategy, kills)?;
            }
            if !asked.quick {
                show.bad_images()?;
            }
        }
    }
    Ok(tally)
}

struct Show<'a> {
    ground: Ground,
    tally: &'a mut Tally,
    dice: u64,
}

impl Show<'_> {
    fn strategy(&mut self, strategy: &str, kills: u32) -> Result<()> {
        self.ground.declare(&format!(
            "rollout: {{strategy: {strategy}, percents: [17, 50, 100], soak: 500ms, bake: 500ms, drain: 10s, keep: 20s}}"
        ))?;
        self.measured(&format!("{strategy}, forward"), |show| show.forward())?;
        self.measured(&format!("{strategy}, aborted half-way"), |show| show.aborted())?;
        self.measured(&format!("{strategy}, called back after completion"), |show| {
            show.forward()?;
            show.ended(&["rollout", "back"], 2)
        })?;
        for number in 1..=kills {
            let words = format!("{strategy}, controller killed by -9 ({number} of {kills})");
            self.measured(&words, |show| show.killed())?;
        }
        Ok(())
    }

    /// Does something under load, and says what customers and the observer saw of it.
    fn measured(&mut self, what: &str, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let words = format!("{}, {what}", self.ground.words());
        let (load, observer) = (Load::on(self.ground.port)?, Observer::of(&self.ground));
        let begun = Instant::now();
        let done = act(self);
        let seconds = begun.elapsed().as_secs_f64();
        let (seen, answered) = (observer.end(), load.end()?);
        let line = format!(
            "{words}: {answered}; never fewer than {} of {MEMBERS} healthy in {} looks; {seconds:.1} s",
            seen.least, seen.looks
        );
        let fine = done.is_ok() && answered.failed == 0 && answered.requests > 0 && seen.least >= MEMBERS;
        println!("{} {line}", if fine { "ok" } else { "FAILED" });
        if let Some(moment) = &seen.moment {
            println!("   {moment}");
        }
        match (fine, done) {
            (true, _) => self.tally.passed += 1,
            (false, Err(error)) => self.tally.failed.push(format!("{words}: {error:#}")),
            (false, Ok(())) => self.tally.failed.push(line),
        }
        Ok(())
    }

    /// Runs the program on the fleet to its end, which must be this one.
    fn ended(&self, words: &[&str], code: i32) -> Result<()> {
        let output = self.ground.theseus(&[words, &[&self.ground.fleet]].concat()).output()?;
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.code() == Some(code),
            "{} ended with {}: {said}",
            words.join(" "),
            output.status
        );
        Ok(())
    }

    fn forward(&mut self) -> Result<()> {
        let next = self.ground.next()?;
        self.ended(&["rollout", "start", "--to", &next], 0)
    }

    fn begin(&mut self) -> Result<(String, Child)> {
        let next = self.ground.next()?;
        let mut command = self.ground.theseus(&["rollout", "start", "--to", &next, &self.ground.fleet]);
        Ok((next, command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    fn aborted(&mut self) -> Result<()> {
        let (next, child) = self.begin()?;
        let begun = Instant::now();
        while self.ground.members_of(&next)? < MEMBERS / 2 {
            ensure!(begun.elapsed() < Duration::from_secs(120), "it has not come half-way");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.ended(&["rollout", "abort"], 0)?;
        let status = shell::wait_at_most(child, Duration::from_secs(120))?;
        ensure!(status.code() == Some(2), "an aborted rollout ended with {status}");
        Ok(())
    }

    fn random(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % below
    }

    /// Until one was really interrupted; then somebody goes on.
    fn killed(&mut self) -> Result<()> {
        for _ in 0..10 {
            let (next, mut child) = self.begin()?;
            std::thread::sleep(Duration::from_millis(100 + self.random(3000)));
            let interrupted = child.try_wait()?.is_none();
            child.kill()?;
            child.wait()?;
            if !interrupted {
                continue;
            }
            let resumed = self.ended(&["rollout", "resume"], 0);
            // Killed before it was written down that somebody wants it.
            if self.ground.status()?["to"].as_str() != Some(&next) {
                return self.ended(&["rollout", "start", "--to", &next], 0);
            }
            return resumed;
        }
        bail!("ten rollouts were faster than the killer")
    }

    fn bad_images(&mut self) -> Result<()> {
        self.ground.declare(
            "rollout: {strategy: canary, percents: [34, 100], soak: 25s, failures: 0}\n    gates:\n      - {name: traffic, traffic: {errors: 1, slower: 5, requests: 5}, every: 1s}",
        )?;
        for (image, why) in BAD {
            let words = format!("{}, bad image `{image}`", self.ground.words());
            match self.bad_image(image, why) {
                Ok(line) => {
                    println!("ok {words}: {line}");
                    self.tally.passed += 1;
                }
                Err(error) => {
                    println!("FAILED {words}: {error:#}");
                    self.tally.failed.push(format!("{words}: {error:#}"));
                }
            }
        }
        Ok(())
    }

    fn bad_image(&mut self, image: &str, why: &str) -> Result<String> {
        if image != "missing" {
            self.ground.provide(image)?;
        }
        let (load, observer, begun) =
            (Load::on(self.ground.port)?, Observer::of(&self.ground), Instant::now());
        let arguments = ["rollout", "start", "--to", image, "--output", "json", &self.ground.fleet];
        let output = self.ground.theseus(&arguments).output()?;
        let seconds = begun.elapsed().as_secs_f64();
        let (seen, answered) = (observer.end(), load.end()?);
        let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let cause = lines.last().and_then(|line| line["cause"].as_str()).unwrap_or_default();
        ensure!(output.status.code() == Some(2), "it ended with {}: {cause}", output.status);
        ensure!(cause.contains(why) && !cause.is_empty(), "the cause is `{cause}`");
        let forward =
            lines.iter().rev().find(|line| line["state"] == "stepping" || line["state"] == "validating");
        let at = forward.map(|line| match line["step"]["number"].as_u64() {
            Some(number) if line["state"] == "stepping" => format!("in step {number}"),
            _ => "before anything was touched".to_owned(),
        });
        let again = self.ground.theseus(&["rollout", "start", "--to", image, &self.ground.fleet]).output()?;
        ensure!(again.status.code() == Some(1), "it was picked again: {}", again.status);
        // Customers see a canary's own wrong answers; they see nothing else.
        let own = image.starts_with("errors");
        ensure!(own || answered.failed == 0, "{answered}");
        ensure!(seen.least >= MEMBERS, "fewer than {MEMBERS} healthy: {}", seen.moment.unwrap_or_default());
        let at = at.unwrap_or_default();
        Ok(format!(
            "found {at}, back by itself after {seconds:.1} s, refused afterwards; {answered}; {cause}"
        ))
    }
}
