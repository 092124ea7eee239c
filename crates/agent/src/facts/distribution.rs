//! Which distribution this is, under the names that Ansible uses.

use std::collections::HashMap;

use catalog::Map;

use super::source::Source;

/// `(family, the distributions in it)`; every other distribution is its own family.
const FAMILIES: &[(&str, &[&str])] = &[
    (
        "RedHat",
        &[
            "RedHat",
            "RHEL",
            "Fedora",
            "CentOS",
            "Scientific",
            "SLC",
            "Ascendos",
            "CloudLinux",
            "PSBM",
            "OracleLinux",
            "OVS",
            "OEL",
            "Amazon",
            "Amzn",
            "Virtuozzo",
            "XenServer",
            "Alibaba",
            "EulerOS",
            "openEuler",
            "AlmaLinux",
            "Rocky",
            "TencentOS",
            "EuroLinux",
            "Kylin Linux Advanced Server",
            "MIRACLE",
        ],
    ),
    (
        "Debian",
        &[
            "Debian",
            "Ubuntu",
            "Raspbian",
            "Neon",
            "KDE neon",
            "Linux Mint",
            "SteamOS",
            "Devuan",
            "Kali",
            "Cumulus Linux",
            "Pop!_OS",
            "Parrot",
            "Pardus GNU/Linux",
            "Uos",
            "Deepin",
            "OSMC",
            "Linux Mint Debian Edition",
        ],
    ),
    (
        "Suse",
        &[
            "SuSE",
            "SLES",
            "SLED",
            "openSUSE",
            "openSUSE Tumbleweed",
            "SLES_SAP",
            "SUSE_LINUX",
            "openSUSE Leap",
            "ALP-Dolomite",
            "SL-Micro",
            "openSUSE MicroOS",
        ],
    ),
    ("Archlinux", &["Archlinux", "Antergos", "Manjaro"]),
    ("Mandrake", &["Mandrake", "Mandriva"]),
    ("Gentoo", &["Gentoo", "Funtoo"]),
    ("ClearLinux", &["Clear Linux OS", "Clear Linux Mix"]),
    ("Altlinux", &["Altlinux"]),
    ("Alpine", &["Alpine"]),
    ("NixOS", &["NixOS"]),
    ("Flatcar", &["Flatcar"]),
    ("Slackware", &["Slackware"]),
    ("SMGL", &["SMGL"]),
];

