//! Keys, requests for certificates and certificates: how they are written and read. What needs a secret key is done by
//! the host's `openssl` ([`crate::openssl`]).

pub(crate) mod certificate;
pub(crate) mod der;
pub(crate) mod extensions;
mod idna;
pub(crate) mod names;
pub(crate) mod product;
pub(crate) mod public;
pub(crate) mod request;
mod signed;
pub(crate) mod time;
