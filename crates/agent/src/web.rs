//! Reading a URL for the controller's own use (`lookup('url', …)`): the same client as the modules', writing nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use layer::Recorder;

use crate::cache::Cache;
use crate::http::Request;
use crate::module::{Blobs, Task};

struct NoBlobs;

impl Blobs for NoBlobs {
    fn fetch(&self, digest: &str) -> Result<Arc<[u8]>, String> {
        Err(format!("there is no content {digest} here"))
    }
}

/// The body of what the URL answers; an answer that is no success is an error.
pub fn read(url: &str, timeout: Duration, validate_certs: bool) -> Result<Vec<u8>, String> {
    if let Some(path) = url.strip_prefix("file://") {
        return std::fs::read(path).map_err(|e| format!("{path}: {e}"));
    }
    let (environment, cancelled) = (BTreeMap::new(), AtomicBool::new(false));
    let (mut recorder, mut cache) = (Recorder::new(PathBuf::new(), layer::Run::default()), Cache::default());
    let task = Task {
        check: false,
        diff: false,
        no_log: false,
        brief: false,
        environment: &environment,
        watch: witness::Mode::default(),
        recorder: (&mut recorder).into(),
        blobs: &NoBlobs,
        cache: &mut cache,
        warnings: Vec::new(),
        deprecations: Vec::new(),
        cancelled: &cancelled,
        deadline: None,
    };
    let request = Request { timeout, validate_certs, ..Request::get(url) };
    let mut response = request.send(&task)?;
    if !(200..300).contains(&response.status) {
        return Err(format!("{url} answered {} {}", response.status, response.reason));
    }
    response.bytes().map_err(|failure| failure.message)
}
