//! From settings to what will be done: everything a native connection needs to know, or why OpenSSH must do it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::Preferred;

use super::arguments::Arguments;
use super::config::{Options, Settings};
use super::{algorithms, tokens};
use crate::{LinkError, Secret, SshTarget};

/// How unknown host keys are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checking {
    Strict,
    Ask,
    AcceptNew,
    Off,
}

/// One SSH connection, and the one it goes through.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// The name under which the host's key is known.
    pub(crate) known_as: String,
    pub(crate) jump: Option<Box<Plan>>,
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) certificates: Vec<PathBuf>,
    pub(crate) identities_only: bool,
    pub(crate) agent: Option<PathBuf>,
    pub(crate) forward_agent: bool,
    pub(crate) methods: Vec<&'static str>,
    pub(crate) password: Option<Secret>,
    pub(crate) batch: bool,
    pub(crate) checking: Checking,
    pub(crate) hash_known: bool,
    pub(crate) user_known: Vec<PathBuf>,
    pub(crate) global_known: Vec<PathBuf>,
    pub(crate) family: Option<u8>,
    pub(crate) bind: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) preferred: Preferred,
}

/// Why the in-process client is not used.
pub(crate) struct Beyond(pub(crate) String);

/// Keywords that are honoured below.
const HONOURED: &[&str] = &[
    "hostname",
    "user",
    "port",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "proxyjump",
    "userknownhostsfile",
    "globalknownhostsfile",
    "stricthostkeychecking",
    "hostkeyalias",
    "connecttimeout",
    "identityagent",
    "preferredauthentications",
    "pubkeyauthentication",
    "passwordauthentication",
    "kbdinteractiveauthentication",
    "addressfamily",
    "bindaddress",
    "compression",
    "ciphers",
    "kexalgorithms",
    "macs",
    "hostkeyalgorithms",
    "sendenv",
    "setenv",
    "batchmode",
    "hashknownhosts",
    "forwardagent",
    "nohostauthenticationforlocalhost",
];

/// Keywords that change nothing about what a run does: sharing, forwarding, display, and what the link has its own way for.
const NEUTRAL: &[&str] = &[
    "controlmaster",
    "controlpath",
    "controlpersist",
    "addkeystoagent",
    "visualhostkey",
    "loglevel",
    "syslogfacility",
    "logverbose",
    "escapechar",
    "requesttty",
    "tcpkeepalive",
    "ipqos",
    "rekeylimit",
    "forwardx11",
    "forwardx11trusted",
    "forwardx11timeout",
    "xauthlocation",
    "gatewayports",
    "exitonforwardfailure",
    "clearallforwardings",
    "localforward",
    "remoteforward",
    "dynamicforward",
    "permitremoteopen",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "tunnel",
    "tunneldevice",
    "stdinnull",
    "forkafterauthentication",
    "sessiontype",
    "fingerprinthash",
    "checkhostip",
    "numberofpasswordprompts",
    "updatehostkeys",
    "serveraliveinterval",
    "serveralivecountmax",
    "connectionattempts",
    "gssapidelegatecredentials",
    "gssapikeyexchange",
    "gssapitrustdns",
    "gssapirenewalforcesrekey",
    "gssapikexalgorithms",
    "gssapiclientidentity",
    "gssapiserveridentity",
    "enablesshkeysign",
    "proxyusefdpass",
    "requiredrsasize",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "enableescapecommandline",
    "obscurekeystroketiming",
    "ignoreunknown",
    "usekeychain",
    "protocol",
    "useroaming",
    "useprivilegedport",
    "compressionlevel",
    "cipher",
    "hostbasedacceptedalgorithms",
    "hostbasedkeytypes",
    "channeltimeout",
    "warnweakcrypto",
    "versionaddendum",
    "refuseconnection",
];

/// Keywords that only OpenSSH honours, unless they have this value.
const OPENSSH: &[(&str, &str)] = &[
    ("proxycommand", "none"),
    ("pkcs11provider", "none"),
    ("securitykeyprovider", "internal"),
    ("hostbasedauthentication", "no"),
    ("verifyhostkeydns", "no"),
    ("knownhostscommand", "none"),
    ("canonicalizehostname", "no"),
    ("remotecommand", "none"),
    ("revokedhostkeys", "none"),
    ("permitlocalcommand", "no"),
    ("localcommand", ""),
    ("gssapiauthentication", "no"),
];

const DEFAULT_KEYS: [&str; 5] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"];
const METHODS: [&str; 3] = ["publickey", "keyboard-interactive", "password"];

/// What a target and the configuration say together.
pub(crate) struct Asked {
    pub(crate) options: Options,
    pub(crate) words: Vec<String>,
    beyond: Vec<String>,
}

