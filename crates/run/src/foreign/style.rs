//! How a module wants to be run: told by its content, as Ansible tells it.

/// The ways in which modules get their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Python with `ansible.module_utils`: packed with what it imports, arguments by standard input.
    Python,
    /// The arguments stand in the module's own text, at a mark.
    JsonArgs,
    /// Its one argument is a file of JSON.
    WantJson,
    /// Compiled; its one argument is a file of JSON.
    Binary,
    /// Its one argument is a file of `key=value`.
    Old,
    /// For Windows.
    PowerShell,
}

impl Style {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JsonArgs => "json_args",
            Self::WantJson => "want_json",
            Self::Binary => "binary",
            Self::Old => "old",
            Self::PowerShell => "powershell",
        }
    }

    pub(crate) fn of(content: &[u8]) -> Self {
        let holds = |mark: &str| content.windows(mark.len()).any(|part| part == mark.as_bytes());
        if is_binary(content) {
            Self::Binary
        } else if holds("#<<INCLUDE_ANSIBLE_MODULE_COMMON>>") || imports_utils(content) {
            Self::Python
        } else if holds("#Requires -Module") || holds("#AnsibleRequires") || holds("# POWERSHELL_COMMON") {
            Self::PowerShell
        } else if holds("<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>") {
            Self::JsonArgs
        } else if holds("WANT_JSON") {
            Self::WantJson
        } else {
            Self::Old
        }
    }
}

fn imports_utils(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    super::imports::of(&text, "ansible_collections.a.b.plugins.modules.x", false).iter().any(|import| {
        import.starts_with("ansible.module_utils")
            || (import.starts_with("ansible_collections.") && import.contains(".plugins.module_utils"))
    })
}

fn is_binary(content: &[u8]) -> bool {
    let text = |byte: u8| matches!(byte, 7..=10 | 12 | 13 | 27) || (byte >= 0x20 && byte != 0x7f);
    content.iter().take(1024).any(|byte| !text(*byte))
}

/// What the first line says the interpreter is.
pub(super) fn shebang(content: &[u8]) -> Option<String> {
    let line = content.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line).trim().to_owned()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_told_by_content() {
        assert_eq!(Style::of(b"\x7fELF\x02\x01\x00"), Style::Binary);
        assert_eq!(
            Style::of(b"#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\n"),
            Style::Python
        );
        assert_eq!(Style::of(b"from ..module_utils.x import y\n"), Style::Python);
        assert_eq!(Style::of(b"#!/bin/sh\n# WANT_JSON\n"), Style::WantJson);
        assert_eq!(Style::of(b"a = '<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>'"), Style::JsonArgs);
        assert_eq!(Style::of("#!/bin/sh\necho gr\u{fc}n".as_bytes()), Style::Old);
        assert_eq!(shebang(b"#!/usr/bin/env perl -w\nx"), Some("/usr/bin/env perl -w".to_owned()));
    }
}
