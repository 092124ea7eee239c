//! `theseus bake NAME`: the playbook of `theseus.yml` made into an image, by the very engine that changes hosts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use image::{Bake, Base as ImageBase, Built, Door, Finding, Plan, Run, Store};
use playbook::definition::ImageDefinition;
use playbook::ir::Vars;
use serde_json::json;

use crate::arguments::{self, Given, Hosts, Playing};
use crate::commands::apply::refuse_unknown;
use crate::commands::living;
use crate::commands::stage::{self, Stage};
use crate::report::{self, Output, Style};
use crate::setup::{self, Base, Problem};
use crate::terminal;

pub(crate) fn failed(error: image::Error) -> Problem {
    Problem::Other(error.to_string())
}

/// Where images are, beside the ledger.
pub(crate) fn store() -> Result<Store, Problem> {
    let ledger = ledger::default_path(rustix::process::geteuid().is_root()).map_err(|e| e.to_string())?;
    Store::open(ledger.with_file_name("images")).map_err(failed)
}

/// The image of that name, or which there are.
pub(crate) fn defined(base: &Base, name: &str) -> Result<ImageDefinition, Problem> {
    if let Some(found) = base.definition.images.get(name) {
        return Ok(found.clone());
    }
    let names: Vec<&str> = base.definition.images.keys().map(String::as_str).collect();
    let all = names.join(", ");
    Err(Problem::Other(match names.as_slice() {
        [] => "theseus.yml defines no images: add `images:` with a name, a playbook and a base".to_owned(),
        _ => format!("theseus.yml defines no image `{name}`; it defines {all}"),
    }))
}

/// What the image's variables add to those of the command line, which win.
pub(crate) fn add_variables(base: &mut Base, definition: &ImageDefinition) {
    let mut vars = Vars::new();
    if let Some(map) = definition.vars.as_ref().and_then(playbook::yaml::Node::as_map) {
        for (key, value) in map {
            if let Some(name) = key.scalar_text() {
                vars.insert(Arc::from(name.as_str()), value.to_value(&base.vault));
            }
        }
    }
    vars.insert(Arc::from("theseus_bake"), expressions::Value::Bool(true));
    vars.extend(base.extra_vars.iter().map(|(name, value)| (name.clone(), value.clone())));
    base.extra_vars = Arc::new(vars);
}

/// An inventory beside the project's own, in which the image is a host of its groups. Removed when dropped.
pub(crate) struct Membership(PathBuf);

