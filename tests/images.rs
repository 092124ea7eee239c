//! `bake` and `image`, on a root file system that holds nothing but directories: what is not in it, the bake needs not.

use std::os::unix::fs::PermissionsExt;

use crate::common::{Ended, Project, lab_is_possible};

const DEFINITION: &str = "images:\n  small:\n    playbook: site.yml\n    base: base\n    groups: [web]\n    network: none\n    vars: {port: 80}\n";
const PLAYBOOK: &str = "- hosts: web\n  gather_facts: false\n  tasks:\n    - name: First\n      copy: {dest: /etc/first, content: 'one', mode: '0644'}\n    - name: Second\n      template: {src: second.j2, dest: /etc/second, mode: '0600'}\n    - name: Third\n      file: {path: /srv/third, state: directory, mode: '0750'}\n";

fn project() -> Project {
    let project = Project::new(&[
        ("theseus.yml", DEFINITION),
        ("site.yml", PLAYBOOK),
        ("second.j2", "port {{ port }} of {{ inventory_hostname }}\n"),
        ("base/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("base/etc/group", "root:x:0:\n"),
        ("base/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("base/root/.bash_history", "passwd\n"),
        ("base/usr/share/doc/x", "x\n"),
    ]);
    std::fs::set_permissions(project.root.join("base"), std::fs::Permissions::from_mode(0o755)).unwrap();
    project
}

/// The last object of that kind on standard output.
fn object(ended: &Ended, event: &str) -> serde_json::Value {
    let mut lines =
        ended.out.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find(|line| line["event"] == event).unwrap_or_else(|| panic!("{}", ended.shown()))
}

fn bake(project: &Project, more: &[&str]) -> serde_json::Value {
    let mut words = vec!["bake", "small", "--output", "json"];
    words.extend(more);
    let ended = project.run(&words);
    assert_eq!(ended.code, 0, "{}", ended.shown());
    object(&ended, "image")
}

#[test]
fn what_was_done_is_not_done_again_and_the_same_is_the_same_to_the_byte() {
    if !lab_is_possible("what_was_done_is_not_done_again_and_the_same_is_the_same_to_the_byte") {
        return;
    }
    let project = project();
    let first = bake(&project, &[]);
    assert_eq!((&first["cached"], &first["run"]), (&0.into(), &3.into()), "{first}");
    let again = bake(&project, &[]);
    assert_eq!((&again["cached"], &again["run"]), (&3.into(), &0.into()), "{again}");
    let scratch = bake(&project, &["--from-scratch"]);
    assert_eq!(scratch["run"], 3, "{scratch}");
    assert_eq!((&first["digest"], &again["digest"]), (&again["digest"], &scratch["digest"]));

    project.write("site.yml", &PLAYBOOK.replace("Third", "Last"));
    let renamed = bake(&project, &[]);
    assert_eq!((&renamed["cached"], &renamed["generation"]), (&3.into(), &first["generation"]), "{renamed}");
    assert_ne!(renamed["digest"], first["digest"], "the image tells of its steps");
    assert_eq!(renamed["digest"], bake(&project, &["--from-scratch"])["digest"]);
    project.write("site.yml", PLAYBOOK);

    project.write("second.j2", "the port is {{ port }}\n");
    let changed = bake(&project, &[]);
    assert_eq!((&changed["cached"], &changed["run"]), (&1.into(), &2.into()), "{changed}");
    assert_ne!(changed["digest"], first["digest"]);
    let before = format!("small@{}", first["digest"].as_str().unwrap());
    let diff = project.run(&["image", "diff", &before, "small", "--exit-code"]);
    assert_eq!(diff.code, 2, "{}", diff.shown());
    assert!(diff.out.contains("/etc/second") && !diff.out.contains("/etc/first"), "{}", diff.shown());

    let out = project.run(&["image", "export", "small", "--format", "rootfs", "--to", "root.tar"]);
    assert_eq!(out.code, 0, "{}", out.shown());
    let tar =
        std::process::Command::new("tar").args(["-tvf"]).arg(project.root.join("root.tar")).output().unwrap();
    let listed = String::from_utf8(tar.stdout).unwrap();
    assert!(listed.contains(" etc/second") && listed.contains(" usr/share/theseus/image.json"), "{listed}");
    assert!(!listed.contains("bash_history") && !listed.contains("policy-rc.d"), "{listed}");
    let id = listed.lines().find(|line| line.ends_with("etc/machine-id")).unwrap();
    assert!(id.contains(" 0 "), "it is empty: {id}");
}

#[test]
fn a_failed_bake_goes_on_where_it_failed_and_secrets_stay_out() {
    if !lab_is_possible("a_failed_bake_goes_on_where_it_failed_and_secrets_stay_out") {
        return;
    }
    let project = project();
    project.write(
        "site.yml",
        &format!("{PLAYBOOK}    - name: Last\n      copy: {{src: last, dest: /etc/last}}\n"),
    );
    let failed = project.run(&["bake", "small"]);
    assert_eq!(failed.code, 2, "{}", failed.shown());
    project.write("last", "token = ghp_abcdefghijklmnopqrstuvwxyz0123456789\n");
    let refused = project.run(&["bake", "small"]);
    assert_eq!(refused.code, 1, "{}", refused.shown());
    assert!(refused.err.contains("/etc/last:1: a GitHub token"), "{}", refused.shown());
    assert!(!refused.err.contains("ghp_"), "{}", refused.shown());
    project.write("last", "nothing\n");
    let baked = bake(&project, &[]);
    assert_eq!((&baked["cached"], &baked["run"]), (&3.into(), &1.into()), "{baked}");

    let untested = project.run(&["image", "promote", "small", "production"]);
    assert_eq!(untested.code, 1, "{}", untested.shown());
    project.run(&["image", "promote", "small", "production", "--untested"]).fine();
    let held = project.run(&["image", "rm", "small@production"]);
    assert_eq!(held.code, 1, "{}", held.shown());
    let nothing = project.run(&["image", "show", "smal"]);
    assert!(nothing.err.contains("there are: small"), "{}", nothing.shown());
}

/// As a loss of power may leave them.
#[test]
fn contents_that_became_shorter_are_made_again() {
    if !lab_is_possible("contents_that_became_shorter_are_made_again") {
        return;
    }
    let project = project();
    let first = bake(&project, &[]);
    let mut blobs = 0;
    for blob in std::fs::read_dir(project.root.join("state/images/blobs/sha256")).unwrap() {
        std::fs::OpenOptions::new().write(true).open(blob.unwrap().path()).unwrap().set_len(0).unwrap();
        blobs += 1;
    }
    assert_eq!(blobs, 5, "base, play and what it is; configuration and manifest");
    let index = std::fs::read_dir(project.root.join("state/images/bases")).unwrap().next().unwrap().unwrap();
    std::fs::write(index.path().join("index"), "damaged").unwrap();
    let again = bake(&project, &[]);
    assert_eq!((&again["digest"], &again["cached"]), (&first["digest"], &3.into()), "{again}");
    assert_eq!(again["packed"], 3, "{again}");
    project.run(&["image", "export", "small", "-f", "rootfs", "-t", "root.tar"]).fine();
    assert!(by(&project, "tar", &["-xOf", "root.tar", "etc/second"]).contains("port 80 of small"));
}

#[test]
fn a_bake_without_a_network_reaches_nothing() {
    if !lab_is_possible("a_bake_without_a_network_reaches_nothing") {
        return;
    }
    let project = project();
    let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = here.local_addr().unwrap().port();
    let step = format!(
        "    - name: Reach\n      wait_for: {{host: 127.0.0.1, port: {port}, timeout: 2, sleep: 1}}\n"
    );
    project.write("site.yml", &format!("{PLAYBOOK}{step}"));
    let none = project.run(&["bake", "small"]);
    assert!(none.code == 2 && none.out.contains("Reach"), "{}", none.shown());
    project.write("theseus.yml", &DEFINITION.replace("network: none", "network: host"));
    assert_eq!(bake(&project, &[])["run"], 4);
    project.write("theseus.yml", &DEFINITION.replace("network: none", "network: some"));
    let wrong = project.run(&["bake", "small"]);
    assert!(wrong.code == 1 && wrong.err.contains("network is `host`"), "{}", wrong.shown());
    assert!(wrong.err.contains("theseus.yml:6:14"), "{}", wrong.shown());
}

#[test]
fn mistakes_in_the_definition_have_places() {
    let project = Project::new(&[("theseus.yml", "images:\n  web:\n    playbok: site.yml\n")]);
    let wrong = project.run(&["bake", "web"]);
    assert_eq!(wrong.code, 1, "{}", wrong.shown());
    assert!(
        wrong.err.contains("theseus.yml:3:5") && wrong.err.contains("did you mean `playbook`"),
        "{}",
        wrong.shown()
    );
}

/// The least that is a 64-bit EFI program: headers without a section.
fn stub() -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    let mut put = |at: usize, text: &[u8]| bytes[at..at + text.len()].copy_from_slice(text);
    put(0, b"MZ");
    put(0x3c, &[0x40]);
    put(0x40, b"PE\0\0\x64\x86");
    put(0x54, &[0xf0]);
    put(0x58, b"\x0b\x02");
    put(0x78, &0x1000_u32.to_le_bytes());
    put(0x7c, &0x200_u32.to_le_bytes());
    put(0x90, &0x1000_u32.to_le_bytes());
    put(0x94, &0x400_u32.to_le_bytes());
    bytes
}

fn there(name: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| std::path::Path::new(dir).join(name).exists())
}

