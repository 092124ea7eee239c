//! A package from a file or a web address: `apt` with `deb`.

use std::path::Path;

use catalog::Args;

use crate::children;
use crate::module::{Failure, Outcome, Task};
use crate::packages::apt_get::{self, options};
use crate::packages::dpkg::Dpkg;
use crate::packages::version;

/// Installs a package file, its dependencies first.
pub fn install(args: &Args, task: &mut Task<'_>, given: &str) -> Result<Outcome, Failure> {
    if !given.contains("://") {
        return install_file(args, task, Path::new(given));
    }
    let scratch = layer::Scratch::new()?;
    let name = given.rsplit('/').next().filter(|n| n.ends_with(".deb")).unwrap_or("package.deb");
    let file = crate::http::download(task, given, (&scratch, name), true)?;
    install_file(args, task, &file)
}

fn install_file(args: &Args, task: &mut Task<'_>, file: &Path) -> Result<Outcome, Failure> {
    let path = std::path::absolute(file)?;
    let shown = path.to_string_lossy().into_owned();
    let output = children::ask(task, &["dpkg-deb", "-f", &shown, "Package", "Version", "Architecture"])?;
    if !output.ok() {
        return Err(children::failed(
            &output,
            format!("Unable to install package: {}", output.stderr_text().trim()),
        ));
    }
    let text = output.stdout_text();
    let field = |key: &str| {
        text.lines()
            .find_map(|l| l.split_once(": ").filter(|(k, _)| *k == key).map(|(_, v)| v.trim()))
            .unwrap_or_default()
    };
    let (name, new) = (field("Package"), field("Version"));
    let key = match field("Architecture") {
        "all" | "" => name.to_owned(),
        arch => format!("{name}:{arch}"),
    };
    let there = Dpkg::now(task.cache).installed(&key).map(|p| p.version.clone());
    let force = args.bool("force") || args.bool("allow_downgrade");
    match there.map(|there| version::compare(&there, new)) {
        Some(std::cmp::Ordering::Equal) if !args.bool("force") => return Ok(Outcome::changed(false)),
        Some(std::cmp::Ordering::Greater) if !force => {
            return Err("A later version is already installed".into());
        }
        _ => {}
    }
    let mut words = options(args, task.check);
    words.extend(["install".to_owned(), shown]);
    if args.bool("force") {
        words.push("--reinstall".to_owned());
    }
    let output = apt_get::run(args, task, &words)?;
    let mut outcome = apt_get::result(task, &output, &words)?;
    outcome.changed = true;
    Ok(outcome)
}
