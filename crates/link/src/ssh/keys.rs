//! What a person can prove to be: keys in the agent, keys and certificates in files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PrivateKey, PublicKey, load_openssh_certificate, load_secret_key};
use tokio::net::UnixStream;

use super::plan::{Beyond, Plan};
use crate::Notices;

/// One way to prove it.
pub(super) enum Proof {
    Agent(AgentIdentity),
    /// A key file, and the certificates that belong to it.
    File {
        path: PathBuf,
        certificates: Vec<Certificate>,
    },
    /// A certificate file whose key is in the agent.
    AgentCertificate(Certificate),
}

impl Proof {
    /// For the error that lists what was tried.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Agent(identity) => format!("key {:?} of the agent", identity.comment()),
            Self::File { path, .. } => path.display().to_string(),
            Self::AgentCertificate(certificate) => format!("certificate {:?}", certificate.key_id()),
        }
    }
}

pub(super) async fn open_agent(plan: &Plan) -> Option<AgentClient<UnixStream>> {
    AgentClient::connect_uds(plan.agent.as_ref()?).await.ok()
}

/// All proofs, in OpenSSH's order: named keys that the agent has, its other keys, then files.
pub(super) async fn proofs(plan: &Plan, agent: Option<&mut AgentClient<UnixStream>>) -> Vec<Proof> {
    let held = match agent {
        Some(agent) => agent.request_identities().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let extra: Vec<Certificate> =
        plan.certificates.iter().filter_map(|path| load_openssh_certificate(path).ok()).collect();
    let mut proofs = Vec::new();
    let mut named: Vec<KeyData> = Vec::new();
    let mut files = Vec::new();
    for path in &plan.identities {
        let public = public_key(path);
        let mut certificates = certificates_beside(path);
        certificates.extend(extra.iter().cloned());
        if let Some(public) = &public {
            certificates.retain(|certificate| certificate.public_key() == public.key_data());
        }
        let in_agent = public
            .as_ref()
            .and_then(|key| held.iter().find(|have| have.public_key().key_data() == key.key_data()));
        match (in_agent, public) {
            (Some(identity), Some(public)) => {
                proofs.extend(certificates.into_iter().map(Proof::AgentCertificate));
                proofs.push(Proof::Agent(identity.clone()));
                named.push(public.key_data().clone());
            }
            _ if private_key_exists(path) => files.push(Proof::File { path: path.clone(), certificates }),
            _ => {}
        }
    }
    if !plan.identities_only {
        let rest = held.into_iter().filter(|identity| !named.contains(identity.public_key().key_data()));
        for identity in rest {
            let matching = extra.iter().filter(|c| c.public_key() == identity.public_key().key_data());
            proofs.extend(matching.cloned().map(Proof::AgentCertificate));
            proofs.push(Proof::Agent(identity));
        }
    }
    proofs.extend(files);
    proofs
}

fn private_key_exists(path: &Path) -> bool {
    fs::read(path).is_ok_and(|text| text.windows(11).any(|window| window == b"PRIVATE KEY"))
}

/// `key.pub`, or what an OpenSSH key says of itself even while it is locked.
fn public_key(path: &Path) -> Option<PublicKey> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PublicKey::read_openssh_file(PathBuf::from(name)).ok()
    };
    if let Some(key) = beside(".pub") {
        return Some(key);
    }
    let text = fs::read_to_string(path).ok()?;
    // A public key may be named where only the agent has the private one.
    PublicKey::from_openssh(&text)
        .ok()
        .or_else(|| Some(PrivateKey::from_openssh(&text).ok()?.public_key().clone()))
}

fn certificates_beside(path: &Path) -> Vec<Certificate> {
    let mut name = path.as_os_str().to_owned();
    name.push("-cert.pub");
    load_openssh_certificate(PathBuf::from(name)).into_iter().collect()
}

/// A key that lives in hardware and is named as a file needs OpenSSH's own helper, unless the agent has it: the
/// agent is asked first then, and so is the person's OpenSSH.
pub(super) fn need_hardware(plan: &Plan) -> Option<Beyond> {
    let hardware = |path: &&PathBuf| {
        let key = public_key(path);
        key.is_some_and(|key| key.algorithm().as_str().starts_with("sk-")) && private_key_exists(path)
    };
    plan.identities.iter().find(hardware).map(|_| Beyond("a key that lives in hardware is used".into()))
}

type Unlocked = HashMap<PathBuf, Option<Arc<PrivateKey>>>;

/// Keys that were unlocked, or that nobody could unlock: two hundred hosts ask for one passphrase once.
static UNLOCKED: LazyLock<tokio::sync::Mutex<Unlocked>> = LazyLock::new(tokio::sync::Mutex::default);

/// Load a key file; a locked one by a passphrase from the person. `Err`: why it cannot be used.
pub(super) async fn load(
    path: &Path,
    batch: bool,
    notices: &Arc<dyn Notices>,
) -> Result<Arc<PrivateKey>, String> {
    match load_secret_key(path, None) {
        Ok(key) if !key.is_encrypted() => return Ok(Arc::new(key)),
        Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {}
        Err(e) => return Err(e.to_string()),
    }
    if batch {
        return Err("it is locked by a passphrase".into());
    }
    let mut unlocked = UNLOCKED.lock().await;
    if let Some(known) = unlocked.get(path) {
        return known.clone().ok_or_else(locked);
    }
    let (file, asker) = (path.to_owned(), Arc::clone(notices));
    let key =
        tokio::task::spawn_blocking(move || unlock(&file, asker.as_ref())).await.ok().flatten().map(Arc::new);
    unlocked.insert(path.to_owned(), key.clone());
    key.ok_or_else(locked)
}

fn locked() -> String {
    "it is locked by a passphrase that was not given; add it to the agent with ssh-add".into()
}

fn unlock(path: &Path, notices: &dyn Notices) -> Option<PrivateKey> {
    for attempt in 0..3 {
        let again = if attempt > 0 { "That was not it. " } else { "" };
        let secret = notices.secret(&format!("{again}Passphrase of the key {}: ", path.display()), false)?;
        if let Ok(key) = load_secret_key(path, Some(secret.expose())) {
            return Some(key);
        }
    }
    None
}
