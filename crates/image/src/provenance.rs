//! Where an image comes from, in the words of in-toto and SLSA: what it was baked of, by which steps.

use serde_json::{Value, json};

use crate::config::when;
use crate::store::Image;

/// What one says of an image: its digest, and how it was made.
#[must_use]
pub fn provenance(image: &Image) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": image.name, "digest": {"sha256": image.digest.trim_start_matches("sha256:")}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://theseus.invalid/bake/v1",
                "externalParameters": {"image": image.name, "base": image.base},
                "internalParameters": {"generation": image.generation, "epoch": when(image.epoch), "steps": image.steps},
                "resolvedDependencies": [{
                    "name": image.base,
                    "digest": {"sha256": image.base_digest.trim_start_matches("sha256:")},
                }],
            },
            "runDetails": {
                "builder": {"id": "https://theseus.invalid/theseus", "version": {"theseus": env!("CARGO_PKG_VERSION")}},
                "metadata": {"finishedOn": image.created},
            },
        },
    })
}
