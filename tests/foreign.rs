//! Modules and plugins that are not part of Theseus: what runs, what cannot, and what is said of it.

use crate::common::Project;

const SITE: &str = "
- hosts: localhost
  gather_facts: false
  tasks:
    - {name: own, hello: {name: you}, register: own}
    - {name: own again, hello: name=you}
    - {name: said, assert: {that: own.text == 'hello you'}}
    - {name: not reached, some.collection.nowhere: {}, when: false}
    - {name: by action, deploy: {}, ignore_errors: true}
    - {name: by filter, debug: {msg: \"{{ 'x' | our_own }}\"}, ignore_errors: true}
    - {name: reached, some.collection.nowhere: {}, ignore_errors: true}
    - {name: not done, debug: {msg: never}}
";

#[test]
fn what_runs_and_what_cannot_is_said() {
    let project = Project::new(&[
        ("site.yml", SITE),
        (
            "library/hello",
            "#!/bin/sh\n. \"$1\"\nprintf '{\"changed\": false, \"text\": \"hello %s\"}' \"$name\"\n",
        ),
        ("action_plugins/deploy.py", "class ActionModule: pass\n"),
        (
            "filter_plugins/text.py",
            "class FilterModule:\n    def filters(self):\n        return {'our_own': str}\n",
        ),
    ]);
    // No Python on the path: none has an ansible-core.
    let bin = project.root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in std::fs::read_dir("/usr/bin").unwrap().flatten() {
        let name = program.file_name().to_string_lossy().into_owned();
        if !["python", "ansible"].iter().any(|other| name.starts_with(other)) {
            std::os::unix::fs::symlink(program.path(), bin.join(name)).unwrap();
        }
    }
    let mut command = project.command("theseus", &["apply", "site.yml"]);
    let ended = project.ended(command.env("PATH", &bin).output().unwrap());
    let shown = ended.shown();
    // Nothing ignores a module that exists nowhere.
    assert!(ended.code == 2 && !shown.contains("not done"), "{shown}");
    let notice = "hello is not a module that Theseus has: it runs as [project]/library/hello by /bin/sh";
    assert_eq!(shown.matches(notice).count(), 1, "{shown}");
    let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "couldn't resolve module/action 'some.collection.nowhere': it is not one that Theseus has, and none of that name was found here",
        "by action plugins in Python are run by the Python that ansible-core is installed for, and none was found",
        "The filter plugin 'our_own' failed: plugins in Python are run by the Python",
    ] {
        assert!(flat.contains(words), "{words}\n{shown}");
    }
}

#[test]
fn a_typing_mistake_is_still_told_before() {
    let site = "- hosts: localhost\n  tasks:\n    - {name: x, helo: {name: you}}\n";
    let project = Project::new(&[("site.yml", site), ("library/hello", "#!/bin/sh\n")]);
    let ended = project.run(&["apply", "site.yml"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    assert!(ended.err.contains("site.yml:3:"), "{}", ended.shown());
}
