//! `theseus image …`: what was baked, and what becomes of it.

mod show;
mod test;

use std::fs;
use std::time::Duration;

use image::{Format, Store, export};
use serde_json::json;

use crate::arguments::{self, ImageAction, ImageFormat};
use crate::commands::bake::{failed, megabytes, store};
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
        ImageAction::Export { image, format, to, tag } => write(store, image, *format, to, tag)?,
        ImageAction::Test { image, hosts, given } => {
            return test::test(store, image, hosts, given, style, command);
        }
        ImageAction::Promote { image, pointer, untested } => promote(store, image, pointer, *untested, json)?,
        ImageAction::Rm { images } => {
            for text in images {
                let image = store.resolve(text).map_err(failed)?;
                store.remove(&image).map_err(failed)?;
                eprintln!("forgotten: {}; `theseus image gc` frees its space", image.short());
            }
        }
        ImageAction::Gc { keep_cache } => {
            let _turn = store.turn(|| eprintln!("waiting for a bake to end")).map_err(failed)?;
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

fn write(
    store: &Store,
    text: &str,
    format: ImageFormat,
    to: &std::path::Path,
    tag: &str,
) -> Result<(), Problem> {
    let image = store.resolve(text).map_err(failed)?;
    let made = match format {
        ImageFormat::Oci => Format::Oci,
        ImageFormat::Archive => Format::Archive,
        ImageFormat::Rootfs => Format::Rootfs,
        ImageFormat::Cyclonedx | ImageFormat::Spdx => {
            let bill = if format == ImageFormat::Spdx { image::spdx } else { image::cyclonedx };
            let text = serde_json::to_string_pretty(&bill(store, &image).map_err(failed)?)
                .map_err(|e| e.to_string())?;
            return fs::write(to, text + "\n").map_err(|e| format!("{}: {e}", to.display()).into());
        }
    };
    export(store, &image, made, to, tag).map_err(failed)?;
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
