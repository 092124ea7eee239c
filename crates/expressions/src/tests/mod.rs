//! Tests (`is …`): Jinja's and Ansible's own.

mod addresses;
mod basic;
mod files;
mod results;
mod versions;

use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::Value;

pub(crate) use versions::compare_loose as loose_order;

pub(crate) type Function = fn(&Run<'_>, &Value, Args) -> Result<bool, Error>;

#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) function: Function,
    pub(crate) takes_undefined: bool,
}

pub(crate) fn find(name: &str) -> Option<Test> {
    if let Some((collection, name)) = name.rsplit_once('.')
        && collection == "ansible.utils"
    {
        return addresses::find(name);
    }
    let name = crate::filters::short_name(name);
    let takes_undefined = matches!(name, "defined" | "undefined");
    let shelves: [fn(&str) -> Option<Function>; 4] =
        [basic::find, results::find, files::find, versions::find];
    let function = shelves.iter().find_map(|shelf| shelf(name))?;
    Some(Test { function, takes_undefined })
}

/// The collection that a test of the engine's belongs to, and the test's name in it.
pub(crate) fn home(name: &str) -> (&str, &str) {
    let short = crate::filters::short_name(name);
    short.rsplit_once('.').unwrap_or(("ansible.builtin", short))
}

fn argument<'a>(args: &'a Args, test: &str) -> Result<&'a Value, Error> {
    if args.positional.len() + args.named.len() > 1 {
        return Err(Error::new(format!("the test '{test}' takes one argument only")));
    }
    args.positional
        .first()
        .or_else(|| args.named.first().map(|(_, value)| value))
        .ok_or_else(|| Error::new(format!("the test '{test}' needs an argument")))
}
