//! What was learned in this run and stays true until a change says otherwise.

#[derive(Default)]
pub struct Cache {}
