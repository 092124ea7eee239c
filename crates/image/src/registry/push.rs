//! To a registry: contents first, each only if it is not there, in pieces; then what names them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use ureq::Body;
use ureq::http::Response;

use super::Reference;
use super::client::{Client, refused};
use crate::error::{Doing, Error, Result};
use crate::export::manifest;
use crate::oci;
use crate::store::{Image, Store};

/// What it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub sent: usize,
    pub bytes: u64,
    /// That were there already.
    pub known: usize,
    /// Bytes that an interrupted push had brought there.
    pub resumed: u64,
}

/// So much is sent at a time: what an interruption costs at most.
const PIECE: u64 = 16 << 20;

impl Store {
    /// Sends an image under a name of a registry; `say` tells what takes long.
    pub fn push(&self, image: &Image, to: &Reference, say: &dyn Fn(&str)) -> Result<Pushed> {
        let (bytes, config) = manifest(self, image)?;
        let client = Client::new(to);
        let mut pushed = Pushed::default();
        let layers = image.layers.iter().map(|layer| layer.digest.as_str());
        for digest in layers.chain([config.as_str()]) {
            self.push_blob(&client, to, digest, &mut pushed, say)?;
        }
        let path = format!("/v2/{}/manifests/{}", to.repository, to.version);
        let response = client.send("PUT", &path, &[("content-type", oci::MANIFEST)], &bytes)?;
        if response.status().is_success() { Ok(pushed) } else { Err(refused(&to.to_string(), response)) }
    }

    fn push_blob(
        &self,
        client: &Client,
        to: &Reference,
        digest: &str,
        pushed: &mut Pushed,
        say: &dyn Fn(&str),
    ) -> Result<()> {
        let there = client.send("HEAD", &format!("/v2/{}/blobs/{digest}", to.repository), &[], b"")?;
        if there.status().is_success() {
            pushed.known += 1;
            return Ok(());
        }
        let place = self.blob(digest);
        let file = File::open(&place).at(&place)?;
        let size = file.metadata().at(&place)?.len();
        if size > 1 << 20 {
            say(&format!("sending {} ({:.1} MB)", &digest[7..19], size as f64 / 1e6));
        }
        let note = self
            .path("uploads")
            .join(format!("{}.json", crate::chain::key(&[&to.host, &to.repository, digest])));
        let (mut session, mut offset) = self.session(client, to, &note)?;
        pushed.resumed += offset;
        let mut piece = Vec::new();
        while offset < size {
            piece.resize(usize::try_from(PIECE.min(size - offset)).unwrap_or(0), 0);
            file.read_exact_at(&mut piece, offset).at(&place)?;
            let end = offset + piece.len() as u64;
            let range = format!("{offset}-{}", end - 1);
            let headers = [("content-type", "application/octet-stream"), ("content-range", range.as_str())];
            let response = client.send("PATCH", &session, &headers, &piece)?;
            session = next(client, to, response)?;
            self.write_json(&note, &session)?;
            (offset, pushed.bytes) = (end, pushed.bytes + piece.len() as u64);
        }
        let joint = if session.contains('?') { '&' } else { '?' };
        let response = client.send("PUT", &format!("{session}{joint}digest={digest}"), &[], b"")?;
        let _ = fs::remove_file(&note);
        if !response.status().is_success() {
            return Err(refused(&to.to_string(), response));
        }
        pushed.sent += 1;
        Ok(())
    }

    /// An upload that was begun and how far it came, else a new one.
    fn session(&self, client: &Client, to: &Reference, note: &std::path::Path) -> Result<(String, u64)> {
        if let Some(old) = self.read_json::<String>(note) {
            let response = client.send("GET", &old, &[], b"")?;
            let range = response.headers().get("range").and_then(|value| value.to_str().ok());
            let end = range
                .and_then(|range| range.trim_start_matches("bytes=").split_once('-')?.1.parse::<u64>().ok());
            if let (204, Some(end)) = (response.status().as_u16(), end) {
                let offset = if end == 0 { 0 } else { end + 1 };
                return Ok((next(client, to, response).unwrap_or(old), offset));
            }
        }
        let response = client.send("POST", &format!("/v2/{}/blobs/uploads/", to.repository), &[], b"")?;
        Ok((next(client, to, response)?, 0))
    }
}

/// Where the upload goes on.
fn next(client: &Client, to: &Reference, response: Response<Body>) -> Result<String> {
    let location =
        response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
    match location {
        Some(location) if response.status().is_success() => Ok(client.address(&location)),
        None if response.status().is_success() => {
            Err(Error::wrong(format!("{to}: the registry does not say where to send contents")))
        }
        _ => Err(refused(&to.to_string(), response)),
    }
}
