//! One TLS connection on the server's side, as a value: records in, plaintext out, and back.
//!
//! rustls's unbuffered interface under it: it works in its caller's buffers, so an idle session holds keys and
//! no bytes (docs/memory.md has the figure). What a read cuts is kept until the next one, and what the host
//! does not take until it does: see [`line`](super::line), which drives this over a socket.

use std::io::IoSlice;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};

use super::fault::Fault;
use super::outgoing::Outgoing;
use crate::limits;

/// Plaintext of one record at most (RFC 8446 §5.1, RFC 5246 §6.2.1).
const RECORD_BYTES: usize = 16 * 1024;

/// A TLS connection, from the ClientHello on.
pub struct Session {
    connection: UnbufferedServerConnection,
    /// What has come of a record, or of a handshake message, that is not whole. rustls has a part of it
    /// decrypted in place, so it is given back to it as it was. Born by a read that cuts one, freed with it.
    cut: Vec<u8>,
    /// Records that the host did not take yet.
    pub(super) unsent: Unsent,
    is_shaking: bool,
    is_finished: bool,
    says_no_more: bool,
    fault: Option<Fault>,
}

/// Sealed records that wait for the host. Born by a short write, freed when written.
#[derive(Default)]
pub(super) struct Unsent {
    pub(super) bytes: Vec<u8>,
    /// How many of them are written already.
    pub(super) written: usize,
    /// Plaintext in them of which the caller was not told yet that it is sent.
    pub(super) plaintext: usize,
}

