//! A living server and its image: no difference at first, a change by hand is seen and put right, an older generation
//! becomes an image again.

use anyhow::{Result, bail};
use lab::{HostOptions, Lab};
use serde_json::Value;

use super::Project;
use crate::base;
use crate::tally::Tally;

const SITE: &str = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {dest: /etc/web.conf, content: \"port {{ port | default(80) }}\\n\", mode: '0640'}\n    - file: {path: /srv/web, state: directory, mode: '0755'}\n";

/// Taken away at the end.
struct Host(Lab);

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = self.0.down_all() {
            eprintln!("the host could not be removed: {error}");
        }
    }
}

pub(super) fn run(_arguments: &[String], tally: &mut Tally) -> Result<()> {
    let base = base::directory()?;
    let pool = format!("living{}", std::process::id());
    let host = Host(Lab::pool(&pool)?);
    let hosts =
        host.0.up(&[HostOptions { base: Some(base.clone()), tied: true, ..HostOptions::new("web1") }])?;
    let project = Project::new("living")?;
    project.write("hosts", &format!("web1 ansible_connection=lab theseus_lab_pool={pool}\n"))?;
    project.write("ansible.cfg", "[defaults]\ninventory = hosts\n")?;
    project.write("site.yml", SITE)?;
    project.write(
        "theseus.yml",
        &format!("images:\n  shop: {{playbook: site.yml, base: {}, network: none}}\n", base.display()),
    )?;
    project.bake("shop", &[])?;
    project.theseus(&["apply", "site.yml", "--limit", "web1"])?;
    let differences = || -> Result<Vec<Value>> {
        let out = project.theseus(&["diff", "web1", "shop", "--output", "json"])?;
        Ok(out
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|event: &Value| event["event"] == "change")
            .collect())
    };
    let names = |all: &[Value]| {
        all.iter().map(|one| one["path"].as_str().unwrap_or("?").to_owned()).collect::<Vec<_>>().join(" ")
    };
    let first = differences()?;
    println!(
        "the same playbook on the server and in the image: {} differences: {}",
        first.len(),
        names(&first)
    );
    if !first.is_empty() {
        bail!("there should be none");
    }
    hosts[0].run(
        "sh",
        &["-c", "echo by hand >> /etc/web.conf; echo x > /etc/stray; rm -r /srv/web; chmod 600 /etc/issue"],
    )?;
    let second = differences()?;
    println!("after a night: {}", names(&second));
    for path in ["/etc/web.conf", "/etc/stray", "/srv/web", "/etc/issue"] {
        if !second.iter().any(|one| one["path"] == path) {
            bail!("{path} is not among the differences");
        }
    }
    project.theseus(&["image", "apply", "shop", "web1"])?;
    let third = differences()?;
    if !third.is_empty() {
        bail!("brought to the image's state, and still different: {}", names(&third));
    }
    println!("brought to the image's state: no difference");
    project.theseus(&["apply", "site.yml", "--limit", "web1", "-e", "port=8080"])?;
    // The first generation lasted until the image was applied: what was done by hand is of it.
    let generations = [
        ("edited", "web1@1", "port 80\nby hand\n"),
        ("old", "web1@2", "port 80\n"),
        ("now", "web1", "port 8080\n"),
    ];
    for (image, from, wanted) in generations {
        project.theseus(&["bake", image, "--from", from])?;
        project.theseus(&["image", "export", image, "-f", "rootfs", "-t", "root.tar"])?;
        let mut tar = std::process::Command::new("tar");
        tar.arg("-xOf").arg(project.path("root.tar")).arg("etc/web.conf");
        let text = crate::shell::output(&mut tar)?.stdout;
        if text != wanted.as_bytes() {
            bail!("the image {image} of the server has `{}`", String::from_utf8_lossy(&text));
        }
    }
    println!("baked from generations 1 and 2 and from now: each has its files");
    tally.passed += 1;
    Ok(())
}
