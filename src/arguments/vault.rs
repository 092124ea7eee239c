//! `theseus vault`, and the program under the name `ansible-vault`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::AS_ANSIBLE;

// Also the program under the name `ansible-vault`.
#[derive(Debug, Args)]
pub(crate) struct Vault {
    #[command(subcommand)]
    pub(crate) action: VaultAction,
}

/// Encrypt, decrypt and edit secrets
#[derive(Debug, Parser)]
#[command(name = "ansible-vault", version = AS_ANSIBLE, infer_long_args = true, disable_help_subcommand = true)]
pub(crate) struct AnsibleVault {
    #[command(flatten)]
    pub(crate) vault: Vault,
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct VaultKeys {
    #[arg(long, visible_alias = "vault-pass-file", value_name = "FILE")]
    pub(crate) vault_password_file: Vec<String>,
    #[arg(long, value_name = "ID")]
    pub(crate) vault_id: Vec<String>,
    #[arg(short = 'J', long, visible_alias = "ask-vault-pass")]
    pub(crate) ask_vault_password: bool,
    /// With several identities: encrypt with this one
    #[arg(long, value_name = "ID")]
    pub(crate) encrypt_vault_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultAction {
    /// Encrypt files
    Encrypt {
        #[command(flatten)]
        keys: VaultKeys,
        #[arg(default_value = "-")]
        files: Vec<PathBuf>,
        /// Where to write (`-`: standard output)
        #[arg(long = "output-file", value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Decrypt files
    Decrypt {
        #[command(flatten)]
        keys: VaultKeys,
        #[arg(default_value = "-")]
        files: Vec<PathBuf>,
        #[arg(long = "output-file", value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Show an encrypted file
    View {
        #[command(flatten)]
        keys: VaultKeys,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Edit an encrypted file
    Edit {
        #[command(flatten)]
        keys: VaultKeys,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Make a new encrypted file in an editor
    Create {
        #[command(flatten)]
        keys: VaultKeys,
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[arg(long, hide = true)]
        skip_tty_check: bool,
    },
    /// Encrypt again with another password
    Rekey {
        #[command(flatten)]
        keys: VaultKeys,
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[arg(long, value_name = "FILE")]
        new_vault_password_file: Option<String>,
        #[arg(long, value_name = "ID")]
        new_vault_id: Option<String>,
    },
    /// Encrypt a string, ready to be put into a YAML file
    #[command(name = "encrypt_string", alias = "encrypt-string")]
    EncryptString {
        #[command(flatten)]
        keys: VaultKeys,
        strings: Vec<String>,
        #[arg(short, long)]
        name: Vec<String>,
        #[arg(long, value_name = "NAME")]
        stdin_name: Option<String>,
        #[arg(short, long)]
        prompt: bool,
    },
}
