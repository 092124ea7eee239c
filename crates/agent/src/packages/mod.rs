//! What is known of packages without asking the package manager, and how to ask it.

pub mod apt_get;
pub mod deb;
pub mod dpkg;
pub mod others;
pub mod rpm;
#[cfg(test)]
mod tests;
pub mod version;
pub mod zypp;