impl Asked {
    pub(crate) fn new(target: &SshTarget) -> Result<Self, LinkError> {
        let arguments = Arguments::read(&target.args).map_err(|reason| LinkError::Config { reason })?;
        let mut given = Vec::new();
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        if let Some(port) = target.port {
            given.push(("port".to_owned(), port.to_string()));
        }
        if let Some(user) = &target.user {
            given.push(("user".to_owned(), quoted(user)));
        }
        if let Some(key) = &target.key_file {
            given.push(("identityfile".to_owned(), quoted(&key.to_string_lossy())));
        }
        if target.host_key_checking == Some(false) {
            given.push(("stricthostkeychecking".to_owned(), "no".to_owned()));
        }
        given.extend(arguments.settings);
        let options = Options {
            home: target.home.clone().unwrap_or_else(tokens::home),
            config: arguments.config.or_else(|| target.config.clone()),
            local_user: tokens::local_user(),
            given,
        };
        Ok(Self { options, words: arguments.words, beyond: arguments.beyond })
    }

    /// The native plan, or the reason why not.
    pub(crate) fn plan(&self, target: &SshTarget) -> Result<Plan, Beyond> {
        if let Some(reason) = self.beyond.first() {
            return Err(Beyond(reason.clone()));
        }
        let mut plan = plan(&target.host, &self.options, 0)?;
        plan.password.clone_from(&target.password);
        Ok(plan)
    }
}

fn plan(host: &str, options: &Options, depth: u32) -> Result<Plan, Beyond> {
    if depth > 8 {
        return Err(Beyond(format!("ProxyJump of {host} has no end")));
    }
    let settings = Settings::read(host, options);
    judge(&settings)?;
    let mut tokens = tokens::Tokens::new(host, &settings, options).map_err(Beyond)?;
    let (host, port, user) = (tokens.host.clone(), tokens.port, tokens.user.clone());
    let jump = jump(&settings, options, &mut tokens, depth)?;
    let known_as = settings.get("hostkeyalias").unwrap_or(&host).to_lowercase();
    let paths = |keyword: &str| tokens.paths(settings.all(keyword)).map_err(Beyond);
    let named = !settings.all("identityfile").is_empty();
    let identities = if named { paths("identityfile")? } else { default_keys(&options.home) };
    let certificates = paths("certificatefile")?;
    let known = |keyword: &str, default: [PathBuf; 2]| {
        if settings.all(keyword).is_empty() { Ok(default.to_vec()) } else { paths(keyword) }
    };
    let dot_ssh = options.home.join(".ssh");
    let user_known =
        known("userknownhostsfile", ["known_hosts", "known_hosts2"].map(|name| dot_ssh.join(name)))?;
    let system = ["ssh_known_hosts", "ssh_known_hosts2"].map(|name| Path::new("/etc/ssh").join(name));
    let global_known = known("globalknownhostsfile", system)?;
    let (agent, forward_agent) = agent(&settings, &tokens)?;
    Ok(Plan {
        port,
        user,
        jump,
        certificates,
        user_known,
        global_known,
        agent,
        forward_agent,
        identities,
        identities_only: settings.yes("identitiesonly"),
        methods: methods(&settings)?,
        password: None,
        batch: settings.yes("batchmode"),
        checking: checking(&settings, &host),
        hash_known: settings.yes("hashknownhosts"),
        family: match settings.get("addressfamily") {
            Some(family) if family.eq_ignore_ascii_case("inet") => Some(4),
            Some(family) if family.eq_ignore_ascii_case("inet6") => Some(6),
            _ => None,
        },
        bind: settings.get("bindaddress").map(str::to_owned),
        timeout: settings.get("connecttimeout").and_then(|t| t.parse().ok()).map(Duration::from_secs),
        environment: environment(&settings),
        preferred: algorithms::preferred(&settings).map_err(Beyond)?,
        known_as,
        host,
    })
}

/// Whether every setting can be honoured.
fn judge(settings: &Settings) -> Result<(), Beyond> {
    if let Some(reason) = settings.beyond.first() {
        return Err(Beyond(reason.clone()));
    }
    let ignored: Vec<&str> = settings.all("ignoreunknown").iter().flat_map(|list| list.split(',')).collect();
    let mut keywords: Vec<&str> = settings.keywords().collect();
    keywords.sort_unstable();
    for keyword in keywords {
        if HONOURED.contains(&keyword) || NEUTRAL.contains(&keyword) {
            continue;
        }
        let harmless = OPENSSH.iter().find(|(name, _)| *name == keyword).map(|(_, value)| *value);
        match harmless {
            Some(value) if settings.is(keyword, value) => {}
            // Debian switches it on for everyone; without a ticket it does nothing.
            Some(_) if keyword == "gssapiauthentication" && (settings.no(keyword) || !has_ticket()) => {}
            Some(_) if settings.no(keyword) => {}
            Some(_) => return Err(Beyond(format!("{keyword} is set"))),
            None if ignored.iter().any(|pattern| super::words::matches(keyword, &pattern.to_lowercase())) => {
            }
            None => {
                return Err(Beyond(format!("{keyword} is set, which the in-process client does not know")));
            }
        }
    }
    Ok(())
}

/// Whether there is a Kerberos ticket that GSSAPI could use.
fn has_ticket() -> bool {
    let uid = rustix::process::getuid().as_raw();
    std::env::var_os("KRB5CCNAME").is_some() || Path::new(&format!("/tmp/krb5cc_{uid}")).exists()
}

