//! Disks that can be cut off: an image in memory, a logger between a file system and it, and mounting.

pub(crate) mod image;
pub(crate) mod logger;
pub(crate) mod mounted;
