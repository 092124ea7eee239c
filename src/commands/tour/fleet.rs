//! The baked image replaces the three servers under load, a bad one rolls itself back; no request is lost.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fleet::controller::Store;
use fleet::engine::MemberId;
use fleet::picture::{Event, Moment, svg};
use fleet::traffic::control::{ProxyClient, Request};

use super::Chapter;
use super::stage::Stage;
use crate::setup::Problem;

pub(super) const CHAPTER: Chapter = Chapter { title: "The image replaces the servers", tell };

const FLEET: &str = "ship";
/// Where customers come; as theseus.yml has it.
const SHOP: &str = "127.0.0.1:8090";
const CUSTOMERS: usize = 4;
/// How long a customer thinks between two requests.
const THINKS: Duration = Duration::from_millis(8);
const MOMENT: Duration = Duration::from_millis(200);
/// The picture, where the tour was started.
const PICTURE: &str = "theseus-tour.svg";
/// What no server can do: its image crashes at the start.
const BEFORE: &str = "ship_port: 8080\n";
const AFTER: &str = "ship_port: eighty\n";
/// The exit code of a rollout that has gone back.
const WENT_BACK: u8 = 2;

fn tell(stage: &Stage) -> Result<(), Problem> {
    let socket = stage.state().join(format!("proxy-{FLEET}.sock"));
    let proxy = Proxy::start(stage, socket)?;
    stage.say("A balancer gives the three servers to customers, who ask all the while from now on. The image that was just baked\ntakes their place: members of a fleet are made from it, and get the traffic when they are healthy.\n");
    let load = Load::start(&proxy.client.socket, stage.state());
    let told = replace(stage, &load);
    let (moments, events) = load.end();
    drop(proxy);
    told?;
    let failed: u64 = moments.iter().map(|moment| moment.failed).sum();
    let fine: u64 = moments.iter().map(|moment| moment.fine).sum();
    let picture =
        svg("The tour: three servers become a fleet; a bad image goes back by itself", &moments, &events);
    std::fs::write(PICTURE, picture).map_err(|error| format!("{PICTURE} cannot be written: {error}"))?;
    stage.say(&format!(
        "\nCustomers have asked {fine} times, and {failed} requests have failed. The picture of it is in {PICTURE}."
    ));
    if failed > 0 { Err(format!("{failed} requests were lost").into()) } else { Ok(()) }
}

fn replace(stage: &Stage, load: &Load) -> Result<(), Problem> {
    let done = up_and_on(stage, load);
    // Customers leave before the shop closes.
    load.leave();
    let down = stage.theseus(&["fleet", "down", FLEET]);
    done.and(down)
}

fn up_and_on(stage: &Stage, load: &Load) -> Result<(), Problem> {
    load.mark("fleet up");
    stage.theseus(&["fleet", "up", FLEET])?;
    stage.say("\nThe servers are out of traffic. A new image comes, one member after the other:\n");
    stage.replace(
        "group_vars/web.yml",
        "[keel, mast, rudder, sail]",
        "[keel, mast, rudder, sail, anchor]",
    )?;
    stage.theseus(&["bake", FLEET])?;
    load.mark("new image");
    stage.theseus(&["rollout", "start", FLEET, "--to", FLEET])?;
    stage.say("\nAnd a bad one, whose program ends as soon as it starts:\n");
    stage.replace("group_vars/web.yml", BEFORE, AFTER)?;
    stage.theseus(&["bake", FLEET])?;
    load.mark("bad image");
    stage.theseus_ends(&["rollout", "start", FLEET, "--to", FLEET], WENT_BACK)?;
    stage.theseus(&["fleet", "status", FLEET])
}

/// The balancer, with the servers that have the traffic so far.
struct Proxy {
    client: ProxyClient,
    child: std::process::Child,
}

impl Proxy {
    fn start(stage: &Stage, socket: PathBuf) -> Result<Self, Problem> {
        let servers = stage.addresses();
        let servers: Vec<String> =
            servers.iter().map(|(name, address)| format!("--server={name}={address}")).collect();
        let control = socket.display().to_string();
        let mut words = vec!["proxy", "--listen", SHOP, "--control", &control];
        words.extend(servers.iter().map(String::as_str));
        let child = stage.beside(&words)?;
        let proxy = Self { client: ProxyClient { socket }, child };
        let begun = Instant::now();
        while proxy.client.ask(&Request::Show).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(format!("the balancer does not listen at {SHOP}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.client.ask(&Request::Stop).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Counts {
    leave: AtomicBool,
    fine: AtomicU64,
    failed: AtomicU64,
    moments: Mutex<Vec<Moment>>,
    events: Mutex<Vec<Event>>,
}

/// Customers, and somebody who counts.
struct Load {
    counts: Arc<Counts>,
    begun: Instant,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(socket: &std::path::Path, state: PathBuf) -> Self {
        let (counts, begun) = (Arc::<Counts>::default(), Instant::now());
        let mut threads = Vec::new();
        for _ in 0..CUSTOMERS {
            let counts = counts.clone();
            threads.push(std::thread::spawn(move || {
                while !counts.leave.load(Ordering::Relaxed) {
                    let count = if asks().unwrap_or(false) { &counts.fine } else { &counts.failed };
                    count.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(THINKS);
                }
            }));
        }
        let (client, watched) = (ProxyClient { socket: socket.to_owned() }, counts.clone());
        threads.push(std::thread::spawn(move || {
            while !watched.leave.load(Ordering::Relaxed) {
                std::thread::sleep(MOMENT);
                let moment = Moment {
                    at: begun.elapsed(),
                    fine: watched.fine.swap(0, Ordering::Relaxed),
                    failed: watched.failed.swap(0, Ordering::Relaxed),
                    serving: serving(&client, &state),
                };
                watched.moments.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
            }
        }));
        Self { counts, begun, threads }
    }

    fn mark(&self, words: &str) {
        let event = Event { at: self.begun.elapsed(), words: words.to_owned() };
        self.counts.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    fn leave(&self) {
        self.counts.leave.store(true, Ordering::Relaxed);
        // Who has asked gets an answer.
        std::thread::sleep(2 * MOMENT);
    }

    fn end(self) -> (Vec<Moment>, Vec<Event>) {
        self.leave();
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
        let mut moments =
            std::mem::take(&mut *self.counts.moments.lock().unwrap_or_else(PoisonError::into_inner));
        // What came after the last moment was counted.
        if let Some(last) = moments.last_mut() {
            last.fine += self.counts.fine.load(Ordering::Relaxed);
            last.failed += self.counts.failed.load(Ordering::Relaxed);
        }
        let events = std::mem::take(&mut *self.counts.events.lock().unwrap_or_else(PoisonError::into_inner));
        (moments, events)
    }
}

/// One request; whether it was answered well.
fn asks() -> std::io::Result<bool> {
    let address: SocketAddr = SHOP.parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ship\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Planks"))
}

/// How many members have traffic now, by what they run.
fn serving(client: &ProxyClient, state: &std::path::Path) -> BTreeMap<String, u32> {
    let known = Store::open(state.to_owned()).and_then(|store| store.state(FLEET)).ok().flatten();
    let mut all = BTreeMap::new();
    for (name, _) in
        client.ask(&Request::Show).unwrap_or_default().iter().filter(|(_, server)| server.weight > 0)
    {
        let member = known.as_ref().and_then(|state| state.members.get(&MemberId::from(name.as_str())));
        let name = member.map_or_else(|| "in place".to_owned(), |member| member.generation.to_string());
        *all.entry(name).or_default() += 1;
    }
    all
}