impl Membership {
    pub(crate) fn write(
        store: &Store,
        name: &str,
        groups: &[String],
        variables: &str,
    ) -> Result<Self, Problem> {
        let mut text = format!("{name} {variables}\n");
        for group in groups {
            text.push_str(&format!("[{group}]\n{name}\n"));
        }
        let (place, mut file) = store.scratch("inventory").map_err(failed)?;
        let membership = Self(place);
        file.write_all(text.as_bytes()).map_err(|error| format!("{}: {error}", membership.path()))?;
        Ok(membership)
    }

    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// As if the image's playbooks had been typed, for it alone.
pub(crate) fn playing(
    base: &Base,
    definition: &ImageDefinition,
    name: &str,
    hosts: &Hosts,
    given: &Given,
    membership: &Membership,
) -> Playing {
    let mut inventory = base.inventory_sources(hosts);
    inventory.push(membership.path());
    Playing {
        playbooks: definition.playbooks.iter().map(PathBuf::from).collect(),
        hosts: Hosts { inventory, limit: Some(name.to_owned()) },
        given: given.clone(),
        tags: definition.tags.clone(),
        skip_tags: definition.skip_tags.clone(),
        ..Playing::default()
    }
}

pub(crate) fn bake(asked: &arguments::Bake, style: Style, command: &str) -> u8 {
    let json = style.output == Output::Json;
    let mut base = match Base::new(&asked.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    go(asked, style, command, &mut base)
        .unwrap_or_else(|problem| terminal::show(&problem, &base.sources, json))
}

fn go(asked: &arguments::Bake, style: Style, command: &str, base: &mut Base) -> Result<u8, Problem> {
    let began = Instant::now();
    let definition = match &asked.from {
        Some(_) => base.definition.images.get(&asked.name).cloned().unwrap_or_else(ImageDefinition::bare),
        None => defined(base, &asked.name)?,
    };
    if !rustix::process::geteuid().is_root() {
        return Err("baking needs root, for namespaces and owners of files: sudo theseus bake"
            .to_owned()
            .into());
    }
    let store = store()?;
    let say = |text: &str| eprintln!("{text}");
    let _turn = store.turn(|| say("waiting for another bake to end")).map_err(failed)?;
    if let Some(from) = &asked.from {
        let from = living::base(&store, from, asked, base, command, &say)?;
        let bake = Bake::new(store.clone(), plan(asked, &definition, &store)?, from);
        return made(&bake, began, style);
    }
    let from =
        ImageBase::find(&store, &definition.base, &base.cwd, asked.fresh_base, &say).map_err(failed)?;
    let bake = Bake::new(store.clone(), plan(asked, &definition, &store)?, from);
    add_variables(base, &definition);
    let membership = Membership::write(&store, &asked.name, &definition.groups, "")?;
    let playing = Playing {
        verbose: asked.verbose,
        ..playing(base, &definition, &asked.name, &asked.hosts, &asked.given, &membership)
    };
    let mut settings = setup::settings(&playing, base, command)?;
    settings.reach.places = vec![(asked.name.clone(), Arc::new(Door(Arc::clone(&bake))))];
    let style = Style { verbosity: settings.verbosity, ..style };
    let stage = Stage::set(&playing, settings, base, |base| {
        let project = base.project(&playing.playbooks)?;
        refuse_unknown(&project)?;
        Ok(project)
    })?;
    let info = stage::run_info(&stage.settings, base);
    let performed =
        stage.perform(base, info, stage::unrecorded(), report::sink(style), &playing.playbooks)?;
    let (recap, outcome) = (performed.recap.clone(), performed.outcome.clone());
    let code = if outcome.is_err() { 1 } else { stage::exit_code(&recap) };
    performed.close(code);
    outcome?;
    let chain = bake.chain();
    if code != 0 {
        bake.give_up();
        let kept = chain.cached + chain.run;
        say(&format!(
            "not baked; {} steps are kept: the next bake goes on at the one that failed",
            kept.saturating_sub(1)
        ));
        return Ok(code);
    }
    if chain.cached + chain.run == 0 {
        let groups = definition.groups.join(", ");
        return Err(format!(
            "no play of the playbook is for {}: name its groups in theseus.yml (now: {groups})",
            asked.name
        )
        .into());
    }
    made(&bake, began, style)
}

/// The image of what the bake has now.
fn made(bake: &Arc<Bake>, began: Instant, style: Style) -> Result<u8, Problem> {
    match bake.assemble(&|text| eprintln!("{text}")).map_err(failed)? {
        Ok(built) => tell(&built, &bake.chain(), began, style),
        Err(findings) => return Ok(refuse(&findings, style)),
    }
    Ok(0)
}

fn plan(asked: &arguments::Bake, definition: &ImageDefinition, store: &Store) -> Result<Plan, Problem> {
    let agent = link::Image::embedded();
    let place = store.root().join("agent").join(agent.digest());
    if !place.exists() {
        write_agent(&agent, &place).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => Some(
            text.parse()
                .map_err(|_| format!("SOURCE_DATE_EPOCH is `{text}`: a number of seconds is needed"))?,
        ),
        Err(_) => definition.epoch,
    };
    Ok(Plan {
        name: asked.name.clone(),
        base: definition.base.clone(),
        labels: definition.labels.clone(),
        run: Run {
            cmd: definition.cmd.clone(),
            entrypoint: definition.entrypoint.clone(),
            env: definition.env.clone(),
            ports: definition.ports.clone(),
            user: definition.user.clone(),
            workdir: definition.workdir.clone(),
        },
        network: definition.network,
        epoch,
        keep: definition.keep.clone(),
        allow_secrets: definition.allow_secrets.clone(),
        from_scratch: asked.from_scratch,
        agent: place,
        agent_digest: agent.digest().to_owned(),
    })
}

fn write_agent(agent: &link::Image, place: &Path) -> std::io::Result<()> {
    let beside = place.with_extension("new");
    fs::write(&beside, agent.binary()?)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
    fs::rename(&beside, place)
}

fn tell(built: &Built, chain: &image::Chain, began: Instant, style: Style) {
    let image = &built.image;
    let seconds = began.elapsed().as_secs_f64();
    if style.output == Output::Json {
        report::json_line(json!({
            "event": "image", "image": image.name, "digest": image.digest, "generation": image.generation, "size": image.size,
            "layers": image.layers.len(), "packed": built.packed, "cached": chain.cached, "run": chain.run, "known": built.known, "seconds": seconds,
        }));
        return;
    }
    println!("{} steps: {} from the cache, {} done", chain.cached + chain.run, chain.cached, chain.run);
    let same = if built.known { " (as before)" } else { "" };
    println!(
        "{}  {}{same}\ngeneration {}, {} layers, {} ({} packed now), {seconds:.1} s",
        image.name,
        image.digest,
        image.generation,
        image.layers.len(),
        megabytes(image.size),
        megabytes(built.packed_bytes)
    );
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Secrets stay out of images: says where they are, not what.
fn refuse(findings: &[Finding], style: Style) -> u8 {
    for found in findings {
        let text = format!("{}:{}: {} must not be in an image", found.path, found.line, found.what);
        if style.output == Output::Json {
            report::json_line(
                json!({"event": "error", "message": text, "path": found.path, "line": found.line, "what": found.what}),
            );
        }
        eprintln!("error: {text}");
    }
    eprintln!(
        "hint: give it to instances when they start; or list the path under `allow_secrets` of the image in theseus.yml"
    );
    1
}
