//! Every module by its name.

use crate::module::Module;

/// A module is a file of this directory with `pub(crate) static MODULE: Module`, and one line here.
macro_rules! modules {
    ($($name:ident,)*) => {
        $(pub(crate) mod $name;)*
        static ALL: &[&Module] = &[$(&$name::MODULE,)*];
    };
}

modules! {
    // Files.
    assemble,
    async_status,
    blockinfile,
    copy,
    fetch,
    file,
    find,
    lineinfile,
    replace,
    slurp,
    stat,
    tempfile,
    // System.
    apt,
    setup,
    service,
    systemd,
    systemd_service,
    cron,
    wait_for,
    user,
    group,
    ping,
    raw,
    shell,
    command,
}

/// Short or full name (`file`, `ansible.builtin.file`, `ansible.legacy.file`).
pub fn find(name: &str) -> Option<&'static Module> {
    let (collection, short) = name.rsplit_once('.').unwrap_or(("", name));
    ALL.iter().copied().find(|module| {
        module.spec.name == short
            && (matches!(collection, "" | "ansible.builtin" | "ansible.legacy")
                || collection == module.spec.collection)
    })
}

pub fn all() -> impl Iterator<Item = &'static Module> {
    ALL.iter().copied()
}
