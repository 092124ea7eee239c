//! What may be typed. Words only: what they mean is decided in `commands/`.

mod drift;
mod fleet;
mod image;
mod layers;
mod plan;
mod vault;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::fleet::{Fleet, FleetAction, Proxy, Rollout, RolloutAction, RolloutStart};
use crate::report::{Color, Output};
pub(crate) use drift::{Bisect, Compare, Drift};
pub(crate) use image::{Bake, Image, ImageAction, ImageFormat};
pub(crate) use layers::{Diff, Means, OnDrift, OnFailure, Own, Recover, Rollback, Show, Store};
pub(crate) use plan::Plan;
pub(crate) use vault::{AnsibleVault, Vault, VaultAction, VaultKeys};

/// Scripts look for the version of Ansible whose behaviour they can expect.
const AS_ANSIBLE: &str = concat!("[core 2.19.0]\n  theseus = ", env!("CARGO_PKG_VERSION"));

/// Change servers in place from Ansible playbooks; every change an exact layer.
#[derive(Debug, Parser)]
#[command(name = "theseus", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Format of what is printed [default: pretty on a terminal, plain otherwise]
    #[arg(long, global = true, value_enum)]
    pub(crate) output: Option<Output>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub(crate) color: Color,
    /// Folder of the project [default: the current one]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Converge hosts in place: run playbooks
    Apply(Apply),
    /// Say what would change, per host; changes nothing
    Plan(Plan),
    /// Read everything and point at mistakes; touches no host
    Validate(Validate),
    /// What was done to hosts: runs and generations
    History(History),
    /// What one generation changed on a host, and which task did it
    Show(Show),
    /// What is different between hosts, or generations of one
    Diff(Diff),
    /// What is otherwise on hosts than it should be, and putting it back
    Drift(Drift),
    /// Which hosts are alike, which one is odd and why
    Compare(Compare),
    /// Which generation broke something, on a clone of the host
    Bisect(Bisect),
    /// Put a host back, exactly
    Rollback(Rollback),
    /// Bring a host to a generation after a crash (also happens by itself at the next contact)
    Recover(Recover),
    /// What a host keeps for undoing: its size, check it, prune it
    Store(Store),
    /// Make an image of theseus.yml with its playbook
    Bake(Bake),
    /// Images that were baked: list, test, promote, export
    Image(Image),
    /// Facts of hosts
    Facts(Facts),
    /// Show the inventory
    Inventory(Inventory),
    /// Encrypt, decrypt and edit secrets
    Vault(Vault),
    /// Throw-away hosts on this machine
    Lab(Lab),
    /// Fleets of replaceable members: up, status, scale, down
    Fleet(Fleet),
    /// Bring a fleet to another image without downtime
    Rollout(Rollout),
    /// The embedded load balancer
    Proxy(Proxy),
    /// The whole story on lab hosts, in about a minute
    Tour(Tour),
    /// The agent's end of a connection
    #[command(hide = true, disable_help_flag = true)]
    Agent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// Where hosts come from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Hosts {
    /// Inventory file, folder, script or `host1,host2,`
    #[arg(short, long = "inventory", visible_alias = "inventory-file", value_name = "INVENTORY")]
    pub(crate) inventory: Vec<String>,
    /// Only these hosts (a pattern)
    #[arg(short, long = "limit", value_name = "PATTERN")]
    pub(crate) limit: Option<String>,
}

/// Variables and secrets.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Given {
    /// Variables: k=v, JSON, or @file
    #[arg(short, long = "extra-vars", value_name = "VARS")]
    pub(crate) extra_vars: Vec<String>,
    /// File or script that gives the vault password
    #[arg(long, visible_alias = "vault-pass-file", value_name = "FILE")]
    pub(crate) vault_password_file: Vec<String>,
    /// Vault identity: [label@]prompt, file or script
    #[arg(long, value_name = "ID")]
    pub(crate) vault_id: Vec<String>,
    /// Ask for the vault password
    #[arg(short = 'J', long, visible_alias = "ask-vault-pass")]
    pub(crate) ask_vault_password: bool,
}

