//! `fleet`, `rollout` and `proxy`, on lab hosts, with somebody who asks all the while.

use std::process::Stdio;
use std::time::Duration;

use crate::common::{Ended, Project, lab_is_possible};
use load::Load;

mod conformance;
mod drivers;
mod load;
mod traffic;

const APP: &str = include_str!("app.py");

fn python(test: &str) -> bool {
    let there = std::path::Path::new("/usr/bin/python3").exists();
    if !there {
        println!("SKIPPED {test}: no /usr/bin/python3 for the members' service");
    }
    there
}

/// A fleet of its own for this test, taken down however the test ends.
struct Fleet {
    project: Project,
    name: String,
    port: u16,
}

/// A port that nobody has.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Fleet {
    /// On lab hosts, behind the embedded balancer.
    fn new(what: &str, more: &str) -> Self {
        let port = free_port();
        let start = |project: &Project| {
            let app = project.root.join("app.py");
            format!("    lab: {{start: \"exec /usr/bin/python3 {}\"}}\n{more}", app.display())
        };
        Self::of(what, port, start, &format!("{{proxy: \"127.0.0.1:{port}\"}}"))
    }

    fn of(what: &str, port: u16, places: impl Fn(&Project) -> String, traffic: &str) -> Self {
        let project = Project::new(&[("app.py", APP)]);
        let name = format!("{what}{}", std::process::id());
        let text = format!(
            "fleets:\n  {name}:\n    members: 3\n    image: v1\n    port: 8000\n    health: {{http: /health, min_ready: 300ms, boot: 20s, timeout: 2s}}\n    attest: {{http: /version}}\n    traffic: {traffic}\n{}",
            places(&project)
        );
        project.write("theseus.yml", &text);
        Self { project, name, port }
    }

    fn run(&self, words: &[&str]) -> Ended {
        self.project.run(words)
    }

    /// Looks until the fleet is so.
    fn until(&self, right: impl Fn(&str) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let status = self.run(&["fleet", "status", &self.name, "--output", "json"]).fine();
            if right(&status) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{status}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// To another generation, which must go well, and back again.
    fn there_and_back(&self) {
        let shown = self.run(&["rollout", "start", &self.name, "--to", "v2"]);
        assert_eq!(shown.code, 0, "{}", shown.shown());
        let back = self.run(&["rollout", "back", &self.name]);
        assert_eq!(back.code, 2, "{}", back.shown());
        let status = self.run(&["fleet", "status", &self.name]).fine();
        assert!(status.contains("3 of 3 healthy") && status.contains("rolled back"), "{status}");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.project.run(&["fleet", "down", &self.name]);
    }
}

