use std::sync::Arc;

use super::*;
use crate::load::Modules;
use crate::load::folder::folder;

struct Few;

static COPY: catalog::ModuleSpec = catalog::ModuleSpec::builtin(
    "copy",
    &[
        catalog::Arg::path("src"),
        catalog::Arg::str("content"),
        catalog::Arg::path("dest").required(),
        catalog::Arg::bool("remote_src"),
    ],
)
.mutually_exclusive(&[&["src", "content"]])
.file_args();
static TEMPLATE: catalog::ModuleSpec = catalog::ModuleSpec::builtin(
    "template",
    &[catalog::Arg::path("src").required(), catalog::Arg::path("dest").required()],
);
static DEBUG: catalog::ModuleSpec =
    catalog::ModuleSpec::builtin("debug", &[catalog::Arg::raw("msg"), catalog::Arg::str("var")]);
static SET_FACT: catalog::ModuleSpec = catalog::ModuleSpec::builtin("set_fact", &[]).open();

impl Modules for Few {
    fn spec(&self, name: &str) -> Option<&'static catalog::ModuleSpec> {
        [&COPY, &TEMPLATE, &DEBUG, &SET_FACT].into_iter().find(|spec| spec.name == name)
    }
    fn is_action(&self, name: &str) -> bool {
        matches!(name, "meta" | "include_tasks" | "include_role" | "import_tasks" | "import_role")
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["copy", "template", "debug", "set_fact"]
    }
}

/// The findings of a project in a folder, one line each.
fn found(files: &str) -> Vec<String> {
    let folder = folder(files);
    let targets = targets(std::slice::from_ref(&folder.0)).unwrap();
    let options = LoadOptions {
        config: Arc::default(),
        vault: Arc::default(),
        engine: Arc::new(Engine::new()),
        extra_vars: Arc::default(),
        modules: Arc::new(Few),
    };
    let given = Given { has_hosts: true, ..Given::default() };
    let root = format!("{}/", folder.0.display());
    let line = |finding: &Finding| {
        let hint = finding.diagnostic.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
        format!("{} {}{hint}", finding.level.word(), finding.diagnostic).replace(&root, "")
    };
    survey(&targets, options, &given).findings.iter().map(line).collect()
}

const PROJECT: &str = r#"
=== site.yml
- hosts: all
  vars: {listen_port: 80}
  roles: [web]
  tasks:
    - copy: {src: missing.conf, dest: /etc/missing.conf}
    - copy: {src: "{{ x | default(omit) }}", content: "{{ y | default(omit) }}", dest: /tmp/x}
    - copy: {src: there.conf, dest: "/etc/{{ listen_prot }}"}
    - copy: {src: there.conf, dest: /tmp, moed: "0644"}
      notify: restart wbe
    - debug: msg="{{ 'a' | uper }}"
    - include_tasks: more.yml
    - include_tasks: gone.yml
      when: somewhere
    - dbug: msg=hi
    - vendor.tools.thing: {}
  handlers:
    - name: lonely
      debug: {msg: lonely}
=== files/there.conf
=== more.yml
- debug: {msg: "{{ broken"}
  when: a b c
=== roles/web/tasks/main.yml
- template: {src: a.j2, dest: /etc/a}
  notify: "restart {{ what }}"
- template: {src: b.j2, dest: /etc/b}
- include_tasks: "{{ family }}.yml"
=== roles/web/tasks/Debian.yml
- debug: {mgs: hello}
=== roles/web/templates/a.j2
{% if x %}
=== roles/web/templates/b.j2
#jinja2: variable_start_string: '[[', variable_end_string: ']]'
[[ listen_port ]] {{ not a template }}
=== roles/web/templates/c.conf.j2
{{ 1 +
=== roles/web/handlers/main.yml
- name: restart web
  debug: {msg: restart}
=== roles/web/vars/main.yml
---
# nothing
=== requirements.yml
collections: [vendor.tools]
"#;

#[test]
fn every_mistake_of_a_project_is_found_in_one_run() {
    insta::assert_snapshot!(found(PROJECT).join("\n"), @r#"
    error more.yml:1:16: unexpected end of template: an expression is not closed by '}}'
    error more.yml:2:11: expected the end of the expression, got 'b'
    warning requirements.yml:1:15: the collection `vendor.tools` is required but not installed [install it with `ansible-galaxy collection install -r requirements.yml`]
    warning roles/web/tasks/Debian.yml:1:11: `debug` has no argument `mgs`; did you mean `msg`?
    warning roles/web/tasks/main.yml:4:21: the variable `family` is defined nowhere in the project [give it with `-e family=…`, or in the inventory; without it the task fails]
    error roles/web/templates/a.j2:1:11: unexpected end of template: 'elif' or 'else' or 'endif' is missing for the block that begins here
    warning roles/web/templates/c.conf.j2:1:1: unexpected end of template: an expression is not closed by '}}'
    error site.yml:5:7: the file `missing.conf` that `copy` takes was not found
    error site.yml:7:45: the variable `listen_prot` is defined nowhere in the project [did you mean `listen_port`?]
    error site.yml:8:43: `copy` has no argument `moed`; did you mean `mode`?
    error site.yml:9:15: no handler has the name `restart wbe`, and none listens to it [did you mean `restart web`?]
    error site.yml:10:23: there is no filter `uper` [did you mean `upper`?]
    warning site.yml:12:7: the file `gone.yml` that is included was not found [the task fails if it is reached and the file is not there by then]
    warning site.yml:13:13: the variable `somewhere` is defined nowhere in the project [give it with `-e somewhere=…`, or in the inventory; without it the task fails]
    error site.yml:14:7: there is no module or action `dbug` [did you mean `debug`?]
    warning site.yml:15:7: the module `vendor.tools.thing` is not one that Theseus has, and its collection is not installed [requirements.yml lists it: install it with `ansible-galaxy collection install -r requirements.yml`]
    note site.yml:17:13: nobody notifies the handler `lonely`
    "#);
}

const FINE: &str = r#"
=== site.yml
- hosts: all
  tasks:
    - include_role: {name: app}
    - debug: {msg: "{{ given is defined and given.x }}"}
    - debug: {msg: "{{ given | default('none') }}"}
    - set_fact: {computed: 1}
    - copy: {content: "{{ computed }} {{ ansible_distribution }} {{ grouped }}", dest: /tmp/x}
      notify: "{{ whatever }}"
    - copy: {src: not/here, dest: /x, remote_src: true}
=== group_vars/all.yml
grouped: 1
=== roles/app/tasks/main.yml
- include_tasks: tasks/other.yml
- import_tasks: other.yml
=== roles/app/tasks/other.yml
- debug: {msg: x}
  notify: inner
=== roles/app/handlers/main.yml
- name: outer
  when: true
  block:
    - name: inner
      include_tasks: other.yml
"#;

#[test]
fn what_ansible_runs_is_no_mistake() {
    assert_eq!(found(FINE), Vec::<String>::new());
}

#[test]
fn a_folder_without_playbooks_is_said_to_be_one() {
    let folder = folder("=== notes.yml\na: 1\n");
    let error = targets(std::slice::from_ref(&folder.0)).unwrap_err();
    assert!(error.message.starts_with("there is no playbook and no role in"), "{error}");
}
