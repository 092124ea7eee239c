//! The agent from outside: through its protocol, as the controller speaks it.

mod files;
mod host;
mod serving;
mod system;
