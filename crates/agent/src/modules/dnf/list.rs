//! `list`: what is installed, available or waits to be updated.

use catalog::Json;
use serde_json::json;

use super::Dnf;
use crate::children;
use crate::module::{Failure, Outcome, Task};

const FORMAT: &str = "%{name}\t%{epoch}\t%{version}\t%{release}\t%{arch}\t%{reponame}\n";

pub(super) fn run(dnf: &Dnf, task: &mut Task<'_>, what: &str) -> Result<Outcome, Failure> {
    if what == "repos" || what == "repositories" {
        return repositories(dnf, task);
    }
    let mut words = vec!["-q", "repoquery", "--qf", FORMAT];
    let kinds: &[&str] = match what {
        "installed" => &["--installed"],
        "updates" | "upgrades" => &["--upgrades"],
        "available" => &["--available"],
        pattern => &[pattern],
    };
    words.extend(kinds);
    let mut found = query(dnf, task, &words)?;
    if !matches!(what, "installed" | "updates" | "upgrades" | "available") {
        words.push("--installed");
        found.splice(0..0, query(dnf, task, &words)?);
    }
    Ok(Outcome::changed(false).with("results", found).with("msg", ""))
}

fn query(dnf: &Dnf, task: &Task<'_>, words: &[&str]) -> Result<Vec<Json>, Failure> {
    let output = children::expect(children::ask(task, &dnf.words(words))?)?;
    Ok(output.stdout_text().lines().filter_map(package).collect())
}

fn package(line: &str) -> Option<Json> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, epoch, version, release, arch, repo] = fields[..] else { return None };
    let installed = repo.starts_with('@');
    Some(json!({
        "name": name, "epoch": epoch, "version": version, "release": release, "arch": arch,
        "repo": repo,
        "envra": format!("{epoch}:{name}-{version}-{release}.{arch}"),
        "nevra": format!("{epoch}:{name}-{version}-{release}.{arch}"),
        "yumstate": if installed { "installed" } else { "available" },
    }))
}

fn repositories(dnf: &Dnf, task: &Task<'_>) -> Result<Outcome, Failure> {
    let output = children::expect(children::ask(task, &dnf.words(&["-q", "repolist", "--enabled"]))?)?;
    let text = output.stdout_text();
    let names = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let all: Vec<Json> = names.map(|name| json!({"repoid": name, "state": "enabled"})).collect();
    Ok(Outcome::changed(false).with("results", all).with("msg", ""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_installed_is_told_from_what_could_be() {
        let of = |line: &str| super::package(line).unwrap();
        assert_eq!(of("bash\t0\t5\t1\tx86_64\t@System")["yumstate"], "installed");
        let available = of("bash\t0\t5\t1\tx86_64\tbaseos");
        assert_eq!((&available["repo"], &available["envra"]), (&"baseos".into(), &"0:bash-5-1.x86_64".into()));
        assert!(super::package("").is_none());
    }
}
