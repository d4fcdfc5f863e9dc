//! The settings of TLS handshakes: certificates with their keys, versions, tickets, and whose client certificates
//! count. Shared by all workers, and replaced as a whole: connections that are there keep what they began with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig};

use crate::reactor::tls::{keys, names};

/// PEM text, and what it is called in an error: the name of its file.
#[derive(Clone, Debug, Default)]
pub struct Pem {
    /// For errors.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The files of an [`Acceptor`].
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Certificate chains, the server's own certificate first, each with its private key: PKCS #8, PKCS #1 or SEC 1; EC, RSA
    /// or Ed25519. The name that a client asks for and the signatures that it knows decide which one it gets; where no name
    /// fits, the first.
    pub pairs: Vec<(Pem, Pem)>,
    /// Authorities whose certificates clients may show. A client that shows none is let in without a name; one that shows another's
    /// is not.
    pub client_ca: Option<Pem>,
}

/// Why credentials are no good: one line that names the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError(String);

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

fn error<T>(line: String) -> Result<T, TlsError> {
    Err(TlsError(line))
}

/// The protocol that is spoken inside, as ALPN calls it (RFC 7301 §6).
const ALPN: &[u8] = b"http/1.1";

/// The configuration of handshakes. Every worker asks for it at each connection, without a lock.
#[derive(Debug)]
pub struct Acceptor {
    current: ArcSwap<ServerConfig>,
    /// Tickets of one worker are good with all of them, and outlive a replacement.
    tickets: Arc<dyn ProducesTickets>,
}

impl Acceptor {
    /// Handshakes by these credentials.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(credentials: &Credentials) -> Result<Acceptor, TlsError> {
        let tickets = tickets()?;
        let config = config(credentials, tickets.clone())?;
        Ok(Acceptor { current: ArcSwap::from_pointee(config), tickets })
    }

    /// Takes other credentials from the next connection on.
    ///
    /// # Errors
    /// What is wrong with which file; then nothing has changed.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), TlsError> {
        // A ticket carries the client's certificate past the authorities: those may be others now.
        let tickets = if credentials.client_ca.is_some() { tickets()? } else { self.tickets.clone() };
        self.current.store(Arc::new(config(credentials, tickets)?));
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn tickets() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    ring::Ticketer::new().or_else(|_| error("the system gives no random numbers for TLS tickets".to_owned()))
}

fn config(credentials: &Credentials, tickets: Arc<dyn ProducesTickets>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(keys::provider());
    let resolver = Resolver::new(&credentials.pairs, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(ALL_VERSIONS)
        .map_err(|why| TlsError(format!("TLS: {why}")))?;
    let builder = match &credentials.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|why| TlsError(format!("{}: {why}", pem.name)))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Tickets hold the sessions: nothing is stored here for clients that may never come back.
    config.ticketer = tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn chain(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => error(format!("{}: holds no PEM certificate", pem.name)),
        Ok(chain) => Ok(chain),
        Err(why) => error(format!("{}: is not PEM: {why}", pem.name)),
    }
}

fn roots(pem: &Pem) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in chain(pem)? {
        roots.add(authority).map_err(|why| TlsError(format!("{}: is no authority: {why}", pem.name)))?;
    }
    Ok(roots)
}

/// Chooses the certificate by the name that the client asks for.
#[derive(Debug)]
struct Resolver {
    keys: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl Resolver {
    fn new(pairs: &[(Pem, Pem)], provider: &CryptoProvider) -> Result<Resolver, TlsError> {
        if pairs.is_empty() {
            return error("TLS needs a certificate and its key".to_owned());
        }
        let keys = pairs.iter().map(|(certificate, key)| pair(certificate, key, provider));
        Ok(Resolver { keys: keys.collect::<Result<_, _>>()? })
    }
}

fn pair(
    certificate: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<(Vec<String>, Arc<CertifiedKey>), TlsError> {
    let chain = chain(certificate)?;
    let names = names::dns_names(&chain[0]);
    let private = PrivateKeyDer::from_pem_slice(&key.bytes)
        .or_else(|_| error(format!("{}: holds no PEM private key without a password", key.name)))?;
    let certified = CertifiedKey::from_der(chain, private, provider).map_err(|why| match why {
        rustls::Error::InconsistentKeys(_) => {
            TlsError(format!("{}: is not the key of {}", key.name, certificate.name))
        }
        why => TlsError(format!("{} with {}: {why}", certificate.name, key.name)),
    })?;
    Ok((names, Arc::new(certified)))
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        let fits = |names: &[String]| {
            asked.as_ref().is_some_and(|asked| names.iter().any(|name| names::covers(name, asked)))
        };
        // One that can also sign what the client can check: of an EC and an RSA certificate of a name, old clients know the latter.
        let signs = |key: &CertifiedKey| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let best = self.keys.iter().find(|(names, key)| fits(names) && signs(key));
        best.or_else(|| self.keys.iter().find(|(_, key)| signs(key))).map(|(_, key)| key.clone())
    }
}
