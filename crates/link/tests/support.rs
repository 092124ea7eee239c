//! What the tests share.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use link::{Call, Connection, Image, Link, LinkError, RunInfo, Silent, Target};
use serde_json::Value;

/// The example `fake-agent`, which cargo builds beside the tests.
pub(crate) static FAKE: LazyLock<Image> = LazyLock::new(|| {
    let own = std::env::current_exe().expect("a test has a path");
    let profile: PathBuf = own.ancestors().nth(2).expect("target/<profile>/deps/suite").into();
    let binary = std::fs::read(profile.join("examples/fake-agent")).expect("cargo builds examples for tests");
    Image::from_binary(&binary).expect("memory can be written")
});

pub(crate) fn target(connection: Connection) -> Target {
    Target { timeout: std::time::Duration::from_secs(60), ..Target::new("host", connection) }
}

pub(crate) async fn connect(target: &Target) -> Result<Link, LinkError> {
    Link::connect_with(target, RunInfo::default(), Arc::new(Silent), FAKE.clone()).await
}

pub(crate) fn call(module: &str, args: Value) -> Call {
    let args = args.as_object().cloned().unwrap_or_default();
    Call { module: module.into(), args, ..Call::default() }
}

/// Whether a program is missing; the test is then skipped by name.
pub(crate) fn missing(test: &str, programs: &[&str]) -> bool {
    let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found =
        |program: &str| places.split(':').any(|place| std::path::Path::new(place).join(program).exists());
    match programs.iter().find(|program| !found(program)) {
        Some(program) => {
            println!("SKIPPED {test}: {program} is not installed");
            true
        }
        None => false,
    }
}
