//! Precedence, laziness, pending values and taking back, on small projects.

use std::sync::Arc;

use expressions::{Context, Engine, ErrorKind, PendingWhat, Value};

use super::{Nowhere, PlayVars, RunOptions, Scope, Sources, Variables};
use crate::inventory::Inventory;
use crate::ir::{Keywords, Node, Task, Vars, VarsKind, VarsLayer};
use crate::load::{LoadOptions, Modules, Project};
use crate::settings::Settings;
use crate::vault::Vault;

use crate::load::folder::{Folder, folder};

struct Anything;

impl Modules for Anything {
    fn spec(&self, _: &str) -> Option<&'static catalog::ModuleSpec> {
        None
    }
    fn is_action(&self, name: &str) -> bool {
        name == "debug"
    }
}

struct World {
    _folder: Folder,
    variables: Arc<Variables>,
    play: Arc<PlayVars>,
    task: Arc<Task>,
    host: Arc<str>,
}

/// A play over `h1` (groups `g` below `p`), its first task in the role `r` if there is one.
fn world(files: &str, settings: Settings, extra: Vars) -> World {
    let folder = folder(files);
    let engine = Arc::new(Engine::new());
    let (vault, extra) = (Arc::new(Vault::new()), Arc::new(extra));
    let config = Arc::new(settings);
    let options = LoadOptions {
        config: config.clone(),
        vault: vault.clone(),
        engine: engine.clone(),
        extra_vars: extra.clone(),
        modules: Arc::new(Anything),
    };
    let project =
        Project::open(&[folder.0.join("site.yml")], options).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut inventory = Inventory::default();
    inventory.add_group("p");
    inventory.add_host(
        "h1",
        &["g".to_owned()],
        [("inv".to_owned(), Value::from("host"))].into_iter().collect(),
    );
    inventory.add_host("h2", &["g".to_owned()], crate::inventory::Vars::new());
    let variables = Variables::new(Sources {
        engine,
        config,
        vault,
        inventory,
        extra_vars: extra,
        options: RunOptions { version: "2.19.4".to_owned(), ..RunOptions::default() },
        outside: Arc::new(Nowhere),
    });
    let play = project.plays[0].clone();
    let first = play.roles.iter().chain(&play.tasks).next().unwrap();
    let task = match first {
        Node::Task(task) => task.clone(),
        Node::Block(block) => match &block.body[0] {
            Node::Task(task) => task.clone(),
            Node::Block(_) => panic!("a task"),
        },
    };
    let play = PlayVars::new(play);
    play.set_hosts(vec!["h1".into(), "h2".into()]);
    World { _folder: folder, variables, play, task, host: "h1".into() }
}

impl World {
    fn scope(&self) -> Scope {
        Scope::new(&self.variables, &self.play, Some(&self.task), Some(&self.host), Vars::new())
    }
    fn get(&self, name: &str) -> String {
        match self.scope().variable(name) {
            Ok(Some(value)) => value.python_str().unwrap_or_else(|error| format!("error: {error}")),
            Ok(None) => "undefined".to_owned(),
            Err(error) => format!("error: {error}"),
        }
    }
}

const LAYERS: &str = "=== site.yml
- hosts: all
  vars: {v: play}
  vars_files: [vf.yml]
  roles: [{role: r, v: params}]
=== vf.yml
v: vars_files
=== group_vars/all.yml
v: all
only_all: 1
=== group_vars/g/b.yml
v: g
=== group_vars/g/a.yml
v: g first
in_g: 1
=== host_vars/h1
v: host_vars
=== roles/r/defaults/main.yml
v: default
d: default
=== roles/r/vars/main.yml
v: role
=== roles/r/tasks/main.yml
- debug: {msg: x}
  vars: {v: task}
";

#[test]
fn every_layer_beats_the_one_below() {
    let mut world = world(LAYERS, Settings::default(), Vars::new());
    assert_eq!(world.get("v"), "params");
    world.variables.set_fact("h1", "v", Value::from("set_fact"), false);
    assert_eq!(world.get("v"), "params", "role parameters are above set_fact");
    // Without parameters, layer by layer from the top.
    let mut task = (*world.task).clone();
    let mut role = (**task.role.as_ref().unwrap()).clone();
    role.params = Arc::default();
    task.role = Some(Arc::new(role.clone()));
    world.task = Arc::new(task.clone());
    assert_eq!(world.get("v"), "set_fact");
    let mark = world.variables.mark("h1");
    world.variables.register("h1", "v", Value::from("registered"));
    assert_eq!(world.get("v"), "registered");
    world.variables.rollback("h1", mark);
    assert_eq!(world.get("v"), "set_fact");
    let mut included = task.clone();
    let mut keywords = Keywords { ..(*task.keywords).clone() };
    let vars: Vars = [("v".into(), Value::from("include"))].into_iter().collect();
    keywords.vars.push(VarsLayer { kind: VarsKind::IncludeParams, vars: Arc::new(vars) });
    included.keywords = Arc::new(keywords);
    world.task = Arc::new(included);
    assert_eq!(world.get("v"), "include");
}

