//! One play: which hosts, in which batches, each on its way.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use expressions::{Error, Origin, Str, Value};
use playbook::Diagnostic;
use playbook::ir::{Play, Task, Vars};
use playbook::vars::{PlayVars, Scope};

use crate::connections::Reader;
use crate::course::Course;
use crate::event::Event;
use crate::handlers::Handlers;
use crate::run::Run;
use crate::walker::Walker;
use crate::walker::prepare::as_bool;

/// A play as it is run, for one batch of hosts.
pub(crate) struct PlayRun {
    pub(crate) play: Arc<Play>,
    pub(crate) vars: Arc<PlayVars>,
    pub(crate) name: Arc<str>,
    /// Of this batch.
    pub(crate) hosts: Vec<Arc<str>>,
    pub(crate) several: bool,
    /// All hosts stay at the same task.
    pub(crate) lockstep: bool,
    pub(crate) free: bool,
    pub(crate) force_handlers: bool,
    pub(crate) max_fail_percentage: Option<f64>,
    pub(crate) handlers: Arc<Handlers>,
    /// The task that gathers facts, if the play wants it.
    pub(crate) gather: Option<Arc<Task>>,
    /// Facts that are known already are not gathered again.
    pub(crate) smart: bool,
    /// A failure was fatal for all.
    pub(crate) fatal: AtomicBool,
    /// More failed than `max_fail_percentage` allows.
    pub(crate) too_many: AtomicBool,
    /// `meta: end_play`
    pub(crate) ended: Arc<AtomicBool>,
}

impl PlayRun {
    pub(crate) fn is_fatal(&self) -> bool {
        self.fatal.load(Ordering::SeqCst)
    }
}

/// Whether the run goes on after a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Play,
    Nothing,
}

/// What of a play is the same for all its batches.
struct Frame {
    play: Arc<Play>,
    vars: Arc<PlayVars>,
    name: Arc<str>,
    handlers: Arc<Handlers>,
    strategy: String,
    force_handlers: bool,
    max_fail_percentage: Option<f64>,
    lockstep: bool,
    /// `meta: end_play` ends all batches.
    ended: Arc<AtomicBool>,
}

impl Run {
    pub(crate) async fn play(self: &Arc<Self>, play: &Arc<Play>) -> Result<Next, Diagnostic> {
        let vars = PlayVars::new(play.clone());
        let scope = Scope::new(&self.variables, &vars, None, None, Vars::new());
        let located = |error: Error| located(error, &play.origin);
        let pattern = self.pattern(play, &scope).map_err(located)?;
        let name = match &play.name {
            Some(name) => scope.text(name).unwrap_or_else(|_| name.as_str().unwrap_or_default().to_owned()),
            None => pattern.clone(),
        };
        vars.set_name(name.clone());
        let name: Arc<str> = name.into();
        let answers = self.prompts(play, &scope).await.map_err(located)?;
        vars.set_prompts(answers);
        let selected = self.hosts_of(&pattern, play)?;
        let hosts = self.ordered(selected.clone(), play, &scope)?;
        self.emit(&Event::Play { name: name.clone(), hosts: hosts.clone() });
        if hosts.is_empty() {
            self.emit(&Event::NoHostsMatched);
            return Ok(Next::Play);
        }
        // What a play calls its hosts is in the inventory's order, whatever its own.
        vars.set_hosts(selected);
        let hosts: Vec<Arc<str>> = hosts.into_iter().filter(|host| !self.is_out(host)).collect();
        if hosts.is_empty() {
            self.emit(&Event::NoHostsLeft);
            return Ok(Next::Nothing);
        }
        for host in vars.hosts_all().iter().filter(|h| !hosts.contains(h)) {
            vars.remove_host(host);
        }
        let frame = self.frame(play, vars, name, &scope).map_err(located)?;
        let batches = batches(&play.serial, &scope, &hosts).map_err(located)?;
        for (number, batch) in batches.into_iter().enumerate() {
            if number > 0 {
                self.emit(&Event::Batch { play: frame.name.clone() });
            }
            match self.batch(&frame, batch).await {
                Next::Play if frame.ended.load(Ordering::SeqCst) => break,
                Next::Play => {}
                Next::Nothing => return Ok(Next::Nothing),
            }
        }
        Ok(Next::Play)
    }

