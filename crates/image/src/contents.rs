//! What an image has: paths and packages, for those who compare it with something else.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Doing, Result};
use crate::pack::Packer;
use crate::packages::{self, Package};
use crate::store::{Image, Store};
use crate::tree::Tree;

fn names(paths: impl Iterator<Item = Vec<u8>>) -> Vec<String> {
    paths.map(|path| String::from_utf8_lossy(&path).into_owned()).collect()
}

/// Every path, without a slash before it.
pub fn paths(store: &Store, image: &Image) -> Result<Vec<String>> {
    Ok(names(Tree::scan(&store.rootfs(image)?)?.0.into_keys()))
}

pub fn packages(store: &Store, image: &Image) -> Result<Vec<Package>> {
    Ok(packages::installed(&Tree::scan(&store.rootfs(image)?)?))
}

/// Paths that belong to packages.
pub fn owned(store: &Store, image: &Image) -> Result<Vec<String>> {
    let owned = packages::owned(&Tree::scan(&store.rootfs(image)?)?)?;
    Ok(names(owned.into_iter()))
}

impl Store {
    /// Some paths of a root in an archive.
    pub fn pack(&self, root: &Path, paths: &[&str], epoch: i64, to: &Path) -> Result<()> {
        let tree = Tree::scan(root)?;
        let file = File::create(to).at(to)?;
        let mut packer = Packer::new(io::BufWriter::new(file), epoch);
        for path in paths {
            if let Some(node) = tree.get(path) {
                packer.add(path.as_bytes(), node)?;
            }
        }
        packer.finish().and_then(|mut file| file.flush()).at(to)
    }
}
