//! Services, whatever starts them here.

pub mod systemd;
pub mod sysv;
