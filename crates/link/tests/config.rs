//! Our reading of ssh_config against OpenSSH's own (`ssh -G`).

use std::path::Path;
use std::process::Command;

use link::ssh::config::{Options, Settings};

use crate::support::missing;

struct Case {
    name: &'static str,
    config: &'static str,
    host: &'static str,
    given: &'static [(&'static str, &'static str)],
}

const fn case(name: &'static str, host: &'static str, config: &'static str) -> Case {
    Case { name, config, host, given: &[] }
}

const CASES: &[Case] = &[
    case("first value wins", "web1", "Host web1\n User one\nHost *\n User two\n Port 2200\n"),
    case("equals, tabs, quotes, case", "web1", "hOsT=web1\n\tUSER = \"a b\"\n PORT\t2222\n"),
    case("negation", "web1", "Host * !web1\n User no\nHost web? !db*\n User yes\n"),
    case(
        "match host uses hostname",
        "short",
        "Host short\n HostName real.example.org\nMatch host real.*\n User m\n",
    ),
    case(
        "match originalhost",
        "short",
        "Host short\n HostName real.example.org\nMatch originalhost short,x\n User m\n",
    ),
    case("match user", "h", "User deploy\nMatch user deploy\n Port 2201\nMatch user other\n Port 2202\n"),
    case("match negated", "h", "Match !host h\n User no\nMatch all\n User yes\n"),
    case(
        "match localuser",
        "h",
        "Match localuser root,nobody\n Port 2205\nMatch localuser nobody\n Port 1\n",
    ),
    case("match final", "h", "Match final\n Port 2209\nHost h\n HostName real\n User a\n"),
    case("match final host", "h", "Match final host real\n User fin\nHost h\n HostName real\n"),
    case("tokens", "h", "HostName %h.example.org\nPort 2222\nUser u\n"),
    case(
        "identities add up",
        "h",
        "IdentityFile /k/one\nIdentityFile /k/two\nHost h\n IdentityFile /k/three\n IdentityFile /k/one\n",
    ),
    case("certificates", "h", "CertificateFile /k/c1\nCertificateFile /k/c2\nIdentitiesOnly yes\n"),
    case("known hosts lists", "h", "UserKnownHostsFile /a /b\nGlobalKnownHostsFile /c\nHashKnownHosts yes\n"),
    case("strictness", "h", "StrictHostKeyChecking accept-new\nHostKeyAlias Alias\nConnectTimeout 7\n"),
    case("jump", "h", "Host h\n ProxyJump a@b:22,c\nProxyCommand none\n"),
    case(
        "family and bind",
        "h",
        "AddressFamily inet\nBindAddress 127.0.0.1\nCompression yes\nBatchMode yes\n",
    ),
    case("comments", "h", "# c\nUser x # trailing\n   # indented\nPort 2222\n"),
    case(
        "methods",
        "h",
        "PreferredAuthentications publickey,password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
    ),
    case("environment", "h", "SendEnv A B\nSendEnv C_*\nSetEnv X=1 Y=2\n"),
    Case {
        name: "given first",
        host: "h",
        config: "User file\nPort 1\n",
        given: &[("user", "given"), ("port", "2203")],
    },
];

const SINGLE: [&str; 15] = [
    "user",
    "port",
    "hostkeyalias",
    "connecttimeout",
    "proxyjump",
    "addressfamily",
    "bindaddress",
    "compression",
    "batchmode",
    "identitiesonly",
    "stricthostkeychecking",
    "hashknownhosts",
    "preferredauthentications",
    "passwordauthentication",
    "kbdinteractiveauthentication",
];
const LISTS: [&str; 6] =
    ["identityfile", "certificatefile", "userknownhostsfile", "globalknownhostsfile", "sendenv", "setenv"];

/// What `ssh -G` prints: keyword and rest of the line.
fn openssh(case: &Case, file: &Path) -> Vec<(String, String)> {
    let mut command = Command::new("ssh");
    command.arg("-G").arg("-F").arg(file);
    for (keyword, value) in case.given {
        command.arg(format!("-o{keyword}={value}"));
    }
    let output = command.arg(case.host).output().unwrap();
    assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_once(' ')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn same(keyword: &str, ours: &str, theirs: &str) -> bool {
    let normal = |text: &str| match text {
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        other if keyword == "hostkeyalias" => other.to_lowercase(),
        other => other.to_owned(),
    };
    normal(ours) == normal(theirs)
}

#[test]
fn settings_are_those_of_openssh() {
    if missing("settings_are_those_of_openssh", &["ssh"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for case in CASES {
        let file = directory.path().join("config");
        std::fs::write(&file, case.config).unwrap();
        let theirs = openssh(case, &file);
        let ours = read(case, &file);
        assert!(ours.beyond.is_empty(), "{}: {:?}", case.name, ours.beyond);
        for keyword in SINGLE {
            let Some(value) = ours.get(keyword) else { continue };
            let (_, their) = theirs.iter().find(|(k, _)| k == keyword).expect("ssh -G prints it");
            let value = if keyword == "user" { ours.all(keyword).join(" ") } else { value.to_owned() };
            assert!(same(keyword, &value, their), "{}: {keyword}: {value} / {their}", case.name);
            compared += 1;
        }
        for keyword in LISTS {
            if ours.all(keyword).is_empty() {
                continue;
            }
            let lines: Vec<&str> =
                theirs.iter().filter(|(k, _)| k == keyword).map(|(_, v)| v.as_str()).collect();
            assert_eq!(ours.all(keyword).join(" "), lines.join(" "), "{}: {keyword}", case.name);
            compared += 1;
        }
    }
    assert!(compared >= 39, "only {compared} values were compared");
}

fn read(case: &Case, file: &Path) -> Settings {
    let given = case.given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let local_user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let options = Options {
        home: "/nowhere".into(),
        config: Some(file.to_owned()),
        local_user: local_user.trim().to_owned(),
        given,
    };
    Settings::read(case.host, &options)
}

#[test]
fn includes_are_read_in_place_and_only_where_they_count() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.conf"), "Host other\n User wrong\n").unwrap();
    std::fs::write(path("b.conf"), "User included\n").unwrap();
    let dir = directory.path().display();
    std::fs::write(
        path("config"),
        format!("Host no\n Include {dir}/c*\nHost h\n Include {dir}/*.conf\n Port 2207\nUser late\n"),
    )
    .unwrap();
    let case = Case { name: "include", config: "", host: "h", given: &[] };
    let settings = read(&case, &path("config"));
    assert_eq!((settings.get("user"), settings.get("port")), (Some("included"), Some("2207")));
    assert!(settings.beyond.is_empty(), "{:?}", settings.beyond);
}
