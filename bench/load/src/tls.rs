//! TLS from the client's side: a session as a value over rustls's unbuffered interface, which costs neither a
//! buffer for each connection nor a copy that can be left out. [`crate::stream`] puts sockets under it.
//!
//! The client offers TLS 1.3 with one cipher suite and one group, so that all servers do the same work, and
//! resumes no session. It trusts one certificate, that of its run, whatever name is in it.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::ring::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version};

use crate::failure::Failure;

/// Whom the client asks for.
const SERVER_NAME: &str = "localhost";

/// Room that is offered to rustls at first: for a message of the handshake.
const ROOM_BYTES: usize = 4 * 1024;

/// Header, content type and tag of a record (RFC 8446 §5.2).
const RECORD_OVERHEAD_BYTES: usize = 5 + 1 + 16;

/// Plaintext of one record at most (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 * 1024;

/// What all TLS connections of a run have in common.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    out: Rc<RefCell<Out>>,
}

impl Tls {
    /// Trusts the certificate in this PEM file and no other.
    pub fn trusting(file: &str) -> Result<Self, Failure> {
        let certificate = CertificateDer::from_pem_file(file)
            .map_err(|error| Failure::new(format!("there is no certificate in {file}: {error}")))?;
        Self::pinned(certificate)
    }

    /// Trusts this certificate and no other.
    pub fn pinned(certificate: CertificateDer<'static>) -> Result<Self, Failure> {
        let provider = CryptoProvider {
            cipher_suites: vec![TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        };
        let pinned = Pinned { certificate, algorithms: provider.signature_verification_algorithms };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| Failure::new(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), out: Rc::default() })
    }

    /// A session that has said nothing yet.
    pub(crate) fn session(&self) -> io::Result<Session> {
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        Ok(Session {
            connection: UnbufferedClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?,
            cut: Vec::new(),
            early: Vec::new(),
            is_shaking: true,
            out: self.out.clone(),
        })
    }
}

/// The TLS of one connection. An idle one holds no bytes.
pub(crate) struct Session {
    connection: UnbufferedClientConnection,
    /// The beginning of a record, or of a handshake message, that a read has cut.
    cut: Vec<u8>,
    /// What is to be sent as soon as there are keys.
    early: Vec<u8>,
    is_shaking: bool,
    out: Rc<RefCell<Out>>,
}

impl Session {
    /// Puts what the last read has cut before the room for the next one; how much that is.
    pub(crate) fn restore(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.cut.len()].copy_from_slice(&self.cut);
        self.cut.len()
    }

    /// Opens the records in `incoming`, which begins with what was [restored](Self::restore): appends their content
    /// to `plaintext`, and has `send` send what the server is to be told, if there is something.
    pub(crate) fn open(
        &mut self,
        incoming: &mut [u8],
        plaintext: &mut Vec<u8>,
        send: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let out = &mut *self.out.borrow_mut();
        out.filled = 0;
        let mut opened = 0;
        loop {
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(&mut incoming[opened..]);
            let goes_on = match state.map_err(invalid)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        plaintext.extend_from_slice(record.payload);
                    }
                    true
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    out.append(ROOM_BYTES, |room| data.encode(room), encoded_bytes).map_err(invalid)?;
                    true
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    true
                }
                ConnectionState::PeerClosed => true,
                ConnectionState::WriteTraffic(mut traffic) if self.is_shaking => {
                    self.is_shaking = false;
                    let early = std::mem::take(&mut self.early);
                    out.append(sealed_bytes(early.len()), |room| traffic.encrypt(&early, room), encrypted_bytes)
                        .map_err(invalid)?;
                    false
                }
                _ => false,
            };
            opened += discard;
            if !goes_on {
                break;
            }
        }
        let rest = &incoming[opened..];
        if rest.is_empty() {
            self.cut = Vec::new();
        } else {
            self.cut.clear();
            self.cut.extend_from_slice(rest);
        }
        match out.filled {
            0 => Ok(()),
            filled => send(&out.bytes[..filled]),
        }
    }

    /// Seals bytes and has `send` send the records. Before the end of the handshake they wait for it.
    pub(crate) fn seal(&mut self, bytes: &[u8], send: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.is_shaking {
            self.early.extend_from_slice(bytes);
            return Ok(());
        }
        let out = &mut *self.out.borrow_mut();
        out.filled = 0;
        // rustls remembers where in it a handshake message begins that is cut: it must have the same bytes again.
        let mut cut = std::mem::take(&mut self.cut);
        loop {
            match self.connection.process_tls_records(&mut cut).state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    out.append(sealed_bytes(bytes.len()), |room| traffic.encrypt(bytes, room), encrypted_bytes)
                        .map_err(invalid)?;
                    break;
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    out.append(ROOM_BYTES, |room| data.encode(room), encoded_bytes).map_err(invalid)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {}
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        self.cut = cut;
        send(&out.bytes[..out.filled])
    }
}

/// Records until they are written: one buffer for all connections, never cleared before it is written over.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    filled: usize,
}

impl Out {
    /// Has `write` append to it; again with more room if it asks for that by its error.
    fn append<E>(
        &mut self,
        mut room: usize,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
        required: impl Fn(&E) -> Option<usize>,
    ) -> Result<(), E> {
        loop {
            if self.bytes.len() < self.filled + room {
                self.bytes.resize(self.filled + room, 0);
            }
            match write(&mut self.bytes[self.filled..]) {
                Ok(written) => {
                    self.filled += written;
                    return Ok(());
                }
                Err(error) => match required(&error) {
                    Some(bytes) if bytes > room => room = bytes,
                    _ => return Err(error),
                },
            }
        }
    }
}

fn sealed_bytes(plaintext_bytes: usize) -> usize {
    plaintext_bytes + plaintext_bytes.div_ceil(RECORD_BYTES) * RECORD_OVERHEAD_BYTES
}

fn encoded_bytes(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn encrypted_bytes(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

fn invalid(error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}"))
}

/// Takes one certificate as it is. That the server has its key is verified as always.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