/// How to reach hosts and become other users there.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Reach {
    /// Connect as this user
    #[arg(short, long = "user", value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Ask for the connection password
    #[arg(short = 'k', long, visible_alias = "ask-pass")]
    pub(crate) ask_password: bool,
    /// Connection: ssh, local, lab, docker
    #[arg(short, long, value_name = "TYPE")]
    pub(crate) connection: Option<String>,
    /// Private key file
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub(crate) private_key: Option<PathBuf>,
    /// Seconds until a connection attempt is given up
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Which ssh: native, openssh [default: native wherever the configuration can be honoured]
    #[arg(long, value_name = "WHICH")]
    pub(crate) ssh: Option<String>,
    /// Arguments for all ssh programs
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) ssh_common_args: Option<String>,
    /// Arguments for ssh only
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) ssh_extra_args: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(crate) sftp_extra_args: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(crate) scp_extra_args: Option<String>,
    /// Become another user for tasks
    #[arg(short, long = "become")]
    pub(crate) become_: bool,
    /// How to become another user: sudo, su, doas
    #[arg(long, value_name = "METHOD")]
    pub(crate) become_method: Option<String>,
    /// Which user to become [default: root]
    #[arg(long, value_name = "USER")]
    pub(crate) become_user: Option<String>,
    /// Ask for the password that becoming needs
    #[arg(short = 'K', long, visible_alias = "ask-become-pass")]
    pub(crate) ask_become_password: bool,
    /// File with the connection password
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE")]
    pub(crate) connection_password_file: Option<PathBuf>,
    /// File with the become password
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE")]
    pub(crate) become_password_file: Option<PathBuf>,
    /// How many hosts at once
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    pub(crate) forks: Option<usize>,
}

/// What `apply` and `ansible-playbook` both take.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Playing {
    /// Playbooks, or for `apply` a plan
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub(crate) playbooks: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Only tasks with these tags
    #[arg(short, long = "tags", value_name = "TAGS")]
    pub(crate) tags: Vec<String>,
    /// Not the tasks with these tags
    #[arg(long, value_name = "TAGS")]
    pub(crate) skip_tags: Vec<String>,
    /// Change nothing, say what would change
    #[arg(short = 'C', long)]
    pub(crate) check: bool,
    /// Show what changes in files
    #[arg(short = 'D', long)]
    pub(crate) diff: bool,
    /// Begin at the task of this name
    #[arg(long, value_name = "TASK")]
    pub(crate) start_at_task: Option<String>,
    /// Ask before each task
    #[arg(long)]
    pub(crate) step: bool,
    /// List the tasks and stop
    #[arg(long)]
    pub(crate) list_tasks: bool,
    /// List the hosts and stop
    #[arg(long)]
    pub(crate) list_hosts: bool,
    /// List the tags and stop
    #[arg(long)]
    pub(crate) list_tags: bool,
    /// Read the playbooks and stop
    #[arg(long)]
    pub(crate) syntax_check: bool,
    /// Run handlers even if a task fails
    #[arg(long)]
    pub(crate) force_handlers: bool,
    /// Forget cached facts
    #[arg(long)]
    pub(crate) flush_cache: bool,
    /// Say more (repeat)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) playing: Playing,
    #[command(flatten)]
    pub(crate) own: Own,
}

/// The program under the name `ansible-playbook`.
#[derive(Debug, Parser)]
#[command(name = "ansible-playbook", version = AS_ANSIBLE, infer_long_args = true)]
pub(crate) struct AnsiblePlaybook {
    #[command(flatten)]
    pub(crate) playing: Playing,
    #[arg(short = 'M', long, hide = true)]
    pub(crate) module_path: Vec<String>,
}

