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
    archive,
    assemble,
    async_status,
    blockinfile,
    copy,
    fetch,
    file,
    find,
    get_url,
    git,
    lineinfile,
    replace,
    slurp,
    stat,
    synchronize,
    tempfile,
    unarchive,
    uri,
    foreign_module,
    // The host's own record.
    layers,
    drift,
    ini_file,
    deb822_repository,
    yum_repository,
    acl,
    capabilities,
    known_hosts,
    git_config,
    // System.
    docker_container,
    docker_host_info,
    docker_image,
    docker_image_info,
    docker_login,
    docker_network,
    docker_volume,
    make,
    openssh_keypair,
    openssl_csr,
    openssl_privatekey,
    x509_certificate,
    mysql_db,
    mysql_user,
    postgresql_db,
    postgresql_ext,
    postgresql_privs,
    postgresql_user,
    seboolean,
    selinux,
    seport,
    firewalld,
    filesystem,
    gem,
    npm,
    alternatives,
    mount,
    modprobe,
    timezone,
    locale_gen,
    pam_limits,
    htpasswd,
    sudoers,
    iptables,
    ufw,
    apt,
    dnf,
    yum,
    rpm_key,
    zypper,
    zypper_repository,
    setup,
    service,
    systemd,
    systemd_service,
    sysctl,
    authorized_key,
    apt_repository,
    apt_key,
    pip,
    debconf,
    dpkg_selections,
    hostname,
    getent,
    service_facts,
    package_facts,
    package,
    cron,
    wait_for,
    user,
    group,
    ping,
    raw,
    script,
    shell,
    command,
}

pub use synchronize::SPEC as SYNCHRONIZE;
pub use unarchive::SPEC as UNARCHIVE;

/// Short or full name (`file`, `ansible.builtin.file`, `ansible.legacy.file`).
pub fn find(name: &str) -> Option<&'static Module> {
    let (collection, short) = name.rsplit_once('.').unwrap_or(("", name));
    ALL.iter().copied().find(|module| {
        module.spec.name == short
            && (matches!(collection, "" | "ansible.builtin" | "ansible.legacy")
                || collection == module.spec.collection)
    })
}

/// A content that the controller sent with a task (`_content`, `_inline`), if it did.
pub(crate) fn copy_source(
    args: &catalog::Args,
    task: &crate::module::Task<'_>,
) -> Result<Option<Vec<u8>>, crate::module::Failure> {
    copy::sent(args, task)
}

pub fn all() -> impl Iterator<Item = &'static Module> {
    ALL.iter().copied()
}
