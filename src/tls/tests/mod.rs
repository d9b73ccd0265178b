//! Sessions against rustls's own client, in memory.

mod forger;
mod hostile;
mod identity;
mod names;
mod resumption;
mod shaking;
mod traffic;
mod wire;

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use self::wire::Memory;
use super::*;

/// Rounds of a handshake at most, and of whatever else goes to and fro.
const ROUNDS: usize = 50;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate and its key, in PEM.
struct Issued {
    cert: String,
    key: String,
}

impl Issued {
    /// One that nobody else has signed.
    fn new(name: &str) -> Self {
        Self::with(name, KeyPair::generate().expect("a key"))
    }

    fn with(name: &str, key: KeyPair) -> Self {
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        Self { cert: params.self_signed(&key).expect("a certificate").pem(), key: key.serialize_pem() }
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials { cert: self.cert.as_bytes(), key: self.key.as_bytes(), passphrase: None, ca: None, ciphers: None }
    }

    fn identity(&self) -> Identity {
        Identity::new(&self.credentials()).expect("an identity")
    }
}

/// Who signs certificates of clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    fn cert(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        Issued { cert: params.signed_by(&key, &self.0).expect("a certificate").pem(), key: key.serialize_pem() }
    }
}

/// What a client goes by: it trusts these certificates alone.
fn trusting(issued: &[&Issued], versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    config(issued, versions, None)
}

fn config(issued: &[&Issued], versions: &[&'static SupportedProtocolVersion], client: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for one in issued {
        roots.add(certificate(&one.cert)).expect("a certificate");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => builder
            .with_client_auth_cert(
                vec![certificate(&client.cert)],
                PrivateKeyDer::from_pem_slice(client.key.as_bytes()).expect("a key"),
            )
            .expect("a client's certificate"),
    };
    config.resumption = Resumption::in_memory_sessions(64);
    config
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// A client and a session that talk.
struct Pair {
    client: ClientConnection,
    session: Session,
    wire: Memory,
    scratch: Scratch,
    buffer: Vec<u8>,
    /// Plaintext that the client has received.
    heard: Vec<u8>,
}

impl Pair {
    fn new(config: &Arc<ClientConfig>, name: &str, identity: &Identity) -> Self {
        let name = name.to_owned().try_into().expect("a server name");
        Self {
            client: ClientConnection::new(config.clone(), name).expect("a client"),
            session: Session::new(identity.config()).expect("a session"),
            wire: Memory::default(),
            scratch: Scratch::default(),
            buffer: vec![0; 128 * 1024],
            heard: Vec::new(),
        }
    }

    /// A pair that has shaken hands.
    fn ready(version: &'static SupportedProtocolVersion) -> Self {
        let issued = Issued::new("example.org");
        let config = Arc::new(trusting(&[&issued], &[version]));
        let mut pair = Self::new(&config, "example.org", &issued.identity());
        pair.shake().expect("a handshake");
        pair
    }

    /// What the client has to say goes onto the wire.
    fn client_writes(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire.incoming).expect("memory");
        }
    }

    /// The session takes all that is on the wire.
    fn session_reads(&mut self) -> std::io::Result<()> {
        while !self.wire.incoming.is_empty() {
            self.session.receive(&mut self.wire, &mut self.buffer, &mut self.scratch)?;
        }
        Ok(())
    }

    /// The client takes all that the session has written. The error is the client's.
    fn client_reads(&mut self) -> Result<(), rustls::Error> {
        let mut rest = self.wire.outgoing.as_slice();
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).expect("memory");
            self.client.process_new_packets()?;
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = self.client.reader().read(&mut piece) {
                self.heard.extend_from_slice(&piece[..length]);
            }
        }
        self.wire.outgoing.clear();
        Ok(())
    }

    /// To and fro, until nobody has anything to say.
    fn exchange(&mut self) -> std::io::Result<()> {
        for _ in 0..ROUNDS {
            self.client_writes();
            if self.wire.incoming.is_empty() && self.wire.outgoing.is_empty() {
                return Ok(());
            }
            self.session_reads()?;
            // An alert of the client's is the session's to judge.
            let _ = self.client_reads();
        }
        panic!("they do not come to an end");
    }

    /// Shakes hands. The fault is the session's; the client may have failed all the same.
    fn shake(&mut self) -> Result<(), Fault> {
        self.exchange().map_err(|error| Fault::inside(&error).expect("a fault of the session"))
    }

    fn client_says(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).expect("room");
        self.client_writes();
    }

    /// What the session has received, taken out.
    fn received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.scratch.plaintext)
    }
}
