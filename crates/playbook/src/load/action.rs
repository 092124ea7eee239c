//! What a task does: finding the one action among its keys, and the names under which modules go.

use expressions::{Str, Value};

use super::keywords::Level;
use super::reader::{Entry, Reader};
use crate::diagnostic::Diagnostic;
use crate::yaml::{self, Kind};

/// Short names of modules that live in collections; with the collections that their names stand for.
const COLLECTIONS: &[(&str, &str)] = &[
    (
        "ansible.posix",
        "acl at authorized_key firewalld firewalld_info mount patch seboolean selinux synchronize sysctl",
    ),
    (
        "community.general",
        "alternatives archive capabilities composer cpanm dconf filesystem flatpak gem git_config github_key haproxy \
         htpasswd homebrew ini_file interfaces_file iptables_state java_cert java_keystore jenkins_plugin \
         kernel_blacklist launchd ldap_attrs ldap_entry locale_gen lvg lvol lxd_container mail make modprobe monit \
         npm nmcli open_iscsi openwrt_init opkg pacman pam_limits pamd parted pear pkgng portage proxmox rhsm_release \
         redhat_subscription rhsm_repository runit sefcontext selinux_permissive selogin seport slack snap ssh_config \
         sudoers supervisorctl svc sysrc sysupgrade syspatch terraform timezone ufw xattr xfconf xml yarn \
         zfs zypper zypper_repository pip_package_info apache2_module a2enmod apk apt_rpm bower bundler cargo \
         cronvar deploy_helper dpkg_divert facter filesize gitlab_runner hponcfg icinga2_host installp ipa_user \
         iso_extract jboss keyring layman logentries logrotate mas macports nsupdate \
         packet_device pipx pids rpm_ostree_pkg sap_task_list shutdown sorcery swupd telegram toml_file udm_user urpmi \
         wakeonlan xbps read_csv listen_ports_facts",
    ),
    (
        "community.crypto",
        "acme_certificate get_certificate luks_device openssh_cert openssh_keypair openssl_csr openssl_dhparam \
         openssl_pkcs12 openssl_privatekey openssl_publickey x509_certificate x509_crl",
    ),
    (
        "community.docker",
        "docker_compose docker_container docker_host_info docker_image docker_login docker_network docker_prune docker_swarm docker_volume docker_stack",
    ),
    ("community.mysql", "mysql_db mysql_info mysql_query mysql_replication mysql_user mysql_variables"),
    (
        "community.postgresql",
        "postgresql_db postgresql_ext postgresql_info postgresql_lang postgresql_membership postgresql_owner postgresql_pg_hba postgresql_ping postgresql_privs postgresql_query postgresql_schema postgresql_set postgresql_user",
    ),
    ("community.mongodb", "mongodb_user mongodb_replicaset"),
    ("community.rabbitmq", "rabbitmq_plugin rabbitmq_user rabbitmq_vhost rabbitmq_policy"),
    ("community.grafana", "grafana_dashboard grafana_datasource"),
    ("community.zabbix", "zabbix_host zabbix_group zabbix_template"),
    ("kubernetes.core", "k8s k8s_info helm"),
    ("amazon.aws", "ec2 ec2_instance s3_bucket aws_s3 ec2_group"),
];

/// Old names of modules that are others by now.
const RENAMED: &[(&str, &str)] = &[
    ("yum", "dnf"),
    ("systemd_service", "systemd"),
    ("systemd", "systemd_service"),
    ("openssl_certificate", "x509_certificate"),
    ("letsencrypt", "acme_certificate"),
    ("github_hooks", "github_webhook"),
];

/// Actions that a reader of playbooks knows by itself.
const LANGUAGE: &[&str] = &[
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "include_vars",
    "meta",
    "import_playbook",
    "validate_argument_spec",
];

