//! The lab itself: makes pools of hosts, finds them again, takes them away.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use crate::birth::{Birth, Outcome, base_of};
use crate::cgroup::Layout;
use crate::cleanup::{self, Stray};
use crate::disk::{self, Template};
use crate::error::{Doing, Error, Result};
use crate::host::{HostOptions, InitKind, LabHost};
use crate::neutral::Neighbour;
use crate::state::{HostRecord, Lock, Phase, PoolRecord, Process, State};
use crate::{birth, capabilities, init, network, neutral, sshd, tie, wire};

const DEFAULT_POOL: &str = "lab";
/// How many hosts are being made at the same time.
const AT_ONCE: usize = 16;
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// One pool of throw-away hosts of this machine: they share a private network and know each other's names.
#[derive(Clone, Debug)]
pub struct Lab {
    state: State,
    pool: String,
}

/// What is the same for all hosts of one `up`.
struct Ground {
    privileged: bool,
    layout: Layout,
    pool: Option<PoolRecord>,
    switch: Option<File>,
    neighbours: Vec<Neighbour>,
}

impl Lab {
    /// The pool that `theseus lab` uses unless told otherwise.
    pub fn open() -> Result<Self> {
        Self::pool(DEFAULT_POOL)
    }

    /// A pool of its own, with a network of its own; pools do not see each other.
    pub fn pool(name: &str) -> Result<Self> {
        check_name(name)?;
        Ok(Self { state: State::open(), pool: name.to_owned() })
    }

    #[must_use]
    pub fn pool_name(&self) -> &str {
        &self.pool
    }

    /// What hosts made by this user will lack, in words; empty where everything is possible.
    #[must_use]
    pub fn missing() -> Vec<String> {
        let mut missing = Vec::new();
        if !capabilities::privileged() {
            missing.push("without root's capabilities, hosts have no network but lo, only the small init, no sshd, and cannot change files that belong to other users".to_owned());
        } else {
            if let Err(reason) = disk::template(disk::size(None)) {
                missing.push(format!("disks are tmpfs instead of ext4: {reason}"));
            }
            if !Layout::of_machine().carries_systemd() {
                missing.push("no systemd in hosts: no control group hierarchy for it is mounted".to_owned());
            }
        }
        missing
    }

    /// Makes hosts. Either all of them are there afterwards, or none.
    pub fn up(&self, wanted: &[HostOptions]) -> Result<Vec<LabHost>> {
        check_wanted(wanted)?;
        let (ground, records) = self.plan(wanted)?;
        let made = self.make_all(&ground, wanted, records.clone());
        if made.is_err() {
            self.remove(&records)?;
        }
        let hosts = made?;
        if ground.privileged {
            self.tell_neighbours(&ground.neighbours, wanted);
        }
        Ok(hosts)
    }

    /// Decides everything and writes it down, before anything is made.
    fn plan(&self, wanted: &[HostOptions]) -> Result<(Ground, Vec<HostRecord>)> {
        let privileged = capabilities::privileged();
        let layout = if privileged { Layout::of_machine() } else { Layout::default() };
        let mut kinds = Vec::new();
        for options in wanted {
            let base = base_of(options);
            if !base.is_dir() {
                return Err(Error::Impossible(format!("the base {} is not a directory", base.display())));
            }
            if options.sshd {
                sshd_possible(base, privileged)?;
            }
            kinds.push(init::decide(options.init, base, &layout, privileged)?);
        }
        let lock = self.state.lock()?;
        self.clear_way(wanted, &lock)?;
        let pool = self.ensure_pool(privileged)?;
        let records = self.reserve(wanted, &kinds, pool.as_ref());
        let records =
            records.inspect_err(|_| drop(cleanup::remove_hosts(&self.state, &self.pool, &[], &lock)))?;
        let switch = pool.as_ref().map(|_| network::open_switch(&self.state, &self.pool)).transpose()?;
        let mut neighbours: Vec<Neighbour> = Vec::new();
        neighbours
            .extend(pool.as_ref().map(|pool| (network::CONTROLLER.to_owned(), network::controller(pool))));
        let shown = if privileged { self.state.hosts(&self.pool) } else { Vec::new() };
        neighbours.extend(shown.iter().map(|host| (host.name.clone(), host.address)));
        Ok((Ground { privileged, layout, pool, switch, neighbours }, records))
    }

