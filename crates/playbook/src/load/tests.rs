//! Projects in temporary folders: what is read from them, and which mistakes are found where.

use std::path::Path;
use std::sync::Arc;

use catalog::{Arg, ModuleSpec};
use expressions::{Engine, Value};

use super::{LoadOptions, Loaded, Modules, Project, RoleFrom, RoleRequest, TasksRequest};
use crate::diagnostic::Diagnostic;
use crate::ir::{IncludeKind, Node, Task, Vars, VarsKind};
use crate::settings::Settings;
use crate::vault::Vault;

const COMMAND: ModuleSpec = ModuleSpec::builtin(
    "command",
    &[Arg::str("_raw_params"), Arg::str("cmd"), Arg::path("creates"), Arg::path("chdir")],
)
.free_form("_raw_params");
const COPY: ModuleSpec =
    ModuleSpec::builtin("copy", &[Arg::path("src"), Arg::path("dest").required(), Arg::bool("backup")])
        .file_args();
const DEBUG: ModuleSpec =
    ModuleSpec::builtin("debug", &[Arg::raw("msg"), Arg::str("var"), Arg::int("verbosity").default("0")]);
const UFW: ModuleSpec = ModuleSpec::builtin("ufw", &[Arg::str("rule")]).collection("community.general");

use super::folder::{Folder, folder};

struct Few;

impl Modules for Few {
    fn spec(&self, name: &str) -> Option<&'static ModuleSpec> {
        [&COMMAND, &COPY, &DEBUG, &UFW].into_iter().find(|spec| spec.name == name)
    }
    fn is_action(&self, name: &str) -> bool {
        matches!(name, "set_fact" | "assert")
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["command", "copy", "debug", "ufw", "set_fact", "assert"]
    }
}

fn options(extra: &[(&str, &str)]) -> LoadOptions {
    let settings = Settings { roles_path: Vec::new(), collections_path: Vec::new(), ..Settings::default() };
    LoadOptions {
        config: Arc::new(settings),
        vault: Arc::new(Vault::new()),
        engine: Arc::new(Engine::new()),
        extra_vars: Arc::new(
            extra.iter().map(|(name, value)| (Arc::from(*name), Value::from(*value))).collect(),
        ),
        modules: Arc::new(Few),
    }
}

fn open(folder: &Folder) -> Result<Project, Vec<Diagnostic>> {
    Project::open(&[folder.0.join("site.yml")], options(&[]))
}

fn good(files: &str) -> (Folder, Project) {
    let folder = folder(files);
    let project = open(&folder).unwrap_or_else(|errors| panic!("{}", shown(&errors, &folder.0)));
    (folder, project)
}

fn shown(errors: &[Diagnostic], root: &Path) -> String {
    let lines = errors.iter().map(|error| {
        let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{error}{hint}\n")
            .replace(&format!("{}/", root.display()), "")
            .replace(&root.display().to_string(), "ROOT")
    });
    lines.collect()
}

/// The mistakes of a playbook.
fn mistakes(files: &str) -> String {
    let folder = folder(files);
    shown(&open(&folder).err().expect("the playbook has mistakes"), &folder.0)
}

fn text(value: Option<&Value>) -> String {
    value.map(|value| value.python_str().unwrap()).unwrap_or_default()
}

/// Every task on a line of its own, with its effective keywords.
fn outline(nodes: &[Node], depth: usize, into: &mut String) {
    for node in nodes {
        let indent = "  ".repeat(depth);
        match node {
            Node::Task(task) => into.push_str(&format!("{indent}{}\n", line(task))),
            Node::Block(block) => {
                let role = block.role.as_ref().map(|role| format!(" role={}", role.name)).unwrap_or_default();
                into.push_str(&format!("{indent}block{role}\n"));
                outline(&block.body, depth + 1, into);
                for (name, part) in [("rescue", &block.rescue), ("always", &block.always)] {
                    if !part.is_empty() {
                        into.push_str(&format!("{indent}{name}\n"));
                        outline(part, depth + 1, into);
                    }
                }
            }
        }
    }
}

