//! A throw-away host of this machine.
use crate::wire::Wire;
use crate::{LabTarget, LinkError};
use std::time::Duration;

pub(crate) struct Room;

pub(super) async fn enter(_: &LabTarget, _: Duration) -> Result<Room, LinkError> {
    Err(LinkError::unreachable("lab hosts cannot be made yet", None))
}

impl Room {
    pub(super) fn run(&self, _: &[String]) -> Result<Wire, LinkError> {
        Err(LinkError::unreachable("lab hosts cannot be made yet", None))
    }
}
