//! Templates with the results that the real templater of ansible-core 2.19 gave for them.

use std::path::PathBuf;
use std::sync::Arc;

use expressions::{Context, Dict, Engine, Error, List, Options, Origin, PendingWhat, Resolve, Str, Value};
use serde_json::Value as Json;

struct Recorded {
    variables: Value,
}

/// Renders what stands in a variable when it is used.
struct Rendering(Arc<Recorded>);

impl Resolve for Rendering {
    fn resolve(&self, raw: &Value) -> Result<Value, Error> {
        match raw {
            Value::Str(text) => Engine::new().render(text, &*self.0),
            other => Ok(lazy(other, &self.0)),
        }
    }
}

fn lazy(value: &Value, recorded: &Arc<Recorded>) -> Value {
    let resolver: Arc<dyn Resolve> = Arc::new(Rendering(Arc::clone(recorded)));
    match value {
        Value::List(list) => Value::from(Arc::new(List::lazy(list.raw_items(), resolver))),
        Value::Dict(dict) => Value::from(Arc::new(Dict::lazy(dict.raw_items(), resolver))),
        other => other.clone(),
    }
}

impl Context for Recorded {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        let Value::Dict(all) = &self.variables else { return Ok(None) };
        let again = Arc::new(Recorded { variables: self.variables.clone() });
        match all.get(name)? {
            Some(Value::Str(text)) if text.is_template() => {
                Rendering(again).resolve(&Value::Str(text)).map(Some)
            }
            Some(value) => Ok(Some(lazy(&value, &again))),
            None => Ok(None),
        }
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn lookup(&self, name: &str, args: &[Value], kwargs: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        match name {
            "env" => {
                let default =
                    kwargs.iter().find(|(name, _)| &**name == "default").map(|(_, value)| value.clone());
                let found = |name: &Value| std::env::var(name.as_str().unwrap_or("")).ok().map(Value::from);
                Ok(args
                    .iter()
                    .map(|name| found(name).or(default.clone()).unwrap_or(Value::str("")))
                    .collect())
            }
            "pipe" => {
                let command = args[0].as_str().unwrap_or("");
                let output = std::process::Command::new("/bin/sh").args(["-c", command]).output();
                let output = output.map_err(|error| Error::new(error.to_string()))?;
                Ok(vec![Value::from(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())])
            }
            "list" => Ok(args.to_vec()),
            "items" => Ok(args
                .iter()
                .flat_map(|item| item.as_list().unwrap_or_else(|| vec![item.clone()]))
                .collect()),
            other => Err(Error::syntax(format!("no lookup {other}"))),
        }
    }
    fn template_source(&self, name: &str) -> Result<Option<(PathBuf, String)>, Error> {
        let text = match name {
            "inc.j2" => "INC {{ x }}",
            "mac.j2" => "{% macro hi(n) %}hi {{ n }} {{ x | default('noctx') }}{% endmacro %}",
            "base.j2" => "<{% block b %}base{% endblock %}>",
            _ => return Ok(None),
        };
        Ok(Some((PathBuf::from(name), text.to_owned())))
    }
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::new(std::path::Path::new("test.yml"), 1, 1))
}

