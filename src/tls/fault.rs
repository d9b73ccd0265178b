//! What goes wrong in a TLS session, by whose fault it is. None of them has a secret in it.

use std::fmt;
use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

/// Why a session, or its handshake, failed. The peer has been sent the alert that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The first bytes are no TLS at all.
    NotTls,
    /// They are a request of plain HTTP.
    PlainHttp,
    /// The client has no version of TLS that is served: 1.2 and 1.3 are.
    Version,
    /// The client and the server have no cipher suite, group, signature scheme or protocol of ALPN in common.
    Incompatible,
    /// The client's certificate is not one that the certification authorities have signed, or is no more.
    ClientCertificate,
    /// The peer has ended it with an alert: in a handshake, most often it does not trust the server's certificate.
    Alert,
    /// A record does not decrypt.
    BadRecord,
    /// The peer has broken a rule of the protocol.
    Protocol,
    /// The server has failed.
    Internal,
}

impl Fault {
    /// The name in `app.stats()`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotTls => "notTls",
            Self::PlainHttp => "plainHttp",
            Self::Version => "version",
            Self::Incompatible => "incompatible",
            Self::ClientCertificate => "clientCertificate",
            Self::Alert => "alert",
            Self::BadRecord => "badRecord",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }

    /// The fault inside an error of [`Session::receive`](super::Session::receive) and its like.
    pub fn inside(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            )
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Self::ClientCertificate,
            Error::AlertReceived(_) => Self::Alert,
            Error::DecryptError => Self::BadRecord,
            Error::EncryptError
            | Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::HandshakeNotComplete
            | Error::General(_)
            | Error::Other(_) => Self::Internal,
            // What breaks a rule has many names there, and new ones may come.
            _ => Self::Protocol,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls => "the bytes are no TLS",
            Self::PlainHttp => "plain HTTP came where TLS is spoken",
            Self::Version => "the client has no version of TLS that is served: 1.2 and 1.3 are",
            Self::Incompatible => "client and server have no cipher suite, group or signature scheme in common",
            Self::ClientCertificate => "the client's certificate is not valid",
            Self::Alert => "the peer has sent a fatal alert",
            Self::BadRecord => "a record does not decrypt",
            Self::Protocol => "the peer has broken a rule of TLS",
            Self::Internal => "TLS has failed",
        })
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}
