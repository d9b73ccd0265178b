//! Who a server is in TLS, and whom it takes: its certificate and key, and all else that a handshake goes by.

use std::sync::Arc;

use rustls::ServerConfig;

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
        let _ = credentials;
        Err(TlsMisuse::NoCertificate)
    }

    /// What rustls goes by.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}
