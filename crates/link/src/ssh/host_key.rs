//! The host shows its key: is it the one we know?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use russh::client;
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use tokio::net::UnixStream;

use super::known_hosts::{KnownHost, Place, Verdict, host_name, learn};
use super::plan::{Checking, Plan};
use crate::{LinkError, Notices};

/// What the connection's own task needs: it checks the key and serves a forwarded agent.
pub(super) struct Keeper {
    pub(super) plan: Arc<Plan>,
    pub(super) known: KnownHost,
    pub(super) notices: Arc<dyn Notices>,
    pub(super) finding: Arc<Finding>,
}

/// What came of it, for the one who connects.
#[derive(Default)]
pub(super) struct Finding {
    pub(super) refusal: Mutex<Option<LinkError>>,
    /// The key is wrong and we go on all the same: no password is given away.
    pub(super) doubtful: AtomicBool,
}

/// The name and port under which the key is known.
pub(super) fn known_name(plan: &Plan) -> (&str, Option<u16>) {
    // An alias stands for the port as well.
    let alias = plan.known_as != plan.host.to_lowercase();
    (&plan.known_as, (!alias).then_some(plan.port))
}

pub(super) fn read_known(plan: &Plan) -> KnownHost {
    let (name, port) = known_name(plan);
    KnownHost::read(name, port, plan.user_known.iter().chain(&plan.global_known))
}

impl client::Handler for Keeper {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        let verdict = match shown.certificate() {
            Some(certificate) => self.known.check_certificate(certificate, &self.plan.known_as),
            None => self.known.check(&key),
        };
        let (plan, notices) = (Arc::clone(&self.plan), Arc::clone(&self.notices));
        // A question to a person may take its time.
        let decision =
            tokio::task::spawn_blocking(move || decide(&plan, notices.as_ref(), &key, verdict)).await;
        match decision {
            Ok(Ok(doubtful)) => {
                self.finding.doubtful.store(doubtful, Ordering::Relaxed);
                Ok(true)
            }
            Ok(Err(refusal)) => {
                *self.finding.refusal.lock() = Some(refusal);
                Ok(false)
            }
            Err(_) => Ok(false),
        }
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: russh::Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        if let (true, Some(agent)) = (self.plan.forward_agent, &self.plan.agent)
            && let Ok(mut agent) = UnixStream::connect(agent).await
        {
            reply.accept().await;
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut agent).await;
            });
        }
        Ok(())
    }
}

/// `Ok(true)`: go on, but in doubt.
fn decide(plan: &Plan, notices: &dyn Notices, key: &PublicKey, verdict: Verdict) -> Result<bool, LinkError> {
    let (name, port) = known_name(plan);
    let name = host_name(name, port);
    let shown = format!("{} {}", key.algorithm().as_str(), key.fingerprint(HashAlg::Sha256));
    match verdict {
        Verdict::Known => Ok(false),
        Verdict::Revoked(Place { file, line }) => Err(LinkError::HostKey {
            reason: format!("the key of {name} ({shown}) is revoked in {}:{line}", file.display()),
            hint: None,
        }),
        Verdict::BadCertificate(why) if plan.checking != Checking::Off => Err(LinkError::HostKey {
            reason: format!("the certificate of {name} ({shown}) is not valid: {why}"),
            hint: None,
        }),
        Verdict::Changed(place) if plan.checking != Checking::Off => Err(changed(&name, &shown, &place)),
        Verdict::Changed(Place { file, line }) => {
            let place = format!("{}:{line}", file.display());
            notices.notice(&format!(
                "{name} shows another key ({shown}) than the one in {place}; passwords are not sent to it"
            ));
            Ok(true)
        }
        Verdict::BadCertificate(_) => Ok(true),
        Verdict::Unknown => unknown(plan, notices, key, &name, &shown),
    }
}

/// What to do about a key that is not the known one.
pub(super) fn forget(file: impl std::fmt::Display, name: &str) -> String {
    format!(
        "someone may be listening in; if the host was reinstalled, forget its old key: ssh-keygen -f {file} -R '{name}'"
    )
}

fn changed(name: &str, shown: &str, Place { file, line }: &Place) -> LinkError {
    let file = file.display();
    LinkError::HostKey {
        reason: format!("{name} shows another key ({shown}) than the one known in {file}:{line}"),
        hint: Some(forget(file, name)),
    }
}

fn unknown(
    plan: &Plan,
    notices: &dyn Notices,
    key: &PublicKey,
    name: &str,
    shown: &str,
) -> Result<bool, LinkError> {
    let accept = match plan.checking {
        Checking::Strict => false,
        Checking::AcceptNew | Checking::Off => true,
        Checking::Ask if plan.batch => false,
        Checking::Ask => {
            notices.confirm(&format!("The key of {name} is not known: {shown}. Connect, and remember it?"))
                == Some(true)
        }
    };
    if !accept {
        return Err(LinkError::HostKey {
            reason: format!("the key of {name} ({shown}) is not known"),
            hint: Some(
                "compare it, then connect once with ssh, or allow it with StrictHostKeyChecking accept-new"
                    .into(),
            ),
        });
    }
    if let Some(file) = plan.user_known.first() {
        remember(file, name, key, plan, notices);
    }
    Ok(false)
}

fn remember(file: &Path, name: &str, key: &PublicKey, plan: &Plan, notices: &dyn Notices) {
    if let Err(e) = learn(file, name, key, plan.hash_known) {
        notices.notice(&format!("the key of {name} could not be written to {}: {e}", file.display()));
    }
}
