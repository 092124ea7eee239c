//! The command line: arguments in, words and colours out; no logic.

mod arguments;
mod commands;
mod report;
mod setup;
mod terminal;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use arguments::{AnsiblePlaybook, Cli, Command};
use report::{Color, Output, Style};

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let typed = std::env::args().collect::<Vec<_>>().join(" ");
    match name.as_str() {
        "ansible-playbook" => {
            let asked = parse::<AnsiblePlaybook>();
            let style = style(Output::Ansible, Color::Auto);
            ExitCode::from(commands::apply::apply(&asked.playing, style, &typed))
        }
        _ => theseus(&typed),
    }
}

fn theseus(typed: &str) -> ExitCode {
    let cli = parse::<Cli>();
    if let Some(project) = &cli.common.project
        && let Err(error) = std::env::set_current_dir(project)
    {
        eprintln!("error: the project's folder {} cannot be used: {error}", project.display());
        return ExitCode::from(5);
    }
    let style = style(cli.common.output.unwrap_or_else(report::default_output), cli.common.color);
    let code = match &cli.command {
        Command::Apply(asked) => commands::apply::apply(&asked.playing, style, typed),
        Command::Validate(asked) => commands::validate::validate(asked, style),
        Command::Agent { args } => return agent::main_args(args.iter().map(Into::into)),
    };
    ExitCode::from(code)
}

fn style(output: Output, color: Color) -> Style {
    Style { output, paint: color.paint(), verbosity: 0, diff: false, display_skipped: true }
}

/// Wrong options end with 5; help and version with 0.
fn parse<T: Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 5 } else { 0 });
    })
}