/// The program under the name `ansible`: one module on some hosts.
#[derive(Debug, Parser)]
#[command(name = "ansible", version = AS_ANSIBLE, infer_long_args = true)]
pub(crate) struct AdHoc {
    /// Which hosts
    pub(crate) pattern: String,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Module
    #[arg(short, long, default_value = "command")]
    pub(crate) module_name: String,
    /// Its arguments: k=v or JSON
    #[arg(short, long, default_value = "", allow_hyphen_values = true)]
    pub(crate) args: String,
    /// Change nothing, say what would change
    #[arg(short = 'C', long)]
    pub(crate) check: bool,
    /// Show what changes in files
    #[arg(short = 'D', long)]
    pub(crate) diff: bool,
    /// One line a host
    #[arg(short, long)]
    pub(crate) one_line: bool,
    /// List the hosts and stop
    #[arg(long)]
    pub(crate) list_hosts: bool,
    /// Run in the background, for at most so many seconds
    #[arg(short = 'B', long, value_name = "SECONDS")]
    pub(crate) background: Option<u64>,
    /// Ask every so many seconds whether the background job is done
    #[arg(short = 'P', long, value_name = "SECONDS", default_value = "15")]
    pub(crate) poll: u64,
    /// Base folder of the project
    #[arg(long)]
    pub(crate) playbook_dir: Option<PathBuf>,
    #[arg(short = 'M', long, hide = true)]
    pub(crate) module_path: Vec<String>,
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Playbooks, roles, or folders in which there are some
    #[arg(default_value = ".", value_name = "PLAYBOOK")]
    pub(crate) playbooks: Vec<PathBuf>,
    /// For editors and code hosts, in place of --output
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Show notes, too: old forms, handlers that nobody notifies
    #[arg(long)]
    pub(crate) notes: bool,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// SARIF 2.1.0
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only this host
    pub(crate) host: Option<String>,
    /// How many at most
    #[arg(short = 'n', long, default_value = "20", value_parser = at_least_one)]
    pub(crate) number: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a number".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Facts {
    /// Which hosts
    #[arg(default_value = "all")]
    pub(crate) pattern: String,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Only facts whose name matches
    #[arg(long)]
    pub(crate) filter: Vec<String>,
    /// Only these subsets
    #[arg(long)]
    pub(crate) gather_subset: Vec<String>,
}

// Also the program under the name `ansible-inventory`.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Inventory {
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
    /// All hosts and groups as JSON
    #[arg(long)]
    pub(crate) list: bool,
    /// A tree of groups
    #[arg(long)]
    pub(crate) graph: bool,
    /// One host's variables
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// With --graph: variables too
    #[arg(long)]
    pub(crate) vars: bool,
    /// Group at which --graph begins
    #[arg(default_value = "all")]
    pub(crate) group: String,
    /// YAML in place of JSON
    #[arg(short, long)]
    pub(crate) yaml: bool,
    #[arg(long, hide = true)]
    pub(crate) playbook_dir: Option<PathBuf>,
    /// With --list: groups keep their variables
    #[arg(long)]
    pub(crate) export: bool,
    /// Where to write, in place of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
}

/// Show the inventory
#[derive(Debug, Parser)]
#[command(name = "ansible-inventory", version = AS_ANSIBLE, infer_long_args = true)]
pub(crate) struct AnsibleInventory {
    #[command(flatten)]
    pub(crate) inventory: Inventory,
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Lab {
    #[command(subcommand)]
    pub(crate) action: LabAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabAction {
    /// Start hosts
    Up {
        /// How many
        #[arg(default_value = "1")]
        number: usize,
        /// Names begin with this
        #[arg(long, default_value = "lab")]
        name: String,
        /// Root file system to start from [default: this machine's own]
        #[arg(long, value_name = "DIR")]
        base: Option<PathBuf>,
        /// A small init in place of systemd
        #[arg(long)]
        small: bool,
        /// Start sshd in them, letting in this public key file
        #[arg(long, value_name = "PUBLIC_KEY")]
        sshd: Option<PathBuf>,
    },
    /// Show hosts, strays too
    List,
    /// Run a command in a host
    Exec {
        host: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Remove hosts and everything of theirs
    Down {
        hosts: Vec<String>,
        /// Every host, strays too
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Tour {
    /// Keep the hosts afterwards
    #[arg(long)]
    pub(crate) keep: bool,
    /// Wait for Enter between chapters
    #[arg(long)]
    pub(crate) pause: bool,
}
