//! TLS and Unix sockets of a real server with several workers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::http::{Router, RouterSettings};
use rollcall::internals::reactor::{Config, FdTables, Listen, Server, StartError};
use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use super::kit::{Authority, acceptor};
use crate::bounds::PATIENCE;

fn start(config: Config, listening: Vec<Listen>) -> Result<Server, StartError> {
    let settings = Arc::new(RouterSettings::default());
    Server::start_on(config, listening, move |worker, shared| Router::new(settings.clone(), worker, shared))
}

fn config() -> Config {
    Config { workers: 3, fd_tables: FdTables::Auto, drain: Duration::from_millis(50), ..Config::default() }
}

/// Asks for `/healthz` on a fresh connection; returns the answer's first line.
fn ask(mut stream: impl Read + Write) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_ticket_of_one_worker_is_good_with_all() {
    let authority = Authority::new();
    let acceptor = acceptor(&[&authority.pair(&["localhost"])], None);
    let server = start(config(), vec![Listen::Tls("127.0.0.1:0".parse().unwrap(), acceptor)]).unwrap();
    let client: Arc<ClientConfig> = authority.trusted_by(ALL_VERSIONS, None);
    let mut kinds = Vec::new();
    for _ in 0..40 {
        let session =
            ClientConnection::new(client.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
        let socket = TcpStream::connect(server.addresses()[0]).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(session, socket);
        assert_eq!(ask(&mut stream), "HTTP/1.1 200 OK\r\n");
        kinds.push(stream.conn.handshake_kind().unwrap());
    }
    assert_eq!(kinds[0], HandshakeKind::Full);
    assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?}");
    let sides = server.shared().workers().iter().filter(|worker| worker.counters.tls_resumed.get() > 0);
    assert!(sides.count() > 1, "over several workers");
}

#[test]
fn a_unix_socket_serves_and_goes_with_the_server() {
    for fd_tables in [FdTables::Private, FdTables::Shared] {
        let directory =
            std::env::temp_dir().join(format!("rollcall-real-{}-{fd_tables:?}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("socket");
        let listening =
            || vec![Listen::Unix(path.clone(), 0o600), Listen::Tcp("127.0.0.1:0".parse().unwrap())];
        let server = start(Config { fd_tables, ..config() }, listening()).unwrap();
        let taken = start(config(), listening()).unwrap_err();
        assert!(matches!(taken, StartError::PathInUse(_)), "{taken}");
        for _ in 0..20 {
            assert_eq!(ask(UnixStream::connect(&path).unwrap()), "HTTP/1.1 200 OK\r\n");
        }
        assert_eq!(ask(TcpStream::connect(server.addresses()[0]).unwrap()), "HTTP/1.1 200 OK\r\n");
        server.handle().drain();
        server.join().unwrap();
        assert!(!path.exists(), "{fd_tables:?}");
        fs::remove_dir(directory).unwrap();
    }
}
