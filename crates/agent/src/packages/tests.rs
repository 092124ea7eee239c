use std::cmp::Ordering::{Equal, Greater, Less};

use super::apt_get::changes_nothing;
use super::dpkg::Dpkg;
use super::version::compare;

#[test]
fn versions_are_ordered_as_dpkg_orders_them() {
    let table = [
        ("1.0", "1.0", Equal),
        ("1.0", "1.1", Less),
        ("1.9", "1.10", Less),
        ("1:1.0", "2.0", Greater),
        ("1.0~rc1", "1.0", Less),
        ("1.0~~", "1.0~", Less),
        ("1.0-1", "1.0-1+b1", Less),
        ("1.0-1", "1.0-1~bpo12+1", Greater),
        ("1.0a", "1.0+", Less),
        ("2.10-3", "2.9-30", Greater),
        ("0:1.00", "1.0", Equal),
        ("1.0", "1.0-0", Equal),
        ("7.88.1-10+deb12u15", "7.88.1-10+deb12u8", Greater),
    ];
    for (a, b, order) in table {
        assert_eq!(compare(a, b), order, "{a} {b}");
        assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
    }
}

#[test]
fn the_database_knows_states_and_architectures() {
    let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n\
        Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2.35\nDescription: x\n more: y\n\n\
        Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 3\n\n";
    let found = Dpkg::parse(text);
    let version = |name: &str| found.installed(name).map(|p| p.version.as_str());
    assert_eq!(version("libc6"), Some("2.36"));
    assert_eq!(version("libc6:i386"), Some("2.35"));
    assert_eq!(version("libc6:arm64"), None);
    assert_eq!(version("gone"), None);
    assert!(found.package("gone").is_some_and(|p| p.has_remains()));
    assert_eq!(found.package("libc6:i386").map(|p| p.selection.as_str()), Some("hold"));
    assert_eq!(found.all().count(), 4);
}

#[test]
fn the_summary_of_apt_get_is_understood() {
    assert!(changes_nothing("a\n0 upgraded, 0 newly installed, 0 to remove and 129 not upgraded.\n"));
    assert!(!changes_nothing("a\n10 upgraded, 0 newly installed, 0 to remove and 129 not upgraded.\n"));
    assert!(!changes_nothing("a\n0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\n"));
}
