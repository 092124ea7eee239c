//! Logging in: keys, certificates, keyboard-interactive, password, in the order the configuration asks for.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::host_key::{Finding, Keeper};
use super::keys::{self, Proof};
use super::plan::Plan;
use crate::{LinkError, Notices, Secret};

pub(super) struct Login<'a> {
    pub(super) plan: &'a Plan,
    pub(super) handle: &'a mut Handle<Keeper>,
    pub(super) finding: &'a Finding,
    pub(super) notices: &'a Arc<dyn Notices>,
    pub(super) limit: Duration,
    pub(super) tried: Vec<String>,
    /// What the host said it would take; `None`: it was not asked yet.
    pub(super) allowed: Option<MethodSet>,
}

/// What came of one attempt.
enum Step {
    In,
    /// Accepted, and more is wanted.
    Further,
    No,
}

impl Login<'_> {
    pub(super) async fn run(mut self) -> Result<(), LinkError> {
        let mut left = self.plan.methods.clone();
        let mut next = 0;
        while next < left.len() {
            let method = left[next];
            if !self.allows(method) {
                next += 1;
                continue;
            }
            let step = match method {
                "publickey" => self.keys().await?,
                "keyboard-interactive" => self.keyboard().await?,
                _ => self.password().await?,
            };
            match step {
                Step::In => return Ok(()),
                Step::Further => {
                    left.remove(next);
                    next = 0;
                }
                Step::No => next += 1,
            }
        }
        if self.allowed.is_none() && matches!(self.none().await?, Step::In) {
            return Ok(());
        }
        Err(self.refused())
    }

    fn allows(&self, method: &str) -> bool {
        let name = |kind: &MethodKind| <&str>::from(kind) == method;
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(name))
    }

    fn refused(&self) -> LinkError {
        let Plan { user, host, port, .. } = self.plan;
        let tried = if self.tried.is_empty() {
            "nothing to try".to_owned()
        } else {
            format!("tried {}", self.tried.join(", "))
        };
        let names = self.allowed.iter().flat_map(|set| set.iter()).map(<&str>::from);
        let takes = names.filter(|name| *name != "none").collect::<Vec<_>>().join(", ");
        let takes = if takes.is_empty() { String::new() } else { format!("; the host takes {takes}") };
        let place = if *port == 22 { host.clone() } else { format!("{host} port {port}") };
        let hint = match (self.plan.password.is_some(), self.tried.is_empty()) {
            (false, true) => {
                "give a key with ansible_ssh_private_key_file or an agent, or a password with -k"
            }
            _ => "is the user right, and is the key in its authorized_keys?",
        };
        LinkError::Auth {
            reason: format!("{place} does not let {user} in: {tried}{takes}"),
            hint: Some(hint.to_owned()),
        }
    }

    fn lost(&self, error: &russh::Error) -> LinkError {
        match error {
            russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::SendError
            | russh::Error::RecvError
                if !self.tried.is_empty() =>
            {
                LinkError::Auth {
                    reason: format!(
                        "{} ended the connection after {} attempts to log in",
                        self.plan.host,
                        self.tried.len()
                    ),
                    hint: Some("too many keys? name one, with IdentitiesOnly yes".into()),
                }
            }
            other => LinkError::lost(format!(
                "the connection to {} broke while logging in: {other}",
                self.plan.host
            )),
        }
    }

    async fn within<T, E: Into<russh::Error>>(
        limit: Duration,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, russh::Error>, LinkError> {
        match timeout(limit, attempt).await {
            Ok(result) => Ok(result.map_err(Into::into)),
            Err(_) => Err(LinkError::Timeout { what: "logging in".into(), after: limit }),
        }
    }

    fn judge(&mut self, result: Result<AuthResult, russh::Error>) -> Result<Step, LinkError> {
        match result.map_err(|e| self.lost(&e))? {
            AuthResult::Success => Ok(Step::In),
            AuthResult::Failure { remaining_methods, partial_success } => {
                if remaining_methods.is_empty() && self.handle.is_closed() {
                    return Err(self.lost(&russh::Error::Disconnect));
                }
                self.allowed = Some(remaining_methods);
                Ok(if partial_success { Step::Further } else { Step::No })
            }
        }
    }

    async fn none(&mut self) -> Result<Step, LinkError> {
        let result = Self::within(self.limit, self.handle.authenticate_none(self.plan.user.clone())).await?;
        self.judge(result)
    }

    async fn keys(&mut self) -> Result<Step, LinkError> {
        let mut agent = keys::open_agent(self.plan).await;
        for proof in keys::proofs(self.plan, agent.as_mut()).await {
            if !self.allows("publickey") {
                break;
            }
            self.tried.push(proof.describe());
            let step = match (proof, agent.as_mut()) {
                (Proof::Agent(identity), Some(agent)) => self.by_agent(identity, agent).await?,
                (Proof::AgentCertificate(certificate), Some(agent)) => {
                    self.by_agent_certificate(certificate, agent).await?
                }
                (Proof::File { path, certificates }, _) => {
                    match keys::load(&path, self.plan.batch, self.notices).await {
                        Ok(key) => self.by_file(key, certificates).await?,
                        Err(why) => {
                            self.note(&why);
                            Step::No
                        }
                    }
                }
                _ => Step::No,
            };
            if !matches!(step, Step::No) {
                return Ok(step);
            }
        }
        Ok(Step::No)
    }

    /// Why the last attempt could not even be made.
    fn note(&mut self, why: &str) {
        if let Some(last) = self.tried.last_mut() {
            *last = format!("{last} ({why})");
        }
    }

    async fn rsa_hash(&self) -> Option<HashAlg> {
        // Without word from the host the better one is hoped for; SHA-1 only where the host has nothing else.
        self.handle.best_supported_rsa_hash().await.ok().flatten().unwrap_or(Some(HashAlg::Sha256))
    }

    async fn by_agent(
        &mut self,
        identity: russh::keys::agent::AgentIdentity,
        agent: &mut AgentClient<UnixStream>,
    ) -> Result<Step, LinkError> {
        use russh::keys::agent::AgentIdentity;
        let key = match identity {
            AgentIdentity::Certificate { certificate, .. } => {
                return self.by_agent_certificate(certificate, agent).await;
            }
            AgentIdentity::PublicKey { key, .. } => key,
        };
        let hash = if key.algorithm().is_rsa() { self.rsa_hash().await } else { None };
        let user = self.plan.user.clone();
        match timeout(
            self.limit.max(Duration::from_secs(60)),
            self.handle.authenticate_publickey_with(user, key, hash, agent),
        )
        .await
        {
            Ok(Ok(result)) => self.judge(Ok(result)),
            Ok(Err(e)) => {
                self.note(&format!("the agent did not sign: {e}"));
                Ok(Step::No)
            }
            Err(_) => Err(LinkError::Timeout { what: "logging in with the agent".into(), after: self.limit }),
        }
    }

    async fn by_agent_certificate(
        &mut self,
        certificate: Certificate,
        agent: &mut AgentClient<UnixStream>,
    ) -> Result<Step, LinkError> {
        let hash = if certificate.algorithm().is_rsa() { self.rsa_hash().await } else { None };
        let user = self.plan.user.clone();
        let attempt = self.handle.authenticate_certificate_with(user, certificate, hash, agent);
        match timeout(self.limit.max(Duration::from_secs(60)), attempt).await {
            Ok(Ok(result)) => self.judge(Ok(result)),
            Ok(Err(e)) => {
                self.note(&format!("the agent did not sign: {e}"));
                Ok(Step::No)
            }
            Err(_) => Err(LinkError::Timeout { what: "logging in with the agent".into(), after: self.limit }),
        }
    }

    async fn by_file(
        &mut self,
        key: Arc<russh::keys::PrivateKey>,
        certificates: Vec<Certificate>,
    ) -> Result<Step, LinkError> {
        for certificate in certificates {
            if certificate.public_key() != key.public_key().key_data() {
                continue;
            }
            let attempt =
                self.handle.authenticate_openssh_cert(self.plan.user.clone(), Arc::clone(&key), certificate);
            let result = Self::within(self.limit, attempt).await?;
            let step = self.judge(result)?;
            if !matches!(step, Step::No) {
                return Ok(step);
            }
        }
        let hash = if key.algorithm().is_rsa() { self.rsa_hash().await } else { None };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let attempt = self.handle.authenticate_publickey(self.plan.user.clone(), key);
        let result = Self::within(self.limit, attempt).await?;
        self.judge(result)
    }

    /// The password, unless the host is not who it should be.
    fn secret(&self) -> Option<Secret> {
        let doubtful = self.finding.doubtful.load(Ordering::Relaxed);
        self.plan.password.clone().filter(|_| !doubtful)
    }

    async fn password(&mut self) -> Result<Step, LinkError> {
        let Some(secret) = self.secret() else { return Ok(Step::No) };
        self.tried.push("the password".into());
        let attempt = self.handle.authenticate_password(self.plan.user.clone(), secret.expose());
        let result = Self::within(self.limit, attempt).await?;
        self.judge(result)
    }

    async fn keyboard(&mut self) -> Result<Step, LinkError> {
        if self.finding.doubtful.load(Ordering::Relaxed) {
            return Ok(Step::No);
        }
        let start = self.handle.authenticate_keyboard_interactive_start(self.plan.user.clone(), None);
        let mut response = Self::within(self.limit, start).await?.map_err(|e| self.lost(&e))?;
        let mut password = self.secret();
        let mut answered = false;
        loop {
            match response {
                KeyboardInteractiveAuthResponse::Success => return Ok(Step::In),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    return self.judge(Ok(AuthResult::Failure { remaining_methods, partial_success }));
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, name, instructions } => {
                    let preface = [name, instructions].join(" ").trim().to_owned();
                    let Some(answers) = self.answers(prompts, &preface, &mut password).await else {
                        return Ok(Step::No);
                    };
                    if !answers.is_empty() && !answered {
                        answered = true;
                        self.tried.push("keyboard-interactive".into());
                    }
                    let reply = self.handle.authenticate_keyboard_interactive_respond(answers);
                    response = Self::within(self.limit, reply).await?.map_err(|e| self.lost(&e))?;
                }
            }
        }
    }

    /// The password answers the first hidden question, the person the others. `None`: nobody can.
    async fn answers(
        &self,
        prompts: Vec<Prompt>,
        preface: &str,
        password: &mut Option<Secret>,
    ) -> Option<Vec<String>> {
        let mut answers = Vec::new();
        for Prompt { prompt, echo } in prompts {
            let answer = match password.take_if(|_| !echo) {
                Some(password) => password,
                None if self.plan.batch => return None,
                None => {
                    let question = format!("{} {preface} {}", self.plan.host, crate::wire::plain(&prompt));
                    let notices = Arc::clone(self.notices);
                    tokio::task::spawn_blocking(move || notices.secret(&question, echo))
                        .await
                        .ok()
                        .flatten()?
                }
            };
            answers.push(answer.expose().to_owned());
        }
        Some(answers)
    }
}
