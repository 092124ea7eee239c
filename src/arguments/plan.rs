//! `theseus plan`.

use std::path::PathBuf;

use clap::Args;

use super::Playing;

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) playing: Playing,
    /// Write the plan here; `theseus apply FILE` applies exactly that
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// 2 when something would change
    #[arg(long)]
    pub(crate) exit_code: bool,
}
