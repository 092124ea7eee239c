//! The picture of a rollout: requests and errors of each moment, and how many members of which generation serve, as
//! an SVG that needs nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// One moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    pub at: Duration,
    /// Requests that were answered well since the moment before.
    pub fine: u64,
    pub failed: u64,
    /// Members in service, by generation.
    pub serving: BTreeMap<String, u32>,
}

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Duration,
    pub words: String,
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const PLOT: f64 = WIDTH - LEFT - 20.0;
const HIGH: f64 = 170.0;
const TOPS: [f64; 2] = [70.0, 300.0];
const COLOURS: [&str; 6] = ["#4878a8", "#59a14f", "#c98f1b", "#9467bd", "#b5544d", "#7f7f7f"];
const ERRORS: &str = "#c0392b";

struct Picture<'a> {
    moments: &'a [Moment],
    text: String,
}

/// Requests and errors above, members in service below, over time.
#[must_use]
pub fn svg(title: &str, moments: &[Moment], events: &[Event]) -> String {
    let mut picture = Picture { moments, text: String::new() };
    picture.frame(title);
    picture.requests();
    picture.members();
    picture.events(events);
    picture.text.push_str("</svg>\n");
    picture.text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Picture<'_> {
    fn seconds(&self) -> f64 {
        self.moments.last().map_or(1.0, |moment| moment.at.as_secs_f64()).max(0.001)
    }

    fn x(&self, at: Duration) -> f64 {
        LEFT + PLOT * (at.as_secs_f64() / self.seconds()).min(1.0)
    }

    fn put(&mut self, line: std::fmt::Arguments) {
        // A String never refuses.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn words(&mut self, x: f64, y: f64, anchor: &str, words: &str) {
        let words = escaped(words);
        self.put(format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#));
    }

    fn frame(&mut self, title: &str) {
        self.put(format_args!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 530" font-family="sans-serif" font-size="12" fill="#333">"##
        ));
        self.put(format_args!(r##"<rect width="{WIDTH}" height="530" fill="#fff"/>"##));
        let title = escaped(title);
        self.put(format_args!(r#"<text x="{LEFT}" y="26" font-size="17">{title}</text>"#));
        for top in TOPS {
            self.put(format_args!(
                r##"<rect x="{LEFT}" y="{top}" width="{PLOT}" height="{HIGH}" fill="#f7f7f7" stroke="#ccc"/>"##
            ));
        }
        let seconds = self.seconds();
        let step = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0]
            .into_iter()
            .find(|step| seconds / step <= 12.0)
            .unwrap_or(seconds);
        let mut at = 0.0;
        while at <= seconds {
            let x = self.x(Duration::from_secs_f64(at));
            self.words(x, TOPS[1] + HIGH + 18.0, "middle", &format!("{at:.0} s"));
            at += step;
        }
    }

    /// A filled line from the left to the right.
    fn area(&mut self, top: f64, colour: &str, points: &[(f64, f64, f64)]) {
        let mut path = String::new();
        for (index, (x, _, upper)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1},{upper:.1}", if index == 0 { "M" } else { " L" });
        }
        for (x, lower, _) in points.iter().rev() {
            let _ = write!(path, " L{x:.1},{lower:.1}");
        }
        debug_assert!(points.iter().all(|(_, lower, _)| *lower >= top));
        self.put(format_args!(r#"<path d="{path} Z" fill="{colour}" fill-opacity="0.85"/>"#));
    }

    fn requests(&mut self) {
        let top = TOPS[0];
        let mut rates = Vec::new();
        let mut before = Duration::ZERO;
        for moment in self.moments {
            let seconds = moment.at.saturating_sub(before).as_secs_f64().max(0.001);
            before = moment.at;
            rates.push((self.x(moment.at), moment.fine as f64 / seconds, moment.failed));
        }
        let most = rates.iter().map(|(_, rate, _)| *rate).fold(1.0, f64::max);
        let bottom = top + HIGH;
        let points: Vec<_> =
            rates.iter().map(|(x, rate, _)| (*x, bottom, bottom - HIGH * 0.9 * rate / most)).collect();
        self.area(top, COLOURS[0], &points);
        for (x, _, _) in rates.iter().filter(|(_, _, failed)| *failed > 0) {
            self.put(format_args!(
                r#"<line x1="{x:.1}" y1="{top}" x2="{x:.1}" y2="{bottom}" stroke="{ERRORS}" stroke-width="2"/>"#
            ));
        }
        let (fine, failed) = self
            .moments
            .iter()
            .fold((0, 0), |(fine, failed), moment| (fine + moment.fine, failed + moment.failed));
        let words = format!("requests a second (at most {most:.0}): {fine} answered, {failed} failed");
        self.words(LEFT, top - 8.0, "start", &words);
    }

    fn members(&mut self) {
        let top = TOPS[1];
        let mut names: Vec<String> = Vec::new();
        for name in self.moments.iter().flat_map(|moment| moment.serving.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let sums = self.moments.iter().map(|moment| moment.serving.values().sum::<u32>());
        let most = f64::from(sums.max().unwrap_or(1).max(1));
        let bottom = top + HIGH;
        let mut lower = vec![0; self.moments.len()];
        let mut x = LEFT;
        self.words(x, top - 8.0, "start", &format!("members in service (at most {most:.0}):"));
        x += 190.0;
        for (index, name) in names.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let height = |members: u32| bottom - HIGH * 0.9 * f64::from(members) / most;
            let mut points = Vec::new();
            for (moment, low) in self.moments.iter().zip(&mut lower) {
                let high = *low + moment.serving.get(name).copied().unwrap_or(0);
                points.push((self.x(moment.at), height(*low), height(high)));
                *low = high;
            }
            self.area(top, colour, &points);
            let y = top - 18.0;
            self.put(format_args!(r#"<rect x="{x:.1}" y="{y:.1}" width="11" height="11" fill="{colour}"/>"#));
            self.words(x + 15.0, top - 8.0, "start", name);
            x += 35.0 + 7.0 * name.chars().count() as f64;
        }
    }

    fn events(&mut self, events: &[Event]) {
        for (number, event) in events.iter().enumerate() {
            let x = self.x(event.at);
            // Not through the words between the plots.
            for top in TOPS {
                let bottom = top + HIGH;
                self.put(format_args!(
                    r##"<line x1="{x:.1}" y1="{top}" x2="{x:.1}" y2="{bottom}" stroke="#333" stroke-dasharray="4 4"/>"##
                ));
            }
            // Neighbours are not written over each other.
            let y = TOPS[0] + HIGH + 14.0 + 13.0 * (number % 3) as f64;
            let (x, anchor) = if x > WIDTH * 0.7 { (x - 4.0, "end") } else { (x + 4.0, "start") };
            self.words(x, y, anchor, &event.words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_everything_in_its_place() {
        let moment = |at, fine, failed, old, new| Moment {
            at: Duration::from_secs(at),
            fine,
            failed,
            serving: BTreeMap::from([("v1".to_owned(), old), ("v<2>".to_owned(), new)]),
        };
        let moments = [moment(1, 100, 0, 3, 0), moment(2, 50, 1, 2, 1), moment(3, 100, 0, 0, 3)];
        let events = [Event { at: Duration::from_secs(2), words: "bad & back".to_owned() }];
        let text = svg("a rollout", &moments, &events);
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"), "{text}");
        for words in ["250 answered, 1 failed", "v&lt;2&gt;", "bad &amp; back", ERRORS] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(text.matches("<path").count(), 3, "{text}");
        assert_eq!(text.matches('<').count(), text.matches('>').count());
        assert!(svg("nothing", &[], &[]).contains("0 answered, 0 failed"));
    }
}