/// Numbers that no 64 bits hold, wrapped so that the JSON reader keeps them.
fn keep_big(text: &str) -> String {
    let mut out = String::new();
    let (mut in_string, mut escaped, mut digits) = (false, false, String::new());
    for c in text.chars() {
        if !in_string
            && (c.is_ascii_digit() || c == '-' || c == '.' || c == 'e' || c == '+' && !digits.is_empty())
            && (c != 'e' || !digits.is_empty())
        {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let whole = digits.strip_prefix('-').unwrap_or(&digits);
            let big = whole.len() > 18 && whole.bytes().all(|b| b.is_ascii_digit());
            out.push_str(&if big { format!("{{\"__big__\": \"{digits}\"}}") } else { digits.clone() });
            digits.clear();
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(c);
    }
    out + &digits
}

fn value_of(json: &Json, trusted: bool) -> Value {
    match json {
        Json::String(text) if trusted => Value::Str(Str::trusted(text.as_str(), origin())),
        Json::Array(items) => {
            Value::from(Arc::new(List::new(items.iter().map(|item| value_of(item, trusted)).collect())))
        }
        Json::Object(entries) => match entries.get("__big__").and_then(Json::as_str) {
            Some(digits) => Value::big(digits.parse().expect("digits")),
            None => {
                let key = |key: &String| Value::str(key.as_str());
                Value::from(entries.iter().map(|(k, v)| (key(k), value_of(v, trusted))).collect::<Dict>())
            }
        },
        other => Value::from_json(other),
    }
}

/// The result as the recording writes it.
fn plain(value: &Value) -> String {
    match value {
        _ if value.is_omit() => "'__omit__'".to_owned(),
        Value::Float(f) if !f.is_finite() => format!("'<float>{}'", value.python_repr().expect("a float")),
        Value::Object(object) if object.type_name() == "datetime" => {
            format!("'<datetime>{}'", object.render().expect("a date"))
        }
        Value::Object(object) if object.type_name() == "timedelta" => {
            format!("'<timedelta>{}'", object.render().expect("a span"))
        }
        Value::List(_) | Value::Tuple(_) => {
            let items = value.iterate().expect("a list");
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", "))
        }
        Value::Bytes(_) => plain(&Value::from(format!("<bytes>{}", value.python_repr().expect("a repr")))),
        Value::Dict(dict) => {
            let items = dict.items().expect("a dict");
            let entry =
                |(k, v): &(Value, Value)| format!("'{}': {}", k.python_str().expect("a key"), plain(v));
            format!("{{{}}}", items.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Object(_) => value.resolved().map_or("<object>".to_owned(), |value| {
            if matches!(value, Value::Object(_)) { "<object>".to_owned() } else { plain(&value) }
        }),
        other => other.python_repr().expect("a repr"),
    }
}

/// Is this how the case ended with Ansible: the same value, or an error of the same kind?
fn same(got: &Result<Value, Error>, wanted: &Json, sets: bool) -> bool {
    let failed = wanted.get("__err__").and_then(Json::as_str);
    match (got, failed) {
        (Err(error), Some("undefined")) => error.is_undefined(),
        (Err(_), Some(_)) => true,
        // The templater alone has no task whose argument could be omitted.
        (Ok(got), Some("error")) => got.is_omit(),
        (Ok(got), None) => {
            let wanted = value_of(wanted, false);
            plain(got) == plain(&wanted) || sets && same_set(got, &wanted)
        }
        _ => false,
    }
}

/// The order of Python's sets of strings changes with every start of Python.
fn same_set(got: &Value, wanted: &Value) -> bool {
    let parts = |value: &Value| {
        let mut parts: Vec<String> = value.as_list()?.iter().map(plain).collect();
        parts.sort();
        Some(parts)
    };
    let texts = wanted.as_list().is_some_and(|items| items.iter().any(|item| item.as_str().is_some()));
    texts && parts(got) == parts(wanted)
}

/// The templates of a family that still give something else than with Ansible, so that none is added unseen.
fn known_differences(file: &str) -> std::collections::HashSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/families/differs.json");
    let text = std::fs::read_to_string(path).expect("the list of differences");
    let all: Json = serde_json::from_str(&text).expect("JSON");
    let name = file.trim_start_matches("families/").trim_end_matches(".json");
    let texts = |item: &Json| item.as_str().map(str::to_owned);
    all[name].as_array().map(|items| items.iter().filter_map(texts).collect()).unwrap_or_default()
}

