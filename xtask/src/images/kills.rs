//! A bake killed at random points: what it leaves, and what the next one makes of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::Project;
use crate::shell;
use crate::tally::Tally;

/// Steps of all kinds beside those of the example: many small ones, and one that takes its time.
const MORE: &str = "- hosts: web\n  gather_facts: false\n  tasks:\n    - shell: for n in $(seq 200); do echo $n > /srv/notes/$n; done; sleep 0.3\n    - copy: {dest: \"/srv/notes/more{{ item }}\", content: \"{{ item }}\"}\n      loop: [1, 2, 3, 4, 5, 6, 7, 8]\n";

pub(super) fn run(arguments: &[String], tally: &mut Tally) -> Result<()> {
    let times: u32 = arguments.first().map_or(Ok(50), |text| text.parse()).context("how often to kill")?;
    let project = Project::ship("kills")?;
    project.write("more.yml", MORE)?;
    let text = fs::read_to_string(project.path("theseus.yml"))?;
    project.write("theseus.yml", &text.replace("playbook: site.yml", "playbook: [site.yml, more.yml]"))?;
    project.bake("ship", &[])?;
    let began = Instant::now();
    let wanted = project.bake("ship", &["--from-scratch"])?["digest"].clone();
    let whole = began.elapsed();
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64 | 1;
    println!("a bake takes {:.2} s; seed {seed}", whole.as_secs_f64());
    let (mut ended, mut resumed) = (0, 0);
    for round in 0..times {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let after = whole.mul_f64((seed >> 11) as f64 / (1_u64 << 53) as f64);
        let mut command = project.command(&["bake", "ship", "--from-scratch"])?;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        std::thread::sleep(after);
        if child.try_wait()?.is_some() {
            ended += 1;
        }
        child.kill()?;
        child.wait()?;
        nothing_left(&project.root).with_context(|| format!("round {round}, killed after {after:?}"))?;
        let again = project.bake("ship", &[])?;
        if again["digest"] != wanted {
            bail!("round {round}, killed after {after:?}: {} in place of {wanted}", again["digest"]);
        }
        resumed += usize::from(again["run"].as_u64().unwrap_or(0) == 0);
    }
    println!(
        "killed {times} times ({ended} of them too late): always the same digest, {wanted}; nothing left behind; {resumed} next bakes had nothing to do"
    );
    tally.passed += 1;
    Ok(())
}

/// Processes, mounts and loop devices of a bake end with it; the kernel may need a moment for that.
fn nothing_left(root: &Path) -> Result<()> {
    let began = Instant::now();
    loop {
        let left = left(&root.display().to_string())?;
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(5) {
            bail!("left behind: {}", left.join("; "));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn left(root: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        if line.contains(root) {
            found.push(format!("process {name}: {line}"));
        }
        if String::from_utf8_lossy(&read("mountinfo")).contains(root) {
            found.push(format!("a mount, seen by process {name} ({line})"));
        }
    }
    let loops = shell::output(Command::new("losetup").arg("--all"))?;
    let loops = String::from_utf8_lossy(&loops.stdout).into_owned();
    found.extend(loops.lines().filter(|line| line.contains(root)).map(str::to_owned));
    Ok(found)
}
