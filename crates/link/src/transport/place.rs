//! Whatever another room put at the end of a socket: it needs no script, it is the agent already.

use tokio::net::UnixStream;

use crate::wire::Wire;
use crate::{LinkError, Place};

pub(super) fn enter(place: &dyn Place) -> Result<Wire, LinkError> {
    let connect = || {
        let stream = place.enter()?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    };
    let failed = |e: std::io::Error| LinkError::unreachable(format!("{}: {e}", place.name()), None);
    Ok(Wire::socket(connect().map_err(failed)?))
}
