//! The tree of a base, kept beside it: nobody writes into a base, so it is looked through once.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::store::Store;
use crate::tree::{Kind, Node, Tree};

const KINDS: [Kind; 7] =
    [Kind::Dir, Kind::File, Kind::Link, Kind::Char, Kind::Block, Kind::Fifo, Kind::Socket];
/// Of the digest before everything else.
const DIGEST: usize = 32;

/// Everything below the root of a base. An index that is damaged, or was made of another root, is made again.
pub(crate) fn tree(store: &Store, rootfs: &Path) -> Result<Tree> {
    let place = rootfs.with_file_name("index");
    let mark = store.mark(rootfs);
    if let Some(tree) = fs::read(&place).ok().and_then(|bytes| decode(&bytes, &mark, rootfs)) {
        return Ok(tree);
    }
    let tree = Tree::scan(rootfs)?;
    store.note(&place, &encode(&tree, &mark))?;
    Ok(tree)
}

fn encode(tree: &Tree, mark: &str) -> Vec<u8> {
    let mut bytes = vec![0; DIGEST];
    text(&mut bytes, mark.as_bytes());
    for (path, node) in &tree.0 {
        text(&mut bytes, path);
        let (device, inode) = node.inode.unwrap_or_default();
        let kind = KINDS.iter().position(|kind| *kind == node.kind).unwrap_or_default() as u64;
        let owner = [node.mode, node.uid, node.gid].map(u64::from);
        for number in [kind, node.mtime.cast_unsigned(), node.size, node.rdev, device, inode] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(owner.iter().flat_map(|number| number.to_le_bytes()));
        text(&mut bytes, &node.target);
        bytes.extend((node.xattrs.len() as u64).to_le_bytes());
        for (name, value) in &node.xattrs {
            text(&mut bytes, name.as_bytes());
            text(&mut bytes, value);
        }
    }
    let digest = *blake3::hash(&bytes[DIGEST..]).as_bytes();
    bytes[..DIGEST].copy_from_slice(&digest);
    bytes
}

fn text(to: &mut Vec<u8>, text: &[u8]) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text);
}

fn decode(bytes: &[u8], mark: &str, rootfs: &Path) -> Option<Tree> {
    let (digest, rest) = bytes.split_at_checked(DIGEST)?;
    let mut rest = Rest(rest);
    if blake3::hash(rest.0).as_bytes() != digest || rest.text()? != mark.as_bytes() {
        return None;
    }
    let dir: Arc<Path> = Arc::from(rootfs);
    let mut all = Vec::new();
    while !rest.0.is_empty() {
        all.push((rest.text()?.to_vec(), rest.node(&dir)?));
    }
    Some(Tree(all.into_iter().collect()))
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?.try_into().ok()?;
        self.take(length)
    }

    fn node(&mut self, dir: &Arc<Path>) -> Option<Node> {
        let kind = *KINDS.get(usize::try_from(self.number()?).ok()?)?;
        let (mtime, size, rdev) = (self.number()?.cast_signed(), self.number()?, self.number()?);
        let inode = Some((self.number()?, self.number()?)).filter(|inode| *inode != (0, 0));
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let target = self.text()?.to_vec();
        let mut xattrs = Vec::new();
        for _ in 0..self.number()? {
            let name = String::from_utf8(self.text()?.to_vec()).ok()?;
            xattrs.push((name, self.text()?.to_vec()));
        }
        let dir = Arc::clone(dir);
        Some(Node { dir, kind, mode, uid, gid, mtime, size, inode, rdev, target, xattrs, content: None })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn an_index_holds_what_is_there_and_damage_is_seen() {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().join("rootfs");
        fs::create_dir_all(root.join("etc/empty")).unwrap();
        fs::write(root.join("etc/one"), "1").unwrap();
        fs::hard_link(root.join("etc/one"), root.join("etc/two")).unwrap();
        fs::set_permissions(root.join("etc/one"), fs::Permissions::from_mode(0o4755)).unwrap();
        symlink("one", root.join("etc/link")).unwrap();
        let wanted = Tree::scan(&root).unwrap();
        let bytes = encode(&wanted, "mark");
        let found = decode(&bytes, "mark", &root).unwrap();
        assert_eq!(format!("{:?}", found.0), format!("{:?}", wanted.0));
        assert_eq!(found.get("etc/one").unwrap().inode, found.get("etc/two").unwrap().inode);
        assert!(decode(&bytes, "another root", &root).is_none());
        for at in [0, DIGEST, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged, "mark", &root).is_none(), "at {at}");
        }
        assert!(decode(&bytes[..bytes.len() - 1], "mark", &root).is_none());
        assert!(decode(&[], "mark", &root).is_none());
    }
}