impl Session {
    /// A session that waits for its ClientHello.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`]: the configuration does not fit; none that [`Identity`](super::Identity) makes is such.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Fault> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config).map_err(|_| Fault::Internal)?,
            cut: Vec::new(),
            unsent: Unsent::default(),
            is_shaking: true,
            is_finished: false,
            says_no_more: false,
            fault: None,
        })
    }

    /// Whether the handshake is under way.
    pub fn is_shaking_hands(&self) -> bool {
        self.is_shaking
    }

    /// Whether the peer has said close_notify: what it sends behind that is nothing (RFC 8446 §6.1). A FIN without
    /// it may be anybody's, and may have cut something off.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// What it has failed of. It is of no more use then: its alert is sent, or waits, and nothing follows that.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether it resumes an earlier session (RFC 8446 §2.2), once the handshake is done.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Whether the client was asked to begin anew with another key (RFC 8446 §4.1.4): the handshake's signature may
    /// not be made yet, though a ClientHello was answered.
    pub fn is_retried(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::FullWithHelloRetryRequest)
    }

    /// The certificate by which the client has proved who it is, if it has.
    pub fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificates()?.first()
    }

    /// What is kept of a record that is not whole.
    pub fn cut(&self) -> &[u8] {
        &self.cut
    }

    /// Memory of the records that wait in it: what is [cut](Self::cut), and what the host has not taken.
    pub fn held_bytes(&self) -> usize {
        self.cut.capacity() + self.unsent.bytes.capacity()
    }

    /// Opens records: appends their content to `plaintext`, and to `out` what is to be sent for them, be it an
    /// alert. `incoming` is what has come, behind a copy of [`cut`](Self::cut); plaintext is never longer.
    ///
    /// # Errors
    ///
    /// Whatever the peer has done wrong; the session is of no more use then, and says the same again.
    pub fn open(&mut self, incoming: &mut [u8], plaintext: &mut Vec<u8>, out: &mut Outgoing) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let opened = self.open_whole(incoming, plaintext, out);
        let rest = match opened {
            Ok(opened) if !self.is_finished => &incoming[opened..],
            _ => &[],
        };
        let most = if self.is_shaking { limits::TLS_CUT_BYTES } else { limits::TLS_CUT_RECORD_BYTES };
        if rest.len() > most {
            return Err(self.fail(Fault::Protocol));
        }
        // To the byte: most of these are short, and some thousand peers may have one at a time.
        self.cut = rest.into();
        opened.map(|_| ())
    }

    /// Opens all records that are whole. Returns how much of `incoming` they took.
    fn open_whole(&mut self, incoming: &mut [u8], plaintext: &mut Vec<u8>, out: &mut Outgoing) -> Result<usize, Fault> {
        let mut opened = 0;
        loop {
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(&mut incoming[opened..]);
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        plaintext.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.is_finished = true;
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.is_shaking = false;
                    false
                }
                Ok(_) => false,
                Err(error) => {
                    self.alert(out);
                    return Err(self.fail(Fault::of(&error)));
                }
            };
            opened += discard;
            if !goes_on {
                return Ok(opened);
            }
        }
    }

    /// The alert of a session that has failed, and what was to be sent before it. Only that: rustls is not to look
    /// at a record again which it has refused, and asks for nothing else while it has something to say.
    fn alert(&mut self, out: &mut Outgoing) {
        while self.connection.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(data)) = self.connection.process_tls_records(&mut []).state else {
                return;
            };
            if !encode(data, out) {
                return;
            }
        }
    }

    /// Nothing is read or said any more.
    pub(super) fn fail(&mut self, fault: Fault) -> Fault {
        self.fault = Some(fault);
        // rustls is not asked again, so it needs no bytes again.
        self.cut = Vec::new();
        fault
    }

    /// Seals plaintext in records, which are appended to `out`: [`limits::TLS_SEALED_BYTES`] of it at most.
    /// Short slices share a record; `staging` is where they meet. Returns how much is sealed.
    ///
    /// TLS 1.3 updates its keys when they have sealed enough. TLS 1.2 cannot: with AES it is closed after 16,777,216
    /// records (RFC 8446 §5.5).
    ///
    /// # Errors
    ///
    /// The fault that the session has failed with; [`Fault::Internal`]: the keys are used up, or there are none,
    /// since the handshake is not done or the end is said.
    pub fn seal(&mut self, slices: &[IoSlice<'_>], staging: &mut Vec<u8>, out: &mut Outgoing) -> Result<usize, Fault> {
        staging.clear();
        let mut room = limits::TLS_SEALED_BYTES;
        for slice in slices {
            let mut bytes = &slice[..slice.len().min(room)];
            room -= bytes.len();
            while !bytes.is_empty() {
                if staging.is_empty() && bytes.len() >= RECORD_BYTES {
                    let (record, rest) = bytes.split_at(RECORD_BYTES);
                    self.encrypt(record, out)?;
                    bytes = rest;
                    continue;
                }
                let (piece, rest) = bytes.split_at(bytes.len().min(RECORD_BYTES - staging.len()));
                staging.extend_from_slice(piece);
                bytes = rest;
                if staging.len() == RECORD_BYTES {
                    self.encrypt(staging, out)?;
                    staging.clear();
                }
            }
            if room == 0 {
                break;
            }
        }
        if !staging.is_empty() {
            self.encrypt(staging, out)?;
        }
        Ok(limits::TLS_SEALED_BYTES - room)
    }

    /// Seals close_notify, once (RFC 8446 §6.1): nothing follows it. A session that shakes hands or has failed has
    /// nothing to say.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`], which does not happen.
    pub fn seal_end(&mut self, out: &mut Outgoing) -> Result<(), Fault> {
        if !self.says_no_more && !self.is_shaking && self.fault.is_none() {
            self.write(out, |mut traffic, out| out.append(|room| traffic.queue_close_notify(room), required))?;
        }
        self.says_no_more = true;
        Ok(())
    }

    fn encrypt(&mut self, plaintext: &[u8], out: &mut Outgoing) -> Result<(), Fault> {
        if self.says_no_more {
            return Err(Fault::Internal);
        }
        self.write(out, |mut traffic, out| out.append(|room| traffic.encrypt(plaintext, room), required))
    }

    /// Writes when all that rustls has to say by itself, such as an update of keys, is said.
    fn write(
        &mut self,
        out: &mut Outgoing,
        write: impl FnOnce(
            WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut Outgoing,
        ) -> Result<(), EncryptError>,
    ) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // rustls remembers where in it a handshake message begins that is cut: it must have the same bytes again.
        let mut cut = std::mem::take(&mut self.cut);
        let is_written = loop {
            match self.connection.process_tls_records(&mut cut).state {
                Ok(ConnectionState::WriteTraffic(traffic)) => break write(traffic, out).is_ok(),
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if !encode(data, out) {
                        break false;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => break false,
            }
        };
        self.cut = cut;
        if is_written {
            return Ok(());
        }
        self.alert(out);
        // A handshake that is under way has not failed for that.
        Err(if self.is_shaking { Fault::Internal } else { self.fail(Fault::Internal) })
    }
}

/// `false`: it cannot be encoded.
fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Outgoing) -> bool {
    let required = |error: &EncodeError| match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    };
    out.append(|room| data.encode(room), required).is_ok()
}

fn required(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}
