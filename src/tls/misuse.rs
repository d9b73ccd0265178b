//! What is wrong with keys and certificates that an application gives.

use std::fmt;

/// Why there is no [`Identity`](super::Identity). Nothing of a key or a passphrase is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMisuse {
    /// There is no certificate in what was given as such.
    NoCertificate,
    /// A certificate cannot be read: which, counted from 1.
    Certificate(usize),
    /// The server's certificate is of version 1, which has no names in it that clients go by (RFC 5280 §4.1.2.1).
    CertificateVersion,
    /// There is no private key in what was given as such.
    NoKey,
    /// The key is of a kind or a size that is not served, or is broken.
    KeyKind,
    /// The key is encrypted in the way of RFC 1421, which OpenSSL wrote until 1.0.
    OldKeyEncryption,
    /// The key is encrypted by a scheme that is not read.
    KeyEncryption,
    /// The key is encrypted, and there is no passphrase.
    NoPassphrase,
    /// The key is encrypted, and not with this passphrase.
    WrongPassphrase,
    /// The key is not that of the certificate.
    Mismatch,
    /// There is no certificate in what was given as certification authorities.
    NoAuthority,
    /// A certification authority's certificate cannot be read: which, counted from 1.
    Authority(usize),
    /// A name of a cipher suite that nobody knows.
    UnknownCipher(String),
    /// The first of a list of which nothing is served.
    UnservedCipher(String),
    /// A list of cipher suites that leaves none.
    NoCipher,
    /// The host has no randomness for the keys of tickets.
    NoRandomness,
}

impl TlsMisuse {
    /// The stable code of the JavaScript error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate | Self::Certificate(_) | Self::CertificateVersion => "TIDEWIRE_TLS_CERTIFICATE",
            Self::NoKey | Self::KeyKind | Self::OldKeyEncryption | Self::KeyEncryption => "TIDEWIRE_TLS_KEY",
            Self::NoPassphrase | Self::WrongPassphrase => "TIDEWIRE_TLS_PASSPHRASE",
            Self::Mismatch => "TIDEWIRE_TLS_MISMATCH",
            Self::NoAuthority | Self::Authority(_) => "TIDEWIRE_TLS_CA",
            Self::UnknownCipher(_) | Self::UnservedCipher(_) | Self::NoCipher => "TIDEWIRE_TLS_CIPHERS",
            Self::NoRandomness => "TIDEWIRE_TLS_RANDOMNESS",
        }
    }
}

impl fmt::Display for TlsMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => {
                "there is no certificate: give PEM, with lines from -----BEGIN CERTIFICATE----- to \
                 -----END CERTIFICATE-----"
            }
            Self::Certificate(place) => {
                return write!(f, "certificate {place} of the chain cannot be read: its PEM is damaged");
            }
            Self::CertificateVersion => {
                "the certificate is of version 1, which no browser takes: make it with extensions, at least \
                 subjectAltName (openssl x509 -req -extfile)"
            }
            Self::NoKey => {
                "there is no private key: give PEM, with lines from -----BEGIN PRIVATE KEY----- to \
                 -----END PRIVATE KEY-----"
            }
            Self::KeyKind => {
                "the private key is not one that is served, or its PEM is damaged: RSA of 2048 to 4096 bits, ECDSA of \
                 P-256 and P-384, and Ed25519 are"
            }
            Self::OldKeyEncryption => {
                "the private key is encrypted in OpenSSL's old way (Proc-Type: 4,ENCRYPTED), which is not read: \
                 convert it with openssl pkcs8 -topk8 -in old.pem -out new.pem"
            }
            Self::KeyEncryption => {
                "the private key is encrypted by a scheme that is not read, or its PEM is damaged: convert it with \
                 openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem"
            }
            Self::NoPassphrase => "the private key is encrypted: give its passphrase",
            Self::WrongPassphrase => "the passphrase is not that of the private key",
            Self::Mismatch => {
                "the private key is not that of the certificate; in a chain the server's certificate stands first"
            }
            Self::NoAuthority => {
                "there is no certificate of a certification authority: give PEM, with lines from \
                 -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
            }
            Self::Authority(place) => {
                return write!(f, "certificate {place} of the certification authorities cannot be read");
            }
            Self::UnknownCipher(name) => {
                return write!(f, "no cipher suite is named '{name}'; served are {}", super::suites::Served);
            }
            Self::UnservedCipher(name) => {
                return write!(
                    f,
                    "'{name}' is not served, nor is anything else of the list; served are {}",
                    super::suites::Served
                );
            }
            Self::NoCipher => {
                return write!(f, "the list leaves no cipher suite; served are {}", super::suites::Served);
            }
            Self::NoRandomness => "the host has no randomness to make keys of",
        })
    }
}

impl std::error::Error for TlsMisuse {}