    /// Refuses names that are in use, and removes what is left of dead hosts that had them.
    fn clear_way(&self, wanted: &[HostOptions], lock: &Lock) -> Result<()> {
        for options in wanted {
            let Some(before) = self.state.host(&self.pool, &options.name) else { continue };
            if LabHost::from_record(&before).stray.is_none() {
                return Err(Error::Exists(options.name.clone()));
            }
            cleanup::remove_hosts(&self.state, &self.pool, &[before], lock)?;
        }
        Ok(())
    }

    fn ensure_pool(&self, privileged: bool) -> Result<Option<PoolRecord>> {
        let dir = self.state.pool_dir(&self.pool);
        fs::create_dir_all(&dir).doing_at("making", &dir)?;
        if !privileged {
            return Ok(None);
        }
        if let Some(pool) = self.state.pool(&self.pool) {
            if network::usable(&self.state, &pool) {
                return Ok(Some(pool));
            }
            network::remove_switch(&self.state, &self.pool);
        }
        let pool = network::choose(&self.state, &self.pool)?;
        self.state.save_pool(&pool)?;
        network::make_switch(&self.state, &pool).inspect_err(|_| {
            network::remove_switch(&self.state, &self.pool);
            let _ = self.state.forget_pool(&self.pool);
            self.state.forget_if_empty();
        })?;
        Ok(Some(pool))
    }

    fn reserve(
        &self,
        wanted: &[HostOptions],
        kinds: &[InitKind],
        pool: Option<&PoolRecord>,
    ) -> Result<Vec<HostRecord>> {
        let used: Vec<u32> = self.state.hosts(&self.pool).iter().map(|host| host.number).collect();
        let mut free = (1..=network::MOST_HOSTS).filter(|number| !used.contains(number));
        let mut records = Vec::new();
        for (options, kind) in wanted.iter().zip(kinds) {
            let full = || Error::Impossible(format!("a pool has room for {} hosts", network::MOST_HOSTS));
            let number = free.next().ok_or_else(full)?;
            records.push(HostRecord {
                name: options.name.clone(),
                pool: self.pool.clone(),
                number,
                address: pool.map_or(birth::NOWHERE, |pool| network::address(pool, number)),
                phase: Phase::Creating,
                owner: Process::this(),
                tied: options.tied,
                init: None,
                kind: *kind,
                sshd: options.sshd,
                base: options.base.as_deref().map(absolute).transpose()?,
                notes: Vec::new(),
                wire: None,
            });
        }
        records.iter().try_for_each(|record| self.state.save_host(record))?;
        Ok(records)
    }

    fn make_all(
        &self,
        ground: &Ground,
        wanted: &[HostOptions],
        records: Vec<HostRecord>,
    ) -> Result<Vec<LabHost>> {
        let mut hosts = Vec::new();
        let mut rest = records.into_iter();
        for options in wanted.chunks(AT_ONCE) {
            let mut part: Vec<HostRecord> = rest.by_ref().take(options.len()).collect();
            self.make_some(ground, options, &mut part)?;
            hosts.extend(part.iter().map(LabHost::from_record));
        }
        Ok(hosts)
    }

    /// Makes a few hosts side by side and waits until they are ready.
    fn make_some(&self, ground: &Ground, wanted: &[HostOptions], records: &mut [HostRecord]) -> Result<()> {
        let mut reports = Vec::new();
        for (options, record) in wanted.iter().zip(&*records) {
            reports.push(self.begin(ground, options, record)?);
        }
        let outcomes: Vec<_> = reports.into_iter().map(birth::Report::finish).collect();
        for (record, outcome) in records.iter_mut().zip(outcomes) {
            let fail = |reason| Error::Birth { name: record.name.clone(), reason };
            let Outcome { init, notes } = outcome.map_err(fail)?;
            record.init = Some(init);
            record.notes.extend(notes);
            self.state.save_host(record)?;
        }
        self.tie(records)?;
        let hosts: Vec<LabHost> = records.iter().map(LabHost::from_record).collect();
        let notes = side_by_side(&hosts, wanted, make_ready)?;
        for (record, notes) in records.iter_mut().zip(notes) {
            record.notes.extend(notes);
            record.phase = Phase::Up;
            self.state.save_host(record)?;
        }
        Ok(())
    }

