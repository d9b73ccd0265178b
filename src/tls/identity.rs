//! Who a server is in TLS, and whom it takes: its certificate and key, and all else that a handshake goes by.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig};

use super::misuse::TlsMisuse;

/// What an application gives for an [`Identity`]; files have been read.
pub struct Credentials<'a> {
    /// The certificate, and those between it and its root, in PEM (RFC 7468).
    pub cert: &'a [u8],
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: &'a [u8],
    /// What the key is encrypted with, if it is (RFC 5958 §3).
    pub passphrase: Option<&'a str>,
    /// Certification authorities in PEM. With some, a client that has a certificate must have it from one of them.
    pub ca: Option<&'a [u8]>,
    /// Cipher suites by the names of OpenSSL or the IANA, separated by colons. `None`: all that are served.
    pub ciphers: Option<&'a str>,
}

/// A configuration that is known to work. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Checks all that was given, and that key and certificate belong together.
    ///
    /// # Errors
    ///
    /// Says which part is wrong, never what is in it.
    pub fn new(credentials: &Credentials<'_>) -> Result<Self, TlsMisuse> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(credentials.cert)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsMisuse::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(credentials.key).map_err(|_| TlsMisuse::NoKey)?;
        let provider = Arc::new(ring::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            Error::InconsistentKeys(_) => TlsMisuse::Mismatch,
            _ => TlsMisuse::NoKey,
        })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|_| TlsMisuse::NoCertificate)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(|_| TlsMisuse::NoKey)?;
        Ok(Self { config: Arc::new(config) })
    }

    /// What rustls goes by.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}
