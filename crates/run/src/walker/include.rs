//! `include_tasks` and `include_role`: read when they are reached, for each item of their loop.

use std::sync::Arc;

use catalog::{Json, Map};
use expressions::{Error, Value};
use playbook::Diagnostic;
use playbook::ir::{Include, IncludeKind, Task};
use playbook::load::{Loaded, RoleFrom, RoleRequest, TasksRequest};

use super::blocks::child;
use super::prepare::{ItemOf, json};
use super::settle::{Finished, Item, Sent};
use super::{Flow, Walker};
use crate::course::Path;
use crate::event::{Event, Status};
use crate::results;

/// Deeper than this is a file that includes itself.
const DEEPEST: u32 = 100;

impl Walker {
    pub(crate) async fn include(&mut self, task: &Arc<Task>, include: &Include, path: &Path) -> Flow {
        let items = match &task.loop_ {
            None => vec![ItemOf::none()],
            Some(_) => match self.settled(path, |w| w.loop_items(task)).await? {
                Ok(items) => ItemOf::all(self.loop_control(task).as_ref(), items),
                Err(error) => match self.skips(task, path, &ItemOf::none()).await? {
                    Ok(Some(skip)) => return self.skip_include(task, path, skip).await,
                    _ => return self.fail(task, path, &error).await,
                },
            },
        };
        let mut skipped = Vec::new();
        let mut included = Vec::new();
        for of in &items {
            match self.skips(task, path, of).await? {
                Err(error) => return self.fail(task, path, &error).await,
                Ok(Some(skip)) => {
                    skipped.push((of, skip));
                    continue;
                }
                Ok(None) => {}
            }
            match self.settled(path, |w| w.load(task, include, of)).await? {
                Ok(loaded) => included.push((of, loaded)),
                Err(error) => return Box::pin(self.fail_include(task, path, &error)).await,
            }
        }
        // What was sent before comes first, for people too.
        self.settle_all().await?;
        let sent = self.announce(task, path).await?;
        if task.loop_.is_some() {
            self.report_skipped_items(&sent, &skipped);
        }
        if items.is_empty() {
            return self.skip_include(task, path, results::skipped("No items in the list")).await;
        }
        if let (Some((_, skip)), true) = (skipped.pop(), included.is_empty()) {
            return self.skip_include(task, path, skip).await;
        }
        self.report_include(&sent);
        for (number, (of, what)) in included.iter().enumerate() {
            self.included(&sent, path, of, what);
            self.play.handlers.add(&child(path, number + 1), &what.loaded.handlers);
        }
        for (number, (_, what)) in included.iter().enumerate() {
            self.nodes(&what.loaded.nodes, &child(path, number + 1)).await?;
        }
        Ok(())
    }

    /// A file that is missing is told of as Ansible does: with the reason in the result, and where it was wanted.
    async fn fail_include(&mut self, task: &Arc<Task>, path: &Path, error: &Error) -> Flow {
        if error.message.starts_with(playbook::load::NO_SUCH_FILE) {
            let place = error.origin.as_ref().unwrap_or(&task.origin);
            self.run.emit(&Event::Mistake(format!("{}\n{place}: {}", error.message, error.message)));
            let mut sent = self.announce(task, path).await?;
            sent.looped = false;
            let mut result = results::failed(error.message.clone());
            result.insert("reason".to_owned(), error.message.clone().into());
            result.shift_remove("msg");
            sent.items.push(Item::ready(ItemOf::none(), result));
            return self.enqueue(sent).await;
        }
        self.fail(task, path, &with_its_line(error)).await
    }

    async fn skips(
        &mut self,
        task: &Arc<Task>,
        path: &Path,
        of: &ItemOf,
    ) -> Flow<Result<Option<Map>, Error>> {
        self.settled(path, |w| w.condition_of(task, of)).await
    }

    /// Of a loop, people see each item that is left out.
    fn report_skipped_items(&self, sent: &Sent, skipped: &[(&ItemOf, Map)]) {
        let mut looped = Sent::new(sent.ticket, sent.path.clone(), sent.task.clone(), sent.step.clone());
        looped.looped = true;
        for (of, skip) in skipped {
            let mut finished = Finished { result: skip.clone(), paths: Vec::new(), seconds: 0.0 };
            self.report_item(&looped, &Item::ready((*of).clone(), skip.clone()), &mut finished);
        }
    }

    async fn skip_include(&mut self, task: &Arc<Task>, path: &Path, skip: Map) -> Flow {
        let mut sent = self.announce(task, path).await?;
        sent.looped = false;
        sent.items.push(Item::ready(ItemOf::none(), skip));
        self.enqueue(sent).await
    }