    fn begin(&self, ground: &Ground, options: &HostOptions, record: &HostRecord) -> Result<birth::Report> {
        let failed = |what: &str| format!("{what} host {}", record.name);
        if ground.privileged {
            ground
                .layout
                .make(&format!("{}.{}", self.pool, record.name))
                .doing(failed("making control groups for"))?;
        }
        let birth = Birth {
            record,
            options,
            layout: &ground.layout,
            disk: disk_for(options, ground.privileged),
            stage: self.state.pool_dir(&self.pool),
            neighbours: &ground.neighbours,
            switch: ground.switch.as_ref().zip(ground.pool.as_ref()),
        };
        birth.begin().doing(failed("starting"))
    }

    fn tie(&self, records: &[HostRecord]) -> Result<()> {
        let tied = records.iter().filter(|record| record.tied);
        let hosts: Vec<_> = tied
            .filter_map(|record| Some((record.pool.clone(), record.name.clone(), record.init?)))
            .collect();
        if hosts.is_empty() {
            return Ok(());
        }
        tie::to_this_process(&self.state, &hosts).doing("tying hosts to this process")
    }

    /// Makes the new hosts known by name to those that were there before.
    fn tell_neighbours(&self, neighbours: &[Neighbour], new: &[HostOptions]) {
        for host in self.list() {
            if new.iter().any(|options| options.name == host.name) || !host.alive() {
                continue;
            }
            let Ok(before) = host.read("/etc/hosts") else { continue };
            let before = String::from_utf8_lossy(&before).into_owned();
            let after = neutral::hosts_file(&before, neighbours);
            if after != before {
                let _ = host.copy_in("/etc/hosts", after.as_bytes(), 0o644);
            }
        }
    }

    /// The hosts of this pool.
    #[must_use]
    pub fn list(&self) -> Vec<LabHost> {
        self.state.hosts(&self.pool).iter().map(LabHost::from_record).collect()
    }

    /// The hosts of all pools of this user.
    #[must_use]
    pub fn list_everything(&self) -> Vec<LabHost> {
        let pools = self.state.pools();
        pools.iter().flat_map(|pool| self.state.hosts(pool)).map(|host| LabHost::from_record(&host)).collect()
    }

    pub fn get(&self, name: &str) -> Result<LabHost> {
        let record = self.state.host(&self.pool, name);
        record.map(|record| LabHost::from_record(&record)).ok_or_else(|| Error::NoSuchHost(name.to_owned()))
    }

    /// Where the pool's hosts reach this machine; there they call it `controller`.
    #[must_use]
    pub fn controller_address(&self) -> Option<Ipv4Addr> {
        self.state.pool(&self.pool).map(|pool| network::controller(&pool))
    }

    /// Puts a host behind a long wire: everything it sends arrives that much later, so that each round trip to it
    /// takes that much longer. Zero makes the wire short again.
    pub fn delay(&self, name: &str, delay: Duration) -> Result<()> {
        let _lock = self.state.lock()?;
        let mut record =
            self.state.host(&self.pool, name).ok_or_else(|| Error::NoSuchHost(name.to_owned()))?;
        wire::set(&self.state, &mut record, delay)
    }

    /// Removes one host, and with the last one the pool's network.
    pub fn down(&self, name: &str) -> Result<()> {
        let lock = self.state.lock()?;
        let host = self.state.host(&self.pool, name).ok_or_else(|| Error::NoSuchHost(name.to_owned()))?;
        cleanup::remove_hosts(&self.state, &self.pool, &[host], &lock)
    }

