//! Lists of images, one image, two images.

use image::{Image, Store};
use serde_json::{Value, json};

use crate::commands::bake::{failed, megabytes};
use crate::report;
use crate::setup::Problem;

/// Pointers that name this image now.
fn named(store: &Store, image: &Image) -> Vec<String> {
    let all = store.pointers(&image.name);
    all.into_iter()
        .filter(|(_, one)| one.digest() == Some(image.digest.as_str()))
        .map(|(name, _)| name)
        .collect()
}

pub(super) fn list(store: &Store, json: bool) -> Result<(), Problem> {
    let all = store.list().map_err(failed)?;
    for image in &all {
        let pointers = named(store, image);
        if json {
            report::json_line(line(image, &pointers));
            continue;
        }
        let tested = if image.tested.is_some() { "tested" } else { "" };
        println!(
            "{:<28} {:>9}  {}  {:<6}  {}",
            image.short(),
            megabytes(image.size),
            &image.created[..16],
            tested,
            pointers.join(" ")
        );
    }
    if all.is_empty() && !json {
        println!("no images: `theseus bake NAME` makes one");
    }
    Ok(())
}

fn line(image: &Image, pointers: &[String]) -> Value {
    json!({
        "event": "image", "image": image.name, "digest": image.digest, "generation": image.generation, "base": image.base, "created": image.created,
        "size": image.size, "layers": image.layers.len(), "steps": image.steps.len(), "tested": image.tested, "pointers": pointers, "labels": image.labels,
    })
}

pub(super) fn show(store: &Store, image: &Image, json: bool) {
    if json {
        let mut line = line(image, &named(store, image));
        line["layers"] = json!(image.layers);
        line["steps"] = json!(image.steps);
        line["history"] = json!(store.pointers(&image.name));
        return report::json_line(line);
    }
    println!(
        "{}  {}\ngeneration {}, on {}, baked {}",
        image.name, image.digest, image.generation, image.base, image.created
    );
    println!(
        "{}",
        image.tested.as_ref().map_or_else(|| "not tested".to_owned(), |at| format!("tested {at}"))
    );
    for (name, value) in &image.labels {
        println!("label {name}={value}");
    }
    for layer in &image.layers {
        println!("layer {}  {:>9}  {}", &layer.digest[7..19], megabytes(layer.size), layer.made_by);
    }
    for (pointer, one) in store.pointers(&image.name) {
        for pointed in one.history.iter().rev() {
            println!("{pointer}: {} since {}, by {}", &pointed.digest[7..19], pointed.at, pointed.by);
        }
    }
    for step in &image.steps {
        let mark = if step.changed { "changed" } else { "ok" };
        let role = if step.role.is_empty() { String::new() } else { format!("{} : ", step.role) };
        let item = if step.item.is_empty() { String::new() } else { format!(" ({})", step.item) };
        println!("{mark:<7} {role}{}{item}", step.task);
    }
}

/// Whether there is a difference.
pub(super) fn diff(store: &Store, before: &str, after: &str, json: bool) -> Result<bool, Problem> {
    let (a, b) = (store.resolve(before).map_err(failed)?, store.resolve(after).map_err(failed)?);
    let changes = image::diff(store, &a, &b).map_err(failed)?;
    let packages = changes.iter().any(|change| change.object.is_some());
    let mut in_packages = 0;
    for change in &changes {
        if json {
            let mut line = json!({"event": "change", "host": b.name, "declared": false});
            if let (Some(line), Ok(Value::Object(fields))) =
                (line.as_object_mut(), serde_json::to_value(change))
            {
                line.extend(fields);
            }
            report::json_line(line);
            continue;
        }
        if packages && change.by_package {
            in_packages += 1;
            continue;
        }
        let what = change.object.as_deref().or(change.path.as_deref()).unwrap_or_default();
        let from = change.before.as_deref().unwrap_or("-");
        let to = change.after.as_deref().unwrap_or("-");
        println!("{:<7}  {what}  {from} -> {to}", change.kind);
    }
    if !json {
        if in_packages > 0 {
            println!("and {in_packages} paths of those packages");
        }
        if changes.is_empty() {
            println!("no difference between {} and {}", a.short(), b.short());
        }
    }
    Ok(!changes.is_empty())
}
