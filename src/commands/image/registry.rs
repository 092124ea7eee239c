//! Images to registries and from them.

use image::{Reference, Store};
use serde_json::json;

use crate::commands::bake::{failed, megabytes};
use crate::report;
use crate::setup::Problem;

fn say(text: &str) {
    eprintln!("{text}");
}

pub(super) fn push(store: &Store, text: &str, reference: &str, json: bool) -> Result<(), Problem> {
    let image = store.resolve(text).map_err(failed)?;
    let to = Reference::parse(reference).map_err(failed)?;
    let pushed = store.push(&image, &to, &say).map_err(failed)?;
    if json {
        report::json_line(json!({
            "event": "pushed", "image": image.name, "digest": image.digest, "reference": to.to_string(),
            "sent": pushed.sent, "bytes": pushed.bytes, "known": pushed.known, "resumed": pushed.resumed,
        }));
    } else {
        println!(
            "{} is {to}: {} contents sent ({}), {} were there",
            image.short(),
            pushed.sent,
            megabytes(pushed.bytes),
            pushed.known
        );
    }
    Ok(())
}

pub(super) fn pull(store: &Store, reference: &str, name: Option<&str>, json: bool) -> Result<(), Problem> {
    let from = Reference::parse(reference).map_err(failed)?;
    let own = from.repository.rsplit('/').next().unwrap_or_default();
    let name = name.unwrap_or(own);
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fine) {
        return Err(Problem::Options(format!(
            "`{name}` cannot be the name of an image: small letters, digits and `-` (--name gives another one)"
        )));
    }
    let image = store.pull(&from, name, &say).map_err(failed)?;
    if json {
        report::json_line(json!({
            "event": "pulled", "image": image.name, "digest": image.digest, "generation": image.generation,
            "reference": from.to_string(), "size": image.size,
        }));
    } else {
        println!("{from} is {}, generation {}", image.short(), image.generation);
    }
    Ok(())
}
