//! Vaults against the real `ansible-vault`: fixtures that it wrote, and the round trip.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/vault/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn vault(passwords: &[(&str, &str)]) -> Vault {
    let mut vault = Vault::new();
    for (label, password) in passwords {
        vault.add_password(label, *password);
    }
    vault
}

const PLAIN: &str = "a: 1\nsecret: \"häßlich {{ x }}\"\n";

#[test]
fn opens_what_ansible_vault_wrote() {
    let both = vault(&[("prod", "other"), ("default", "swordfish")]);
    assert_eq!(both.decrypt_text(&fixture("v11.yml")).unwrap(), PLAIN);
    assert_eq!(both.decrypt_text(&fixture("v12.yml")).unwrap(), PLAIN);
    assert_eq!(both.decrypt_text(&fixture("empty.enc")).unwrap(), "");
    assert_eq!(both.decrypt_text(&fixture("block.enc")).unwrap(), "0123456789abcdef");
    // Indented and with other line ends, as inline texts are.
    let inline = format!("  {}\r\n", fixture("v11.yml").replace('\n', "\r\n    "));
    assert_eq!(both.decrypt_text(&inline).unwrap(), PLAIN);
}

#[test]
fn writes_what_ansible_vault_would_write() {
    let vault = vault(&[("default", "swordfish")]);
    assert_eq!(vault.encrypt(b"hello", None, Some(b"abcdefgh")).unwrap(), fixture("salted.enc"));
}

#[test]
fn labels_choose_the_password_and_are_kept() {
    let both = vault(&[("a", "one"), ("b", "two")]);
    let text = both.encrypt(b"x", Some("b"), None).unwrap();
    assert!(text.starts_with("$ANSIBLE_VAULT;1.2;AES256;b\n"));
    assert!(text.lines().all(|line| line.len() <= 80));
    assert_eq!(both.decrypt_text(&text).unwrap(), "x");
    // A label is advice: another password may fit.
    assert_eq!(vault(&[("renamed", "two")]).decrypt_text(&text).unwrap(), "x");
    let mut strict = vault(&[("renamed", "two")]);
    strict.only_matching_labels(true);
    assert!(strict.decrypt(&text).is_err());
    assert!(both.encrypt(b"x", Some("c"), None).is_err());
    assert!(Vault::new().encrypt(b"x", None, None).is_err());
    let first = both.encrypt(b"x", None, None).unwrap();
    assert!(first.starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
    assert_ne!(first, both.encrypt(b"x", None, None).unwrap(), "the salt is random");
}

#[test]
fn every_length_comes_back() {
    let vault = vault(&[("default", "pw")]);
    for length in 0..50_u8 {
        let plain: Vec<u8> = (0..length).collect();
        let text = vault.encrypt(&plain, None, Some(b"salt")).unwrap();
        assert_eq!(vault.decrypt(&text).unwrap().as_slice(), plain);
    }
}

#[test]
fn refuses_with_a_reason() {
    let text = fixture("v12.yml");
    let message = |vault: &Vault, text: &str| vault.decrypt(text).unwrap_err().message;
    assert!(message(&Vault::new(), &text).contains("no vault password was given"));
    let wrong = vault(&[("prod", "wrong"), ("other", "wrong too")]);
    let error = wrong.decrypt(&text).unwrap_err();
    assert!(error.message.contains("none of the given vault passwords") && error.message.contains("'prod'"));
    assert!(error.hint.unwrap().ends_with("prod, other"));
    let right = vault(&[("prod", "other")]);
    assert!(message(&right, "$ANSIBLE_VAULT;1.0;AES\n00").contains("1.0"));
    assert!(message(&right, "$ANSIBLE_VAULT;1.1;DES\n00").contains("DES"));
    assert!(message(&right, "$ANSIBLE_VAULT;1.1;AES256\n").contains("damaged"));
    assert!(message(&right, "$ANSIBLE_VAULT;1.1;AES256\nxyz").contains("damaged"));
    assert!(message(&right, "plain").contains("header"));
    // One changed digit of the cipher text is found by its authentication.
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.last_mut().unwrap();
    let digit = if last.ends_with('0') { '1' } else { '0' };
    last.pop();
    last.push(digit);
    assert!(right.decrypt(&lines.join("\n")).is_err());
}

#[test]
fn changed_texts_never_panic() {
    let vault = vault(&[("prod", "other")]);
    let text = fixture("v12.yml");
    for at in (0..text.len()).step_by(11) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'7' { b';' } else { b'7' };
        let _ = vault.decrypt(&String::from_utf8_lossy(&bytes));
        let _ = vault.decrypt(text.get(..at).unwrap());
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("theseus-vault-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn passwords_from_files_and_programs() {
    let folder = Folder::new("sources");
    folder.file("plain", " swordfish\n", 0o600);
    folder.file("program.sh", "#!/bin/sh\necho swordfish\n", 0o700);
    folder.file(
        "keys-client.sh",
        "#!/bin/sh\n[ \"$1 $2\" = '--vault-id prod' ] && echo other || exit 2\n",
        0o700,
    );
    folder.file("empty", "\n", 0o600);
    folder.file("fails", "#!/bin/sh\necho nope >&2; exit 3\n", 0o700);
    folder.file("encrypted", &vault(&[("", "other")]).encrypt(b"swordfish\n", None, None).unwrap(), 0o600);
    let open = |sources: &[&str], name: &str| {
        let mut vault = Vault::new();
        for source in sources {
            vault.add_source(source, &folder.0)?;
        }
        vault.decrypt_text(&fixture(name))
    };
    assert_eq!(open(&["plain"], "v11.yml").unwrap(), PLAIN);
    assert_eq!(open(&["any@program.sh"], "v11.yml").unwrap(), PLAIN);
    assert_eq!(open(&["prod@keys-client.sh"], "v12.yml").unwrap(), PLAIN);
    assert_eq!(open(&["prod@keys-client.sh", "encrypted"], "v11.yml").unwrap(), PLAIN);
    assert!(
        open(&["keys-client.sh"], "v12.yml").unwrap_err().message.contains("no secret for the id 'default'")
    );
    assert!(open(&["empty"], "v11.yml").unwrap_err().message.contains("is empty"));
    assert!(open(&["fails"], "v11.yml").unwrap_err().message.contains("nope"));
    assert!(open(&["missing"], "v11.yml").unwrap_err().message.contains("cannot be read"));
}

#[test]
fn is_not_printed() {
    let vault = vault(&[("prod", "sesame")]);
    assert!(!format!("{vault:?}").contains("sesame"));
}
