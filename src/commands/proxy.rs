//! `theseus proxy`: the embedded load balancer, until it is ended.

use fleet::traffic::proxy::{Options, serve};

use crate::arguments;
use crate::report::{self, Output, Style};
use crate::setup::Problem;
use crate::terminal;

pub(crate) fn proxy(asked: &arguments::Proxy, style: Style) -> u8 {
    let json = style.output == Output::Json;
    let options = Options {
        listen: asked.listen,
        control: asked.control.clone(),
        tcp: asked.tcp,
        servers: asked.server.iter().cloned().collect(),
    };
    let ready = |address: std::net::SocketAddr| {
        if json {
            report::json_line(serde_json::json!({"event": "proxy", "listen": address.to_string()}));
        } else {
            eprintln!("listening on {address}");
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(options, ready)));
    match served {
        Ok(()) => 0,
        Err(error) => {
            let problem = Problem::Other(format!("the proxy on {}: {error}", asked.listen));
            terminal::show(&problem, &playbook::Sources::new(), json)
        }
    }
}