    /// Removes this pool with all its hosts.
    pub fn down_all(&self) -> Result<()> {
        let lock = self.state.lock()?;
        cleanup::remove_hosts(&self.state, &self.pool, &self.state.hosts(&self.pool), &lock)
    }

    /// Removes every host of every pool of this user, and all that is left of earlier ones.
    pub fn down_everything(&self) -> Result<()> {
        let lock = self.state.lock()?;
        // What is in one pool's way leaves no other one standing.
        let pools = self.state.pools().into_iter();
        let ends: Vec<Result<()>> = pools
            .map(|pool| cleanup::remove_hosts(&self.state, &pool, &self.state.hosts(&pool), &lock))
            .collect();
        ends.into_iter().collect::<Result<()>>()?;
        cleanup::remove_orphans(&self.state, &lock)?;
        self.state.forget_if_empty();
        Ok(())
    }

    /// Hosts of any pool that nobody looks after, and things without a record.
    #[must_use]
    pub fn strays(&self) -> Vec<Stray> {
        let hosts = self.list_everything().into_iter();
        let known = hosts.filter_map(|host| {
            Some(Stray { what: format!("{}/{}", host.pool, host.name), reason: host.stray? })
        });
        known.chain(cleanup::orphans(&self.state)).collect()
    }

    /// Removes what [`Lab::strays`] shows and nothing else.
    pub fn remove_strays(&self) -> Result<()> {
        let lock = self.state.lock()?;
        for pool in self.state.pools() {
            let hosts = self.state.hosts(&pool);
            let stray: Vec<HostRecord> =
                hosts.into_iter().filter(|host| LabHost::from_record(host).stray.is_some()).collect();
            cleanup::remove_hosts(&self.state, &pool, &stray, &lock)?;
        }
        cleanup::remove_orphans(&self.state, &lock)
    }

    fn remove(&self, records: &[HostRecord]) -> Result<()> {
        let lock = self.state.lock()?;
        let current: Vec<HostRecord> =
            records.iter().filter_map(|record| self.state.host(&self.pool, &record.name)).collect();
        cleanup::remove_hosts(&self.state, &self.pool, &current, &lock)
    }
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    path.canonicalize().doing_at("finding", path)
}

fn sshd_possible(base: &Path, privileged: bool) -> Result<()> {
    if !privileged {
        return Err(Error::Impossible(
            "a lab host with sshd needs root: without it hosts have no network".to_owned(),
        ));
    }
    sshd::check(base)
}

fn disk_for(options: &HostOptions, privileged: bool) -> Option<&'static Template> {
    if privileged { disk::template(disk::size(options.disk)).ok() } else { None }
}

fn make_ready(host: &LabHost, options: &HostOptions) -> Result<Vec<String>> {
    if options.sshd && host.init == InitKind::Small {
        sshd::start(host)?;
    }
    if options.no_wait { Ok(Vec::new()) } else { host.wait_ready(BOOT_LIMIT) }
}

/// Does something with several hosts at the same time.
fn side_by_side<T: Send>(
    hosts: &[LabHost],
    options: &[HostOptions],
    work: impl Fn(&LabHost, &HostOptions) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let work = &work;
    std::thread::scope(|scope| {
        let pairs = hosts.iter().zip(options);
        let threads: Vec<_> = pairs.map(|(host, options)| scope.spawn(move || work(host, options))).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, Result<T>>| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::Impossible("a thread of the lab ended early".to_owned())))
        };
        threads.into_iter().map(ended).collect()
    })
}

fn check_wanted(wanted: &[HostOptions]) -> Result<()> {
    for (at, options) in wanted.iter().enumerate() {
        check_name(&options.name)?;
        let twice = wanted[..at].iter().any(|other| other.name == options.name);
        if twice || options.name == network::CONTROLLER || options.name == "localhost" {
            return Err(Error::Exists(options.name.clone()));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= 40 && name.bytes().all(fine) {
        return Ok(());
    }
    Err(Error::BadName(name.to_owned()))
}
