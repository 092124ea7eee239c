//! From what was typed to a run: configuration, vault, inventory, variables, the project; and every mistake in
//! them shown before a host is touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use expressions::{Engine, Options};
use link::{Secret, SshMode};
use parking_lot::Mutex;
use playbook::config::{Config, Source};
use playbook::definition::Definition;
use playbook::inventory::{self, Inventory};
use playbook::ir::Vars;
use playbook::load::{LoadOptions, Project};
use playbook::tags::Tags;
use playbook::vars::{self, RunOptions, Variables};
use playbook::vault::{self, Vault};
use playbook::{Diagnostic, Sources};
use run::settings::{Reach, Settings};

use crate::arguments::{self, Given, Hosts, Playing};
use crate::terminal;

/// Why a command ends before it began.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Mistakes in what people wrote.
    Mistakes(Vec<Diagnostic>),
    /// Wrong options.
    Options(String),
    Other(String),
}

impl From<Diagnostic> for Problem {
    fn from(mistake: Diagnostic) -> Self {
        Self::Mistakes(vec![mistake])
    }
}

impl From<Vec<Diagnostic>> for Problem {
    fn from(mistakes: Vec<Diagnostic>) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// How many hosts are at work at once, if nobody says.
const FORKS: usize = 64;

/// What every command that reads a project starts from.
pub(crate) struct Base {
    pub config: Arc<Config>,
    pub vault: Arc<Vault>,
    pub engine: Arc<Engine>,
    pub extra_vars: Arc<Vars>,
    pub sources: Arc<Sources>,
    pub warnings: Vec<Diagnostic>,
    pub cwd: PathBuf,
    /// Of `theseus.yml`.
    pub definition: Definition,
}

impl Base {
    pub(crate) fn new(given: &Given) -> Result<Self, Problem> {
        let cwd = std::env::current_dir().map_err(|e| format!("the current folder cannot be used: {e}"))?;
        let config = Config::load(&|name| std::env::var(name).ok(), &cwd)?;
        let vault = vault(given, &config, &cwd)?;
        let sources = Arc::new(Sources::new());
        let (extra, mut warnings) = playbook::extra_vars::parse(&given.extra_vars, &cwd, &vault, &sources)?;
        warnings.extend(config.warnings.iter().cloned());
        let definition = Definition::of_project(&cwd, &vault)?;
        let extensions = config.list("DEFAULT_JINJA2_EXTENSIONS");
        let has = |name: &str| extensions.iter().any(|e| e.rsplit('.').next() == Some(name));
        let options = Options {
            lenient: config.flag("ALLOW_BROKEN_CONDITIONALS") || definition.older_language,
            text_templates: definition.older_language,
            extension_do: has("do"),
            extension_loopcontrols: has("loopcontrols"),
            ..Options::default()
        };
        let extra: Vars = extra.into_iter().map(|(name, value)| (Arc::from(name.as_str()), value)).collect();
        Ok(Self {
            engine: Arc::new(Engine::with_options(options)),
            config: Arc::new(config),
            vault: Arc::new(vault),
            extra_vars: Arc::new(extra),
            sources,
            warnings,
            cwd,
            definition,
        })
    }

    /// `-i`, or what the configuration names.
    pub(crate) fn inventory_sources(&self, hosts: &Hosts) -> Vec<String> {
        if !hosts.inventory.is_empty() {
            return hosts.inventory.clone();
        }
        let configured: Vec<String> =
            self.config.paths("DEFAULT_HOST_LIST").iter().map(|p| p.display().to_string()).collect();
        let by_default = matches!(self.config.get("DEFAULT_HOST_LIST"), None | Some((_, Source::Default)));
        configured.into_iter().filter(|path| !by_default || Path::new(path).exists()).collect()
    }

    pub(crate) fn inventory(&mut self, hosts: &Hosts) -> Result<Inventory, Problem> {
        let sources = self.inventory_sources(hosts);
        let mut options = inventory::LoadOptions::new(&self.cwd, &self.vault);
        options.ignore_extensions = self.config.list("INVENTORY_IGNORE_EXTS").to_vec();
        options.ignore_patterns = self.config.list("INVENTORY_IGNORE_PATTERNS").to_vec();
        options.lenient = !self.config.flag("INVENTORY_ANY_UNPARSED_IS_FAILED");
        let inventory = Inventory::load(&sources, &options)?;
        self.warnings.extend(inventory.warnings.iter().cloned());
        Ok(inventory)
    }

    /// What reads the inventory once more, in the middle of a run.
    pub(crate) fn rereader(&self, hosts: &Hosts) -> run::Reread {
        let sources = self.inventory_sources(hosts);
        let (cwd, vault, config) = (self.cwd.clone(), self.vault.clone(), self.config.clone());
        Box::new(move || {
            let mut options = inventory::LoadOptions::new(&cwd, &vault);
            options.ignore_extensions = config.list("INVENTORY_IGNORE_EXTS").to_vec();
            options.ignore_patterns = config.list("INVENTORY_IGNORE_PATTERNS").to_vec();
            options.lenient = !config.flag("INVENTORY_ANY_UNPARSED_IS_FAILED");
            Inventory::load(&sources, &options).map_err(|error| error.message)
        })
    }

