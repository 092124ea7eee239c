//! Packages of Ruby, beside what the collection's module returned for the same tasks one after the other
//! (`recorded/gem.json`), with the real RubyGems on gems of our own.

use crate::host::Host;
use crate::recorded::{in_order, prepare};
use crate::system::{in_a_copy, lacks};

#[test]
fn gems_are_as_recorded() {
    let test = "gems_are_as_recorded";
    if lacks(test, "gem") || !in_a_copy(&format!("gem::{test}")) {
        return;
    }
    let mut host = Host::new();
    prepare(&host, include_str!("recorded/gem.sh"));
    in_order(&mut host, include_str!("recorded/gem.json"));
    host.bye();
}
