//! `systemd_service`: the other name of `systemd`.

use super::systemd;
use crate::module::Module;

pub(crate) static MODULE: Module = Module { spec: systemd::spec("systemd_service"), run: systemd::run };