    pub(crate) fn variables(
        &self,
        inventory: Inventory,
        options: RunOptions,
        outside: Arc<dyn vars::Outside>,
    ) -> Arc<Variables> {
        Variables::new(vars::Sources {
            engine: self.engine.clone(),
            config: Arc::new((&*self.config).into()),
            vault: self.vault.clone(),
            inventory,
            extra_vars: self.extra_vars.clone(),
            options,
            outside,
        })
    }

    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            config: Arc::new((&*self.config).into()),
            vault: self.vault.clone(),
            engine: self.engine.clone(),
            extra_vars: self.extra_vars.clone(),
            modules: Arc::new(run::actions::Known),
        }
    }

    pub(crate) fn project(&self, playbooks: &[PathBuf]) -> Result<Project, Problem> {
        Ok(Project::open(playbooks, self.load_options())?)
    }
}

fn vault(given: &Given, config: &Config, cwd: &Path) -> Result<Vault, Problem> {
    let mut vault = Vault::new();
    vault.only_matching_labels(
        config.text("DEFAULT_VAULT_ID_MATCH").is_some_and(|t| catalog::arguments::truth(t) == Some(true)),
    );
    let configured = config.list("DEFAULT_VAULT_IDENTITY_LIST").iter();
    for source in configured.chain(&given.vault_id) {
        add_vault(&mut vault, source, cwd)?;
    }
    let file = config.path("DEFAULT_VAULT_PASSWORD_FILE").map(|p| p.display().to_string());
    let files = if given.vault_password_file.is_empty() {
        file.into_iter().collect()
    } else {
        given.vault_password_file.clone()
    };
    for file in files {
        vault.add_source(&file, cwd)?;
    }
    if given.ask_vault_password || config.flag("DEFAULT_ASK_VAULT_PASS") {
        add_vault(&mut vault, "default@prompt", cwd)?;
    }
    Ok(vault)
}

pub(crate) fn add_vault(vault: &mut Vault, source: &str, cwd: &Path) -> Result<(), Problem> {
    let (label, from) = vault::split_id(source);
    if matches!(from, "prompt" | "prompt_ask_vault_pass") {
        let password = ask_once(&format!("Vault password ({label}): "))
            .ok_or_else(|| Problem::Other("nobody can be asked for the vault password".to_owned()))?;
        vault.add_password(label, password.expose());
    } else {
        vault.add_source(source, cwd)?;
    }
    Ok(())
}

/// A password is asked for once, however often the command needs it: `apply PLAN` foretells before it runs.
fn ask_once(prompt: &str) -> Option<Secret> {
    static ANSWERS: Mutex<BTreeMap<String, Secret>> = Mutex::new(BTreeMap::new());
    let mut answers = ANSWERS.lock();
    if let Some(known) = answers.get(prompt) {
        return Some(known.clone());
    }
    let answer = Secret::new(terminal::secret(prompt)?);
    answers.insert(prompt.to_owned(), answer.clone());
    Some(answer)
}

pub(crate) fn reach(asked: &arguments::Reach, config: &Config) -> Result<Reach, Problem> {
    let explicit = |name: &str| match config.get(name) {
        None | Some((_, Source::Default)) => None,
        Some(_) => config.text(name).map(str::to_owned),
    };
    let secret = |ask: bool, file: Option<PathBuf>, prompt: &str| -> Result<Option<Secret>, Problem> {
        if let Some(file) = file {
            let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            return Ok(Some(Secret::new(text.trim_end_matches('\n'))));
        }
        if !ask {
            return Ok(None);
        }
        ask_once(prompt)
            .map(Some)
            .ok_or_else(|| Problem::Other("nobody can be asked for a password".to_owned()))
    };
    let password = secret(
        asked.ask_password || config.flag("DEFAULT_ASK_PASS"),
        asked
            .connection_password_file
            .clone()
            .or_else(|| config.path("CONNECTION_PASSWORD_FILE").map(Into::into)),
        "SSH password: ",
    )?;
    let ask_become = asked.ask_become_password || config.flag("DEFAULT_BECOME_ASK_PASS");
    let become_password = secret(
        ask_become,
        asked.become_password_file.clone().or_else(|| config.path("BECOME_PASSWORD_FILE").map(Into::into)),
        "BECOME password: ",
    )?;
    let ssh = match asked.ssh.as_deref() {
        None | Some("auto") => SshMode::Auto,
        Some("native") => SshMode::Native,
        Some("openssh") => SshMode::OpenSsh,
        Some(other) => return Err(Problem::Options(format!("--ssh is native or openssh, not `{other}`"))),
    };
    let timeout =
        asked.timeout.or_else(|| config.int("SSH_TIMEOUT").and_then(|n| u64::try_from(n).ok())).unwrap_or(10);
    Ok(Reach {
        connection: asked
            .connection
            .clone()
            .or_else(|| config.text("DEFAULT_TRANSPORT").map(str::to_owned))
            .unwrap_or_else(|| "ssh".to_owned()),
        user: asked.user.clone().or_else(|| config.text("DEFAULT_REMOTE_USER").map(str::to_owned)),
        port: config.int("DEFAULT_REMOTE_PORT").and_then(|n| u16::try_from(n).ok()),
        private_key: asked
            .private_key
            .clone()
            .or_else(|| config.path("DEFAULT_PRIVATE_KEY_FILE").map(Into::into)),
        host_key_checking: explicit_flag(config, &["SSH_HOST_KEY_CHECKING", "HOST_KEY_CHECKING"]),
        ssh_args: [
            explicit("SSH_ARGS"),
            asked.ssh_common_args.clone().or_else(|| explicit("SSH_COMMON_ARGS")),
            asked.ssh_extra_args.clone().or_else(|| explicit("SSH_EXTRA_ARGS")),
        ],
        ssh,
        timeout: Duration::from_secs(timeout.max(1)),
        retries: config.int("SSH_RECONNECTION_RETRIES").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        become_: asked.become_ || config.flag("DEFAULT_BECOME"),
        become_method: asked
            .become_method
            .clone()
            .or_else(|| config.text("DEFAULT_BECOME_METHOD").map(str::to_owned))
            .unwrap_or_else(|| "sudo".to_owned()),
        become_user: asked
            .become_user
            .clone()
            .or_else(|| config.text("DEFAULT_BECOME_USER").map(str::to_owned))
            .unwrap_or_else(|| "root".to_owned()),
        become_exe: explicit("DEFAULT_BECOME_EXE"),
        become_flags: explicit("DEFAULT_BECOME_FLAGS"),
        password,
        become_password,
        places: Vec::new(),
    })
}

