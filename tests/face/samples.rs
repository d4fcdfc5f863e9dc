//! The manual's configurations for nginx and HAProxy, run by the real ones as they stand, but for ports; and the least that people
//! write instead. Upgrades pass, and a stranger gets nothing that is the operator's, whatever Host it names. Where a proxy is not
//! installed its tests say that they were left out; with `ROLLCALL_PROXIES=required` they fail.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::{Message, WebSocket};

use super::binary::Running;
use super::carriers::streams_flow_and_polls_are_held;
use super::client::{Http, Patient, bearer, upgrade};
use crate::bounds::PATIENCE;

/// Ports that are tried: another program may be quicker to take one that was free.
const TRIES: usize = 5;

/// A proxy that runs; killed when the test is over.
struct Proxy {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Proxy {
    /// Starts `program` by a configuration that has `{address}` where it listens and `{directory}` where it may write.
    fn start(program: &Path, args: &[&str], configuration: &str) -> Proxy {
        let name = program.file_name().unwrap().to_str().unwrap();
        for nth in 0..TRIES {
            let id = (std::process::id(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
            let directory =
                std::env::temp_dir().join(format!("rollcall-{}-{name}-{}-{nth}", id.0, id.1.port()));
            fs::create_dir_all(&directory).unwrap();
            let text = configuration
                .replace("{address}", &id.1.to_string())
                .replace("{directory}", directory.to_str().unwrap());
            let file = directory.join("configuration");
            fs::write(&file, text).unwrap();
            let said = fs::File::create(directory.join("said")).unwrap();
            let mut command = Command::new(program);
            command.args(args).arg(&file).stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
            let mut proxy = Proxy { child: command.spawn().unwrap(), address: id.1, directory };
            if proxy.accepts() {
                return proxy;
            }
            eprintln!("{name} does not start: {}", fs::read_to_string(proxy.directory.join("said")).unwrap());
        }
        panic!("{name} does not start");
    }

    /// The real nginx with these servers.
    fn nginx(program: &Path, servers: &str) -> Proxy {
        // One process, so that killing it leaves none behind.
        let configuration = format!(
            "daemon off; master_process off; pid {{directory}}/pid; error_log stderr;\nevents {{}}\nhttp {{\n\
             access_log off; client_body_temp_path {{directory}}/b; proxy_temp_path {{directory}}/p;\n\
             fastcgi_temp_path {{directory}}/f; uwsgi_temp_path {{directory}}/u; scgi_temp_path {{directory}}/s;\n\
             {servers}\n}}\n"
        );
        Proxy::start(program, &["-e", "stderr", "-c"], &configuration)
    }

    /// The real HAProxy.
    fn haproxy(program: &Path, configuration: &str) -> Proxy {
        Proxy::start(program, &["-db", "-f"], configuration)
    }

    /// Waits until it accepts. False where it ends instead.
    fn accepts(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Where a program is, which ordinary users may not have in their path.
fn found(program: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    let found = folders.map(|folder| Path::new(folder).join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert_ne!(
            std::env::var("ROLLCALL_PROXIES").as_deref(),
            Ok("required"),
            "there is no {program} here: apt-get install nginx-light haproxy"
        );
        eprintln!("left out: {test}: there is no {program} here");
    }
    found
}

const CHAPTER: &str = include_str!("../../src/manual/proxies.md");

/// The first block of that kind in the chapter about proxies.
fn sample(kind: &str) -> &'static str {
    CHAPTER.split(&format!("```{kind}\n")).nth(1).unwrap().split("```").next().unwrap()
}

/// A sample as it stands, with a server at another address and a proxy at a port of the test's.
fn with_ports(sample: &str, listens: &str, running: &Running) -> String {
    let server = running.address.to_string();
    assert!(sample.contains(listens) && sample.contains("127.0.0.1:8080"), "{sample}");
    let own = listens.replace(":80", "80").replace("80", "{address}");
    sample.replace(listens, &own).replace("127.0.0.1:8080", &server)
}

/// A proxy's least configuration for HAProxy, with further words for its server.
fn bare_haproxy(running: &Running, words: &str) -> String {
    format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
         frontend f\n bind {{address}}\n default_backend b\nbackend b\n server one {} {words}\n",
        running.address
    )
}

fn ask(address: SocketAddr, host: &str, line: &str, lines: &str) -> super::client::Answer {
    let body = if line.starts_with("POST") { r#"{"data":1,"reason":"by a stranger"}"# } else { "" };
    let mut http = Http::connect(address);
    http.send(&format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    http.answer(line.starts_with("HEAD"))
}

const V1: [(&str, &str); 1] = [("Sec-WebSocket-Protocol", "rollcall.v1")];

/// A user who came in through the proxy, and has been greeted.
fn user(proxy: &Proxy, name: &str) -> WebSocket<Patient> {
    let mut socket = upgrade(proxy.address, &format!("/ws?user={name}"), &V1).unwrap().0;
    assert!(socket.read().unwrap().to_text().unwrap().contains("welcome"));
    socket
}

/// A page that came from the proxy may connect through it, whatever else `--origin` names; no other page may.
fn own_pages_come_in(proxy: &Proxy) {
    let from = |origin: &str| upgrade(proxy.address, "/ws", &[("Origin", origin)]).map(|_| ());
    assert_eq!(from(&format!("http://{}", proxy.address)), Ok(()));
    assert_eq!(from("https://named.example"), Ok(()));
    assert_eq!(from("http://127.0.0.1"), Err(403));
}

/// The next text of a user that has this event; others are passed over.
fn event(socket: &mut WebSocket<Patient>, name: &str) -> Value {
    loop {
        let text: Value = serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap();
        if text["event"] == name {
            return text;
        }
    }
}

/// Who comes into a room and who goes is counted through the proxy, and who is banned is told so there.
fn members_and_bans_pass(proxy: &Proxy, running: &Running) {
    let (mut anna, mut ben) = (user(proxy, "anna"), user(proxy, "ben"));
    let join = Message::text(r#"{"seq":1,"cmd":"join","params":{"room":"lobby"}}"#);
    ben.send(join.clone()).unwrap();
    assert!(ben.read().unwrap().to_text().unwrap().contains(r#""membership":1"#));
    anna.send(join).unwrap();
    let joined = event(&mut ben, "join");
    assert_eq!((&joined["user"], &joined["membership"]), (&"anna".into(), &2.into()));
    let mut http = Http::connect(running.address);
    let (key, body) = (bearer(running.key.as_deref().unwrap()), r#"{"for":60,"reason":"be kind"}"#);
    http.send(&format!(
        "POST /api/v1/users/anna/disconnect HTTP/1.1\r\nHost: a\r\n{key}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(http.answer(false).status, 200);
    // One that comes back is told the same.
    let mut back = upgrade(proxy.address, "/ws?user=anna", &V1).unwrap().0;
    for banned in [&mut anna, &mut back] {
        let goodbye = event(banned, "goodbye");
        assert_eq!((&goodbye["code"], &goodbye["reason"]), (&4403.into(), &"be kind".into()));
        assert_eq!(goodbye["retry_ms"], Value::Null);
        let Message::Close(Some(close)) = banned.read().unwrap() else { panic!("no Close") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (4403, "be kind"));
    }
    let left = event(&mut ben, "leave");
    assert_eq!((&left["user"], &left["count"], &left["membership"]), (&"anna".into(), &1.into(), &3.into()));
}

const OPERATORS: [&str; 8] = [
    "GET /api/v1/users",
    "GET /api/v1/memory",
    "GET /metrics",
    "HEAD /metrics",
    "POST /api/v1/users/anna/tell",
    "POST /api/v1/users/anna/disconnect",
    "POST /api/v1/broadcast",
    "DELETE /api/v1/users/anna/ban",
];
const HOSTS: [&str; 5] = ["localhost", "127.0.0.1", "127.0.0.1:8080", "[::1]", "presence.example.org"];

/// A stranger is refused with `status` whatever it asks and whatever host it names, and anna notices nothing.
fn stranger_gets_nothing(proxy: &Proxy, status: u16) {
    let mut anna = user(proxy, "anna");
    for host in HOSTS {
        for line in OPERATORS {
            for lines in ["", "Origin: http://127.0.0.1:8080\r\n", "X-Forwarded-For: 127.0.0.1\r\n"] {
                let answer = ask(proxy.address, host, line, lines);
                assert_eq!(answer.status, status, "{host} {line} {lines}");
            }
        }
        // What leads there by another spelling does not.
        for path in ["/%61pi/v1/users", "//api/v1/users", "/x/../api/v1/users", "/./metrics", "/metrics/"] {
            let answer = ask(proxy.address, host, &format!("GET {path}"), "");
            assert!([401, 403, 404].contains(&answer.status), "{host} {path}: {}", answer.status);
        }
    }
    anna.send(Message::text(r#"{"seq":7,"cmd":"heartbeat"}"#)).unwrap();
    let next = anna.read().unwrap();
    assert!(next.to_text().unwrap().contains("\"seq\":7"), "{next:?}");
}

#[test]
fn the_nginx_of_the_manual_passes_upgrades_and_keeps_the_operators_paths() {
    let Some(nginx) = found("nginx", "the manual's nginx") else { return };
    let running = Running::start(&["--workers", "2", "--origin", "https://named.example"]);
    let proxy = Proxy::nginx(&nginx, &with_ports(sample("nginx"), "listen 80", &running));
    stranger_gets_nothing(&proxy, 403);
    own_pages_come_in(&proxy);
    streams_flow_and_polls_are_held(&format!("http://{}", proxy.address), &[]);
    members_and_bans_pass(&proxy, &running);
    assert_eq!(ask(proxy.address, "presence.example.org", "GET /healthz", "").status, 200);
    let mut echo = upgrade(proxy.address, "/echo", &[]).unwrap().0;
    echo.send(Message::text("through nginx")).unwrap();
    assert_eq!(echo.read().unwrap(), Message::text("through nginx"));
}

#[test]
fn the_haproxy_of_the_manual_passes_upgrades_and_keeps_the_operators_paths() {
    let Some(haproxy) = found("haproxy", "the manual's HAProxy") else { return };
    let running = Running::start(&["--workers", "2", "--origin", "https://named.example"]);
    let proxy = Proxy::haproxy(&haproxy, &with_ports(sample("haproxy"), "bind :80", &running));
    stranger_gets_nothing(&proxy, 403);
    own_pages_come_in(&proxy);
    streams_flow_and_polls_are_held(&format!("http://{}", proxy.address), &[]);
    members_and_bans_pass(&proxy, &running);
    assert_eq!(ask(proxy.address, "presence.example.org", "GET /healthz", "").status, 200);
    // With what the manual says of the PROXY protocol.
    let flags = ["--workers", "2", "--trusted-proxy", "127.0.0.0/8", "--proxy-protocol"];
    let running = Running::start(&flags);
    let told = "server one 127.0.0.1:8080 send-proxy-v2 check";
    assert!(CHAPTER.contains(told));
    let sample = sample("haproxy").replace("server one 127.0.0.1:8080 check", told);
    let proxy = Proxy::haproxy(&haproxy, &with_ports(&sample, "bind :80", &running));
    stranger_gets_nothing(&proxy, 403);
}

#[test]
fn behind_a_bare_proxy_pass_the_server_itself_refuses() {
    let Some(nginx) = found("nginx", "a bare proxy_pass") else { return };
    let running = Running::start(&["--workers", "2", "--trusted-proxy", "127.0.0.0/8"]);
    let upgrades = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
    for (upgrade, host) in [(upgrades, ""), (upgrades, "proxy_set_header Host localhost;")] {
        let servers = format!(
            "server {{ listen {{address}}; location /ws {{ proxy_pass http://{0}; {upgrade} }} \
             location / {{ proxy_pass http://{0}; {host} }} }}",
            running.address
        );
        let proxy = Proxy::nginx(&nginx, &servers);
        stranger_gets_nothing(&proxy, 401);
        let key = bearer(running.key.as_deref().unwrap());
        assert_eq!(ask(proxy.address, "presence.example.org", "GET /api/v1/users", &key).status, 200);
    }
}

#[test]
fn behind_a_bare_haproxy_the_server_itself_refuses() {
    let Some(haproxy) = found("haproxy", "a bare HAProxy") else { return };
    let proxied = ["--workers", "2", "--trusted-proxy", "127.0.0.0/8", "--proxy-protocol"];
    for (flags, words) in [
        (&proxied[..2], ""),
        (&proxied[..4], ""),
        (&proxied[..], "send-proxy-v2"),
        (&proxied[..], "send-proxy"),
    ] {
        let running = Running::start(flags);
        let proxy = Proxy::haproxy(&haproxy, &bare_haproxy(&running, words));
        stranger_gets_nothing(&proxy, 401);
        let key = bearer(running.key.as_deref().unwrap());
        assert_eq!(ask(proxy.address, "presence.example.org", "GET /metrics", &key).status, 200, "{words}");
    }
}

#[test]
fn the_nginx_with_tls_that_deploying_takes_passes_upgrades() {
    let Some(nginx) = found("nginx", "the manual's nginx with TLS") else { return };
    let folder = std::env::temp_dir().join(format!("rollcall-{}-deploy", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let made = super::binary::rollcall(&["cert"]).current_dir(&folder).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let running = Running::start(&["--workers", "2", "--origin", "https://www.example.org"]);
    let chapter = include_str!("../../src/manual/deploy.md");
    let sample = chapter.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let at = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    assert!(
        sample.contains("listen 443 ssl;") && sample.contains("cert.pem;") && sample.contains("key.pem;")
    );
    let servers = sample
        .replace("listen 443 ssl;", "listen {address} ssl;")
        .replace("cert.pem;", &format!("{};", at("cert.pem")))
        .replace("key.pem;", &format!("{};", at("key.pem")))
        .replace("127.0.0.1:8080", &running.address.to_string());
    let proxy = Proxy::nginx(&nginx, &servers);
    let ask = |path: &str, more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--http1.1", "--max-time", "3", "--noproxy", "*", "--cacert"]);
        curl.arg(at("cert.pem")).args(more).arg(format!("https://{}{path}", proxy.address));
        let output = curl.output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    };
    let own = format!("Origin: https://{}", proxy.address);
    let foreign = "Origin: https://elsewhere.example";
    let upgrade =
        ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
    let key = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H"];
    for (path, more, status) in [
        ("/healthz", vec![], "200"),
        ("/api/v1/users", vec![], "403"),
        ("/metrics", vec![], "403"),
        ("/docs", vec![], "200"),
        ("/ws?user=anna", [&upgrade[..], &key, &["Origin: https://www.example.org"]].concat(), "101"),
        ("/ws?user=anna", [&upgrade[..], &key, &[foreign]].concat(), "403"),
        ("/ws?user=anna", [&upgrade[..], &key, &[&own]].concat(), "101"),
    ] {
        let said = ask(path, &more);
        assert!(said.contains(status), "{path} {more:?}: {said}");
    }
    let _ = fs::remove_dir_all(&folder);
}
