//! The ways to a host. Each only has to run `sh` there with its three streams connected.

mod docker;
mod lab;
mod local;
mod place;

pub(crate) use local::spawn;

use std::sync::Arc;

use crate::wire::Wire;
use crate::{Connection, LinkError, Notices, Target, ssh};

/// A host that was reached.
pub(crate) enum Host {
    Local,
    Lab(lab::Room),
    Docker(crate::DockerTarget),
    Place(Arc<dyn crate::Place>),
    Ssh(ssh::Client),
}

pub(crate) async fn reach(target: &Target, notices: &Arc<dyn Notices>) -> Result<Host, LinkError> {
    Ok(match &target.connection {
        Connection::Local => Host::Local,
        Connection::Lab(room) => Host::Lab(lab::enter(room, target.timeout).await?),
        Connection::Docker(container) => Host::Docker(container.clone()),
        Connection::Place(place) => Host::Place(Arc::clone(place)),
        Connection::Ssh(ssh) => Host::Ssh(ssh::connect(ssh, target.timeout, notices).await?),
    })
}

impl Host {
    /// Run `/bin/sh` with these arguments.
    pub(crate) async fn run(&self, arguments: &[String]) -> Result<Wire, LinkError> {
        match self {
            Self::Local => local::run(arguments),
            Self::Lab(room) => room.run(arguments),
            Self::Docker(container) => docker::run(container, arguments),
            Self::Place(place) => place::enter(place.as_ref()),
            Self::Ssh(client) => client.run(arguments).await,
        }
    }

    /// Say better why the channel ended early, from what the transport's own program printed.
    pub(crate) fn explain(&self, error: LinkError, stderr: &str) -> LinkError {
        match self {
            Self::Ssh(client) => client.explain(error, stderr),
            Self::Docker(container) => docker::explain(container, error, stderr),
            _ => error,
        }
    }
}