    fn frame(
        &self,
        play: &Arc<Play>,
        vars: Arc<PlayVars>,
        name: Arc<str>,
        scope: &Scope,
    ) -> Result<Frame, Error> {
        let flag = |value: &Option<Value>, default: bool| match value {
            Some(value) => {
                Some(scope.resolved(value)?).filter(|v| !v.is_omit()).map_or(Ok(default), |v| as_bool(&v))
            }
            None => Ok(default),
        };
        let strategy = match &play.strategy {
            Some(value) => scope.text(value)?,
            None => "linear".to_owned(),
        };
        let strategy = strategy.rsplit('.').next().unwrap_or_default().to_owned();
        if !matches!(
            strategy.as_str(),
            "linear"
                | "free"
                | "host_pinned"
                | "debug"
                | "mitogen_linear"
                | "mitogen_free"
                | "mitogen_host_pinned"
        ) {
            return Err(Error::new(format!(
                "the strategy `{strategy}` is not known; known are linear, free and host_pinned"
            )));
        }
        let percentage =
            match &play.max_fail_percentage {
                Some(value) => {
                    let text = scope.text(value)?;
                    let number = text.trim().trim_end_matches('%').parse();
                    Some(number.map_err(|_| {
                        Error::new(format!("max_fail_percentage must be a number, not `{text}`"))
                    })?)
                }
                None => None,
            };
        Ok(Frame {
            handlers: Arc::new(Handlers::new(&play.handlers)),
            strategy,
            force_handlers: self.settings.force_handlers || flag(&play.force_handlers, false)?,
            lockstep: percentage.is_some()
                || self.settings.any_errors_fatal
                || play.keywords.any_errors_fatal.is_some(),
            max_fail_percentage: percentage,
            play: play.clone(),
            vars,
            name,
            ended: Arc::default(),
        })
    }

    async fn batch(self: &Arc<Self>, frame: &Frame, hosts: Vec<Arc<str>>) -> Next {
        frame.vars.set_batch(hosts.clone());
        let free = frame.strategy.ends_with("free") || frame.strategy.ends_with("host_pinned");
        let gather = match self.gather(frame) {
            Ok(gather) => gather,
            Err(error) => {
                self.warn(error.message);
                None
            }
        };
        let play = Arc::new(PlayRun {
            play: frame.play.clone(),
            vars: frame.vars.clone(),
            name: frame.name.clone(),
            several: hosts.len() > 1,
            lockstep: !free && (frame.lockstep || self.share_a_machine(frame, &hosts)),
            free,
            force_handlers: frame.force_handlers,
            max_fail_percentage: frame.max_fail_percentage,
            handlers: frame.handlers.clone(),
            smart: self.settings.gathering == "smart" && frame.play.gather_facts.is_none(),
            gather,
            hosts,
            fatal: AtomicBool::new(false),
            too_many: AtomicBool::new(false),
            ended: frame.ended.clone(),
        });
        let course = Arc::new(Course::new(&play.hosts, free, self.sink()));
        self.progress.begin(if free { &[] } else { &play.hosts });
        let mut walks = tokio::task::JoinSet::new();
        for host in &play.hosts {
            let walker = Walker::new(self.clone(), play.clone(), course.clone(), host.clone());
            let host = host.clone();
            walks.spawn(async move { (host, walker.walk().await) });
        }
        let mut out = 0;
        while let Some(walk) = walks.join_next().await {
            match walk {
                Ok((_, true)) => {}
                Ok((host, false)) => {
                    out += 1;
                    self.mark_failed_if_out(&host);
                }
                Err(error) => {
                    out += 1;
                    self.warn(format!("internal error, please report it: {error}"));
                }
            }
        }
        self.progress.begin(&[]);
        if self.interrupted() {
            return Next::Nothing;
        }
        if play.is_fatal() || out == play.hosts.len() {
            let too_many = play.too_many.load(Ordering::SeqCst);
            self.emit(&if too_many { Event::NoHostsLeft } else { Event::AllFailed });
            return Next::Nothing;
        }
        Next::Play
    }

