//! Other balancers: a real HAProxy by its runtime API, a real nginx by configuration and reload.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::load::Load;
use super::{Fleet, free_port, python};
use crate::common::{Project, lab_is_possible};

/// A balancer's process, ended with the test.
struct Balancer {
    child: Child,
    folder: std::path::PathBuf,
}

impl Balancer {
    fn start(program: &str, folder: &Path, arguments: &[&str], port: u16) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("said")).unwrap())
            .spawn()
            .unwrap();
        let balancer = Self { child, folder: folder.to_owned() };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = std::fs::read_to_string(folder.join("said")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not listen: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
        balancer
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn possible(test: &str, program: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        println!("SKIPPED {test}: needs {program}");
    }
    there && lab_is_possible(test) && python(test)
}

/// Sockets need short paths.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("theseus-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn lab(more: &'static str) -> impl Fn(&Project) -> String {
    move |project| {
        let app = project.root.join("app.py");
        format!("    lab: {{start: \"exec /usr/bin/python3 {}\"}}\n{more}", app.display())
    }
}

const CANARY: &str = "    rollout: {strategy: canary, percents: [34, 100], soak: 500ms}\n";

#[test]
fn haproxy_gives_weights_and_knows_its_servers_after_a_reload() {
    let program = "/usr/sbin/haproxy";
    if !possible("haproxy_gives_weights_and_knows_its_servers_after_a_reload", program) {
        return;
    }
    let (folder, port) = (folder("haproxy"), free_port());
    let (socket, config) = (folder.join("socket"), folder.join("cfg"));
    let text = format!(
        "global\n  stats socket {} mode 600 level admin expose-fd listeners\n  hard-stop-after 10s\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 10s\n  timeout server 10s\nfrontend shop\n  bind 127.0.0.1:{port}\n  default_backend web\nbackend web\n  balance roundrobin\n  # theseus begins web\n  # theseus ends\n",
        socket.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut one = Balancer::start(program, &folder, &["-f", &config.display().to_string(), "-db"], port);
    let traffic = format!("{{haproxy: {}, backend: web, config: {}}}", socket.display(), config.display());
    let fleet = Fleet::of("hap", port, lab(CANARY), &traffic);
    fleet.run(&["fleet", "up", &fleet.name]).fine();
    let load = Load::on(port);
    fleet.there_and_back();
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 100, "{failed} of {} requests failed", fine + failed);
    // Another process takes over, as a reload does it: it has the servers from the configuration.
    let written = std::fs::read_to_string(&config).unwrap();
    assert_eq!(written.matches(&format!("server {}-", fleet.name)).count(), 3, "{written}");
    let takes_over = ["-f", &config.display().to_string(), "-db", "-x", &socket.display().to_string(), "-sf"];
    let pid = one.child.id().to_string();
    let _two = Balancer::start(program, &folder, &[&takes_over[..], &[&pid]].concat(), port);
    one.child.wait().unwrap();
    let load = Load::on(port);
    let shown = fleet.run(&["rollout", "start", &fleet.name, "--to", "v3"]);
    assert_eq!(shown.code, 0, "{}", shown.shown());
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 50, "{failed} of {} requests failed", fine + failed);
}

#[test]
fn nginx_is_told_by_configuration_and_reload() {
    let program = "/usr/sbin/nginx";
    if !possible("nginx_is_told_by_configuration_and_reload", program) {
        return;
    }
    let (folder, port) = (folder("nginx"), free_port());
    let at = |name: &str| folder.join(name).display().to_string();
    let (upstream, config) = (folder.join("upstream.conf"), folder.join("conf"));
    std::fs::write(&upstream, "upstream web {\n    server 127.0.0.1:9 down;\n}\n").unwrap();
    let text = format!(
        "daemon off;\npid {};\nerror_log {};\nworker_processes 1;\nevents {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {};\n  proxy_temp_path {};\n  fastcgi_temp_path {};\n  uwsgi_temp_path {};\n  scgi_temp_path {};\n  include {};\n  server {{\n    listen 127.0.0.1:{port};\n    keepalive_timeout 0;\n    location / {{ proxy_pass http://web; }}\n  }}\n}}\n",
        at("pid"),
        at("errors"),
        at("t1"),
        at("t2"),
        at("t3"),
        at("t4"),
        at("t5"),
        upstream.display()
    );
    std::fs::write(&config, text).unwrap();
    let _nginx = Balancer::start(program, &folder, &["-c", &config.display().to_string()], port);
    let traffic = format!("{{nginx: {}, upstream: web, pid: {}}}", upstream.display(), at("pid"));
    let fleet = Fleet::of("ngx", port, lab("    rollout: {drain: 5s}\n"), &traffic);
    fleet.run(&["fleet", "up", &fleet.name]).fine();
    let load = Load::anew(port);
    fleet.there_and_back();
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 50, "{failed} of {} requests failed", fine + failed);
    let written = std::fs::read_to_string(&upstream).unwrap();
    assert_eq!(written.matches(&format!("# {}-", fleet.name)).count(), 3, "{written}");
}
