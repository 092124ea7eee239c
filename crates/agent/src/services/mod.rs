//! Services, whatever starts them here.

mod bus;
pub mod systemd;
pub mod sysv;

/// Whether this root is an image in the making: services are enabled in it, and none is ever started.
pub(crate) fn are_at_rest() -> bool {
    std::env::var_os("THESEUS_BAKE").is_some()
}
