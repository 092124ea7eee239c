//! Which outputs a run has: the format itself, and what `ansible.cfg`, the environment or flags add to it.

use std::path::PathBuf;

use playbook::Diagnostic;
use run::event::Sink;

use crate::arguments::Own;
use crate::report::{self, Junit, Minimal, Output, Style, Timing, Ways};
use crate::setup::Base;

/// Callbacks that show or keep something which is shown or kept anyway.
const HARMLESS: &[&str] = &["default", "tree", "null"];

pub(crate) fn sink(style: Style, own: &Own, base: &mut Base) -> Box<dyn Sink> {
    let mut sink = shown(style, base);
    let mut ways = Ways { tasks: own.times, total: own.times };
    let mut junit = own.junit.clone();
    for name in base.config.list("CALLBACKS_ENABLED").to_vec() {
        match name.rsplit('.').next().unwrap_or_default() {
            "profile_tasks" => ways.tasks = true,
            "timer" => ways.total = true,
            "junit" => _ = junit.get_or_insert_with(junit_folder),
            "" => {}
            other if HARMLESS.contains(&other) => {}
            _ => refuse(
                base,
                format!("the callback `{name}` is not one that Theseus has"),
                "`profile_tasks`, `timer` and `junit` are; `--output json` is for programs of your own",
            ),
        }
    }
    if let Some(dir) = junit {
        sink = Box::new(Junit::new(sink, dir));
    }
    if ways.tasks || ways.total { Box::new(Timing::new(sink, ways)) } else { sink }
}

/// The format: what was asked for here, or `stdout_callback` under Ansible's name.
fn shown(style: Style, base: &mut Base) -> Box<dyn Sink> {
    if style.output != Output::Ansible {
        return report::sink(style);
    }
    if style.verbosity > 0 {
        println!("{}", whose_settings(base));
    }
    if base.config.text("CALLBACK_RESULT_FORMAT").is_some_and(|format| format != "json") {
        refuse(
            base,
            "results are shown as JSON, not as `callback_result_format` says".to_owned(),
            "remove the setting",
        );
    }
    let named = base.config.text("DEFAULT_STDOUT_CALLBACK").unwrap_or("default").to_owned();
    match named.rsplit('.').next().unwrap_or_default() {
        "minimal" => Box::new(Minimal::new(style, false)),
        "oneline" => Box::new(Minimal::new(style, true)),
        "default" | "" => report::sink(style),
        _ => {
            let text = format!(
                "the format `{named}` of `stdout_callback` is not one that Theseus has; the default one is used"
            );
            refuse(
                base,
                text,
                "`default`, `minimal` and `oneline` are; `theseus apply --output json` prints JSON",
            );
            report::sink(style)
        }
    }
}

fn whose_settings(base: &Base) -> String {
    match &base.config.file {
        Some(file) => format!("Using {} as config file", file.display()),
        None => "No config file found; using defaults".to_owned(),
    }
}

fn refuse(base: &mut Base, text: String, hint: &str) {
    base.warnings.push(Diagnostic::warning(text).hint(hint));
}

fn junit_folder() -> PathBuf {
    match std::env::var_os("JUNIT_OUTPUT_DIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => playbook::search::expand_home("~/.ansible.log"),
    }
}
