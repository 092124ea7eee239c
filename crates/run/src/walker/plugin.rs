//! Action plugins in Python: the conversation with one. What it wants done on the host is done there by the agent.

use std::sync::Arc;

use base64::Engine as _;
use catalog::protocol::NEVER_REFUSED;
use catalog::{Json, Map};
use expressions::{Error, Value};
use link::CallEnd;
use playbook::ir::Task;
use serde_json::json;
use tokio::sync::mpsc;

use super::prepare::{ItemOf, Remote, Traits, Work};
use super::{Flow, Walker};
use crate::actions::{Action, Plugin, task_for};
use crate::course::Path;
use crate::python::{Answer, Failure, variables};
use crate::results;

/// Whose task it is.
struct Asker<'a> {
    task: &'a Arc<Task>,
    path: &'a Path,
    of: &'a ItemOf,
    traits: Traits,
    delegate: Option<String>,
}

impl Walker {
    pub(crate) async fn plugin(
        &mut self,
        plugin: Plugin,
        task: &Arc<Task>,
        path: &Path,
        of: &ItemOf,
    ) -> Flow<Map> {
        self.settle_all().await?;
        let Plugin { request, traits, delegate } = plugin;
        let asker = Asker { task, path, of, traits, delegate };
        let foreign = self.run.foreign.clone();
        let (ask, mut asked) = mpsc::channel::<(Json, std::sync::mpsc::Sender<Json>)>(1);
        let talk = tokio::task::spawn_blocking(move || {
            foreign.ask(request, &mut |question| {
                let (reply, answer) = std::sync::mpsc::channel();
                let over = || json!({"later": true});
                match ask.blocking_send((question.clone(), reply)) {
                    Ok(()) => answer.recv().unwrap_or_else(|_| over()),
                    Err(_) => over(),
                }
            })
        });
        while let Some((question, reply)) = asked.recv().await {
            let answer = self.answer(&asker, &question).await?;
            let _ = reply.send(answer);
        }
        let answer = talk.await.unwrap_or_else(|error| Answer::Failed(Failure::new(error.to_string())));
        Ok(ended(answer, &task.action))
    }

    async fn answer(&mut self, asker: &Asker<'_>, question: &Json) -> Flow<Json> {
        let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
        match question["ask"].as_str() {
            Some("module") => {
                let args = question["args"].as_object().cloned().unwrap_or_default();
                let traits = Traits { check: question["check"] == true, ..asker.traits };
                let mut task = task_for(asker.task, &text("name"), args);
                task.async_seconds = question["seconds"].as_i64().filter(|n| *n > 0).map(Value::Int);
                let result = self.task_for(asker, task, traits).await?;
                Ok(json!({"result": result}))
            }
            Some("command") => {
                let mut args = Map::new();
                args.insert("_raw_params".to_owned(), text("command").into());
                for name in ["stdin", "executable", "chdir"] {
                    if !question[name].is_null() {
                        args.insert(name.to_owned(), question[name].clone());
                    }
                }
                args.insert("stdin_add_newline".to_owned(), false.into());
                args.insert("strip_empty_ends".to_owned(), false.into());
                let traits = Traits { check: false, ..asker.traits };
                let result = self.module_for(asker, "ansible.builtin.shell", args, traits).await?;
                Ok(json!({"result": result}))
            }
            Some("put") => self.put_for(asker, &text("path"), &text("content")).await,
            Some("fetch") => {
                let args = Map::from_iter([("src".to_owned(), text("path").into())]);
                let traits = Traits { check: false, ..asker.traits };
                let result = self.module_for(asker, "ansible.builtin.slurp", args, traits).await?;
                Ok(json!({"content": result.get("content")}))
            }
            _ => {
                let known =
                    self.settled(asker.path, |w| variables(&w.scope(asker.task, asker.of), question)).await?;
                Ok(known.unwrap_or_else(|_| json!({})))
            }
        }
    }

