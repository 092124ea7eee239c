//! Settings against what `ansible-config dump` 2.19 says of the same file, and the search for the file.

use std::collections::HashMap;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, cfg: &str) -> Self {
        let path = std::env::temp_dir().join(format!("theseus-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(path.join("ansible.cfg"), cfg).unwrap();
        Self(path)
    }
    fn load(&self, env: &[(&str, &str)]) -> Result<Config> {
        let env: HashMap<String, String> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        Config::load(&|name| env.get(name).cloned().or_else(|| home(name)), &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const CFG: &str = r#"# comment
[defaults]
inventory = hosts, ../other/inv
roles_path = ./roles:/opt/roles:~/r:$EXTRA/d
forks=20
host_key_checking = False
vault_password_file = .vault
remote_user = deploy ; inline
private_key_file = ~/.ssh/id
jinja2_extensions = timer, profile_tasks
ansible_managed = by hand # hash
vault_encrypt_identity = "prod"
unknown_key = 1
FORCE_HANDLERS = 1
hash_behaviour = merge
multi = a
  b
  c
timeout: 33
[privilege_escalation]
become = yes
become_ask_pass=no
[ssh_connection]
ssh_args = -o ControlMaster=auto -o "X=a b" %(x)s
ssh_extra_args = %(directory)s/%%h-%%r
[diff]
always = on
"#;

#[test]
fn reads_what_ansible_reads() {
    let folder = Folder::new("reads", CFG);
    let config =
        folder.load(&[("ANSIBLE_FORKS", "30"), ("EXTRA", "/extra"), ("ANSIBLE_HOME", "~/ah")]).unwrap();
    let here = |name: &str| folder.0.join(name);
    assert_eq!(config.file, Some(here("ansible.cfg")));
    assert_eq!(config.int("DEFAULT_FORKS"), Some(30));
    assert_eq!(config.get("DEFAULT_FORKS").unwrap().1, Source::Environment("ANSIBLE_FORKS"));
    let inventories = [here("hosts"), folder.0.parent().unwrap().join("other/inv")];
    assert_eq!(config.paths("DEFAULT_HOST_LIST"), inventories);
    let roles = [here("roles"), "/opt/roles".into(), "/home/me/r".into(), "/extra/d".into()];
    assert_eq!(config.paths("DEFAULT_ROLES_PATH"), roles);
    let collections = ["/home/me/ah/collections", "/usr/share/ansible/collections"];
    assert_eq!(config.paths("COLLECTIONS_PATHS"), collections.map(PathBuf::from));
    assert!(!config.flag("HOST_KEY_CHECKING") && !config.flag("SSH_HOST_KEY_CHECKING"));
    assert_eq!(config.path("DEFAULT_VAULT_PASSWORD_FILE"), Some(here(".vault").as_path()));
    assert_eq!(config.text("DEFAULT_REMOTE_USER"), Some("deploy"));
    assert_eq!(config.path("DEFAULT_PRIVATE_KEY_FILE"), Some(Path::new("/home/me/.ssh/id")));
    assert_eq!(config.list("DEFAULT_JINJA2_EXTENSIONS"), ["timer", "profile_tasks"]);
    assert_eq!(config.text("DEFAULT_MANAGED_STR"), Some("by hand # hash"));
    assert_eq!(config.text("DEFAULT_VAULT_ENCRYPT_IDENTITY"), Some("prod"));
    assert!(config.flag("DEFAULT_FORCE_HANDLERS"));
    assert!(config.flag("DEFAULT_BECOME") && config.flag("DIFF_ALWAYS"));
    assert!(config.is_set("DEFAULT_BECOME_ASK_PASS") && !config.flag("DEFAULT_BECOME_ASK_PASS"));
    assert_eq!(config.int("SSH_TIMEOUT"), Some(33));
    assert_eq!(config.text("SSH_ARGS"), Some("-o ControlMaster=auto -o \"X=a b\" %(x)s"));
    assert_eq!(config.text("SSH_EXTRA_ARGS"), Some("%(directory)s/%%h-%%r"));
    assert_eq!(config.written("defaults", "multi"), Some("a\nb\nc"));
    // What nobody said.
    assert_eq!(config.text("DEFAULT_BECOME_METHOD"), Some("sudo"));
    assert_eq!(config.int("DEFAULT_REMOTE_PORT"), None);
    assert!(!config.is_set("DEFAULT_GATHERING"));
}

#[test]
fn looks_in_the_documented_order() {
    let folder = Folder::new("order", "[defaults]\nforks = 1\n");
    let other = Folder::new("order-other", "[defaults]\nforks = 2\n");
    let named = other.0.to_string_lossy().into_owned();
    let forks = |env: &[(&str, &str)]| folder.load(env).unwrap().int("DEFAULT_FORKS");
    assert_eq!(forks(&[]), Some(1));
    assert_eq!(forks(&[("ANSIBLE_CONFIG", &named)]), Some(2));
    assert_eq!(forks(&[("ANSIBLE_CONFIG", &format!("{named}/ansible.cfg"))]), Some(2));
    std::fs::rename(other.0.join("ansible.cfg"), other.0.join(".ansible.cfg")).unwrap();
    std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o777)).unwrap();
    let config = folder.load(&[("HOME", &named)]).unwrap();
    assert_eq!(config.int("DEFAULT_FORKS"), Some(2));
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].message.contains("everybody may write"));
}

#[test]
fn mistakes_name_their_place() {
    for (cfg, words) in [
        ("[defaults]\nforks = many\n", "`forks` must be a whole number, and is 'many'"),
        ("[defaults]\nforce_handlers = perhaps\n", "`force_handlers` must be yes or no"),
        ("forks = 1\n", "before the first section"),
        ("[defaults]\nforks\n", "'forks' is not a setting"),
    ] {
        let error = Folder::new("mistakes", cfg).load(&[]).unwrap_err();
        assert!(error.message.contains(words), "{error}");
        assert!(error.origin.is_some());
    }
    let error = Folder::new("mistaken-env", "").load(&[("ANSIBLE_FORKS", "x")]).unwrap_err();
    assert!(error.message.contains("ANSIBLE_FORKS"));
}
