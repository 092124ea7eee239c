//! Modes: octal numbers and the words of `chmod` (`u=rwX,go-w`).

use catalog::Json;

use crate::module::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Octal(u32),
    Symbolic(String),
    /// As the source file has it (`copy`, `template`).
    Preserve,
}

impl Mode {
    pub fn read(value: &Json) -> Result<Option<Self>, Failure> {
        let wrong = || Failure::new(format!("mode must be in octal or symbolic form, not {value}"));
        match value {
            Json::Null => Ok(None),
            Json::Number(n) => {
                let n = n.as_u64().filter(|n| *n <= 0o7777).ok_or_else(wrong)?;
                Ok(Some(Self::Octal(n as u32)))
            }
            Json::String(s) if s.is_empty() => Ok(None),
            Json::String(s) if s == "preserve" => Ok(Some(Self::Preserve)),
            Json::String(s) => match u32::from_str_radix(s.trim().trim_start_matches("0o"), 8) {
                Ok(n) if n <= 0o7777 => Ok(Some(Self::Octal(n))),
                Ok(_) => Err(wrong()),
                Err(_) => {
                    // Checked now, so that a mistake is found before anything is written.
                    symbolic(s, 0, false)?;
                    Ok(Some(Self::Symbolic(s.clone())))
                }
            },
            _ => Err(wrong()),
        }
    }

    /// The mode that a path of this mode gets.
    pub fn on(&self, current: u32, is_dir: bool) -> Result<u32, Failure> {
        match self {
            Self::Octal(mode) => Ok(*mode),
            Self::Symbolic(text) => symbolic(text, current, is_dir),
            Self::Preserve => Ok(current),
        }
    }
}

fn symbolic(text: &str, current: u32, is_dir: bool) -> Result<u32, Failure> {
    let wrong = || Failure::new(format!("bad symbolic permission for mode: {text}"));
    let mut mode = current;
    for clause in text.split(',') {
        let clause = clause.trim();
        let split = clause.find(['+', '-', '=']).ok_or_else(wrong)?;
        let (users, mut rest) = clause.split_at(split);
        if !users.chars().all(|c| "ugoa".contains(c)) {
            return Err(wrong());
        }
        let masked = users.is_empty();
        let users: String = if masked || users.contains('a') { "ugo".to_owned() } else { users.to_owned() };
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |i| i + 1);
            let permissions = &rest[1..end];
            rest = &rest[end..];
            for user in users.chars() {
                let mut bits = bits(user, permissions, mode, current, is_dir).ok_or_else(wrong)?;
                if masked {
                    bits &= !own_umask();
                }
                mode = match operator {
                    '+' => mode | bits,
                    '-' => mode & !bits,
                    _ => (mode & !room(user)) | bits,
                };
            }
        }
    }
    Ok(mode)
}

fn shift(user: char) -> u32 {
    match user {
        'u' => 6,
        'g' => 3,
        _ => 0,
    }
}

/// All bits that belong to a class of users.
fn room(user: char) -> u32 {
    let special = match user {
        'u' => 0o4000,
        'g' => 0o2000,
        _ => 0o1000,
    };
    special | (7 << shift(user))
}

fn bits(user: char, permissions: &str, mode: u32, current: u32, is_dir: bool) -> Option<u32> {
    permissions.chars().try_fold(0, |all, permission| {
        Some(
            all | match permission {
                'r' => 4 << shift(user),
                'w' => 2 << shift(user),
                'x' => 1 << shift(user),
                'X' if is_dir || current & 0o111 != 0 => 1 << shift(user),
                's' if user == 'u' => 0o4000,
                's' if user == 'g' => 0o2000,
                't' if user == 'o' => 0o1000,
                'X' | 's' | 't' => 0,
                'u' | 'g' | 'o' => ((mode >> shift(permission)) & 7) << shift(user),
                _ => return None,
            },
        )
    })
}

/// The umask that the agent was started with.
pub(crate) fn own_umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let shown = status.lines().find_map(|l| l.strip_prefix("Umask:"));
    shown.and_then(|t| u32::from_str_radix(t.trim(), 8).ok()).unwrap_or(0o022)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_modes() {
        for (text, from, dir, to) in [
            ("u=rwx,g=rx,o=", 0o644, false, 0o750),
            ("a+X", 0o644, false, 0o644),
            ("a+X", 0o644, true, 0o755),
            ("a+X", 0o744, false, 0o755),
            ("u+s,g+s,o+t", 0o755, false, 0o7755),
            ("g=u", 0o640, false, 0o660),
            ("go-rwx", 0o777, false, 0o700),
            ("u=rw,u+x", 0o000, false, 0o700),
            ("ug=rw+x", 0o000, false, 0o770),
            ("o=", 0o1777, true, 0o770),
        ] {
            assert_eq!(symbolic(text, from, dir).unwrap(), to, "{text} on {from:o}");
        }
        assert!(symbolic("u=z", 0, false).is_err());
        assert!(symbolic("rwx", 0, false).is_err());
    }

    #[test]
    fn numbers() {
        assert_eq!(Mode::read(&Json::from("0644")).unwrap(), Some(Mode::Octal(0o644)));
        assert_eq!(Mode::read(&Json::from(420)).unwrap(), Some(Mode::Octal(0o644)));
        assert!(Mode::read(&Json::from("99999")).is_err());
    }
}