/// What a program of the machine says, in the project; it must end well.
fn by(project: &Project, program: &str, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(program);
    let output = command.args(arguments).current_dir(&project.root).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// Start and length of a partition of a disk, in MiB.
fn partition(project: &Project, disk: &str, number: &str) -> (u64, u64) {
    let told = by(project, "sgdisk", &["-i", number, disk]);
    let of = |what: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 2048
    };
    (of("First sector: "), of("Partition size: "))
}

#[test]
fn a_disk_is_the_same_each_time_and_others_find_nothing_wrong_with_it() {
    const NAME: &str = "a_disk_is_the_same_each_time_and_others_find_nothing_wrong_with_it";
    if !lab_is_possible(NAME) {
        return;
    }
    if let Some(missing) =
        ["sgdisk", "fsck.vfat", "e2fsck", "mke2fs", "debugfs"].iter().find(|name| !there(name))
    {
        println!("SKIPPED {NAME}: needs {missing} (gdisk dosfstools e2fsprogs)");
        return;
    }
    let project = project();
    let without = {
        bake(&project, &[]);
        project.run(&["image", "export", "small", "-f", "raw", "-t", "none.raw"])
    };
    assert!(without.code == 1 && without.err.contains("no kernel in /boot"), "{}", without.shown());
    project.write("base/boot/vmlinuz-6.9", "old");
    project.write("base/boot/vmlinuz-6.10", "kernel");
    project.write("base/boot/initrd.img-6.10", "initrd");
    let place = project.root.join("base/usr/lib/systemd/boot/efi");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("linuxx64.efi.stub"), stub()).unwrap();
    bake(&project, &[]);
    for name in ["a.raw", "b.raw"] {
        project.run(&["image", "export", "small", "-f", "raw", "-t", name, "--disk-size", "300M"]).fine();
    }
    by(&project, "cmp", &["a.raw", "b.raw"]);
    let said = by(&project, "sgdisk", &["-v", "a.raw"]);
    assert!(said.contains("No problems found"), "{said}");
    for (number, name) in [("1", "esp"), ("2", "root")] {
        let (start, size) = partition(&project, "a.raw", number);
        let (from, to) = (format!("skip={start}"), format!("of={name}"));
        by(&project, "dd", &["if=a.raw", &to, "bs=1M", &from, &format!("count={size}"), "conv=sparse"]);
    }
    by(&project, "fsck.vfat", &["-n", "esp"]);
    by(&project, "e2fsck", &["-fn", "root"]);
    let shown = by(&project, "debugfs", &["-R", "cat /etc/second", "root"]);
    assert!(shown.contains("port 80 of small"), "{shown}");
    let esp = std::fs::read(project.root.join("esp")).unwrap();
    let has = |text: &[u8]| esp.windows(text.len()).any(|window| window == text);
    assert!(has(b"root=PARTUUID=") && has(b"kernel") && has(b"initrd") && !has(b"old"));

    project.run(&["image", "export", "small", "-f", "qcow2", "-t", "a.qcow2", "--disk-size", "300M"]).fine();
    if there("qemu-img") {
        by(&project, "qemu-img", &["check", "a.qcow2"]);
        by(&project, "qemu-img", &["compare", "a.raw", "a.qcow2"]);
    } else {
        println!("SKIPPED {NAME}, its last part: needs qemu-img (qemu-utils)");
    }
    let small = project.run(&["image", "export", "small", "-f", "raw", "-t", "c.raw", "--disk-size", "90M"]);
    assert!(small.code == 1 && small.err.contains("it needs"), "{}", small.shown());
}

