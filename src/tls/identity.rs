//! Who a server is in TLS, and whom it takes: its certificate and key, and all else that a handshake goes by.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use super::key::private_key;
use super::misuse::TlsMisuse;
use super::{pem, suites};

/// What an application gives for an [`Identity`]; files have been read.
pub struct Credentials<'a> {
    /// The certificate, and those between it and its root, in PEM (RFC 7468).
    pub cert: &'a [u8],
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1; RSA of 2048 to 4096 bits, ECDSA of P-256 or P-384, or Ed25519.
    pub key: &'a [u8],
    /// What the key is encrypted with, if it is (RFC 5958 §3).
    pub passphrase: Option<&'a str>,
    /// Certification authorities in PEM. With some, a client that has a certificate must have it from one of them.
    pub ca: Option<&'a [u8]>,
    /// Cipher suites by the names of OpenSSL or the IANA, separated by colons, and OpenSSL's words for several, such
    /// as `HIGH` or `ECDHE+AESGCM`. What is known and not served is passed over. Without a suite of TLS 1.3, all of
    /// these stay; without one of TLS 1.2, only TLS 1.3 is spoken. The client's order is followed. `None`: all that
    /// are served.
    pub ciphers: Option<&'a str>,
}

/// A configuration that is known to work. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    /// In an order of their own, each once: see [`succeeding`](Self::succeeding).
    authorities: Arc<[CertificateDer<'static>]>,
}

impl Identity {
    /// Checks all that was given, and that key and certificate belong together.
    ///
    /// TLS 1.2 and 1.3, ALPN `http/1.1` (RFC 7301), and tickets for resumption (RFC 8446 §4.6.1, RFC 5077): the
    /// server remembers no sessions, and a key that seals tickets is replaced after 6 hours and gone after 12.
    ///
    /// # Errors
    ///
    /// Says which part is wrong, never what is in it.
    pub fn new(credentials: &Credentials<'_>) -> Result<Self, TlsMisuse> {
        let suites = suites::suites(credentials.ciphers)?;
        let versions = versions(&suites);
        let provider = Arc::new(CryptoProvider { cipher_suites: suites, ..ring::default_provider() });
        let certified = certified_key(credentials, &provider)?;
        let authorities = credentials.ca.map(authorities).transpose()?.unwrap_or_default();
        let verifier = verifier(&authorities, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|_| TlsMisuse::NoCipher)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(|_| TlsMisuse::NoRandomness)?;
        Ok(Self { config: Arc::new(config), authorities: authorities.into() })
    }

    /// This identity in the place of another of the same server name: clients of that one resume their sessions,
    /// unless other certification authorities are asked. A session that is resumed keeps the client's
    /// certificate unseen (RFC 8446 §2.2), so these must be the same.
    #[must_use]
    pub fn succeeding(self, former: &Self) -> Self {
        if self.authorities != former.authorities {
            return self;
        }
        let mut config = ServerConfig::clone(&self.config);
        config.ticketer = former.config.ticketer.clone();
        Self { config: Arc::new(config), ..self }
    }

    /// What rustls goes by.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

/// The versions that suites are for.
fn versions(suites: &[SupportedCipherSuite]) -> Vec<&'static SupportedProtocolVersion> {
    [&TLS13, &TLS12].into_iter().filter(|version| suites.iter().any(|suite| *suite.version() == **version)).collect()
}

/// The chain and the key, which belong together.
fn certified_key(credentials: &Credentials<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, TlsMisuse> {
    let chain = certificates(credentials.cert).map_err(TlsMisuse::Certificate)?;
    let Some(server) = chain.first() else {
        return Err(TlsMisuse::NoCertificate);
    };
    if is_version_1(server) {
        return Err(TlsMisuse::CertificateVersion);
    }
    let key = private_key(credentials.key, credentials.passphrase)?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| TlsMisuse::KeyKind)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|error| match error {
        Error::InconsistentKeys(_) => TlsMisuse::Mismatch,
        _ => TlsMisuse::Certificate(1),
    })?;
    Ok(certified)
}

/// All certificates of a text in PEM. The error: which of them is none, counted from 1.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, usize> {
    let sections = pem::sections(text);
    let labelled =
        sections.iter().filter(|section| [&b"CERTIFICATE"[..], b"X509 CERTIFICATE"].contains(&section.label));
    labelled.enumerate().map(|(at, section)| Ok(section.der().ok_or(at + 1)?.into())).collect()
}

/// Whether a certificate has no field `version` where it would stand, at its beginning (RFC 5280 §4.1).
fn is_version_1(certificate: &[u8]) -> bool {
    const VERSION: u8 = 0xa0;
    content(certificate).and_then(content).is_some_and(|fields| !fields.starts_with(&[VERSION]))
}

/// What a sequence of ASN.1 has in it, and all behind it.
fn content(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    let header = match der {
        [SEQUENCE, length, ..] if *length < 0x80 => 2,
        [SEQUENCE, length, ..] => 2 + usize::from(length & 0x7f),
        _ => return None,
    };
    der.get(header..)
}

/// The certification authorities of a text in PEM, as [`Identity`] keeps them.
fn authorities(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsMisuse> {
    let mut authorities = certificates(text).map_err(TlsMisuse::Authority)?;
    if authorities.is_empty() {
        return Err(TlsMisuse::NoAuthority);
    }
    let mut roots = RootCertStore::empty();
    for (at, authority) in authorities.iter().enumerate() {
        roots.add(authority.clone()).map_err(|_| TlsMisuse::Authority(at + 1))?;
    }
    authorities.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    authorities.dedup();
    Ok(authorities)
}

/// Takes clients without a certificate, and of the others those whose authority is known, as uWebSockets.js does.
fn verifier(
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsMisuse> {
    if authorities.is_empty() {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|_| TlsMisuse::NoAuthority)
}
