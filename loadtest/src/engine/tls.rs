//! TLS under a link: rustls's own buffers between its socket and its bytes. Lean it need not be, as long as the server's side is
//! what is measured.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use crate::engine::link::End;
use crate::sys;

/// Plaintext taken at once.
const WRITE_BYTES: usize = 64 << 10;

/// Whom a TLS connection is for.
#[derive(Clone, Debug)]
pub struct Peer {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Peer {
    /// A peer of that name, whatever certificate it shows. No session is resumed: each connection is a client of its own.
    pub fn unchecked(host: &str) -> Result<Peer, String> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| format!("{name}: {error}"))?;
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Peer { config: Arc::new(config), name })
    }

    pub fn session(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(self.config.clone(), self.name.clone())
    }
}

/// One connection's TLS.
#[derive(Debug)]
pub struct Tls(ClientConnection);

impl Tls {
    pub fn new(session: ClientConnection) -> Tls {
        Tls(session)
    }

    /// As a socket's read, but that less than `plain` holds always means that the socket is drained.
    pub fn recv(&mut self, socket: &OwnedFd, plain: &mut [u8]) -> Result<usize, Errno> {
        let mut len = 0;
        loop {
            match self.0.reader().read(&mut plain[len..]) {
                Ok(0) => return Ok(len),
                Ok(more) => len += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Ok(len),
            }
            if len == plain.len() {
                return Ok(len);
            }
            match self.0.read_tls(&mut Socket(socket)) {
                Ok(0) => return Ok(len),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && len > 0 => return Ok(len),
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)),
            }
            let processed = self.0.process_new_packets();
            self.flush(socket)?;
            processed.map_err(|_| Errno::PROTO)?;
        }
    }

    /// As a socket's write: takes plaintext until all of it is taken or the socket is full, so that who has some left is told
    /// when there is room again.
    pub fn write(&mut self, socket: &OwnedFd, plain: &[u8]) -> Result<usize, End> {
        let mut taken = 0;
        loop {
            self.flush(socket)?;
            let part = &plain[taken..];
            if self.0.wants_write() || part.is_empty() {
                return Ok(taken);
            }
            // While the handshake goes on, what is to be said first waits inside.
            match self.0.writer().write(&part[..part.len().min(WRITE_BYTES)]) {
                Ok(0) | Err(_) => return Ok(taken),
                Ok(more) => taken += more,
            }
        }
    }

    /// Writes what the socket takes of the records that wait.
    pub fn flush(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        while self.0.wants_write() {
            match self.0.write_tls(&mut Socket(socket)) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            }
        }
        Ok(())
    }
}

struct Socket<'s>(&'s OwnedFd);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(sys::recv(self.0, buffer)?)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(sys::send(self.0, bytes)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes any certificate for good; that its owner signs is still checked, so that the work is that of any client.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A handshake's first flight fits any socket, so both ends of a pair can be played by one thread.
    fn open_pair() -> (Tls, OwnedFd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let tls = Tls::new(Peer::unchecked("localhost:1").unwrap().session().unwrap());
        (tls, ours.into(), theirs)
    }

    #[test]
    fn what_is_left_of_a_write_is_left_by_a_full_socket() {
        let (mut tls, socket, peer) = open_pair();
        let server = std::thread::spawn(move || count(peer));
        let mut plain = [0; 4096];
        while tls.0.is_handshaking() {
            tls.flush(&socket).unwrap();
            let _ = tls.recv(&socket, &mut plain);
            std::thread::yield_now();
        }
        let message = vec![b'x'; 300_000];
        let mut sent = 0;
        while sent < message.len() {
            sent += tls.write(&socket, &message[sent..]).unwrap();
            assert!(sent == message.len() || tls.0.wants_write(), "{sent} were taken, and nothing waits");
            std::thread::yield_now();
        }
        while tls.0.wants_write() {
            tls.flush(&socket).unwrap();
        }
        drop((tls, socket));
        assert_eq!(server.join().unwrap(), message.len());
    }

    /// Reads to the end, as a server; how many bytes came.
    fn count(mut peer: UnixStream) -> usize {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let (mut len, mut buffer) = (0, vec![0; 1 << 16]);
        let mut stream = rustls::Stream::new(&mut session, &mut peer);
        // The client is gone without a word at the end: that is no matter here.
        while let Ok(more @ 1..) = stream.read(&mut buffer) {
            len += more;
        }
        len
    }
}
