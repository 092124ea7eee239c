//! A JUnit report of a run (`--junit DIR`, or the callback `junit` with `JUNIT_OUTPUT_DIR`): a test case for each
//! task on each host.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use run::event::{Ended, Event, Sink, Status};

use super::words;

pub(crate) struct Junit {
    inner: Box<dyn Sink>,
    dir: PathBuf,
    playbook: String,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    class: String,
    seconds: f64,
    status: Status,
    text: String,
}

impl Junit {
    pub(crate) fn new(inner: Box<dyn Sink>, dir: PathBuf) -> Self {
        Self { inner, dir, playbook: "playbook".to_owned(), cases: Vec::new() }
    }

    fn ended(&mut self, ended: &Ended) {
        // Items of a loop are part of their task.
        if ended.item.is_some() {
            return;
        }
        let place =
            ended.step.origin.as_ref().map(|origin| format!("{}:{}", origin.file.display(), origin.line));
        self.cases.push(Case {
            name: format!("[{}] {}: {}", ended.host, ended.step.play, ended.step.name),
            class: place.unwrap_or_else(|| ended.step.action.to_string()),
            seconds: ended.seconds,
            status: ended.status,
            text: if ended.status.is_failure() { words::reason(&ended.result) } else { String::new() },
        });
    }

    fn write(&self) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&self.dir)?;
        let stamp = jiff::Timestamp::now().as_microsecond();
        let file =
            self.dir.join(format!("{}-{}.{:06}.xml", self.playbook, stamp / 1_000_000, stamp % 1_000_000));
        std::fs::write(&file, report(&self.playbook, &self.cases))?;
        Ok(file)
    }
}

fn is_failed(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Unreachable)
}

fn report(playbook: &str, cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| is_failed(case.status)).count();
    let skipped = cases.iter().filter(|case| case.status == Status::Skipped).count();
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.6}\"",
        cases.len()
    );
    // The outer element has no `skipped` in the schema.
    let outer = counts.replace(&format!(" skipped=\"{skipped}\""), &format!(" disabled=\"{}\"", 0));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites {outer}>\n  <testsuite name=\"{}\" disabled=\"0\" {counts}>\n",
        escaped(playbook)
    );
    for case in cases {
        let _ = write!(
            xml,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"",
            escaped(&case.class),
            escaped(&case.name),
            case.seconds
        );
        let _ = match case.status {
            Status::Skipped => writeln!(xml, "><skipped/></testcase>"),
            status if is_failed(status) => {
                let text = escaped(&case.text);
                writeln!(
                    xml,
                    "><failure message=\"{text}\" type=\"{}\">{text}</failure></testcase>",
                    status.word()
                )
            }
            _ => writeln!(xml, "/>"),
        };
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// XML has no word for most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

impl Sink for Junit {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Playbook { file } if self.cases.is_empty() => {
                let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
                self.playbook = name.into_owned();
            }
            Event::Ended(ended) => self.ended(ended),
            _ => {}
        }
        self.inner.event(event);
        if let Event::Recap(_) = event
            && let Err(error) = self.write()
        {
            let text = format!("the JUnit report cannot be written into {}: {error}", self.dir.display());
            self.inner.event(&Event::Warning(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_skips_are_told_and_texts_are_escaped() {
        let case = |name: &str, status, text: &str| Case {
            name: name.to_owned(),
            class: "a.yml:3".to_owned(),
            seconds: 0.5,
            status,
            text: text.to_owned(),
        };
        let cases = [
            case("fine", Status::Changed, ""),
            case("not <now>", Status::Skipped, ""),
            case("bad", Status::Failed, "a & \"b\"\u{7}"),
        ];
        let xml = report("site", &cases);
        assert!(xml.contains("<testsuite name=\"site\" disabled=\"0\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"1.500000\">"), "{xml}");
        assert!(xml.contains("name=\"not &lt;now&gt;\" time=\"0.500000\"><skipped/>"), "{xml}");
        assert!(xml.contains("<failure message=\"a &amp; &quot;b&quot;?\" type=\"failed\">"), "{xml}");
    }
}
