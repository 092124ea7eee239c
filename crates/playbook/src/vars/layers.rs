//! The order of precedence, from the highest layer down.

use std::ops::ControlFlow;
use std::sync::Arc;

use expressions::{Error, Value};

use super::cleaning::is_connection;
use super::play::to_error;
use super::scope::Inner;
use super::{combine, files};
use crate::ir::{Role, Vars, VarsKind};

/// A value as it stands in its layer.
pub(super) enum Found {
    /// May hold templates.
    Raw(Value),
    /// Is what it is.
    Final(Value),
}

/// Takes what the layers hold, highest first; says whether that is enough.
struct Taker {
    merge: bool,
    found: Option<Found>,
}

impl Taker {
    fn take(&mut self, found: Found) -> ControlFlow<()> {
        self.found = Some(match (self.found.take(), found) {
            (None, found) => found,
            // Merging: what was found is higher.
            (Some(Found::Raw(high) | Found::Final(high)), Found::Raw(low) | Found::Final(low)) => {
                Found::Raw(combine(&low, &high))
            }
        });
        match &self.found {
            Some(Found::Raw(Value::Dict(_)) | Found::Final(Value::Dict(_))) if self.merge => {
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }
    fn vars(&mut self, vars: &Vars, name: &str) -> ControlFlow<()> {
        match vars.get(name) {
            // A lower value of another kind does not mix with a higher dict.
            Some(value) if self.found.is_some() && !matches!(value, Value::Dict(_)) => ControlFlow::Break(()),
            Some(value) => self.take(Found::Raw(value.clone())),
            None => ControlFlow::Continue(()),
        }
    }
    fn last(&mut self, value: Option<Value>) -> ControlFlow<()> {
        value.map_or(ControlFlow::Continue(()), |value| self.take(Found::Final(value)))
    }
}

type Step = Result<ControlFlow<()>, Error>;

macro_rules! step {
    ($flow:expr) => {
        if $flow.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    };
}

impl Inner {
    /// The value of a name, where it is highest.
    pub(super) fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let mut taker = Taker { merge: self.variables.merges(), found: None };
        let _ = self.walk(name, &mut taker)?;
        Ok(taker.found)
    }

    fn walk(&self, name: &str, taker: &mut Taker) -> Step {
        step!(taker.vars(&self.variables.extra, name));
        let role = if self.bare { None } else { self.task.as_ref().and_then(|task| task.role.as_deref()) };
        step!(self.params(name, role, taker));
        if let Some(host) = &self.host {
            let state = self.variables.host(host);
            step!(taker.last(state.result(name)?));
            step!(
                state.included(name).map_or(ControlFlow::Continue(()), |value| taker.take(Found::Raw(value)))
            );
        }
        if !self.bare {
            step!(self.own(name, role, taker));
            step!(self.of_play(name, taker)?);
        }
        step!(self.of_host(name, taker)?);
        if !self.bare {
            step!(self.defaults(name, role, taker));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Parameters of includes, then of roles.
    fn params(&self, name: &str, role: Option<&Role>, taker: &mut Taker) -> ControlFlow<()> {
        for layer in self.task_layers().filter(|layer| layer.kind == VarsKind::IncludeParams) {
            taker.vars(&layer.vars, name)?;
        }
        let Some(role) = role else { return ControlFlow::Continue(()) };
        taker.vars(&role.params, name)?;
        for parent in role.chain.iter().rev() {
            taker.vars(&parent.params, name)?;
        }
        ControlFlow::Continue(())
    }

    fn task_layers(&self) -> impl Iterator<Item = &crate::ir::VarsLayer> {
        let task = self.task.as_ref().filter(|_| !self.bare);
        task.into_iter().flat_map(|task| task.keywords.vars.iter().rev())
    }

    /// Variables of the task, its blocks and its role.
    fn own(&self, name: &str, role: Option<&Role>, taker: &mut Taker) -> ControlFlow<()> {
        for layer in self.task_layers().filter(|layer| matches!(layer.kind, VarsKind::Task | VarsKind::Block))
        {
            taker.vars(&layer.vars, name)?;
        }
        let Some(role) = role else { return ControlFlow::Continue(()) };
        taker.vars(&role.entry_vars, name)?;
        taker.vars(&role.vars, name)?;
        for dependency in role.all_dependencies().iter().rev() {
            taker.vars(&dependency.vars, name)?;
        }
        for parent in role.chain.iter().rev() {
            taker.vars(&parent.vars, name)?;
            taker.vars(&parent.entry_vars, name)?;
        }
        ControlFlow::Continue(())
    }

    /// Variables of the play's roles, its files, prompts and the play itself.
    fn of_play(&self, name: &str, taker: &mut Taker) -> Step {
        for role in self.play.roles().iter().rev().filter(|role| role.public) {
            step!(taker.vars(&role.vars, name));
        }
        if !self.without_files && !self.play.play.vars_files.is_empty() {
            let host = self.host.clone().unwrap_or_else(|| "".into());
            let vars = self.play.files(&self.variables, &self.for_files(), &host)?;
            step!(taker.vars(&vars, name));
        }
        step!(taker.vars(&self.play.prompts(), name));
        step!(taker.vars(&self.play.play.vars, name));
        Ok(ControlFlow::Continue(()))
    }

    /// Facts, then what inventory and files beside it say of the host.
    fn of_host(&self, name: &str, taker: &mut Taker) -> Step {
        let Some(host) = &self.host else { return Ok(ControlFlow::Continue(())) };
        let state = self.variables.host(host);
        if self.variables.config.inject_facts_as_vars && !super::cleaning::is_reserved_fact(name) {
            // One that is known may be another when they are gathered anew.
            if let Some(what) = state.pending(name)
                && !is_connection(name)
                && taker.found.is_none()
            {
                return Err(Error::pending(what));
            }
            step!(taker.last(state.fact(name)));
        }
        let base = self.variables.base(host, &self.play.play.dir).map_err(to_error)?;
        Ok(taker.vars(&base, name))
    }

    /// Defaults of the role, of those around it, of what it depends on, of the play's other roles.
    fn defaults(&self, name: &str, role: Option<&Role>, taker: &mut Taker) -> ControlFlow<()> {
        if let Some(role) = role {
            taker.vars(&role.defaults, name)?;
            for parent in role.chain.iter().rev() {
                taker.vars(&parent.defaults, name)?;
            }
            for dependency in role.all_dependencies().iter().rev() {
                taker.vars(&dependency.defaults, name)?;
            }
        }
        for role in self.play.roles().iter().rev().filter(|role| role.public) {
            taker.vars(&role.defaults, name)?;
        }
        ControlFlow::Continue(())
    }

    /// Every name that some layer holds.
    pub(super) fn all_names(&self) -> Vec<Arc<str>> {
        let mut all = Vars::new();
        let mut add = |vars: &Vars| files::extend(&mut all, vars, false);
        add(&self.variables.extra);
        self.task_layers().for_each(|layer| add(&layer.vars));
        if !self.bare {
            if let Some(role) = self.task.as_ref().and_then(|task| task.role.as_ref()) {
                [&role.params, &role.entry_vars, &role.vars, &role.defaults]
                    .into_iter()
                    .for_each(|vars| add(vars));
                for parent in role.chain.iter() {
                    [&parent.params, &parent.entry_vars, &parent.vars, &parent.defaults]
                        .into_iter()
                        .for_each(|vars| add(vars));
                }
            }
            for role in self.play.roles().iter().filter(|role| role.public) {
                add(&role.vars);
                add(&role.defaults);
            }
            add(&self.play.play.vars);
            add(&self.play.prompts());
            let host = self.host.clone().unwrap_or_else(|| "".into());
            if let (false, Ok(vars)) =
                (self.without_files, self.play.files(&self.variables, &self.for_files(), &host))
            {
                add(&vars);
            }
        }
        let mut names: indexmap::IndexSet<Arc<str>> = all.into_keys().collect();
        if let Some(host) = &self.host {
            if let Ok(base) = self.variables.base(host, &self.play.play.dir) {
                names.extend(base.keys().cloned());
            }
            names.extend(self.variables.host(host).names(self.variables.config.inject_facts_as_vars));
        }
        names.extend(self.extras.keys().cloned());
        names.extend(super::magic::NAMES.iter().map(|name| Arc::from(*name)));
        names.into_iter().collect()
    }
}
