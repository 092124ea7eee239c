//! The command line: arguments in, words and colours out; no logic.

#[macro_use]
mod report;

mod arguments;
mod commands;
mod setup;
mod terminal;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use arguments::{AdHoc, AnsibleInventory, AnsiblePlaybook, AnsibleVault, Cli, Command, Own};
use report::{Color, Output, Style};

/// Names under which the program is the one of Ansible's that is called so.
const NAMES: &[&str] = &["ansible-playbook", "ansible", "ansible-inventory", "ansible-vault"];

fn main() -> ExitCode {
    let mut typed: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let own =
        typed.first().map(Path::new).and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let own = own.unwrap_or_default();
    if NAMES.contains(&own.as_str()) {
        return ansible(&own, typed);
    }
    // `theseus ansible-playbook …` is the same without a symlink.
    if let Some(name) = typed.get(1).filter(|name| NAMES.contains(&name.as_str())).cloned() {
        typed.remove(0);
        return ansible(&name, typed);
    }
    theseus(&typed)
}

fn theseus(typed: &[String]) -> ExitCode {
    let cli = parse::<Cli>(typed);
    if let Some(project) = &cli.common.project
        && let Err(error) = std::env::set_current_dir(project)
    {
        eprintln!("error: the project's folder {} cannot be used: {error}", project.display());
        return ExitCode::from(5);
    }
    let style = style(cli.common.output.unwrap_or_else(report::default_output), cli.common.color);
    let code = match &cli.command {
        Command::Apply(asked) => commands::apply::apply(&asked.playing, &asked.own, style, &recorded(typed)),
        Command::Plan(asked) => commands::plan::plan(asked, style, &recorded(typed)),
        Command::Validate(asked) => commands::validate::validate(asked, style),
        Command::History(asked) => commands::history::history(asked, style),
        Command::Show(asked) => commands::show::show(asked, style, &recorded(typed)),
        Command::Diff(asked) => commands::diff::diff(asked, style, &recorded(typed)),
        Command::Drift(asked) => commands::drift::drift(asked, style, &recorded(typed)),
        Command::Compare(asked) => commands::compare::compare(asked, style, &recorded(typed)),
        Command::Bisect(asked) => commands::bisect::bisect(asked, style, &recorded(typed)),
        Command::Rollback(asked) => commands::rollback::rollback(asked, style, &recorded(typed)),
        Command::Recover(asked) => commands::recover::recover(asked, style, &recorded(typed)),
        Command::Store(asked) => commands::store::store(asked, style, &recorded(typed)),
        Command::Bake(asked) => commands::bake::bake(asked, style, &recorded(typed)),
        Command::Image(asked) => commands::image::image(asked, style, &recorded(typed)),
        Command::Facts(asked) => commands::facts::facts(asked, style, &recorded(typed)),
        Command::Inventory(asked) => commands::inventory::inventory(asked, style),
        Command::Vault(asked) => commands::vault::vault(asked, style),
        Command::Lab(asked) => commands::lab::lab(asked, style),
        Command::Fleet(asked) => commands::fleet::fleet(asked, style),
        Command::Rollout(asked) => commands::rollout::rollout(asked, style),
        Command::Proxy(asked) => commands::proxy::proxy(asked, style),
        Command::Tour(asked) => commands::tour::tour(asked, style),
        Command::Agent { args } => return agent::main_args(args.iter().map(Into::into)),
    };
    ended(code, matches!(cli.command, Command::Apply(_)))
}

fn ansible(name: &str, mut typed: Vec<String>) -> ExitCode {
    terminal::speak_as_ansible();
    let style = style(Output::Ansible, Color::Auto);
    let code = match name {
        "ansible-playbook" => {
            let playing = parse::<AnsiblePlaybook>(&typed).playing;
            commands::apply::apply(&playing, &Own::default(), style, &recorded(&typed))
        }
        "ansible-inventory" => {
            let asked = parse::<AnsibleInventory>(&output_file(typed));
            commands::inventory::inventory(&asked.inventory, style)
        }
        "ansible-vault" => commands::vault::vault(&parse::<AnsibleVault>(&output_file(typed)).vault, style),
        _ => {
            name.clone_into(&mut typed[0]);
            commands::adhoc::adhoc(&parse::<AdHoc>(&typed), style)
        }
    };
    ended(code, matches!(name, "ansible-playbook" | "ansible"))
}

fn ended(code: u8, changes: bool) -> ExitCode {
    ExitCode::from(report::said::ended(code, changes))
}

/// What records say was typed: without the program's folder and without the values of variables.
fn recorded(typed: &[String]) -> String {
    let mut words = typed.to_vec();
    if let Some(program) = words.first_mut()
        && let Some(name) =
            Path::new(program.as_str()).file_name().map(|name| name.to_string_lossy().into_owned())
    {
        *program = name;
    }
    ledger::safe_command(&words)
}

/// Ansible's `--output FILE` has the name of another option here.
fn output_file(typed: Vec<String>) -> Vec<String> {
    typed
        .into_iter()
        .map(|argument| match argument.strip_prefix("--output") {
            Some(rest) if rest.is_empty() || rest.starts_with('=') => format!("--output-file{rest}"),
            _ => argument,
        })
        .collect()
}

fn style(output: Output, color: Color) -> Style {
    if output == Output::Json {
        terminal::speak_to_programs();
    }
    Style { output, paint: color.paint(), verbosity: 0, display_skipped: true, custom_stats: false }
}

/// Wrong options end with 5; help and version with 0.
fn parse<T: Parser>(typed: &[String]) -> T {
    T::try_parse_from(typed).unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 5 } else { 0 });
    })
}
