//! Images: baking them and what becomes of them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Given, Hosts, Means};

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
    /// Make or get the base anew (debootstrap, docker://, installed)
    #[arg(long)]
    pub(crate) fresh_base: bool,
    /// No playbook: the files of a living server, as they are or were
    #[arg(long, value_name = "HOST[@GENERATION]")]
    pub(crate) from: Option<String>,
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
    /// A disk that boots by UEFI, byte by byte
    Raw,
    /// The same in QEMU's format
    Qcow2,
    /// What is in it: CycloneDX
    Cyclonedx,
    /// What is in it: SPDX
    Spdx,
    /// Where it comes from: an in-toto statement, SLSA's words; in its envelope if it is signed
    Provenance,
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
        /// How large the disk is: 4G, 900M (default: by what is in it)
        #[arg(long, value_name = "SIZE", value_parser = size)]
        disk_size: Option<u64>,
        /// What the disk's kernel is told beside where its root is (default: consoles on screen and serial line)
        #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
        kernel_arguments: Option<String>,
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
    /// Send it to a registry: what is there already is not sent again
    Push {
        image: String,
        /// HOST/NAME:TAG
        reference: String,
    },
    /// Get one from a registry
    Pull {
        /// HOST/NAME:TAG, or @DIGEST
        reference: String,
        /// What it is called here (default: the last part of its name)
        #[arg(long)]
        name: Option<String>,
    },
    /// Sign it and where it comes from, with an Ed25519 key
    Sign {
        image: String,
        /// A private key: openssl genpkey -algorithm ed25519
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check a signature, and that every content is what it was
    Verify {
        image: String,
        /// The public key: openssl pkey -pubout
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Bring a living server to an image's state, as a layer that can be undone
    Apply {
        image: String,
        host: String,
        /// Change nothing, say what would change
        #[arg(short = 'C', long)]
        check: bool,
        #[command(flatten)]
        means: Box<Means>,
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

/// Bytes, or with the letter that follows.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write 4G or 900M");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.to_ascii_uppercase().trim_end_matches("IB") {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)).ok_or_else(wrong)
}