/// Modules of `ansible.builtin` that Theseus may lack: real ones, of which a role may have tasks for other systems.
const BUILTIN: &[&str] =
    &["dnf", "dnf5", "expect", "mount_facts", "reboot", "rpm_key", "subversion", "sysvinit", "yum"];

/// Free text instead of arguments is allowed for these even without a specification.
const FREE_FORM: &[&str] = &[
    "command",
    "shell",
    "script",
    "raw",
    "meta",
    "include_vars",
    "include_tasks",
    "import_tasks",
    "include_role",
    "import_role",
    "import_playbook",
    "win_command",
    "win_shell",
    "expect",
];

/// Without `ansible.builtin.` or `ansible.legacy.`: `copy`. Names of other collections stay whole.
pub fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

/// The names under which a module may be known, best first.
pub fn full_names(name: &str) -> Vec<String> {
    let short = short_name(name);
    let mut names = vec![short.to_owned()];
    if let Some((_, renamed)) = RENAMED.iter().find(|(old, _)| *old == short) {
        names.push((*renamed).to_owned());
    }
    if !short.contains('.') {
        for (collection, modules) in COLLECTIONS {
            if modules.split_whitespace().any(|module| module == short) {
                names.push(format!("{collection}.{short}"));
            }
        }
    }
    names
}

/// Whether the name is that of a real module, although perhaps not of one that Theseus has.
pub fn is_real(name: &str) -> bool {
    let collection = name.contains('.') && short_name(name).contains('.');
    collection || BUILTIN.contains(&short_name(name)) || full_names(name).len() > 1
}

/// The action of a task, as written.
pub(super) struct Action<'n> {
    pub(super) name: String,
    pub(super) key: &'n yaml::Node,
    pub(super) arguments: Arguments<'n>,
    pub(super) local: bool,
    /// By `action:` or `local_action:`; a mapping of arguments then holds the module's name, too.
    pub(super) spelled: bool,
}

pub(super) enum Arguments<'n> {
    Node(&'n yaml::Node),
    /// What follows the name in `action: name text`.
    Text(Str),
}

/// What is known of a module by its name.
pub(super) struct Known {
    /// The name that Theseus uses.
    pub(super) module: String,
    pub(super) spec: Option<&'static catalog::ModuleSpec>,
}

