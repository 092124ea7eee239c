//! `validate`: a whole project in one run, for people, for programs and for editors.

use serde_json::Value;

use crate::common::Project;

fn project() -> Project {
    Project::new(&[
        (
            "site.yml",
            "- hosts: localhost\n  roles: [web]\n  tasks:\n    - copy: {src: gone.conf, dest: /tmp/x}\n    - apt: name=vim state=presnt\n    - command: id\n      notify: nobody\n",
        ),
        ("roles/web/tasks/main.yml", "- template: {src: a.j2, dest: /etc/a}\n- fiel: {path: /x}\n"),
        ("roles/web/templates/a.j2", "first\n{{ x | }}\n"),
    ])
}

#[test]
fn people_see_each_line_and_a_hint() {
    insta::assert_snapshot!(project().run(&["validate", "--notes"]).shown());
}

#[test]
fn programs_get_one_object_for_each() {
    let ended = project().run(&["validate", "site.yml", "--output", "json"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<(String, String, u64)> = lines
        .iter()
        .map(|line| {
            assert_eq!(line["event"], line["level"]);
            assert!(line["at"].is_string() && line["message"].is_string(), "{line}");
            let file = line["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            (line["rule"].as_str().unwrap().to_owned(), file, line["line"].as_u64().unwrap())
        })
        .collect();
    let wanted = [
        ("unknown-module", "main.yml", 2),
        ("template", "a.j2", 2),
        ("missing-file", "site.yml", 4),
        ("argument", "site.yml", 5),
        ("missing-handler", "site.yml", 7),
    ];
    for (rule, file, line) in wanted {
        assert!(places.contains(&(rule.to_owned(), file.to_owned(), line)), "{rule}: {places:?}");
    }
}

/// The parts of the format's schema that are used: required keys, kinds, values.
#[test]
fn editors_get_sarif() {
    let ended = project().run(&["validate", ".", "--format", "sarif"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    let log: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "theseus");
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 5, "{results:?}");
    for result in results {
        assert!(matches!(result["level"].as_str(), Some("error" | "warning" | "note")), "{result}");
        assert!(rules.contains(&result["ruleId"].as_str().unwrap()), "{result}");
        assert!(result["message"]["text"].is_string(), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            place["artifactLocation"]["uri"].as_str().is_some_and(|uri| !uri.starts_with('/')),
            "{place}"
        );
        assert_eq!(place["artifactLocation"]["uriBaseId"], "PROJECT");
        assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0), "{place}");
        assert!(place["region"]["startColumn"].as_u64().is_some_and(|column| column > 0), "{place}");
    }
    let base = run["originalUriBaseIds"]["PROJECT"]["uri"].as_str().unwrap();
    assert!(base.starts_with("file://") && base.ends_with('/'), "{base}");
}

#[test]
fn a_project_without_mistakes_ends_with_zero() {
    let project = Project::new(&[("site.yml", "- hosts: localhost\n  tasks: [{ping: {}}]\n")]);
    let ended = project.run(&["validate"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "no mistakes in 1 play\n"), "{}", ended.shown());
}
