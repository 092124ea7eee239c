//! The links of a run: each host is reached once, when the first task needs it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use expressions::{Context, Error, Value};
use link::{
    AgentId, Connection, DockerTarget, Escalate, LabTarget, Link, LinkError, Notices, RunInfo, Sealed,
    Secret, SshTarget, Target,
};
use parking_lot::Mutex;
use playbook::ir::Keywords;
use playbook::vars::Scope;
use tokio::sync::OnceCell;

use crate::settings::Reach;
use crate::walker::prepare::as_bool;

/// Where a call goes, and as whom it is done there.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The inventory's name of the host that does it.
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) escalate: Option<Escalate>,
}

type Cell = Arc<OnceCell<Result<Link, LinkError>>>;

pub(crate) struct Connections {
    cells: Mutex<HashMap<String, Cell>>,
    /// Which cell a host uses: several names may be one machine, and a machine has one agent.
    places: Mutex<HashMap<String, String>>,
    /// How each host was reached last, and as whom.
    ways: Mutex<HashMap<String, Way>>,
    info: RunInfo,
    notices: Arc<dyn Notices>,
    /// What a host said when it was left in the middle of the run (reset_connection).
    sealed: Mutex<HashMap<String, Sealed>>,
    /// What the closed connections cost.
    past: Mutex<Counted>,
}

impl Connections {
    pub(crate) fn new(info: RunInfo, notices: Arc<dyn Notices>) -> Self {
        Self {
            cells: Mutex::default(),
            places: Mutex::default(),
            ways: Mutex::default(),
            info,
            notices,
            sealed: Mutex::default(),
            past: Mutex::default(),
        }
    }

    /// The host's link and the agent of the wanted user.
    pub(crate) async fn reach(&self, way: &Way) -> Result<(Link, AgentId), LinkError> {
        let place = place(&way.target);
        self.places.lock().insert(way.name.clone(), place.clone());
        self.note_way(way);
        let cell = self.cells.lock().entry(place).or_default().clone();
        let link = cell
            .get_or_init(|| Link::connect(&way.target, self.info.clone(), self.notices.clone()))
            .await
            .clone()?;
        let agent = match &way.escalate {
            Some(escalate) if escalate.user != link.hello().user => link.agent(escalate).await?,
            _ => 0,
        };
        Ok((link, agent))
    }

    /// The one that becomes root is the one whose history counts; other users may be gone at the end of the run.
    fn note_way(&self, way: &Way) {
        let mut ways = self.ways.lock();
        let becomes_root = way.escalate.as_ref().is_some_and(|escalate| escalate.user == "root");
        if becomes_root || !ways.contains_key(&way.name) {
            ways.insert(way.name.clone(), way.clone());
        }
    }

    /// After a change to the ways into a host: can we still come in? That alone ends its guard.
    pub(crate) async fn confirm(&self, host: &str) -> Result<(), String> {
        let way = self.ways.lock().get(host).cloned();
        let Some(way) = way else { return Err("it is not known how it was reached".to_owned()) };
        let patience = Duration::from_secs(self.info.guard_seconds);
        let come_in = async {
            loop {
                match self.come_in(&way).await {
                    Ok(()) => return,
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        };
        match tokio::time::timeout(patience, come_in).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("tried for {} s", patience.as_secs())),
        }
    }

    async fn come_in(&self, way: &Way) -> Result<(), LinkError> {
        let link = Link::connect(&way.target, self.info.clone(), self.notices.clone()).await?;
        if let Some(escalate) = way.escalate.as_ref().filter(|e| e.user != link.hello().user) {
            link.agent(escalate).await?;
        }
        link.bye(false, false).await.map(drop)
    }

    fn connected(&self, host: &str) -> Option<Link> {
        let place = self.places.lock().get(host)?.clone();
        self.cells.lock().get(&place)?.get()?.as_ref().ok().cloned()
    }

    pub(crate) fn resume(&self, host: &str, epoch: u32) {
        if let Some(link) = self.connected(host) {
            link.resume(epoch);
        }
    }

    /// The connection broke: the next play may try again.
    pub(crate) fn forget(&self, host: &str) {
        if let Some(place) = self.places.lock().get(host) {
            self.cells.lock().remove(place);
        }
    }

    /// A host that could not be reached may be tried again.
    pub(crate) fn forget_failed(&self, host: &str) {
        let Some(place) = self.places.lock().get(host).cloned() else { return };
        let mut cells = self.cells.lock();
        if cells.get(&place).is_some_and(|cell| matches!(cell.get(), Some(Err(_)))) {
            cells.remove(&place);
        }
    }

