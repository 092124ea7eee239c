//! Account files put back: what packages added to them since stays.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use drift::look::Seen;
use drift::places::{self, ACCOUNTS};
use drift::{Finding, declared};

use crate::module::{Failure, Task};
use crate::textfile::TextFile;

/// The lines of a file whose accounts nobody complains of.
pub(super) struct Kept {
    path: PathBuf,
    lines: Vec<String>,
}

/// Before files are put back: what is in those that hold accounts.
pub(super) fn kept<'p>(seen: &Seen, paths: impl Iterator<Item = &'p PathBuf>) -> Result<Vec<Kept>, Failure> {
    let rogues: HashSet<&str> = seen.findings.iter().filter_map(rogue).collect();
    let accounts = paths.filter(|path| ACCOUNTS.iter().any(|file| path.as_path() == Path::new(file)));
    accounts
        .map(|path| {
            let file = TextFile::read(path)?;
            let lines = file.text().lines().filter(|line| !rogues.contains(name(line)));
            Ok(Kept { path: path.clone(), lines: lines.map(str::to_owned).collect() })
        })
        .collect()
}

/// The user or group that is there and should not be.
fn rogue(finding: &Finding) -> Option<&str> {
    let object = finding.object.as_deref().filter(|_| finding.alarms() && finding.kind == "added")?;
    object.strip_prefix("user:").or_else(|| object.strip_prefix("group:"))
}

fn name(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// After that: accounts that the files of then did not know. What explained them went by the files' times, so it is written down.
pub(super) fn add(task: &mut Task<'_>, seen: &Seen, kept: &[Kept]) -> Result<(), Failure> {
    let mut added: HashSet<&str> = HashSet::new();
    for Kept { path, lines } in kept {
        let file = TextFile::read(path)?;
        let known: HashSet<&str> = file.text().lines().map(name).collect();
        let missing: Vec<&str> =
            lines.iter().map(String::as_str).filter(|line| !known.contains(name(line))).collect();
        if missing.is_empty() {
            continue;
        }
        let text = format!("{}{}\n", file.text(), missing.join("\n"));
        task.recorder.secret(places::is_private(path.as_os_str().as_encoded_bytes()));
        let written = file.write(task, &text, None);
        task.recorder.secret(false);
        written?;
        added.extend(missing.iter().map(|line| name(line)));
    }
    for finding in seen.findings.iter().filter(|f| f.kind == "added" && !f.alarms()) {
        let Some((kind, account)) = finding.object.as_deref().and_then(|object| object.split_once(':'))
        else {
            continue;
        };
        if matches!(kind, "user" | "group") && added.contains(account) {
            let object = format!("{kind}:{account}");
            task.recorder.irreversible(declared::accept_object(&object, finding.is.as_deref()))?;
        }
    }
    Ok(())
}
