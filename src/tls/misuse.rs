//! What is wrong with keys and certificates that an application gives.

use std::fmt;

/// Why there is no [`Identity`](super::Identity). Nothing of a key is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMisuse {
    /// There is no certificate in what was given as such.
    NoCertificate,
    /// There is no private key in what was given as such, or it is of a kind that is not served.
    NoKey,
    /// The key is not that of the certificate.
    Mismatch,
}

impl TlsMisuse {
    /// The stable code of the JavaScript error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate => "TIDEWIRE_TLS_CERTIFICATE",
            Self::NoKey => "TIDEWIRE_TLS_KEY",
            Self::Mismatch => "TIDEWIRE_TLS_MISMATCH",
        }
    }
}

impl fmt::Display for TlsMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "`cert` holds no certificate in PEM",
            Self::NoKey => "`key` holds no private key in PEM of a kind that is served: RSA, ECDSA or Ed25519",
            Self::Mismatch => "`key` is not the private key of the first certificate in `cert`",
        })
    }
}

impl std::error::Error for TlsMisuse {}
