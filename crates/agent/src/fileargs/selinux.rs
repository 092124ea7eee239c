//! SELinux contexts, on hosts that have SELinux.

use std::path::Path;

use catalog::Args;

use crate::command::{Run, find_program};
use crate::module::Failure;

/// Extended attributes to set or remove.
type Changes = Vec<(String, Option<Vec<u8>>)>;

/// `seuser`, `serole`, `setype`, `selevel`; `_default` is what the policy says.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    parts: [Option<String>; 4],
}

impl Wanted {
    pub(super) fn read(args: &Args) -> Self {
        let part = |name: &str| args.str(name).filter(|s| !s.is_empty()).map(str::to_owned);
        Self { parts: ["seuser", "serole", "setype", "selevel"].map(part) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(Option::is_none)
    }

    /// The extended attribute to set, if the context differs.
    pub(super) fn xattrs(&self, path: &Path) -> Result<Changes, Failure> {
        if self.is_empty() || !enabled() {
            return Ok(Vec::new());
        }
        let now = raw_context(path).unwrap_or_default();
        let mut parts: Vec<String> = now.splitn(4, ':').map(str::to_owned).collect();
        parts.resize(4, String::new());
        let default = if self.parts.iter().flatten().any(|p| p == "_default") {
            policy_default(path)?
        } else {
            Vec::new()
        };
        for (i, wanted) in self.parts.iter().enumerate() {
            match wanted.as_deref() {
                Some("_default") => parts[i] = default.get(i).cloned().unwrap_or_default(),
                Some(wanted) => wanted.clone_into(&mut parts[i]),
                None => {}
            }
        }
        let new = parts.join(":").trim_end_matches(':').to_owned();
        if new == now {
            return Ok(Vec::new());
        }
        Ok(vec![("security.selinux".to_owned(), Some(format!("{new}\0").into_bytes()))])
    }
}

pub(crate) fn enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

pub(super) fn context(path: &Path) -> Option<String> {
    if enabled() { raw_context(path) } else { None }
}

fn raw_context(path: &Path) -> Option<String> {
    let mut value = vec![0; 1024];
    let length = rustix::fs::lgetxattr(path, "security.selinux", value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned())
}

fn policy_default(path: &Path) -> Result<Vec<String>, Failure> {
    let program = find_program("matchpathcon")
        .ok_or("`_default` needs the program `matchpathcon` (libselinux-utils) on the host")?;
    let output = Run::new(program).arg("-n").arg(path).output()?;
    Ok(output.stdout_text().trim().splitn(4, ':').map(str::to_owned).collect())
}
