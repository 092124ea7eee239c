//! Tasks that are done as other users than root: what they change, by modules and by programs, is in the host's one
//! layer like everything else.

use lab::LabHost;

use crate::common::lab_is_possible;
use crate::layers::Ground;

const SITE: &str = "- hosts: all
  gather_facts: false
  become: true
  become_user: app
  become_method: su
  tasks:
    - name: folder
      file: {path: /home/app/made, state: directory, mode: '0750'}
    - name: native
      copy: {dest: /home/app/made/native, content: \"one\\n\"}
    - name: by hand
      shell: |
        echo two >>made/native; mv old older; rm gone; ln kept other; echo more >>kept; chmod 600 kept
        mkdir -p deep/er; echo x >deep/er/x; ln -s kept way; truncate -s 0 cut
      args: {chdir: /home/app}
    - name: again by root
      shell: echo three >>/home/app/made/native; chown root /home/app/older; echo root >/etc/by-root
      become_user: root
      become_method: sudo
    - name: over it
      lineinfile: {path: /home/app/made/native, line: four}
    - name: daemon
      shell: |
        nohup sh -c 'sleep 1; echo late >/var/tmp/late; sleep 20' >/dev/null 2>&1 &
    - name: waits for it
      wait_for: {path: /var/tmp/late, timeout: 15}
      become_user: root
      become_method: sudo
    - name: refused
      command: touch /etc/not-mine
      ignore_errors: true
";

/// The agent's own copy is no part of the host: its folder is there before.
const SETTING: &str =
    "useradd -m -s /bin/sh app; cd /home/app; for f in old gone kept cut; do echo $f >$f; done
mkdir -p .local/state/theseus/bin; chown -R app:app /home/app; touch -d 2001-02-03 /home/app/kept /home/app";

/// Everything in the home folder but that.
fn look(host: &LabHost) -> Vec<String> {
    let look = "cd /home/app; find . -path ./.local -prune -o -printf '%p %y %m %U %G %n %l %T@\\n';
                find . -path ./.local -prune -o -type f -exec sha256sum {} +";
    let mut all: Vec<String> = host.run("sh", &["-c", look]).unwrap().lines().map(str::to_owned).collect();
    all.sort();
    all
}

fn differences(one: &[String], other: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], sign: &str| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign}{line}")).collect()
    };
    [only(one, other, "-"), only(other, one, "+")].concat()
}

#[test]
fn what_other_users_did_is_in_the_same_layer_and_taken_back() {
    if !lab_is_possible("what_other_users_did_is_in_the_same_layer_and_taken_back") {
        return;
    }
    let ground = Ground::small("others", SITE);
    ground.host.run("sh", &["-c", SETTING]).unwrap();
    let before = look(&ground.host);
    let said = ground.apply(&[]).fine();
    assert!(said.contains("ignored=1"), "{said}");
    assert_ne!(before, look(&ground.host));

    let shown = ground.project.run(&["show", "one", "1"]).fine();
    for words in
        ["native", "+one", "by hand", "+two", "/home/app/deep/er/x", "again by root", "over it", "+four"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let of_folder = shown.split("folder  [").nth(1).unwrap().split("[project]").next().unwrap();
    assert!(!of_folder.contains("made/native"), "{shown}");
    assert!(shown.contains("lives on and is not watched any more"), "{shown}");
    assert!(!shown.contains("takes the rights of root") && !shown.contains("not-mine"), "{shown}");

    // What the daemon wrote after its task is nobody's.
    ground.host.run("sh", &["-c", "pkill -u app; rm /var/tmp/late"]).unwrap();
    let back = ground.project.run(&["rollback", "one", "--to", "0"]).fine();
    assert!(back.contains("lives on"), "{back}");
    assert_eq!(differences(&before, &look(&ground.host)), [""; 0]);
    ground.project.run(&["rollback", "one", "--to", "1"]).fine();
    let native = ground.host.run("cat", &["/home/app/made/native"]).unwrap();
    assert_eq!(native, "one\ntwo\nthree\nfour\n");
}

const BY_ADMIN: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: by root
      command: touch /home/app/roots
      become: true
    - name: by the other one
      shell: echo $SUDO_USER $(id -un) >made; mv old older; echo more >>kept
      args: {chdir: /home/app}
      become: true
      become_user: app
    - name: natively
      copy: {dest: /home/app/native, content: \"{{ 'long ' * 200000 }}\"}
      become: true
      become_user: app
    - name: as root again
      command: chown root /home/app/native
      become: true
";

/// The connection is of a user who may become root.
#[test]
fn root_watches_others_for_who_is_not_root() {
    if !lab_is_possible("root_watches_others_for_who_is_not_root") {
        return;
    }
    let ground = Ground::small("byadmin", SITE);
    let run = |script: &str| ground.host.run("sh", &["-c", script]).unwrap();
    run(SETTING);
    run("useradd -m -s /bin/sh admin; echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin");
    ground.host.copy_in("/home/admin/site.yml", BY_ADMIN.as_bytes(), 0o644).unwrap();
    let before = look(&ground.host);
    let program = env!("CARGO_BIN_EXE_theseus");
    let theseus = |words: &str| {
        run(&format!(
            "cd /home/admin; su admin -c '{program} {words} -i localhost, -c local' 2>&1 </dev/null"
        ))
    };
    theseus("apply site.yml");
    assert_eq!(run("cat /home/app/made"), "admin app\n");
    assert_eq!(run("ls /home/app/.local/state/theseus"), "bin\n", "there is no other history");
    let shown = theseus("show localhost 1");
    for words in ["by root", "by the other one", "/home/app/older", "natively", "as root again"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("takes the rights of root"), "{shown}");
    theseus("rollback localhost --to 0");
    assert_eq!(differences(&before, &look(&ground.host)), [""; 0]);
}
