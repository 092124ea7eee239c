//! A throw-away host of this machine, made when it is first used.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lab::{HostOptions, Lab, LabHost};
use parking_lot::Mutex;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::local;
use crate::wire::Wire;
use crate::{LabTarget, LinkError};

pub(crate) struct Room(LabHost);

/// Pool and name.
type Place = (Option<String>, String);

/// One maker a host: the second who wants the host finds it made.
static MAKING: LazyLock<Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);

pub(super) async fn enter(target: &LabTarget, limit: Duration) -> Result<Room, LinkError> {
    let name = lab_name(&target.name);
    let place = (target.pool.clone(), name.clone());
    let maker = Arc::clone(MAKING.lock().entry(place).or_default());
    let _turn = maker.lock().await;
    let options = HostOptions { base: target.base.clone(), ..HostOptions::new(name) };
    let pool = target.pool.clone();
    let made = spawn_blocking(move || find_or_make(pool.as_deref(), options, limit)).await;
    made.map_err(|e| LinkError::unreachable(format!("the lab host could not be made: {e}"), None))?.map(Room)
}

fn find_or_make(pool: Option<&str>, options: HostOptions, limit: Duration) -> Result<LabHost, LinkError> {
    let failed = |e: lab::Error| LinkError::unreachable(e.to_string(), None);
    let lab = pool.map_or_else(Lab::open, Lab::pool).map_err(failed)?;
    match lab.get(&options.name) {
        Ok(host) if host.alive() => match host.wait_ready(limit) {
            Ok(_) => return Ok(host),
            Err(e) => return Err(failed(e)),
        },
        // Its processes were ended; it is made anew.
        Ok(_) => lab.down(&options.name).map_err(failed)?,
        Err(lab::Error::NoSuchHost(_)) => {}
        Err(e) => return Err(failed(e)),
    }
    let name = options.name.clone();
    let made = lab.up(&[options]).map_err(failed)?;
    made.into_iter()
        .next()
        .ok_or_else(|| LinkError::unreachable(format!("lab host {name} was not made"), None))
}

/// Inventory names may have dots and underscores; names of lab hosts may not.
fn lab_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

impl Room {
    pub(super) fn run(&self, arguments: &[String]) -> Result<Wire, LinkError> {
        let mut command = self.0.command("/bin/sh");
        command.args(arguments);
        local::spawn(Command::from(command), "/bin/sh in the lab host")
    }
}