/// `(ID of os-release, Ansible's name, the file that gives it away, its variety)`.
const NAMES: &[(&str, &str, &str, &str)] = &[
    ("debian", "Debian", "/etc/os-release", "Debian"),
    ("ubuntu", "Ubuntu", "/etc/os-release", "Debian"),
    ("raspbian", "Debian", "/etc/os-release", "Debian"),
    ("linuxmint", "Linux Mint", "/etc/os-release", "Debian"),
    ("kali", "Kali", "/etc/os-release", "Debian"),
    ("devuan", "Devuan", "/etc/os-release", "Debian"),
    ("pop", "Pop!_OS", "/etc/os-release", "Debian"),
    ("parrot", "Parrot", "/etc/os-release", "Debian"),
    ("neon", "KDE neon", "/etc/os-release", "Debian"),
    ("uos", "Uos", "/etc/os-release", "Debian"),
    ("deepin", "Deepin", "/etc/os-release", "Debian"),
    ("osmc", "OSMC", "/etc/os-release", "Debian"),
    ("steamos", "SteamOS", "/etc/os-release", "Debian"),
    ("rhel", "RedHat", "/etc/redhat-release", "RedHat"),
    ("centos", "CentOS", "/etc/redhat-release", "RedHat"),
    ("rocky", "Rocky", "/etc/redhat-release", "RedHat"),
    ("almalinux", "AlmaLinux", "/etc/redhat-release", "RedHat"),
    ("fedora", "Fedora", "/etc/redhat-release", "RedHat"),
    ("scientific", "Scientific", "/etc/redhat-release", "RedHat"),
    ("cloudlinux", "CloudLinux", "/etc/redhat-release", "RedHat"),
    ("virtuozzo", "Virtuozzo", "/etc/redhat-release", "RedHat"),
    ("miraclelinux", "MIRACLE", "/etc/redhat-release", "RedHat"),
    ("eurolinux", "EuroLinux", "/etc/redhat-release", "RedHat"),
    ("openeuler", "openEuler", "/etc/os-release", "openEuler"),
    ("ol", "OracleLinux", "/etc/oracle-release", "OracleLinux"),
    ("amzn", "Amazon", "/etc/os-release", "Amazon"),
    ("alpine", "Alpine", "/etc/alpine-release", "Alpine"),
    ("arch", "Archlinux", "/etc/arch-release", "Archlinux"),
    ("archarm", "Archlinux", "/etc/arch-release", "Archlinux"),
    ("manjaro", "Manjaro", "/etc/os-release", "NA"),
    ("antergos", "Antergos", "/etc/os-release", "NA"),
    ("opensuse-leap", "openSUSE Leap", "/etc/os-release", "SUSE"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "/etc/os-release", "SUSE"),
    ("opensuse-microos", "openSUSE MicroOS", "/etc/os-release", "SUSE"),
    ("opensuse", "openSUSE", "/etc/os-release", "SUSE"),
    ("sles", "SLES", "/etc/os-release", "SUSE"),
    ("sled", "SLED", "/etc/os-release", "SUSE"),
    ("sles_sap", "SLES_SAP", "/etc/os-release", "SUSE"),
    ("sl-micro", "SL-Micro", "/etc/os-release", "SUSE"),
    ("gentoo", "Gentoo", "/etc/gentoo-release", "Gentoo"),
    ("altlinux", "Altlinux", "/etc/altlinux-release", "Altlinux"),
    ("slackware", "Slackware", "/etc/slackware-version", "Slackware"),
    ("mageia", "Mageia", "/etc/mageia-release", "Mandriva"),
    ("flatcar", "Flatcar", "/etc/flatcar/update.conf", "Flatcar"),
    ("nixos", "NixOS", "/etc/os-release", "NA"),
    ("clear-linux-os", "Clear Linux OS", "/etc/os-release", "ClearLinux"),
];

/// What is known of the distribution.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Distribution {
    pub name: String,
    pub version: String,
    pub major: String,
    pub minor: Option<String>,
    pub release: String,
    pub family: String,
    file: Option<(String, String)>,
}

impl Distribution {
    pub fn detect(source: &Source) -> Self {
        let os = os_release(source);
        let field = |key: &str| os.get(key).cloned().unwrap_or_default();
        let id = if os.is_empty() { guess_id(source) } else { field("ID").to_lowercase() };
        let row = NAMES.iter().find(|row| row.0 == id);
        let name = row.map_or_else(|| spelled(&id, &field("NAME")), |row| row.1.to_owned());
        let mut found = Self {
            version: first_filled([field("VERSION_ID"), field("BUILD_ID")]),
            release: first_filled([field("VERSION_CODENAME"), field("UBUNTU_CODENAME")]),
            file: row.filter(|row| source.exists(row.2)).map(|row| (row.2.to_owned(), row.3.to_owned())),
            name,
            ..Self::default()
        };
        found.refine(source, &field("VERSION"));
        if found.version.is_empty() || found.version.starts_with("TEMPLATE") {
            found.version = if found.name == "Archlinux" { "rolling".into() } else { "NA".into() };
        }
        if found.release.is_empty() && found.name != "Fedora" {
            found.release = "NA".into();
        }
        found.major = found.version.split('.').next().unwrap_or_default().to_owned();
        found.family = family(&found.name).to_owned();
        found
    }