/// Only what a person said: by default `ssh_config` decides.
fn explicit_flag(config: &Config, names: &[&str]) -> Option<bool> {
    let said = names.iter().find(|name| !matches!(config.get(name), None | Some((_, Source::Default))));
    said.map(|name| config.flag(name))
}

pub(crate) fn forks(asked: &arguments::Reach, config: &Config) -> usize {
    let configured = match config.get("DEFAULT_FORKS") {
        None | Some((_, Source::Default)) => None,
        Some(_) => config.int("DEFAULT_FORKS").and_then(|n| usize::try_from(n).ok()),
    };
    asked.forks.or(configured).unwrap_or(FORKS)
}

pub(crate) fn settings(playing: &Playing, base: &Base, command: &str) -> Result<Settings, Problem> {
    let config = &base.config;
    let or = |given: &[String], name: &str| {
        if given.is_empty() { config.list(name).to_vec() } else { given.to_vec() }
    };
    Ok(Settings {
        check: playing.check,
        diff: playing.diff || config.flag("DIFF_ALWAYS"),
        tags: Tags::new(&or(&playing.tags, "TAGS_RUN"), &or(&playing.skip_tags, "TAGS_SKIP")),
        forks: forks(&playing.reach, config),
        start_at: playing.start_at_task.clone(),
        step: playing.step,
        verbosity: playing
            .verbose
            .max(config.int("DEFAULT_VERBOSITY").and_then(|n| u8::try_from(n).ok()).unwrap_or(0)),
        no_log: config.flag("DEFAULT_NO_LOG"),
        force_handlers: playing.force_handlers || config.flag("DEFAULT_FORCE_HANDLERS"),
        any_errors_fatal: config.flag("ANY_ERRORS_FATAL"),
        gathering: config.text("DEFAULT_GATHERING").unwrap_or("implicit").to_owned(),
        facts_modules: config.list("FACTS_MODULES").to_vec(),
        gather_subset: Vec::new(),
        gather_timeout: None,
        fact_path: None,
        reach: reach(&playing.reach, config)?,
        undo_on_failure: false,
        person: person(),
        command: command.to_owned(),
    })
}

/// What variables tell of how the program was started.
pub(crate) fn run_options(
    settings: &Settings,
    base: &Base,
    hosts: &Hosts,
    inventory: &Inventory,
) -> RunOptions {
    let source = inventory.sources.first();
    let file = source.filter(|s| s.is_file()).cloned();
    let dir = source
        .map(|s| if s.is_dir() { s.clone() } else { s.parent().map(Path::to_owned).unwrap_or_default() });
    RunOptions {
        check_mode: settings.check,
        diff_mode: settings.diff,
        verbosity: i64::from(settings.verbosity),
        run_tags: settings.tags.only().to_vec(),
        skip_tags: settings.tags.skip().to_vec(),
        limit: hosts.limit.clone(),
        forks: i64::try_from(settings.forks).unwrap_or(0),
        inventory_sources: base.inventory_sources(hosts),
        inventory_dir: dir,
        inventory_file: file,
        connection: Some(settings.reach.connection.clone()),
        remote_user: settings.reach.user.clone(),
        version: "2.19.0".to_owned(),
    }
}

/// Who does this, for the records.
pub(crate) fn person() -> String {
    let own = agent::accounts::own_name();
    match std::env::var("SUDO_USER") {
        Ok(user) if !user.is_empty() && user != own => format!("{user} (as {own})"),
        _ => own,
    }
}