    /// Whether some of these names are one machine: then it is seen there in which order they do something.
    fn share_a_machine(&self, frame: &Frame, hosts: &[Arc<str>]) -> bool {
        let mut seen = HashSet::new();
        let mut machines = hosts.iter().filter_map(|host| {
            let scope = Scope::new(&self.variables, &frame.vars, None, Some(host), Vars::new());
            let (keywords, reach) = (&frame.play.keywords, &self.settings.reach);
            // What cannot be read fails the host's first task, and says why.
            Reader { scope: &scope, keywords, reach, host, delegated: false }.machine().ok()
        });
        hosts.len() > 1 && machines.any(|machine| !seen.insert(machine))
    }

    /// A walk that ended badly keeps the host out of later plays.
    fn mark_failed_if_out(&self, host: &str) {
        if !self.is_out(host) {
            self.mark_failed(host);
        }
    }

    fn pattern(&self, play: &Play, scope: &Scope) -> Result<String, Error> {
        let value = scope.resolved(&play.hosts)?;
        match value.as_list() {
            Some(list) => Ok(list.iter().map(Value::python_str).collect::<Result<Vec<_>, _>>()?.join(",")),
            None => value.defined()?.python_str(),
        }
    }

    fn hosts_of(&self, pattern: &str, play: &Play) -> Result<Vec<Arc<str>>, Diagnostic> {
        let limit = self.variables.options().limit.clone();
        let inventory = self.variables.inventory();
        let selected = inventory.selection(&[pattern.to_owned()], limit.as_deref(), &play.dir)?;
        for name in &selected.unmatched {
            self.warn(format!("Could not match supplied host pattern, ignoring: {name}"));
        }
        Ok(selected.hosts.into_iter().map(Arc::from).collect())
    }

    fn ordered(
        &self,
        mut hosts: Vec<Arc<str>>,
        play: &Play,
        scope: &Scope,
    ) -> Result<Vec<Arc<str>>, Diagnostic> {
        match play
            .order
            .as_ref()
            .map(|o| scope.text(o))
            .transpose()
            .map_err(|e| located(e, &play.origin))?
            .as_deref()
        {
            None | Some("inventory") => {}
            Some("sorted") => hosts.sort(),
            Some("reverse_sorted") => hosts.sort_by(|a, b| b.cmp(a)),
            Some("reverse_inventory") => hosts.reverse(),
            Some("shuffle") => shuffle(&mut hosts),
            Some(other) => {
                let text = format!(
                    "`order: {other}` is not known; known are inventory, sorted, reverse_sorted, reverse_inventory, shuffle"
                );
                return Err(Diagnostic::new(text).at(&play.origin));
            }
        }
        Ok(hosts)
    }

    /// `vars_prompt`, unless extra variables answer it.
    async fn prompts(&self, play: &Play, scope: &Scope) -> Result<Vars, Error> {
        let mut answers = Vars::new();
        for prompt in &play.vars_prompt {
            if self.variables.extra_vars().contains_key(prompt.name.as_str()) {
                continue;
            }
            let default = prompt.default.as_ref().map(|d| scope.text(d)).transpose()?;
            let text = match &prompt.prompt {
                Some(text) => scope.text(text)?,
                None => prompt.name.clone(),
            };
            let question = match &default {
                Some(default) if !prompt.private => format!("{text} [{default}]: "),
                _ => format!("{text}: "),
            };
            let ask = self.asker();
            let mut answer = ask(question.clone(), !prompt.private).await;
            if prompt.confirm {
                let again = ask(format!("confirm {question}"), !prompt.private).await;
                if answer != again {
                    return Err(Error::new(format!(
                        "the two answers for `{}` are not the same",
                        prompt.name
                    )));
                }
            }
            answer = answer.filter(|a| !a.is_empty()).or(default);
            let Some(answer) = answer else {
                self.warn(format!("nobody can answer the prompt for `{}`; it is empty", prompt.name));
                answers.insert(prompt.name.as_str().into(), Value::str(""));
                continue;
            };
            let value = self.encrypted(prompt, Value::str(answer), scope)?;
            answers.insert(prompt.name.as_str().into(), value);
        }
        Ok(answers)
    }

    fn encrypted(&self, prompt: &playbook::ir::Prompt, value: Value, scope: &Scope) -> Result<Value, Error> {
        let Some(method) = &prompt.encrypt else { return Ok(value) };
        let scope =
            scope.with([(Arc::from("_answer"), value), (Arc::from("_method"), Value::str(method.as_str()))]);
        let origin = Arc::new(Origin::new(std::path::Path::new("vars_prompt").to_owned(), 1, 1));
        let salt =
            prompt.salt.as_ref().map(|s| format!(", salt='{}'", s.replace('\'', ""))).unwrap_or_default();
        let source = format!("{{{{ _answer | password_hash(_method{salt}) }}}}");
        self.engine.render(&Str::trusted(source, origin), &scope)
    }

