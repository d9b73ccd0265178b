//! What is wrong with keys and certificates that an application gives.

use std::fmt;

/// Why there is no [`Identity`](super::Identity). Nothing of a key is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMisuse {
    /// There is no certificate in what was given as such.
    NoCertificate,
}

impl TlsMisuse {
    /// The stable code of the JavaScript error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate => "TIDEWIRE_TLS_CERTIFICATE",
        }
    }
}

impl fmt::Display for TlsMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "`cert` holds no certificate in PEM",
        })
    }
}

impl std::error::Error for TlsMisuse {}
