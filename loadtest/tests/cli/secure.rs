//! TLS in front of a server: what a client says over `wss://` arrives there over `ws://`, no faster than the server takes it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

/// The `wss://` URL of a server at a `ws://` URL, for the rest of the test program.
pub(crate) fn secure(url: &str) -> String {
    let (host, path) = url.strip_prefix("ws://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (host, config) = (host.to_owned(), Arc::new(config()));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (host, config) = (host.clone(), Arc::clone(&config));
            thread::spawn(move || {
                let session = ServerConnection::new(config).expect("a whole configuration");
                TcpStream::connect(host).and_then(|server| relay(client, server, session))
            });
        }
    });
    format!("wss://{address}/{path}")
}

fn config() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions that ring knows")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key that fits")
}

/// Carries bytes both ways until one side ends. Nothing is read of one side before the other has taken what was read before.
fn relay(mut client: TcpStream, mut server: TcpStream, mut session: ServerConnection) -> std::io::Result<()> {
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
    }
    session.set_buffer_limit(None);
    let (mut buffer, mut to_server) = (vec![0; 1 << 16], Vec::new());
    loop {
        if would_block(client_to_server(&mut client, &mut server, &mut session, &mut to_server, &mut buffer))?
            == Some(0)
        {
            return Ok(());
        }
        if !session.wants_write()
            && would_block(server.read(&mut buffer))?.is_some_and(|len| {
                // The session takes whatever it is given.
                let _ = session.writer().write_all(&buffer[..len]);
                len == 0
            })
        {
            // Its end is the client's.
            session.send_close_notify();
            return session.write_tls(&mut client).map(drop);
        }
        while session.wants_write() && would_block(session.write_tls(&mut client))?.is_some() {}
        wait(&client, &server, session.wants_write(), !to_server.is_empty())?;
    }
}

/// Reads what the client sends, unless the server has not yet taken what came before. Zero at the end of the stream.
fn client_to_server(
    client: &mut TcpStream,
    server: &mut TcpStream,
    session: &mut ServerConnection,
    waits: &mut Vec<u8>,
    buffer: &mut [u8],
) -> std::io::Result<usize> {
    while !waits.is_empty() {
        let taken = server.write(waits)?;
        waits.drain(..taken);
    }
    let len = session.read_tls(client)?;
    session.process_new_packets().map_err(std::io::Error::other)?;
    while let Some(len @ 1..) = would_block(session.reader().read(buffer))? {
        waits.extend_from_slice(&buffer[..len]);
    }
    Ok(len)
}

/// `None` where it has to wait.
fn would_block(outcome: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        outcome => outcome.map(Some),
    }
}

fn wait(client: &TcpStream, server: &TcpStream, for_client: bool, for_server: bool) -> std::io::Result<()> {
    let pick = |blocked, one, other| if blocked { one } else { other };
    let mut both = [
        PollFd::new(
            client,
            pick(for_server, PollFlags::empty(), PollFlags::IN)
                | pick(for_client, PollFlags::OUT, PollFlags::empty()),
        ),
        PollFd::new(
            server,
            pick(for_client, PollFlags::empty(), PollFlags::IN)
                | pick(for_server, PollFlags::OUT, PollFlags::empty()),
        ),
    ];
    poll(&mut both, None)?;
    Ok(())
}
