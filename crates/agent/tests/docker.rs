//! Containers, networks, volumes and images of a real Docker Engine of the test's own, beside what the collection's own
//! modules returned for the same tasks one after the other (`recorded/docker.json`, `recorded/docker_image.json`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use catalog::{Json, Map};
use serde_json::json;

use crate::host::Host;

/// An engine that ends with the test, without a network of its own.
struct Engine {
    dir: tempfile::TempDir,
    process: Child,
}

impl Engine {
    /// `None`, and said: there is none to be had here.
    fn start(test: &str) -> Option<Self> {
        let there =
            ["/usr/sbin/dockerd", "/usr/bin/docker", "/bin/busybox"].iter().all(|p| Path::new(p).exists());
        if !there || !rustix::process::geteuid().is_root() {
            println!("SKIPPED {test}: needs root, docker.io and busybox-static");
            return None;
        }
        // `W/` in arguments stands for something else.
        let dir = tempfile::Builder::new().prefix("engine-").suffix("-d").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let log = std::fs::File::create(at("log")).unwrap();
        let process = Command::new("dockerd")
            .args(["--host", &format!("unix://{}", at("docker.sock")), "--data-root", &at("data")])
            .args(["--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Self { dir, process };
        let end = Instant::now() + Duration::from_secs(60);
        while !engine.docker(&["version"]) {
            assert!(Instant::now() < end, "{}", std::fs::read_to_string(engine.at("log")).unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
        engine.images();
        Some(engine)
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.at("docker.sock"))
    }

    fn docker(&self, args: &[&str]) -> bool {
        let mut command = Command::new("docker");
        command.args(["--host", &self.socket()]).args(args).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    fn images(&self) {
        let root = self.dir.path().join("image");
        for name in ["bin", "etc", "tmp", "srv"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        // As the first process of a container, the real one does not end when it is told to.
        let sleep = root.join("bin/sleep");
        std::fs::write(&sleep, "#!/bin/sh\ntrap 'exit 0' TERM\n/bin/busybox sleep \"$@\" &\nwait\n").unwrap();
        std::fs::set_permissions(&sleep, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let tar = self.at("image.tar");
        let packed = Command::new("tar").args(["-cf", &tar, "-C"]).arg(&root).arg(".").status();
        assert!(packed.unwrap().success());
        assert!(self.docker(&["import", &tar, "shop:base"]));
        let changes = [
            "CMD [\"/bin/sleep\",\"1000\"]",
            "ENV A=1 B=2",
            "LABEL from=image",
            "VOLUME /data",
            "EXPOSE 8080",
        ];
        let mut words = vec!["import"];
        changes.iter().for_each(|change| words.extend(["--change", change]));
        words.extend([tar.as_str(), "app:1"]);
        assert!(self.docker(&words));
    }

    fn args(&self, own: &Json) -> Json {
        let mut args = own.clone();
        args["docker_host"] = json!(self.socket());
        args
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.docker(&["container", "prune", "--force"]);
        self.docker(&["network", "prune", "--force"]);
        let pid = rustix::process::Pid::from_child(&self.process);
        _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        _ = self.process.wait();
    }
}

/// Ids and addresses are others each time.
fn clean(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let own = map.iter().filter(|(key, _)| *key != "mac_address");
            Json::Object(own.map(|(key, value)| (key.clone(), clean(value))).collect())
        }
        Json::Array(list) => {
            let short = |one: &&Json| !one.as_str().is_some_and(|text| is_hex(text, 12));
            list.iter().filter(short).map(clean).collect()
        }
        Json::String(text) if is_hex(text, 12) => json!("SHORT"),
        Json::String(text) if is_hex(text.trim_start_matches("sha256:"), 64) => json!("ID"),
        other => other.clone(),
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// The recorded tasks, with ports and bridges that nobody else has: below those that the kernel gives to whoever
/// connects, as they are used long after they were chosen.
fn recorded() -> String {
    let tcp =
        (30_000..32_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let free = |port: u16| std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok();
    let first = (20_000..30_000).step_by(2).find(|port| free(*port) && free(port + 1)).unwrap();
    let own = std::process::id() % 100_000;
    include_str!("recorded/docker.json")
        .replace("18080", &tcp.to_string())
        .replace("9000-9001:9000-9001", &format!("{first}-{0}:{first}-{0}", first + 1))
        .replace("\"9000", &format!("\"{first}"))
        .replace("\"9001", &format!("\"{}", first + 1))
        .replace("\"brt", &format!("\"t{own}"))
        .replace("\"brx", &format!("\"x{own}"))
}

/// What the recorded task says that must be the same.
fn compare(number: usize, wanted: &Json, result: &Json) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, is: Json, wanted: &Json| {
        if is != *wanted {
            wrong.push(format!(
                "{number} {what} of {} {}: {is} is not {wanted}",
                wanted_module(wanted),
                result["msg"]
            ));
        }
    };
    // The collection forgets what it had done before it failed.
    if wanted["failed"] != true {
        same("changed", result["changed"].clone(), &wanted["changed"]);
    }
    same("failed", json!(result["failed"] == true), &wanted["failed"]);
    for key in ["status", "actions"] {
        if wanted.get(key).is_some() {
            same(key, result[key].clone(), &wanted[key]);
        }
    }
    if let Some(diff) = wanted.get("diff") {
        let mut is = clean(&result["diff"]);
        // Which of them is said first does not count.
        let mut diff = diff.clone();
        for one in [&mut is, &mut diff] {
            if let Some(list) = one["differences"].as_array_mut() {
                list.sort_by_key(ToString::to_string);
            }
            if one["differences"].is_null() {
                one.as_object_mut().map(|map: &mut Map| map.shift_remove("differences"));
            }
        }
        same("diff", is, &diff);
    }
    if let Some(container) = wanted.get("container") {
        let state = &result["container"]["State"]["Status"];
        same("state", state.clone(), &container["running"]);
        // Two streams: which comes first is the engine's.
        let lines = |output: &Json| {
            let mut lines: Vec<&str> = output.as_str().unwrap_or_default().lines().collect();
            lines.sort_unstable();
            json!(lines)
        };
        same("output", lines(&result["container"]["Output"]), &lines(&container["Output"]));
    }
    wrong
}

fn wanted_module(wanted: &Json) -> String {
    wanted.to_string().chars().take(80).collect()
}

#[test]
fn a_real_engine_is_told_what_the_collection_tells_it() {
    let Some(engine) = Engine::start("a_real_engine_is_told_what_the_collection_tells_it") else { return };
    let mut host = Host::new();
    let tasks: Vec<Json> = serde_json::from_str(&recorded()).unwrap();
    let mut wrong = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        let module = task["module"].as_str().unwrap();
        let mut call = host.call(module, engine.args(&task["args"]));
        call.check = task["check"] == true;
        let result = host.run_call(call);
        wrong.extend(compare(number, task, &result));
    }
    if !wrong.is_empty() {
        let log = std::fs::read_to_string(engine.at("log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(20).collect();
        println!("{}\nthe engine, the last line first:\n{}", wrong.join("\n"), last.join("\n"));
        panic!("{} of {} tasks", wrong.len(), tasks.len());
    }
}

/// A registry that ends with the test; with a password, if one is given in the form of `htpasswd`.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    fn start(dir: &Path, password: Option<&str>) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let address =
            std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
        let at = |name: &str| dir.join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            at("data")
        );
        if let Some(password) = password {
            std::fs::write(at("htpasswd"), password).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", at("htpasswd"));
        }
        std::fs::write(at("config.yml"), config).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { process, address };
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(&registry.address).is_err() {
            assert!(Instant::now() < end, "the registry does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// What a task about images says, in the form in which it is recorded.
fn told(key: &str, result: &Json) -> Json {
    match key {
        "failed" => json!(result["failed"] == true),
        "image" if result["image"]["Id"].is_string() => json!("there"),
        "image" => result["image"].get("state").cloned().unwrap_or(json!("none")),
        "images" => json!(result["images"].as_array().unwrap().len()),
        "actions" => {
            let masked = |action: &Json| {
                let words = action
                    .as_str()
                    .unwrap()
                    .split(' ')
                    .map(|word| if is_hex(word, 64) { "ID" } else { word });
                words.collect::<Vec<_>>().join(" ")
            };
            result["actions"].as_array().unwrap().iter().map(masked).collect()
        }
        _ => result[key].clone(),
    }
}

#[test]
fn images_are_made_and_moved_as_the_collection_does() {
    const TEST: &str = "images_are_made_and_moved_as_the_collection_does";
    if !Path::new("/usr/bin/docker-registry").exists() {
        println!("SKIPPED {TEST}: needs docker-registry");
        return;
    }
    let Some(engine) = Engine::start(TEST) else { return };
    let open = Registry::start(&engine.dir.path().join("open"), None);
    // `me` with the password `se cret`.
    let password = "me:$2b$04$U11TILtRyBs0JQic6.Caxe6wN.rZJi2A5BEqWPx3OUXxScKOX0iuq\n";
    let closed = Registry::start(&engine.dir.path().join("closed"), Some(password));
    let recorded = include_str!("recorded/docker_image.json")
        .replace("OPEN", &open.address)
        .replace("CLOSED", &closed.address);
    let recorded: Json = serde_json::from_str(&recorded).unwrap();
    let mut host = Host::new();
    let mut wrong = Vec::new();
    for (number, task) in recorded["tasks"].as_array().unwrap().iter().enumerate() {
        let (module, args) = (task["module"].as_str().unwrap(), &task["args"]);
        if task["put"] == true {
            match (args["content"].as_str(), args["dest"].as_str()) {
                (Some(content), Some(dest)) => host.put(dest.trim_start_matches("W/"), content),
                _ => _ = host.run(module, args.clone()),
            }
            continue;
        }
        let mut call = host.call(module, engine.args(args));
        call.check = task["check"] == true;
        call.environment.insert("DOCKER_CONFIG".to_owned(), host.path("nobody"));
        let result = host.run_call(call);
        for (key, wanted) in task.as_object().unwrap() {
            if matches!(key.as_str(), "module" | "args" | "check") {
                continue;
            }
            let wanted: Json =
                serde_json::from_str(&wanted.to_string().replace("W/", &host.path(""))).unwrap();
            let is = told(key, &result);
            if is != wanted {
                wrong.push(format!("{number} {key} of {args}: {is} is not {wanted}: {}", result["msg"]));
            }
        }
    }
    for (name, file) in recorded["files"].as_object().unwrap() {
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(host.path(name)).unwrap()) & 0o7777;
        if format!("{mode:04o}") != file[0] || host.get(name) != file[1].as_str().unwrap() {
            wrong.push(format!("{name} is {mode:04o} {}", host.get(name)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    host.bye();
}