#[test]
fn a_rollout_loses_no_request() {
    let test = "a_rollout_loses_no_request";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let fleet = Fleet::new("calm", "    rollout: {soak: 300ms, bake: 300ms, drain: 5s}\n");
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let load = Load::on(fleet.port);
    let shown = fleet.run(&["rollout", "start", name, "--to", "v2", "--output", "json"]).fine();
    let last = shown.lines().last().unwrap();
    assert!(last.contains(r#""state":"succeeded""#) && last.contains(r#""healthy":3"#), "{last}");
    assert!(
        !shown.lines().any(|line| [r#""healthy":2"#, r#""healthy":1"#].iter().any(|few| line.contains(few))),
        "{shown}"
    );

    // After completion, too; and what was called back is bad from now on.
    assert_eq!(fleet.run(&["rollout", "back", name]).code, 2);
    let refused = fleet.run(&["rollout", "start", name, "--to", "v2"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("known to be bad"), "{}", refused.shown());

    // A controller that is killed in the middle.
    let mut killed = fleet.project.command("theseus", &["rollout", "start", name, "--to", "v3"]);
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let resumed = fleet.run(&["rollout", "resume", name]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 200, "{failed} of {} requests failed", fine + failed);
    let status = fleet.run(&["fleet", "status", name]).fine();
    assert!(status.contains("3 of 3 healthy") && status.contains("v3"), "{status}");
}

#[test]
fn bad_images_go_back_by_themselves() {
    let test = "bad_images_go_back_by_themselves";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let more = "    rollout: {soak: 5s, failures: 0}\n    gates:\n      - {name: errors, traffic: {errors: 1, requests: 5}, every: 500ms}\n";
    let fleet = Fleet::new("bad", more);
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let load = Load::on(fleet.port);
    for (image, why) in
        [("crash", "it ended by itself"), ("wrong", "it runs another"), ("errors", "gate errors fails")]
    {
        let ended = fleet.run(&["rollout", "start", name, "--to", image]);
        assert_eq!(ended.code, 2, "{image}: {}", ended.shown());
        assert!(ended.out.contains(why), "{image}: {}", ended.shown());
        let again = fleet.run(&["rollout", "start", name, "--to", image]);
        assert!(again.code == 1 && again.err.contains("known to be bad"), "{image}: {}", again.shown());
    }
    load.end();
}

#[test]
fn one_rollout_replaces_some_and_changes_the_others_in_place() {
    let test = "one_rollout_replaces_some_and_changes_the_others_in_place";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let port = free_port();
    let places = |project: &Project| {
        let app = project.root.join("app.py");
        format!(
            "    lab: {{start: \"exec /usr/bin/python3 {}\", playbook: site.yml, hosts: web}}\n    budget: {{surge: 1, unavailable: 1}}\n    strategy: [replace, in-place]\n    rollout: {{strategy: canary, percents: [30, 100], bake: 300ms, failures: 0}}\n",
            app.display()
        )
    };
    let fleet = Fleet::of("mixed", port, places, &format!("{{proxy: \"127.0.0.1:{port}\"}}"));
    fleet.project.write(
        "site.yml",
        "- hosts: web\n  gather_facts: false\n  tasks:\n    - copy: {dest: /etc/generation, content: \"{{ theseus_generation }}\"}\n    - command: \"false\"\n      when: theseus_generation == 'v3'\n",
    );
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let plan = fleet.run(&["rollout", "plan", name]).fine();
    assert!(plan.matches("changed in place").count() == 1, "{plan}");
    let members = || {
        let status = fleet.run(&["fleet", "status", name, "--output", "json"]).fine();
        let status: serde_json::Value = serde_json::from_str(status.lines().next().unwrap()).unwrap();
        let all = status["members"].as_array().unwrap().clone();
        let serving = all.iter().filter(|member| member["phase"] == "serving");
        serving
            .map(|member| {
                (
                    member["member"].as_str().unwrap().to_owned(),
                    member["generation"].as_str().unwrap().to_owned(),
                )
            })
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = members();
    let load = Load::on(fleet.port);
    let there = fleet.run(&["rollout", "start", name, "--to", "v2"]);
    assert_eq!(there.code, 0, "{}", there.shown());
    let after = members();
    assert!(after.len() == 3 && after.values().all(|generation| generation == "v2"), "{after:?}");
    // One was replaced, two are who they were.
    assert_eq!(after.keys().filter(|id| before.contains_key(*id)).count(), 2, "{before:?} {after:?}");

    // All in place, and the playbook fails: back to what was good.
    let bad = fleet.run(&["rollout", "start", name, "--to", "v3", "--strategy", "in-place"]);
    assert!(bad.code == 2 && bad.out.contains("failed ("), "{}", bad.shown());
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 100, "{failed} of {} requests failed", fine + failed);
    let back = members();
    assert!(back.len() == 3 && back.values().all(|generation| generation == "v2"), "{back:?}");
    let wrong = fleet.run(&["rollout", "start", name, "--to", "v4", "--strategy", "sideways"]);
    assert!(wrong.code != 0 && wrong.err.contains("in-place"), "{}", wrong.shown());
}

#[test]
fn a_fleet_keeps_its_number() {
    let test = "a_fleet_keeps_its_number";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let fleet = Fleet::new("many", "");
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let mut stays = fleet.project.command("theseus", &["fleet", "up", name, "--stay"]);
    let mut stays = stays.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lab = lab::Lab::pool(&format!("fleet-{name}")).unwrap();
    lab.down(&format!("{name}-1")).unwrap();
    // The dead one is replaced by one of another name.
    fleet.until(|status| {
        status.contains(r#""healthy":3,"total":3"#) && status.contains(&format!(r#""{name}-4""#))
    });
    stays.kill().unwrap();
    stays.wait().unwrap();
    for members in ["4", "2"] {
        fleet.run(&["fleet", "scale", name, members]).fine();
        let status = fleet.run(&["fleet", "status", name]).fine();
        assert!(status.contains(&format!("{members} of {members} healthy, {members} members")), "{status}");
    }
    assert!(fleet.run(&["fleet", "scale", name, "0"]).err.contains("at least one member"));
}

#[test]
fn what_waits_says_why_and_what_moves_it() {
    let test = "what_waits_says_why_and_what_moves_it";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let more = "    rollout: {strategy: canary, percents: [34, 100], approvals: [1]}\n";
    let fleet = Fleet::new("wait", more);
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let plan = fleet.run(&["rollout", "plan", name]).fine();
    assert!(plan.contains("1. 34 %") && plan.contains("a person's yes"), "{plan}");
    assert!(plan.contains("never fewer than 3 healthy, never more than 4 members"), "{plan}");
    // It ends when only a person can move it.
    let waits = fleet.run(&["rollout", "start", name, "--to", "v2"]);
    assert_eq!(waits.code, 4, "{}", waits.shown());
    let status = fleet.run(&["rollout", "status", name]).fine();
    let command = format!("theseus rollout approve {name} --step 1");
    assert!(status.contains("needs a person's yes, since ") && status.contains(&command), "{status}");
    let wrong = fleet.run(&["rollout", "approve", name, "--step", "1", "--plan", "another"]);
    assert!(wrong.code == 1 && wrong.err.contains("that approval is for plan another"), "{}", wrong.shown());
    fleet.run(&["rollout", "pause", name]).fine();
    let paused = fleet.run(&["rollout", "status", name]).fine();
    assert!(paused.contains("paused by ") && paused.contains(&format!("rollout resume {name}")), "{paused}");
    let aborted = fleet.run(&["rollout", "abort", name]);
    assert_eq!(aborted.code, 2, "{}", aborted.shown());
    // Whoever watches sees it end, with its members and the code of its end.
    let watched = fleet.run(&["rollout", "status", name, "--watch"]);
    assert!(watched.code == 2 && watched.out.contains("●●●"), "{}", watched.shown());
}

#[test]
fn wrong_fleets_are_said() {
    let project = Project::new(&[("theseus.yml", "fleets:\n  web:\n    image: v1\n    members: some\n")]);
    let ended = project.run(&["fleet", "up", "web"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("theseus.yml:4:14") && ended.err.contains("whole number"),
        "{}",
        ended.shown()
    );
    let none = Project::new(&[]).run(&["rollout", "plan", "web"]);
    assert!(none.code == 1 && none.err.contains("declares no fleets"), "{}", none.shown());
}
