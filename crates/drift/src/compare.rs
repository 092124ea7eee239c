//! Two manifests, path by path: blocks that are the same byte for byte are not even decoded.

use layer::PathState;

use crate::manifest::{self, Entry, Manifest};

/// A path that is not the same in both.
pub(crate) struct Difference {
    pub(crate) path: Vec<u8>,
    pub(crate) before: Option<Entry>,
    pub(crate) after: Option<Entry>,
    pub(crate) what: Vec<String>,
}

/// Everything that differs in more than times. `covers`: whether the later one looked at this directory at all.
pub(crate) fn compare(
    before: &Manifest,
    after: &Manifest,
    covers: &dyn Fn(&[u8]) -> bool,
    mut act: impl FnMut(Difference),
) {
    let mut path = Vec::new();
    let (mut i, mut j) = (0, 0);
    loop {
        let left = (i < before.dirs()).then(|| before.dir(i));
        let right = (j < after.dirs()).then(|| after.dir(j));
        let (dir, take_left, take_right) = match (left, right) {
            (None, None) => return,
            (Some(a), None) => (a, true, false),
            (None, Some(b)) => (b, false, true),
            (Some(a), Some(b)) => match a.cmp(b) {
                std::cmp::Ordering::Less => (a, true, false),
                std::cmp::Ordering::Equal => (a, true, true),
                std::cmp::Ordering::Greater => (b, false, true),
            },
        };
        let old: &[u8] = if take_left { before.block(i) } else { &[] };
        let new: &[u8] = if take_right { after.block(j) } else { &[] };
        (i, j) = (i + usize::from(take_left), j + usize::from(take_right));
        if old != new && covers(dir) {
            blocks(dir, old, new, &mut path, &mut act);
        }
    }
}

fn blocks(dir: &[u8], old: &[u8], new: &[u8], path: &mut Vec<u8>, act: &mut impl FnMut(Difference)) {
    let mut old = manifest::entries(old).peekable();
    let mut new = manifest::entries(new).peekable();
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(a), Some(b)) if a.name == b.name => (old.next(), new.next()),
            (Some(a), Some(b)) if a.name < b.name => (old.next(), None),
            (Some(_), None) => (old.next(), None),
            _ => (None, new.next()),
        };
        let Some(one) = before.as_ref().or(after.as_ref()) else { return };
        let what = match (&before, &after) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), Some(b)) => differences(a, b),
            (a, _) => vec![if a.is_some() { "removed" } else { "added" }.to_owned()],
        };
        if !what.is_empty() {
            manifest::join(dir, &one.name, path);
            act(Difference { path: path.clone(), before, after, what });
        }
    }
}

/// In what two entries of one name differ; times alone are no difference, unless nothing else tells of the content.
fn differences(a: &Entry, b: &Entry) -> Vec<String> {
    let mut what = states(Some(&a.state()), Some(&b.state()));
    let blind = a.digest().is_none() || b.digest().is_none();
    if a.kind == b'f' && b.kind == b'f' && blind && !what.iter().any(|word| word == "content") {
        let both_pristine = a.has(manifest::PRISTINE) && b.has(manifest::PRISTINE);
        // Neither knows the content: size and time tell.
        if a.size != b.size
            || (!both_pristine && a.mtime != b.mtime)
            || b.has(manifest::DIFFERS) != a.has(manifest::DIFFERS)
        {
            what.push("content".to_owned());
        }
    }
    what
}

/// As layers compare states.
pub(crate) fn states(before: Option<&PathState>, after: Option<&PathState>) -> Vec<String> {
    layer::differences(before, after)
        .into_iter()
        .map(|word| match word {
            "removed since" => "removed".to_owned(),
            "made since" => "added".to_owned(),
            word => word.to_owned(),
        })
        .collect()
}
