//! `theseus vault`, and the program under the name `ansible-vault`: encrypted files and strings.

mod files;
mod keys;
mod strings;

use std::path::{Path, PathBuf};

use playbook::vault::is_encrypted;

use crate::arguments::{Vault, VaultAction};
use crate::report::{Output, Style};
use crate::setup::Problem;
use crate::terminal;
use files::Text;
use keys::Keys;

pub(crate) fn vault(asked: &Vault, style: Style) -> u8 {
    match act(&asked.action) {
        Ok(()) => 0,
        Err(problem) => terminal::show(&problem, &playbook::Sources::new(), style.output == Output::Json),
    }
}

fn act(action: &VaultAction) -> Result<(), Problem> {
    match action {
        VaultAction::Encrypt { keys, files, to } => {
            let keys = Keys::for_writing(keys)?;
            each(files, to.as_deref(), |text, name| {
                if std::str::from_utf8(text).is_ok_and(is_encrypted) {
                    return Err(format!("{name} is already encrypted").into());
                }
                keys.encrypt(text)
            })
        }
        VaultAction::Decrypt { keys, files, to } => {
            let keys = Keys::for_reading(keys)?;
            each(files, to.as_deref(), |text, name| keys.decrypt(text, name))
        }
        VaultAction::View { keys, files } => {
            let keys = Keys::for_reading(keys)?;
            for file in files {
                let plain = keys.decrypt(&files::read(file)?, &file.display().to_string())?;
                files::print(&plain)?;
            }
            Ok(())
        }
        VaultAction::Edit { keys, files } => {
            let keys = Keys::for_reading(keys)?;
            files.iter().try_for_each(|file| edit(file, &keys))
        }
        VaultAction::Create { keys, files, .. } => create(files, keys),
        VaultAction::Rekey { keys, files, new_vault_password_file, new_vault_id } => {
            let old = Keys::for_reading(keys)?;
            let new = Keys::renewed(new_vault_id.as_deref(), new_vault_password_file.as_deref())?;
            rekey(files, &old, &new)
        }
        VaultAction::EncryptString { keys, strings, name, stdin_name, prompt } => {
            let wanted =
                strings::Wanted { strings, names: name, stdin_name: stdin_name.as_deref(), prompt: *prompt };
            strings::encrypt(&wanted, &Keys::for_writing(keys)?)
        }
    }
}

/// The same with every file, or with standard input.
fn each(
    files: &[PathBuf],
    to: Option<&Path>,
    work: impl Fn(&[u8], &str) -> Result<Text, Problem>,
) -> Result<(), Problem> {
    if to.is_some() && files.len() > 1 {
        return Err(Problem::Options("--output-file takes one file only".to_owned()));
    }
    for file in files {
        let standard = file.as_os_str() == "-";
        let name = if standard { "standard input".to_owned() } else { file.display().to_string() };
        let text = if standard { files::standard_input()? } else { files::read(file)? };
        let done = work(&text, &name)?;
        match to.unwrap_or(file) {
            target if target.as_os_str() == "-" => files::print(&done)?,
            target => files::write(target, &done, files::PRIVATE)?,
        }
    }
    Ok(())
}

fn edit(file: &Path, keys: &Keys) -> Result<(), Problem> {
    let before = files::read(file)?;
    let name = file.display().to_string();
    let plain = keys.decrypt(&before, &name)?;
    let after = files::edited(&plain, file)?;
    if *after == *plain {
        return Ok(());
    }
    let encrypted = keys.encrypt_as(&after, keys::label_of(&before).as_deref())?;
    files::write(file, &encrypted, files::mode(file))
}

fn create(wanted: &[PathBuf], keys: &crate::arguments::VaultKeys) -> Result<(), Problem> {
    let [file] = wanted else {
        return Err(Problem::Options("create takes one file only".to_owned()));
    };
    if file.exists() {
        return Err(format!("{} is there already; change it with `edit`", file.display()).into());
    }
    let keys = Keys::for_writing(keys)?;
    let plain = files::edited(&Text::default(), file)?;
    files::write(file, &keys.encrypt(&plain)?, files::PRIVATE)
}

/// All files are decrypted before the first is written: a wrong password changes nothing.
fn rekey(wanted: &[PathBuf], old: &Keys, new: &Keys) -> Result<(), Problem> {
    let mut renewed = Vec::new();
    for file in wanted {
        let plain = old.decrypt(&files::read(file)?, &file.display().to_string())?;
        renewed.push((file, new.encrypt(&plain)?));
    }
    renewed.into_iter().try_for_each(|(file, text)| files::write(file, &text, files::mode(file)))
}
