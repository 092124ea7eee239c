//! Which passwords a vault command works with.

use std::path::PathBuf;

use playbook::vault::{DEFAULT_LABEL, Vault};

use super::files::Text;
use crate::arguments::{Given, VaultKeys};
use crate::setup::{self, Base, Problem};
use crate::terminal;

pub(super) struct Keys {
    vault: Vault,
    /// The id of the password that encrypts.
    label: Option<String>,
    salt: Option<String>,
}

impl Keys {
    pub(super) fn for_reading(asked: &VaultKeys) -> Result<Self, Problem> {
        Self::new(asked, false)
    }

    /// With several passwords it must be clear which one encrypts.
    pub(super) fn for_writing(asked: &VaultKeys) -> Result<Self, Problem> {
        Self::new(asked, true)
    }

    fn new(asked: &VaultKeys, writing: bool) -> Result<Self, Problem> {
        let given = Given {
            vault_password_file: asked.vault_password_file.clone(),
            vault_id: asked.vault_id.clone(),
            ask_vault_password: asked.ask_vault_password,
            ..Given::default()
        };
        let base = Base::new(&given)?;
        let mut vault = (*base.vault).clone();
        if vault.is_empty() {
            vault.add_password(DEFAULT_LABEL, asked_for("Vault password: ", writing)?);
        }
        let wanted = asked
            .encrypt_vault_id
            .clone()
            .or_else(|| base.config.text("DEFAULT_VAULT_ENCRYPT_IDENTITY").map(str::to_owned));
        let mut labels: Vec<String> = vault.labels().map(str::to_owned).collect();
        labels.dedup();
        if writing && wanted.is_none() && labels.len() > 1 {
            let labels = labels.join(", ");
            return Err(Problem::Options(format!(
                "which of the ids {labels} shall encrypt? Say it with --encrypt-vault-id"
            )));
        }
        let label = wanted.or_else(|| labels.first().cloned());
        Ok(Self { vault, label, salt: base.config.text("VAULT_ENCRYPT_SALT").map(str::to_owned) })
    }

    /// The new password of `rekey`.
    pub(super) fn renewed(id: Option<&str>, file: Option<&str>) -> Result<Self, Problem> {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let mut vault = Vault::new();
        match id.or(file) {
            Some(source) => setup::add_vault(&mut vault, source, &cwd)?,
            None => vault.add_password(DEFAULT_LABEL, asked_for("New vault password: ", true)?),
        }
        let label = vault.labels().next().map(str::to_owned);
        Ok(Self { vault, label, salt: None })
    }

    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Text, Problem> {
        self.encrypt_as(plain, self.label.as_deref())
    }

    /// With the password of this id, if it is known; else with the one that encrypts.
    pub(super) fn encrypt_as(&self, plain: &[u8], label: Option<&str>) -> Result<Text, Problem> {
        let known = label.filter(|label| self.vault.labels().any(|own| own == *label));
        let label = known.or(self.label.as_deref());
        let text = self.vault.encrypt(plain, label, self.salt.as_deref().map(str::as_bytes))?;
        Ok(Text::from(text.into_bytes()))
    }

    pub(super) fn decrypt(&self, encrypted: &[u8], name: &str) -> Result<Text, Problem> {
        let text = std::str::from_utf8(encrypted)
            .ok()
            .filter(|text| playbook::vault::is_encrypted(text.trim_start()));
        let text = text.ok_or_else(|| format!("{name} is not encrypted"))?;
        let plain = self.vault.decrypt(text).map_err(|mut mistake| {
            mistake.message = format!("{name}: {}", mistake.message);
            Problem::from(mistake)
        })?;
        Ok(Text::from(plain.to_vec()))
    }
}

/// The id that an encrypted text names.
pub(super) fn label_of(encrypted: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(encrypted).ok()?;
    let mut fields = text.trim_start().lines().next()?.trim().splitn(4, ';').skip(3);
    fields.next().map(str::to_owned)
}

fn asked_for(prompt: &str, twice: bool) -> Result<String, Problem> {
    let nobody = || {
        Problem::from(
            "no vault password was given, and nobody can be asked for it: use --vault-password-file FILE"
                .to_owned(),
        )
    };
    let password = terminal::secret(prompt).ok_or_else(nobody)?;
    if password.is_empty() {
        return Err("a vault password cannot be empty".to_owned().into());
    }
    if twice && terminal::secret(&format!("Again, {}", prompt.to_lowercase())).ok_or_else(nobody)? != password
    {
        return Err("the two passwords are not the same".to_owned().into());
    }
    Ok(password)
}
