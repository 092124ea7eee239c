//! Lines of known_hosts and what they mean.

use super::*;

const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

fn check(lines: &str, name: &str, port: u16, key: &str) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known");
    fs::write(&file, lines).unwrap();
    let verdict = KnownHost::read(name, Some(port), [&file]).check(&PublicKey::from_openssh(key).unwrap());
    match verdict {
        Verdict::Changed(place) => Verdict::Changed(Place { file: "known".into(), ..place }),
        Verdict::Revoked(place) => Verdict::Revoked(Place { file: "known".into(), ..place }),
        other => other,
    }
}

fn place(line: usize) -> Place {
    Place { file: "known".into(), line }
}

#[test]
fn plain_names_patterns_and_ports() {
    assert_eq!(check(&format!("web1 {ONE}\n"), "web1", 22, ONE), Verdict::Known);
    assert_eq!(check(&format!("# x\n\nweb1 {TWO}\n"), "web1", 22, ONE), Verdict::Changed(place(3)));
    assert_eq!(check(&format!("db1 {ONE}\n"), "web1", 22, ONE), Verdict::Unknown);
    assert_eq!(
        check(&format!("*.example.org,!bad.example.org {ONE}"), "a.example.org", 22, ONE),
        Verdict::Known
    );
    assert_eq!(
        check(&format!("*.example.org,!bad.example.org {ONE}"), "bad.example.org", 22, ONE),
        Verdict::Unknown
    );
    assert_eq!(check(&format!("[web1]:2222 {ONE}"), "web1", 2222, ONE), Verdict::Known);
    assert_eq!(check(&format!("[web1]:2222 {ONE}"), "web1", 22, ONE), Verdict::Unknown);
    // Without the port the same key is good, another one says nothing.
    assert_eq!(check(&format!("web1 {ONE}"), "web1", 2222, ONE), Verdict::Known);
    assert_eq!(check(&format!("web1 {TWO}"), "web1", 2222, ONE), Verdict::Unknown);
}

#[test]
fn revoked_wins() {
    let lines = format!("web1 {ONE}\n@revoked * {ONE}\n");
    assert_eq!(check(&lines, "web1", 22, ONE), Verdict::Revoked(place(2)));
}

#[test]
fn what_is_learnt_is_known_hashed_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deep/known");
    let (one, two) = (PublicKey::from_openssh(ONE).unwrap(), PublicKey::from_openssh(TWO).unwrap());
    learn(&file, "[web1]:2222", &one, true).unwrap();
    learn(&file, "web2", &two, false).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|") && !text.contains("web1"), "{text}");
    assert_eq!(KnownHost::read("web1", Some(2222), [&file]).check(&one), Verdict::Known);
    assert!(matches!(KnownHost::read("web1", Some(2222), [&file]).check(&two), Verdict::Changed(_)));
    assert_eq!(KnownHost::read("web2", Some(22), [&file]).check(&two), Verdict::Known);
}
