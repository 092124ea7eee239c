//! `yum`: the old name of `dnf`.

use super::dnf;
use crate::module::Module;

pub(crate) static MODULE: Module = Module { spec: dnf::spec("yum"), run: dnf::run };
