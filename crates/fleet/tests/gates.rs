//! Gates ask real servers and commands; fail, inconclusive and error are three different things.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet::engine::{Generation, Health, MemberId, Verdict};
use fleet::gates::{Cohorts, Probe, Question, health};
use fleet::traffic::Server;

const PATIENCE: Duration = Duration::from_secs(20);

type Asked = Arc<Mutex<Vec<String>>>;

/// Answers each request by its first line; keeps what was asked.
fn server(answer: fn(&str) -> (u16, String)) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let kept = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let (status, body) = answer(request.lines().next().unwrap_or_default());
            kept.lock().unwrap().push(request);
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    (address, asked)
}

/// A port that nobody listens on.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn cohorts() -> Cohorts {
    Cohorts {
        fleet: "web".to_owned(),
        rollout: "web-r2".to_owned(),
        new: Some("v2".into()),
        old: Some("v1".into()),
        ..Cohorts::default()
    }
}

fn ask(question: &Question) -> Verdict {
    question.ask(&cohorts(), None, PATIENCE)
}

fn fails(verdict: &Verdict, with: &str) -> bool {
    matches!(verdict, Verdict::Fail(why) if why.contains(with))
}

fn errs(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Error(why) if !why.is_empty())
}

/// A Prometheus: `errors` is 0.5 for v1 and 2 for v2, `nothing` has no data, `scalar` is 7, all else is refused.
fn prometheus(line: &str) -> (u16, String) {
    let value = |value: &str| {
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#
        )
    };
    let body = match line {
        line if line.contains("errors%7Bv%3D%22v2%22%7D") => value("2"),
        line if line.contains("errors%7Bv%3D%22v1%22%7D") => value("0.5"),
        line if line.contains("query=nan") => value("NaN"),
        line if line.contains("query=nothing") => {
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_owned()
        }
        line if line.contains("query=scalar") => {
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#.to_owned()
        }
        line if line.contains("query=text") => return (502, "bad gateway".to_owned()),
        _ => return (400, r#"{"status":"error","error":"parse error"}"#.to_owned()),
    };
    (200, body)
}

#[test]
fn a_metric_is_asked_for_both_generations() {
    let (address, asked) = server(prometheus);
    let metric = |query: &str, max, min, ratio| {
        ask(&Question::Metric { url: format!("http://{address}/"), query: query.to_owned(), max, min, ratio })
    };
    let errors = "errors{v=\"{generation}\"}";
    assert_eq!(metric(errors, Some(3.0), None, None), Verdict::Pass);
    assert!(fails(&metric(errors, Some(1.0), None, None), "2 is more than 1"));
    assert!(fails(&metric(errors, None, Some(3.0), None), "2 is less than 3"));
    assert_eq!(metric(errors, None, None, Some(4.0)), Verdict::Pass);
    assert!(fails(&metric(errors, None, None, Some(3.0)), "3 times 0.5 of the old ones"));
    assert_eq!(metric("scalar", Some(7.0), None, None), Verdict::Pass);
    // No data is neither good nor bad; what is refused or is no Prometheus is an error.
    assert_eq!(metric("nothing", Some(1.0), None, None), Verdict::Inconclusive);
    assert_eq!(metric("nan", Some(1.0), None, None), Verdict::Inconclusive);
    for query in ["sum(", "text"] {
        assert!(errs(&metric(query, Some(1.0), None, None)), "{query}");
    }
    let gone = Question::Metric {
        url: format!("http://{}", nobody()),
        query: "up".to_owned(),
        max: Some(1.0),
        min: None,
        ratio: None,
    };
    assert!(errs(&ask(&gone)));
    assert!(asked.lock().unwrap()[0].starts_with("GET /api/v1/query?query="));
}