    /// Say goodbye to one host now.
    pub(crate) async fn close(&self, host: &str) {
        let Some(place) = self.places.lock().get(host).cloned() else { return };
        let cell = self.cells.lock().remove(&place);
        if let Some(Ok(link)) = cell.and_then(|cell| cell.get().cloned()) {
            let (end, cost) = end(link, false, false).await;
            self.past.lock().add(cost);
            if let Ok(sealed) = end {
                self.sealed.lock().insert(host.to_owned(), sealed);
            }
        }
    }

    /// Seal every host's layer (put it back where it shall be undone) and close: the generations at which hosts are now.
    pub(crate) async fn close_all(
        &self,
        failed: &dyn Fn(&str) -> bool,
        undo: &dyn Fn(&str) -> bool,
    ) -> HashMap<String, Result<Sealed, LinkError>> {
        let cells: Vec<(String, Cell)> = self.cells.lock().drain().collect();
        let names = self.places.lock().clone();
        let of_place = |place: &str| {
            names.iter().filter(|(_, at)| *at == place).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let mut ends = Vec::new();
        for (place, cell) in cells {
            if let Some(Ok(link)) = cell.get().cloned() {
                let hosts = of_place(&place);
                let failed = hosts.iter().any(|host| failed(host));
                let undo = hosts.iter().any(|host| undo(host));
                drop(cell);
                ends.push((hosts, tokio::spawn(end(link, failed, undo))));
            }
        }
        let mut all: HashMap<_, _> =
            self.sealed.lock().drain().map(|(host, sealed)| (host, Ok(sealed))).collect();
        for (hosts, end) in ends {
            if let Ok((sealed, cost)) = end.await {
                self.past.lock().add(cost);
                all.extend(hosts.into_iter().map(|host| (host, sealed.clone())));
            }
        }
        all
    }

    pub(crate) fn counters(&self) -> Counted {
        let links: Vec<Link> =
            self.cells.lock().values().filter_map(|c| c.get()?.as_ref().ok().cloned()).collect();
        let mut all = *self.past.lock();
        links.iter().for_each(|link| all.add(Counted::of(link)));
        all
    }
}

/// The goodbye, and what the connection cost with it.
async fn end(link: Link, failed: bool, undo: bool) -> (Result<Sealed, LinkError>, Counted) {
    let counter = link.clone();
    let sealed = link.bye(failed, undo).await;
    (sealed, Counted::of(&counter))
}

/// What the connections cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Of the host that needed most.
    pub round_trips: u64,
    pub sent: u64,
    pub received: u64,
}

impl Counted {
    fn of(link: &Link) -> Self {
        Self { round_trips: link.round_trips(), sent: link.bytes_sent(), received: link.bytes_received() }
    }

    fn add(&mut self, other: Self) {
        self.round_trips = self.round_trips.max(other.round_trips);
        self.sent += other.sent;
        self.received += other.received;
    }
}

/// Names the machine and the account that a connection leads to.
fn place(target: &Target) -> String {
    match &target.connection {
        Connection::Local => "local".to_owned(),
        Connection::Lab(lab) => format!("lab {} {:?}", lab.name, lab.pool),
        Connection::Place(place) => format!("place {}", place.name()),
        Connection::Docker(docker) => format!("docker {} {:?}", docker.container, docker.user),
        Connection::Ssh(ssh) => {
            let user = ssh.user.clone().unwrap_or_else(agent::accounts::own_name);
            // By another way (a jump host, say) the same address may be another machine.
            format!("ssh {user}@{}:{} {:?}", ssh.host, ssh.port.unwrap_or(22), ssh.args)
        }
    }
}

/// Reads what variables, keywords and options say on reaching a host and becoming somebody there.
pub(crate) struct Reader<'a> {
    /// The variables of the host that does it.
    pub(crate) scope: &'a Scope,
    pub(crate) keywords: &'a Keywords,
    pub(crate) reach: &'a Reach,
    pub(crate) host: &'a str,
    /// Whether it is another host than the task's own: keywords on the connection do not apply to that.
    pub(crate) delegated: bool,
}

