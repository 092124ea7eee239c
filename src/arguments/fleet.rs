//! What may be typed about fleets, rollouts and the balancer.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Fleet {
    #[command(subcommand)]
    pub(crate) action: FleetAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FleetAction {
    /// Start the members that are missing, and give them traffic
    Up {
        /// As `theseus.yml` calls it
        fleet: String,
        /// Stay, and replace members that die
        #[arg(long)]
        stay: bool,
    },
    /// Members, and why anything waits
    Status {
        /// Only this one
        fleet: Option<String>,
    },
    /// How many members there shall be
    Scale { fleet: String, members: u32 },
    /// Remove all members
    Down { fleet: String },
}

#[derive(Debug, Args)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    pub(crate) action: RolloutAction,
}

#[derive(Debug, Args)]
pub(crate) struct RolloutStart {
    pub(crate) fleet: String,
    /// The image or generation to go to
    #[arg(long, value_name = "IMAGE")]
    pub(crate) to: String,
    /// Also if this generation is known to be bad
    #[arg(long)]
    pub(crate) force: bool,
    /// Also if the fleet is not healthy to begin with
    #[arg(long)]
    pub(crate) from_unhealthy: bool,
    /// in-place or replace, or one for each step (`replace,in-place`) [default: as theseus.yml says]
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    pub(crate) strategy: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutAction {
    /// Steps, worst-case capacity and time; does nothing
    Plan { fleet: String },
    /// Begin, and stay until it has ended
    Start(RolloutStart),
    /// Where it is, and why anything waits
    Status {
        fleet: String,
        /// Stay, and show it as it changes
        #[arg(long)]
        watch: bool,
    },
    /// Begin nothing new; what has begun settles
    Pause { fleet: String },
    /// Go on, also after the controller was killed
    Resume { fleet: String },
    /// Turn back
    Abort { fleet: String },
    /// Go back to the generation before, also after completion
    Back { fleet: String },
    /// Say yes to going on from a step
    Approve {
        fleet: String,
        /// Which step, from 1
        #[arg(long)]
        step: usize,
        /// The plan that was looked at [default: the rollout's]
        #[arg(long)]
        plan: Option<String>,
    },
    /// A bad generation may be used again
    Forgive { fleet: String, generation: String },
}

#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// Where clients come
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Socket for `theseus fleet` and `theseus rollout`
    #[arg(long, value_name = "PATH")]
    pub(crate) control: PathBuf,
    /// Who has the traffic until a fleet takes it over
    #[arg(long, value_name = "NAME=ADDRESS:PORT", value_parser = named)]
    pub(crate) server: Vec<(String, SocketAddr)>,
    /// Pass connections on as they are, in place of HTTP requests
    #[arg(long)]
    pub(crate) tcp: bool,
}

fn named(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("a name, `=`, an address and a port")?;
    let address = address.parse().map_err(|_| format!("`{address}` is no address with a port"))?;
    Ok((name.to_owned(), address))
}
