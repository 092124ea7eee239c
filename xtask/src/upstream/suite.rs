//! The suite itself and the root file system of its hosts: a plain Debian with the real ansible-core and the suite in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::guest;
use crate::{base, setup, shell};

/// What targets need on their host beside what conformance hosts have.
const PACKAGES: &[&str] = &[
    "bzip2",
    "file",
    "gnupg",
    "python3-debian",
    "python3-passlib",
    "python3-pexpect",
    "python3-pip",
    "python3-setuptools",
    "python3-venv",
    "python3-virtualenv",
    "python3-wheel",
    "python3-yaml",
    "sshpass",
];

/// What the suite's scripts import on the controller's side.
const PYTHON: &[&str] = &["pip", "passlib", "pexpect", "toml", "bcrypt"];

/// Raised when the recipe changes.
const RECIPE: &str = "4";

pub(crate) struct Suite {
    /// The version of the real ansible-core, of which the suite is.
    pub(crate) version: String,
    /// The root file system of hosts.
    pub(crate) base: PathBuf,
    /// Theseus.
    pub(crate) theseus: PathBuf,
}

impl Suite {
    pub(crate) fn prepare(release: bool) -> Result<Self> {
        let version = version()?;
        let base = root(&version)?;
        let built = shell::target()?.join(if release { "release/theseus" } else { "debug/theseus" });
        let theseus = shell::target()?.join("upstream/theseus");
        // Debug information would only fill the hosts' memory.
        shell::output(Command::new("strip").arg("-o").arg(&theseus).arg(&built))?;
        Ok(Self { version, base, theseus })
    }
}

/// The version of the reference that is installed.
fn version() -> Result<String> {
    let python = setup::oracle()?.join("python");
    let code = "import ansible.release as r; print(r.__version__)";
    let output = shell::output(Command::new(python).args(["-c", code]))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Fetches and unpacks the source distribution; the folder of its tests.
fn unpacked(version: &str) -> Result<PathBuf> {
    let place = shell::target()?.join("upstream");
    let source = place.join(format!("ansible_core-{version}"));
    let tests = source.join("test");
    let archive = place.join(format!("ansible_core-{version}.tar.gz"));
    if tests.join("integration/targets").is_dir() {
        return Ok(tests);
    }
    fs::create_dir_all(&place)?;
    println!("fetching the source distribution of ansible-core {version}");
    let mut pip = Command::new(setup::oracle()?.join("python"));
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "ansible-core", "--dest"]);
    shell::run(pip.arg(&place).arg(format!("ansible-core=={version}")))?;
    shell::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&place))?;
    if !tests.join("integration/targets").is_dir() {
        bail!("the source distribution of ansible-core {version} holds no integration targets");
    }
    Ok(tests)
}

/// The root of hosts, made when it is missing.
fn root(version: &str) -> Result<PathBuf> {
    let plain = base::directory()?;
    let tests = unpacked(version)?;
    let place = shell::target()?.join("upstream/base");
    let stamp = shell::target()?.join("upstream/base.made");
    let wanted = format!("{RECIPE} {version} {} {}\n{}", PACKAGES.join(" "), PYTHON.join(" "), guest::SOURCE);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(place);
    }
    println!("making the root of the suite's hosts in {}", place.display());
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    shell::run(Command::new("cp").arg("-a").arg(&plain).arg(&place))?;
    debian(&place)?;
    python(&place, version)?;
    fs::create_dir_all(place.join("opt/suite"))?;
    shell::run(Command::new("cp").arg("-a").arg(&tests).arg(place.join("opt/suite/test")))?;
    guest::furnish(&place)?;
    fs::write(stamp, wanted)?;
    Ok(place)
}

/// Adds Debian packages, by the machine's own way to the network.
fn debian(place: &Path) -> Result<()> {
    let resolver = place.join("etc/resolv.conf");
    let before = fs::read(&resolver).ok();
    let _ = fs::remove_file(&resolver);
    fs::write(&resolver, fs::read("/etc/resolv.conf").unwrap_or_default())?;
    let policy = place.join("usr/sbin/policy-rc.d");
    guest::program(&policy, "#!/bin/sh\nexit 101\n")?;
    let log = shell::target()?.join("upstream/base.log");
    let out = fs::File::create(&log)?;
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends"]] {
        let mut apt = Command::new("chroot");
        apt.arg(place).args(["apt-get", "-q"]).args(arguments);
        if arguments.len() > 1 {
            apt.args(PACKAGES);
        }
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        apt.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out.try_clone()?);
        shell::run(&mut apt).with_context(|| format!("see {}", log.display()))?;
    }
    shell::output(Command::new("chroot").arg(place).args(["apt-get", "clean"]))?;
    fs::remove_file(policy)?;
    fs::remove_file(&resolver)?;
    if let Some(before) = before {
        fs::write(resolver, before)?;
    }
    // The suite installs with pip wherever it likes.
    for version in fs::read_dir(place.join("usr/lib"))? {
        let _ = fs::remove_file(version?.path().join("EXTERNALLY-MANAGED"));
    }
    Ok(())
}

/// Makes an environment with the reference in the hosts' root. It is Debian's Python that runs it there, so it must be
/// that which makes it: the machine's own may be another.
fn python(place: &Path, version: &str) -> Result<()> {
    let to = place.join(guest::REFERENCE.trim_start_matches('/'));
    fs::create_dir_all(to.parent().context("a parent")?)?;
    shell::run(Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(&to))?;
    let mut pip = Command::new(setup::oracle()?.join("python"));
    pip.args(["-m", "pip", "--python"]).arg(to.join("bin/python")).args(["install", "--quiet"]);
    shell::run(pip.arg(format!("ansible-core=={version}")).args(PYTHON))?;
    for program in fs::read_dir(to.join("bin"))? {
        let program = program?.path();
        let Ok(text) = fs::read_to_string(&program) else { continue };
        if let Some((first, rest)) = text.split_once('\n')
            && first.starts_with("#!")
            && first.contains("python")
        {
            fs::write(&program, format!("#!{}/bin/python\n{rest}", guest::REFERENCE))?;
        }
    }
    Ok(())
}
