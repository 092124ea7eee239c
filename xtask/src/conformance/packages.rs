//! A small apt repository for cases about packages: a tool in two versions with a configuration file, a service,
//! and two that depend on each other. It is built once and copied into hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::shell;

/// Where it is on hosts.
pub(crate) const PLACE: &str = "/opt/conformance-packages";

struct Package {
    name: &'static str,
    version: &'static str,
    depends: &'static str,
    /// Path, mode, content.
    files: &'static [(&'static str, u32, &'static str)],
    conffiles: &'static str,
    postinst: &'static str,
    prerm: &'static str,
}

const START: &str = "#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable --now conf-daemon.service
fi
";
const STOP: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now conf-daemon.service
fi
";
const UNIT: &str = "[Unit]
Description=Writes down the word of its configuration
[Service]
ExecStart=/usr/bin/conf-daemon
[Install]
WantedBy=multi-user.target
";
const DAEMON: &str = "#!/bin/sh
sed -n 's/^word = //p' /etc/conf-daemon.conf > /run/conf-daemon.word
exec sleep infinity
";

const PACKAGES: &[Package] = &[
    Package {
        name: "conf-tool",
        version: "1.0",
        depends: "",
        files: &[
            ("usr/bin/conf-tool", 0o755, "#!/bin/sh\necho conf-tool 1.0\n"),
            ("etc/conf-tool.conf", 0o644, "version = 1.0\n"),
        ],
        conffiles: "/etc/conf-tool.conf\n",
        postinst: "",
        prerm: "",
    },
    Package {
        name: "conf-tool",
        version: "2.0",
        depends: "",
        files: &[
            ("usr/bin/conf-tool", 0o755, "#!/bin/sh\necho conf-tool 2.0\n"),
            ("etc/conf-tool.conf", 0o644, "version = 2.0\n"),
        ],
        conffiles: "/etc/conf-tool.conf\n",
        postinst: "",
        prerm: "",
    },
    Package {
        name: "conf-daemon",
        version: "1.0",
        depends: "",
        files: &[
            ("usr/bin/conf-daemon", 0o755, DAEMON),
            ("lib/systemd/system/conf-daemon.service", 0o644, UNIT),
            ("etc/conf-daemon.conf", 0o644, "word = default\n"),
        ],
        conffiles: "/etc/conf-daemon.conf\n",
        postinst: START,
        prerm: STOP,
    },
    Package {
        name: "leaf-base",
        version: "1.0",
        depends: "",
        files: &[("usr/share/leaf/base", 0o644, "base\n")],
        conffiles: "",
        postinst: "",
        prerm: "",
    },
    Package {
        name: "leaf-top",
        version: "1.0",
        depends: "leaf-base",
        files: &[("usr/share/leaf/top", 0o644, "top\n")],
        conffiles: "",
        postinst: "",
        prerm: "",
    },
];

/// A tar file of the repository, to be unpacked at the root of a host.
pub(crate) fn archive() -> Result<&'static [u8]> {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(made) = ARCHIVE.get() {
        return Ok(made);
    }
    let made = build()?;
    Ok(ARCHIVE.get_or_init(|| made))
}

fn build() -> Result<Vec<u8>> {
    let work = shell::target()?.join("conformance/packages");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let repository = work.join(PLACE.trim_start_matches('/'));
    fs::create_dir_all(&repository)?;
    let mut index = String::new();
    for package in PACKAGES {
        let file = pack(package, &work, &repository)?;
        index.push_str(&control(package));
        let name = file.file_name().context("a package has a name")?.to_string_lossy();
        let size = fs::metadata(&file)?.len();
        let sum = shell::output(Command::new("sha256sum").arg(&file))?;
        let sum = String::from_utf8_lossy(&sum.stdout);
        let sum = sum.split(' ').next().unwrap_or_default();
        index.push_str(&format!("Filename: ./{name}\nSize: {size}\nSHA256: {sum}\n\n"));
    }
    fs::write(repository.join("Packages"), index)?;
    let sources = work.join("etc/apt");
    fs::create_dir_all(sources.join("sources.list.d"))?;
    fs::write(sources.join("sources.list"), format!("deb [trusted=yes] file:{PLACE} ./\n"))?;
    Ok(shell::output(
        Command::new("tar")
            .args([
                "--sort=name",
                "--mtime=@1700000000",
                "--owner=0",
                "--group=0",
                "-c",
                "opt",
                "etc/apt/sources.list",
            ])
            .current_dir(&work),
    )?
    .stdout)
}

fn control(package: &Package) -> String {
    let depends =
        if package.depends.is_empty() { String::new() } else { format!("Depends: {}\n", package.depends) };
    format!(
        "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\n{depends}Description: a package for tests\n",
        package.name, package.version
    )
}

/// Builds one package; the same bytes each time.
fn pack(package: &Package, work: &Path, repository: &Path) -> Result<PathBuf> {
    let tree = work.join(format!("{}_{}", package.name, package.version));
    let put = |path: &str, mode: u32, text: &str| -> Result<()> {
        let place = tree.join(path);
        fs::create_dir_all(place.parent().context("a file lies in a folder")?)?;
        fs::write(&place, text)?;
        Ok(fs::set_permissions(&place, fs::Permissions::from_mode(mode))?)
    };
    put("DEBIAN/control", 0o644, &control(package))?;
    for (path, mode, text) in package.files {
        put(path, *mode, text)?;
    }
    for (name, mode, text) in [
        ("conffiles", 0o644, package.conffiles),
        ("postinst", 0o755, package.postinst),
        ("prerm", 0o755, package.prerm),
    ] {
        if !text.is_empty() {
            put(&format!("DEBIAN/{name}"), mode, text)?;
        }
    }
    let file = repository.join(format!("{}_{}_all.deb", package.name, package.version));
    shell::output(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zgzip", "--build"])
            .args([&tree, &file])
            .env("SOURCE_DATE_EPOCH", "1700000000"),
    )?;
    Ok(file)
}