fn compare(file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    let text = std::fs::read_to_string(path).expect("the recording");
    let json: Json = serde_json::from_str(&keep_big(&text)).expect("JSON");
    let variables = value_of(&json["vars"], true);
    if file.starts_with("expressions")
        && let Value::Dict(all) = &variables
    {
        // The recording had integers as keys here, which JSON cannot say.
        all.insert(
            "intkeys",
            Value::dict([(Value::Int(1), Value::str("one")), (Value::Int(2), Value::str("two"))]),
        );
    }
    let context = Recorded { variables };
    let family = file.starts_with("families/");
    let known = known_differences(file);
    // The first two files were recorded with ansible-core alone.
    let engine = Engine::with_options(Options { collections: family, ..Options::default() });
    let cases = json["cases"].as_array().expect("cases");
    let mut wrong = Vec::new();
    for case in cases {
        let template = case["t"].as_str().expect("a template");
        let got = engine.render(&Str::trusted(template, origin()), &context);
        let got = got.and_then(|value| if value.is_omit() || !family { Ok(value) } else { value.resolved() });
        let sets = ["union(", "intersect(", "difference("].iter().any(|filter| template.contains(filter));
        let differs = !same(&got, &case["r"], sets);
        if known.contains(template) {
            if !differs {
                wrong.push(format!("{template}\n   is the same now: take it out of differs.json"));
            }
            continue;
        }
        if differs {
            let failed = case["r"].get("__err__").and_then(Json::as_str);
            let got = got.as_ref().map_or_else(|error| format!("{:?} {error}", error.kind), plain);
            let wanted = failed
                .map_or_else(|| plain(&value_of(&case["r"], false)), |kind| format!("an error: {kind}"));
            println!("DIFFERS {}", Json::from(template));
            wrong.push(format!("{template}\n   wanted {wanted}\n   got    {got}"));
        }
    }
    let differing = wrong.len() + known.len();
    println!(
        "{file}: {} of {} the same, {} known to differ",
        cases.len() - differing,
        cases.len(),
        known.len()
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_three_hundred() {
    compare("expressions-300.json");
}

#[test]
fn our_own_recordings() {
    compare("recorded.json");
}

/// One test for each family that `tests/record.py` has recorded.
macro_rules! families {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            compare(concat!("families/", stringify!($name), ".json"));
        }
    )* };
}

mod family {
    use super::compare;

    families! {
        arithmetic comparison strings formatting slices containers filters_numbers filters_text filters_paths
        filters_lists filters_objects filters_data filters_regex tests versions undefined statements dates
        ipaddr networks address_tests general utils jmespath
    }
}

fn variables(entries: Vec<(&str, Value)>) -> Recorded {
    Recorded { variables: Value::dict(entries) }
}

fn render(template: &str, context: &dyn Context) -> Result<Value, Error> {
    Engine::new().render(&Str::trusted(template, origin()), context)
}

/// A context whose one variable is still on its way.
struct Waiting;

impl Context for Waiting {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        if name == "soon" { Err(Error::pending(PendingWhat::Call(7))) } else { Ok(None) }
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn lookup(&self, _: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        Err(Error::pending(PendingWhat::Facts))
    }
    fn template_source(&self, _: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok(None)
    }
}

#[test]
fn pending_passes_through_everything() {
    for template in [
        "{{ soon | default('x') }}",
        "{{ soon is defined }}",
        "{{ soon.a.b | default(1) }}",
        "{{ lookup('x', errors='ignore') }}",
        "{{ [1] | map('default', soon) | list }}",
        "{% set a = [soon] %}{{ a is defined }}",
        "{% include soon ignore missing %}",
        "a{{ [1, soon] }}b",
        "{% for i in soon %}{% endfor %}",
        "{{ soon | mandatory }}{{ nope }}",
    ] {
        let error = render(template, &Waiting).expect_err(template);
        assert!(error.is_pending().is_some(), "{template}: {error}");
    }
}

#[test]
fn depth_is_an_error_not_a_crash() {
    let deep = 10_000;
    let context = variables(vec![]);
    for template in [
        format!("{{{{ {}1{} }}}}", "(".repeat(deep), ")".repeat(deep)),
        format!("{{{{ {}{} }}}}", "[".repeat(deep), "]".repeat(deep)),
        format!("{{{{ {}1 }}}}", "not ".repeat(deep)),
        format!("{{{{ {}1 }}}}", "- ".repeat(deep)),
        format!("{{{{ x{} }}}}", ".a".repeat(deep)),
        format!("{{{{ x{} }}}}", " | list".repeat(deep)),
        format!("{}{}", "{% if true %}".repeat(deep), "{% endif %}".repeat(deep)),
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".to_owned(),
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        "{% set a = [] %}{% set _ = a.append(a) %}{{ a }}".to_owned(),
    ] {
        let shown = &template[..template.len().min(60)];
        assert!(render(&template, &context).is_err(), "{shown}");
    }
    let mut nested = Value::Int(1);
    for _ in 0..deep {
        nested = Value::list(vec![nested]);
    }
    let context = variables(vec![("nested", nested)]);
    for template in [
        "a{{ nested }}",
        "{{ nested | to_json }}",
        "{{ nested | to_nice_yaml }}",
        "{{ nested == [1] }}x",
        "{{ nested | flatten }}",
    ] {
        let result = render(template, &context);
        assert!(result.is_err() || template.contains("=="), "{template}");
    }
}