fn line(task: &Task) -> String {
    let keywords = &task.keywords;
    let mut line = format!("{}", task.module);
    for (name, value) in &*task.args {
        line.push_str(&format!(" {name}={}", text(Some(value))));
    }
    if !keywords.when.is_empty() {
        let all: Vec<String> = keywords.when.iter().map(|value| text(Some(value))).collect();
        line.push_str(&format!(" when[{}]", all.join(" & ")));
    }
    if !keywords.tags.is_empty() {
        line.push_str(&format!(" tags[{}]", keywords.tags.join(",")));
    }
    for (name, value) in
        [("become", &keywords.become_), ("user", &keywords.become_user), ("delegate", &keywords.delegate_to)]
    {
        if value.is_some() {
            line.push_str(&format!(" {name}={}", text(value.as_ref())));
        }
    }
    for layer in &keywords.vars {
        let vars: Vec<String> =
            layer.vars.iter().map(|(name, value)| format!("{name}={}", text(Some(value)))).collect();
        line.push_str(&format!(" {:?}({})", layer.kind, vars.join(",")));
    }
    line
}

fn all(project: &Project) -> String {
    let mut text = String::new();
    for play in &project.plays {
        for (name, part) in [
            ("pre", &play.pre_tasks),
            ("roles", &play.roles),
            ("tasks", &play.tasks),
            ("post", &play.post_tasks),
        ] {
            if !part.is_empty() {
                text.push_str(&format!("{name}:\n"));
                outline(part, 1, &mut text);
            }
        }
        if !play.handlers.is_empty() {
            text.push_str("handlers:\n");
            play.handlers.iter().for_each(|handler| text.push_str(&format!("  {}\n", line(handler))));
        }
    }
    text
}