fn jump(
    settings: &Settings,
    options: &Options,
    tokens: &mut tokens::Tokens,
    depth: u32,
) -> Result<Option<Box<Plan>>, Beyond> {
    let Some(chain) = settings.get("proxyjump").filter(|chain| !chain.eq_ignore_ascii_case("none")) else {
        return Ok(None);
    };
    let chain = tokens.expand(chain, "hnpr").map_err(Beyond)?;
    let (before, last) = match chain.rsplit_once(',') {
        Some((before, last)) => (Some(before), last),
        None => (None, chain.as_str()),
    };
    let last = last.trim().strip_prefix("ssh://").unwrap_or(last.trim()).trim_end_matches('/');
    let (user, place) = match last.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, last),
    };
    let (host, port) =
        host_and_port(place).ok_or_else(|| Beyond(format!("ProxyJump {last:?} is not understood")))?;
    // As OpenSSH: a bastion has its own settings from the files, not those of the command line.
    let mut given = Vec::new();
    given.extend(user.map(|user| ("user".to_owned(), user.to_owned())));
    given.extend(port.map(|port| ("port".to_owned(), port.to_string())));
    given.extend(before.map(|before| ("proxyjump".to_owned(), before.to_owned())));
    let options = Options { given, ..options.clone() };
    tokens.jump.clone_from(&host);
    plan(&host, &options, depth + 1).map(|plan| Some(Box::new(plan)))
}

/// `host`, `host:port`, `[address]:port`, `address:of:six`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = rest.strip_prefix(':').map(str::parse).transpose().ok()?;
        return Some((host.to_owned(), port));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host.to_owned(), Some(port.parse().ok()?))),
        _ => (!text.is_empty()).then(|| (text.to_owned(), None)),
    }
}

fn default_keys(home: &Path) -> Vec<PathBuf> {
    DEFAULT_KEYS.iter().map(|name| home.join(".ssh").join(name)).filter(|path| path.exists()).collect()
}

fn agent(settings: &Settings, tokens: &tokens::Tokens) -> Result<(Option<PathBuf>, bool), Beyond> {
    let from_environment =
        || std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).filter(|path| path.exists());
    let agent = match settings.get("identityagent") {
        None | Some("SSH_AUTH_SOCK") => from_environment(),
        Some("none") => None,
        Some(name) if name.starts_with('$') && !name.starts_with("${") => {
            std::env::var_os(&name[1..]).map(PathBuf::from)
        }
        Some(path) => Some(tokens.path(path).map_err(Beyond)?),
    };
    match settings.get("forwardagent") {
        None | Some("no" | "false") => Ok((agent, false)),
        Some("yes" | "true") => {
            let forward = agent.is_some();
            Ok((agent, forward))
        }
        Some(other) => Err(Beyond(format!("ForwardAgent {other} is set"))),
    }
}

fn methods(settings: &Settings) -> Result<Vec<&'static str>, Beyond> {
    let mut methods: Vec<&'static str> = match settings.get("preferredauthentications") {
        Some(list) => {
            list.split(',').filter_map(|name| METHODS.iter().copied().find(|m| *m == name)).collect()
        }
        None => METHODS.to_vec(),
    };
    if methods.is_empty() {
        return Err(Beyond(
            "PreferredAuthentications names only what the in-process client does not do".into(),
        ));
    }
    let switches = [
        ("pubkeyauthentication", "publickey"),
        ("kbdinteractiveauthentication", "keyboard-interactive"),
        ("passwordauthentication", "password"),
    ];
    for (keyword, method) in switches {
        if settings.no(keyword) {
            methods.retain(|have| *have != method);
        }
    }
    Ok(methods)
}

fn checking(settings: &Settings, host: &str) -> Checking {
    let local = host == "localhost" || host.starts_with("127.") || host == "::1";
    if local && settings.yes("nohostauthenticationforlocalhost") {
        return Checking::Off;
    }
    match settings.get("stricthostkeychecking").map(str::to_ascii_lowercase).as_deref() {
        Some("yes" | "true") => Checking::Strict,
        Some("no" | "false" | "off") => Checking::Off,
        Some("accept-new") => Checking::AcceptNew,
        _ => Checking::Ask,
    }
}

/// What SendEnv and SetEnv give the host.
fn environment(settings: &Settings) -> Vec<(String, String)> {
    let patterns: Vec<&str> = settings.all("sendenv").iter().map(String::as_str).collect();
    let wanted = |name: &str| {
        let (off, on): (Vec<&str>, Vec<&str>) = patterns.iter().partition(|pattern| pattern.starts_with('-'));
        on.iter().any(|pattern| super::words::matches(name, pattern))
            && !off.iter().any(|pattern| super::words::matches(name, &pattern[1..]))
    };
    let mut environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| wanted(name))
        .collect();
    let set = settings.all("setenv").iter().filter_map(|pair| pair.split_once('='));
    environment.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}
