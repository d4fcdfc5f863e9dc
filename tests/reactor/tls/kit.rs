//! Certificates made for the occasion, and a TLS client over a scripted socket.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rollcall::internals::reactor::Config;
use rollcall::internals::reactor::tls::{Acceptor, Credentials, Pem};
use rollcall::internals::wire::frame::Opcode;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use crate::reactor::kit::{Stage, config, frames, upgrade_request};
use crate::reactor::script::Script;

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub(in crate::reactor) struct Pair {
    pub(in crate::reactor) certificate: String,
    pub(in crate::reactor) key: String,
}

impl Pair {
    pub(in crate::reactor) fn pems(&self) -> (Pem, Pem) {
        (pem("cert.pem", &self.certificate), pem("key.pem", &self.key))
    }
}

pub(in crate::reactor) fn pem(name: &str, text: &str) -> Pem {
    Pem { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
}

/// Who signs.
pub(in crate::reactor) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(in crate::reactor) certificate: String,
}

impl Authority {
    pub(in crate::reactor) fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for these names with an EC key.
    pub(in crate::reactor) fn pair(&self, names: &[&str]) -> Pair {
        self.signed(names, &[], &KeyPair::generate().unwrap())
    }

    /// One with these common names.
    pub(in crate::reactor) fn client(&self, common_names: &[&str]) -> Pair {
        self.signed(&["client.test"], common_names, &KeyPair::generate().unwrap())
    }

    /// One for a key from elsewhere.
    pub(in crate::reactor) fn signed(&self, names: &[&str], common_names: &[&str], key: &KeyPair) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common_names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let certificate = params.signed_by(key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A client that trusts this authority and shows `pair`.
    pub(in crate::reactor) fn trusted_by(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        pair: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        self.trusted_with(rustls::crypto::ring::default_provider(), versions, pair)
    }

    /// The same, knowing no more than `provider`.
    pub(in crate::reactor) fn trusted_with(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
        pair: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

pub(in crate::reactor) fn acceptor(pairs: &[&Pair], client_ca: Option<&str>) -> Arc<Acceptor> {
    let credentials = Credentials {
        pairs: pairs.iter().map(|pair| pair.pems()).collect(),
        client_ca: client_ca.map(|text| pem("ca.pem", text)),
    };
    Arc::new(Acceptor::new(&credentials).unwrap())
}

/// A stage whose listener speaks TLS, and a client's settings that go with it.
pub(in crate::reactor) struct Secure {
    pub(in crate::reactor) stage: Stage,
    pub(in crate::reactor) client: Arc<ClientConfig>,
}

impl Secure {
    pub(in crate::reactor) fn new() -> Secure {
        Secure::with(&config(), rustls::ALL_VERSIONS)
    }

    pub(in crate::reactor) fn with(
        config: &Config,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Secure {
        let authority = Authority::new();
        let mut stage = Stage::new(config);
        stage.worker.secure(0, acceptor(&[&authority.pair(&["localhost"])], None));
        Secure { stage, client: authority.trusted_by(versions, None) }
    }

    pub(in crate::reactor) fn connect(&mut self) -> Client {
        Client::connect(&self.stage, &self.client, "localhost")
    }

    /// One whose connection comes from there.
    pub(in crate::reactor) fn connect_from(&mut self, address: &str) -> Client {
        Client::over(self.stage.script.connect_from(address), &self.client, "localhost")
    }

    /// A client whose upgrade was accepted.
    pub(in crate::reactor) fn open(&mut self) -> Client {
        let mut client = self.connect();
        client.upgrade(&mut self.stage);
        client
    }
}

/// rustls's client on a scripted connection.
pub(in crate::reactor) struct Client {
    pub(in crate::reactor) session: ClientConnection,
    pub(in crate::reactor) id: usize,
    /// What it makes of what it was sent.
    pub(in crate::reactor) error: Option<rustls::Error>,
    plain: Vec<u8>,
    pub(in crate::reactor) ended: bool,
}

impl Client {
    pub(in crate::reactor) fn connect(
        stage: &Stage,
        config: &Arc<ClientConfig>,
        name: &'static str,
    ) -> Client {
        Client::over(stage.script.connect(), config, name)
    }

    pub(super) fn over(id: usize, config: &Arc<ClientConfig>, name: &'static str) -> Client {
        let session = ClientConnection::new(config.clone(), ServerName::try_from(name).unwrap()).unwrap();
        Client { session, id, error: None, plain: Vec::new(), ended: false }
    }

    /// The records that it wants to send.
    pub(in crate::reactor) fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Takes what the server has written; says whether that was anything.
    pub(in crate::reactor) fn take(&mut self, script: &Script) -> bool {
        let written = script.written(self.id);
        let mut rest = written.as_slice();
        while !rest.is_empty() && self.error.is_none() {
            self.session.read_tls(&mut rest).unwrap();
            self.error = self.session.process_new_packets().err();
            let mut part = [0; 1 << 16];
            loop {
                match self.session.reader().read(&mut part) {
                    Ok(0) => {
                        self.ended = true;
                        break;
                    }
                    Ok(len) => self.plain.extend_from_slice(&part[..len]),
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
        }
        !written.is_empty()
    }

    /// Lets both sides speak until neither has anything to say.
    pub(in crate::reactor) fn settle(&mut self, stage: &mut Stage) {
        self.settle_in(stage, usize::MAX);
    }

    /// The same, the server being given `most` bytes at a time.
    pub(in crate::reactor) fn settle_in(&mut self, stage: &mut Stage, most: usize) {
        loop {
            let records = self.records();
            for part in records.chunks(most.min(records.len().max(1))) {
                stage.script.arrive(self.id, part);
                stage.settle();
            }
            stage.settle();
            if !self.take(&stage.script) && !self.session.wants_write() {
                return;
            }
        }
    }

    pub(in crate::reactor) fn send(&mut self, stage: &mut Stage, plain: &[u8]) {
        self.write(plain);
        self.settle(stage);
    }

    pub(in crate::reactor) fn write(&mut self, plain: &[u8]) {
        self.session.set_buffer_limit(None);
        self.session.writer().write_all(plain).unwrap();
    }

    /// The plaintext that has come.
    pub(in crate::reactor) fn received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plain)
    }

    pub(in crate::reactor) fn frames(&mut self) -> Vec<(Opcode, Vec<u8>)> {
        frames(&self.received())
    }

    pub(in crate::reactor) fn upgrade(&mut self, stage: &mut Stage) {
        self.send(stage, &upgrade_request("/"));
        let response = self.received();
        assert!(
            response.starts_with(b"HTTP/1.1 101 "),
            "{:?} {:?}",
            self.error,
            String::from_utf8_lossy(&response)
        );
    }
}
