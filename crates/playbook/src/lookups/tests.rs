//! Lookups and loops, with the results that ansible-core 2.19 gives.

use super::glob;
use expressions::Twister;

#[test]
fn patterns() {
    for (pattern, name, expected) in [
        ("*", "a.conf", true),
        ("*", ".hidden", false),
        (".*", ".hidden", true),
        ("*.conf", "a.conf", true),
        ("*.conf", "a.conf.bak", false),
        ("a?c", "abc", true),
        ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false),
        ("*a*b", "xaxxab", true),
        ("[", "[", true),
    ] {
        assert_eq!(glob::matches(pattern, name), expected, "{pattern} {name}");
    }
}

/// `random.Random('seed').choice(range(10))`, twelve times, by Python.
#[test]
fn seeded_numbers_are_those_of_python() {
    let mut random = Twister::from_text("seed");
    let numbers: Vec<usize> = (0..12).map(|_| random.below_len(10)).collect();
    assert_eq!(numbers, PYTHON);
}

const PYTHON: [usize; 12] = [2, 0, 3, 5, 4, 7, 0, 9, 5, 8, 8, 6];
