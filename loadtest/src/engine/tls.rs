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

    /// A connection to it.
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

    /// Writes what the socket takes of the records that wait, then takes plaintext if none are left.
    pub fn write(&mut self, socket: &OwnedFd, plain: &[u8]) -> Result<usize, End> {
        self.flush(socket)?;
        // While the handshake goes on, what is to be said first waits inside.
        if self.0.wants_write() {
            return Ok(0);
        }
        let part = &plain[..plain.len().min(WRITE_BYTES)];
        let taken = self.0.writer().write(part).unwrap_or(0);
        self.flush(socket)?;
        Ok(taken)
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