impl Reader<'_> {
    /// The module behind a name; `None`: not one that Theseus knows.
    pub(super) fn known(&self, name: &str) -> Option<Known> {
        let modules = &self.shared.options.modules;
        if self.own_module(name) {
            return Some(Known { module: short_name(name).to_owned(), spec: None });
        }
        for candidate in full_names(name) {
            if let Some(spec) = modules.spec(&candidate) {
                return Some(Known { module: spec.name.to_owned(), spec: Some(spec) });
            }
            if modules.is_action(&candidate) {
                return Some(Known { module: candidate, spec: None });
            }
        }
        if LANGUAGE.contains(&short_name(name)) {
            return Some(Known { module: short_name(name).to_owned(), spec: None });
        }
        // `community.general.ufw` is known as `ufw`; `other.collection.copy` is not `copy`.
        let (collection, short) = name.rsplit_once('.')?;
        let spec = modules.spec(short).filter(|spec| spec.collection == collection)?;
        Some(Known { module: spec.name.to_owned(), spec: Some(spec) })
    }

    /// A module of the project's `library/`: it goes before one of the same name that Theseus has.
    fn own_module(&self, name: &str) -> bool {
        let short = name.strip_prefix("ansible.legacy.").unwrap_or(name);
        !short.contains('.')
            && !LANGUAGE.contains(&short)
            && !self.shared.options.modules.has_action(short)
            && (self.shared.plugins.module(short).is_some() || self.shared.plugins.action(short).is_some())
    }

    pub(super) fn takes_free_text(&self, known: Option<&Known>, name: &str) -> bool {
        let short = short_name(name);
        let short = short.rsplit('.').next().unwrap_or(short);
        FREE_FORM.contains(&short)
            || known.and_then(|known| known.spec).is_some_and(|spec| spec.free_form.is_some())
    }

    /// The one action among the keys of a task; everything that is neither keyword nor action is reported.
    pub(super) fn action<'n>(
        &mut self,
        entries: &[Entry<'n>],
        task: &'n yaml::Node,
        level: Level,
    ) -> Option<Action<'n>> {
        let mut found = Vec::new();
        let mut others = Vec::new();
        for entry in entries {
            match entry.name.as_str() {
                "action" | "local_action" => found.extend(self.spelled_out(entry)),
                name if level.allows(name) || name.starts_with("with_") => {}
                name => {
                    let known = self.known(name).is_some();
                    let action = Action {
                        name: name.to_owned(),
                        key: entry.key,
                        arguments: Arguments::Node(entry.value),
                        local: false,
                        spelled: false,
                    };
                    if known { found.push(action) } else { others.push((entry, action)) }
                }
            }
        }
        if found.is_empty() {
            // The only one, or the only one that looks like the name of a module.
            let full = |(_, action): &(_, Action<'_>)| action.name.matches('.').count() >= 2;
            let mut full_names = (0..others.len()).filter(|index| full(&others[*index]));
            let at = full_names
                .next()
                .filter(|_| full_names.next().is_none())
                .or((others.len() == 1).then_some(0));
            found.extend(at.map(|at| others.remove(at).1));
        }
        for (entry, _) in &others {
            self.unknown_keyword(entry, level);
        }
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|action| action.name.as_str()).collect();
            let problem = Diagnostic::new(format!("conflicting action statements: {}", names.join(", ")));
            let problem =
                problem.at(&found[1].key.origin).related("the first one is here", &found[0].key.origin);
            self.errors.push(problem.hint("a task does one thing: make two tasks of it"));
            return None;
        }
        if found.is_empty() && others.is_empty() {
            self.error_hint(
                "no module/action detected in task",
                &task.origin,
                "every task needs a module: for instance `ansible.builtin.debug:`",
            );
        }
        found.pop()
    }

    /// `action: copy src=a dest=b`, `action: {module: copy, src: a}`, and the same with `local_action`.
    fn spelled_out<'n>(&mut self, entry: &Entry<'n>) -> Option<Action<'n>> {
        let local = entry.name == "local_action";
        if let Kind::Map(map) = &entry.value.kind {
            let module = map.iter().find(|(key, _)| super::reader::key_text(key) == "module");
            let Some((_, module)) = module else {
                self.error(format!("`{}` needs the key `module`", entry.name), &entry.value.origin);
                return None;
            };
            let name = self.text(module, "the module")?;
            let name = match name.contains("{{") {
                true => name,
                false => name.split_whitespace().next().unwrap_or_default().to_owned(),
            };
            return Some(Action {
                name,
                key: module,
                arguments: Arguments::Node(entry.value),
                local,
                spelled: true,
            });
        }
        let Value::Str(text) = self.raw_value(entry.value) else {
            self.error(format!("`{}` must be text or a mapping", entry.name), &entry.value.origin);
            return None;
        };
        let all = text.as_str().trim_start();
        let (name, rest) = first_word(all);
        let rest = match text.origin() {
            Some(origin) => Str::trusted(rest.trim_start(), origin.clone()),
            None => Str::new(rest.trim_start()),
        };
        Some(Action {
            name: name.to_owned(),
            key: entry.value,
            arguments: Arguments::Text(rest),
            local,
            spelled: true,
        })
    }
}

/// A template holds together, blanks and all.
fn first_word(text: &str) -> (&str, &str) {
    let from = if text.starts_with("{{") { text.find("}}").map_or(0, |at| at + 2) } else { 0 };
    match text[from..].find(char::is_whitespace) {
        Some(at) => (&text[..from + at], &text[from + at..]),
        None => (text, ""),
    }
}