    /// What the distribution's own files say more exactly than os-release.
    fn refine(&mut self, source: &Source, long_version: &str) {
        match self.name.as_str() {
            "Debian" => self.refine_debian(source),
            "Alpine" => {
                if let Some(version) = source.line("/etc/alpine-release") {
                    self.version = version;
                }
            }
            "Amazon" => {
                if let Some((_, minor)) = self.version.clone().split_once('.') {
                    self.minor = Some(minor.to_owned());
                } else {
                    self.minor = Some("NA".into());
                }
            }
            name if name.starts_with("openSUSE") || name.starts_with("SLE") => {
                self.release =
                    self.version.split_once('.').map_or("0".to_owned(), |(_, minor)| minor.to_owned());
            }
            _ if self.release.is_empty() => self.release = in_parentheses(long_version),
            _ => {}
        }
        if self.file.as_ref().is_some_and(|(_, variety)| variety == "RedHat") {
            self.refine_red_hat(source);
        }
    }

    fn refine_debian(&mut self, source: &Source) {
        let Some(version) = source.line("/etc/debian_version") else { return };
        let digits = version.starts_with(|c: char| c.is_ascii_digit());
        if let Some((major, minor)) = version.split_once('.').filter(|_| digits) {
            // The version's first two parts; codename-only files (`trixie/sid`) say nothing.
            self.minor = Some(minor.split('.').next().unwrap_or_default().to_owned());
            self.version = format!("{major}.{minor}");
        }
    }

    fn refine_red_hat(&mut self, source: &Source) {
        let Some(line) = source.line("/etc/redhat-release") else { return };
        if self.name == "CentOS" {
            if line.to_lowercase().contains("stream") {
                self.release = "Stream".into();
                return;
            }
            let digits = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            if let Some(version) = digits {
                self.version = version.split('.').take(2).collect::<Vec<_>>().join(".");
            }
        }
        let code = in_parentheses(&line);
        if !code.is_empty() && self.name != "Fedora" {
            self.release = code;
        }
    }

    pub fn facts(&self) -> Map {
        let mut facts = Map::new();
        let mut put = |key: &str, value: catalog::Json| facts.insert(key.to_owned(), value);
        put("distribution", self.name.as_str().into());
        put("distribution_version", self.version.as_str().into());
        put("distribution_release", self.release.as_str().into());
        put("distribution_major_version", self.major.as_str().into());
        if let Some(minor) = &self.minor {
            put("distribution_minor_version", minor.as_str().into());
        }
        if let Some((path, variety)) = &self.file {
            put("distribution_file_parsed", true.into());
            put("distribution_file_path", path.as_str().into());
            if variety != "NA" {
                put("distribution_file_variety", variety.as_str().into());
            }
        }
        put("os_family", self.family.as_str().into());
        facts
    }
}

fn family(name: &str) -> &str {
    FAMILIES.iter().find(|(_, members)| members.contains(&name)).map_or(name, |(family, _)| family)
}

/// Before os-release there were files of each distribution's own.
fn guess_id(source: &Source) -> String {
    let red_hat = source.line("/etc/redhat-release").unwrap_or_default().to_lowercase();
    let id = match () {
        () if red_hat.starts_with("centos") => "centos",
        () if red_hat.starts_with("fedora") => "fedora",
        () if red_hat.starts_with("scientific") => "scientific",
        () if !red_hat.is_empty() => "rhel",
        () if source.exists("/etc/alpine-release") => "alpine",
        () if source.exists("/etc/debian_version") => "debian",
        () if source.exists("/etc/arch-release") => "arch",
        () => "linux",
    };
    id.to_owned()
}

/// An unknown distribution goes by its own name.
fn spelled(id: &str, name: &str) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    let mut letters = id.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_else(|| "Linux".to_owned())
}

fn first_filled<const N: usize>(candidates: [String; N]) -> String {
    candidates.into_iter().find(|c| !c.is_empty()).unwrap_or_default()
}

fn in_parentheses(text: &str) -> String {
    text.split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inner, _)| inner.to_owned())
        .unwrap_or_default()
}

/// `KEY=value` lines, quotes taken off.
pub fn os_release(source: &Source) -> HashMap<String, String> {
    let text =
        source.text("/etc/os-release").or_else(|| source.text("/usr/lib/os-release")).unwrap_or_default();
    assignments(&text)
}

/// Reads shell-like assignments.
pub fn assignments(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.trim().split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}
