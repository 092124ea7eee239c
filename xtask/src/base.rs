//! The root file system of conformance hosts: a plain small Debian, made once, so that no case depends on what
//! happens to be on the machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::shell;

/// Beside what every Debian has.
const PACKAGES: &[&str] = &[
    "acl",
    "attr",
    "cron",
    "curl",
    "dbus",
    "e2fsprogs",
    "git",
    "iproute2",
    "locales",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "rsync",
    "sudo",
    "systemd-sysv",
    "unzip",
    "xz-utils",
    "zip",
];

/// Units that would act in the middle of a comparison.
const QUIET: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "logrotate.timer",
    "systemd-tmpfiles-clean.timer",
];

/// Raised when the recipe changes.
const RECIPE: &str = "1";

/// The directory with the root file system, made when it is missing.
pub(crate) fn directory() -> Result<PathBuf> {
    let place = shell::target()?.join("conformance-base");
    let wanted = format!("{RECIPE} {} {}", suite(), PACKAGES.join(" "));
    let stamp = place.with_extension("made");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(place);
    }
    println!("making a plain Debian for conformance hosts in {} (a minute or two)", place.display());
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={}", PACKAGES.join(",")), &suite()]).arg(&place);
    command.args(mirror()).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    let log = shell::target()?.join("conformance-base.log");
    command.stdout(fs::File::create(&log)?);
    shell::run(&mut command).with_context(|| format!("debootstrap; see {}", log.display()))?;
    finish(&place)?;
    fs::write(stamp, wanted)?;
    Ok(place)
}

/// The same with the lists of its package archive, for hosts that install packages.
pub(crate) fn with_package_lists() -> Result<PathBuf> {
    let plain = directory()?;
    let place = plain.with_file_name("conformance-base-lists");
    let stamp = place.with_extension("made");
    let wanted = fs::read_to_string(plain.with_extension("made"))?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(place);
    }
    println!("reading the package lists for {}", place.display());
    for old in [place.clone(), place.with_extension("packages")] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    shell::run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(plain.join(".")).arg(&place))?;
    let whole = format!("Dir={}", place.display());
    let status = format!("Dir::State::status={}", place.join("var/lib/dpkg/status").display());
    let mut update = Command::new("apt-get");
    update.args(["-o", &whole, "-o", &status, "-o", "Acquire::Languages=none", "-q", "update"]);
    shell::output(update.stdin(Stdio::null()))?;
    fs::write(stamp, wanted)?;
    Ok(place)
}

fn finish(place: &Path) -> Result<()> {
    fs::OpenOptions::new()
        .append(true)
        .open(place.join("etc/locale.gen"))?
        .write_all(b"en_US.UTF-8 UTF-8\n")?;
    shell::output(Command::new("chroot").arg(place).arg("locale-gen"))?;
    shell::output(Command::new("chroot").arg(place).args(["apt-get", "clean"]))?;
    for unit in QUIET {
        let mask = place.join("etc/systemd/system").join(unit);
        let _ = fs::remove_file(&mask);
        symlink("/dev/null", mask)?;
    }
    fs::write(place.join("etc/machine-id"), "")?;
    Ok(())
}

/// The release of this machine, if it is a Debian.
fn suite() -> String {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        about.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim_matches('"'))
    };
    match (value("ID="), value("VERSION_CODENAME=")) {
        (Some("debian"), Some(name)) => name.to_owned(),
        _ => "bookworm".to_owned(),
    }
}

/// Where this machine takes its own packages from; debootstrap's own choice otherwise.
fn mirror() -> Option<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI)", "Identifier: Packages"])
        .output();
    let output = output.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|uri| uri.trim_end_matches('/').ends_with("debian")).map(str::to_owned)
}
