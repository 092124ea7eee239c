//! Inputs made to break readers: bombs, nesting, endless templates, enormous files. Each ends soon, with a message or
//! a value, within the memory that is set here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall end")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use expressions::{Context, Engine, Error, Options, Origin, Str, Value};
use playbook::inventory::{Inventory, LoadOptions};
use playbook::vault::Vault;
use playbook::yaml;

const DEEP: usize = 10_000;

/// Runs with the stack of a main thread, and not for long.
fn bounded(work: impl FnOnce() + Send + 'static) {
    let started = Instant::now();
    std::thread::Builder::new().stack_size(8 << 20).spawn(work).unwrap().join().unwrap();
    assert!(started.elapsed() < Duration::from_secs(60), "took {:?}", started.elapsed());
}

/// The most memory that this process had so far, in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn yaml_error(text: String) {
    bounded(move || {
        let read = yaml::load_str(&text, Path::new("deep.yml"));
        assert!(read.is_err(), "it was read");
    });
}

#[test]
fn yaml_bombs_are_bounded() {
    bounded(|| {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..30 {
            let inner = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        // Shared, not copied: reading it is cheap. Writing it out would not be, and is not asked for.
        let read = yaml::load_str(&text, Path::new("bomb.yml"));
        if let Ok(loaded) = read {
            assert_eq!(loaded.node.unwrap().as_map().unwrap().len(), 30);
        }
        assert!(peak() < 1500, "{} MB", peak());
    });
}

#[test]
fn deep_yaml_is_refused() {
    yaml_error("[".repeat(DEEP));
    yaml_error(format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)));
    yaml_error("{a: ".repeat(DEEP));
    yaml_error("- ".repeat(DEEP));
    yaml_error(
        (0..DEEP).map(|depth| format!("{}a:\n", " ".repeat(depth % 1000))).collect::<String>() + "&x *x",
    );
    yaml_error((0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect());
}

struct Nothing;

impl Context for Nothing {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok((name == "x").then(|| Value::from("x".to_owned())))
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn lookup(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        Err(Error::new(format!("there is no lookup {name} here")))
    }
    fn template_source(&self, name: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok((name == "self").then(|| (PathBuf::from("self"), "{% include 'self' %}".to_owned())))
    }
}

fn trusted(text: String) -> Str {
    Str::trusted(text, Arc::new(Origin::new(Path::new("deep"), 1, 1)))
}

/// A value or an error, but an end.
fn render(text: String) {
    bounded(move || {
        let engine = Engine::new();
        let _ = engine.render(&trusted(text.clone()), &Nothing).and_then(|value| value.resolved());
        let _ = engine.outline(&trusted(text));
    });
}

#[test]
fn deep_templates_end() {
    let n = |text: &str| text.repeat(DEEP);
    for text in [
        format!("{{{{ {}1{} }}}}", n("("), n(")")),
        format!("{{{{ {}1{} }}}}", n("["), n("]")),
        format!("{{{{ {}1{} }}}}", n("{1:"), n("}")),
        format!("{{{{ {}x }}}}", n("not ")),
        format!("{{{{ {}1 }}}}", n("-")),
        format!("{{{{ x{} }}}}", n("|upper")),
        format!("{{{{ x{} }}}}", n(".a")),
        format!("{{{{ x{} }}}}", n("[0]")),
        format!("{{{{ x{} }}}}", n("()")),
        format!("{{{{ x{} }}}}", n(" ~ x")),
        format!("{{{{ 1{} }}}}", n(" ** 1")),
        format!("{{{{ x{} }}}}", n(" if x else x")),
        format!("{}{}", n("{% if x %}"), n("{% endif %}")),
        format!("{}{}", n("{% for i in [1] %}"), n("{% endfor %}")),
        n("{% if x %}"),
    ] {
        render(text);
    }
}

#[test]
fn endless_templates_are_stopped() {
    for text in [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% include 'self' %}",
        "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
    ] {
        bounded(move || {
            let engine = Engine::new();
            let rendered = engine.render_file(Path::new("endless.j2"), text, &Options::default(), &Nothing);
            assert!(rendered.is_err(), "{text}: {rendered:?}");
        });
    }
}

#[test]
fn deep_json_ends() {
    bounded(|| {
        let text = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
        let engine = Engine::new();
        let _ = engine.render(&trusted(format!("{{{{ '{text}' | from_json }}}}")), &Nothing);
        let _ = engine.render(&trusted(format!("{{{{ '{text}' | from_yaml }}}}")), &Nothing);
    });
}

/// A file with one line of 200 MB is refused by its size; it takes no memory to find that out.
#[test]
fn enormous_files_are_refused() {
    let file = std::env::temp_dir().join(format!("theseus-enormous-{}.yml", std::process::id()));
    std::fs::File::create(&file).unwrap().set_len(200 << 20).unwrap();
    let before = peak();
    let error = yaml::load_file(&file, &Vault::new()).unwrap_err();
    assert!(error.message.contains("200 MB") && error.hint.is_some(), "{error}");
    let vault = Vault::new();
    let read = Inventory::load(&[file.display().to_string()], &LoadOptions::new("/", &vault));
    assert!(read.is_err_and(|error| error.message.contains("200 MB")));
    std::fs::remove_file(&file).unwrap();
    assert!(peak() < before + 50, "{} MB", peak());
}

#[test]
fn a_long_line_takes_memory_in_proportion() {
    bounded(|| {
        let before = peak();
        let text = format!("a: {}\n", "x".repeat(20 << 20));
        let loaded = yaml::load_str(&text, Path::new("long.yml")).unwrap();
        assert_eq!(loaded.node.unwrap().get("a").unwrap().as_str().unwrap().len(), 20 << 20);
        assert!(peak() < before.max(1500) + 600, "{} MB", peak());
    });
}
