//! What a Python file imports: read line by line. Too much is found rather than too little (a line in a string
//! counts, too): what does not exist is left out later.

/// Full names of everything that a file may import. `module`: its own name, for relative imports; `package`: it is
/// an `__init__.py`.
pub(super) fn of(text: &str, module: &str, package: bool) -> Vec<String> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("from ").or_else(|| line.strip_prefix("from\t")) {
            from(&whole(rest, &mut lines), module, package, &mut all);
        } else if let Some(rest) = line.strip_prefix("import ") {
            for name in whole(rest, &mut lines).split(',') {
                all.extend(first_word(name).map(str::to_owned));
            }
        }
    }
    all
}

/// The rest of a statement that goes over several lines.
fn whole<'t>(first: &str, lines: &mut impl Iterator<Item = &'t str>) -> String {
    let plain = |line: &str| line.split('#').next().unwrap_or_default().trim_end().to_owned();
    let mut text = plain(first);
    loop {
        let open = text.contains('(') && !text.contains(')');
        let goes_on = text.ends_with('\\');
        if !open && !goes_on {
            return text;
        }
        let Some(next) = lines.next() else { return text };
        if goes_on {
            text.pop();
        }
        text.push(' ');
        text.push_str(&plain(next));
    }
}

fn from(rest: &str, module: &str, package: bool, all: &mut Vec<String>) {
    let Some((base, names)) = rest.split_once(" import") else { return };
    let base = base.trim();
    let dots = base.len() - base.trim_start_matches('.').len();
    let base = match dots {
        0 => base.to_owned(),
        dots => match relative(module, package, dots, base.trim_start_matches('.')) {
            Some(base) => base,
            None => return,
        },
    };
    for name in names.split(',') {
        let name = name.trim().trim_start_matches('(').trim_end_matches(')');
        if let Some(name) = first_word(name).filter(|name| *name != "*") {
            all.push(format!("{base}.{name}"));
        }
    }
    all.push(base);
}

/// `..x` as seen from a module.
fn relative(module: &str, package: bool, dots: usize, rest: &str) -> Option<String> {
    let mut parts: Vec<&str> = module.split('.').collect();
    for _ in 0..dots - usize::from(package) {
        parts.pop()?;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    Some(parts.join(".")).filter(|name| !name.is_empty())
}

fn first_word(text: &str) -> Option<&str> {
    let word = text.trim().split(|c: char| c.is_whitespace() || c == ';').next()?;
    let good = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_.*".contains(c));
    good.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn every_kind_of_import_is_seen() {
        let text = "
import os, ansible.module_utils.a as b
from ansible.module_utils.basic import AnsibleModule  # words
try:
    from ansible.module_utils import (
        c,  # one
        d as e,
    )
except ImportError: pass
from ansible.module_utils.f \\
    import g
from ..module_utils.h import *
from . import i
";
        let all = of(text, "ansible_collections.x.y.plugins.modules.z", false);
        for name in [
            "ansible.module_utils.a",
            "ansible.module_utils.basic.AnsibleModule",
            "ansible.module_utils.c",
            "ansible.module_utils.d",
            "ansible.module_utils.f.g",
            "ansible_collections.x.y.plugins.module_utils.h",
            "ansible_collections.x.y.plugins.modules.i",
        ] {
            assert!(all.iter().any(|known| known == name), "{name} in {all:?}");
        }
        assert_eq!(of("from .m import n", "a.b", true), ["a.b.m.n", "a.b.m"]);
        assert_eq!(of("from .... import n", "a.b", false), Vec::<String>::new());
    }
}
