//! `theseus bake NAME --from HOST[@GENERATION]`: the host's files, brought here; what came after the generation is undone
//! here, by the host's own record.

use std::process::Stdio;

use image::{Base as ImageBase, Store};
use serde_json::json;

use super::ask;
use crate::arguments::{Bake, Means, Reach};
use crate::commands::bake::failed;
use crate::commands::effect::Question;
use crate::setup::{Base, Problem};

/// Where the archive lies on the host meanwhile: nothing there is part of a layer.
const ARCHIVE: &str = "/var/lib/theseus/export.tar.gz";
const LEFT_OUT: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/tmp",
    "var/cache/apt/archives",
    "var/lib/theseus/export.tar.gz",
];

/// What an image is baked of, made of a living server.
pub(crate) fn base(
    store: &Store,
    from: &str,
    asked: &Bake,
    base: &mut Base,
    command: &str,
    say: &dyn Fn(&str),
) -> Result<ImageBase, Problem> {
    let (host, generation) = match from.rsplit_once('@') {
        Some((host, number)) => {
            let number: u64 = number.parse().map_err(|_| {
                Problem::Options(format!("`{from}`: `{number}` is no generation; write HOST@3"))
            })?;
            (host, Some(number))
        }
        None => (from, None),
    };
    let means = Means {
        hosts: asked.hosts.clone(),
        given: asked.given.clone(),
        reach: Reach::default(),
        own_user: false,
    };
    let question = Question { pattern: host, means: &means, command, looks: true };
    let newest = question.ask_one(base, json!({"ask": "generations"}))?;
    let newest = newest.map_err(|_| Problem::Other(format!("{host} did not answer")))?;
    let head = newest["head"].as_u64().unwrap_or(0);
    if let Some(wanted) = generation.filter(|wanted| *wanted > head) {
        return Err(format!("{host} has no generation {wanted}; its newest is {head}").into());
    }
    say(&format!("bringing the files of {host} here"));
    let folder = store.root().join("work").join(format!("from.{}", std::process::id()));
    let archive = folder.join("root.tar.gz");
    let left_out: String =
        LEFT_OUT.iter().map(|path| format!(" --exclude='./{path}/*' --exclude='./{path}.gz'")).collect();
    let pack = format!(
        "umask 077; mkdir -p /var/lib/theseus; tar -C / --one-file-system --numeric-owner --format=posix --xattrs --xattrs-include='*' --exclude='.{ARCHIVE}'{left_out} -cf - . | gzip -1 > {ARCHIVE}; test -s {ARCHIVE}"
    );
    ask(&question, base, json!({"shell": pack, "changed_when": false}))?;
    let fetched = ask(
        &question,
        base,
        json!({"fetch": {"src": ARCHIVE, "dest": archive, "flat": true}, "changed_when": false}),
    );
    ask(&question, base, json!({"shell": format!("rm -f {ARCHIVE}"), "changed_when": false}))?;
    fetched?;
    let undo = generation.filter(|wanted| *wanted < head);
    let name = generation.map_or_else(|| host.to_owned(), |number| format!("{host}@{number}"));
    let made = ImageBase::of_host(
        store,
        &archive,
        &name,
        undo.map(|to| move |sandbox: &lab::Sandbox| back(sandbox, to)),
    );
    let _ = std::fs::remove_dir_all(&folder);
    made.map_err(failed)
}

/// This very program, inside, takes back what came later.
fn back(sandbox: &lab::Sandbox, to: u64) -> std::result::Result<(), String> {
    let mut command = sandbox.command("/dev/theseus/program");
    command.args(["rollback", "localhost", "--connection", "local", "--force", "--to", &to.to_string()]);
    command.env("THESEUS_STATE", "/dev/theseus/ledger").env("THESEUS_BAKE", "1").env("SYSTEMD_OFFLINE", "1");
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
}
