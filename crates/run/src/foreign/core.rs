//! Finding an installed ansible-core: its code is never run here, only sent to hosts with modules that need it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An installation.
#[derive(Debug)]
pub(crate) struct Core {
    /// The folder `ansible` that holds `module_utils` and `modules`.
    pub(crate) package: PathBuf,
    pub(crate) version: String,
    /// Where Python finds packages there: collections may lie beside.
    pub(crate) sites: Vec<PathBuf>,
    /// The Python that it is installed for.
    pub(crate) python: Option<PathBuf>,
}

/// What Python is asked: where its packages are. Nothing of the current folder.
const ASK: &str = "import sys\nfor p in sys.path:\n    if p: print(p)";

/// `collections`: roots of collections, beside which it may be installed in the same folder of packages.
pub(super) fn find(collections: &[PathBuf]) -> Option<Core> {
    for python in pythons() {
        let sites = sites_of(&python);
        if let Some(package) = sites.iter().find_map(|site| package(site)) {
            return Some(core(package, sites.clone(), Some(python)));
        }
    }
    let beside = collections.iter().filter_map(|root| root.parent()).map(Path::to_owned);
    beside.chain(usual_sites()).find_map(|site| Some(core(package(&site)?, vec![site.clone()], None)))
}

fn core(package: PathBuf, sites: Vec<PathBuf>, python: Option<PathBuf>) -> Core {
    let text = fs::read_to_string(package.join("release.py")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("__version__"));
    let version = line.map_or("2.19.0", |rest| rest.trim_matches(|c: char| " ='\"".contains(c))).to_owned();
    Core { package, version, sites, python }
}

fn package(site: &Path) -> Option<PathBuf> {
    let package = site.join("ansible");
    package.join("module_utils/basic.py").is_file().then_some(package)
}

/// Interpreters that may have it: that of an installed `ansible`, that of a virtual environment, the usual one.
fn pythons() -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut add = |path: PathBuf| {
        if path.is_file() && !all.contains(&path) {
            all.push(path);
        }
    };
    let ourselves = std::env::current_exe().and_then(fs::canonicalize).ok();
    for name in ["ansible-playbook", "ansible"] {
        for program in on_path(name) {
            let real = fs::canonicalize(&program).ok();
            if real.is_some() && real == ourselves {
                continue;
            }
            shebang(&program).into_iter().for_each(&mut add);
            if let Some(bin) = real.as_deref().and_then(Path::parent) {
                add(bin.join("python3"));
            }
        }
    }
    if let Some(environment) = std::env::var_os("VIRTUAL_ENV") {
        add(Path::new(&environment).join("bin/python3"));
    }
    on_path("python3").into_iter().for_each(&mut add);
    all
}

fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).filter(|path| path.is_file()).collect()
}

/// The Python that a script names in its first line.
fn shebang(script: &Path) -> Option<PathBuf> {
    let bytes = fs::read(script).ok().filter(|bytes| bytes.len() < 1 << 20)?;
    let line = bytes.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let program = std::str::from_utf8(line).ok()?.split_whitespace().next()?.to_owned();
    let is_python = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python"));
    Some(PathBuf::from(program)).filter(|path| is_python(path))
}

fn sites_of(python: &Path) -> Vec<PathBuf> {
    let asked = Command::new(python)
        .args([OsStr::new("-c"), OsStr::new(ASK)])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .output();
    let Ok(output) = asked else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).filter(|path| path.is_dir()).collect()
}

/// Where packages are installed, for when no Python can be asked.
fn usual_sites() -> Vec<PathBuf> {
    let home = playbook::search::expand_home("~");
    let mut all = vec![PathBuf::from("/usr/lib/python3/dist-packages")];
    let mut libs = vec![home.join(".local/lib"), "/usr/local/lib".into(), "/usr/lib".into()];
    for tools in [".local/share/pipx/venvs", ".local/pipx/venvs", ".local/share/uv/tools"] {
        libs.extend(folders(&home.join(tools), "ansible").into_iter().map(|venv| venv.join("lib")));
    }
    for lib in libs {
        for python in folders(&lib, "python3") {
            all.extend([python.join("site-packages"), python.join("dist-packages")]);
        }
    }
    all
}

fn folders(of: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let mut all: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    all.sort();
    all
}