#[test]
fn each_planted_secret_is_found() {
    if !lab_is_possible("each_planted_secret_is_found") {
        return;
    }
    for (text, what) in [
        ("x\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n", "/etc/last:2: a private key"),
        ("# ours\n\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\n", "/etc/last:3: an AWS access key"),
        ("user = app\npassword = hunter22\n", "/etc/last:2: a value for `password`"),
    ] {
        let project = project();
        project.write("last", text);
        project.write("site.yml", &format!("{PLAYBOOK}    - copy: {{src: last, dest: /etc/last}}\n"));
        let refused = project.run(&["bake", "small"]);
        assert!(refused.code == 1 && refused.err.contains(what), "{what}: {}", refused.shown());
        let none = project.run(&["image", "list"]).fine();
        assert!(none.contains("no images"), "{none}");
    }
}

#[test]
fn pointers_do_not_move_while_something_is_baked() {
    if !lab_is_possible("pointers_do_not_move_while_something_is_baked") {
        return;
    }
    let project = project();
    bake(&project, &[]);
    let lock = std::fs::File::open(project.root.join("state/images/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = project.command("theseus", &["image", "promote", "small", "staging", "--untested"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "waiting for a bake to end\n");
    assert!(child.try_wait().unwrap().is_none());
    assert!(!project.run(&["image", "list"]).fine().contains("staging"));
    drop(lock);
    assert!(child.wait().unwrap().success());
    assert!(project.run(&["image", "list"]).fine().contains("staging"));
}

#[test]
fn a_signature_holds_for_its_image_and_key_alone() {
    const NAME: &str = "a_signature_holds_for_its_image_and_key_alone";
    if !lab_is_possible(NAME) {
        return;
    }
    if !there("openssl") {
        println!("SKIPPED {NAME}: needs openssl");
        return;
    }
    let project = project();
    for key in ["mine", "other"] {
        by(&project, "openssl", &["genpkey", "-algorithm", "ed25519", "-out", &format!("{key}.pem")]);
        let (private, public) = (format!("{key}.pem"), format!("{key}.pub"));
        by(&project, "openssl", &["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    bake(&project, &[]);
    project.run(&["image", "sign", "small", "--key", "mine.pem"]).fine();
    project.run(&["image", "verify", "small", "--key", "mine.pub"]).fine();
    let other = project.run(&["image", "verify", "small", "--key", "other.pub"]);
    assert!(other.code == 1 && other.err.contains("no signature by the key"), "{}", other.shown());
    project.run(&["image", "export", "small", "-f", "provenance", "-t", "statement.json"]).fine();
    let envelope: serde_json::Value = serde_json::from_str(&project.read("statement.json")).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");

    // What is signed is what others check, too.
    let folder = project.root.join("state/images/signatures");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    project.write("payload", kept[0]["payload"].as_str().unwrap());
    project.write("signature.64", kept[0]["signature"].as_str().unwrap());
    by(&project, "openssl", &["base64", "-d", "-A", "-in", "signature.64", "-out", "signature"]);
    by(
        &project,
        "openssl",
        &[
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "mine.pub",
            "-rawin",
            "-in",
            "payload",
            "-sigfile",
            "signature",
        ],
    );
    std::fs::write(&file, text.replace("steps", "stebs")).unwrap();
    let forged = project.run(&["image", "verify", "small", "--key", "mine.pub"]);
    assert!(forged.code == 1 && forged.err.contains("is wrong"), "{}", forged.shown());
}

/// A registry on the loopback that ends with the test.
struct Registry(std::process::Child);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_registry_gets_what_it_lacks_and_gives_it_back() {
    const NAME: &str = "a_registry_gets_what_it_lacks_and_gives_it_back";
    if !lab_is_possible(NAME) {
        return;
    }
    if !there("docker-registry") {
        println!("SKIPPED {NAME}: needs docker-registry");
        return;
    }
    let project = project();
    bake(&project, &[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let kept = project.root.join("registry");
    project.write(
        "registry.yml",
        &format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n", kept.display()),
    );
    let log = std::fs::File::create(project.root.join("registry.log")).unwrap();
    let mut command = std::process::Command::new("docker-registry");
    command.arg("serve").arg(project.root.join("registry.yml")).stdout(log.try_clone().unwrap()).stderr(log);
    let _registry = Registry(command.spawn().unwrap());
    let began = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed().as_secs() < 20, "{}", project.read("registry.log"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let name = format!("127.0.0.1:{port}/shop/small:1");
    let push = || {
        let ended = project.run(&["image", "push", "small", &name, "--output", "json"]);
        assert_eq!(ended.code, 0, "{}", ended.shown());
        object(&ended, "pushed")
    };
    let first = push();
    assert_eq!((&first["known"], push()["sent"].as_u64()), (&0.into(), Some(0)), "{first}");
    project.write("second.j2", "another port {{ port }}\n");
    let changed = bake(&project, &[]);
    let small = push();
    assert_eq!(small["sent"], 3, "the changed layer, what it is, the configuration: {small}");

    let pulled = project.run(&["image", "pull", &name, "--name", "copy", "--output", "json"]);
    assert_eq!(object(&pulled, "pulled")["digest"], changed["digest"], "{}", pulled.shown());
    let steps = project.run(&["image", "show", "copy"]).fine();
    assert!(steps.contains("Second"), "{steps}");
    project.write("theseus.yml", &DEFINITION.replace("base: base", &format!("base: docker://{name}")));
    std::fs::rename(project.root.join("state"), project.root.join("before")).unwrap();
    let again = bake(&project, &[]);
    assert_eq!(again["run"], 3, "{again}");
    let missing = project.run(&["image", "pull", &format!("127.0.0.1:{port}/shop/none:1")]);
    assert!(missing.code == 1 && missing.err.contains("404"), "{}", missing.shown());
}
