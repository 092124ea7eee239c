//! `validate_argument_spec`: arguments of roles against their written specification.

use catalog::{Arg, Check, ModuleSpec};
use expressions::{Error, Value};

use super::Action;
use crate::argspec;
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec =
    ModuleSpec::builtin("validate_argument_spec", ARGS).check(Check::Query).open();

const ARGS: &[Arg] = &[Arg::raw("argument_spec").required(), Arg::raw("provided_arguments")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    use expressions::Context as _;
    let Some(spec) = action.get("argument_spec")? else {
        return Ok(Work::Done(results::failed(
            "`validate_argument_spec` needs the argument `argument_spec`",
        )));
    };
    let Some(spec) = spec.as_dict() else {
        return Ok(Work::Done(results::failed("the argument `argument_spec` must be a dictionary")));
    };
    let given = action.get("provided_arguments")?.and_then(|v| v.as_dict());
    let find = |name: &str| -> Result<Option<Value>, Error> {
        if let Some(given) = &given
            && let Some(value) = given.get(name)?
        {
            return Ok(Some(value));
        }
        action.scope.variable(name)
    };
    let problems = argspec::check(&spec, &find)?;
    if problems.is_empty() {
        let mut result = results::ok(false);
        result.insert("msg".to_owned(), "The arg spec validation passed".into());
        return Ok(Work::Done(result));
    }
    let mut result = results::failed(format!("Validation of arguments failed:\n{}", problems.join("\n")));
    result.insert("argument_errors".to_owned(), problems.into());
    Ok(Work::Done(result))
}