impl Reader<'_> {
    pub(crate) fn way(&self) -> Result<Way, Error> {
        let connection = self.connection()?;
        let mut target = Target::new(self.host, connection);
        let timeout = self.number(&["ansible_ssh_timeout", "ansible_timeout"])?;
        target.timeout = timeout.map_or(self.reach.timeout, Duration::from_secs);
        target.retries = self
            .number(&["ansible_ssh_retries", "ansible_ssh_reconnection_retries"])?
            .map_or(self.reach.retries, |n| n as u32);
        Ok(Way { name: self.host.to_owned(), target, escalate: self.escalate()? })
    }

    fn connection(&self) -> Result<Connection, Error> {
        if let Some((_, place)) = self.reach.places.iter().find(|(host, _)| host == self.host) {
            return Ok(Connection::Place(Arc::clone(place)));
        }
        let kind = self.kind()?;
        match kind.as_str() {
            "local" => Ok(Connection::Local),
            "lab" => Ok(Connection::Lab(LabTarget {
                name: self.host.to_owned(),
                base: self.text(&["theseus_lab_base"])?.map(Into::into),
                pool: self.text(&["theseus_lab_pool"])?,
            })),
            "docker" | "community_docker" => Ok(Connection::Docker(DockerTarget {
                container: self.address()?,
                user: self.text(&["ansible_user"])?,
            })),
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "" => Ok(Connection::Ssh(Box::new(self.ssh()?))),
            _ => Err(Error::new(format!(
                "the connection `{kind}` is not known; known are ssh, local, lab and docker"
            ))),
        }
    }

    /// The connection's short name.
    fn kind(&self) -> Result<String, Error> {
        let keyword = if self.delegated { None } else { self.keyword(|k| &k.connection)? };
        let kind = match self.text(&["ansible_connection"])?.or(keyword) {
            Some(kind) => kind,
            None if is_local(self.host) && !self.is_in_inventory() => "local".to_owned(),
            None => self.reach.connection.clone(),
        };
        Ok(kind.rsplit('.').next().unwrap_or_default().to_owned())
    }

    /// What is the same for two names of one machine. Cheap: asked for each host of each play.
    pub(crate) fn machine(&self) -> Result<String, Error> {
        if self.reach.places.iter().any(|(host, _)| host == self.host) {
            return Ok(self.host.to_owned());
        }
        Ok(match self.kind()?.as_str() {
            "local" => "local".to_owned(),
            "lab" => format!("lab {}", self.host),
            "docker" | "community_docker" => format!("docker {}", self.address()?),
            _ => {
                let port = self.text(&["ansible_port", "ansible_ssh_port"])?;
                format!("ssh {}:{}", self.address()?, port.unwrap_or_default())
            }
        })
    }

    fn is_in_inventory(&self) -> bool {
        self.scope.variables().inventory().host(self.host).is_some_and(|h| !h.implicit)
    }

    fn address(&self) -> Result<String, Error> {
        Ok(self.text(&["ansible_host", "ansible_ssh_host"])?.unwrap_or_else(|| self.host.to_owned()))
    }

    fn ssh(&self) -> Result<SshTarget, Error> {
        let reach = self.reach;
        let mut target = SshTarget::new(self.address()?);
        let port = if self.delegated { None } else { self.keyword(|k| &k.port)? };
        let port = self.text(&["ansible_port", "ansible_ssh_port"])?.or(port);
        target.port = match port {
            Some(text) => {
                Some(text.trim().parse().map_err(|_| Error::new(format!("`{text}` is not a port")))?)
            }
            None => reach.port,
        };
        let user = if self.delegated { None } else { self.keyword(|k| &k.remote_user)? };
        target.user =
            self.text(&["ansible_user", "ansible_ssh_user"])?.or(user).or_else(|| reach.user.clone());
        let password = self.text(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])?;
        target.password = password.map(Secret::new).or_else(|| reach.password.clone());
        let key = self.text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])?;
        target.key_file =
            key.map(|k| playbook::search::expand_home(&k)).or_else(|| reach.private_key.clone());
        let checking = self.text(&["ansible_ssh_host_key_checking", "ansible_host_key_checking"])?;
        target.host_key_checking =
            checking.as_deref().and_then(catalog::arguments::truth).or(reach.host_key_checking);
        let names: [&[&str]; 3] =
            [&["ansible_ssh_args"], &["ansible_ssh_common_args"], &["ansible_ssh_extra_args"]];
        for (names, default) in names.into_iter().zip(&reach.ssh_args) {
            if let Some(text) = self.text(names)?.or_else(|| default.clone()) {
                let words = playbook::keyvalue::shell_split(&text, false)
                    .map_err(|e| Error::new(format!("{text}: {e}")))?;
                target.args.extend(words);
            }
        }
        target.mode = reach.ssh;
        Ok(target)
    }

    fn escalate(&self) -> Result<Option<Escalate>, Error> {
        let wanted = match self.text(&["ansible_become"])? {
            Some(text) => catalog::arguments::truth(&text)
                .ok_or_else(|| Error::new(format!("`ansible_become` must be true or false, not `{text}`")))?,
            None => {
                let value = self.keywords.resolved(|k| &k.become_, |value| self.scope.resolved(value))?;
                value.map_or(Ok(self.reach.become_), |value| as_bool(&value))?
            }
        };
        if !wanted {
            return Ok(None);
        }
        let pick = |names: &[&str],
                    keyword: fn(&Keywords) -> &Option<Value>,
                    default: Option<String>|
         -> Result<Option<String>, Error> {
            Ok(self.text(names)?.or(self.keyword(keyword)?).or(default))
        };
        let method =
            pick(&["ansible_become_method"], |k| &k.become_method, Some(self.reach.become_method.clone()))?
                .unwrap_or_default();
        let method = method.rsplit('.').next().unwrap_or_default().to_owned();
        let named = |what: &str| format!("ansible_{method}_{what}");
        let user = pick(
            &["ansible_become_user", &named("user")],
            |k| &k.become_user,
            Some(self.reach.become_user.clone()),
        )?;
        let password = self.text(&[
            "ansible_become_password",
            "ansible_become_pass",
            &named("password"),
            &named("pass"),
        ])?;
        Ok(Some(Escalate {
            user: user.filter(|u| !u.is_empty()).unwrap_or_else(|| "root".to_owned()),
            password: password.or_else(|| self.reach.become_password.as_ref().map(|p| p.expose().to_owned())),
            exe: pick(
                &["ansible_become_exe", &named("exe")],
                |k| &k.become_exe,
                self.reach.become_exe.clone(),
            )?,
            flags: pick(
                &["ansible_become_flags", &named("flags")],
                |k| &k.become_flags,
                self.reach.become_flags.clone(),
            )?,
            chdir: self.text(&[&named("chdir")])?,
            prompts: self.texts(&named("prompt_l10n"))?,
            on_behalf_of: None,
            timeout_seconds: self.patience()?,
            method,
        }))
    }

    /// How long another user may take to be become.
    fn patience(&self) -> Result<u32, Error> {
        let usual = self.reach.timeout.as_secs().max(10);
        let told = self.number(&["ansible_local_become_success_timeout"])?;
        Ok(u32::try_from(told.unwrap_or(usual)).unwrap_or(u32::MAX))
    }

    /// A variable that is a list of texts, or one text.
    fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        let Some(value) = self.scope.variable(name)? else { return Ok(Vec::new()) };
        match value.resolved()?.as_list() {
            Some(list) => list.iter().map(Value::python_str).collect(),
            None => Ok(self.text(&[name])?.into_iter().collect()),
        }
    }

    /// The first of these variables that is set.
    fn text(&self, names: &[&str]) -> Result<Option<String>, Error> {
        for name in names {
            match self.scope.variable(name)? {
                None | Some(Value::None | Value::Undefined(_)) => {}
                Some(value) if value.is_omit() => {}
                Some(value) => return value.python_str().map(Some),
            }
        }
        Ok(None)
    }

    fn number(&self, names: &[&str]) -> Result<Option<u64>, Error> {
        Ok(self.text(names)?.and_then(|t| t.trim().parse().ok()))
    }

    fn keyword(&self, keyword: fn(&Keywords) -> &Option<Value>) -> Result<Option<String>, Error> {
        let value = self.keywords.resolved(keyword, |value| self.scope.resolved(value))?;
        value.filter(|value| !value.is_none()).map(|value| value.python_str()).transpose()
    }
}

pub(crate) fn is_local(host: &str) -> bool {
    playbook::inventory::LOCALHOST.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_by(args: &[&str]) -> String {
        let mut ssh = SshTarget::new("10.0.0.1");
        ssh.args = args.iter().map(|word| (*word).to_owned()).collect();
        place(&Target::new("web", Connection::Ssh(Box::new(ssh))))
    }

    #[test]
    fn an_address_behind_another_jump_host_is_another_place() {
        assert_eq!(place_by(&["-J", "one"]), place_by(&["-J", "one"]));
        assert_ne!(place_by(&["-J", "one"]), place_by(&["-J", "two"]));
        assert_ne!(place_by(&["-J", "one"]), place_by(&[]));
    }
}
