//! `theseus image …`: what was baked, and what becomes of it.

mod registry;
mod show;
mod test;

use std::fs;
use std::time::Duration;

use image::{Disk, Format, Image, Signature, Store, Turn, export, export_disk};
use serde_json::json;

use crate::arguments::{self, ImageAction, ImageFormat};
use crate::commands::bake::{failed, megabytes, store};
use crate::commands::living;
use crate::report::{self, Output, Style};
use crate::setup::{self, Problem};
use crate::terminal;

pub(crate) fn image(asked: &arguments::Image, style: Style, command: &str) -> u8 {
    let json = style.output == Output::Json;
    let done = store().and_then(|store| act(&asked.action, &store, style, command));
    done.unwrap_or_else(|problem| terminal::show(&problem, &playbook::Sources::new(), json))
}

fn act(action: &ImageAction, store: &Store, style: Style, command: &str) -> Result<u8, Problem> {
    let json = style.output == Output::Json;
    match action {
        ImageAction::List => show::list(store, json)?,
        ImageAction::Show { image } => show::show(store, &store.resolve(image).map_err(failed)?, json),
        ImageAction::Diff { before, after, exit_code } => {
            let found = show::diff(store, before, after, json)?;
            return Ok(if found && *exit_code { 2 } else { 0 });
        }
        ImageAction::Export { image, format, to, tag, disk_size, kernel_arguments } => {
            let disk = Disk {
                qcow2: *format == ImageFormat::Qcow2,
                size: *disk_size,
                arguments: kernel_arguments.clone(),
            };
            write(store, image, *format, to, tag, &disk)?;
        }
        ImageAction::Test { image, hosts, given } => {
            return test::test(store, image, hosts, given, style, command);
        }
        ImageAction::Promote { image, pointer, untested } => {
            let _turn = turn(store)?;
            promote(store, image, pointer, *untested, json)?;
        }
        ImageAction::Push { image, reference } => registry::push(store, image, reference, json)?,
        ImageAction::Pull { reference, name } => {
            let _turn = turn(store)?;
            registry::pull(store, reference, name.as_deref(), json)?;
        }
        ImageAction::Sign { image, key } => {
            let image = store.resolve(image).map_err(failed)?;
            let signature = image::sign(store, &image, key).map_err(failed)?;
            tell_signed("signed", &image, &signature, json);
        }
        ImageAction::Verify { image, key } => {
            let image = store.resolve(image).map_err(failed)?;
            let signature = image::verify(store, &image, key).map_err(failed)?;
            tell_signed("verified", &image, &signature, json);
        }
        ImageAction::Apply { image, host, check, means } => {
            return living::apply(store, image, host, (means, *check), style, command);
        }
        ImageAction::Rm { images } => {
            let _turn = turn(store)?;
            for text in images {
                let image = store.resolve(text).map_err(failed)?;
                store.remove(&image).map_err(failed)?;
                eprintln!("forgotten: {}; `theseus image gc` frees its space", image.short());
            }
        }
        ImageAction::Gc { keep_cache } => {
            let _turn = turn(store)?;
            let age = Duration::from_secs(keep_cache.saturating_mul(86_400));
            let gone = store.collect(age).map_err(failed)?;
            if json {
                report::json_line(
                    json!({"event": "gc", "blobs": gone.blobs, "layers": gone.layers, "roots": gone.roots, "bytes": gone.bytes}),
                );
            } else {
                println!(
                    "removed {} contents, {} cached layers, {} unpacked roots: {}",
                    gone.blobs,
                    gone.layers,
                    gone.roots,
                    megabytes(gone.bytes)
                );
            }
        }
    }
    Ok(0)
}

/// Nobody bakes, removes or moves pointers meanwhile.
fn turn(store: &Store) -> Result<Turn, Problem> {
    store.turn(|| eprintln!("waiting for a bake to end")).map_err(failed)
}

fn tell_signed(what: &str, image: &Image, signature: &Signature, json: bool) {
    if json {
        report::json_line(
            json!({"event": what, "image": image.name, "digest": image.digest, "key": signature.key}),
        );
    } else {
        println!("{} is {what} by the key {}", image.short(), signature.key);
    }
}

fn write(
    store: &Store,
    text: &str,
    format: ImageFormat,
    to: &std::path::Path,
    tag: &str,
    disk: &Disk,
) -> Result<(), Problem> {
    let image = store.resolve(text).map_err(failed)?;
    match format {
        ImageFormat::Oci => export(store, &image, Format::Oci, to, tag),
        ImageFormat::Archive => export(store, &image, Format::Archive, to, tag),
        ImageFormat::Rootfs => export(store, &image, Format::Rootfs, to, tag),
        ImageFormat::Raw | ImageFormat::Qcow2 => export_disk(store, &image, to, disk),
        ImageFormat::Cyclonedx | ImageFormat::Spdx | ImageFormat::Provenance => {
            let text = match format {
                ImageFormat::Spdx => image::spdx(store, &image).map_err(failed)?,
                ImageFormat::Cyclonedx => image::cyclonedx(store, &image).map_err(failed)?,
                _ => store
                    .signatures(&image)
                    .last()
                    .map_or_else(|| image::provenance(&image), Signature::envelope),
            };
            let text = serde_json::to_string_pretty(&text).map_err(|e| e.to_string())?;
            return fs::write(to, text + "\n").map_err(|e| format!("{}: {e}", to.display()).into());
        }
    }
    .map_err(failed)?;
    eprintln!("{} is in {}", image.short(), to.display());
    Ok(())
}

fn promote(store: &Store, text: &str, pointer: &str, untested: bool, json: bool) -> Result<(), Problem> {
    let image = store.resolve(text).map_err(failed)?;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if pointer.is_empty() || !pointer.chars().all(fine) {
        return Err(Problem::Options(format!(
            "`{pointer}` cannot be a pointer: letters, digits, `-` and `_`"
        )));
    }
    if image.tested.is_none() && !untested {
        return Err(format!(
            "{} was not tested: `theseus image test {}` does that, --untested goes without",
            image.short(),
            image.short()
        )
        .into());
    }
    let before = store.promote(&image, pointer, &setup::person()).map_err(failed)?;
    if json {
        report::json_line(
            json!({"event": "promoted", "image": image.name, "pointer": pointer, "digest": image.digest, "before": before}),
        );
    } else {
        let from = before
            .filter(|before| *before != image.digest)
            .map(|before| format!(", before {}", &before[..19]))
            .unwrap_or_default();
        println!("{}@{pointer} is now {}{from}", image.name, image.short());
    }
    Ok(())
}