#[test]
fn conditions_must_be_boolean() {
    let context = variables(vec![("x", Value::Int(5)), ("list", Value::list(vec![Value::Int(1)]))]);
    let engine = Engine::new();
    let condition = |text: &str| engine.condition(&Value::Str(Str::trusted(text, origin())), &context);
    assert_eq!(condition("x == 5").ok(), Some(true));
    assert_eq!(condition("x is defined and x > 9").ok(), Some(false));
    assert_eq!(condition("{{ x == 5 }}").ok(), Some(true));
    assert!(condition("list").expect_err("a list").message.contains("length"));
    assert!(condition("x").is_err());
    assert!(condition("").is_err());
    assert!(condition("missing").expect_err("undefined").is_undefined());
    assert_eq!(engine.condition(&Value::Bool(true), &context).ok(), Some(true));
    let lenient = Engine::with_options(Options { lenient: true, ..Engine::new().options().clone() });
    assert_eq!(lenient.condition(&Value::Str(Str::trusted("list", origin())), &context).ok(), Some(true));
}

#[test]
fn errors_say_where() {
    let context = variables(vec![]);
    let error = render("a\nb {{ nope }}", &context).expect_err("undefined");
    let place = error.origin.expect("a place");
    assert_eq!((place.line, place.column), (2, 6));
    let engine = Engine::new();
    let source = "#jinja2: trim_blocks: False\nx\n{{ nope.a }}\n";
    let options = Options::default();
    let error =
        engine.render_file(std::path::Path::new("t.j2"), source, &options, &context).expect_err("undefined");
    assert_eq!(error.origin.expect("a place").line, 3);
}

#[test]
fn what_is_undefined_inside_is_said_in_its_place() {
    let context = variables(vec![("x", Value::Int(5))]);
    let text = Str::trusted("[nope, {'a': x, 'b': lost.part}, (x, nope)]", origin());
    let value = Engine::new().evaluate_open(&text, &context).expect("a value");
    let mut told = Vec::new();
    let json = value.to_json_or(&mut |error| {
        told.push(error.message);
        Json::from(format!("<< {} >>", told.len()))
    });
    assert_eq!(json.expect("JSON"), serde_json::json!(["<< 1 >>", {"a": 5, "b": "<< 2 >>"}, [5, "<< 3 >>"]]));
    assert_eq!(told, ["'nope' is undefined", "'lost' is undefined", "'nope' is undefined"]);
}

/// The words are those of ansible-core 2.19 with Python 3.11.
#[test]
fn errors_name_who_raised_them() {
    let context = variables(vec![("s", Value::str("a")), ("list", Value::list(vec![]))]);
    let engine = Engine::new();
    for (expression, words) in [
        ("1 / 0", "Error rendering template: division by zero"),
        ("1 % 0", "Error rendering template: integer modulo by zero"),
        ("1 // 0", "Error rendering template: integer division or modulo by zero"),
        ("1.0 / 0", "Error rendering template: float division by zero"),
        ("1.0 % 0", "Error rendering template: float modulo"),
        ("1.0 // 0", "Error rendering template: float floor division by zero"),
        ("s + 1", "Error rendering template: can only concatenate str (not \"int\") to str"),
        ("1 + s", "Error rendering template: unsupported operand type(s) for +: 'int' and 'str'"),
        ("s ** 2", "Error rendering template: unsupported operand type(s) for ** or pow(): 'str' and 'int'"),
        ("s * 'b'", "Error rendering template: can't multiply sequence by non-int of type 'str'"),
        ("-s", "Error rendering template: bad operand type for unary -: 'str'"),
        ("'%d' % s", "Error rendering template: %d format: a real number is required, not str"),
        ("1 < s", "Error rendering template: '<' not supported between instances of 'int' and 'str'"),
        ("1 in 2", "Error rendering template: argument of type 'int' is not iterable"),
        ("1 in s", "Error rendering template: 'in <string>' requires string as left operand, not int"),
        (
            "list['a':]",
            "Error rendering template: slice indices must be integers or None or have an __index__ method",
        ),
        ("s.index('b')", "Error rendering template: substring not found"),
        ("list.pop()", "Error rendering template: pop from empty list"),
        ("10 ** 400 * 1.0", "Error rendering template: int too large to convert to float"),
        ("10 ** 400 / 3", "Error rendering template: integer division result too large for a float"),
        ("2.0 ** 10000", "Error rendering template: (34, 'Numerical result out of range')"),
        ("{[]: 1}", "Error rendering template: unhashable type: 'list'"),
        ("(1 / 0) | int + 1", "Error rendering template: division by zero"),
        (
            "5 | length",
            "The filter plugin 'ansible.builtin.length' failed: object of type 'int' has no len()",
        ),
        (
            "[1, s] | sum",
            "The filter plugin 'ansible.builtin.sum' failed: unsupported operand type(s) for +: 'int' and 'str'",
        ),
    ] {
        let error = render(&format!("{{{{ {expression} }}}}"), &context).expect_err(expression);
        assert_eq!(error.message, words, "{expression}");
    }
    let condition = Value::Str(Str::trusted("1 / 0 == 1", origin()));
    let error = engine.condition(&condition, &context).expect_err("no condition");
    assert_eq!(error.message, "Error rendering expression: division by zero");
    let error = render("{% for x in 5 %}{% endfor %}", &context).expect_err("no list");
    assert_eq!(error.message, "Error rendering template: 'int' object is not iterable");
}

