//! `theseus image test`: the image starts as a host of the lab; its playbook finds nothing to change, its health
//! checks hold.

use image::{Image, Store};
use lab::{Archives, HostOptions, Lab};
use serde_json::json;

use crate::arguments::{Given, Hosts};
use crate::commands::apply::{Health, add_health, refuse_unknown};
use crate::commands::bake::{Membership, add_variables, defined, failed, playing};
use crate::commands::stage::{self, Stage};
use crate::report::{self, Output, Style};
use crate::setup::{self, Base, Problem};

/// The host, taken away at the end.
struct Host {
    lab: Lab,
    name: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = self.lab.down(&self.name) {
            eprintln!("warning: the host {} could not be taken away: {error}", self.name);
        }
    }
}

/// What was baked with a network finds the package archives that it names, with their lists as new as the test.
fn archives(store: &Store, image: &Image, host: &Host) -> Result<Option<Archives>, Problem> {
    let Some(address) = host.lab.controller_address() else { return Ok(None) };
    let found = host.lab.list().into_iter().find(|one| one.name == host.name);
    let Some(inside) =
        found.filter(|inside| inside.run("sh", &["-c", "test -d /etc/apt/apt.conf.d"]).is_ok())
    else {
        return Ok(None);
    };
    let archives = image::archives(store, image, address.into()).map_err(failed)?;
    inside
        .copy_in("/etc/apt/apt.conf.d/00theseus-test", archives.configuration().as_bytes(), 0o644)
        .map_err(|e| e.to_string())?;
    if let Err(error) = inside.run("apt-get", &["-q", "update"]) {
        eprintln!("warning: the package archives cannot be reached: {error}");
    }
    Ok(Some(archives))
}

pub(super) fn test(
    store: &Store,
    text: &str,
    hosts: &Hosts,
    given: &Given,
    style: Style,
    command: &str,
) -> Result<u8, Problem> {
    let mut image = store.resolve(text).map_err(failed)?;
    let mut base = Base::new(given)?;
    let definition = defined(&base, &image.name)?;
    // Until everything is read: a bake that begins now would clear away what lies in the store's working place.
    let turn = store.turn(|| eprintln!("waiting for a bake to end")).map_err(failed)?;
    let root = store.rootfs(&image).map_err(failed)?;
    let pool = format!("test{}", std::process::id());
    let lab = Lab::pool(&pool).map_err(|e| e.to_string())?;
    let options =
        HostOptions { base: Some(root.clone()), tied: true, ..HostOptions::new(image.name.clone()) };
    let host = Host { lab, name: image.name.clone() };
    host.lab.up(&[options]).map_err(|e| format!("{} does not start: {e}", image.short()))?;
    let archives = if definition.network { archives(store, &image, &host)? } else { None };
    let variables =
        format!("ansible_connection=lab theseus_lab_pool={pool} theseus_lab_base={}", root.display());
    let membership = Membership::write(store, &image.name, &definition.groups, &variables)?;
    add_variables(&mut base, &definition);
    base.definition.health = definition.health.clone().or(base.definition.health.take());
    let playing = playing(&base, &definition, &image.name, hosts, given, &membership);
    let settings = setup::settings(&playing, &base, command)?;
    let stage = Stage::set(&playing, settings, &mut base, |base| {
        let mut project = base.project(&playing.playbooks)?;
        add_health(&mut project, base, &base.definition.checks, Health::AtTheEnd)?;
        refuse_unknown(&project)?;
        Ok(project)
    })?;
    drop(turn);
    let info = stage::run_info(&stage.settings, &base);
    let performed =
        stage.perform(&base, info, stage::unrecorded(), report::sink(style), &playing.playbooks)?;
    let (recap, outcome) = (performed.recap.clone(), performed.outcome.clone());
    let code = stage::exit_code(&recap);
    performed.close(code);
    outcome?;
    drop((host, archives));
    let changed = recap.hosts.get(&image.name).map_or(0, |counters| counters.changed);
    let passed = code == 0 && changed == 0;
    if passed {
        image.tested = Some(jiff::Timestamp::now().to_string());
        store.save(&image).map_err(failed)?;
    }
    if style.output == Output::Json {
        report::json_line(
            json!({"event": "test", "image": image.name, "digest": image.digest, "passed": passed, "changed": changed}),
        );
    } else if passed {
        println!("{} passed: it starts, its playbook changes nothing, its health checks hold", image.short());
    } else if code == 0 {
        println!("{} failed: {changed} tasks of its playbook changed something again", image.short());
    } else {
        println!("{} failed", image.short());
    }
    Ok(if passed { 0 } else { code.max(2) })
}
