//! Clients of TLS for the tests: rustls's own, over real sockets.

use std::io;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::*;
use crate::tls::{Credentials, Identity, Scratch, Session, Wire};

pub(in crate::gate) use rustls::version::{TLS12, TLS13};

pub(in crate::gate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A connection on the client's side.
pub(in crate::gate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A certificate and its key, in PEM.
pub(in crate::gate) struct Issued {
    pub(in crate::gate) cert: String,
    pub(in crate::gate) key: String,
}

impl Issued {
    /// One that nobody else has signed.
    pub(in crate::gate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        Self { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    /// One for a client, and the PEM of the authority that has signed it.
    pub(in crate::gate) fn of_client() -> (Self, String) {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["client".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &authority).unwrap().pem();
        (Self { cert, key: key.serialize_pem() }, authority.pem())
    }

    pub(in crate::gate) fn identity(&self) -> Identity {
        self.identity_asking(None)
    }

    /// One that asks clients for certificates of an authority.
    pub(in crate::gate) fn identity_asking(&self, ca: Option<&str>) -> Identity {
        let (cert, key, ca) = (self.cert.as_bytes(), self.key.as_bytes(), ca.map(str::as_bytes));
        Identity::new(&Credentials { cert, key, passphrase: None, ca, ciphers: None }).unwrap()
    }

    pub(in crate::gate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    /// A client that trusts this one alone, and shows a certificate if it has one.
    pub(in crate::gate) fn trusted(
        &self,
        version: &'static SupportedProtocolVersion,
        own: Option<&Self>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![own.der()], key).unwrap()
            }
        })
    }
}

/// A site that speaks TLS, by the name of `localhost`.
pub(super) struct SecureSite {
    pub(super) site: Site,
    pub(super) security: Security,
    pub(super) issued: Issued,
}

impl std::ops::Deref for SecureSite {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

pub(super) fn secure_site() -> SecureSite {
    let issued = Issued::new("localhost");
    let security = Security::new(issued.identity());
    SecureSite { site: built_site(Bounds::default(), Some(security.clone())), security, issued }
}

impl SecureSite {
    /// A client by TLS 1.3. It shakes hands when it first reads or writes.
    pub(super) fn client(&self) -> Client {
        self.client_by(&TLS13)
    }

    pub(super) fn client_by(&self, version: &'static SupportedProtocolVersion) -> Client {
        StreamOwned::new(connection(&self.issued.trusted(version, None), "localhost"), self.connect())
    }
}

pub(in crate::gate) fn connection(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    ClientConnection::new(config.clone(), name.to_owned().try_into().unwrap()).unwrap()
}

/// All that a client has to say now.
pub(in crate::gate) fn said(connection: &mut ClientConnection) -> Vec<u8> {
    let mut said = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut said).unwrap();
    }
    said
}

/// An adopted connection, on the server's side.
pub(super) struct Adopted {
    session: Box<Session>,
    stream: Blocking,
    scratch: Scratch,
    buffer: Vec<u8>,
}

struct Blocking(TcpStream);

impl Wire for Blocking {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
}

impl Adopted {
    pub(super) fn new(adoption: Adoption) -> Self {
        adoption.stream.set_nonblocking(false).unwrap();
        adoption.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut scratch = Scratch::default();
        scratch.plaintext = adoption.early;
        let session = adoption.session.expect("a session");
        Self { session, stream: Blocking(adoption.stream), scratch, buffer: vec![0; 128 * 1024] }
    }

    /// What the client has sent, until it is so much.
    pub(super) fn read(&mut self, length: usize) -> Vec<u8> {
        while self.scratch.plaintext.len() < length {
            let received = self.session.receive(&mut self.stream, &mut self.buffer, &mut self.scratch).unwrap();
            assert_ne!(received.bytes, 0, "the connection ended");
        }
        std::mem::take(&mut self.scratch.plaintext)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let slices = [io::IoSlice::new(bytes)];
        assert_eq!(self.session.send(&mut self.stream, &slices, &mut self.scratch).unwrap(), bytes.len());
    }
}