#[test]
fn files_keep_their_newline_and_obey_the_header() {
    let context = variables(vec![("x", Value::Int(5))]);
    let engine = Engine::new();
    let file = |source: &str| {
        let options = Options::default();
        engine.render_file(std::path::Path::new("t.j2"), source, &options, &context).expect("text")
    };
    assert_eq!(file("a {{ x }}\n"), "a 5\n");
    assert_eq!(file("{% if x %}\nyes\n{% endif %}\n"), "yes\n");
    assert_eq!(
        file("#jinja2: variable_start_string: '[[', variable_end_string: ']]'\n[[ x ]] {{ x }}\n"),
        "5 {{ x }}\n"
    );
    let lines = "#jinja2: line_statement_prefix:'%', line_comment_prefix:'##'\na ## b\n  % for i in [1,\n  2]:\n\n  {{ i }}  ## c\n%- if i > 1\n!\n% endif\n% endfor\n## d\n9% {{ '## e' }}\n";
    assert_eq!(file(lines), "a\n  1  2!\n\n9% ## e\n");
    assert_eq!(file("{% if x: %}yes{% else: %}no{% endif %}"), "yes");
    assert_eq!(file("{{ 'a\\tb' }}\n"), "a\tb\n");
    assert_eq!(file("x\n\n\n"), "x\n\n\n");
    assert_eq!(file("{{ \"a\\n\" }}\n"), "a\n");
    assert_eq!(file("{% for i in [1,2] %}\n  {{ i }}\n  {% endfor %}\nz"), "  1\n    2\n  z");
    assert_eq!(file("{{ [1,2] }}\n{{ none }}|{{ true }}\n"), "[1, 2]\n|True\n");
    let text = |source: &str| render(source, &context).expect("a value");
    assert_eq!(text("{% if x %}\nyes\n{% endif %}\n"), Value::str("yes\n"));
    assert_eq!(text("{{ x }}\n"), Value::Int(5));
    assert_eq!(text("{{ x }}\n\n"), Value::str("5\n\n"));
}

#[test]
fn free_names_are_found() {
    let engine = Engine::new();
    let names = engine.mentions(&Str::trusted(
        "{{ a.b | default(c) }}{% for i in d %}{{ i }}{{ range(e) }}{% endfor %}",
        origin(),
    ));
    assert_eq!(names, ["a", "c", "d", "e"]);
    assert_eq!(engine.mentions_expression(&Str::trusted("x and y[z]", origin())), ["x", "y", "z"]);
}

#[test]
fn untrusted_text_is_no_template() {
    let context = variables(vec![]);
    let text = Str::new("{{ nope }}");
    assert_eq!(Engine::new().render(&text, &context).expect("text").as_str(), Some("{{ nope }}"));
}
