//! Images: baking them and what becomes of them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Given, Hosts};

#[derive(Debug, Args)]
pub(crate) struct Bake {
    /// Which of the images of theseus.yml
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Do every step again
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Make the base anew (debootstrap)
    #[arg(long)]
    pub(crate) fresh_base: bool,
    /// Say more (repeat)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub(crate) action: ImageAction,
}

/// What an image is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageFormat {
    /// A directory in the OCI's layout
    Oci,
    /// One file for docker load, podman load, skopeo
    Archive,
    /// A tar of the root file system (.tar, .tar.gz, .tar.zst)
    Rootfs,
    /// What is in it: CycloneDX
    Cyclonedx,
    /// What is in it: SPDX
    Spdx,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageAction {
    /// All images and what points to them
    List,
    /// One image: layers, steps, labels
    Show { image: String },
    /// What is different between two images
    Diff {
        before: String,
        after: String,
        /// End with 2 if there is a difference
        #[arg(long)]
        exit_code: bool,
    },
    /// Write an image as files
    Export {
        image: String,
        #[arg(short = 'f', long, value_enum, default_value = "archive")]
        format: ImageFormat,
        /// Where to
        #[arg(short, long, value_name = "PATH")]
        to: PathBuf,
        /// The tag in it
        #[arg(long, default_value = "latest")]
        tag: String,
    },
    /// Start it as a lab host: its health checks hold, and the playbook changes nothing any more
    Test {
        image: String,
        #[command(flatten)]
        hosts: Hosts,
        #[command(flatten)]
        given: Given,
    },
    /// Let `staging` or `production` (any name) point to an image that was tested
    Promote {
        image: String,
        pointer: String,
        /// Also if its test has not passed
        #[arg(long)]
        untested: bool,
    },
    /// Forget images
    Rm {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Remove contents that no image needs
    Gc {
        /// Keep cached steps that are younger than so many days
        #[arg(long, default_value = "7", value_name = "DAYS")]
        keep_cache: u64,
    },
}
