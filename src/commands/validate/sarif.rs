//! Findings as SARIF 2.1.0, which editors and code hosts read.

use std::collections::BTreeSet;
use std::path::Path;

use playbook::survey::{Finding, Level};
use serde_json::{Value as Json, json};

/// Every rule, with what it is about.
const RULES: &[(&str, &str)] = &[
    ("argument", "An argument that the module does not have, or a value that it does not take"),
    ("duplicate-key", "A key that is given twice in one mapping"),
    ("missing-file", "A file that is named and is not there"),
    ("missing-handler", "A handler that is notified and does not exist"),
    ("missing-requirement", "A role or collection of requirements.yml that is not installed"),
    ("missing-role", "A role that is used and is not there"),
    ("old-form", "An old way of writing something"),
    ("syntax", "Something that cannot be read as a playbook, a role or variables"),
    ("template", "A template or condition that does not parse"),
    ("undefined-variable", "A variable that nothing defines"),
    ("unknown-filter", "A filter or test that does not exist"),
    ("unknown-module", "A module that does not exist"),
    ("unused-handler", "A handler that nobody notifies"),
];

pub(super) fn rule(finding: &Finding) -> &'static str {
    finding.diagnostic.rule.unwrap_or("syntax")
}

pub(super) fn report(findings: &[Finding], root: &Path) -> String {
    let used: BTreeSet<&str> = findings.iter().map(rule).collect();
    let rules: Vec<Json> = RULES
        .iter()
        .filter(|(id, _)| used.contains(id))
        .map(|(id, text)| json!({ "id": id, "shortDescription": { "text": text } }))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "theseus",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "originalUriBaseIds": { "PROJECT": { "uri": format!("file://{}/", uri(root)) } },
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(|finding| result(finding, root)).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default()
}

fn result(finding: &Finding, root: &Path) -> Json {
    let diagnostic = &finding.diagnostic;
    let mut text = diagnostic.message.clone();
    if let Some(hint) = &diagnostic.hint {
        text.push_str(&format!(" ({hint})"));
    }
    let level = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    };
    let mut result = json!({ "ruleId": rule(finding), "level": level, "message": { "text": text } });
    if let (Json::Object(result), Some(origin)) = (&mut result, &diagnostic.origin) {
        let place = json!({ "physicalLocation": {
            "artifactLocation": artifact(&origin.file, root),
            "region": { "startLine": origin.line.max(1), "startColumn": origin.column.max(1) },
        }});
        result.insert("locations".to_owned(), json!([place]));
    }
    result
}

fn artifact(file: &Path, root: &Path) -> Json {
    match file.strip_prefix(root) {
        Ok(inside) => json!({ "uri": uri(inside), "uriBaseId": "PROJECT" }),
        Err(_) => json!({ "uri": format!("file://{}", uri(file)) }),
    }
}

/// The path with everything encoded that a URI cannot hold.
fn uri(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let mut uri = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if plain(*byte) { uri.push(char::from(*byte)) } else { uri.push_str(&format!("%{byte:02X}")) }
    }
    uri
}
