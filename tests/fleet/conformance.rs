//! What every driver promises, asked of each of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleet::drivers::lab::{LabDriver, Roots};
use fleet::drivers::{Driver, Found};
use fleet::engine::{Fault, Generation, MemberId, Outcome};
use fleet::http;

use super::{APP, python};
use crate::common::{Project, lab_is_possible};

/// Looks until it is so.
fn until(driver: &dyn Driver, what: &str, right: impl Fn(&BTreeMap<MemberId, Found>) -> bool) {
    let begun = Instant::now();
    loop {
        let found = driver.observe().unwrap();
        if right(&found) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn failed(outcome: &Outcome, expected: Fault) -> bool {
    matches!(outcome, Outcome::Failed { fault, why } if *fault == expected && !why.is_empty())
}

/// For drivers whose members are made and removed. `good` and `crash` can be launched, `missing` cannot.
pub(super) fn of_replacing(driver: &dyn Driver, name: &str) {
    let generation = |text: &str| Generation::from(text);
    let member = |number: u32| MemberId::from(format!("{name}-{number}"));
    assert!(driver.observe().unwrap().is_empty());
    // What can be had, and what cannot.
    assert_eq!(driver.prepare(&generation("good")), Outcome::Done);
    assert!(failed(&driver.prepare(&generation("missing")), Fault::Image));
    // A launch is seen, with its labels, and its service answers.
    assert_eq!(driver.launch(&member(1), &generation("good"), Some("a")), Outcome::Done);
    until(driver, "launched", |all| {
        all.get(&member(1)).is_some_and(|found| {
            found.generation == Some(generation("good"))
                && found.zone.as_deref() == Some("a")
                && found.stopped.is_none()
        })
    });
    until(driver, "answers", |all| {
        let address = all.get(&member(1)).and_then(|found| found.address);
        address.is_some_and(|address| {
            http::get(address, "/", Duration::from_secs(2)).is_ok_and(|answer| answer.body == "good")
        })
    });
    // The same name again makes no second member, and harms the first one not.
    let before = driver.observe().unwrap();
    assert_eq!(driver.launch(&member(1), &generation("good"), Some("a")), Outcome::Done);
    assert_eq!(driver.observe().unwrap(), before);
    // What cannot be had is the image's fault, and leaves nothing.
    assert!(failed(&driver.launch(&member(2), &generation("missing"), None), Fault::Image));
    assert_eq!(driver.observe().unwrap().len(), 1);
    // One that ends by itself is seen to have ended.
    assert_eq!(driver.launch(&member(3), &generation("crash"), None), Outcome::Done);
    until(driver, "crashed", |all| all.get(&member(3)).is_some_and(|found| found.stopped.is_some()));
    // Nothing is changed in place here.
    assert!(failed(&driver.apply(&member(1), &generation("good")), Fault::Start));
    // Removing is done once, however often it is said; also of what never was.
    for _ in 0..2 {
        for number in [1, 3, 9] {
            assert_eq!(driver.retire(&member(number)), Outcome::Done);
        }
    }
    until(driver, "removed", BTreeMap::is_empty);
}

#[test]
fn the_lab_keeps_what_drivers_promise() {
    let test = "the_lab_keeps_what_drivers_promise";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let project = Project::new(&[("app.py", APP)]);
    // The machine's own root under two names; a third one is missing.
    for name in ["good", "crash"] {
        std::os::unix::fs::symlink("/", project.root.join(name)).unwrap();
    }
    let name = format!("conform{}", std::process::id());
    let driver = LabDriver {
        fleet: name.clone(),
        roots: Roots::Folders(project.root.join("{generation}").display().to_string()),
        start: format!("exec /usr/bin/python3 {}", project.root.join("app.py").display()),
        port: 8000,
        in_place: None,
    };
    of_replacing(&driver, &name);
}
