//! A TCP connection, and why there is none.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::plan::Plan;
use crate::LinkError;

pub(super) async fn connect(plan: &Plan, limit: Duration) -> Result<TcpStream, LinkError> {
    let addresses = match timeout(limit, resolve(plan)).await {
        Ok(addresses) => addresses?,
        Err(_) => {
            return Err(LinkError::Timeout {
                what: format!("looking up the name {}", plan.host),
                after: limit,
            });
        }
    };
    let mut last = None;
    for address in addresses {
        match timeout(limit, dial(address, plan.bind.as_deref())).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(e)) => last = Some(explain(&e, plan, address)),
            Err(_) => {
                last = Some(LinkError::unreachable(
                    format!(
                        "{} does not answer on port {} within {:.0} s",
                        plan.host,
                        plan.port,
                        limit.as_secs_f64()
                    ),
                    "is it up, and does a firewall let us through?",
                ));
            }
        }
    }
    Err(last.unwrap_or_else(|| unknown_name(plan, "it has no address of the wanted kind")))
}

async fn resolve(plan: &Plan) -> Result<Vec<SocketAddr>, LinkError> {
    let host = plan.host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((host, plan.port)).await.map_err(|e| unknown_name(plan, &reason(&e)))?;
    Ok(found
        .filter(|address| match plan.family {
            Some(4) => address.is_ipv4(),
            Some(6) => address.is_ipv6(),
            _ => true,
        })
        .collect())
}

fn unknown_name(plan: &Plan, why: &str) -> LinkError {
    let reason = format!("the name {} cannot be resolved: {why}", plan.host);
    LinkError::unreachable(reason, "check the spelling, or give the address with ansible_host")
}

/// The resolver's sentence without its technical beginning.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit("information: ").next().unwrap_or(&text).to_owned()
}

async fn dial(address: SocketAddr, bind: Option<&str>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bind) = bind {
        let from: IpAddr = bind.parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("BindAddress {bind} is not an address"))
        })?;
        socket.bind((from, 0).into())?;
    }
    socket.connect(address).await
}

fn explain(error: &io::Error, plan: &Plan, address: SocketAddr) -> LinkError {
    let name = &plan.host;
    let place = if address.ip().to_string() == *name {
        format!("{name} port {}", plan.port)
    } else {
        format!("{name} ({}) port {}", address.ip(), plan.port)
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => LinkError::unreachable(
            format!("{place} refused the connection"),
            "is sshd running there, on this port?",
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => LinkError::unreachable(
            format!("there is no route to {place}"),
            "check the network and the address",
        ),
        io::ErrorKind::TimedOut => LinkError::unreachable(
            format!("{place} does not answer"),
            "is it up, and does a firewall let us through?",
        ),
        _ => LinkError::unreachable(format!("{place} cannot be reached: {error}"), None),
    }
}
