//! The example's image in the hands of others: a Docker Engine runs it, skopeo and umoci read it, a registry keeps it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Project, answer, differences, has};
use crate::tally::Tally;
use crate::{base, shell};

const PROGRAMS: &[&str] =
    &["dockerd", "docker", "skopeo", "umoci", "docker-registry", "curl", "rsync", "openssl"];
const REGISTRY: u16 = 15_077;

pub(super) fn run(_arguments: &[String], tally: &mut Tally) -> Result<()> {
    if !has("engines", PROGRAMS, tally) {
        return Ok(());
    }
    let project = Project::ship("engines")?;
    let text = fs::read_to_string(project.path("theseus.yml"))?;
    let on_base = format!("base: {} #", base::directory()?.display());
    project.write("theseus.yml", &text.replace("base: installed", &format!("{on_base} installed")))?;
    let baked = project.bake("ship", &[])?;
    println!("baked: {}", baked["digest"]);
    project.theseus(&["image", "export", "ship", "-t", "ship.tar"])?;
    docker(&project)?;
    readers(&project)?;
    registry(&project)?;
    tally.passed += 3;
    Ok(())
}

/// A program that ends when this is dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        );
        let _ = self.0.wait();
    }
}

fn service(command: &mut Command, log: &Path) -> Result<Service> {
    let log = fs::File::create(log)?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    Ok(Service(child))
}

