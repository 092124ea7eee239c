//! Where an image's test gets packages from: the archives that its own sources name, through the lab's proxy, and nothing
//! else of the network.

use std::net::IpAddr;

use crate::error::{Doing, Result};
use crate::http;
use crate::store::{Image, Store};
use crate::tree::Tree;

/// Serves them on an address of this machine that only the lab sees.
pub fn archives(store: &Store, image: &Image, address: IpAddr) -> Result<lab::Archives> {
    let tree = Tree::scan(&store.rootfs(image)?)?;
    let mut paths = vec!["etc/apt/sources.list".to_owned()];
    paths.extend(
        tree.below(b"etc/apt/sources.list.d").into_iter().filter_map(|path| String::from_utf8(path).ok()),
    );
    let sources: Vec<String> = paths.iter().filter_map(|path| tree.text(path)).collect();
    let agent = http::agent();
    let fetch = move |address: &str, to: &std::path::Path| http::fetch(&agent, address, to);
    let allowed = lab::addresses(&sources.join("\n"));
    lab::Archives::serve(address, store.path("packages"), allowed, Box::new(fetch))
        .doing("a proxy for packages")
}