    fn included(&mut self, sent: &Sent, path: &Path, of: &ItemOf, what: &Included) {
        let item = of.value.as_ref().and_then(|value| {
            let labelled = of.label.as_ref().and_then(|label| self.template(&sent.task, label, of).ok());
            labelled.as_ref().unwrap_or(value).python_str().ok()
        });
        let event = Event::Included {
            step: sent.step.clone(),
            host: self.host.clone(),
            file: what.name.clone(),
            item,
        };
        self.report(path, event);
        self.run.count(&self.host, Status::Ok, false, false);
        self.mark_role(sent);
        for warning in &what.loaded.warnings {
            self.warn(warning.message.clone());
        }
        for role in &what.loaded.roles {
            self.play.vars.add_role(role.clone());
        }
    }

    fn load(&self, task: &Arc<Task>, include: &Include, of: &ItemOf) -> Result<Included, Error> {
        if include.depth > DEEPEST {
            return Err(Error::new(format!("tasks include each other more than {DEEPEST} deep")));
        }
        let vars = (*of.vars).clone();
        match include.kind {
            IncludeKind::Role => self.load_role(task, vars, of),
            _ => self.load_tasks(task, vars, of),
        }
    }

    fn load_tasks(&self, task: &Arc<Task>, vars: playbook::ir::Vars, of: &ItemOf) -> Result<Included, Error> {
        let args = self.include_args(task, of)?;
        let name = text(&args, "file")
            .or_else(|| text(&args, "_raw_params"))
            .ok_or_else(|| Error::new(format!("No file specified for {}", task.action)))?;
        let project = &self.run.project;
        let Some(file) = project.find_tasks(&name, task, &self.play.play) else {
            let why = format!("{} '{name}' on the Ansible Controller", playbook::load::NO_SUCH_FILE);
            return Err(Error::new(why).at(&task.origin));
        };
        let request = TasksRequest { task: task.clone(), play: self.play.play.clone(), vars };
        let loaded = if task.is_handler {
            let handlers = project.load_handlers(&file, &request).map_err(first)?;
            Loaded {
                nodes: handlers.into_iter().map(playbook::ir::Node::Task).collect(),
                ..Loaded::default()
            }
        } else {
            project.load_tasks(&file, &request).map_err(first)?
        };
        Ok(Included { name: file.display().to_string(), loaded })
    }

    fn load_role(&self, task: &Arc<Task>, vars: playbook::ir::Vars, of: &ItemOf) -> Result<Included, Error> {
        let args = self.include_args(task, of)?;
        let name = text(&args, "name")
            .or_else(|| text(&args, "role"))
            .ok_or_else(|| Error::new("include_role needs the name of a role"))?;
        let flag = |name: &str| {
            args.get(name)
                .and_then(|v| v.as_bool().or_else(|| v.as_str().and_then(catalog::arguments::truth)))
        };
        let request = RoleRequest {
            task: task.clone(),
            play: self.play.play.clone(),
            name: name.clone(),
            from: RoleFrom {
                tasks: file(&args, "tasks_from")?,
                vars: file(&args, "vars_from")?,
                defaults: file(&args, "defaults_from")?,
                handlers: file(&args, "handlers_from")?,
            },
            allow_duplicates: flag("allow_duplicates"),
            public: flag("public"),
            validate: flag("rolespec_validate").unwrap_or(true),
            vars,
        };
        let loaded = self.run.project.load_role(&request).map_err(first)?;
        Ok(Included { name, loaded })
    }

    fn include_args(&self, task: &Arc<Task>, of: &ItemOf) -> Result<Map, Error> {
        let scope = self.scope(task, of);
        let mut args = Map::new();
        for (name, value) in task.args.iter() {
            let value = scope.value(value)?;
            if !value.is_omit() && &**name != "apply" {
                args.insert(name.to_string(), json(&value)?);
            }
        }
        Ok(args)
    }
}

struct Included {
    /// As people see it: the file's path or the role's name.
    name: String,
    loaded: Loaded,
}

fn text(args: &Map, name: &str) -> Option<String> {
    args.get(name).and_then(Json::as_str).map(str::to_owned)
}

/// The name of one of the role's files.
fn file(args: &Map, name: &str) -> Result<Option<String>, Error> {
    match args.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            let kind = Value::from_json(other);
            let kind = kind.type_name();
            Err(Error::new(format!("Expected a string for {name} but got <class '{kind}'> instead")))
        }
    }
}

/// With the line that it is about: the file is often another than that of the task which failed.
fn with_its_line(error: &Error) -> Error {
    let mut told = error.clone();
    let Some(origin) = &error.origin else { return told };
    let text = std::fs::read_to_string(&origin.file).unwrap_or_default();
    let number = usize::try_from(origin.line).unwrap_or_default().saturating_sub(1);
    // Of a vaulted file there are no lines here.
    if let Some(line) = text.lines().nth(number).filter(|_| !text.starts_with("$ANSIBLE_VAULT")) {
        told.message = format!("{}: `{}`", error.message, line.trim());
    }
    told
}

fn first(errors: Vec<Diagnostic>) -> Error {
    let Some(error) = errors.into_iter().next() else { return Error::new("it cannot be read") };
    let hint = error.hint.map(|h| format!("; {h}")).unwrap_or_default();
    let mut result = Error::new(format!("{}{hint}", error.message));
    result.origin = error.origin;
    result
}