fn docker(project: &Project) -> Result<()> {
    let folder = project.path("engine");
    fs::create_dir_all(&folder)?;
    let at = |name: &str| folder.join(name).display().to_string();
    let host = format!("unix://{}", at("socket"));
    let mut daemon = Command::new("dockerd");
    daemon.args([
        "--host",
        &host,
        "--data-root",
        &at("data"),
        "--exec-root",
        &at("exec"),
        "--pidfile",
        &at("pid"),
    ]);
    daemon.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
    let engine = service(&mut daemon, &folder.join("log"))?;
    let docker = |arguments: &[&str]| {
        let output = shell::output(Command::new("docker").env("DOCKER_HOST", &host).args(arguments))?;
        anyhow::Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let began = Instant::now();
    while docker(&["version"]).is_err() {
        if began.elapsed() > Duration::from_secs(60) {
            bail!("the engine does not start: {}", fs::read_to_string(folder.join("log"))?);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let loaded = docker(&["load", "-q", "-i", &project.path("ship.tar").display().to_string()])?;
    docker(&["run", "--detach", "--name", "ship", "--network", "host", "ship:latest"])?;
    let page = answer(8080, 30, || true);
    let logs = docker(&["logs", "ship"]).unwrap_or_default();
    docker(&["rm", "--force", "ship"])?;
    let page = page.with_context(|| format!("the container does not answer: {logs}"))?;
    let version = docker(&["version", "--format", "{{.Server.Version}}"])?;
    drop(engine);
    // It leaves the network of its containers mounted.
    let _ = shell::output(Command::new("umount").arg(folder.join("exec/netns/default")));
    println!("Docker Engine {version}: {loaded}; it answers `{}`", page.lines().next().unwrap_or_default());
    Ok(())
}

fn readers(project: &Project) -> Result<()> {
    let archive = format!("oci-archive:{}", project.path("ship.tar").display());
    let layout = format!("oci:{}:latest", project.path("layout").display());
    shell::output(Command::new("skopeo").args(["--insecure-policy", "copy", "-q", &archive, &layout]))?;
    let about = shell::output(Command::new("skopeo").args(["inspect", &layout]))?;
    let about: Value = serde_json::from_slice(&about.stdout)?;
    let image = format!("{}:latest", project.path("layout").display());
    shell::output(Command::new("umoci").args(["unpack", "--image", &image]).arg(project.path("bundle")))?;
    project.theseus(&["image", "export", "ship", "-f", "rootfs", "-t", "root.tar"])?;
    fs::create_dir(project.path("root"))?;
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"]).arg(project.path("root.tar"));
    shell::output(tar.arg("-C").arg(project.path("root")))?;
    let found = differences(&project.path("root"), &project.path("bundle/rootfs"))?;
    if !found.is_empty() {
        bail!("umoci unpacks something else: {}", found.join("; "));
    }
    let layers = about["Layers"].as_array().map_or(0, Vec::len);
    println!(
        "skopeo: {} with {layers} layers; umoci unpacks the same files as the exported root",
        about["Digest"]
    );
    Ok(())
}

fn registry(project: &Project) -> Result<()> {
    let folder = project.path("registry");
    let config = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{REGISTRY}\n",
        folder.display()
    );
    project.write("registry.yml", &config)?;
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(project.path("registry.yml"));
    let _registry = service(&mut command, &project.path("registry.log"))?;
    let name = format!("127.0.0.1:{REGISTRY}/fleet/ship:1");
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", REGISTRY)).is_err() {
        if began.elapsed() > Duration::from_secs(20) {
            bail!("the registry does not start: {}", fs::read_to_string(project.path("registry.log"))?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let push = || -> Result<Value> {
        let out = project.theseus(&["image", "push", "ship", &name, "--output", "json"])?;
        Ok(serde_json::from_str(out.lines().last().unwrap_or_default())?)
    };
    interrupted(project, &name)?;
    let first = push()?;
    let again = push()?;
    if again["sent"] != 0 {
        bail!("the second push sent something: {again}");
    }
    let text = fs::read_to_string(project.path("group_vars/web.yml"))?;
    project.write("group_vars/web.yml", &text.replace("still the same ship", "still that ship"))?;
    project.bake("ship", &[])?;
    let small = push()?;
    println!(
        "registry: first push {} bytes ({} resumed), again {}, after one line {} bytes",
        first["bytes"], first["resumed"], again["bytes"], small["bytes"]
    );
    let seen = shell::output(Command::new("skopeo").args([
        "inspect",
        "--tls-verify=false",
        &format!("docker://{name}"),
    ]))?;
    let seen: Value = serde_json::from_slice(&seen.stdout)?;
    if seen["Digest"] != small["digest"] {
        bail!("the registry has {} in place of {}", seen["Digest"], small["digest"]);
    }
    pulled(project, &name, &small["digest"])
}

/// A push that is killed goes on where it was.
fn interrupted(project: &Project, name: &str) -> Result<()> {
    let mut child = project.command(&["image", "push", "ship", name])?.stderr(Stdio::null()).spawn()?;
    let notes = project.path("state/images/uploads");
    let began = Instant::now();
    while fs::read_dir(&notes).is_ok_and(|mut entries| entries.next().is_none())
        && child.try_wait()?.is_none()
    {
        if began.elapsed() > Duration::from_secs(30) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// As an image, and as the base of another, in a store that has nothing of it.
fn pulled(project: &Project, name: &str, digest: &Value) -> Result<()> {
    let state = project.path("other");
    let go = |arguments: &[&str]| {
        shell::output(project.command(arguments)?.env("THESEUS_STATE", &state))
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let out = go(&["image", "pull", name, "--output", "json"])?;
    let event: Value = serde_json::from_str(out.lines().last().unwrap_or_default())?;
    if event["digest"] != *digest {
        bail!("pulled {} in place of {digest}", event["digest"]);
    }
    project.write(
        "theseus.yml",
        &format!("images:\n  next: {{playbook: next.yml, base: 'docker://{name}', network: none}}\n"),
    )?;
    project.write(
        "next.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: x, dest: /etc/next}\n",
    )?;
    go(&["bake", "next"])?;
    shell::output(
        Command::new("openssl")
            .args(["genpkey", "-algorithm", "ed25519", "-out"])
            .arg(project.path("key.pem")),
    )?;
    shell::output(
        Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(project.path("key.pem"))
            .arg("-out")
            .arg(project.path("public.pem")),
    )?;
    go(&["image", "sign", "next", "--key", "key.pem"])?;
    let verified = go(&["image", "verify", "next", "--key", "public.pem"])?;
    println!("pulled by digest, baked on, signed; {}", verified.trim());
    Ok(())
}
