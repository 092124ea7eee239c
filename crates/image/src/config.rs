//! The OCI image configuration.

use serde_json::{Map, Value, json};

use crate::plan::Run;
use crate::store::LayerRecord;

/// The configuration of the base goes first; what the definition says replaces it.
pub(crate) fn config(
    inherited: &Value,
    run: &Run,
    labels: &Map<String, Value>,
    epoch: i64,
    layers: &[LayerRecord],
    init: bool,
) -> Value {
    let mut inner = inherited.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut env: Vec<Value> = inner.get("Env").and_then(Value::as_array).cloned().unwrap_or_default();
    if env.is_empty() {
        env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    }
    for (name, value) in &run.env {
        env.retain(|one| one.as_str().is_none_or(|one| !one.starts_with(&format!("{name}="))));
        env.push(format!("{name}={value}").into());
    }
    inner.insert("Env".into(), env.into());
    if !run.entrypoint.is_empty() || !run.cmd.is_empty() {
        inner.remove("Entrypoint");
        inner.remove("Cmd");
    }
    if !run.entrypoint.is_empty() {
        inner.insert("Entrypoint".into(), json!(run.entrypoint));
    }
    if !run.cmd.is_empty() {
        inner.insert("Cmd".into(), json!(run.cmd));
    }
    if !inner.contains_key("Cmd") && !inner.contains_key("Entrypoint") {
        inner.insert("Cmd".into(), if init { json!(["/sbin/init"]) } else { json!(["/bin/sh"]) });
        if init {
            inner.insert("StopSignal".into(), "SIGRTMIN+3".into());
        }
    }
    if !run.ports.is_empty() {
        let ports: Map<String, Value> = run.ports.iter().map(|port| (port_name(port), json!({}))).collect();
        inner.insert("ExposedPorts".into(), ports.into());
    }
    if let Some(user) = &run.user {
        inner.insert("User".into(), user.clone().into());
    }
    if let Some(dir) = &run.workdir {
        inner.insert("WorkingDir".into(), dir.clone().into());
    }
    inner.insert("Labels".into(), Value::Object(merged(inherited, labels)));
    let created = when(epoch);
    let history: Vec<Value> =
        layers.iter().map(|layer| json!({"created": created, "created_by": layer.made_by})).collect();
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    json!({
        "created": created,
        "architecture": inherited.get("architecture").cloned().unwrap_or_else(|| architecture().into()),
        "os": "linux",
        "config": inner,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    })
}

fn merged(inherited: &Value, labels: &Map<String, Value>) -> Map<String, Value> {
    let mut all = inherited.pointer("/config/Labels").and_then(Value::as_object).cloned().unwrap_or_default();
    all.extend(labels.clone());
    let mut sorted: Vec<_> = all.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted.into_iter().collect()
}

fn port_name(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

/// The OCI's names are those of Go.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// RFC 3339.
pub(crate) fn when(epoch: i64) -> String {
    jiff::Timestamp::from_second(epoch).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
