//! From a registry: what names an image, then the contents that are not here yet. Everything is checked by its digest.

use std::fs::{self, File};
use std::io::{self, Read, Seek};

use serde_json::Value;

use super::Reference;
use super::client::{Client, refused};
use crate::config;
use crate::digest::{self, Hashing};
use crate::error::{Doing, Error, Result};
use crate::oci::{self, Found};
use crate::store::{Image, RECORD, Store, now};
use crate::tree::Tree;

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Nobody's manifest is longer.
const LONGEST: u64 = 8 << 20;

/// Digest and bytes of the image's manifest; of several machines' images this machine's.
pub(crate) fn resolve(client: &Client, from: &Reference) -> Result<(String, Vec<u8>)> {
    let (digest, bytes) = manifest(client, from)?;
    let value: Value = parse(from, &bytes)?;
    let Some(machines) = value["manifests"].as_array() else { return Ok((digest, bytes)) };
    let fits = |one: &&Value| {
        one["platform"]["architecture"] == config::architecture() && one["platform"]["os"] == "linux"
    };
    let one = machines.iter().find(fits).ok_or_else(|| {
        Error::wrong(format!("{from} has no image for this machine ({})", config::architecture()))
    })?;
    manifest(client, &from.at(oci::digest_of(one)?))
}

fn manifest(client: &Client, from: &Reference) -> Result<(String, Vec<u8>)> {
    let path = format!("/v2/{}/manifests/{}", from.repository, from.version);
    let response = client.send("GET", &path, &[("accept", MANIFESTS)], b"")?;
    if !response.status().is_success() {
        return Err(refused(&from.to_string(), response));
    }
    let bytes = response.into_body().with_config().limit(LONGEST).read_to_vec();
    let bytes = bytes.map_err(|error| Error::wrong(format!("{from}: {error}")))?;
    let digest = digest::of(&bytes);
    if from.version.contains(':') && from.version != digest {
        return Err(Error::wrong(format!("{from}: the registry answers with {digest} in its place")));
    }
    Ok((digest, bytes))
}

fn parse(from: &Reference, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| Error::wrong(format!("{from}: no manifest: {error}")))
}

/// Brings everything of a resolved image into the store.
pub(crate) fn fetch(
    store: &Store,
    client: &Client,
    from: &Reference,
    (digest, bytes): (String, Vec<u8>),
    say: &dyn Fn(&str),
) -> Result<Found> {
    let manifest = parse(from, &bytes)?;
    let config_digest = oci::digest_of(&manifest["config"])?;
    bring(store, client, from, &config_digest, say)?;
    let config: Value = parse(from, &store.read_blob(&config_digest)?)?;
    let layers = oci::layers(&manifest, &config)?;
    for layer in &layers {
        bring(store, client, from, &layer.digest, say)?;
    }
    store.put_blob(&bytes)?;
    Ok(Found { digest, layers, config })
}

impl Store {
    /// Makes an image of a registry one of ours, under a name.
    pub fn pull(&self, from: &Reference, name: &str, say: &dyn Fn(&str)) -> Result<Image> {
        let client = Client::new(from);
        let found = fetch(self, &client, from, resolve(&client, from)?, say)?;
        let labels = found.config["config"]["Labels"].as_object().cloned().unwrap_or_default();
        let label = |key: &str| labels.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut image = Image {
            name: name.to_owned(),
            generation: label("theseus.generation").unwrap_or_else(|| found.digest[7..23].to_owned()),
            digest: found.digest,
            base: from.to_string(),
            created: now(),
            epoch: 0,
            labels: labels
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            size: found.layers.iter().map(|layer| layer.size).sum(),
            layers: found.layers,
            steps: Vec::new(),
            base_digest: label("org.opencontainers.image.base.digest").unwrap_or_default(),
            chain: Vec::new(),
            tested: None,
        };
        let root = self.rootfs(&image)?;
        image.epoch = Tree::scan(&root)?.newest();
        // What it tells of itself, if a bake made it.
        let record: Option<Value> = self.read_json(&root.join(RECORD));
        if let Some(steps) = record.and_then(|mut record| serde_json::from_value(record["steps"].take()).ok())
        {
            image.steps = steps;
        }
        self.save(&image)?;
        Ok(image)
    }
}

/// One content; what came of it before an interruption is not fetched again.
fn bring(store: &Store, client: &Client, from: &Reference, digest: &str, say: &dyn Fn(&str)) -> Result<()> {
    let place = store.blob(digest);
    if place.exists() {
        return Ok(());
    }
    say(&format!("fetching {}", &digest[7..19]));
    let partial = store.path("partial").join(&digest[7..]);
    let mut file = File::options().create(true).read(true).append(true).open(&partial).at(&partial)?;
    let have = file.metadata().at(&partial)?.len();
    let range = format!("bytes={have}-");
    let headers = if have > 0 { vec![("range", range.as_str())] } else { Vec::new() };
    let path = format!("/v2/{}/blobs/{digest}", from.repository);
    let response = client.send("GET", &path, &headers, b"")?;
    match response.status().as_u16() {
        206 => {}
        200 => file.set_len(0).at(&partial)?,
        // All of it was there, or more than there is.
        416 => {}
        _ => return Err(refused(&from.to_string(), response)),
    }
    if response.status().is_success() {
        io::copy(&mut response.into_body().into_reader(), &mut file)
            .map_err(|error| Error::wrong(format!("{from}: {error}; the next try goes on from here")))?;
    }
    file.rewind().at(&partial)?;
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut file.by_ref(), &mut hashing).at(&partial)?;
    let (_, found, _) = hashing.finish();
    if found != digest {
        fs::remove_file(&partial).at(&partial)?;
        return Err(Error::wrong(format!("{from}: the content {digest} arrived as {found}")));
    }
    fs::rename(&partial, &place).at(&place)
}