#[test]
fn keywords_are_inherited() {
    let (_folder, project) = good(
        "=== site.yml
- hosts: all
  become: true
  tags: [play]
  environment: {A: 1}
  pre_tasks:
    - command: first
  tasks:
    - block:
        - debug: {msg: x}
          when: inner
          become: false
          tags: t
          environment: {B: 2}
          vars: {v: task}
      rescue:
        - debug: msg=failed
      always:
        - command: echo a=b creates=/x
      when: [outer, also]
      become_user: web
      vars: {v: block}
      tags: blk,more
    - import_tasks: t.yml
      when: imported
      tags: imp
      vars: {w: 1}
=== t.yml
- local_action: command uptime
  tags: [inner]
- action: copy src=a dest=b
- action: {module: copy, dest: c}
- ansible.builtin.copy: {dest: d}
  args: {src: e}
",
    );
    insta::assert_snapshot!(all(&project), @r"
    pre:
      command _raw_params=first tags[play] become=True
    tasks:
      block
        debug msg=x when[outer & also & inner] tags[t,blk,more,play] become=False user=web Block(v=block) Task(v=task)
      rescue
        debug msg=failed when[outer & also] tags[blk,more,play] become=True user=web Block(v=block)
      always
        command creates=/x _raw_params=echo a=b when[outer & also] tags[blk,more,play] become=True user=web Block(v=block)
      command _raw_params=uptime when[imported] tags[inner,imp,play] become=True delegate=localhost Task(w=1)
      copy src=a dest=b when[imported] tags[imp,play] become=True Task(w=1)
      copy dest=c when[imported] tags[imp,play] become=True Task(w=1)
      copy src=e dest=d when[imported] tags[imp,play] become=True Task(w=1)
    ");
    let Node::Block(block) = &project.plays[0].tasks[0] else { panic!("a block") };
    let Node::Task(task) = &block.body[0] else { panic!("a task") };
    assert_eq!(task.keywords.environment.len(), 2);
}

#[test]
fn roles_with_dependencies_params_and_handlers() {
    let (folder, project) = good(
        "=== site.yml
- hosts: all
  roles:
    - role: a
      tags: [ra]
      when: yes_a
      p1: param
      vars: {ev: entry}
    - b
  tasks:
    - import_role: {name: d, tasks_from: other}
  handlers:
    - name: of play
      debug: msg=p
=== roles/a/meta/main.yml
dependencies: [{role: c, tags: [dep]}]
=== roles/a/tasks/main.yml
- debug: msg=a
=== roles/a/defaults/main.yaml
x: 1
=== roles/a/vars/main/one.yml
y: 1
=== roles/a/vars/main/two.yml
y: 2
=== roles/a/handlers/main.yml
- name: of a
  debug: msg=ha
  listen: topic
=== roles/b/meta/main.yml
dependencies: [{role: c, tags: [dep]}]
=== roles/b/tasks/main.yml
- import_tasks: more.yml
=== roles/b/tasks/more.yml
- debug: msg=b
=== roles/c/tasks/main.yml
- debug: msg=c
=== roles/d/tasks/other.yml
- debug: msg=d
=== roles/d/meta/argument_specs.yml
argument_specs:
  other:
    short_description: Others
    options: {n: {type: int, required: true}}
",
    );
    let outline = all(&project).replace(&folder.0.display().to_string(), "");
    insta::assert_snapshot!(outline, @r"
    roles:
      block role=c
        debug msg=c when[yes_a] tags[dep,ra]
      block role=a
        debug msg=a when[yes_a] tags[ra]
      block role=c
        debug msg=c tags[dep]
      block role=b
        debug msg=b
    tasks:
      block role=d
        validate_argument_spec argument_spec={'n': {'type': 'int', 'required': True}} provided_arguments={} validate_args_context={'type': 'role', 'name': 'd', 'argument_spec_name': 'other', 'path': '/roles/d'} tags[always]
        debug msg=d
    handlers:
      debug msg=ha when[yes_a] tags[ra]
      debug msg=p
    ");
    let play = &project.plays[0];
    let roles: Vec<&str> = play.static_roles.iter().map(|role| &*role.name).collect();
    assert_eq!(roles, ["c", "a", "b", "d"]);
    let a = &play.static_roles[1];
    assert_eq!(text(a.vars.get("y")), "2");
    assert_eq!(text(a.defaults.get("x")), "1");
    assert_eq!((text(a.params.get("p1")), text(a.entry_vars.get("ev"))), ("param".into(), "entry".into()));
    assert_eq!(a.dependencies[0].instance, play.static_roles[0].instance);
    assert_eq!(play.handlers[0].listen.len(), 1);
}

#[test]
fn imported_playbooks_give_vars_conditions_and_tags() {
    let (folder, project) = good(
        "=== site.yml
- import_playbook: sub/other.yml
  vars: {pv: import}
  tags: [imported]
  when: wanted
=== sub/other.yml
- hosts: web
  vars: {pv: play, own: 1}
  tasks:
    - debug: {msg: x}
",
    );
    assert_eq!(all(&project), "tasks:\n  debug msg=x when[wanted] tags[imported]\n");
    let play = &project.plays[0];
    assert_eq!((text(play.vars.get("pv")), text(play.vars.get("own"))), ("import".into(), "1".into()));
    assert_eq!(*play.dir, *folder.0.join("sub"));
}

#[test]
fn mistakes_are_found_together_with_their_places() {
    insta::assert_snapshot!(mistakes("=== site.yml
- hosts: all
  taks: []
  tasks:
    - copy: {srcc: a, dest: b}
    - copy: {src: a}
    - debug: {msg: a, verbosity: much}
    - command: a
      copy: {dest: b}
    - name: nothing
    - debug: msg=a
      notifi: x
    - command: a
      loop: [1]
      with_items: [2]
    - command: a
      register: 1x
    - command: a
      become: perhaps
    - import_tasks: missing.yml
    - import_tasks: t.yml
      loop: [1]
    - import_role: {name: none}
    - copy: {dest: a, when: x}
    - rescue: []
    - just text
    - community.general.ufw: {rull: allow}
- tasks: []
=== t.yml
- debug:
"), @r"
    site.yml:2:3: 'taks' is not a valid attribute for a Play (did you mean `tasks`?)
    site.yml:4:14: `copy` has no argument `srcc`; did you mean `src`?
    site.yml:5:7: `copy` needs the argument `dest`
    site.yml:6:23: argument `verbosity` of `debug`: expected an integer, got the string `much`
    site.yml:8:7: conflicting action statements: command, copy (a task does one thing: make two tasks of it)
    site.yml:9:7: no module/action detected in task (every task needs a module: for instance `ansible.builtin.debug:`)
    site.yml:11:7: 'notifi' is not a valid attribute for a Task (did you mean `notify`?)
    site.yml:14:7: you cannot use both `loop` and `with_*` in one task
    site.yml:16:17: Invalid variable name in 'register' specified: '1x' (names are letters, digits and `_`, and do not begin with a digit)
    site.yml:18:15: `become` has an invalid value ('perhaps'): it must be true or false
    site.yml:19:21: Could not find or access 'missing.yml' on the Ansible Controller (looked for missing.yml, tasks/missing.yml)
    site.yml:21:7: you cannot use loops on 'import_tasks' statements (use `include_tasks` instead)
    site.yml:22:7: the role 'none' was not found (looked in roles, ROOT; install it with `ansible-galaxy role install none`, if it is one of Galaxy's)
    site.yml:23:23: `copy` has no argument `when` (`when` is a keyword: write it beside the module, not below it)
    site.yml:24:7: 'rescue' keyword cannot be used without 'block'
    site.yml:25:7: a task or a block must be a mapping (a task is a mapping with a module: `- ansible.builtin.command: …`)
    site.yml:26:31: `ufw` has no argument `rull`; did you mean `rule`?
    site.yml:27:3: the field 'hosts' is required but was not set
    ");
}

#[test]
fn unknown_modules_are_not_mistakes_yet() {
    let (_folder, project) = good(
        "=== site.yml
- hosts: all
  tasks:
    - my.own.thing: {a: 1}
      tags: [x]
    - comand: ls
    - ufw: {rule: allow}
    - community.general.ufw: {rule: allow}
    - other.collection.copy: {x: 1}
",
    );
    let unknown: Vec<(&str, Option<&str>, u32)> = project
        .unknown_modules
        .iter()
        .map(|module| (&*module.name, module.suggestion.as_deref(), module.origin.line))
        .collect();
    assert_eq!(
        unknown,
        [("my.own.thing", None, 3), ("comand", Some("command"), 5), ("other.collection.copy", None, 8)]
    );
    let modules: Vec<&str> = project.plays[0]
        .tasks
        .iter()
        .map(|node| match node {
            Node::Task(task) => &*task.module,
            Node::Block(_) => "",
        })
        .collect();
    assert_eq!(modules, ["my.own.thing", "comand", "ufw", "ufw", "other.collection.copy"]);
}

fn first_task(project: &Project) -> Arc<Task> {
    match &project.plays[0].tasks[0] {
        Node::Task(task) => task.clone(),
        Node::Block(_) => panic!("a task"),
    }
}

#[test]
fn dynamic_includes_inherit_what_surrounds_them() {
    let (folder, project) = good(
        "=== site.yml
- hosts: all
  tags: [play]
  tasks:
    - include_tasks: {file: t.yml, apply: {tags: [applied], when: app}}
      when: own
      tags: [own]
      vars: {v: 1}
=== t.yml
- debug: {msg: x}
  tags: [t]
",
    );
    let task = first_task(&project);
    assert_eq!(task.include.as_ref().map(|include| include.kind), Some(IncludeKind::Tasks));
    assert_eq!(line(&task), "include_tasks file=t.yml when[own] tags[own,play] IncludeParams(v=1)");
    let path = project.find_tasks("t.yml", &task, &project.plays[0]).unwrap();
    assert_eq!(path, folder.0.join("t.yml"));
    let vars: Vars = [("item".into(), Value::Int(3))].into_iter().collect();
    let request = TasksRequest { task, play: project.plays[0].clone(), vars };
    let Loaded { nodes, .. } = project.load_tasks(&path, &request).unwrap();
    let mut text = String::new();
    outline(&nodes, 0, &mut text);
    assert_eq!(text, "debug msg=x when[app] tags[t,applied,play] IncludeParams(v=1) IncludeParams(item=3)\n");
}

#[test]
fn roles_are_loaded_at_run_time() {
    let (_folder, project) = good(
        "=== site.yml
- hosts: all
  tasks:
    - include_role: {name: r}
      vars: {v: 1}
=== roles/r/tasks/main.yml
- include_role: {name: s}
=== roles/r/handlers/main.yml
- name: h
  debug: {msg: h}
=== roles/s/tasks/main.yml
- debug: {msg: s}
",
    );
    let request = |task: Arc<Task>, name: &str| RoleRequest {
        task,
        play: project.plays[0].clone(),
        name: name.to_owned(),
        from: RoleFrom::default(),
        allow_duplicates: None,
        public: None,
        validate: true,
        vars: Vars::new(),
    };
    let loaded = project.load_role(&request(first_task(&project), "r")).unwrap();
    let role = loaded.role.unwrap();
    assert!(role.allow_duplicates && !role.public && role.parents.is_empty());
    assert_eq!((loaded.handlers.len(), text(role.entry_vars.get("v"))), (1, "1".to_owned()));
    let Node::Block(block) = &loaded.nodes[0] else { panic!("the role's block") };
    let Node::Task(inner) = &block.body[0] else { panic!("a task") };
    assert!(inner.keywords.vars.iter().any(|layer| layer.kind == VarsKind::IncludeParams));
    let inner = project.load_role(&request(inner.clone(), "s")).unwrap();
    assert_eq!(inner.role.unwrap().parents, ["r".into()]);
    let missing = project.load_role(&request(first_task(&project), "nowhere")).unwrap_err();
    assert!(missing[0].message.contains("the role 'nowhere' was not found"), "{}", missing[0]);
}

#[test]
fn names_of_imports_may_be_templates_over_static_variables() {
    let folder = folder(
        "=== site.yml
- hosts: all
  vars: {kind: play}
  tasks:
    - import_tasks: \"{{ kind }}.yml\"
=== extra.yml
- debug: {msg: extra}
=== play.yml
- debug: {msg: play}
",
    );
    let path = [folder.0.join("site.yml")];
    let open = |extra: &[(&str, &str)]| {
        all(&Project::open(&path, options(extra))
            .unwrap_or_else(|errors| panic!("{}", shown(&errors, &folder.0))))
    };
    assert_eq!(open(&[]), "tasks:\n  debug msg=play\n");
    assert_eq!(open(&[("kind", "extra")]), "tasks:\n  debug msg=extra\n");
}

#[test]
fn a_name_that_is_no_template_is_a_warning() {
    let folder = folder("=== site.yml\n- hosts: all\n  tasks:\n    - {name: \"{{ 1 +* 2 }}\", debug: }\n");
    let project = open(&folder).unwrap_or_else(|errors| panic!("{}", shown(&errors, &folder.0)));
    let [warning] = &project.warnings[..] else { panic!("{:?}", project.warnings) };
    assert!(warning.warning && warning.message.starts_with("expected an expression"), "{warning}");
}

#[test]
fn a_thousand_files_are_read_in_no_time() {
    let mut files = String::from("=== site.yml\n- hosts: all\n  tasks:\n");
    for index in 0..1000 {
        files.push_str(&format!("    - import_tasks: t{index}.yml\n"));
    }
    for index in 0..1000 {
        files.push_str(&format!("=== t{index}.yml\n- command: echo {index}\n  when: x is defined\n- copy: {{dest: \"/tmp/{{{{ x }}}}\"}}\n"));
    }
    let folder = folder(&files);
    let begin = std::time::Instant::now();
    let project = open(&folder).unwrap_or_else(|errors| panic!("{}", shown(&errors[..1], &folder.0)));
    assert_eq!(project.plays[0].tasks.len(), 2000);
    // Debug builds on busy machines are slow; a release build takes about a twentieth of this.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
