//! How fast templates are: a cached render of 16 lines, and an expression compiled and evaluated each time.

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

fn main() -> Result<(), Error> {
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
    let count = 100_000_u32;
    let start = Instant::now();
    for _ in 0..count {
        std::hint::black_box(engine.render_file(Path::new("site.j2"), TEMPLATE, &options, &variables)?);
    }
    println!("cached render of 16 lines: {:.0}/s", f64::from(count) / start.elapsed().as_secs_f64());

    let origin = Arc::new(Origin::new(Path::new("speed"), 1, 1));
    let texts: Vec<Str> = (0..count).map(|n| Str::trusted(format!("x + {n}"), Arc::clone(&origin))).collect();
    let start = Instant::now();
    for text in &texts {
        std::hint::black_box(engine.evaluate(text, &variables)?);
    }
    println!("expression compile and eval: {:.0}/s", f64::from(count) / start.elapsed().as_secs_f64());
    let start = Instant::now();
    for _ in 0..count {
        std::hint::black_box(engine.evaluate(&texts[0], &variables)?);
    }
    println!("compiled expression eval: {:.0}/s", f64::from(count) / start.elapsed().as_secs_f64());
    Ok(())
}
