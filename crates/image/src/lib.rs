//! The playbook baked into an image. A bake runs the very same engine: it talks to a [`Bake`] in place of a host,
//! which answers from its cache as long as it has seen the same steps on the same base, and runs the agent in a
//! sandbox from the first new step on. Each step that changed something left a layer.
//!
//! - [`Bake`]: the place that a run connects to; the chain of steps and their layers
//! - [`Store`]: images, what they are made of, and the pointers to them
//! - [`Image`]: one of them; what fleets need of it
//! - `tree`, `pack`: from layers on disk to archives that are the same to the byte, whoever makes them
//! - `clean`, `secrets`: what must not be in an image

mod archives;
mod assemble;
mod base;
mod chain;
mod clean;
mod config;
mod contents;
mod diff;
mod digest;
mod disk;
mod error;
mod export;
mod firstboot;
mod gc;
mod http;
mod index;
mod installed;
mod oci;
mod pack;
mod packages;
mod place;
mod plan;
mod provenance;
mod registry;
mod sandbox;
mod sbom;
mod secrets;
mod sign;
mod stack;
mod store;
mod tree;
mod unpack;

pub use archives::archives;
pub use assemble::{Built, Finding};
pub use base::Base;
pub use chain::{Chain, Step};
pub use clean::of_one_machine;
pub use contents::{owned, packages, paths};
pub use diff::{Change, diff};
pub use disk::{Disk, export_disk};
pub use error::{Error, Result};
pub use export::{Format, export};
pub use gc::Collected;
pub use packages::Package;
pub use place::{Bake, Door};
pub use plan::{Plan, Run};
pub use provenance::provenance;
pub use registry::{Pushed, Reference};
pub use sbom::{cyclonedx, spdx};
pub use sign::{Signature, sign, verify};
pub use store::{Image, Pointer, Store, Turn, instance};
