//! The project that the tour plays with: `examples/ship`, carried in the program.

use std::io;
use std::path::Path;

macro_rules! ship {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../examples/ship/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = ship![
    "ansible.cfg",
    "careless.yml",
    "inventory.ini",
    "site.yml",
    "theseus.yml",
    "group_vars/web.yml",
    "roles/base/tasks/main.yml",
    "roles/ship/defaults/main.yml",
    "roles/ship/files/ship.pl",
    "roles/ship/handlers/main.yml",
    "roles/ship/meta/main.yml",
    "roles/ship/tasks/main.yml",
    "roles/ship/templates/ship.conf.j2",
    "roles/ship/templates/ship.init.j2",
    "roles/ship/templates/ship.service.j2",
];

pub(super) fn write(folder: &Path) -> io::Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of the example is carried, under its own name.
    #[test]
    fn the_whole_example_is_carried() {
        fn walk(folder: &Path, found: &mut Vec<String>, root: &Path) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found, root);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ship");
        let mut found = Vec::new();
        walk(&root, &mut found, &root);
        let mut carried: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        found.sort();
        carried.sort_unstable();
        assert_eq!(found, carried);
    }
}
