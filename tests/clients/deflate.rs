//! Compressed messages with clients that are not ours: Node's WebSocket and its zlib. Left out where there is no Node.

use std::process::Command;
use std::sync::Arc;

use rollcall::internals::http::{Router, RouterSettings};
use rollcall::internals::reactor::{Config, Deflate, Server};

use super::client::millis;

/// What Node prints of the clients, or `None` without Node.
fn run(server: &Server, mode: &str) -> Option<String> {
    let address = server.addresses()[0].to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/deflate.mjs");
    let output = Command::new("node").args(["--experimental-websocket", script, &address, mode]).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            println!("left out: node can't be run: {error}");
            return None;
        }
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("bad option") {
        println!("left out: this node has no WebSocket");
        return None;
    }
    assert!(output.status.success(), "{complaint}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn other_clients_are_understood_and_understand() {
    for (deflate, mode, agreed) in [
        (Deflate::Shared, "shared", "server_no_context_takeover; client_no_context_takeover"),
        (Deflate::PerConnection, "per-connection", "client_max_window_bits=12"),
    ] {
        let settings = Arc::new(RouterSettings::default());
        let config = Config { deflate, drain: millis(100), ..Config::default() };
        let make = move |worker, shared: &_| Router::new(settings.clone(), worker, shared);
        let server = Server::start(config, &["127.0.0.1:0".parse().unwrap()], make).unwrap();
        let Some(said) = run(&server, mode) else { return };
        assert!(said.contains(&format!("built in: permessage-deflate; {agreed}\n")), "{said}");
        assert_eq!(said.lines().count(), 5, "{said}");
    }
}