#[test]
fn static_layers_in_order() {
    let scope_of = |drop: &[&str]| {
        let mut files = LAYERS.replace("{role: r, v: params}", "r");
        for line in drop {
            files = files.replace(line, "");
        }
        world(&files, Settings::default(), Vars::new()).get("v")
    };
    let mut dropped = Vec::new();
    let order = [
        ("  vars: {v: task}\n", "role"),
        ("v: role\n", "vars_files"),
        ("v: vars_files\n", "play"),
        ("  vars: {v: play}\n", "host_vars"),
        ("v: host_vars\n", "g"),
        ("v: g\n", "g first"),
        ("v: g first\n", "all"),
        ("v: all\n", "default"),
        ("v: default\n", "undefined"),
    ];
    assert_eq!(scope_of(&dropped), "task");
    for (line, then) in order {
        dropped.push(line);
        assert_eq!(scope_of(&dropped), then, "without {dropped:?}");
    }
}

#[test]
fn templates_are_lazy_recursive_and_never_circular() {
    let world = world(
        "=== site.yml
- hosts: all
  vars:
    a: \"{{ b }}!\"
    b: \"{{ c.list[1] }}\"
    c: {list: [1, \"{{ d }}\"], broken: \"{{ nowhere }}\"}
    d: deep
    x: \"{{ y }}\"
    y: \"{{ x }}\"
    self: {one: \"{{ self.one }}\"}
    safe: \"{{ c.broken | default('rescued') }}\"
  tasks:
    - debug: {msg: x}
",
        Settings::default(),
        Vars::new(),
    );
    assert_eq!(world.get("a"), "deep!");
    assert_eq!(world.get("safe"), "rescued");
    let error = world.scope().variable("x").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Loop);
    assert!(error.message.contains("{{ y }} -> {{ x }} -> {{ y }}"), "{error}");
    assert!(world.get("self").contains("recursive loop"), "{}", world.get("self"));
    // Data from hosts is never a template.
    world.variables.register("h1", "evil", Value::from("{{ d }}"));
    assert_eq!(world.get("evil"), "{{ d }}");
}

#[test]
fn what_is_on_its_way_is_pending() {
    let world = world(LAYERS, Settings::default(), Vars::new());
    let what = |name: &str| world.scope().variable(name).err().and_then(|error| error.is_pending().cloned());
    world.variables.set_pending("h1", "result", 7);
    assert_eq!(what("result"), Some(PendingWhat::Call(7)));
    world.variables.register("h1", "result", Value::Int(1));
    assert_eq!(what("result"), None);
    world.variables.set_facts_pending("h1", PendingWhat::Facts, &["packages"]);
    for name in ["ansible_facts", "ansible_distribution", "packages"] {
        assert_eq!(what(name), Some(PendingWhat::Facts), "{name}");
    }
    for name in ["ansible_host", "ansible_become_user", "d", "only_all"] {
        assert_eq!(what(name), None, "{name}");
    }
    world.variables.set_facts("h1", [("ansible_distribution".into(), Value::from("Debian"))]);
    assert_eq!(what("ansible_distribution"), Some(PendingWhat::Facts), "it may be another now");
    world.variables.facts_arrived("h1", None);
    assert_eq!(world.get("ansible_distribution"), "Debian");
    for call in [8, 9] {
        world.variables.set_facts_pending("h1", PendingWhat::Call(call), &[]);
    }
    world.variables.facts_arrived("h1", Some(8));
    assert_eq!(what("ansible_distribution"), Some(PendingWhat::Call(9)));
    world.variables.facts_arrived("h1", Some(9));
    assert_eq!(what("ansible_distribution"), None);
    assert_eq!(world.get("ansible_facts"), "{'distribution': 'Debian'}");
}

#[test]
fn magic_and_other_hosts() {
    let world = world(LAYERS, Settings::default(), Vars::new());
    world.variables.set_fact("h2", "mine", Value::from("of h2"), false);
    for (template, expected) in [
        ("{{ inventory_hostname }} {{ group_names }} {{ groups.g }}", "h1 ['g'] ['h1', 'h2']"),
        (
            "{{ hostvars.h2.mine }} {{ hostvars['h2'].in_g }} {{ hostvars.h2.play_var is defined }}",
            "of h2 1 False",
        ),
        ("{{ hostvars[inventory_hostname].inv }} {{ 'h3' in hostvars }}", "host False"),
        ("{{ role_name }} {{ ansible_play_hosts }} {{ ansible_version.minor }}", "r ['h1', 'h2'] 19"),
        (
            "{{ vars['d'] }} {{ lookup('vars', 'd') }} {{ lookup('varnames', '^only_') }}",
            "default default only_all",
        ),
    ] {
        let origin = Arc::new(expressions::Origin::new(std::path::Path::new("t.yml"), 1, 1));
        let text = Value::Str(expressions::Str::trusted(template, origin));
        assert_eq!(world.scope().text(&text).unwrap_or_else(|error| error.message), expected, "{template}");
    }
}

#[test]
fn dicts_are_merged_if_asked_for() {
    let files = "=== site.yml
- hosts: all
  vars: {d: {b: play, n: {y: 2}}}
  tasks:
    - debug: {msg: x}
=== group_vars/all.yml
d: {a: all, b: all, n: {x: 1}}
";
    let merge = Settings { hash_behaviour_merge: true, ..Settings::default() };
    assert_eq!(world(files, Settings::default(), Vars::new()).get("d"), "{'b': 'play', 'n': {'y': 2}}");
    assert_eq!(world(files, merge, Vars::new()).get("d"), "{'a': 'all', 'b': 'play', 'n': {'x': 1, 'y': 2}}");
}

#[test]
fn a_scope_does_not_keep_itself_alive() {
    let world = world(LAYERS, Settings::default(), Vars::new());
    let before = Arc::strong_count(&world.variables);
    for _ in 0..10 {
        let scope = world.scope();
        for name in ["hostvars", "vars", "groups", "v", "d"] {
            scope.variable(name).unwrap();
        }
    }
    assert_eq!(Arc::strong_count(&world.variables), before);
}

/// Results recorded from ansible-core 2.19.
#[test]
fn lookups_give_what_ansible_gives() {
    let world = world(
        "=== site.yml
- hosts: all
  vars:
    users: [{n: a, k: [1, 2]}, {n: b, k: [3]}, {n: c}]
  tasks:
    - debug: {msg: x}
=== x.ini
[s]
one = 1
  more
Two: 2
=== x.csv
a,1,2
b,\"x,y\",\"q\"\"t\"
",
        Settings::default(),
        Vars::new(),
    );
    for (call, expected) in [
        ("q('items', [1,[2,3]], 4)", "[1, [2, 3], 4]"),
        ("q('dict', {'a':1,'b':2})", "[{'key': 'a', 'value': 1}, {'key': 'b', 'value': 2}]"),
        ("q('indexed_items', ['x','y']) | map('list')", "[[0, 'x'], [1, 'y']]"),
        ("q('nested', ['x','y'], [1,2])", "[['x', 1], ['x', 2], ['y', 1], ['y', 2]]"),
        ("q('together', ['x','y'], [1])", "[['x', 1], ['y', None]]"),
        ("q('sequence', 'start=0 end=6 stride=3 format=v%02x')", "['v00', 'v03', 'v06']"),
        ("q('sequence', '3')", "['1', '2', '3']"),
        ("q('sequence', '4-8/2:host%02d')", "['host04', 'host06', 'host08']"),
        ("q('sequence', 'count=3 start=5 stride=-1')", "['5', '4', '3', '2', '1']"),
        ("q('sequence', start=1, end=2)", "['1', '2']"),
        (
            "q('subelements', users, 'k', {'skip_missing':true}) | map('list')",
            "[[{'n': 'a'}, 1], [{'n': 'a'}, 2], [{'n': 'b'}, 3]]",
        ),
        ("q('ini', 'one section=s file=x.ini', 'two section=s file=x.ini')", "['1\\nmore', '2']"),
        ("q('csvfile', 'b file=x.csv delimiter=, col=2')", "['q\"t']"),
        ("q('fileglob', '*.csv') | map('basename')", "['x.csv']"),
        ("q('first_found', ['nope', 'x.csv']) | map('basename')", "['x.csv']"),
        ("q('first_found', ['nope.csv'], skip=true)", "[]"),
        ("q('password', '/dev/null', length=12, seed='s')", "['96RaapZT_wr0']"),
        ("q('password', '/dev/null length=8 chars=digits,, seed=z')", "[',1,79790']"),
    ] {
        let origin = Arc::new(expressions::Origin::new(std::path::Path::new("t.yml"), 1, 1));
        let text = Value::Str(expressions::Str::trusted(format!("{{{{ {call} | list }}}}"), origin));
        assert_eq!(world.scope().text(&text).unwrap_or_else(|error| error.message), expected, "{call}");
    }
}
