//! `rollcall cert`, `wss://` and `unix:` as an operator meets them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::bounds::PATIENCE;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest as _;

/// A directory that is gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("rollcall-secure-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Running {
    child: Child,
    screen: String,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(args)
            .env("RUNTIME_DIRECTORY", super::binary::RUNTIME)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut screen = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        while !screen.contains("Ctrl-C") {
            assert_ne!(reader.read_line(&mut screen).unwrap(), 0, "it ended: {screen}");
        }
        Running { child, screen }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_certificate(directory: &str, name: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(["cert", "--dir", directory, "--name", name]).output().unwrap()
}

/// A TLS connection whose peer shows the certificate in `file`.
fn dial(address: &str, file: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    dial_as(address, file, None)
}

/// The same, showing a certificate of its own.
fn dial_as(
    address: &str,
    file: &Path,
    shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(session, socket)
}

fn healthz(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_certificate_of_ours_is_served_and_replaced_on_hangup() {
    let directory = Directory::new("hangup");
    let at = directory.0.to_str().unwrap();
    assert!(make_certificate(at, "localhost").status.success());
    let mode = fs::metadata(directory.path("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = make_certificate(at, "localhost");
    assert!(String::from_utf8_lossy(&again.stderr).contains("key.pem exists"), "{again:?}");
    let (cert, key) = (directory.path("cert.pem"), directory.path("key.pem"));
    let args = ["--listen", "wss://127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let mut running = Running::start(&args);
    let address = running.screen.split("wss://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert!(healthz(dial(&address, Path::new(&cert))).unwrap().ends_with("\r\n\r\nok\n"));

    let (mut socket, _) =
        tungstenite::client(format!("wss://{address}/echo"), dial(&address, Path::new(&cert))).unwrap();
    let old = directory.path("old.pem");
    fs::rename(&cert, &old).unwrap();
    fs::remove_file(&key).unwrap();
    let mut log = BufReader::new(running.child.stderr.take().unwrap());
    let mut line = String::new();
    // Half of a pair is no pair: nothing changes.
    running.signal(Signal::HUP);
    while !line.contains("TLS stays as it was: can't read") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }
    assert!(healthz(dial(&address, Path::new(&old))).is_ok());
    assert!(make_certificate(at, "localhost").status.success());
    running.signal(Signal::HUP);
    while !line.contains("the certificates as they are now") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }
    assert!(healthz(dial(&address, Path::new(&cert))).is_ok());
    assert!(healthz(dial(&address, Path::new(&old))).is_err(), "it is the other one now");
    socket.send(Message::text("still here")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("still here"), "nobody was dropped");
}

#[test]
fn a_certificate_says_who_its_client_is() {
    let directory = Directory::new("clients");
    assert!(make_certificate(directory.0.to_str().unwrap(), "localhost").status.success());
    let (cert, key, ca) = (directory.path("cert.pem"), directory.path("key.pem"), directory.path("ca.pem"));
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(&ca, params.self_signed(&authority_key).unwrap().pem()).unwrap();
    let authority = Issuer::new(params, authority_key);
    let client = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).unwrap();
        (certificate.der().clone(), PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
    };
    let args = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca, "--tls-client-user"];
    let running = Running::start(&[&["--listen", "wss://127.0.0.1:0"][..], &args].concat());
    assert!(running.screen.contains("by a client certificate"), "{}", running.screen);
    let address = running.screen.split("wss://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let join_from = |origin: Option<&str>, shown, subprotocol: &str| {
        let mut request = format!("wss://{address}/ws?user=ben").into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse().unwrap());
        }
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
        let answered = tungstenite::client(request, dial_as(&address, Path::new(&cert), shown));
        answered.map(|(socket, _)| socket).map_err(|error| match error {
            tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                format!("{} {}", answer.status(), String::from_utf8_lossy(body))
            }
            error => panic!("{error}"),
        })
    };
    let join = |shown, subprotocol: &str| join_from(None, shown, subprotocol);
    let mut anna = join(Some(client("anna")), "rollcall.v1").unwrap();
    let welcome = anna.read().unwrap().into_text().unwrap();
    assert!(welcome.contains(r#""event":"welcome""#) && welcome.contains(r#""user":"anna""#), "{welcome}");
    for (name, why) in [(None, "a client certificate is needed"), (Some("Anna*"), "has to be a name")] {
        let answer = join(name.map(client), "chat").expect_err("it is let in");
        assert!(answer.starts_with("403 ") && answer.contains(why), "{answer}");
        // Whose page can be told why is told.
        let mut refused = join(name.map(client), "rollcall.v1").unwrap();
        let goodbye = refused.read().unwrap().into_text().unwrap();
        assert!(goodbye.contains(r#""event":"goodbye","code":4403"#) && goodbye.contains(why), "{goodbye}");
        let close = refused.read().unwrap();
        assert!(matches!(&close, Message::Close(Some(close)) if u16::from(close.code) == 4403), "{close:?}");
    }
    // A browser shows it for any page: it counts for the server's own.
    let own = format!("https://{address}");
    let mut page = join_from(Some(&own), Some(client("anna")), "rollcall.v1").unwrap();
    assert!(page.read().unwrap().into_text().unwrap().contains(r#""user":"anna""#));
    for origin in ["https://foreign.example", "null", &*own.replace("https:", "http:")] {
        let answer = join_from(Some(origin), Some(client("anna")), "chat").expect_err("it is let in");
        assert!(answer.starts_with("403 ") && answer.contains("--origin"), "{origin}: {answer}");
        let mut refused = join_from(Some(origin), Some(client("anna")), "rollcall.v1").unwrap();
        let goodbye = refused.read().unwrap().into_text().unwrap();
        assert!(goodbye.contains(r#""code":4403"#) && goodbye.contains("--origin"), "{origin}: {goodbye}");
    }
    // It is for presence: what says nothing of users is open as before.
    assert!(healthz(dial(&address, Path::new(&cert))).is_ok());
}

#[test]
fn a_unix_socket_is_served_and_removed() {
    let directory = Directory::new("unix");
    let path = directory.path("socket");
    let mut running = Running::start(&["--listen", &format!("unix:{path}"), "--unix-mode", "0600"]);
    assert!(running.screen.contains(&format!("unix:{path}   mode 0600")), "{}", running.screen);
    assert!(healthz(UnixStream::connect(&path).unwrap()).unwrap().ends_with("\r\n\r\nok\n"));
    running.signal(Signal::TERM);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_proxy_on_a_unix_socket_speaks_for_its_clients() {
    let directory = Directory::new("proxied");
    for proxy_protocol in [false, true] {
        let path = directory.path(if proxy_protocol { "headers" } else { "fields" });
        let listen = format!("unix:{path}");
        let mut flags =
            vec!["--listen", &*listen, "--trusted-proxy", "unix", "--max-connections-per-address", "1"];
        flags.extend(proxy_protocol.then_some("--proxy-protocol"));
        let _running = Running::start(&flags);
        let ask = |client: &str, line: &str, fields: &str| {
            let mut stream = UnixStream::connect(&path).unwrap();
            let (header, field) = if proxy_protocol {
                let source = if client == "unknown" {
                    "UNKNOWN".to_owned()
                } else {
                    format!("TCP4 {client} 192.0.2.1 1 2")
                };
                (format!("PROXY {source}\r\n"), String::new())
            } else {
                (String::new(), format!("X-Forwarded-For: {client}\r\n"))
            };
            let request = format!("{header}{line} HTTP/1.1\r\nHost: localhost\r\n{field}{fields}\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
        };
        let upgrade = |client: &str| {
            let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            ask(client, "GET /ws", fields)
        };
        let held = [upgrade("203.0.113.7"), upgrade("203.0.113.8")];
        assert_eq!(held.each_ref().map(|(status, _)| &**status), ["101"; 2]);
        // Somebody whom the proxy can't name is not the proxy itself.
        assert_eq!(ask("unknown", "GET /api/v1/stats", "").0, "401");
        assert_eq!(upgrade("203.0.113.7").0, "429", "one is the most");
        // Who comes through a proxy is not the operator.
        assert_eq!(ask("203.0.113.9", "GET /metrics", "").0, "401");
    }
}

#[test]
fn commands_run_over_tls_and_for_pages_by_https_alone() {
    let directory = Directory::new("commands");
    assert!(make_certificate(directory.0.to_str().unwrap(), "localhost").status.success());
    let (cert, key) = (directory.path("cert.pem"), directory.path("key.pem"));
    let command = "/run=sh -c 'echo $HTTPS; head -c 300000 /dev/zero | tr \\\\0 x; echo; exec cat'";
    let args = ["--listen", "wss://127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key, "--exec", command];
    let running = Running::start(&args);
    let address = running.screen.split("wss://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let open = |origin: Option<String>| {
        let mut request = format!("wss://{address}/run").into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse().unwrap());
        }
        tungstenite::client(request, dial(&address, Path::new(&cert))).map(|(socket, _)| socket).ok()
    };
    assert!(open(Some(format!("http://{address}"))).is_none(), "anybody on the way can be that page");
    for origin in [None, Some(format!("https://{address}"))] {
        let mut client = open(origin).unwrap();
        assert_eq!(client.read().unwrap().into_text().unwrap().as_str(), "on");
        assert_eq!(client.read().unwrap().len(), 300_000);
        // Many records, and a pipe that is full again and again.
        let line = "line ".repeat(50_000);
        client.send(tungstenite::Message::text(line.as_str())).unwrap();
        assert!(client.read().unwrap().into_text().unwrap().as_str() == line);
        client.close(None).unwrap();
        assert!(client.read().unwrap().is_close());
    }
}