    async fn put_for(&mut self, asker: &Asker<'_>, path: &str, content: &str) -> Flow<Json> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(content).unwrap_or_default();
        let mut args = Map::from_iter([("dest".to_owned(), path.into()), ("mode".to_owned(), "0600".into())]);
        crate::actions::put_content(&mut args, &self.run.blobs.bytes(bytes));
        let traits = Traits { check: false, ..asker.traits };
        let scope = self.scope(asker.task, asker.of);
        let task = Arc::new(task_for(asker.task, "ansible.builtin.copy", Map::new()));
        let delegate = asker.delegate.as_deref();
        let work =
            Action { walker: self, task: &task, scope: &scope, traits, delegate }.remote("copy", args, None);
        let result = self.done_now(work).await?;
        Ok(json!({"result": result}))
    }

    async fn module_for(&mut self, asker: &Asker<'_>, name: &str, args: Map, traits: Traits) -> Flow<Map> {
        self.task_for(asker, task_for(asker.task, name, args), traits).await
    }

    async fn task_for(&mut self, asker: &Asker<'_>, task: Task, traits: Traits) -> Flow<Map> {
        let task = Arc::new(task);
        let delegate = asker.delegate.as_deref();
        let work = self
            .settled(asker.path, |w| {
                let scope = w.scope(&task, asker.of);
                Action { walker: w, task: &task, scope: &scope, traits, delegate }.module_alone()
            })
            .await?;
        self.done_now(work).await
    }

    /// Without a place in the queue: the task that wants it waits for it.
    async fn done_now(&mut self, work: Result<Work, Error>) -> Flow<Map> {
        Ok(match work {
            Ok(Work::Done(result) | Work::Effect(result, _)) => result,
            Ok(Work::Later(work)) => work.await,
            Ok(Work::Remote(remote)) => self.call_now(*remote).await,
            Ok(Work::Plugin(_)) => results::failed("an action plugin cannot run another one as a module"),
            Err(error) => results::failed_by(&error),
        })
    }

    async fn call_now(&mut self, remote: Remote) -> Map {
        let Remote { way, mut call, after } = remote;
        let (link, agent) = match self.run.connections.reach(&way).await {
            Ok(reached) => reached,
            Err(error) => return results::unreachable(&error),
        };
        call.keep_going = true;
        let handle = link.call(agent, NEVER_REFUSED, call, self.run.blobs.clone());
        let mut result = match self.run.await_call(handle, Some(&link)).await {
            Ok(CallEnd::Done { result, .. }) => result,
            Ok(CallEnd::Refused) => results::failed("the host refused it"),
            Err(error) => results::unreachable(&error),
        };
        if let Some(after) = after {
            after.finish(&mut result);
        }
        result
    }
}

/// The result of the task.
fn ended(answer: Answer, name: &str) -> Map {
    match answer {
        Answer::Done(Json::Object(mut result)) => {
            result.entry("changed").or_insert_with(|| false.into());
            result
        }
        Answer::Done(_) => results::failed(format!("Task failed: the action plugin {name} gave no result")),
        Answer::Unknown => results::failed(format!("Task failed: Python has no action plugin {name}")),
        Answer::Later => results::failed("interrupted"),
        Answer::Failed(failure) => failed(failure),
    }
}

/// As Ansible tells exceptions of actions.
fn failed(failure: Failure) -> Map {
    let mut result = failure.result;
    let text = failure.text;
    match failure.kind.as_str() {
        "AnsibleActionSkip" => {
            result.insert("skipped".to_owned(), true.into());
            result.entry("msg").or_insert_with(|| text.into());
        }
        "AnsibleActionFail" => {
            result.insert("failed".to_owned(), true.into());
            result.entry("msg").or_insert_with(|| text.into());
            result.insert("exception".to_owned(), failure.trace.into());
        }
        "AnsibleConnectionFailure" | "AnsibleAuthenticationFailure" => {
            result.insert("unreachable".to_owned(), true.into());
            result.insert("msg".to_owned(), format!("Task failed: {text}").into());
        }
        _ => {
            result.insert("failed".to_owned(), true.into());
            result.insert("msg".to_owned(), format!("Task failed: {text}").into());
            result.insert("exception".to_owned(), failure.trace.into());
        }
    }
    result.entry("changed").or_insert_with(|| false.into());
    result
}