#[test]
fn a_webhook_is_told_what_it_is_about() {
    let (address, asked) = server(|line| {
        let status = line.split(['/', ' ']).find_map(|word| word.parse().ok()).unwrap_or(500);
        (status, String::new())
    });
    let hook = |path: &str| ask(&Question::Webhook(format!("http://{address}/{path}")));
    assert_eq!(hook("200"), Verdict::Pass);
    assert_eq!(hook("202"), Verdict::Inconclusive);
    assert!(fails(&hook("403"), "answers 403"));
    assert!(errs(&hook("500")) && errs(&ask(&Question::Webhook(format!("http://{}/", nobody())))));
    let first = asked.lock().unwrap()[0].clone();
    assert!(first.starts_with("POST /200 "), "{first}");
    assert!(first.contains(r#""fleet":"web""#) && first.contains(r#""to":"v2""#), "{first}");
}

#[test]
fn addresses_and_commands_are_asked() {
    let (address, _) = server(|line| (if line.contains("/fine") { 200 } else { 503 }, "v2".to_owned()));
    assert_eq!(ask(&Question::Http(format!("http://{address}/fine"))), Verdict::Pass);
    assert!(fails(&ask(&Question::Http(format!("http://{address}/"))), "answers 503"));
    assert!(errs(&ask(&Question::Http(format!("http://{}/", nobody())))));
    assert_eq!(ask(&Question::Tcp(address.to_string())), Verdict::Pass);
    assert!(matches!(ask(&Question::Tcp(nobody().to_string())), Verdict::Fail(_)));
    assert!(errs(&ask(&Question::Tcp("no address".to_owned()))));
    let exec = |command: &str| ask(&Question::Exec(command.to_owned()));
    assert_eq!(exec("test \"$THESEUS_FLEET $THESEUS_OLD $THESEUS_NEW\" = 'web v1 v2'"), Verdict::Pass);
    assert!(fails(&exec("exit 1"), "says no"));
    assert_eq!(exec("exit 2"), Verdict::Inconclusive);
    assert!(errs(&exec("exit 3")));
    let slow = Question::Exec("sleep 5".to_owned()).ask(&cohorts(), None, Duration::from_millis(200));
    assert!(errs(&slow));
    assert_eq!(health(&Probe::Http("/fine".to_owned()), address, PATIENCE), Health::Healthy);
    assert_eq!(health(&Probe::Http("/".to_owned()), address, PATIENCE), Health::Sick);
    assert_eq!(health(&Probe::Tcp, nobody(), PATIENCE), Health::Sick);
}

/// Two members in service: one of each generation, with what the balancer has counted.
fn counted(old: (u64, u64, u64), new: (u64, u64, u64)) -> Cohorts {
    let server = |(requests, errors, millis)| Server { requests, errors, millis, ..Server::default() };
    let ids = [MemberId::from("web-1"), MemberId::from("web-2")];
    let generations = [Generation::from("v1"), Generation::from("v2")];
    Cohorts {
        members: BTreeMap::from_iter(
            ids.clone().into_iter().zip(generations.map(|generation| (generation, None))),
        ),
        servers: BTreeMap::from_iter(ids.into_iter().zip([server(old), server(new)])),
        ..cohorts()
    }
}

#[test]
fn the_new_ones_are_compared_with_the_old_ones() {
    let traffic = Question::Traffic { errors: 1.0, slower: Some(3.0), requests: 10 };
    let ask = |now: &Cohorts, before: Option<&Cohorts>| traffic.ask(now, before, PATIENCE);
    assert_eq!(ask(&counted((100, 0, 1000), (100, 1, 1000)), None), Verdict::Pass);
    assert!(fails(&ask(&counted((100, 0, 1000), (100, 2, 1000)), None), "2.0 % of 100"));
    // What the old ones answer badly too is not the new ones' fault.
    assert_eq!(ask(&counted((100, 5, 1000), (100, 5, 1000)), None), Verdict::Pass);
    assert!(fails(&ask(&counted((100, 0, 1000), (100, 0, 3100)), None), "31 ms, the old ones 10 ms"));
    assert_eq!(ask(&counted((100, 0, 1000), (9, 9, 90)), None), Verdict::Inconclusive);
    // Only what came since the last look counts.
    let before = counted((100, 0, 1000), (100, 50, 1000));
    assert_eq!(ask(&counted((200, 0, 2000), (200, 50, 2000)), Some(&before)), Verdict::Pass);
}

#[test]
fn every_new_member_is_asked() {
    let (address, _) = server(|line| (if line.contains("/ready") { 200 } else { 500 }, String::new()));
    let mut of = counted((1, 0, 1), (1, 0, 1));
    for (_, place) in of.members.values_mut() {
        *place = Some(address);
    }
    for server in of.servers.values_mut() {
        server.weight = 100;
    }
    let members = |of: &Cohorts, path: &str| Question::Members(path.to_owned()).ask(of, None, PATIENCE);
    assert_eq!(members(&of, "/ready"), Verdict::Pass);
    assert!(fails(&members(&of, "/"), "web-2 answers 500"));
    // Who has no traffic is not asked, and the old ones never are.
    of.servers.values_mut().for_each(|server| server.weight = 0);
    assert_eq!(members(&of, "/"), Verdict::Pass);
}
