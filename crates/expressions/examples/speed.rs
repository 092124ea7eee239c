//! How fast templates are: a cached render of 16 lines beside minijinja's, and an expression compiled and
//! evaluated each time. `speed template` prints the template, for other engines (`bench/expressions.sh`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use expressions::{Context, Engine, Error, Options, Origin, Str, Value};

struct Variables(Value);

impl Context for Variables {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        match &self.0 {
            Value::Dict(all) => all.get(name),
            _ => Ok(None),
        }
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn lookup(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        Err(Error::new(format!("no lookup {name}")))
    }
    fn template_source(&self, _: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok(None)
    }
}

const TEMPLATE: &str = "# {{ title }}
user {{ user | default('www') }};
workers {{ workers * 2 }};
{% if tls %}
listen 443 ssl;
{% else %}
listen 80;
{% endif %}
{% for site in sites %}
server {
  name {{ site.name | upper }};
  port {{ site.port }};
  root /srv/{{ site.name }};
}
{% endfor %}
# end
";

/// Renders a second of one and of the other in turn: what else the machine does hits both.
fn main() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("template") {
        print!("{TEMPLATE}");
        return Ok(());
    }
    let site = |name: &str, port: i64| Value::dict([("name", Value::str(name)), ("port", Value::Int(port))]);
    let variables = Variables(Value::dict([
        ("title", Value::str("A title")),
        ("workers", Value::Int(4)),
        ("tls", Value::Bool(true)),
        ("sites", Value::list(vec![site("alpha", 8080), site("beta", 8081), site("gamma", 8082)])),
        ("x", Value::Int(5)),
    ]));
    let engine = Engine::new();
    let options = Options::default();
    let minijinja = Minijinja::new();
    assert_eq!(
        engine.render_file(Path::new("site.j2"), TEMPLATE, &options, &variables)?,
        minijinja.render(),
        "both render the same"
    );
    let (mut ours, mut theirs) = (0.0, 0.0);
    for _ in 0..5 {
        ours += per_second(20_000, || {
            let text = engine.render_file(Path::new("site.j2"), TEMPLATE, &options, &variables);
            std::hint::black_box(text.expect("rendered before"));
        }) / 5.0;
        theirs += per_second(20_000, || {
            std::hint::black_box(minijinja.render());
        }) / 5.0;
    }
    println!("cached render of 16 lines: {ours:.0}/s");
    println!("the same by minijinja: {theirs:.0}/s, we take {:.2} of its time", theirs / ours);

    let count = 100_000_u32;
    let origin = Arc::new(Origin::new(Path::new("speed"), 1, 1));
    let texts: Vec<Str> = (0..count).map(|n| Str::trusted(format!("x + {n}"), Arc::clone(&origin))).collect();
    let mut next = texts.iter();
    let compiled = per_second(count, || {
        let text = next.next().expect("as many texts as rounds");
        std::hint::black_box(engine.evaluate(text, &variables).expect("a sum"));
    });
    println!("expression compile and eval: {compiled:.0}/s");
    let evaluated = per_second(count, || {
        std::hint::black_box(engine.evaluate(&texts[0], &variables).expect("a sum"));
    });
    println!("compiled expression eval: {evaluated:.0}/s");
    Ok(())
}

fn per_second(count: u32, mut round: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        round();
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// The same template and the same variables in minijinja.
struct Minijinja {
    environment: minijinja::Environment<'static>,
    variables: minijinja::Value,
}

impl Minijinja {
    fn new() -> Self {
        let mut environment = minijinja::Environment::new();
        environment.set_trim_blocks(true);
        environment.set_keep_trailing_newline(true);
        environment.add_template("site.j2", TEMPLATE).expect("a template");
        let site = |name: &str, port: i64| minijinja::context! { name, port };
        let sites = vec![site("alpha", 8080), site("beta", 8081), site("gamma", 8082)];
        let variables = minijinja::context! { title => "A title", workers => 4, tls => true, sites };
        Self { environment, variables }
    }

    fn render(&self) -> String {
        let template = self.environment.get_template("site.j2").expect("it was added");
        template.render(&self.variables).expect("it renders")
    }
}
