//! `theseus validate`: read everything, point at every mistake; touches no host.

use crate::arguments::Validate;
use crate::report::{Output, Style};
use crate::setup::{Base, Problem};
use crate::terminal;

pub(crate) fn validate(asked: &Validate, style: Style) -> u8 {
    let json = style.output == Output::Json;
    let mut base = match Base::new(&asked.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    match check(asked, &mut base) {
        Ok((plays, warnings)) => {
            for warning in &warnings {
                terminal::show_one(warning, &base.sources, json);
            }
            if !json {
                let word = if plays == 1 { "play" } else { "plays" };
                println!("no mistakes in {plays} {word}");
            }
            0
        }
        Err(problem) => terminal::show(&problem, &base.sources, json),
    }
}

fn check(asked: &Validate, base: &mut Base) -> Result<(usize, Vec<playbook::Diagnostic>), Problem> {
    let inventory = base.inventory(&asked.hosts)?;
    let variables = base.variables(
        inventory,
        playbook::vars::RunOptions::default(),
        std::sync::Arc::new(playbook::vars::Nowhere),
    );
    let project = base.project(&asked.playbooks)?;
    let dirs: Vec<_> = project.plays.iter().map(|p| p.dir.clone()).collect();
    let (mut warnings, mistakes): (Vec<_>, Vec<_>) =
        variables.preload(&dirs).into_iter().partition(|d| d.warning);
    if !mistakes.is_empty() {
        return Err(Problem::Mistakes(mistakes));
    }
    warnings.append(&mut base.warnings);
    warnings.extend(project.warnings.iter().cloned());
    for unknown in &project.unknown_modules {
        let mut warning = playbook::Diagnostic::warning(format!(
            "the module `{}` is not one that Theseus has; its task fails when it is reached",
            unknown.name
        ))
        .at(&unknown.origin);
        if let Some(near) = &unknown.suggestion {
            warning = warning.hint(format!("did you mean `{near}`?"));
        }
        warnings.push(warning);
    }
    Ok((project.plays.len(), warnings))
}
