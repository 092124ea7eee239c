//! Public roles of `tests/roles.toml`, each baked onto a plain Debian and its image tested: it starts, and the role finds
//! nothing to change.

use std::fs;
use std::time::Instant;

use anyhow::Result;

use super::Project;
use crate::conformance::roles::{self, Role};
use crate::tally::Tally;
use crate::{base, setup};

/// So many at least have to come out well.
const AIM: usize = 15;

pub(super) fn run(names: &[String], tally: &mut Tally) -> Result<()> {
    setup::oracle_with_collections()?;
    base::with_package_lists()?;
    let all = roles::wanted(names)?;
    let project = Project::new("roles")?;
    keep_the_base(&project)?;
    let mut well = 0;
    for role in &all {
        let began = Instant::now();
        let outcome = one(role, &project);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(said) => {
                well += 1;
                println!("well    {:<32} {seconds:>6.1} s  {said}", role.name);
            }
            Err(error) => println!("failed  {:<32} {seconds:>6.1} s  {error:#}", role.name),
        }
    }
    println!("{well} of {} roles bake, and their images test clean", all.len());
    if well >= AIM.min(all.len()) {
        tally.passed += 1;
    } else {
        tally.failed.push(format!("images roles: {well} of {}, at least {AIM} were expected", all.len()));
    }
    Ok(())
}

/// An image of next to nothing holds the base, packed, while the roles' images come and go.
fn keep_the_base(project: &Project) -> Result<()> {
    let base = base::with_package_lists()?;
    let definition =
        format!("images:\n  plain: {{playbook: plain.yml, base: {}, network: none}}\n", base.display());
    project.write("theseus.yml", &definition)?;
    let playbook =
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: x, dest: /etc/plain}\n";
    project.write("plain.yml", playbook)?;
    project.bake("plain", &[])?;
    Ok(())
}

fn one(role: &Role, project: &Project) -> Result<String> {
    let folder = roles::project(role)?;
    let name = role.name.replace(['.', '_'], "-").to_lowercase();
    let base = base::with_package_lists()?;
    let definition = format!(
        "images:\n  {name}:\n    playbook: site.yml\n    base: {}\n    network: host\n    allow_secrets: [/etc, /var, /usr, /home, /root]\n",
        base.display()
    );
    fs::write(folder.join("theseus.yml"), definition)?;
    fs::write(
        folder.join("ansible.cfg"),
        format!("[defaults]\ncollections_path = {}\n", setup::collections()?.display()),
    )?;
    let go = |arguments: &[&str]| -> Result<String> {
        let mut command = project.command(arguments)?;
        let output = command.current_dir(&folder).output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        fs::write(folder.join(format!("{}.log", arguments[0])), &text)?;
        if output.status.success() {
            return Ok(text);
        }
        let telling =
            |line: &&str| line.starts_with("failed") || line.contains("error") || line.starts_with("changed");
        let why: Vec<&str> = text.lines().filter(telling).take(3).collect();
        anyhow::bail!("{}: {}", arguments.join(" "), why.join(" | "))
    };
    let baked = go(&["bake", &name])?;
    go(&["image", "test", &name])?;
    let steps = baked.lines().find(|line| line.contains(" steps: ")).unwrap_or_default().to_owned();
    // Forty images of a whole Debian are many.
    project.theseus(&["image", "rm", &name])?;
    project.theseus(&["image", "gc", "--keep-cache", "0"])?;
    Ok(steps)
}