    /// The implicit first task.
    fn gather(&self, frame: &Frame) -> Result<Option<Arc<Task>>, Error> {
        let play = &frame.play;
        let scope = Scope::new(&self.variables, &frame.vars, None, None, Vars::new());
        let wanted = match &play.gather_facts {
            Some(value) => as_bool(&scope.resolved(value)?)?,
            None => self.settings.gathering != "explicit",
        };
        if !wanted {
            return Ok(None);
        }
        let mut args = Vars::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                args.insert(Arc::from(name), value);
            }
        };
        let subset = || {
            let all = &self.settings.gather_subset;
            (!all.is_empty()).then(|| Value::list(all.iter().map(|s| Value::str(s.as_str())).collect()))
        };
        put("gather_subset", play.gather_subset.clone().or_else(subset));
        put("gather_timeout", play.gather_timeout.clone().or(self.settings.gather_timeout.map(Value::Int)));
        put(
            "fact_path",
            play.fact_path.clone().or_else(|| self.settings.fact_path.as_deref().map(Value::str)),
        );
        let mut keywords = (*play.keywords).clone();
        if keywords.tags.is_empty() {
            keywords.tags.push(Arc::from("always"));
        }
        keywords.when.clear();
        // Each host has facts of its own, whatever the play's tasks do once.
        keywords.run_once = None;
        Ok(Some(Arc::new(Task {
            origin: play.origin.clone(),
            name: Some(Value::str("Gathering Facts")),
            action: Arc::from("gather_facts"),
            module: Arc::from("gather_facts"),
            args: Arc::new(args),
            args_template: None,
            keywords: Arc::new(keywords),
            register: None,
            loop_: None,
            until: None,
            retries: None,
            delay: None,
            changed_when: None,
            failed_when: None,
            async_seconds: None,
            poll: None,
            notify: Vec::new(),
            listen: Vec::new(),
            role: None,
            is_handler: false,
            include: None,
            search: Arc::new(vec![play.dir.to_path_buf()]),
            dir: play.dir.clone(),
        })))
    }
}

pub(crate) fn located(error: Error, origin: &Origin) -> Diagnostic {
    let place = error.origin.clone().unwrap_or_else(|| origin.clone());
    Diagnostic::new(error.message).at(&place)
}

/// `serial`: numbers and percentages, the last one repeated.
fn batches(serial: &[Value], scope: &Scope, hosts: &[Arc<str>]) -> Result<Vec<Vec<Arc<str>>>, Error> {
    let mut sizes = Vec::new();
    for value in serial {
        let value = scope.resolved(value)?;
        if value.is_omit() {
            continue;
        }
        for one in value.as_list().unwrap_or_else(|| vec![value.clone()]) {
            sizes.push(size(&one.python_str()?, hosts.len())?);
        }
    }
    if sizes.is_empty() || sizes.iter().all(|s| *s == 0) {
        return Ok(vec![hosts.to_vec()]);
    }
    let mut rest = hosts;
    let mut all = Vec::new();
    let mut number = 0;
    while !rest.is_empty() {
        let size = sizes[number.min(sizes.len() - 1)];
        let size = if size == 0 { rest.len() } else { size.min(rest.len()) };
        let (batch, after) = rest.split_at(size);
        all.push(batch.to_vec());
        rest = after;
        number += 1;
    }
    Ok(all)
}

fn size(text: &str, hosts: usize) -> Result<usize, Error> {
    let wrong = || Error::new(format!("serial must be a number or a percentage, not `{text}`"));
    match text.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            Ok(((percent / 100.0 * hosts as f64) as usize).max(1))
        }
        None => text.trim().parse::<i64>().map(|n| usize::try_from(n).unwrap_or(0)).map_err(|_| wrong()),
    }
}

fn shuffle(hosts: &mut [Arc<str>]) {
    let mut bytes = [0; 8];
    for i in (1..hosts.len()).rev() {
        if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
            return;
        }
        hosts.swap(i, (u64::from_le_bytes(bytes) % (i as u64 + 1)) as usize);
    }
}
